package fsm

import (
	"fmt"
	"slices"

	"meridian/edge/balance"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// giveAllowances gives what the offering in force brings and has not given for the
// present period, to a subscription in good standing, and lets expire what is past
// its time. It is called whenever a subscription's periods are looked at, and has
// itself called again when the next allowance is due.
func (s *State) giveAllowances(sub *Subscription) {
	now := s.seconds()
	if now == 0 || s.Epoch == 0 {
		return
	}
	o := s.inForce(sub, now)
	if o != nil && s.inStanding(sub, o) {
		for i := range o.Allowances {
			s.giveAllowance(sub, o, i, now)
		}
	}
	s.endAllowances(sub, o, now)
	for _, b := range s.own[sub.ID] {
		s.expire(sub, b, now)
	}
	for _, b := range s.bucketsOf(sub.Account) {
		if b.Made != nil {
			s.expire(sub, b, now)
		}
	}
	if o != nil {
		for _, sess := range sub.open {
			s.switchProfile(sub, sess, o)
		}
	}
}

// inStanding tells whether a subscription is served: it has paid what keeps it
// going.
func (s *State) inStanding(sub *Subscription, o *version) bool {
	return !sub.Terminated && !sub.Barred && !sub.unpaid(o)
}

// giveAllowance gives the i-th allowance, if its period has begun and it was not
// given for it. One that is given once is not given again as long as its bucket is
// remembered; a pool is given once to its account, whoever comes first.
func (s *State) giveAllowance(sub *Subscription, o *version, i int, now int64) {
	a := &o.Allowances[i]
	b := s.allowanceBucket(sub, a)
	first := now
	if b != nil {
		first = b.Made.First
	}
	from, until := o.allowancePeriod(a, first, now)
	switch {
	case b == nil && a.Every == nil && s.hadBefore(sub, a):
		return
	case b == nil:
		made := balance.Made{Allowance: a.Name, Subscription: sub.ID, First: now}
		if a.Shared != nil {
			made.Subscription, made.Pool = "", a.Shared.Pool
		}
		b = s.makeBucket(sub.Account, unitOf(o, a), a.Priority, made)
	case b.Made.From >= from:
		return
	}
	s.beforeBucket(b)
	have := b.Available() + b.H
	target, keep := a.Amount, int64(0)
	if r := a.Rollover; r != nil && b.Made.Given > 0 {
		kept := min(r.Max, max(r.Min, have))
		if target, keep = kept, min(kept, have); r.Add {
			target = min(a.Amount+kept, charging.MaxValue)
		}
	}
	e := journal.Entry{Account: b.Account, Subscription: sub.ID, Bucket: b.ID, Unit: b.Unit, Detail: a.Name, Ref: fmt.Sprintf("%s/%d", sub.ID, from)}
	if lost := min(b.Available(), have-keep); lost > 0 {
		b.Expire(lost)
		have -= lost
		e.Kind, e.Amount = journal.KindExpired, lost
		s.emit(e)
	}
	if more := target - have; more > 0 {
		b.Take(more)
		e.Kind, e.Amount = journal.KindGiven, more
		s.emit(e)
	}
	b.Expires, b.Priority = until, a.Priority
	b.Made.From, b.Made.Given, b.Made.Children, b.Made.Fired = from, target, nil, o.rearmed(b)
	s.sortBuckets(b)
}

// hadBefore tells whether an epoch before this one gave an allowance to a subscription,
// or a pool by any of the account's.
func (s *State) hadBefore(sub *Subscription, a *tariff.Allowance) bool {
	if a.Shared == nil {
		return slices.Contains(sub.had, a.Name)
	}
	return slices.ContainsFunc(s.subscriptionsOf(sub.Account), func(x *Subscription) bool { return slices.Contains(x.had, a.Name) })
}

func (s *State) sortBuckets(b *balance.Bucket) {
	list := s.bucketsOf(b.Account)
	if b.Made.Subscription != "" {
		list = s.own[b.Made.Subscription]
	}
	slices.SortFunc(list, balance.Before)
}

// allowanceBucket finds the bucket of an allowance, or of the pool that it is a
// share of.
func (s *State) allowanceBucket(sub *Subscription, a *tariff.Allowance) *balance.Bucket {
	list := s.own[sub.ID]
	if a.Shared != nil {
		list = s.bucketsOf(sub.Account)
	}
	for _, b := range list {
		if b.Made != nil && (a.Shared == nil && b.Made.Allowance == a.Name || a.Shared != nil && b.Made.Pool == a.Shared.Pool) {
			return b
		}
	}
	return nil
}

// unitOf is what an allowance's bucket counts.
func unitOf(o *version, a *tariff.Allowance) journal.Unit {
	if a.Unit == tariff.Money {
		return journal.Unit(o.Currency)
	}
	return journal.Unit(a.Unit)
}

// allowancePeriod is for when an allowance is given at now that was first given at
// first: the calendar's period, one counted from first, or from first for as long
// as it is valid (0 = for ever).
func (v *version) allowancePeriod(a *tariff.Allowance, first, now int64) (from, until int64) {
	every, calendar := a.Every, a.Anchor == tariff.Calendar
	if every == nil {
		if a.ValidFor == nil {
			return first, 0
		}
		every, calendar, now = a.ValidFor, false, first
	}
	origin, second := v.plan.Local(first)
	if calendar {
		second = 0
	}
	day, at := v.plan.Local(now)
	if at < second { // the period before goes on until that time of the day
		day--
	}
	begin, next := rating.Period(*every, calendar, origin, day)
	return v.plan.Instant(begin, second), v.plan.Instant(next, second)
}

// endAllowances ends those of a subscription that is over, and those without a term
// of an offering that is not in force any more.
func (s *State) endAllowances(sub *Subscription, o *version, now int64) {
	list := s.own[sub.ID]
	for _, b := range list {
		lasts := o == nil || slices.ContainsFunc(o.Allowances, func(a tariff.Allowance) bool { return a.Name == b.Made.Allowance })
		if sub.Terminated && (b.Expires == 0 || b.Expires > now) || b.Expires == 0 && !lasts {
			s.beforeBucket(b)
			b.Expires = now
		}
	}
	slices.SortFunc(list, balance.Before)
}

// expire ends a bucket that was made here: what is left goes once no more usage of
// before is to be expected. It sees to being looked at again.
func (s *State) expire(sub *Subscription, b *balance.Bucket, now int64) {
	if b.Expires == 0 {
		return
	}
	end := b.Expires + s.Policy.StaleAfter
	switch {
	case now < b.Expires:
		s.wakeRenewal(sub, b.Expires)
	case b.Available() == 0:
	case now < end:
		s.wakeRenewal(sub, end)
	default:
		s.lapse(b, sub.ID, b.Available())
	}
}

// lapse ends n of what is left of a bucket that was made here.
func (s *State) lapse(b *balance.Bucket, subscription string, n int64) {
	s.beforeBucket(b)
	b.Expire(n)
	s.emit(journal.Entry{Kind: journal.KindExpired, Account: b.Account, Subscription: subscription, Bucket: b.ID, Unit: b.Unit, Amount: n,
		Detail: b.Made.Allowance, Ref: fmt.Sprintf("%s/%d", subscription, b.Made.From)})
}
