package verify

import (
	"meridian/internal/journal"
	"meridian/internal/rating"
)

// ledgerSession is what a region's entries say of a session so far.
type ledgerSession struct {
	records     uint32
	counters    Counters
	offering    offeringKey
	after       rating.State            // rating state after the newest record
	parts       map[string]rating.State // the same by component, of a record with parts
	overrun     int64                   // of the epoch, micro-units
	paid, owed  wide                    // charges of money and overrun of all its cuts, less what was given back
	quarantined Counters                // of reports that were recorded without a charge
	late        bool                    // such reports there were
}

// nasOctets compares a NAS's hourly totals with its sessions' records.
type nasOctets struct{ totals, recorded uint64 }

func (w *walk) octets(nas string) *nasOctets {
	n := w.nas[nas]
	if n == nil {
		n = &nasOctets{}
		w.nas[nas] = n
	}
	return n
}

// group is a cut whose charges are being read.
type group struct {
	open    bool
	place   string
	session journal.SessionKey
	cut     uint32
	due     wide            // what its slices are priced at
	paid    wide            // charges and overrun, less refunds
	covers  map[string]bool // allowances that its slices name
}

// countedKey names what a usage component of a subscription is counted over: versions
// of an offering go on with one count.
type countedKey struct {
	subscription, component, offering string
	period                            int64
}

// countedState is where a count stands after the newest record.
type countedState struct {
	rating.State
	version uint32
}

// before is where a record by a version should go on: where the last one ended. Another
// version goes on with all of the quantity, and may have lowered what was charged to
// its own maximum.
func (c countedState) before(version uint32, have rating.State) rating.State {
	if c.version != version && have.Quantity == c.Quantity && have.Charged >= 0 && have.Charged <= c.Charged {
		return have
	}
	return c.State
}

func (w *walk) session(k journal.SessionKey) *ledgerSession {
	s := w.sessions[k]
	if s == nil {
		s = &ledgerSession{}
		w.sessions[k] = s
	}
	return s
}

// usage follows a usage record: dense in number, contiguous in counters, priced
// as its version says.
func (w *walk) usage(e *journal.Entry) {
	v, u, s := &w.a.v2, e.Usage, w.session(e.Session)
	now := Counters{In: u.CumulativeIn, Out: u.CumulativeOut, Seconds: u.CumulativeSeconds}
	if u.Number == 0 {
		if e.Kind != journal.KindQuarantine {
			v.fail("%s: usage record of session %s has number 0: they are numbered from 1", w.here(), e.Session)
		}
		s.quarantined.raise(now)
		s.late = true
		return
	}
	v.checked++
	w.a.usageRecords++
	if u.Number != s.records+1 {
		v.fail("%s: usage record %d of session %s follows record %d: one is missing or stands twice", w.here(), u.Number, e.Session, s.records)
	}
	from := s.counters
	if now.In-u.InOctets != from.In || now.Out-u.OutOctets != from.Out || now.Seconds-u.Seconds != from.Seconds {
		v.fail("%s: usage record %d of session %s goes to %d/%d octets and %d s by %d/%d and %d s, the record before ended at %d/%d and %d s: usage is missing or counted twice",
			w.here(), u.Number, e.Session, now.In, now.Out, now.Seconds, u.InOctets, u.OutOctets, u.Seconds, from.In, from.Out, from.Seconds)
	}
	w.octets(e.Session.NAS).recorded += u.InOctets + u.OutOctets
	due := w.priceRecord(e, s)
	s.records, s.counters = u.Number, now
	w.group = group{open: true, place: w.here(), session: e.Session, cut: u.Number, due: due}
	for i := range u.Parts {
		for _, x := range u.Parts[i].Slices {
			if x.Bucket != "" {
				if w.group.covers == nil {
					w.group.covers = map[string]bool{}
				}
				w.group.covers[x.Bucket] = true
			}
		}
	}
}

// priceRecord checks a record's rating and returns what it charges.
func (w *walk) priceRecord(e *journal.Entry, s *ledgerSession) wide {
	v, u := &w.a.v2, e.Usage
	if len(u.Parts) > 0 {
		return w.priceParts(e, s)
	}
	var quantity, amount wide
	for _, slice := range u.Slices {
		quantity, amount = quantity.plus(slice.Quantity), amount.plus(int64(slice.Amount))
	}
	version := offeringKey{u.Offering, u.OfferingVersion}
	before := s.after
	if version != s.offering {
		before = rating.State{}
	}
	if u.Before != before {
		v.fail("%s: usage record %d of session %s is priced on top of %d units at %d micro-units, the record before ended at %d at %d",
			w.here(), u.Number, e.Session, u.Before.Quantity, u.Before.Charged, before.Quantity, before.Charged)
	}
	s.offering, s.parts = version, nil
	s.after = rating.State{Quantity: u.Before.Quantity + int64(quantity.lo), Charged: u.Before.Charged + moneyOf(amount)}
	if e.Kind == journal.KindUsage {
		w.reprice(e, quantity, amount)
	}
	return amount
}

// ofCut tells whether entries of a kind belong to the cut whose record stands before
// them.
func ofCut(k journal.Kind) bool {
	return k == journal.KindCharge || k == journal.KindOverrun || k == journal.KindRefund || k == journal.KindReversed
}

// bear follows who bears what a session was charged: nothing is given back that it
// did not pay, and nothing forgiven that it did not owe.
func (w *walk) bear(e *journal.Entry) {
	s, amount := w.session(e.Session), wideOf(e.Amount)
	switch e.Kind {
	case journal.KindCharge:
		s.paid = s.paid.sum(amount)
	case journal.KindRefund:
		s.paid = s.paid.minus(amount)
	case journal.KindOverrun:
		s.owed = s.owed.sum(amount)
	case journal.KindReversed:
		s.owed = s.owed.minus(amount)
	}
	if s.paid.negative() || s.owed.negative() {
		w.a.v4.fail("%s: %s of %d %s for session %s: that leaves %s paid and %s owed: more is given back than was paid or owed", w.here(), e.Kind, e.Amount, e.Unit, e.Session, s.paid, s.owed)
	}
}

// charge takes a charge or an overrun of the cut whose record stands before it.
func (w *walk) charge(e *journal.Entry) {
	g := &w.group
	if !g.open || g.session != e.Session || g.cut != e.Cut || e.Cut == 0 {
		w.a.v2.fail("%s: %s of %d %s for cut %d of session %s does not follow that cut's usage record: usage is charged twice or without a record",
			w.here(), e.Kind, e.Amount, e.Unit, e.Cut, e.Session)
		return
	}
	if e.Unit.IsMoney() {
		w.bear(e)
	}
	switch {
	case e.Kind == journal.KindRefund || e.Kind == journal.KindReversed:
		g.paid = g.paid.minus(wideOf(e.Amount))
	case e.Unit.IsMoney():
		g.paid = g.paid.plus(e.Amount)
	case !g.covers[e.Bucket]:
		w.a.v2.fail("%s: %d %s of bucket %s are charged for cut %d of session %s, whose slices do not name it", w.here(), e.Amount, e.Unit, e.Bucket, e.Cut, e.Session)
	}
	if e.Kind != journal.KindOverrun {
		return
	}
	w.overrun = w.overrun.plus(e.Amount)
	if s := w.session(e.Session); !addAmount(&s.overrun, e.Amount) {
		w.a.v4.fail("%s: overrun of session %s overflows 64 bits", w.here(), e.Session)
	}
}

// closeGroup compares a cut's charges with its price. It is called when the cut is
// known to be complete: at the next record, at an epoch's end and where a node
// stands. A cut at the end of what the centre has may still be on its way.
func (w *walk) closeGroup() {
	g := &w.group
	if g.open && g.due != g.paid {
		w.a.v2.fail("%s: usage record %d of session %s is priced at %s micro-units, its charges and overrun sum to %s: off by %s",
			g.place, g.cut, g.session, g.due, g.paid, g.paid.minus(g.due))
	}
	*g = group{}
}

// compareSessions holds a node's live sessions against the ledger at the same
// place.
func (w *walk) compareSessions(r *report) {
	v := &w.a.v2
	live, units := map[string]uint64{}, map[string]journal.Unit{}
	for i := range r.Buckets {
		units[r.Buckets[i].ID] = r.Buckets[i].Unit
	}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		v.checked++
		var have ledgerSession
		if l := w.sessions[s.Key]; l != nil {
			have = *l
		}
		cut := Counters{In: s.CutIn, Out: s.CutOut, Seconds: s.CutSeconds}
		if s.Cuts != have.records || cut != have.counters {
			v.fail("session %s at %s says %d records up to %d/%d octets and %d s, the ledger has %d up to %d/%d and %d s: usage is lost or counted twice",
				s.Key, r.label, s.Cuts, cut.In, cut.Out, cut.Seconds, have.records, have.counters.In, have.counters.Out, have.counters.Seconds)
		}
		if s.In < s.CutIn || s.Out < s.CutOut || s.Seconds < s.CutSeconds {
			v.fail("session %s at %s counts %d/%d octets and %d s, less than its last record's %d/%d and %d s: counters went down",
				s.Key, r.label, s.In, s.Out, s.Seconds, s.CutIn, s.CutOut, s.CutSeconds)
		}
		live[s.Key.NAS] += s.In - s.CutIn + s.Out - s.CutOut
		w.comparePending(r, s, &have, units)
	}
	for _, nas := range sortedKeys(w.nas) {
		if n := w.nas[nas]; n.recorded+live[nas] < n.totals {
			v.fail("NAS %s of region %s: its hourly totals up to entry %d count %d octets, its sessions %d in records and %d uncut: %d are hidden",
				nas, w.region.Name, w.seq, n.totals, n.recorded, live[nas], n.totals-n.recorded-live[nas])
		}
	}
}

// comparePending prices what a session has used since its last record.
func (w *walk) comparePending(r *report, s *EdgeSession, have *ledgerSession, units map[string]journal.Unit) {
	pending := wideOf(s.PendingOverrun)
	for _, p := range s.Pending {
		if units[p.Bucket].IsMoney() {
			pending = pending.plus(p.Amount)
		}
	}
	if s.In == s.CutIn && s.Out == s.CutOut && s.Seconds == s.CutSeconds && !pending.isZero() {
		w.a.v2.fail("session %s at %s has %s micro-units pending, and used nothing since record %d: usage is charged twice", s.Key, r.label, pending, s.Cuts)
	}
	if s.Offering == "" {
		return
	}
	version := offeringKey{s.Offering, s.Version}
	if len(s.Parts) > 0 {
		w.compareParts(r, s, have, version, pending)
		return
	}
	if have.records > 0 && version == have.offering && s.CutBefore != have.after {
		w.a.v2.fail("session %s at %s goes on from %d units at %d micro-units, its last record ended at %d at %d",
			s.Key, r.label, s.CutBefore.Quantity, s.CutBefore.Charged, have.after.Quantity, have.after.Charged)
	}
	if got := wideOf(int64(s.Rated.Charged)).minus(wideOf(int64(s.CutBefore.Charged))); got != pending {
		w.a.v2.fail("session %s at %s was charged %s micro-units since record %d, %s are pending: off by %s", s.Key, r.label, got, s.Cuts, pending, pending.minus(got))
	}
	w.repriceLive(r, s, version)
}
