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
	mu      sync.Mutex
	list    []journal.Head
	waiting []journal.Head // the first one's state is being hashed: it and what came since is not told yet
	hashed  uint64         // parts of the state hashed
	spent   time.Duration  // that commands waited for it
}

// add puts a head at the end.
func (h *heads) add(head journal.Head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.waiting); n > 0 {
		if head.Index > h.waiting[n-1].Index { // not replayed after the files were opened anew
			h.waiting = append(h.waiting, head)
		}
		return
	}
	h.tell(head)
}

// tell lets others ask for a head.
func (h *heads) tell(head journal.Head) {
	n := len(h.list)
	if n > 0 && head.Index <= h.list[n-1].Index {
		return // replayed after the files were opened anew
	}
	if n == maxHeads {
		h.list = append(h.list[:0], h.list[maxHeads/10:]...)
	}
	h.list = append(h.list, head)
}

// begin puts a head at the end whose state is about to be hashed; false: another
// one's still is.
func (h *heads) begin(head journal.Head) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) > 0 {
		return false
	}
	h.waiting = append(h.waiting, head)
	return true
}

// end gives the state's hash to the head of begin, and tells it and those behind it.
func (h *heads) end(state journal.Hash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting[0].State = state
	for _, head := range h.waiting {
		h.tell(head)
	}
	h.waiting = nil
}

// count notes a part that was hashed and how long commands waited for it.
func (h *heads) count(held time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hashed++
	h.spent += held
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
