package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"meridian/replication/raftnode"
	"meridian/replication/seal"
)

// Keys are the data keys of a node: which seals, which it holds, and the oldest that
// each part of its directory still needs (0: none). A key below Oldest may be removed
// from the key file.
type Keys struct {
	Sealing   uint32   `json:"sealing"`
	Held      []uint32 `json:"held"`
	Oldest    uint32   `json:"oldest_needed"`
	Log       uint32   `json:"log"`
	Snapshots uint32   `json:"snapshots"`
	Segments  uint32   `json:"segments"`
	Directory uint32   `json:"directory"` // node.json
	Sealed    uint64   `json:"sealed"`    // records, by the key that seals, since it began to or the node was started
}

// Keys looks at what lies on the disk.
func (s *Store) Keys() (Keys, error) {
	ring := s.cfg.Ring
	k := Keys{Sealing: ring.Sealing(), Held: ring.IDs(), Sealed: ring.Sealed()}
	r := s.live.Load()
	inRaft, err := r.raft.Keys()
	if err != nil {
		return k, err
	}
	k.Log, k.Directory = inRaft.Log, inRaft.Directory
	if k.Segments, err = r.adapter.segments.oldestKey(); err != nil {
		return k, err
	}
	if k.Snapshots, err = oldestSnapshotKey(s.cfg.Raft.Dir, nil); err != nil {
		return k, err
	}
	k.Oldest = k.Sealing
	for _, id := range []uint32{k.Log, k.Directory, k.Segments, k.Snapshots} {
		if id != 0 {
			k.Oldest = min(k.Oldest, id)
		}
	}
	return k, nil
}

// oldestSnapshotKey is the lowest key that the retained snapshots begin with: a later
// record of one is sealed by the same or a newer one. With a ring, one that it cannot
// open is refused by name.
func oldestSnapshotKey(dir string, ring *seal.Ring) (oldest uint32, err error) {
	err = raftnode.PeekSnapshots(dir, func(id string, begins io.Reader) error {
		b := make([]byte, len(snapshotMagic)+4+seal.Overhead)
		if _, err := io.ReadFull(begins, b); err != nil {
			return nil // damaged: raft takes the one before, or none
		}
		key, ok := seal.KeyID(b[len(snapshotMagic)+4:])
		if !ok {
			return nil
		}
		if ring != nil {
			if _, held := ring.Fingerprint(key); !held {
				return fmt.Errorf("%w: snapshot %s is sealed with key id %d, the ring holds %v; put that key back into the key file: "+
					"a key may go when the node's keys (meridian ctl edge keys) say that nothing needs it", raftnode.ErrWrongKeys, id, key, ring.IDs())
			}
		}
		if oldest == 0 || key < oldest {
			oldest = key
		}
		return nil
	})
	return oldest, err
}

// ErrKeyNeeded: a key that would go is still needed.
var ErrKeyNeeded = errors.New("edge/store: a data key is still needed")

// LearnKeys takes over what a key file holds now: its keys open, those that it lacks
// are forgotten, and what seals stays. Refused with ErrKeyNeeded when something on the
// disk needs a key that the file lacks, and with seal.ErrOtherKey when it has another
// key by a used id.
func (s *Store) LearnKeys(file *seal.Ring) error {
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	ids := file.IDs()
	k, err := s.Keys()
	if err != nil {
		return err
	}
	for _, need := range []struct {
		what string
		id   uint32
	}{{"what is written now", k.Sealing}, {"the log", k.Log}, {"a snapshot", k.Snapshots}, {"the ledger's segments", k.Segments}, {"node.json", k.Directory}} {
		if need.id != 0 && !slices.Contains(ids, need.id) {
			return fmt.Errorf("%w: %s needs key id %d, the key file holds %v; put it back, rotate first, and remove it when the node's keys say that nothing needs it",
				ErrKeyNeeded, need.what, need.id, ids)
		}
	}
	for _, id := range k.Held {
		if id > k.Oldest && id < k.Sealing && !slices.Contains(ids, id) {
			return fmt.Errorf("%w: key id %d lies between the oldest that is needed, %d, and the one that seals; put it back", ErrKeyNeeded, id, k.Oldest)
		}
	}
	if err := s.cfg.Ring.Learn(file); err != nil {
		return err
	}
	s.cfg.Ring.Keep(ids)
	return nil
}

// RotateKey seals with the newest key from here on, and has what older keys sealed
// sealed anew, in the background.
func (s *Store) RotateKey() (uint32, error) {
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	id := s.cfg.Ring.Newest()
	if err := s.cfg.Ring.SealWith(id); err != nil {
		return 0, err
	}
	select {
	case s.rekey <- struct{}{}:
	default: // it is asked for already
	}
	return id, nil
}

// resealEach is how long the next step of sealing anew waits: for entries and
// snapshots that come after what older keys sealed.
const resealEach = 10 * time.Second

// keepKeys brings what lies on the disk under the key that seals. A node that was
// restarted in the middle, or with a new key, goes on.
func (s *Store) keepKeys() {
	t := time.NewTicker(s.cfg.ResealEach)
	defer t.Stop()
	last := ""
	for {
		select {
		case <-t.C:
		case <-s.rekey:
		case <-s.diskCtx.Done():
			return
		}
		err := s.reseal(s.diskCtx)
		if err == nil || s.diskCtx.Err() != nil {
			last = ""
			continue
		}
		if err.Error() != last {
			last = err.Error()
			s.cfg.Logger.Error("data is not sealed anew yet: keep the old keys", "error", err)
		}
	}
}

// reseal does a step. A disk that has failed or is low has other cares.
func (s *Store) reseal(ctx context.Context) error {
	if s.cause.Load() != 0 {
		return nil
	}
	k, err := s.Keys()
	if err != nil || k.Oldest == k.Sealing {
		return err
	}
	r := s.live.Load()
	if err := r.adapter.segments.reseal(ctx); err != nil {
		return err
	}
	if err := r.raft.Reseal(ctx, k.Snapshots != 0 && k.Snapshots != k.Sealing); err != nil {
		return err
	}
	now, err := s.Keys()
	if err == nil && now.Oldest == now.Sealing {
		s.cfg.Logger.Info("all data is sealed by the new key: older ones may be removed from the key file", "key", now.Sealing, "before", k.Oldest)
	}
	return err
}

// holdsSnapshotKeys refuses, by name, snapshots that the ring cannot open: raft would
// only say that it cannot restore.
func (s *Store) holdsSnapshotKeys() error {
	_, err := oldestSnapshotKey(filepath.Clean(s.cfg.Raft.Dir), s.cfg.Ring)
	return err
}
