package fsm

import (
	"fmt"

	"meridian/edge/command"
	"meridian/edge/session"
	"meridian/internal/journal"
)

// renew charges the period that is due, keyed (subscription, period start). What
// cannot be paid lapses: sessions are cut off, and new credit tries again.
func (s *State) renew(sub *Subscription) {
	now := s.seconds()
	if sub.Terminated || sub.Barred || now == 0 {
		return
	}
	o := s.offeringAt(sub.Offering, now)
	if o == nil {
		return
	}
	s.beforeSubscription(sub)
	fee := o.Renewal()
	if fee == nil {
		if sub.PaidUntil > now {
			s.wakeRenewal(sub, sub.PaidUntil)
		} else { // periods without a fee are not owed later
			sub.PaidUntil, sub.Lapsed = 0, false
		}
		return
	}
	if sub.PaidUntil > now {
		s.wakeRenewal(sub, sub.PaidUntil)
		return
	}
	start := sub.PaidUntil
	if start == 0 || sub.Lapsed {
		start = now
	}
	if !s.payPeriod(sub, journal.Unit(o.Currency), int64(fee.Price), start) {
		sub.Lapsed = true
		s.disconnectAll(sub)
		return
	}
	sub.PaidUntil, sub.Lapsed = start+int64(fee.Every.Count)*86400, false
	sub.Version++
	s.wakeRenewal(sub, max(sub.PaidUntil, now+1))
}

// renewSoon looks at a subscription's period now, or at the first tick of a region
// that has no time yet.
func (s *State) renewSoon(sub *Subscription) {
	if s.Now == 0 {
		s.wakeRenewal(sub, 1)
		return
	}
	s.renew(sub)
	s.giveAllowances(sub)
}

// payPeriod spends the fee at once, all or nothing.
func (s *State) payPeriod(sub *Subscription, unit journal.Unit, price, start int64) bool {
	buckets := s.usable(sub.Account, unit)
	var have int64
	for _, b := range buckets {
		have += b.Available()
	}
	for _, b := range buckets {
		if have >= price || s.Mode == command.Connected {
			break
		}
		have += s.borrow(b, price-have)
	}
	if have < price {
		for _, b := range buckets {
			s.settle(b)
		}
		return false
	}
	for _, b := range buckets {
		s.beforeBucket(b)
		n := b.Charge(price)
		if n == 0 {
			continue
		}
		price -= n
		b.Cut(n)
		s.emit(journal.Entry{
			Kind: journal.KindRecurring, Account: sub.Account, Subscription: sub.ID,
			Bucket: b.ID, Unit: b.Unit, Amount: n, Ref: fmt.Sprintf("%s/%d", sub.ID, start),
		})
	}
	return true
}

// countNAS adds to the hour's totals of a NAS: usage that was hidden from the
// ledger would show against them.
func (s *State) countNAS(n *NAS, d session.Delta) {
	s.startNASHour(n)
	n.In += d.In
	n.Out += d.Out
}

// startNASHour writes the finished hour and begins the one of region time.
func (s *State) startNASHour(n *NAS) {
	hour := s.seconds() / 3600 * 3600
	if n.Hour == hour {
		return
	}
	if n.In != 0 || n.Out != 0 || n.Sessions != 0 {
		s.emit(journal.Entry{
			Kind: journal.KindNASTotals, Quantity: n.Sessions, Session: journal.SessionKey{NAS: n.ID},
			Usage: &journal.UsageRecord{From: n.Hour, To: n.Hour + 3600, InOctets: n.In, OutOctets: n.Out},
		})
	}
	n.Hour, n.Sessions, n.In, n.Out = hour, 0, 0, 0
}

func (s *State) flushNASHours() {
	hour := s.seconds() / 3600 * 3600
	for _, id := range sortedKeys(s.nas) {
		if n := s.nas[id]; n.Hour != hour && (n.In != 0 || n.Out != 0 || n.Sessions != 0) {
			s.startNASHour(n)
		}
	}
}

func (s *State) emitEpoch(previous string) {
	s.emit(journal.Entry{Kind: journal.KindEpoch, Ref: previous})
}
