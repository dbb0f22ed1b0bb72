package raftnode

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"meridian/replication/disk"
)

// walFiles are the write-ahead log's files and metadata behind a disk.Layer.
type walFiles struct {
	filer *segment.Filer
	meta  *walMeta
	dir   string
}

func newWALFiles(dir string, layer *disk.Layer) *walFiles {
	return &walFiles{
		filer: segment.NewFiler(dir, &walFS{FS: fs.New(), disk: layer}),
		meta:  &walMeta{disk: layer, path: filepath.Join(dir, metadb.FileName)},
		dir:   dir,
	}
}

// settleLog makes durable what the log shows: an entry that this member is found
// to have counts as stored, here and at the leader.
func settleLog(dir string, layer *disk.Layer) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		return fmt.Errorf("raftnode: %w", err)
	}
	slices.Sort(names)
	// Files before the last were synced as a whole when the next was begun, and
	// that one may be empty still.
	names = append(names[max(0, len(names)-2):], filepath.Join(dir, metadb.FileName))
	for _, name := range names {
		if err := layer.Settle(name); err != nil {
			return fmt.Errorf("raftnode: open log: %w", err)
		}
	}
	return layer.SyncDir(dir)
}

// unsealTail takes back the sealing of the last file. Its last write seals a file
// that is full; the next one is begun afterwards. If the process or the disk gives
// up in between, the write-ahead log opens the sealed file for appending and then
// refuses every append (raft-wal 0.4.2). So what is in it goes into a file of
// its own with room behind it.
func (w *walFiles) unsealTail(segmentBytes int) error {
	state, err := w.meta.Load(w.dir)
	if err != nil || len(state.Segments) == 0 {
		return err
	}
	tail := &state.Segments[len(state.Segments)-1]
	if !tail.SealTime.IsZero() {
		return nil
	}
	old, err := w.filer.RecoverTail(*tail)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	entries, err := sealedEntries(old, tail.BaseIndex)
	if err = errors.Join(err, old.Close()); err != nil || entries == nil {
		return err
	}
	next := *tail
	next.ID, next.CreateTime = state.NextSegmentID, time.Now()
	next.SizeLimit = tail.SizeLimit + uint32(segmentBytes)
	state.NextSegmentID++
	fresh, err := w.filer.Create(next)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		err = fresh.Append(entries)
	}
	if err = errors.Join(err, fresh.Close()); err != nil {
		return err
	}
	*tail = next
	return w.meta.CommitState(state) // the old file belongs to nothing now and is removed by wal.Open
}

// sealedEntries reads all entries of a file that is sealed; nil: it is not.
func sealedEntries(w types.SegmentWriter, base uint64) ([]types.LogEntry, error) {
	sealed, _, err := w.Sealed()
	if err != nil || !sealed {
		return nil, err
	}
	entries := []types.LogEntry{}
	for i := base; i <= w.LastIndex(); i++ {
		b, err := w.GetLog(i)
		if err != nil {
			return nil, err
		}
		entries = append(entries, types.LogEntry{Index: i, Data: slices.Clone(b.Bs)})
		if err := b.Close(); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// walFS is the write-ahead log's file system.
type walFS struct {
	*fs.FS
	disk *disk.Layer
}

// Create implements types.VFS. What a failed preallocation left behind is removed.
func (w *walFS) Create(dir, name string, size uint64) (f types.WritableFile, err error) {
	path := filepath.Join(dir, name)
	err = w.disk.Do(disk.Create, path, func() error {
		if f, err = w.FS.Create(dir, name, size); err != nil && !errors.Is(err, os.ErrExist) {
			os.Remove(path) // it holds nothing
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &walFile{WritableFile: f, path: path, disk: w.disk}, nil
}

// OpenWriter implements types.VFS.
func (w *walFS) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := w.FS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	return &walFile{WritableFile: f, path: filepath.Join(dir, name), disk: w.disk}, nil
}

// Delete implements types.VFS.
func (w *walFS) Delete(dir, name string) error {
	return w.disk.Do(disk.Remove, filepath.Join(dir, name), func() error { return w.FS.Delete(dir, name) })
}

type walFile struct {
	types.WritableFile
	path string
	disk *disk.Layer
}

// WriteAt implements io.WriterAt.
func (f *walFile) WriteAt(b []byte, at int64) (n int, err error) {
	err = f.disk.Do(disk.Write, f.path, func() error {
		n, err = f.WritableFile.WriteAt(b, at)
		return err
	})
	return n, err
}

// Sync implements types.WritableFile.
func (f *walFile) Sync() error { return f.disk.Do(disk.Sync, f.path, f.WritableFile.Sync) }

// walMeta is the write-ahead log's metadata and raft's term and vote.
type walMeta struct {
	metadb.BoltMetaDB
	disk *disk.Layer
	path string
}

// CommitState implements types.MetaStore.
func (m *walMeta) CommitState(s types.PersistentState) error {
	return m.disk.Do(disk.Commit, m.path, func() error { return m.BoltMetaDB.CommitState(s) })
}

// SetStable implements types.MetaStore.
func (m *walMeta) SetStable(key, value []byte) error {
	return m.disk.Do(disk.Commit, m.path, func() error { return m.BoltMetaDB.SetStable(key, value) })
}

var _ types.MetaStore = (*walMeta)(nil)
