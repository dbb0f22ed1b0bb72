package fsm

import (
	"slices"

	"meridian/edge/balance"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// notice writes an entry for each threshold of the offering that the subscription's
// balances have crossed, once: of an allowance until it is given anew (or for good
// where the threshold does not recur), of usage until its period has ended, of money until
// there is more again.
func (s *State) notice(sub *Subscription, o *version) {
	for i := range o.Thresholds {
		t := &o.Thresholds[i]
		if t.On == tariff.MoneyBalance {
			s.noticeMoney(sub, o, t)
			continue
		}
		if t.Metric == tariff.Used {
			s.noticeUsed(sub, o, t)
			continue
		}
		a := o.allowance(t.On)
		if a == nil {
			continue
		}
		b := s.allowanceBucket(sub, a)
		if b == nil || b.Made.From == 0 || slices.Contains(b.Made.Fired, t.Name) {
			continue
		}
		w := charging.Watch{Threshold: *t}
		if left := b.Available() + b.H; w.Observe(left, b.Made.Given) {
			s.beforeBucket(b)
			b.Made.Fired = append(slices.Clone(b.Made.Fired), t.Name)
			s.emit(journal.Entry{Kind: journal.KindNotice, Account: sub.Account, Subscription: sub.ID, Ref: t.Name, Quantity: left, Detail: t.On})
		}
	}
}

// noticeUsed looks at what a component has counted in its period.
func (s *State) noticeUsed(sub *Subscription, o *version, t *tariff.Threshold) {
	c := sub.countedOf(o, t.On)
	if c == nil || slices.Contains(c.fired, t.Name) {
		return
	}
	w := charging.Watch{Threshold: *t}
	if w.Observe(c.tally.Quantity, 0) {
		s.beforeSubscription(sub)
		c.fired = append(slices.Clone(c.fired), t.Name)
		s.emit(journal.Entry{Kind: journal.KindNotice, Account: sub.Account, Subscription: sub.ID, Ref: t.Name, Quantity: c.tally.Quantity, Detail: t.On})
	}
}

func (s *State) noticeMoney(sub *Subscription, o *version, t *tariff.Threshold) {
	left := s.moneyLeft(sub, o)
	w := charging.Watch{Threshold: *t}
	at, fired := slices.BinarySearch(sub.fired, t.Name)
	switch crossed := w.Observe(max(left, 0), 0); {
	case crossed && !fired:
		s.beforeSubscription(sub)
		sub.fired = slices.Insert(slices.Clone(sub.fired), at, t.Name)
		s.emit(journal.Entry{Kind: journal.KindNotice, Account: sub.Account, Subscription: sub.ID, Ref: t.Name, Quantity: max(left, 0), Detail: t.On})
	case !crossed && fired && t.Recurring:
		s.beforeSubscription(sub)
		sub.fired = slices.Delete(slices.Clone(sub.fired), at, at+1)
	}
}

// moneyLeft is what the subscription may still spend of money, less what the region
// has lent it; what is held for its sessions is still there.
func (s *State) moneyLeft(sub *Subscription, o *version) int64 {
	var sum int64
	for _, b := range s.usable(sub.Account, journal.Unit(o.Currency)) {
		sum += b.Available() + b.H - b.Debt()
	}
	return sum
}

// rearmed keeps of the thresholds that fired on an allowance those that do not
// recur: it is given anew.
func (o *version) rearmed(b *balance.Bucket) (kept []string) {
	for _, name := range b.Made.Fired {
		for i := range o.Thresholds {
			if t := &o.Thresholds[i]; t.Name == name && !t.Recurring {
				kept = append(kept, name)
			}
		}
	}
	return kept
}

func (o *version) allowance(name string) *tariff.Allowance {
	for i := range o.Allowances {
		if o.Allowances[i].Name == name {
			return &o.Allowances[i]
		}
	}
	return nil
}
