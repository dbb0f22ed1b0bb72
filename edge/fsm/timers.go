package fsm

import (
	"cmp"
	"container/heap"

	"meridian/internal/journal"
)

type timerKind uint8

const (
	timerReservation timerKind = iota + 1
	timerSession
	timerRenewal
	timerNASBoot
	timerOrder
)

// timer is one due item. Items of equal time come in the order of kind and name,
// so that every replica handles them alike. A timer is valid only while the item
// it names still has its due time as wake: moving a wake leaves the old timer to
// be passed over.
type timer struct {
	due     int64
	kind    timerKind
	id      string
	session journal.SessionKey
}

type timerHeap []timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id), compareSession(a.session, b.session)) < 0
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are container/heap's.
func (h *timerHeap) Push(x any) { *h = append(*h, x.(timer)) }

// Pop removes the last element.
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	*h = old[:len(old)-1]
	return t
}

func (h *timerHeap) due(now int64) (timer, bool) {
	if len(*h) == 0 || (*h)[0].due > now {
		return timer{}, false
	}
	return heap.Pop(h).(timer), true
}

// handleTimer runs a due item and tells whether it was still valid.
func (s *State) handleTimer(t timer) bool {
	switch t.kind {
	case timerReservation:
		if r := s.reservations[t.id]; r != nil && r.wake == t.due {
			s.dropReservation(r)
			return true
		}
	case timerSession:
		if sess := s.sessions[t.session]; sess != nil && sess.wake == t.due {
			s.sessionDue(sess)
			return true
		}
	case timerRenewal:
		if sub := s.subscriptions.get(t.id); sub != nil && sub.wake == t.due {
			s.beforeSubscription(sub)
			sub.wake = 0
			s.renew(sub)
			s.giveAllowances(sub)
			return true
		}
	case timerNASBoot:
		if n := s.nas[t.id]; n != nil && n.wake == t.due {
			n.wake = 0
			s.sweepBoot(n)
			return true
		}
	case timerOrder:
		if o, ok := s.waiting[t.id]; ok && o.NotBefore == t.due {
			s.beforeOrder(t.id)
			delete(s.waiting, t.id)
			s.executeOrder(o)
			return true
		}
	}
	return false
}

func (s *State) wakeReservation(r *Reservation, at int64) {
	s.beforeReservation(r)
	r.wake = at
	heap.Push(&s.timers, timer{due: at, kind: timerReservation, id: r.Key})
}

// wakeSession sets the session's next due time. A wake that only moves later
// keeps the queued timer, which then finds nothing to do and queues the next:
// one interim costs no heap operation.
func (s *State) wakeSession(sess *Session, at int64) {
	if sess.wake != 0 && sess.wake <= at {
		return
	}
	s.beforeSession(sess)
	sess.wake = at
	heap.Push(&s.timers, timer{due: at, kind: timerSession, session: sess.Key})
}

func (s *State) wakeRenewal(sub *Subscription, at int64) {
	if sub.wake != 0 && sub.wake <= at {
		return
	}
	s.beforeSubscription(sub)
	sub.wake = at
	heap.Push(&s.timers, timer{due: at, kind: timerRenewal, id: sub.ID})
}

func (s *State) wakeNASBoot(n *NAS, at int64) {
	n.wake = at
	heap.Push(&s.timers, timer{due: at, kind: timerNASBoot, id: n.ID})
}

func (s *State) wakeOrder(id string, at int64) {
	heap.Push(&s.timers, timer{due: at, kind: timerOrder, id: id})
}

// nextSessionDue is when the session needs attention next.
func (s *State) nextSessionDue(sess *Session) int64 {
	if !sess.Open {
		return s.forgetAt(sess)
	}
	next := sess.Seen + s.Policy.StaleAfter
	if sess.Uncut != 0 {
		next = min(next, sess.Uncut+s.Policy.CutAge)
	}
	if len(sess.Hold) > 0 {
		next = min(next, sess.HoldUntil)
	}
	return next
}

// forgetAt is when no report of a closed session is taken any more: by region time
// or by the NAS's clock, whichever is later, but at most a day later.
func (s *State) forgetAt(sess *Session) int64 {
	return min(max(sess.Seen, sess.Meter.Event), sess.Seen+86400) + s.Policy.TombstoneLife
}

func (s *State) sessionDue(sess *Session) {
	s.beforeSession(sess)
	sess.wake = 0
	now := s.seconds()
	switch {
	case !sess.Open && now >= s.forgetAt(sess):
		s.cut(sess)
		s.forget(sess)
		return
	case sess.Open && now >= sess.Seen+s.Policy.StaleAfter:
		s.close(sess, causeLostService, false)
	default:
		if sess.Uncut != 0 && now >= sess.Uncut+s.Policy.CutAge {
			s.cut(sess)
		}
		if len(sess.Hold) > 0 && now >= sess.HoldUntil {
			s.releaseHold(&sess.Hold, sess.Account)
			sess.HoldUntil = 0
		}
	}
	s.wakeSession(sess, s.nextSessionDue(sess))
}
