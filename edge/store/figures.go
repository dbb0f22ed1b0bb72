package store

import (
	"meridian/internal/journal"
	"meridian/internal/verify"
)

// Limits are the bounds of what Stats counts.
type Limits struct {
	Queue int // commands that may wait
	Batch int // commands in one log entry
}

// Limits gives the bounds.
func (s *Store) Limits() Limits { return Limits{Queue: s.cfg.QueueMax, Batch: s.cfg.BatchMax} }

// Backlog returns how many octets on this node's disk hold entries after a seq, and
// when the first of these was written: region time in Unix microseconds, 0 when
// there is none or it cannot be read. It opens one frame.
func (s *Store) Backlog(after uint64) (octets int64, oldest int64) {
	seg := s.live.Load().adapter.segments
	octets = seg.bytesFrom(after + 1)
	if octets == 0 {
		return 0, 0
	}
	_ = seg.read(s.epoch(), after+1, func(e verify.RawEntry) (bool, error) { // a figure of the moment: what was trimmed meanwhile is no backlog
		entry, err := journal.DecodeEntry(e.Raw)
		if err == nil {
			oldest = entry.At
		}
		return false, err
	})
	return octets, oldest
}

// bytesFrom is the size of the frames that hold entries from seq on.
func (s *segments) bytesFrom(seq uint64) (octets int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.files) - 1; i >= 0; i-- {
		frames := s.files[i].frames
		if frames[0].first >= seq {
			octets += s.files[i].size
			continue
		}
		for j := len(frames) - 1; j >= 0; j-- {
			if frames[j].last() < seq {
				return octets
			}
			octets += frameHeader + int64(frames[j].length)
		}
	}
	return octets
}
