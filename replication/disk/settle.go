package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	probeFile  = "disk.probe"
	probeBytes = 64 << 10
	pieceBytes = 1 << 20
)

// Probe tells whether the disk takes a small write and a sync of a new file, and
// has more than the reserve free. It leaves nothing behind.
func (l *Layer) Probe() error {
	if err := l.Room(); err != nil {
		return err
	}
	path := filepath.Join(l.cfg.Dir, probeFile)
	return l.call(Sync, path, func() error {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(make([]byte, probeBytes))
		return errors.Join(err, f.Sync(), f.Close(), os.Remove(path))
	})
}

// Settle makes what a file shows durable. What a process wrote and did not sync,
// or failed to sync, is read back from the kernel's memory as if it were on disk,
// also by the next process; a sync alone does not help, since the kernel may hold
// pages that it failed to write to be clean. So everything is written once more,
// in place, and synced. A file that is missing is settled.
func (l *Layer) Settle(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("disk: settle: %w", err)
	}
	err = l.Do(Write, path, func() error { return rewrite(f) })
	if err == nil {
		err = l.Do(Sync, path, f.Sync)
	}
	return errors.Join(err, f.Close())
}

// rewrite writes what is in a file, but for its holes, over itself.
func rewrite(f *os.File) error {
	b := make([]byte, pieceBytes)
	for at := int64(0); ; {
		data, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // nothing but a hole
			return nil
		}
		if err != nil {
			return err
		}
		hole, err := unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		for at = data; at < hole; {
			n, err := f.ReadAt(b[:min(hole-at, pieceBytes)], at)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if n == 0 {
				return nil
			}
			if _, err := f.WriteAt(b[:n], at); err != nil {
				return err
			}
			at += int64(n)
		}
	}
}

// Replace puts a small file in its place as a whole, durably: after a crash or a
// failure there is the old one or the new one.
func (l *Layer) Replace(path string, data []byte) error {
	next := path + ".new"
	var f *os.File
	err := l.Do(Create, next, func() (err error) {
		f, err = os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	err = l.Do(Write, next, func() error {
		_, err := f.Write(data)
		return err
	})
	if err == nil {
		err = l.Do(Sync, next, f.Sync)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = l.Do(Rename, path, func() error { return os.Rename(next, path) })
	}
	if err == nil {
		return l.SyncDir(filepath.Dir(path))
	}
	if gone := os.Remove(next); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		return errors.Join(err, gone)
	}
	return err
}

// SyncDir makes a directory's entries durable.
func (l *Layer) SyncDir(dir string) error {
	return l.Do(Sync, dir, func() error { return syncDir(dir) })
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
