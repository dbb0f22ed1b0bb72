package fsm

import (
	"math"
	"slices"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/edge/session"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/rating"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// till is the memory in which a payment is worked out, kept from one to the next:
// a report of a plain session allocates nothing.
type till struct {
	wallet  charging.Wallet
	buckets []charging.Bucket
	limits  []charging.Limit
	session charging.Session
	result  charging.Result
}

// fill puts together what may pay for the usage of a subscription, in charging
// order: of each bucket what is available and what is in hold, which this session
// has, and what another component has given back in the same report; then, unless the
// region is connected, the offline allowance.
func (s *State) fill(sub *Subscription, o *version, hold []verify.Part, given []back) *charging.Wallet {
	t := &s.till
	all := s.bucketsOf(sub.Account)
	t.wallet.Buckets, t.buckets, t.limits = t.wallet.Buckets[:0], t.buckets[:0], t.limits[:0]
	t.wallet.At(s.seconds())
	own := s.own[sub.ID]
	t.buckets = slices.Grow(t.buckets, 2*len(all)+len(own)+1) // pointers into it are kept
	t.limits = slices.Grow(t.limits, len(all))
	for _, list := range [...][]*balance.Bucket{all, own} {
		for _, b := range list {
			free := of(given, b)
			if x, ok := s.purse(b, sub, o, free); ok {
				x.Value += free
				for _, h := range hold {
					if h.Bucket == b.ID {
						x.Value += h.Amount
					}
				}
				t.add(x)
			}
		}
	}
	if n := of(given, nil); n > 0 {
		t.add(charging.Bucket{Name: tariff.MoneyBalance, Unit: tariff.Money, Value: n})
		slices.SortFunc(t.wallet.Buckets, charging.Before)
	} else if len(own) > 0 {
		slices.SortFunc(t.wallet.Buckets, charging.Before)
	}
	if s.Mode == command.Connected {
		return &t.wallet
	}
	for _, b := range all {
		if loan := b.Allowance - b.Debt(); loan > 0 && b.Unit == journal.Unit(o.Currency) && b.Made == nil {
			t.add(charging.Bucket{ID: b.ID, Name: tariff.MoneyBalance, Unit: tariff.Money, Priority: math.MaxInt, Expires: b.Expires, Value: loan, Loan: true})
		}
	}
	return &t.wallet
}

func (t *till) add(b charging.Bucket) {
	t.buckets = append(t.buckets, b)
	t.wallet.Buckets = append(t.wallet.Buckets, &t.buckets[len(t.buckets)-1])
}

// purse is how charging sees a bucket; false when it is not for this subscription
// or offering. A child that gave free back may use it again.
func (s *State) purse(b *balance.Bucket, sub *Subscription, o *version, free int64) (charging.Bucket, bool) {
	x := charging.Bucket{ID: b.ID, Name: tariff.MoneyBalance, Unit: tariff.Money, Priority: b.Priority, Expires: b.Expires, Value: b.Available()}
	if b.Made == nil || b.Made.Allowance == "" {
		return x, b.Unit == journal.Unit(o.Currency)
	}
	for i := range o.Allowances {
		a := &o.Allowances[i]
		if a.Name != b.Made.Allowance && (a.Shared == nil || a.Shared.Pool != b.Made.Pool) || (a.Shared != nil) != (b.Made.Pool != "") || b.Unit != unitOf(o, a) {
			continue
		}
		x.Name, x.Unit, x.Terms, x.Given, x.Since = a.Name, a.Unit, o.terms[i], b.Made.Given, b.Made.From
		if a.Shared != nil && a.Shared.PerChild > 0 {
			t := &s.till
			t.limits = append(t.limits, charging.Limit{Left: max(a.Shared.PerChild-b.Made.UsedBy(sub.ID)+free, 0)})
			x.Limit = &t.limits[len(t.limits)-1]
		}
		return x, true
	}
	return x, false // the offering in force knows no allowance of this name
}

// sitting makes the charging state of a component of a session.
func (s *State) sitting(sess *Session, o *version, i int) (*charging.Session, error) {
	c := &s.till.session
	*c = charging.Session{Context: rating.Context{Component: o.meters[i], Start: sess.Key.Start}}
	if sess.rated != nil {
		p := &sess.rated.parts[i]
		c.Context.Start, c.Context.Zone, c.State, c.Draws = p.start, p.zone, p.tally, slices.Clone(p.draws)
		c.Owed, c.Payers = p.owed, slices.Clone(p.payers)
		return c, nil
	}
	var err error
	c.State, err = o.plan.Resume(c.Context, sess.Rating)
	return c, err
}

// useBy rates what a report added by one component and lets the wallet pay. False
// when the numbers do not fit; then nothing has changed.
func (s *State) useBy(sess *Session, sub *Subscription, o *version, i int, from int64, d session.Delta) bool {
	u := rating.Use{Quantity: d.Seconds, From: from, To: max(sess.Meter.Event, from)}
	if o.plan.Unit(o.meters[i]) == tariff.Bytes {
		u.Quantity = int64(d.In + d.Out)
	}
	c, err := s.sitting(sess, o, i)
	if err != nil {
		return false
	}
	if sess.rated != nil && o.byPeriod(i) {
		u.New = s.counting(c, sess, sub, o, i, sess.Meter.Seconds-d.Seconds)
	}
	r := &s.till.result
	var given []back
	if sess.rated != nil {
		given = sess.rated.back
	}
	w := s.fill(sub, o, sess.Hold, given)
	if err := charging.Debit(o.plan, c, w, u, charging.Owe, r); err != nil {
		return false
	}
	if sess.rated == nil {
		sess.Rating = c.State.State
		for j := range r.Slices { // all that is uncut is priced by one version: see switchVersion
			addSlice(&sess.Slices, r.Slices[j].Slice())
		}
	} else {
		p := &sess.rated.parts[i]
		p.tally, p.draws, p.owed, p.payers = c.State, c.Draws, c.Owed, c.Payers
		p.note(u, r.Slices, w, o.windowed())
		if o.byPeriod(i) {
			s.keep(sess, sub, o, i)
		}
	}
	s.giveBack(sess, o, i, r)
	for _, x := range r.Payments {
		b := s.buckets.get(x.Bucket)
		if n := x.Amount - sess.rated.spend(b, x.Amount); n > 0 {
			s.pay(sess, b, n)
		}
	}
	if r.Overrun > 0 {
		s.overrun(sess, o, o.meters[i], r.Unpaid, r.Overrun)
	}
	return true
}

// hold makes what is held of the wallet what the quota ahead costs, or as much of
// it as can be paid, and returns for how many units that is.
func (s *State) hold(sub *Subscription, o *version, c *charging.Session, hold *[]verify.Part) int64 {
	now, r := s.seconds(), &s.till.result
	trial := c.Clone()
	w := s.fill(sub, o, *hold, nil)
	if err := charging.Debit(o.plan, &trial, w, rating.Use{Quantity: o.Reservation.Quota, From: now, To: now}, charging.Part, r); err != nil {
		return 0
	}
	for i := range *hold {
		h := &(*hold)[i]
		if extra := h.Amount - paidBy(r.Payments, h.Bucket); extra > 0 {
			b := s.buckets.get(h.Bucket)
			s.beforeBucket(b)
			b.Release(extra)
			h.Amount -= extra
		}
	}
	*hold = slices.DeleteFunc(*hold, func(h verify.Part) bool { return h.Amount == 0 })
	for _, x := range r.Payments {
		b := s.buckets.get(x.Bucket) // "" has no peak
		if x.Peak == 0 {
			continue
		}
		more := x.Peak
		for _, h := range *hold {
			if h.Bucket == b.ID {
				more -= h.Amount
			}
		}
		s.beforeBucket(b)
		if lack := more - b.Available(); lack > 0 {
			s.borrow(b, lack)
		}
		addPart(hold, b.ID, b.Hold(more))
	}
	if len(*hold) == 0 && r.Cost >= 0 {
		return unpriced(r.Slices)
	}
	return r.Paid
}

// unpriced is how much of what was rated has no price: free, or by an allowance. A
// few units whose price rounds down to nothing are not meant.
func unpriced(slices []rating.Priced) (n int64) {
	for i := range slices {
		if x := &slices[i]; x.Price.Amount == 0 || x.Capped || x.Kind == rating.KindFree {
			n += slices[i].Quantity
		}
	}
	return n
}

func paidBy(payments []charging.Payment, bucket string) int64 {
	for _, x := range payments {
		if x.Bucket == bucket {
			return x.Peak
		}
	}
	return 0
}
