package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"meridian/replication/disk"
	"meridian/replication/raftnode"
)

// resealSuffix marks a file that is being sealed anew; one that a crash left is
// removed at the next opening.
const resealSuffix = ".reseal"

// epochs are the segments of every epoch that is kept, the newest last.
func (s *segments) epochs() (out []*segments, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, err := filepath.Glob(filepath.Join(s.root, epochPrefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSegments, err)
	}
	for _, name := range append([]string{s.root}, names...) {
		epoch := uint64(1)
		if name != s.root {
			if epoch, err = strconv.ParseUint(strings.TrimPrefix(filepath.Base(name), epochPrefix), 10, 64); err != nil {
				return nil, fmt.Errorf("%w: %s is no epoch's folder: take it out of there", ErrSegments, name)
			}
		}
		if epoch >= s.epoch {
			continue
		}
		ended, err := s.endedEpoch(epoch)
		if err != nil {
			return nil, err
		}
		out = append(out, ended)
	}
	return append(out, s), nil
}

// oldestKey is the lowest key id among the frames of all epochs; 0 when there is none.
func (s *segments) oldestKey() (oldest uint32, err error) {
	all, err := s.epochs()
	for _, of := range all {
		of.mu.Lock()
		for _, f := range of.files {
			for _, fr := range f.frames {
				if oldest == 0 || fr.key < oldest {
					oldest = fr.key
				}
			}
		}
		of.mu.Unlock()
	}
	return oldest, err
}

// holdsKeys refuses segments of which the ring cannot open all. Damage of an ended
// epoch's is for who reads them.
func (s *segments) holdsKeys() error {
	all, err := s.epochs()
	if errors.Is(err, ErrDamaged) {
		all = []*segments{s}
	} else if err != nil {
		return err
	}
	for _, of := range all {
		for _, f := range of.files {
			for _, fr := range f.frames {
				if _, held := s.ring.Fingerprint(fr.key); !held {
					return fmt.Errorf("%w: %w: %s, entries %d to %d, is sealed with key id %d, the ring holds %v; put that key back into the key file: "+
						"a key may go when the node's keys (meridian ctl edge keys) say that nothing needs it",
						raftnode.ErrWrongKeys, ErrSegments, f.path, fr.first, fr.last(), fr.key, s.ring.IDs())
				}
			}
		}
	}
	return nil
}

// reseal seals every file anew that has frames of another key than the one that seals,
// until ctx ends. A frame keeps its length and place, so readers are not disturbed.
func (s *segments) reseal(ctx context.Context) error {
	all, err := s.epochs()
	if err != nil {
		return err
	}
	for _, of := range all {
		for again := true; again; {
			if err := ctx.Err(); err != nil {
				return err
			}
			if again, err = of.resealNext(); err != nil {
				return err
			}
		}
	}
	return nil
}

// resealNext seals one file anew; false when there is none left.
func (s *segments) resealNext() (bool, error) {
	s.mu.Lock()
	sealing := s.ring.Sealing()
	var seg *segment
	last := false
	for i, f := range s.files {
		if f.keyOther(sealing) {
			seg, last = f, i == len(s.files)-1
			break
		}
	}
	if seg == nil || s.gone {
		s.mu.Unlock()
		return false, nil
	}
	if last { // it is appended to: nothing may be meanwhile
		defer s.mu.Unlock()
		if err := s.closeOut(); err != nil {
			return false, err
		}
		frames, err := s.sealAnew(s.epoch, seg.path, seg.frames)
		if err != nil {
			return false, err
		}
		return true, s.replace(seg, frames)
	}
	epoch, path, was := s.epoch, seg.path, seg.frames
	s.mu.Unlock()
	frames, err := s.sealAnew(epoch, path, was)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		if f == seg && err == nil {
			return true, s.replace(seg, frames)
		}
	}
	if err != nil && !s.holds(seg) { // acknowledged and gone meanwhile
		err = nil
	}
	return err == nil, errors.Join(err, removeIfThere(path+resealSuffix))
}

func (s *segments) holds(seg *segment) bool {
	for _, f := range s.files {
		if f == seg {
			return true
		}
	}
	return false
}

func (f *segment) keyOther(sealing uint32) bool {
	for _, fr := range f.frames {
		if fr.key != sealing {
			return true
		}
	}
	return false
}

// sealAnew writes the frames of a file, sealed by the sealing key, beside it, and
// syncs them. When it fails nothing is lost.
func (s *segments) sealAnew(epoch uint64, path string, frames []frame) ([]frame, error) {
	if err := s.disk.Room(); err != nil {
		return nil, fmt.Errorf("%w: seal anew: %w", ErrSegments, err)
	}
	var data []byte
	err := s.reading(path, func() (err error) {
		data, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(data)), segmentMagic...)
	anew := make([]frame, len(frames))
	for i, f := range frames {
		end := f.offset + frameHeader + int64(f.length)
		if end > int64(len(data)) || f.offset != int64(len(out)) {
			return nil, damaged(path, fmt.Errorf("entries %d to %d are not where they were written", f.first, f.last()))
		}
		plain, err := s.ring.Open(nil, data[f.offset+frameHeader:end], frameAAD(epoch, f.first))
		if err != nil {
			return nil, damaged(path, fmt.Errorf("entries %d to %d: %w", f.first, f.last(), err))
		}
		out = append(out, data[f.offset:f.offset+frameHeader]...)
		out = s.ring.Seal(out, plain, frameAAD(epoch, f.first))
		b := out[f.offset:]
		binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
		anew[i] = f
		anew[i].key = binary.BigEndian.Uint32(b[frameHeader+1:])
	}
	to := path + resealSuffix
	err = s.disk.Try(disk.Write, to, func() error {
		f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(out)
		return errors.Join(err, f.Sync(), f.Close())
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: seal anew: %w", ErrSegments, err), removeIfThere(to))
	}
	return anew, nil
}

// replace puts a file that was sealed anew in its place. The lock is held.
func (s *segments) replace(seg *segment, frames []frame) error {
	err := s.disk.Do(disk.Rename, seg.path, func() error { return os.Rename(seg.path+resealSuffix, seg.path) })
	if err == nil {
		seg.frames = frames
		err = s.disk.SyncDir(filepath.Dir(seg.path))
	}
	if err != nil {
		return fmt.Errorf("%w: seal anew: %w", ErrSegments, err)
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
