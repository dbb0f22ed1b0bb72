package store

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/journal"
	"meridian/internal/verify"
	"meridian/replication/raftnode"
	"meridian/replication/seal"
)

// OpenOffline reads the directories of a region's stopped nodes and returns each
// one's totals at the last log entry that a majority of them holds: the newest
// snapshot, and the log after it, applied as the node would. The directories are
// not changed.
//
// Give the directories of all the region's nodes. What a majority is is counted
// among those given: with fewer, entries that were never acknowledged count, or
// acknowledged ones do not.
//
// A node that parted from the majority before that entry, with a tail of an old
// term, is reported where it parted. One that is so far behind that the majority
// has only a snapshot of what it holds, and a leader of another term since, is
// reported at its own snapshot.
func OpenOffline(dirs []string, ring *seal.Ring) (_ []verify.EdgeReport, err error) {
	nodes := make([]*raftnode.Offline, 0, len(dirs))
	defer func() {
		for _, o := range nodes {
			err = errors.Join(err, o.Close())
		}
	}()
	var errs []error
	for _, dir := range dirs {
		o, err := raftnode.OpenOffline(dir, ring)
		if o != nil {
			nodes = append(nodes, o)
			err = o.Damage()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("node directory %s: %w", dir, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	books := make([]logbook, len(nodes))
	for i, o := range nodes {
		books[i] = o
	}
	agreed, err := agree(books)
	if err != nil {
		return nil, fmt.Errorf("compare the nodes' logs: %w", err)
	}
	reports := make([]verify.EdgeReport, 0, len(nodes))
	for i, o := range nodes {
		r, err := offlineReport(o, dirs[i], ring, agreed.upTo[i])
		if err == nil {
			r.Index, err = agreed.index(agreed.upTo[i])
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("node %s: %w", o.NodeID(), err))
		}
		reports = append(reports, r)
	}
	sameIndex(reports)
	return reports, errors.Join(errs...)
}

// sameIndex gives equal states the same index, the greatest of theirs: a snapshot
// does not tell whether its last entry was a command.
func sameIndex(reports []verify.EdgeReport) {
	greatest := map[journal.Hash]uint64{}
	for _, r := range reports {
		greatest[r.StateHash] = max(greatest[r.StateHash], r.Index)
	}
	for i := range reports {
		reports[i].Index = greatest[reports[i].StateHash]
	}
}

// offlineReport applies what the node holds up to an index.
func offlineReport(o *raftnode.Offline, dir string, ring *seal.Ring, upTo uint64) (verify.EdgeReport, error) {
	state, kept, err := offlineSnapshot(o, ring)
	if err != nil {
		return verify.EdgeReport{}, err
	}
	err = o.Entries(o.SnapshotIndex()+1, func(i, _ uint64, data []byte) error {
		if i > upTo {
			return nil
		}
		commands, err := command.DecodeBatch(data)
		if err != nil {
			return fmt.Errorf("log entry %d: %w", i, err)
		}
		for _, c := range commands {
			state.Apply(c)
		}
		kept = append(kept, state.TakeEntries()...)
		return nil
	})
	if err != nil {
		return verify.EdgeReport{}, err
	}
	kept = slices.DeleteFunc(kept, func(e verify.RawEntry) bool { return e.Epoch != state.Epoch || e.Seq <= state.Acked })
	if err := compareSegments(filepath.Join(dir, "segments"), state.Epoch, ring, kept); err != nil {
		return verify.EdgeReport{}, err
	}
	r := state.Report()
	r.Node, r.Entries = o.NodeID(), kept
	return r, nil
}

// offlineSnapshot is the state and the entries of the newest snapshot, or those of
// a node that has none.
func offlineSnapshot(o *raftnode.Offline, ring *seal.Ring) (_ *fsm.State, kept []verify.RawEntry, err error) {
	_, rc, ok := o.Snapshot()
	if !ok {
		return fsm.New(), nil, o.Damage()
	}
	defer func() { err = errors.Join(err, rc.Close()) }()
	snap, err := openSnapshot(rc, ring)
	if err != nil {
		return nil, nil, err
	}
	err = snap.entries(func(piece []verify.RawEntry) error {
		kept = append(kept, piece...)
		return nil
	})
	return snap.state, kept, err
}

// compareSegments holds the entries that the log makes against those that lie in
// the segments.
func compareSegments(root string, epoch uint64, ring *seal.Ring, want []verify.RawEntry) error {
	seg, _, err := readEpoch(root, max(epoch, 1), ring)
	if err != nil {
		return err
	}
	first, last := seg.bounds()
	bySeq := func(e verify.RawEntry, seq uint64) int { return cmp.Compare(e.Seq, seq) }
	from, _ := slices.BinarySearchFunc(want, first, bySeq)
	to, _ := slices.BinarySearchFunc(want, last+1, bySeq)
	if from >= to {
		return nil
	}
	return seg.compare(want[from:to])
}
