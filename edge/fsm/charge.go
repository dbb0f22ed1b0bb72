package fsm

import (
	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/edge/session"
	"meridian/internal/invariant"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// use rates what a report added and charges it. The version in force when the
// stretch began prices it, so a new price never reaches back before its start.
func (s *State) use(sess *Session, from int64, d session.Delta) {
	uncut := sess.Uncut != 0
	if !uncut {
		sess.Uncut = max(s.seconds(), 1)
	}
	sub := s.subscriptions[sess.Subscription]
	if sub == nil {
		return
	}
	id := sub.Offering
	if from < sub.Since { // a change never reaches back before it was executed
		id = sub.Previous
	}
	o := s.offeringAt(id, from)
	if o == nil {
		o = s.offeringAt(sub.Offering, s.seconds())
	}
	if o == nil {
		return
	}
	if sess.Offering != o.ID || sess.Version != o.Version {
		s.switchVersion(sess, o, d, from, uncut)
	}
	if o.meter < 0 {
		return
	}
	quantity := d.Seconds
	if o.meters(tariff.Bytes) {
		quantity = int64(d.In + d.Out)
	}
	priced, next, err := o.charge(s.priced[:0], sess.Key.Start, sess.Rating, quantity)
	if err != nil {
		// Quantities and prices are bounded where they enter; a product past 64 bits
		// is a report no NAS can send.
		s.Anomalies++
		return
	}
	s.priced = priced
	amount := next.Charged - sess.Rating.Charged
	sess.Rating = next
	for i := range priced { // all that is uncut is priced by one version: see switchVersion
		addSlice(&sess.Slices, priced[i].Slice())
	}
	left := s.pay(sess, journal.Unit(o.Currency), int64(amount))
	if left > 0 {
		s.overrun(sess, o, left, int64(amount), quantity)
	}
}

// switchVersion cuts what was rated by the old version, if anything is uncut, and
// begins the new one's rating state. The delta that is about to be priced stays
// out of that cut.
func (s *State) switchVersion(sess *Session, o *version, d session.Delta, from int64, uncut bool) {
	if uncut {
		after := sess.Meter
		sess.Meter = session.Meter{In: after.In - d.In, Out: after.Out - d.Out, Seconds: after.Seconds - d.Seconds, Event: from}
		s.cut(sess)
		sess.Meter = after
		sess.Uncut = max(s.seconds(), 1)
	}
	sess.Offering, sess.Version = o.ID, o.Version
	sess.Rating, sess.CutBefore = rating.State{}, rating.State{}
}

// addSlice adds to the slice of the same rule: a version has few.
func addSlice(list *[]rating.Slice, x rating.Slice) {
	for i := range *list {
		if have := &(*list)[i]; have.Rule == x.Rule {
			have.Quantity += x.Quantity
			have.Amount += x.Amount
			return
		}
	}
	*list = append(*list, x)
}

func addPart(list *[]verify.Part, bucket string, amount int64) {
	if amount == 0 {
		return
	}
	for i := range *list {
		if (*list)[i].Bucket == bucket {
			(*list)[i].Amount += amount
			return
		}
	}
	*list = append(*list, verify.Part{Bucket: bucket, Amount: amount})
}

// pay charges amount: first from what the session holds, then from what is
// available in charging order, then, while isolated, from the offline allowance.
// It returns what nothing could pay.
func (s *State) pay(sess *Session, unit journal.Unit, amount int64) int64 {
	for i := range sess.Hold {
		if amount == 0 {
			break
		}
		h := &sess.Hold[i]
		n := min(h.Amount, amount)
		b := s.buckets[h.Bucket]
		s.beforeBucket(b)
		b.Capture(n)
		h.Amount -= n
		amount -= n
		addPart(&sess.Pending, h.Bucket, n)
	}
	for len(sess.Hold) > 0 && sess.Hold[0].Amount == 0 {
		sess.Hold = sess.Hold[1:]
	}
	usable := s.usable(sess.Account, unit)
	for _, b := range usable {
		if amount == 0 {
			break
		}
		s.beforeBucket(b)
		n := b.Charge(amount)
		amount -= n
		addPart(&sess.Pending, b.ID, n)
	}
	for _, b := range usable {
		if amount == 0 || s.Mode == command.Connected {
			break
		}
		if s.borrow(b, amount) > 0 {
			n := b.Charge(amount)
			amount -= n
			addPart(&sess.Pending, b.ID, n)
		}
	}
	return amount
}

// borrow raises B within the allowance, with its entry.
func (s *State) borrow(b *balance.Bucket, want int64) int64 {
	s.beforeBucket(b)
	n := b.Borrow(want)
	if n > 0 {
		s.emit(journal.Entry{Kind: journal.KindBorrowed, Account: b.Account, Bucket: b.ID, Unit: b.Unit, Amount: n})
	}
	return n
}

// overrun records usage that nothing could pay: priced in full, never taking a
// bucket below zero.
func (s *State) overrun(sess *Session, o *version, left, amount, quantity int64) {
	part := quantity
	if left < amount {
		q, err := money.MulDiv(quantity, left, amount, money.Floor)
		invariant.Check(err == nil, "share of %d by %d/%d: %v", quantity, left, amount, err)
		part = q
	}
	sess.PendingOverrun.Rule = rating.Rule(o.Offering, o.Metering())
	sess.PendingOverrun.Quantity += part
	sess.PendingOverrun.Amount += money.Amount(left)
	sess.OverrunTotal += money.Amount(left)
	s.OverrunSum += money.Amount(left)
	s.OverrunWorst = max(s.OverrunWorst, sess.OverrunTotal)
}

// cut writes the usage record of what the session used since the last one, and
// the charges that name it.
func (s *State) cut(sess *Session) {
	if sess.Uncut == 0 {
		return
	}
	s.beforeSession(sess)
	sess.Cuts++
	u := s.usageRecord(sess)
	base := journal.Entry{
		Account: sess.Account, Subscription: sess.Subscription, Session: sess.Key, Cut: sess.Cuts,
	}
	e := base
	e.Kind, e.Usage = journal.KindUsage, u
	if sess.Subscription == "" || sess.Offering == "" {
		e.Kind, e.Detail = journal.KindQuarantine, "no subscription or offering for login "+sess.Login
	}
	s.emit(e)
	for _, p := range sess.Pending {
		b := s.buckets[p.Bucket]
		s.beforeBucket(b)
		b.Cut(p.Amount)
		e := base
		e.Kind, e.Bucket, e.Unit, e.Amount = journal.KindCharge, b.ID, b.Unit, p.Amount
		s.emit(e)
	}
	if over := sess.PendingOverrun; over.Amount > 0 {
		o := s.offeringVersion(sess.Offering, sess.Version)
		e := base
		e.Kind, e.Unit, e.Amount, e.Quantity = journal.KindOverrun, journal.Unit(o.Currency), int64(over.Amount), over.Quantity
		e.Ref, e.Detail = over.Rule, string(o.Overrun)
		s.emit(e)
	}
	sess.Pending, sess.PendingOverrun, sess.Slices = nil, rating.Slice{}, nil
	sess.CutMeter, sess.CutBefore, sess.Uncut = sess.Meter, sess.Rating, 0
}

func (s *State) usageRecord(sess *Session) *journal.UsageRecord {
	u := &journal.UsageRecord{
		Number: sess.Cuts, From: sess.CutMeter.Event, To: sess.Meter.Event,
		InOctets: sess.Meter.In - sess.CutMeter.In, OutOctets: sess.Meter.Out - sess.CutMeter.Out,
		Seconds:      sess.Meter.Seconds - sess.CutMeter.Seconds,
		CumulativeIn: sess.Meter.In, CumulativeOut: sess.Meter.Out, CumulativeSeconds: sess.Meter.Seconds,
		FramedIP: sess.FramedIP, NASPort: sess.NASPort, CallingStation: sess.CallingStation,
		Before: sess.CutBefore, Slices: rating.Canonical(sess.Slices),
	}
	if !sess.Open {
		u.TerminateCause = sess.Cause
	}
	if o := s.offeringVersion(sess.Offering, sess.Version); o != nil {
		u.Service, u.Offering, u.OfferingVersion, u.TariffHash = o.Service, o.ID, o.Version, o.plan.Hash
	}
	return u
}

// quarantineLate records a report that is older than any tombstone: it is
// acknowledged and kept, and charges nothing.
func (s *State) quarantineLate(c *command.Accounting) {
	r := session.Report{Event: c.Event, Seconds: c.Seconds}
	sub := s.logins[c.Login]
	e := journal.Entry{
		Kind: journal.KindQuarantine, Detail: "older than closed sessions are remembered",
		Session: journal.SessionKey{NAS: c.NAS, ID: c.SessionID, Start: r.Start()},
		Usage: &journal.UsageRecord{
			From: r.Start(), To: c.Event, InOctets: c.In, OutOctets: c.Out, Seconds: max(c.Seconds, 0),
			CumulativeIn: c.In, CumulativeOut: c.Out, CumulativeSeconds: max(c.Seconds, 0), FramedIP: c.FramedIP,
		},
	}
	if sub != nil {
		e.Account, e.Subscription = sub.Account, sub.ID
	}
	s.emit(e)
}
