package raftnode

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"

	"meridian/replication/disk"
)

// Engine is what keeps raft's log on disk.
type Engine string

// Engines. A directory keeps the one that it was begun with.
const (
	EngineWAL  Engine = "wal"    // segments, preallocated and synced: hashicorp/raft-wal
	EngineBolt Engine = "boltdb" // one database, a transaction each batch: hashicorp/raft-boltdb
)

// Valid tells whether there is such an engine.
func (e Engine) Valid() bool { return e == EngineWAL || e == EngineBolt }

// logEngine is a log on disk as raft uses it. It ends no goroutine and panics at
// nothing that it reads.
type logEngine interface {
	raft.LogStore
	raft.StableStore
	raft.MonotonicLogStore
	io.Closer
}

func openEngine(e Engine, path string, segmentBytes int, layer *disk.Layer, log *slog.Logger) (logEngine, error) {
	if e == EngineBolt {
		return openBolt(path, layer)
	}
	return openWAL(path, segmentBytes, layer, log)
}

func openWAL(path string, segmentBytes int, layer *disk.Layer, log *slog.Logger) (_ logEngine, err error) {
	if err := settleLog(path, layer); err != nil {
		return nil, err
	}
	files := newWALFiles(path, layer)
	if err := metaSound(files.meta.path); err != nil {
		return nil, logFault(path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, files.meta.Close())
		}
	}()
	if err := files.unsealTail(segmentBytes); err != nil {
		return nil, logFault(path, err)
	}
	w, err := wal.Open(path, wal.WithSegmentSize(segmentBytes), wal.WithLogger(newHCLog(log, "wal")),
		wal.WithSegmentFiler(files.filer), wal.WithMetaStore(files.meta))
	if err != nil {
		return nil, logFault(path, err)
	}
	return w, nil
}

// boltFile holds log, term and vote.
const boltFile = "raft.db"

// boltLog is raft-boltdb behind a disk.Layer: a transaction counts as one operation,
// since bbolt opens its file itself. bbolt keeps no checksums of its pages and panics
// when they do not fit together: that becomes an error, but for a panic in the
// goroutine in which it looks for free pages when it opens.
type boltLog struct {
	db   *raftboltdb.BoltStore
	disk *disk.Layer
	path string
}

func openBolt(dir string, layer *disk.Layer) (_ logEngine, err error) {
	b := &boltLog{disk: layer, path: filepath.Join(dir, boltFile)}
	if err := layer.Settle(b.path); err != nil {
		return nil, fmt.Errorf("raftnode: open log: %w", err)
	}
	if err := boltWhole(b.path); err != nil {
		return nil, logFault(dir, err)
	}
	err = b.sound(func() (err error) {
		b.db, err = raftboltdb.New(raftboltdb.Options{
			Path: b.path, BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
		})
		return err
	})
	if err != nil {
		return nil, logFault(dir, err)
	}
	if err := layer.SyncDir(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("raftnode: open log: %w", err), b.db.Close())
	}
	return b, nil
}

// sound makes an error of a panic of bbolt.
func (b *boltLog) sound(do func() error) error { return sound(b.path, do) }

// commit is a transaction that changes the file.
func (b *boltLog) commit(do func() error) error {
	return b.disk.Do(disk.Commit, b.path, func() error { return b.sound(do) })
}

// FirstIndex implements raft.LogStore.
func (b *boltLog) FirstIndex() (i uint64, err error) {
	err = b.sound(func() error { i, err = b.db.FirstIndex(); return err })
	return i, err
}

// LastIndex implements raft.LogStore.
func (b *boltLog) LastIndex() (i uint64, err error) {
	err = b.sound(func() error { i, err = b.db.LastIndex(); return err })
	return i, err
}

// GetLog implements raft.LogStore.
func (b *boltLog) GetLog(index uint64, l *raft.Log) error {
	return b.sound(func() error { return b.db.GetLog(index, l) })
}

// StoreLog implements raft.LogStore.
func (b *boltLog) StoreLog(l *raft.Log) error { return b.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (b *boltLog) StoreLogs(logs []*raft.Log) error {
	return b.commit(func() error { return b.db.StoreLogs(logs) })
}

// DeleteRange implements raft.LogStore.
func (b *boltLog) DeleteRange(low, high uint64) error {
	return b.commit(func() error { return b.db.DeleteRange(low, high) })
}

// IsMonotonic implements raft.MonotonicLogStore: gaps are allowed.
func (b *boltLog) IsMonotonic() bool { return false }

// Set implements raft.StableStore.
func (b *boltLog) Set(key, val []byte) error {
	return b.commit(func() error { return b.db.Set(key, val) })
}

// Get implements raft.StableStore; a key that is not there has no value.
func (b *boltLog) Get(key []byte) (val []byte, err error) {
	err = b.sound(func() error { val, err = b.db.Get(key); return err })
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, nil
	}
	return val, err
}

// SetUint64 implements raft.StableStore.
func (b *boltLog) SetUint64(key []byte, val uint64) error {
	return b.commit(func() error { return b.db.SetUint64(key, val) })
}

// GetUint64 implements raft.StableStore; a key that is not there is 0.
func (b *boltLog) GetUint64(key []byte) (val uint64, err error) {
	err = b.sound(func() error { val, err = b.db.GetUint64(key); return err })
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return 0, nil
	}
	return val, err
}

// Close implements io.Closer.
func (b *boltLog) Close() error { return b.db.Close() }
