package fsm

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"

	"meridian/edge/balance"
	"meridian/internal/canon"
	"meridian/internal/feed"
	"meridian/internal/invariant"
	"meridian/internal/journal"
)

// Locker guards a State that others change meanwhile.
type Locker interface {
	Lock()
	Unlock()
}

// Frozen is a State as it was when Freeze was called, while commands go on: what
// is about to be changed for the first time since is encoded and kept. What it
// keeps is bounded by what commands touch until it has been written. To be ended
// by Thaw.
type Frozen struct {
	s    *State
	step step
	head []byte // what there is little of is encoded at once: all but the kinds below

	buckets       cow[string]
	subscriptions cow[string]
	sessions      cow[journal.SessionKey]
	reservations  cow[string]
	effects       cow[uint64]
	waiting       cow[string]
	answered      []string

	// The maps as they were: a new epoch gives the State other ones.
	of struct {
		sessions     map[journal.SessionKey]*Session
		reservations map[string]*Reservation
		effects      map[uint64]*Effect
		waiting      map[string]feed.Order
	}
}

// step is how many items are encoded, or keys collected, while the guard is held.
type step struct{ items, keys int }

// wholeStep takes about a millisecond.
func wholeStep() step { return step{items: 1000, keys: 8000} }

// partStep is for walks that pick some of the keys, each by its hash.
func partStep() step { return step{items: 1000, keys: 3000} }

// cow is one kind of items. Each item of a dump is a record of its own.
type cow[K comparable] struct {
	kept    map[K][]byte // records of items that were changed since, nil for those that were made since
	written bool         // nothing needs to be kept any more
	pick    func(K) bool // which items are of the part; nil: all
	none    bool         // no item of this kind is
}

func (c *cow[K]) keep(k K, record func() []byte) {
	if c.written || c.none || c.pick != nil && !c.pick(k) {
		return
	}
	if _, known := c.kept[k]; known {
		return
	}
	if c.kept == nil {
		c.kept = map[K][]byte{}
	}
	c.kept[k] = record()
}

// Freeze notes the state as it is now. The guard of the State is held.
func (s *State) Freeze() *Frozen {
	f := s.freeze(part{of: everything, in: 1})
	s.frozen = append(s.frozen, f)
	return f
}

// freeze does not keep what is changed later.
func (s *State) freeze(p part) *Frozen {
	invariant.Check(len(s.out) == 0, "dump with %d entries not taken", len(s.out))
	f := &Frozen{s: s, step: wholeStep()}
	f.of.sessions, f.of.reservations, f.of.effects, f.of.waiting = s.sessions, s.reservations, s.effects, s.waiting
	head := &canon.Writer{}
	head.Byte(dumpFormat)
	s.dumpHead(head)
	if p.of == everything || p.of == theRest {
		f.answered = s.answeredLog // it is only appended to, and cut at its front
		s.dumpVersions(head)
		s.dumpCatalog(head)
	} else {
		f.step = partStep()
		s.dumpNoCatalog(head)
	}
	f.head = head.B
	restrict(&f.buckets, p, theBuckets, func(id string) uint32 { return spread(id) })
	restrict(&f.subscriptions, p, theSubscriptions, func(id string) uint32 { return spread(id) })
	restrict(&f.sessions, p, theSessions, func(k journal.SessionKey) uint32 { return spread(k.NAS, k.ID) })
	restrict(&f.reservations, p, theReservations, func(key string) uint32 { return spread(key) })
	restrict(&f.effects, p, theRest, nil)
	restrict(&f.waiting, p, theRest, nil)
	return f
}

// restrict leaves in a kind what lies in a part, by the place of its keys.
func restrict[K comparable](c *cow[K], p part, of collection, place func(K) uint32) {
	switch {
	case p.of == everything:
	case p.of != of:
		c.none = true
	case p.in > 1:
		c.pick = func(k K) bool { return place(k)%p.in == p.share }
	}
}

// Thaw ends it; calling it again does nothing. The guard of the State is held.
func (f *Frozen) Thaw() {
	f.s.frozen = slices.DeleteFunc(f.s.frozen, func(o *Frozen) bool { return o == f })
}

// Hash is the SHA-256 of what Dump gives out, and ends the Frozen's use like it.
func (f *Frozen) Hash(guard Locker) journal.Hash {
	h := sha256.New()
	err := f.Dump(guard, func(b []byte) error { h.Write(b); return nil })
	invariant.Check(err == nil, "hash: %v", err)
	return journal.Hash(h.Sum(nil))
}

// Dump gives out the canonical form of the state as it was, in pieces that are
// valid during the call only. It is to be called once. The guard is taken for
// about a millisecond at a time; it is not held while out runs, nor while keys are
// sorted.
func (f *Frozen) Dump(guard Locker, out func([]byte) error) error {
	s := f.s
	w := &itemWriter{guard: guard, step: f.step, out: out, w: canon.Writer{B: f.head}}
	writeItems(w, &f.buckets, inIndex[balance.Bucket]{&s.buckets}, strings.Compare, s.appendBucket)
	writeItems(w, &f.subscriptions, inIndex[Subscription]{&s.subscriptions}, strings.Compare, s.appendSubscription)
	writeItems(w, &f.sessions, inMap[journal.SessionKey, *Session](f.of.sessions), compareSession, s.appendSession)
	writeItems(w, &f.reservations, inMap[string, *Reservation](f.of.reservations), strings.Compare, s.appendReservation)
	writeItems(w, &f.effects, inMap[uint64, *Effect](f.of.effects), cmp.Compare[uint64], s.appendEffect)
	w.w.Uvarint(uint64(len(f.answered)))
	for _, id := range f.answered {
		w.w.String(id)
	}
	writeItems(w, &f.waiting, inMap[string, feed.Order](f.of.waiting), strings.Compare, s.appendOrder)
	w.flush()
	return w.err
}

// itemWriter is where a dump goes to, with its first error.
type itemWriter struct {
	guard Locker
	step  step
	out   func([]byte) error
	w     canon.Writer
	err   error
}

func (w *itemWriter) flush() {
	if w.err == nil && len(w.w.B) > 0 {
		w.err = w.out(w.w.B)
	}
	w.w.B = w.w.B[:0]
}

// writeItems writes how many items of a kind there were, and them, by their keys.
func writeItems[K comparable](w *itemWriter, c *cow[K], items items[K], compare func(a, b K) int, record func(*canon.Writer, K)) {
	if w.err != nil {
		return
	}
	if c.none {
		w.w.Uvarint(0)
		return
	}
	keys := itemKeys(w, c, items)
	slices.SortFunc(keys, compare)
	keys = slices.Compact(keys)
	w.w.Uvarint(uint64(len(keys)))
	for len(keys) > 0 && w.err == nil {
		n := min(len(keys), w.step.items)
		w.guard.Lock()
		for _, k := range keys[:n] {
			if kept, changed := c.kept[k]; changed {
				w.w.B = append(w.w.B, kept...)
			} else {
				record(&w.w, k)
			}
		}
		w.guard.Unlock()
		keys = keys[n:]
		w.flush()
	}
	w.guard.Lock()
	c.written, c.kept = true, nil
	w.guard.Unlock()
}

// itemKeys are the keys of all items that there were, in no order and some of them
// twice. Items come and go while the guard is given up: one that was neither
// changed nor removed when its turn came is taken from the map, any other has a
// record, which is empty if it was made since.
func itemKeys[K comparable](w *itemWriter, c *cow[K], items items[K]) []K {
	w.guard.Lock()
	n := items.len()
	w.guard.Unlock()
	if c.pick != nil {
		n = partItems + partItems/4
	}
	keys := make([]K, 0, n) // a hundred megabytes, perhaps: not while commands wait
	w.guard.Lock()
	defer w.guard.Unlock()
	looked := 0
	pause := func() {
		if looked >= w.step.keys {
			looked = 0
			w.guard.Unlock()
			w.guard.Lock()
		}
	}
	items.each(func(k K) {
		looked++
		if c.pick != nil && !c.pick(k) {
			return
		}
		if _, changed := c.kept[k]; !changed {
			keys = append(keys, k)
		}
	}, pause)
	for k, record := range c.kept {
		if record != nil {
			keys = append(keys, k)
		}
		looked++
		pause()
	}
	return keys
}

// items is a collection as a dump walks it. Each calls pause between items, which
// may come and go meanwhile; those that stay are seen.
type items[K comparable] interface {
	len() int
	has(K) bool
	each(fn func(K), pause func())
}

type inMap[K comparable, V any] map[K]V

func (m inMap[K, V]) len() int { return len(m) }

func (m inMap[K, V]) has(k K) bool {
	_, there := m[k]
	return there
}

func (m inMap[K, V]) each(fn func(K), pause func()) {
	for k := range m {
		fn(k)
		pause()
	}
}

type inIndex[T any] struct{ x *index[T] }

func (i inIndex[T]) len() int { return i.x.len() }

func (i inIndex[T]) has(k string) bool { return i.x.get(k) != nil }

func (i inIndex[T]) each(fn func(string), pause func()) {
	for at := uint64(0); at < done; pause() {
		at = i.x.some(at, func(item *T) { fn(i.x.key(item)) })
	}
}

// before keeps an item as it is, or that there is none, in every Frozen that has
// not written its kind yet. It is called before each change.
func before[K comparable](s *State, kind func(*Frozen) *cow[K], k K, items items[K], record func(*canon.Writer, K)) {
	for _, f := range s.frozen {
		kind(f).keep(k, func() []byte {
			if !items.has(k) {
				return nil
			}
			var w canon.Writer
			record(&w, k)
			return w.B
		})
	}
}

func (s *State) beforeBucket(b *balance.Bucket) {
	s.touch(b)
	if len(s.frozen) > 0 {
		before(s, func(f *Frozen) *cow[string] { return &f.buckets }, b.ID, inIndex[balance.Bucket]{&s.buckets}, s.appendBucket)
	}
}

// beforeSubscription may be called with nil.
func (s *State) beforeSubscription(sub *Subscription) {
	if len(s.frozen) > 0 && sub != nil {
		before(s, func(f *Frozen) *cow[string] { return &f.subscriptions }, sub.ID, inIndex[Subscription]{&s.subscriptions}, s.appendSubscription)
	}
}

func (s *State) beforeSession(sess *Session) {
	if len(s.frozen) > 0 {
		before(s, func(f *Frozen) *cow[journal.SessionKey] { return &f.sessions }, sess.Key, inMap[journal.SessionKey, *Session](s.sessions), s.appendSession)
	}
}

func (s *State) beforeReservation(r *Reservation) {
	if len(s.frozen) > 0 {
		before(s, func(f *Frozen) *cow[string] { return &f.reservations }, r.Key, inMap[string, *Reservation](s.reservations), s.appendReservation)
	}
}

func (s *State) beforeEffect(id uint64) {
	if len(s.frozen) > 0 {
		before(s, func(f *Frozen) *cow[uint64] { return &f.effects }, id, inMap[uint64, *Effect](s.effects), s.appendEffect)
	}
}

func (s *State) beforeOrder(id string) {
	if len(s.frozen) > 0 {
		before(s, func(f *Frozen) *cow[string] { return &f.waiting }, id, inMap[string, feed.Order](s.waiting), s.appendOrder)
	}
}
