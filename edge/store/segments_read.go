package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"sort"
	"strings"

	"meridian/internal/canon"
	"meridian/internal/journal"
	"meridian/internal/verify"
	"meridian/replication/disk"
)

// span is where entries lie: frames of one file, as they were when it was taken.
type span struct {
	epoch  uint64
	path   string
	frames []frame
}

// spans are where the entries from seq on lie. The lock is held.
func (s *segments) spans(seq uint64) []span {
	i := sort.Search(len(s.files), func(i int) bool {
		fr := s.files[i].frames
		return fr[len(fr)-1].last() >= seq
	})
	out := make([]span, 0, len(s.files)-i)
	for _, f := range s.files[i:] {
		out = append(out, span{epoch: s.epoch, path: f.path, frames: slices.Clip(f.frames)})
	}
	return out
}

// read calls fn with the entries of an epoch from seq on that are on disk when it
// begins, until fn returns false. ErrTrimmed: the first of them is gone. Nothing is
// locked meanwhile.
func (s *segments) read(epoch, from uint64, fn func(verify.RawEntry) (bool, error)) error {
	s.mu.Lock()
	if epoch = max(epoch, 1); epoch < s.epoch {
		before, err := s.endedEpoch(epoch)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		return before.read(epoch, from, fn)
	}
	if epoch > s.epoch { // nothing of it is written yet
		s.mu.Unlock()
		return nil
	}
	if first := s.first(); from < first {
		s.mu.Unlock()
		return fmt.Errorf("%w: %d was asked for, %d is the first", ErrTrimmed, from, first)
	}
	spans, resets := s.spans(from), s.resets
	s.pins++
	s.mu.Unlock()
	defer s.unpin()
	err := s.walk(spans, from, fn)
	if errors.Is(err, ErrDamaged) && s.resetSince(resets) {
		return fmt.Errorf("%w: the files were taken from under what was being read: %s", ErrTrimmed, err) // not damage
	}
	return err
}

func (s *segments) resetSince(resets uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone || s.resets != resets
}

// pin keeps files from being trimmed until the returned function is called.
func (s *segments) pin() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins++
	return s.unpin
}

func (s *segments) unpin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins--
}

// bounds returns the first seq on disk and the last; last < first when empty.
func (s *segments) bounds() (first, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first(), s.next - 1
}

func (s *segments) first() uint64 {
	if len(s.files) == 0 {
		return s.next
	}
	return s.files[0].frames[0].first
}

// compare holds replayed entries against what is on disk. Those that were
// trimmed are acknowledged and cannot be compared. The lock is held.
func (s *segments) compare(entries []verify.RawEntry) error {
	first, last := entries[0].Seq, entries[len(entries)-1].Seq
	from := max(first, s.first())
	for _, sp := range s.spans(from) {
		more, err := s.walkSpan(sp, from, func(e verify.RawEntry) (bool, error) {
			if e.Seq > last {
				return false, nil
			}
			if want := entries[e.Seq-first].Raw; !bytes.Equal(e.Raw, want) {
				return false, damaged(sp.path, fmt.Errorf("entry %d is not what the log makes: %s", e.Seq, difference(e.Raw, want)))
			}
			return true, nil
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// reading does what reads a file. That the file is gone or too short is damage; every
// other failure is the disk's, which is opened anew, and says nothing of the entries.
func (s *segments) reading(path string, do func() error) error {
	var lacks error
	read := func() error {
		err := do()
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, io.EOF) {
			lacks, err = err, nil
		}
		return err
	}
	err := error(nil)
	if s.disk == nil { // a stopped node's directory
		err = read()
	} else {
		err = s.disk.Do(disk.Read, path, read)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrSegments, err)
	case lacks != nil:
		return damaged(path, lacks)
	}
	return nil
}

// difference names the fields in which an entry on disk differs from the one that
// the log makes.
func difference(onDisk, made []byte) string {
	a, err := journal.DecodeEntry(onDisk)
	if err != nil {
		return err.Error()
	}
	b, err := journal.DecodeEntry(made)
	if err != nil {
		return err.Error()
	}
	var out []string
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		name := x.Type().Field(i).Name
		switch p, q := x.Field(i).Interface(), y.Field(i).Interface(); {
		case reflect.DeepEqual(p, q):
		case x.Field(i).Kind() == reflect.Pointer:
			out = append(out, "its "+name+" differs")
		default:
			out = append(out, fmt.Sprintf("%s is %v instead of %v", name, p, q))
		}
	}
	return strings.Join(out, ", ")
}

// walk calls fn with the entries from seq on, until it returns false.
func (s *segments) walk(spans []span, from uint64, fn func(verify.RawEntry) (bool, error)) error {
	for _, sp := range spans {
		more, err := s.walkSpan(sp, from, fn)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *segments) walkSpan(sp span, from uint64, fn func(verify.RawEntry) (bool, error)) (bool, error) {
	var file *os.File
	err := s.reading(sp.path, func() (err error) {
		file, err = os.Open(sp.path)
		return err
	})
	if err != nil {
		return false, err
	}
	defer file.Close()
	j := sort.Search(len(sp.frames), func(j int) bool { return sp.frames[j].last() >= from })
	for _, f := range sp.frames[j:] {
		b := make([]byte, f.length)
		err := s.reading(sp.path, func() error {
			_, err := file.ReadAt(b, f.offset+frameHeader)
			return err
		})
		if err != nil {
			return false, err
		}
		plain, err := s.ring.Open(nil, b, frameAAD(sp.epoch, f.first))
		if err != nil {
			return false, damaged(sp.path, fmt.Errorf("entries %d to %d: %w", f.first, f.last(), err))
		}
		r := canon.NewReader(plain)
		for seq := f.first; seq <= f.last(); seq++ {
			raw := r.Bytes()
			if r.Err() != nil {
				return false, damaged(sp.path, r.Err())
			}
			if seq < from {
				continue
			}
			more, err := fn(verify.RawEntry{Epoch: sp.epoch, Seq: seq, Raw: raw})
			if err != nil || !more {
				return false, err
			}
		}
		if err := r.Close(); err != nil {
			return false, damaged(sp.path, err)
		}
	}
	return true, nil
}
