package raftnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Term and vote lie in a small database without checksums of its own. A member whose
// term or vote rots could vote twice in a term, so each value is kept with a checksum
// over its name and itself.

// stablePrefix begins the names under which checked values are kept. Directories of
// before have them without: they are read until the value is written again.
const stablePrefix = "checked/"

func stableName(key []byte) []byte { return append([]byte(stablePrefix), key...) }

func stableSum(key, val []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, val)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// setStable keeps a value with its checksum.
func (s *store) setStable(key, val []byte) error {
	return s.logEngine.Set(stableName(key), binary.BigEndian.AppendUint32(append([]byte{}, val...), stableSum(key, val)))
}

// getStable reads what setStable kept; nil: nothing was.
func (s *store) getStable(key []byte) ([]byte, error) {
	b, err := s.logEngine.Get(stableName(key))
	if err != nil || len(b) == 0 {
		return nil, err
	}
	if len(b) < 4 || stableSum(key, b[:len(b)-4]) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, fmt.Errorf("%w: %s does not match its checksum; %s", ErrLogDamaged, key, remedy)
	}
	return b[:len(b)-4], nil
}

// Set implements raft.StableStore.
func (s *store) Set(key, val []byte) error { return s.setStable(key, val) }

// Get implements raft.StableStore.
func (s *store) Get(key []byte) ([]byte, error) {
	if b, err := s.getStable(key); err != nil || b != nil {
		return b, err
	}
	return s.logEngine.Get(key)
}

// GetUint64 implements raft.StableStore.
func (s *store) GetUint64(key []byte) (uint64, error) {
	b, err := s.getStable(key)
	switch {
	case err != nil:
		return 0, err
	case b == nil:
		return s.logEngine.GetUint64(key)
	case len(b) != 8:
		return 0, fmt.Errorf("%w: %s has %d octets; %s", ErrLogDamaged, key, len(b), remedy)
	}
	return binary.BigEndian.Uint64(b), nil
}

// checkStable refuses a term or a vote that rotted, or that is of a time before the
// log: the member had been in the term of what it holds.
func (s *store) checkStable(inTerm uint64) error {
	term, err := s.GetUint64(keyCurrentTerm)
	if err == nil {
		_, err = s.GetUint64([]byte("LastVoteTerm"))
	}
	if err == nil {
		_, err = s.Get([]byte("LastVoteCand"))
	}
	if errors.Is(err, ErrLogDamaged) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: term and vote: %w; %s", ErrLogDamaged, err, remedy)
	}
	if term < inTerm {
		return fmt.Errorf("%w: the stored term is %d, but what is stored was written in term %d; %s", ErrLogDamaged, term, inTerm, remedy)
	}
	return nil
}

// sound makes an error of a panic, or of a read behind the end of a mapped file, in
// what reads a database.
func sound(path string, do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: pages do not fit together: %v", path, p)
		}
	}()
	return do()
}

// metaSound opens a copy, in memory, of the write-ahead log's metadata and reads all
// of it. A panic of bbolt's would leave the file itself locked in this process.
func metaSound(path string) error {
	if err := boltWhole(path); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || len(data) == 0 && err == nil {
		return nil
	}
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("wal-meta", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), "wal-meta")
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	read := make(chan error, 1)
	go func() { read <- readAllOf(path, fd) }()
	select {
	case err := <-read:
		return err
	case <-time.After(metaLimit): // pages that lead back to themselves are read for ever
		return fmt.Errorf("%s: its pages were not read to an end within %s", path, metaLimit)
	}
}

// metaLimit is ample: the file has some dozens of kilobytes.
const metaLimit = 30 * time.Second

func readAllOf(path string, fd int) error {
	return sound(path, func() error {
		db, err := bbolt.Open(fmt.Sprintf("/proc/self/fd/%d", fd), 0o600, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		err = db.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
				return b.ForEach(func(_, _ []byte) error { return nil })
			})
		})
		return errors.Join(err, db.Close())
	})
}

// Where bbolt's meta pages have what boltWhole reads (go.etcd.io/bbolt, internal/common/meta.go).
const (
	boltMagic    = 0xED0CDAED
	boltPage     = 16 // a page's header
	boltMetaSize = 64
)

// boltWhole refuses a bbolt file that is shorter than its pages: the file is mapped,
// and reading behind its end would end the process. A missing or empty one is whole.
func boltWhole(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	pageSize := int64(os.Getpagesize())
	for at := int64(0); at <= pageSize; at += pageSize {
		b := make([]byte, boltMetaSize)
		if _, err := f.ReadAt(b, at+boltPage); errors.Is(err, io.EOF) {
			return fmt.Errorf("%s has %d octets: it is cut off", path, info.Size())
		} else if err != nil {
			return err
		}
		if binary.NativeEndian.Uint32(b) != boltMagic {
			continue // bbolt takes the other one, or refuses
		}
		if p := int64(binary.NativeEndian.Uint32(b[8:])); p >= 512 && p <= 1<<20 {
			pageSize = p
		}
		if pages := binary.NativeEndian.Uint64(b[40:]); pages > uint64(info.Size()/pageSize) {
			return fmt.Errorf("%s has %d octets, its %d pages have more: it is cut off", path, info.Size(), pages)
		}
	}
	return nil
}
