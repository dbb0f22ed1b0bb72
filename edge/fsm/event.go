package fsm

import (
	"cmp"
	"slices"

	"meridian/edge/command"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// eventsNAS stands where a session has its NAS. No registered NAS has this id: a slash
// is in none.
const eventsNAS = "/events"

// applyEvent sells events of a usage component: a message, a ticket, a partner's
// service. All of it is paid, or it is refused and nothing has changed. It becomes a
// session of one report, closed at once, which is remembered as long as any: the same
// id is charged once, and an event from before is refused.
func (s *State) applyEvent(c *command.Event) command.Result {
	refuse := func(r command.Reason) command.Result {
		return command.Result{Code: command.Refused, Reason: r}
	}
	if have := s.bySessionID[nasSession{eventsNAS, c.ID}]; len(have) > 0 {
		if !have[0].sells(c) {
			return command.Result{Code: command.OutOfOrder}
		}
		return command.Result{Code: command.Repeated}
	}
	sub := s.subscriptions.get(c.Subscription)
	if sub == nil {
		return refuse(command.ReasonUnknown)
	}
	o, reason := s.mayBuy(sub, c)
	if reason != command.ReasonNone {
		return refuse(reason)
	}
	i := o.plan.Component(c.Usage)
	if i < 0 || o.plan.Unit(i) != tariff.Events || c.Quantity <= 0 {
		return refuse(command.ReasonNoOffering)
	}
	zone, ok := o.plan.Zone(i, c.Destination)
	if !ok {
		return refuse(command.ReasonDestination)
	}
	if _, p := s.profile(sub, o); slices.Contains(p.BarZones, o.plan.ZoneName(i, zone)) {
		return refuse(command.ReasonBarredZone)
	}
	at := charging.Session{Context: rating.Context{Component: i, Zone: zone, Start: c.Event}}
	u, r := rating.Use{Quantity: c.Quantity, From: c.Event, To: c.Event}, &s.till.result
	w := s.fill(sub, o, nil, nil)
	if err := charging.Debit(o.plan, &at, w, u, charging.Whole, r); err != nil {
		return refuse(command.ReasonNoBalance)
	}
	sess := &Session{
		Key:   journal.SessionKey{NAS: eventsNAS, ID: c.ID, Start: c.Event},
		Login: sub.Login, Subscription: sub.ID, Account: sub.Account, Final: true, Seen: s.seconds(), Called: c.Destination,
		Offering: o.ID, Version: o.Version, Uncut: max(s.seconds(), 1),
	}
	sess.Meter.Event, sess.CutMeter.Event = c.Event, c.Event
	sess.rated = &rated{parts: make([]ratedPart, 1)}
	p := &sess.rated.parts[0]
	p.component, p.start, p.zone, p.zoneName = c.Usage, c.Event, zone, o.plan.ZoneName(i, zone)
	p.tally, p.draws = at.State, at.Draws
	p.note(u, r.Slices, w, o.windowed())
	s.addSession(sess)
	for _, x := range r.Payments {
		s.pay(sess, s.buckets.get(x.Bucket), x.Amount)
	}
	s.cut(sess)
	s.look(sess)
	s.wakeSession(sess, s.nextSessionDue(sess))
	return command.Result{}
}

// mayBuy finds the offering that an event is sold by, or why it is not sold. What may
// have been sold in an epoch that has ended is not sold again: its ids are not known.
func (s *State) mayBuy(sub *Subscription, c *command.Event) (*version, command.Reason) {
	_, o, reason := s.admitted(sub)
	now := s.seconds()
	switch {
	case reason != command.ReasonNone:
		return nil, reason
	case c.Event <= now-min(eventAge, s.Policy.TombstoneLife) || c.Event > now+clockAhead:
		return nil, command.ReasonEventTime
	case s.Since != 0 && c.Event <= s.Since+clockAhead:
		return nil, command.ReasonEventTime
	case !s.roomForEvents():
		return nil, command.ReasonEventsFull
	}
	return o, command.ReasonNone
}

// roomForEvents keeps a quarter of what is remembered for sessions: sales never make
// a session one that is not charged.
func (s *State) roomForEvents() bool {
	closed := int64(len(s.sessions) - s.openSessions())
	return closed < s.Policy.MaxTombstones-s.Policy.MaxTombstones/4
}

// sells tells whether this is the sale that is asked for.
func (sess *Session) sells(c *command.Event) bool {
	p := &sess.rated.parts[0]
	return sess.Subscription == c.Subscription && sess.Called == c.Destination && p.component == c.Usage && p.tally.Quantity == c.Quantity
}

// eventAge is how old an event may be when it is sold, seconds: it is sold at the price
// of now.
const eventAge = 3600

// clockAhead is how far ahead of region time an event may be dated, seconds.
const clockAhead = 300

// sold is how many events a record is of.
func (sess *Session) sold() (n int64) {
	if sess.Key.NAS != eventsNAS {
		return 0
	}
	for _, u := range sess.rated.parts[0].uses {
		n += u.Quantity
	}
	return n
}

// servedBy is the service that a record is of.
func (sess *Session) servedBy(o *version) string {
	if sess.Key.NAS != eventsNAS {
		return o.Service
	}
	return cmp.Or(o.plan.Service(o.plan.Component(sess.rated.parts[0].component)), o.Service)
}
