package fsm

import (
	"slices"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/edge/session"
	"meridian/internal/invariant"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/verify"
)

// use rates what a report added and charges it. The version in force when the
// stretch began prices it, so a new price never reaches back before its start.
func (s *State) use(sess *Session, from int64, d session.Delta) {
	uncut := sess.Uncut != 0
	if !uncut {
		sess.Uncut = max(s.seconds(), 1)
	}
	sub := s.subscriptions.get(sess.Subscription)
	if sub == nil {
		return
	}
	o := s.inForce(sub, from)
	if from < sub.Since { // a change never reaches back before it was executed
		o = s.before(sub, sess, from)
	}
	if o == nil {
		o = s.inForce(sub, s.seconds())
	}
	if o == nil {
		return
	}
	if !o.reaches(sess.Called) {
		o = nowhere()
	}
	if sess.Offering != o.ID || sess.Version != o.Version {
		s.switchVersion(sess, o, d, from, uncut)
	}
	if sess.rated != nil {
		s.turn(sess, sub, o, from, d)
	}
	for i := range o.meters {
		if !s.useBy(sess, sub, o, i, from, d) {
			// Quantities and prices are bounded where they enter; a product past 64 bits
			// is a report no NAS can send.
			s.Anomalies++
		}
	}
	x := sess.rated
	if x != nil && (len(x.back) > 0 || x.full()) {
		s.cut(sess)
	}
	if x != nil && x.freed {
		x.freed = false
		s.freed(sess.Account) // what was borrowed and is not spent after all is repaid first
	}
}

// switchVersion cuts what was rated by the old version, if anything is uncut, and
// begins the new one's rating state: of the same offering from where the old one's
// is, see rating.Plan.Continue. The delta that is about to be priced stays out of that
// cut.
func (s *State) switchVersion(sess *Session, o *version, d session.Delta, from int64, uncut bool) {
	if uncut {
		s.cutBefore(sess, d, from)
	}
	before := sess.Meter
	before.Seconds -= d.Seconds
	var old *version
	if sess.Offering == o.ID && o.ID != "" {
		old = s.offeringVersion(sess.Offering, sess.Version)
	}
	next := o.begin(sess, before, old)
	sess.Offering, sess.Version, sess.rated = o.ID, o.Version, next
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

// pay takes amount out of a bucket: first what the session holds of it, then what
// is available, then, while isolated, the offline allowance.
func (s *State) pay(sess *Session, b *balance.Bucket, amount int64) {
	s.beforeBucket(b)
	whole := amount
	addPart(&sess.Pending, b.ID, amount)
	for i := range sess.Hold {
		if h := &sess.Hold[i]; h.Bucket == b.ID {
			n := min(h.Amount, amount)
			b.Capture(n)
			h.Amount -= n
			amount -= n
		}
	}
	sess.Hold = slices.DeleteFunc(sess.Hold, func(h verify.Part) bool { return h.Amount == 0 })
	if lack := amount - b.Available(); lack > 0 {
		s.borrow(b, lack)
	}
	if b.Made != nil && b.Made.Pool != "" {
		b.Made.Use(sess.Subscription, whole)
	}
	paid := b.Charge(amount)
	invariant.Check(paid == amount, "bucket %s pays %d of %d", b.ID, paid, amount)
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
func (s *State) overrun(sess *Session, o *version, component int, quantity int64, amount money.Amount) {
	addSlice(&sess.Overruns, rating.Slice{Rule: rating.Rule(o.Offering, &o.Usage[component]), Quantity: quantity, Amount: amount})
	sess.OverrunTotal += amount
	s.OverrunSum += amount
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
		e.Kind, e.Detail = journal.KindQuarantine, sess.unrated()
	}
	e.Quantity = sess.sold()
	s.emit(e)
	for _, p := range sess.Pending {
		if p.Amount == 0 { // taken back since
			continue
		}
		b := s.buckets.get(p.Bucket)
		s.beforeBucket(b)
		b.Cut(p.Amount)
		e := base
		e.Kind, e.Bucket, e.Unit, e.Amount = journal.KindCharge, b.ID, b.Unit, p.Amount
		s.emit(e)
	}
	o := s.offeringVersion(sess.Offering, sess.Version)
	for _, over := range sess.Overruns {
		e := base
		e.Kind, e.Unit, e.Amount, e.Quantity = journal.KindOverrun, journal.Unit(o.Currency), int64(over.Amount), over.Quantity
		e.Ref, e.Detail = over.Rule, string(o.Overrun)
		s.emit(e)
	}
	if sess.rated != nil {
		s.cutParts(sess, o, base)
	}
	sess.Pending, sess.Overruns, sess.Slices = nil, nil, nil
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
		u.Service, u.Offering, u.OfferingVersion, u.TariffHash = sess.servedBy(o), o.ID, o.Version, o.plan.Hash
		if sess.rated != nil {
			u.CalledStation = sess.Called
			u.Parts = sess.rated.record(o)
		}
	}
	return u
}

// quarantine records a report that no session can take: it is
// acknowledged and kept, and charges nothing.
func (s *State) quarantine(c *command.Accounting, why string) {
	r := session.Report{Event: c.Event, Seconds: c.Seconds}
	sub := s.logins.get(c.Login)
	e := journal.Entry{
		Kind: journal.KindQuarantine, Detail: why,
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
