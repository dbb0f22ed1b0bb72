package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"meridian/internal/verify"
	"meridian/replication/disk"
	"meridian/replication/seal"
)

// epochPrefix begins the name of the folder that has an epoch's files. Those of the
// first epoch lie in the root.
const epochPrefix = "epoch-"

func epochDir(root string, epoch uint64) string {
	if epoch <= 1 {
		return root
	}
	return filepath.Join(root, fmt.Sprintf("%s%010d", epochPrefix, epoch))
}

// newestEpoch is the newest epoch that has a folder, 1 when none has.
func newestEpoch(root string) (uint64, error) {
	names, err := filepath.Glob(filepath.Join(root, epochPrefix+"*"))
	if err != nil || len(names) == 0 {
		return 1, err
	}
	sort.Strings(names)
	last := names[len(names)-1]
	epoch, err := strconv.ParseUint(strings.TrimPrefix(filepath.Base(last), epochPrefix), 10, 64)
	if err != nil || epochDir(root, epoch) != last {
		return 0, fmt.Errorf("%w: %s is no epoch's folder: take it out of there", ErrSegments, last)
	}
	return epoch, nil
}

// begin goes on in a newer epoch, from its first entry on. What lies here of the one
// before stays: nobody has acknowledged all of it. The lock is held.
func (s *segments) begin(epoch uint64) error {
	if epoch <= s.epoch {
		return nil
	}
	if err := s.closeOut(); err != nil {
		return err
	}
	dir := epochDir(s.root, epoch)
	err := s.disk.Do(disk.Create, dir, func() error { return os.MkdirAll(dir, 0o700) })
	if err == nil {
		err = s.disk.SyncDir(s.root)
	}
	if err != nil {
		return fmt.Errorf("%w: begin epoch %d: %w", ErrSegments, epoch, err)
	}
	s.epoch, s.dir, s.files, s.next, s.dirty = epoch, dir, nil, 1, false
	return nil
}

// endedEpoch is what is on disk of an ended epoch, only read. The lock is held.
func (s *segments) endedEpoch(epoch uint64) (*segments, error) {
	if before := s.ended[epoch]; before != nil {
		return before, nil
	}
	before, _, err := readEpoch(s.root, epoch, s.ring)
	if err != nil {
		return nil, err
	}
	if s.ended == nil {
		s.ended = map[uint64]*segments{}
	}
	before.disk = s.disk
	s.ended[epoch] = before
	return before, nil
}

// compareEnded holds entries of an ended epoch, which replay makes again, against
// those that are on disk. The lock is held.
func (s *segments) compareEnded(epoch uint64, entries []verify.RawEntry) error {
	before, err := s.endedEpoch(epoch)
	if err != nil {
		return err
	}
	first, last := before.bounds()
	for len(entries) > 0 && entries[0].Seq < first {
		entries = entries[1:]
	}
	for len(entries) > 0 && entries[len(entries)-1].Seq > last {
		entries = entries[:len(entries)-1]
	}
	if len(entries) == 0 {
		return nil
	}
	return before.compare(entries)
}

// goOnAfter makes room for what follows the acknowledged entry of a snapshot.
func (s *segments) goOnAfter(epoch, acked uint64) error {
	s.mu.Lock()
	err := s.begin(epoch)
	older := max(epoch, 1) < s.epoch
	first, last := s.first(), s.next-1
	s.mu.Unlock()
	if err != nil || older || last >= acked && first <= acked+1 {
		return err
	}
	return s.reset(acked)
}

// end is the place of the last entry.
func (s *segments) end() (epoch, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch, s.next - 1
}

// ErrNoEpoch: a directory has nothing of the epoch that was asked for.
var ErrNoEpoch = errors.New("edge/store: nothing is kept of this epoch")

// ReadEnded calls fn with the entries that a stopped node's directory keeps of an
// epoch, by seq, until it returns an error.
func ReadEnded(dir string, ring *seal.Ring, epoch uint64, fn func(verify.RawEntry) error) error {
	seg, _, err := readEpoch(filepath.Join(dir, "segments"), epoch, ring)
	if err != nil {
		return err
	}
	if first, last := seg.bounds(); last < first {
		return fmt.Errorf("%w: %s, epoch %d: name the directory of another node, or another epoch", ErrNoEpoch, dir, epoch)
	}
	return seg.read(epoch, seg.first(), func(e verify.RawEntry) (bool, error) { return true, fn(e) })
}
