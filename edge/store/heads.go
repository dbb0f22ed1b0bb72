package store

import (
	"sync"
	"time"

	"meridian/internal/journal"
)

// maxHeads bounds the heads kept in memory: ten minutes at a tick each second.
const maxHeads = 600

// heads are where ledger and state stood after the newest ticks, in order of the
// log: what nodes compare. A replica that starts makes those again that it
// replays.
type heads struct {
	mu     sync.Mutex
	list   []journal.Head
	hashed uint64        // parts of the state hashed
	spent  time.Duration // on it
}

func (h *heads) add(head journal.Head, spent time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if head.StateForm != 0 {
		h.hashed++
		h.spent += spent
	}
	if n := len(h.list); n > 0 && head.Index <= h.list[n-1].Index {
		return // replayed after the files were opened anew
	}
	if len(h.list) == maxHeads {
		h.list = append(h.list[:0], h.list[maxHeads/10:]...)
	}
	h.list = append(h.list, head)
}

// Heads returns this node's heads after a log index, oldest first: one for each
// tick that it applied since it started, of the newest ten minutes.
func (s *Store) Heads(after uint64) []journal.Head {
	s.heads.mu.Lock()
	defer s.heads.mu.Unlock()
	from := len(s.heads.list)
	for from > 0 && s.heads.list[from-1].Index > after {
		from--
	}
	return append([]journal.Head(nil), s.heads.list[from:]...)
}

// StateHashes is how many parts of the state were hashed, and for how long
// commands waited for it in all.
func (s *Store) StateHashes() (n uint64, spent time.Duration) {
	s.heads.mu.Lock()
	defer s.heads.mu.Unlock()
	return s.heads.hashed, s.heads.spent
}
