package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"github.com/hashicorp/raft"

	"meridian/replication/seal"
)

// resealTrailing is how many entries stay behind a snapshot that is taken so that
// older ones, sealed with an older key, can go. A follower that lags further gets the
// snapshot.
const resealTrailing = 64

// Keys are the oldest keys that the directory still needs, 0 where nothing is sealed.
type Keys struct {
	Log, Directory uint32
}

// Keys looks at the directory.
func (n *Node) Keys() (k Keys, err error) {
	if k.Log, err = n.store.oldestKey(); err != nil {
		return k, err
	}
	info, err := readInfo(n.cfg.Dir, n.cfg.Ring)
	if err != nil {
		return k, err
	}
	k.Directory, _ = seal.KeyID(info.Check)
	return k, nil
}

// keyAt is the key of an entry; 0 when the log does not hold it.
func (s *store) keyAt(index uint64) (uint32, error) {
	var l raft.Log
	if err := s.logEngine.GetLog(index, &l); errors.Is(err, raft.ErrLogNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("raftnode: key of log entry %d: %w", index, err)
	}
	id, _ := seal.KeyID(l.Data)
	return id, nil
}

// oldestKey is the key of the log's first entry: keys only get newer along it.
func (s *store) oldestKey() (uint32, error) {
	first, err := s.FirstIndex()
	if err != nil || first == 0 {
		return 0, err
	}
	return s.keyAt(first)
}

// holdsKeys refuses a log whose oldest entries the ring cannot open: followers that
// lag would ask for them.
func (s *store) holdsKeys() error {
	id, err := s.oldestKey()
	if err != nil || id == 0 {
		return err
	}
	if _, held := s.ring.Fingerprint(id); !held {
		return fmt.Errorf("%w: the log's first entries are sealed with key id %d, the ring holds %v; put that key back into the key file: "+
			"a key may go when the node's keys (meridian ctl edge keys) say that nothing needs it", ErrWrongKeys, id, s.ring.IDs())
	}
	return nil
}

// resealedFrom is the first entry of the log that the sealing key sealed; one behind
// the last when there is none.
func (s *store) resealedFrom() (uint64, error) {
	first, err := s.FirstIndex()
	if err != nil {
		return 0, err
	}
	last, err := s.LastIndex()
	if err != nil || first == 0 {
		return last + 1, err
	}
	sealing := s.ring.Sealing()
	i := sort.Search(int(last-first+1), func(i int) bool {
		id, fault := s.keyAt(first + uint64(i))
		err = errors.Join(err, fault)
		return id == sealing
	})
	return first + uint64(i), err
}

// Reseal does one step to bring what lies in the directory under the key that seals:
// node.json, and the log by a snapshot behind which few entries stay. needed asks for
// a snapshot for the snapshots' own sake. What was sealed before goes when entries and
// snapshots enough have come after it: call it again until Keys names no older key.
func (n *Node) Reseal(ctx context.Context, needed bool) error {
	own := nodeInfo{Format: dirFormat, Cluster: n.cfg.Cluster, Region: n.cfg.Region, Node: n.cfg.NodeID, Log: logName(n.cfg.Log)}
	if err := claimDir(n.cfg.Dir, own, n.cfg.Ring, n.cfg.Disk); err != nil {
		return err
	}
	from, err := n.store.resealedFrom()
	if err != nil {
		return err
	}
	first, err := n.store.FirstIndex()
	if err != nil {
		return err
	}
	if old := first != 0 && from > first; !needed && (!old || n.LastIndex() < from+resealTrailing) {
		return nil
	}
	kept := n.raft.ReloadableConfig()
	few := kept
	few.TrailingLogs = resealTrailing
	if err := n.raft.ReloadConfig(few); err != nil {
		return fmt.Errorf("raftnode: reseal: %w", err)
	}
	err = n.Snapshot(ctx)
	return errors.Join(err, n.raft.ReloadConfig(kept))
}

// PeekSnapshots calls fn with the beginning of what the state machine wrote into each
// snapshot in a directory. It checks nothing.
func PeekSnapshots(dir string, fn func(id string, begins io.Reader) error) error {
	paths, err := filepath.Glob(filepath.Join(dir, snapshotDir, "*", snapshotState))
	if err != nil {
		return fmt.Errorf("raftnode: %w", err)
	}
	for _, path := range paths {
		id := filepath.Base(filepath.Dir(path))
		if filepath.Ext(id) == unfinishedAs {
			continue
		}
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it was replaced by a newer one
		}
		if err != nil {
			return fmt.Errorf("raftnode: %w", err)
		}
		if err := errors.Join(fn(id, f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
