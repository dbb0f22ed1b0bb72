package raftnode

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"meridian/replication/disk"
)

const (
	snapshotDir  = "snapshots"
	unfinishedAs = ".tmp"

	snapshotState = "state.bin" // raft's name for the state in a snapshot's folder
)

// snapshots is raft's file store behind a disk.Layer. A snapshot that cannot be
// written loses nothing, for the log is kept until there is one; but what was
// written of it must go, or a full disk only gets fuller.
type snapshots struct {
	*raft.FileSnapshotStore
	dir  string
	disk *disk.Layer
}

func openSnapshots(dir string, retain int, layer *disk.Layer, log *slog.Logger) (*snapshots, error) {
	s := &snapshots{dir: filepath.Join(dir, snapshotDir), disk: layer}
	var err error
	if s.FileSnapshotStore, err = raft.NewFileSnapshotStoreWithLogger(dir, retain, newHCLog(log, "snapshot")); err != nil {
		return nil, fmt.Errorf("raftnode: snapshots in %s: %w", dir, err)
	}
	unfinished, err := filepath.Glob(filepath.Join(s.dir, "*"+unfinishedAs))
	if err != nil {
		return nil, fmt.Errorf("raftnode: %w", err)
	}
	for _, path := range unfinished {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("raftnode: remove an unfinished snapshot: %w", err)
		}
	}
	return s, nil
}

// Create implements raft.SnapshotStore.
func (s *snapshots) Create(v raft.SnapshotVersion, index, term uint64, c raft.Configuration, at uint64, t raft.Transport) (raft.SnapshotSink, error) {
	var sink raft.SnapshotSink
	err := s.disk.Try(disk.Create, s.dir, func() (err error) {
		sink, err = s.FileSnapshotStore.Create(v, index, term, c, at, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &snapshotSink{SnapshotSink: sink, path: filepath.Join(s.dir, sink.ID()+unfinishedAs), disk: s.disk}, nil
}

// syncEach is how many octets of a snapshot are synced together. Syncing hundreds
// of megabytes at the end would keep the log waiting behind them.
const syncEach = 8 << 20

type snapshotSink struct {
	raft.SnapshotSink
	path     string
	disk     *disk.Layer
	unsynced int
	closed   bool
}

// Write implements io.Writer.
func (s *snapshotSink) Write(b []byte) (n int, err error) {
	err = s.disk.Try(disk.Write, s.path, func() error {
		n, err = s.SnapshotSink.Write(b)
		return err
	})
	if s.unsynced += n; err != nil || s.unsynced < syncEach {
		return n, err
	}
	s.unsynced = 0
	return n, s.disk.Try(disk.Sync, s.path, s.sync)
}

// sync brings to the disk what was written so far; only Close makes it count.
func (s *snapshotSink) sync() error {
	f, err := os.OpenFile(filepath.Join(s.path, snapshotState), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close implements raft.SnapshotSink: the snapshot is synced and counts, or
// nothing of it is left.
func (s *snapshotSink) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.disk.Try(disk.Sync, s.path, s.SnapshotSink.Close); err != nil {
		// Cancel: the operation may not have come to closing the file.
		return errors.Join(err, s.SnapshotSink.Cancel(), os.RemoveAll(s.path))
	}
	return nil
}

// Cancel implements raft.SnapshotSink.
func (s *snapshotSink) Cancel() error {
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.SnapshotSink.Cancel() // closes the file; fails where the disk is full
	if gone := os.RemoveAll(s.path); gone != nil {
		return errors.Join(err, gone)
	}
	return nil
}
