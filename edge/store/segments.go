package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"

	"meridian/internal/canon"
	"meridian/internal/verify"
	"meridian/replication/disk"
	"meridian/replication/seal"
)

// ErrSegments is wrapped by every error about segments on disk.
var ErrSegments = errors.New("ledger segments")

// ErrDamaged is wrapped by the errors that say what lies in the segments is not what
// this node wrote: its content, never that the disk did not give it.
var ErrDamaged = errors.New("damaged or altered")

const (
	segmentMagic  = "MSEG\x01"
	segmentSuffix = ".seg"
	frameHeader   = 4 + 4 + 8 + 4 // length, CRC, first seq, count
	frameEntries  = 4096          // most entries in a frame
	frameBytes    = 1 << 20       // of entries in a frame, or what a file may have if that is less; one entry always fits
	maxFrame      = 64 << 20      // a length above it is damage
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segments are append-only files of sealed frames of entries, keyed by (epoch, seq)
// and dense by seq: what is appended is of the newest epoch, those of ended ones stay
// in folders of their own (see epochs.go). They are synced before raft may drop the
// log entries that made them; until then a torn tail is written again by replay.
//
// What lies in a frame never changes, so it is read without the lock: a reader
// copies where the frames are and keeps their files by a pin.
type segments struct {
	root    string // of all epochs
	epoch   uint64 // the newest, and what follows is of it
	dir     string
	ring    *seal.Ring
	disk    *disk.Layer // nil when only read
	maxSize int64

	mu     sync.Mutex
	files  []*segment // each with one frame at least
	cur    *segment   // what out writes to; among files once it has a frame
	out    *os.File
	dirty  bool
	next   uint64 // seq of the next entry
	pins   int    // readers that keep files from being trimmed
	resets uint64 // how often the files were taken from their readers
	gone   bool   // the files are another's
	ended  map[uint64]*segments
}

type segment struct {
	path   string
	size   int64
	frames []frame
}

type frame struct {
	first  uint64
	count  uint32
	key    uint32 // that sealed it
	offset int64
	length uint32
}

func (f frame) last() uint64 { return f.first + uint64(f.count) - 1 }

// frameAAD binds a frame to its place: one of another epoch cannot be put there.
func frameAAD(epoch, first uint64) []byte {
	aad := []byte("ledger-segment/")
	if epoch > 1 {
		aad = binary.BigEndian.AppendUint64(append(aad, "epoch/"...), epoch)
	}
	return binary.BigEndian.AppendUint64(aad, first)
}

func damaged(path string, err error) error {
	return fmt.Errorf("%w: %s: %w: %w: in a region of several nodes remove this node's directory and let it join again, so that it gets the entries from its peers; "+
		"the directory of a region's only node must be kept: put the file back from a copy", ErrSegments, path, ErrDamaged, err)
}

// append writes entries, dense by (epoch, seq); those that are on disk already
// (replay) are compared and passed over.
func (s *segments) append(entries []verify.RawEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].Epoch == entries[0].Epoch {
			n++
		}
		if err := s.appendOf(entries[0].Epoch, entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// appendOf is append of entries of one epoch. The lock is held.
func (s *segments) appendOf(epoch uint64, entries []verify.RawEntry) error {
	if epoch = max(epoch, 1); epoch < s.epoch {
		return s.compareEnded(epoch, entries)
	}
	if err := s.begin(epoch); err != nil {
		return err
	}
	if len(entries) > 0 && entries[0].Seq < s.next {
		known := min(uint64(len(entries)), s.next-entries[0].Seq)
		if err := s.compare(entries[:known]); err != nil {
			return err
		}
		entries = entries[known:]
	}
	if len(entries) > 0 && entries[0].Seq != s.next {
		return fmt.Errorf("%w: entry %d does not follow %d", ErrSegments, entries[0].Seq, s.next-1)
	}
	for len(entries) > 0 {
		n := fitFrame(entries, min(frameBytes, int(s.maxSize)))
		if err := s.write(entries[:n]); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

// fitFrame is how many of the entries the next frame takes.
func fitFrame(entries []verify.RawEntry, octets int) int {
	n, size := 0, 0
	for n < len(entries) && n < frameEntries {
		if size += len(entries[n].Raw); n > 0 && size > octets {
			break
		}
		n++
	}
	return n
}

// write puts the next frame on disk.
func (s *segments) write(entries []verify.RawEntry) error {
	var w canon.Writer
	for _, e := range entries {
		if len(e.Raw) > canon.MaxBytes {
			return fmt.Errorf("%w: entry %d has %d octets, at most %d can be read again", ErrSegments, e.Seq, len(e.Raw), canon.MaxBytes)
		}
		w.Bytes(e.Raw)
	}
	b := make([]byte, frameHeader, frameHeader+len(w.B)+seal.Overhead)
	b = s.ring.Seal(b, w.B, frameAAD(s.epoch, s.next))
	f := frame{length: uint32(len(b) - frameHeader), first: s.next, count: uint32(len(entries))}
	f.key, _ = seal.KeyID(b[frameHeader:])
	binary.BigEndian.PutUint32(b, f.length)
	binary.BigEndian.PutUint64(b[8:], f.first)
	binary.BigEndian.PutUint32(b[16:], f.count)
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	if err := s.openFor(f.first); err != nil {
		return err
	}
	f.offset = s.cur.size
	err := s.disk.Do(disk.Write, s.cur.path, func() error {
		_, err := s.out.WriteAt(b, f.offset)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: write entry %d: %w", ErrSegments, f.first, err)
	}
	s.cur.size += int64(len(b))
	s.cur.frames = append(s.cur.frames, f)
	if len(s.cur.frames) == 1 {
		s.files = append(s.files, s.cur)
	}
	s.next, s.dirty = f.last()+1, true
	return nil
}

// openFor makes sure that a file with room is open for appending.
func (s *segments) openFor(first uint64) error {
	if s.out != nil && s.cur.size < s.maxSize {
		return nil
	}
	if n := len(s.files); s.out == nil && n > 0 && s.files[n-1].size < s.maxSize {
		err := s.reading(s.files[n-1].path, func() (err error) {
			s.out, err = os.OpenFile(s.files[n-1].path, os.O_RDWR, 0o600)
			return err
		})
		if err != nil {
			s.out = nil
			return err
		}
		s.cur = s.files[n-1]
		return nil
	}
	if err := s.closeOut(); err != nil {
		return err
	}
	path := filepath.Join(s.dir, fmt.Sprintf("%020d%s", first, segmentSuffix))
	var f *os.File
	err := s.disk.Do(disk.Create, path, func() (err error) {
		if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return err
		}
		_, err = f.WriteString(segmentMagic)
		return err
	})
	if err == nil {
		err = s.disk.SyncDir(s.dir)
	}
	if err != nil {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
		return fmt.Errorf("%w: begin the file of entry %d: %w", ErrSegments, first, err)
	}
	s.out, s.cur = f, &segment{path: path, size: int64(len(segmentMagic))}
	return nil
}

func (s *segments) closeOut() error {
	if s.out == nil {
		return nil
	}
	err := errors.Join(s.disk.Do(disk.Sync, s.out.Name(), s.out.Sync), s.out.Close())
	s.out, s.cur, s.dirty = nil, nil, false
	return err
}

// abandon closes the files as they are: after a failure no sync of theirs would
// mean anything. Who opens them anew may take them from readers that go on.
func (s *segments) abandon() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	if s.out == nil {
		return nil
	}
	err := s.out.Close()
	s.out, s.cur = nil, nil
	return err
}

// sync makes everything that was appended before durable. Entries go on being
// appended meanwhile: the file is synced by a handle of its own, and without the
// lock.
func (s *segments) sync() error {
	s.mu.Lock()
	if err := s.disk.Err(); err != nil { // also when the failing sync left nothing to do
		s.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrSegments, err)
	}
	if !s.dirty || s.out == nil {
		s.mu.Unlock()
		return nil
	}
	path, upTo := s.out.Name(), s.next
	s.mu.Unlock()
	var f *os.File
	err := s.disk.Do(disk.Read, path, func() (err error) {
		if f, err = os.OpenFile(path, os.O_RDWR, 0); errors.Is(err, os.ErrNotExist) { // it was full, thus synced, and is acknowledged
			f, err = nil, nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSegments, err)
	}
	if f == nil {
		return nil
	}
	if err := errors.Join(s.disk.Do(disk.Sync, path, f.Sync), f.Close()); err != nil {
		return fmt.Errorf("%w: %w", ErrSegments, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == upTo {
		s.dirty = false
	}
	return nil
}

// reset drops everything and goes on after seq: a node that gets a snapshot has
// no use for what lies before it. Readers that are under way end with ErrTrimmed.
func (s *segments) reset(after uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.closeOut(); err != nil {
		return err
	}
	s.resets++
	names, err := filepath.Glob(filepath.Join(s.dir, "*"+segmentSuffix))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSegments, err)
	}
	for _, name := range names {
		if err := s.remove(name); err != nil {
			return err
		}
	}
	s.files, s.next = nil, after+1
	return s.disk.SyncDir(s.dir)
}

// trim removes files that hold only entries of the epoch up to acked. What a reader
// pins is left to the next acknowledgement.
func (s *segments) trim(epoch, acked uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch != s.epoch { // replayed
		return nil
	}
	for s.pins == 0 && len(s.files) > 1 && s.files[1].frames[0].first <= acked+1 {
		if err := s.remove(s.files[0].path); err != nil {
			return err
		}
		s.files = s.files[1:]
	}
	return nil
}

func (s *segments) remove(path string) error {
	if err := s.disk.Do(disk.Remove, path, func() error { return os.Remove(path) }); err != nil {
		return fmt.Errorf("%w: %w", ErrSegments, err)
	}
	return nil
}

func (s *segments) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeOut()
}
