package fsm

import (
	"fmt"
	"slices"

	"meridian/edge/command"
	"meridian/edge/session"
	"meridian/internal/canon"
	"meridian/internal/contract"
	"meridian/internal/feed"
)

// gathering is where a region stands at the beginning of an epoch that is not its
// first: it takes the whole feed again, and serves nobody before it has what the
// centre knows of each subscription's service.
type gathering struct {
	Gathering bool
	services  uint64 // rows of Service that it has
	expected  uint64 // of them, and one; 0 = not known yet
	Since     int64  // Unix seconds of region time since which the epoch serves; 0 = the first epoch
}

func (g *gathering) append(w *canon.Writer) {
	w.Bool(g.Gathering)
	w.Uvarint(g.services)
	w.Uvarint(g.expected)
	w.Varint(g.Since)
}

func (g *gathering) read(r *canon.Reader) {
	g.Gathering, g.services, g.expected, g.Since = r.Bool(), r.Uvarint(), r.Uvarint(), r.Varint()
}

// applyOpenEpoch begins an epoch with an entry that names the last accepted hash of
// the one before. A region that has served in another epoch must be fenced: of what it
// was nothing goes on, since the centre knows better. A new one must have a time, by
// which it is told what is due.
func (s *State) applyOpenEpoch(c *command.OpenEpoch) command.Result {
	switch {
	case c.Epoch <= s.Epoch:
		return command.Result{Code: command.Repeated}
	case s.Epoch != 0 && !s.Fenced, c.Epoch > 1 && s.Now == 0:
		return command.Result{Code: command.OutOfOrder}
	case s.Epoch != 0:
		s.leaveEpoch()
	}
	s.Epoch, s.Gathering = c.Epoch, c.Epoch > 1
	s.emitEpoch(fmt.Sprintf("%x", c.Previous))
	return command.Result{}
}

// leaveEpoch forgets what an ended epoch had: leases, sessions, service state and the
// feed. What the region is, its time and its policy stay.
func (s *State) leaveEpoch() {
	if len(s.frozen) > 0 { // what is being written is of before
		for _, b := range s.buckets.sorted() {
			s.beforeBucket(b)
		}
		for _, sub := range s.subscriptions.sorted() {
			s.beforeSubscription(sub)
		}
		for _, sess := range s.sessions {
			s.beforeSession(sess)
		}
		for _, r := range s.reservations {
			s.beforeReservation(r)
		}
		for id := range s.effects {
			s.beforeEffect(id)
		}
		for id := range s.waiting {
			s.beforeOrder(id)
		}
	}
	next := New()
	next.Region, next.Configured, next.Policy, next.Level = s.Region, s.Configured, s.Policy, s.Level
	next.Now, next.Mode, next.ModeSince = s.Now, s.Mode, s.ModeSince
	next.nextEffect, next.Anomalies, next.wantedSerial = s.nextEffect, s.Anomalies, s.wantedSerial+1
	next.out, next.frozen = s.out, s.frozen
	*s = *next
}

// applyGathering is what a region does before its epoch serves: it takes the feed,
// keeps its time, and tells the centre of it.
func (s *State) applyGathering(c command.Command) command.Result {
	switch c := c.(type) {
	case *command.Tick:
		return s.moveTime(c)
	case *command.Feed:
		return s.applyFeed(c)
	case *command.Acked:
		return s.applyAcked(c)
	case *command.OpenEpoch:
		return s.applyOpenEpoch(c)
	case *command.Fence:
		return s.applyFence(c)
	case *command.SetMode:
		return s.applySetMode(c)
	case *command.SetLevel:
		return s.applySetLevel(c)
	case *command.SetPolicy:
		return s.applySetPolicy(c)
	case *command.Configure:
		return command.Result{Code: command.Repeated}
	case *command.Audit:
		return command.Result{}
	}
	return command.Result{Code: command.NotConfigured}
}

// applyService takes what the centre knows of a subscription's service.
func (s *State) applyService(e *feed.Service) {
	if e.Epoch != s.Epoch || !s.Gathering {
		return
	}
	if sub := s.subscriptions.get(e.Subscription.ID); sub == nil || sub.Row < e.Version {
		s.applySubscription(&e.Subscription, e.Version)
	}
	sub := s.subscriptions.get(e.Subscription.ID)
	s.beforeSubscription(sub)
	sub.Offering, sub.Barred, sub.Terminated = s.words.one(e.Offering), e.Barred, sub.Terminated || e.Terminated
	sub.Held = 0 // found again by when the charges say that it was bought
	sub.had = slices.Clone(e.Given)
	s.goOn(sub, e.Charged, max(e.At, s.seconds()))
	s.services++
	s.serve()
}

// goOn begins a contract after what was charged of it. A period that ended before the
// epoch serves is not owed for the time between: it is as if it could not be paid, and
// goes on when it can.
func (s *State) goOn(sub *Subscription, charged []feed.Charged, now int64) {
	o := s.inForce(sub, now)
	if o == nil || sub.Terminated {
		return
	}
	p := o.contract()
	list := make([]contract.Charged, len(charged))
	for i, c := range charged {
		list[i] = contract.Charged(c)
		if c.Until == 0 {
			list[i].Until, list[i].Paid = s.endOf(list[i]), 0
		}
	}
	sub.Contract = p.Restore(list, s.paidBefore(o, list))
	if sub.Contract.Activated == 0 {
		return
	}
	sub.PaidUntil = sub.Contract.PaidUntil(p)
	if sub.Lapsed = sub.PaidUntil != 0 && sub.PaidUntil <= now; sub.Lapsed {
		sub.Contract.Pause(sub.PaidUntil)
	}
	if sub.Barred {
		sub.Contract.Pause(now)
	}
}

// paidBefore is until when other offerings than the one in force were paid for, by the
// components that they had: of several that have one of this name the longest counts.
func (s *State) paidBefore(o *version, charged []contract.Charged) (rest int64) {
	here := map[string]bool{}
	for i := range o.Recurring {
		here[o.Recurring[i].Name] = true
	}
	for _, c := range charged {
		if here[c.Component] {
			continue
		}
		for _, versions := range s.offerings {
			for _, v := range versions {
				rest = max(rest, v.contract().PaidTo(c))
			}
		}
	}
	return rest
}

// endOf is the latest that a charge may end whose entry does not say it: where the
// longest period ends that any offering has under this name.
func (s *State) endOf(c contract.Charged) (until int64) {
	for _, versions := range s.offerings {
		for _, v := range versions {
			until = max(until, v.contract().EndOf(c))
		}
	}
	return until
}

// applyEpochRow notes how many rows of Service there are.
func (s *State) applyEpochRow(e *feed.Epoch) {
	if e.Epoch == s.Epoch && s.Gathering {
		s.expected, s.Since = e.Services+1, e.At
		s.serve()
	}
}

// serve begins to serve once the region has all that the epoch begins with. Its time
// may be behind the centre's, which ended the epoch before.
func (s *State) serve() {
	if s.expected == s.services+1 {
		s.Gathering, s.Since = false, max(s.Since, s.seconds())
	}
}

// ofEndedEpoch tells whether a report is of a session that began before this epoch
// served: what it used is in the ended epoch's ledger, or lost with it. One that does
// not say when it began is, unless it begins now, for as long as closed sessions are
// remembered.
func (s *State) ofEndedEpoch(c *command.Accounting, r session.Report) bool {
	if s.Since == 0 {
		return false
	}
	if r.Seconds < 0 && c.Status != command.Start {
		return s.seconds() < s.Since+s.Policy.TombstoneLife
	}
	return r.Start() < s.Since
}
