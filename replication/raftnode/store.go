package raftnode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"

	"meridian/replication/disk"
	"meridian/replication/seal"
)

const (
	// logAdditional prefixes what binds a sealed entry to its place.
	logAdditional = "raftlog/1"
	markFile      = "end.mark"

	remedy = "empty this node's directory, remove it from the region and let it join anew; " +
		"if it is the only node, restore the directory from a copy"
)

// store is the log on disk: an engine's log whose entries are sealed, each
// bound to its index, term and type, and the mark of its end. It implements
// raft.LogStore, raft.StableStore and raft.MonotonicLogStore.
type store struct {
	logEngine // the stable store, FirstIndex, LastIndex, IsMonotonic
	ring      *seal.Ring
	mark      *mark
	disk      *disk.Layer
	termed    atomic.Bool // a term was stored
	counters  *counters
}

// counters are shared by the parts of a node; see Stats.
type counters struct {
	entriesStored, bytesStored, openFailures atomic.Uint64
	peersRefused, acceptsDropped             atomic.Uint64
}

func openStore(dir string, engine Engine, segmentBytes int, ring *seal.Ring, layer *disk.Layer, log *slog.Logger, c *counters) (_ *store, err error) {
	path := filepath.Join(dir, logDir)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("raftnode: %w", err)
	}
	m, err := openMark(filepath.Join(path, markFile), layer)
	if err != nil {
		return nil, err
	}
	e, err := openEngine(engine, path, segmentBytes, layer, log)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	s := &store{logEngine: e, ring: ring, mark: m, disk: layer, counters: c}
	var term uint64
	if err := sound(path, func() (err error) { term, err = s.GetUint64(keyCurrentTerm); return err }); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: term in %s: %w; %s", ErrLogDamaged, path, err, remedy), s.Close())
	}
	s.termed.Store(term > 0)
	return s, nil
}

// logFault tells a log that cannot be read from a disk that does not work.
func logFault(path string, err error) error {
	var fault *disk.Error
	if errors.As(err, &fault) {
		return fmt.Errorf("raftnode: open log: %w", err)
	}
	return fmt.Errorf("%w: %s: %w; %s", ErrLogDamaged, path, err, remedy)
}

// check refuses a log that lost entries it had stored, or whose entries do not
// open, and a term or vote that rotted. Entries up to snapshotIndex, of inTerm, are not
// needed to start and not read. It runs before raft does, which would panic.
func (s *store) check(snapshotIndex, inTerm uint64) error {
	first, err := s.FirstIndex()
	if err != nil {
		return fmt.Errorf("raftnode: %w", err)
	}
	last, err := s.LastIndex()
	if err != nil {
		return fmt.Errorf("raftnode: %w", err)
	}
	marked, err := s.mark.read()
	if err != nil {
		return err
	}
	if marked > max(last, snapshotIndex) {
		return fmt.Errorf("%w: the log ends at %d, but entries up to %d had been stored; %s", ErrLogDamaged, last, marked, remedy)
	}
	if last == 0 {
		return s.checkStable(inTerm)
	}
	if err := s.holdsKeys(); err != nil {
		return err
	}
	if first > snapshotIndex+1 {
		return fmt.Errorf("%w: the log starts at %d, the newest snapshot ends at %d; entries between are missing; %s",
			ErrLogDamaged, first, snapshotIndex, remedy)
	}
	var l raft.Log
	for i := max(first, snapshotIndex+1); i <= last; i++ {
		if err := s.GetLog(i, &l); err != nil {
			if errors.Is(err, seal.ErrUnknownKey) {
				return fmt.Errorf("%w: %w", ErrWrongKeys, err)
			}
			return fmt.Errorf("%w: %w; %s", ErrLogDamaged, err, remedy)
		}
		inTerm = max(inTerm, l.Term)
	}
	return s.checkStable(inTerm)
}

// GetLog implements raft.LogStore.
func (s *store) GetLog(index uint64, l *raft.Log) error {
	if err := s.logEngine.GetLog(index, l); err != nil {
		return err // raft compares with its own sentinel
	}
	plain, err := s.ring.Open(nil, l.Data, entryAdditional(index, l.Term, l.Type))
	if err == nil && l.Index != index {
		err = fmt.Errorf("%w: the log holds index %d at the place of %d", seal.ErrCorrupt, l.Index, index)
	}
	if err != nil {
		s.counters.openFailures.Add(1)
		return fmt.Errorf("raftnode: log entry %d, term %d: %w", index, l.Term, err)
	}
	l.Data = plain
	return nil
}

// StoreLog implements raft.LogStore.
func (s *store) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore. It returns after the entries are synced.
func (s *store) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	if err := s.disk.Room(); err != nil {
		return fmt.Errorf("raftnode: store entries from %d: %w", logs[0].Index, err)
	}
	sealed := make([]*raft.Log, len(logs))
	size := 0
	for i, l := range logs {
		c := *l // the caller, and the cache above us, keep the clear text
		c.Data = s.ring.Seal(nil, l.Data, entryAdditional(l.Index, l.Term, l.Type))
		sealed[i] = &c
		size += len(c.Data)
	}
	if err := s.logEngine.StoreLogs(sealed); err != nil {
		err = s.broken(err)
		return fmt.Errorf("raftnode: store entries %d to %d: %w", logs[0].Index, logs[len(logs)-1].Index, err)
	}
	s.counters.entriesStored.Add(uint64(len(logs)))
	s.counters.bytesStored.Add(uint64(size))
	return s.mark.write(logs[len(logs)-1].Index)
}

// DeleteRange implements raft.LogStore: the range is a prefix, a suffix, or all.
func (s *store) DeleteRange(low, high uint64) error {
	first, err := s.FirstIndex()
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err != nil {
		return err
	}
	if low <= last && high >= last {
		keep := uint64(0)
		if low > first {
			keep = low - 1
		}
		if err := s.mark.writeSync(keep); err != nil {
			return err
		}
	}
	if err := s.logEngine.DeleteRange(low, high); err != nil {
		err = s.broken(err)
		return fmt.Errorf("raftnode: delete entries %d to %d: %w", low, high, err)
	}
	return nil
}

// broken makes any failure of the log final: the write-ahead log itself does not
// know what it has on disk after one (a failed rotation is only logged there and
// shows as another error later).
func (s *store) broken(err error) error {
	var fault *disk.Error
	if errors.As(err, &fault) || errors.Is(err, wal.ErrClosed) || errors.Is(err, bbolt.ErrDatabaseNotOpen) {
		return err
	}
	return s.disk.Do(disk.Write, s.mark.f.Name(), func() error { return err })
}

// keyCurrentTerm is raft's name for its term in the stable store.
var keyCurrentTerm = []byte("CurrentTerm")

// SetUint64 implements raft.StableStore. Raft panics when it cannot store its
// term. The process has other work, and it is the owner that opens the member
// anew when the disk works, so only raft's goroutine ends here; what it had to
// answer, it answers with a refusal. A first term is set by Bootstrap, which
// takes an error.
func (s *store) SetUint64(key []byte, val uint64) error {
	err := s.setStable(key, binary.BigEndian.AppendUint64(nil, val))
	if !bytes.Equal(key, keyCurrentTerm) {
		return err
	}
	if err != nil && s.termed.Load() {
		runtime.Goexit()
	}
	s.termed.Store(s.termed.Load() || err == nil)
	return err
}

// Close closes the log and its mark.
func (s *store) Close() error { return errors.Join(s.logEngine.Close(), s.mark.close()) }

func entryAdditional(index, term uint64, kind raft.LogType) []byte {
	b := make([]byte, 0, len(logAdditional)+17)
	b = append(b, logAdditional...)
	b = binary.BigEndian.AppendUint64(b, index)
	b = binary.BigEndian.AppendUint64(b, term)
	return append(b, byte(kind))
}
