package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"meridian/replication/disk"
	"meridian/replication/seal"
)

// openSegments reads what is on disk, to append to it. A torn last frame is cut
// off, and a file that was begun and never written to is removed: it would make the
// one before it not the last. Damage anywhere else is refused. What is read is made
// durable first: replay takes entries that are there for done.
func openSegments(root string, ring *seal.Ring, maxSize int64, layer *disk.Layer) (*segments, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSegments, err)
	}
	epoch, err := newestEpoch(root)
	if err != nil {
		return nil, err
	}
	dir := epochDir(root, epoch)
	names, err := segmentFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names[max(0, len(names)-2):] { // the last may be empty; those before were synced when it was begun
		if err := layer.Settle(name); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSegments, err)
		}
	}
	s, unfinished, err := readEpoch(root, epoch, ring)
	if err != nil {
		return nil, err
	}
	s.maxSize, s.disk = maxSize, layer
	if err := s.holdsKeys(); err != nil {
		return nil, err
	}
	resealing, err := filepath.Glob(filepath.Join(dir, "*"+resealSuffix))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSegments, err)
	}
	for _, name := range append(unfinished, resealing...) {
		if err := s.remove(name); err != nil {
			return nil, err
		}
	}
	if n := len(s.files); n > 0 {
		last := s.files[n-1]
		err := layer.Do(disk.Truncate, last.path, func() error { return os.Truncate(last.path, last.size) })
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSegments, err)
		}
	}
	return s, layer.SyncDir(dir)
}

// segmentFiles are the names of the files, in the order of their entries.
func segmentFiles(dir string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSegments, err)
	}
	sort.Strings(names)
	return names, nil
}

// readEpoch reads what is on disk of an epoch and changes nothing. unfinished are the
// files without any entry.
func readEpoch(root string, epoch uint64, ring *seal.Ring) (s *segments, unfinished []string, err error) {
	dir := epochDir(root, epoch)
	names, err := segmentFiles(dir)
	if err != nil {
		return nil, nil, err
	}
	s = &segments{root: root, epoch: epoch, dir: dir, ring: ring, next: 1}
	for i, name := range names {
		seg, err := scanSegment(name, i == len(names)-1)
		if err != nil {
			return nil, nil, err
		}
		if len(seg.frames) == 0 {
			unfinished = append(unfinished, name)
			continue
		}
		if first := seg.frames[0].first; len(s.files) > 0 && first != s.next {
			return nil, nil, damaged(name, fmt.Errorf("begins with entry %d, %d was expected", first, s.next))
		}
		s.files = append(s.files, seg)
		s.next = seg.frames[len(seg.frames)-1].last() + 1
	}
	return s, unfinished, nil
}

// scanSegment indexes the frames of a file. Only the last file may end in the
// middle of a frame: what is whole before it counts.
func scanSegment(path string, last bool) (*segment, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSegments, err)
	}
	seg := &segment{path: path}
	if len(b) < len(segmentMagic) || string(b[:len(segmentMagic)]) != segmentMagic {
		if last && strings.HasPrefix(segmentMagic, string(b)) {
			return seg, nil
		}
		return nil, damaged(path, errors.New("is not a segment of this version"))
	}
	off := int64(len(segmentMagic))
	for off < int64(len(b)) {
		f, err := parseFrame(b[off:])
		if err != nil {
			if !last {
				return nil, damaged(path, fmt.Errorf("frame at octet %d: %w", off, err))
			}
			break
		}
		if n := len(seg.frames); n > 0 && f.first != seg.frames[n-1].last()+1 {
			return nil, damaged(path, fmt.Errorf("frame at octet %d begins with entry %d after %d", off, f.first, seg.frames[n-1].last()))
		}
		f.offset = off
		seg.frames = append(seg.frames, f)
		off += frameHeader + int64(f.length)
	}
	seg.size = off
	return seg, nil
}

func parseFrame(b []byte) (frame, error) {
	if len(b) < frameHeader {
		return frame{}, io.ErrUnexpectedEOF
	}
	f := frame{
		length: binary.BigEndian.Uint32(b), first: binary.BigEndian.Uint64(b[8:]), count: binary.BigEndian.Uint32(b[16:]),
	}
	if f.length > maxFrame || int(f.length) > len(b)-frameHeader {
		return frame{}, io.ErrUnexpectedEOF
	}
	if crc32.Checksum(b[8:frameHeader+int(f.length)], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return frame{}, errors.New("checksum does not match")
	}
	if f.count == 0 || f.first == 0 {
		return frame{}, errors.New("holds no entry")
	}
	f.key, _ = seal.KeyID(b[frameHeader : frameHeader+int(f.length)])
	return f, nil
}
