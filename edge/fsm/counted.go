package fsm

import (
	"slices"

	"meridian/edge/session"
	"meridian/internal/canon"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// counted is the rating state of a component that is counted by period, of one
// subscription and offering: all its sessions go on with it, one after the other.
type counted struct {
	offering  string
	version   uint32 // by whose plan the tally is
	component string
	from      int64 // the period, Unix seconds
	until     int64
	tally     rating.Tally
	draws     []charging.Draw
	by        journal.SessionKey // session that was rated last
	fired     []string           // thresholds that were crossed
}

// byPeriod tells whether the i-th meter is counted by period.
func (v *version) byPeriod(i int) bool { return v.Usage[v.meters[i]].Counted == tariff.ByPeriod }

// periodOf is the calendar's period of the i-th meter that holds an instant.
func (v *version) periodOf(i int, at int64) (from, until int64) {
	every := tariff.Period{Unit: tariff.Month, Count: 1}
	if e := v.Usage[v.meters[i]].Every; e != nil {
		every = *e
	}
	day, _ := v.plan.Local(at)
	begin, next := rating.Period(every, true, day, day)
	return v.plan.Instant(begin, 0), v.plan.Instant(next, 0)
}

// countOf finds the state of the i-th meter for usage at an instant, without changing
// it: the zero state where a period begins. Usage from before the present period that
// is reported in it counts in it. What was counted by another version of the offering
// goes on: its quantity, and its price rounded down.
func (s *State) countOf(sub *Subscription, o *version, i int, at int64) (int, counted) {
	name := o.Usage[o.meters[i]].Name
	from, until := o.periodOf(i, at)
	k := slices.IndexFunc(sub.counted, func(c counted) bool { return c.offering == o.ID && c.component == name })
	fresh := counted{offering: o.ID, version: o.Version, component: name, from: from, until: until}
	if k < 0 {
		return k, fresh
	}
	have := sub.counted[k]
	if at >= have.until {
		fresh.by, fresh.fired = have.by, o.lasting(have.fired)
		return k, fresh
	}
	if have.version != o.Version {
		have.tally = o.plan.Carried(o.meters[i], have.tally)
		have.version = o.Version
	}
	have.draws = slices.Clone(have.draws)
	return k, have
}

// turn makes the subscription's counted components ready for what a session is about
// to have rated: another session's usage that is not cut yet is cut before, and so is
// its own of a period that has ended, so that each record goes on where the one before
// it ended.
func (s *State) turn(sess *Session, sub *Subscription, o *version, from int64, d session.Delta) {
	for i := range o.meters {
		if !o.byPeriod(i) {
			continue
		}
		k, next := s.countOf(sub, o, i, from)
		if k >= 0 {
			have := &sub.counted[k]
			if have.by != sess.Key {
				if other := s.sessions[have.by]; other != nil {
					s.cut(other)
				}
			} else if len(sess.rated.parts[i].uses) > 0 && (next.from != have.from || next.version != have.version) {
				s.cutBefore(sess, d, from)
			}
		}
		next.by = sess.Key
		s.beforeSubscription(sub)
		if k < 0 {
			sub.counted = slices.DeleteFunc(sub.counted, func(c counted) bool { return c.until <= from && c.offering != o.ID })
			sub.counted = append(sub.counted, next)
		} else {
			sub.counted[k] = next
		}
		p := &sess.rated.parts[i]
		if len(p.uses) == 0 {
			p.before, p.drawn = next.tally, slices.Clone(next.draws)
		}
		p.period = next.from
	}
}

// cutBefore cuts what a session used before a report that is about to be rated.
func (s *State) cutBefore(sess *Session, d session.Delta, from int64) {
	after := sess.Meter
	sess.Meter = session.Meter{In: after.In - d.In, Out: after.Out - d.Out, Seconds: after.Seconds - d.Seconds, Event: from}
	s.cut(sess)
	sess.Meter = after
	sess.Uncut = max(s.seconds(), 1)
}

// counting has a session go on with what its subscription has counted. Time is that of
// the session: the count of the period stands where the session began to use it.
func (s *State) counting(c *charging.Session, sess *Session, sub *Subscription, o *version, i int, used int64) (begins bool) {
	p := &sess.rated.parts[i]
	have := sub.countedOf(o, p.component) // turn has put it there
	c.State, c.Draws = have.tally, slices.Clone(have.draws)
	base := have.tally.Base
	if !p.begun {
		base = have.tally.Quantity
	}
	c.Context.Start = sess.Key.Start + used - (have.tally.Quantity - base)
	if len(p.uses) == 0 {
		p.start = c.Context.Start
	}
	return !p.begun
}

// keep notes what the i-th meter has come to.
func (s *State) keep(sess *Session, sub *Subscription, o *version, i int) {
	p := &sess.rated.parts[i]
	p.begun = true
	x := sub.countedOf(o, p.component)
	x.tally, x.draws = p.tally, slices.Clone(p.draws)
}

// countedOf is the state of a component that has been counted, or nil.
func (sub *Subscription) countedOf(o *version, component string) *counted {
	for k := range sub.counted {
		if x := &sub.counted[k]; x.offering == o.ID && x.component == component {
			return x
		}
	}
	return nil
}

// foresee is where a session that is held for, or is to begin, stands in the first
// meter's count.
func (s *State) foresee(c *charging.Session, sub *Subscription, o *version, begun bool) {
	if !o.byPeriod(0) {
		return
	}
	_, have := s.countOf(sub, o, 0, s.seconds())
	c.State, c.Draws = have.tally, have.draws
	if !begun {
		c.State = o.plan.Begin(c.Context, c.State)
	}
	c.Context.Start = s.seconds() - (c.State.Quantity - c.State.Base)
}

// begun tells whether the session has begun in the first meter's count.
func (sess *Session) begun(o *version) bool {
	return sess.rated != nil && sess.Offering == o.ID && sess.Version == o.Version && sess.rated.parts[0].begun
}

// lasting keeps of the thresholds that fired those that do not recur.
func (v *version) lasting(fired []string) (kept []string) {
	for _, name := range fired {
		if slices.ContainsFunc(v.Thresholds, func(t tariff.Threshold) bool { return t.Name == name && !t.Recurring }) {
			kept = append(kept, name)
		}
	}
	return kept
}

func appendCounted(w *canon.Writer, list []counted) {
	w.Uvarint(uint64(len(list)))
	for i := range list {
		c := &list[i]
		w.String(c.offering)
		w.Uvarint(uint64(c.version))
		w.String(c.component)
		w.Varint(c.from)
		w.Varint(c.until)
		journal.AppendTally(w, &c.tally)
		journal.AppendDraws(w, drawsOf(c.draws))
		c.by.Append(w)
		w.Uvarint(uint64(len(c.fired)))
		for _, name := range c.fired {
			w.String(name)
		}
	}
}

func readCounted(r *canon.Reader, t *texts) (list []counted) {
	for n := r.Count(20); n > 0; n-- {
		c := counted{offering: t.one(r.String()), version: uint32(r.Uvarint()), component: t.one(r.String()), from: r.Varint(), until: r.Varint()}
		c.tally, c.draws, c.by = journal.ReadTally(r), readDraws(r), journal.ReadSessionKey(r)
		for m := r.Count(1); m > 0; m-- {
			c.fired = append(c.fired, t.one(r.String()))
		}
		list = append(list, c)
	}
	return list
}
