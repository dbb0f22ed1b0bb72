package raftnode

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/hashicorp/raft"

	"meridian/replication/disk"
	"meridian/replication/seal"
)

// Offline reads the directory of a stopped node. It holds the directory's lock,
// so that no node starts meanwhile. Not safe for concurrent use.
type Offline struct {
	info     nodeInfo
	lock     *os.File
	store    *store
	snaps    *raft.FileSnapshotStore
	newest   snapshotRef
	damage   error
	counters counters
}

type snapshotRef struct {
	id          string
	index, term uint64
}

// newestSnapshot is the newest snapshot that is whole (its checksum is read);
// the zero value: there is none at all. It is what raft will restore. Snapshots
// of which none is whole are damage: the log alone does not hold the state.
func newestSnapshot(s *raft.FileSnapshotStore, log *slog.Logger) (snapshotRef, error) {
	metas, err := s.List()
	if err != nil {
		return snapshotRef{}, fmt.Errorf("raftnode: list snapshots: %w", err)
	}
	var faults []error
	for _, m := range metas {
		_, rc, err := s.Open(m.ID)
		if err == nil {
			return snapshotRef{id: m.ID, index: m.Index, term: m.Term}, rc.Close()
		}
		log.Error("raft: snapshot is damaged; trying the one before", "snapshot", m.ID, "err", err)
		faults = append(faults, fmt.Errorf("%w: snapshot %s: %w", ErrLogDamaged, m.ID, err))
	}
	if len(faults) > 0 {
		faults = append(faults, errors.New(remedy))
	}
	return snapshotRef{}, errors.Join(faults...)
}

// OpenOffline opens the directory of a node that does not run. Errors wrap
// ErrInUse, ErrWrongDir or ErrWrongKeys. A damaged log opens, so that what is
// left can be looked at: see Damage. Opening drops what a crash left unfinished
// at the log's end, as a start of the node would; nothing else is changed.
func OpenOffline(dir string, ring *seal.Ring) (_ *Offline, err error) {
	if ring == nil {
		return nil, errors.New("raftnode: ring is missing; load it with seal.LoadRing")
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrongDir, err)
	}
	o := &Offline{}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Close())
		}
	}()
	o.info, err = readInfo(dir, ring)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w; name the raft directory of a node", ErrWrongDir, err)
	} else if err != nil {
		return nil, err
	}
	if o.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	if o.snaps, err = raft.NewFileSnapshotStoreWithLogger(dir, 1, newHCLog(quiet, "snapshot")); err != nil {
		return nil, fmt.Errorf("raftnode: snapshots in %s: %w", dir, err)
	}
	var unreadable error
	o.newest, unreadable = newestSnapshot(o.snaps, quiet)
	dc := disk.DefaultConfig()
	dc.Dir = dir
	layer, err := disk.New(dc)
	if err != nil {
		return nil, err
	}
	if o.store, err = openStore(dir, o.info.engine(), DefaultConfig().SegmentBytes, ring, layer, quiet, &o.counters); err != nil {
		return nil, err
	}
	if o.damage = errors.Join(unreadable, o.store.check(o.newest.index, o.newest.term)); errors.Is(o.damage, ErrWrongKeys) {
		return nil, o.damage
	}
	return o, nil
}

// Region is the region whose directory this is.
func (o *Offline) Region() string { return o.info.Region }

// NodeID is the node whose directory this is.
func (o *Offline) NodeID() string { return o.info.Node }

// Damage is why a node would refuse to start from this directory, or nil.
func (o *Offline) Damage() error { return o.damage }

// Snapshot opens the newest snapshot: what the state machine wrote, and the
// index of the last entry that it holds. ok is false when there is none that is
// whole; when there are some, Damage says what is wrong with them.
func (o *Offline) Snapshot() (index uint64, rc io.ReadCloser, ok bool) {
	if o.newest.id == "" {
		return 0, nil, false
	}
	meta, rc, err := o.snaps.Open(o.newest.id)
	if err != nil {
		o.damage = errors.Join(o.damage, fmt.Errorf("%w: snapshot %s: %w", ErrLogDamaged, o.newest.id, err))
		return 0, nil, false
	}
	return meta.Index, rc, true
}

// Entries calls fn for every command in the log from index from on, in order;
// entries that raft wrote for itself are left out. Those behind the region's
// commit index may be among them: the directory of one node does not tell what
// a majority has. An entry that does not open ends it with an error that wraps
// ErrLogDamaged; fn's error is returned as it is.
func (o *Offline) Entries(from uint64, fn func(index, term uint64, data []byte) error) error {
	first, err := o.store.FirstIndex()
	if err != nil {
		return fmt.Errorf("raftnode: %w", err)
	}
	last, err := o.LastIndex()
	if err != nil || first == 0 {
		return err
	}
	for i := max(first, from); i <= last; i++ {
		var l raft.Log // fn may keep the data
		if err := o.store.GetLog(i, &l); err != nil {
			return fmt.Errorf("%w: %w", ErrLogDamaged, err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		if err := fn(i, l.Term, l.Data); err != nil {
			return err
		}
	}
	return nil
}

// SnapshotIndex is the last entry that the newest whole snapshot holds; 0 when
// there is none.
func (o *Offline) SnapshotIndex() uint64 { return o.newest.index }

// FirstIndex is the first entry that At knows of: the log's first, or the
// snapshot's last where the log does not lead to it; 0 when there is nothing.
func (o *Offline) FirstIndex() (uint64, error) {
	first, err := o.store.FirstIndex()
	if err != nil {
		return 0, fmt.Errorf("raftnode: %w", err)
	}
	if _, ok, err := o.At(first); err != nil || ok {
		return first, err
	}
	return o.newest.index, nil
}

// LastIndex is the last entry in the log; 0 when it is empty.
func (o *Offline) LastIndex() (uint64, error) {
	last, err := o.store.LastIndex()
	if err != nil {
		return 0, fmt.Errorf("raftnode: %w", err)
	}
	return last, nil
}

// LogEntry says what lies at an index of the log.
type LogEntry struct {
	Term    uint64
	Command bool // false: raft wrote it for itself
}

// At tells what this node holds at index; ok is false when its log does not hold
// the entry, which for one below SnapshotIndex means that only the snapshot does.
// At SnapshotIndex the term is always known; the entry counts as a command unless
// the log says otherwise.
func (o *Offline) At(index uint64) (e LogEntry, ok bool, err error) {
	e, ok, err = o.get(index)
	if err != nil || index > o.newest.index {
		return e, ok, err
	}
	// Entries that the snapshot covers may be left over from a log that it took
	// the place of. They are its own if the log leads to where the snapshot ends.
	end, held, err := o.get(o.newest.index)
	switch {
	case err != nil:
		return LogEntry{}, false, err
	case held && end.Term == o.newest.term:
		return e, ok, nil
	case index == o.newest.index && index != 0:
		return LogEntry{Term: o.newest.term, Command: true}, true, nil
	}
	return LogEntry{}, false, nil
}

func (o *Offline) get(index uint64) (LogEntry, bool, error) {
	var l raft.Log
	err := o.store.GetLog(index, &l)
	if errors.Is(err, raft.ErrLogNotFound) {
		return LogEntry{}, false, nil
	}
	if err != nil {
		return LogEntry{}, false, fmt.Errorf("%w: %w", ErrLogDamaged, err)
	}
	return LogEntry{Term: l.Term, Command: l.Type == raft.LogCommand}, true, nil
}

// Close releases the directory.
func (o *Offline) Close() error {
	var errs []error
	if o.store != nil {
		errs = append(errs, o.store.Close())
	}
	if o.lock != nil {
		errs = append(errs, o.lock.Close())
	}
	o.store, o.lock = nil, nil
	return errors.Join(errs...)
}
