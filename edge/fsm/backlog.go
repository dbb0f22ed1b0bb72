package fsm

import (
	"slices"

	"meridian/internal/canon"
)

const (
	// A stretch of the backlog ends after so many entries or so much region time,
	// Unix microseconds: what is said of the backlog is exact to a stretch.
	stretchEntries = 256
	stretchTime    = 60_000_000
	// mostStretches bounds the stretches that are kept; beyond it every second one is
	// joined with the one before.
	mostStretches = 65_536
)

// stretch is where a part of the unacknowledged ledger begins.
type stretch struct {
	seq   uint64 // its first entry
	bytes uint64 // octets of all entries before it
	at    int64  // region time of its first entry
}

// noteEntry keeps account of an entry of so many octets, which has number Seq.
func (s *State) noteEntry(octets int) {
	if n := len(s.stretches); n == 0 || s.Seq-s.stretches[n-1].seq >= stretchEntries || s.Now-s.stretches[n-1].at >= stretchTime {
		if n >= mostStretches {
			s.stretches = thinned(s.stretches)
		}
		s.stretches = append(s.stretches, stretch{seq: s.Seq, bytes: s.written, at: s.Now})
	}
	s.written += uint64(octets)
}

func thinned(all []stretch) []stretch {
	out := make([]stretch, 0, len(all)/2+1)
	for i := 0; i < len(all); i += 2 {
		out = append(out, all[i])
	}
	return out
}

// trimStretches drops what is acknowledged as a whole.
func (s *State) trimStretches() {
	if s.Acked == s.Seq {
		s.stretches = nil
		return
	}
	i, found := slices.BinarySearchFunc(s.stretches, s.Acked+1, func(m stretch, seq uint64) int {
		switch {
		case m.seq < seq:
			return -1
		case m.seq > seq:
			return 1
		}
		return 0
	})
	if !found {
		i = max(i-1, 0)
	}
	s.stretches = s.stretches[i:]
}

// Backlog is how many entries the centre has not acknowledged.
func (s *State) Backlog() uint64 { return s.Seq - s.Acked }

// BacklogBytes is how many octets they have, too many by a stretch at most.
func (s *State) BacklogBytes() uint64 {
	if len(s.stretches) == 0 {
		return 0
	}
	return s.written - s.stretches[0].bytes
}

// BacklogAge is how long, in seconds of region time, the oldest of them waits, too
// long by a stretch at most. What was written before the region had a time does not
// count.
func (s *State) BacklogAge() int64 {
	for _, m := range s.stretches[:min(len(s.stretches), 2)] {
		if m.at != 0 {
			return (s.Now - m.at) / 1_000_000
		}
	}
	return 0
}

// BacklogUse is the backlog in thousandths of its bound: entries, octets or age,
// whichever is the most.
func (s *State) BacklogUse() int64 {
	return max(thousandths(int64(s.Backlog()), s.Policy.MaxBacklogEntries),
		thousandths(int64(s.BacklogBytes()), s.Policy.MaxBacklogBytes), thousandths(s.BacklogAge(), s.Policy.MaxBacklogAge))
}

func thousandths(n, of int64) int64 {
	if of < 1000 {
		return n * 1000 / max(of, 1)
	}
	return n / (of / 1000)
}

// At the bound new sessions are refused; running ones are acknowledged from a
// reserve of one eighth.
const (
	backlogFull    = 1000
	backlogReserve = 1125
)

func (s *State) dumpStretches(w *canon.Writer) {
	w.Uvarint(s.written)
	w.Uvarint(uint64(len(s.stretches)))
	for _, m := range s.stretches {
		w.Uvarint(m.seq)
		w.Uvarint(m.bytes)
		w.Varint(m.at)
	}
}

func (s *State) loadStretches(r *canon.Reader) {
	s.written = r.Uvarint()
	for n := r.Count(3); n > 0; n-- {
		s.stretches = append(s.stretches, stretch{seq: r.Uvarint(), bytes: r.Uvarint(), at: r.Varint()})
	}
}
