package verify

import (
	"meridian/internal/journal"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// priceParts checks a record that is rated by parts and returns what it charges in
// money. Each part continues the one before of its session, or of its
// subscription's period.
func (w *walk) priceParts(e *journal.Entry, s *ledgerSession) wide {
	v, u := &w.a.v2, e.Usage
	version := offeringKey{u.Offering, u.OfferingVersion}
	if version != s.offering {
		s.parts = nil
	}
	if s.parts == nil {
		s.parts = map[string]rating.State{}
	}
	s.offering, s.after = version, rating.State{}
	var due wide
	for i := range u.Parts {
		p := &u.Parts[i]
		var quantity, amount, reported wide
		for _, x := range p.Slices {
			quantity, amount = quantity.plus(x.Quantity), amount.plus(int64(x.Amount))
		}
		for _, x := range p.Uses {
			reported = reported.plus(x.Quantity)
		}
		if quantity != reported {
			v.fail("%s: usage record %d of session %s, component %s: its reports come to %s units, its slices to %s: off by %s",
				w.here(), u.Number, e.Session, p.Component, reported, quantity, quantity.minus(reported))
		}
		due = due.sum(amount)
		before, known := s.parts[p.Component]
		k := countedKey{e.Subscription, p.Component, u.Offering, p.Period}
		if p.Period != 0 {
			var last countedState
			last, known = w.counted[k]
			before = last.before(u.OfferingVersion, p.Before.State)
		}
		if !known && p.Period != 0 { // the first that the ledger has of the period
			before = p.Before.State
		}
		if p.Before.State != before {
			v.fail("%s: usage record %d of session %s, component %s, is priced on top of %d units at %d micro-units, the record before ended at %d at %d",
				w.here(), u.Number, e.Session, p.Component, p.Before.Quantity, p.Before.Charged, before.Quantity, before.Charged)
		}
		after := rating.State{Quantity: before.Quantity + int64(quantity.lo), Charged: before.Charged + moneyOf(amount)}
		if p.Period != 0 {
			w.counted[k] = countedState{after, u.OfferingVersion}
		} else {
			s.parts[p.Component] = after
		}
		if e.Kind == journal.KindUsage {
			w.repricePart(e, p, quantity, after)
		}
	}
	return due
}

// repricePart compares a part with the catalog: what was used is what its unit
// counts of the session, and, where the price follows from the quantity alone and
// money pays for all of it, its price.
func (w *walk) repricePart(e *journal.Entry, p *journal.UsagePart, quantity wide, after rating.State) {
	v, u := &w.a.v2, e.Usage
	version := offeringKey{u.Offering, u.OfferingVersion}
	price := w.a.prices[version]
	switch {
	case price == nil:
		if len(w.a.prices) > 0 {
			w.a.naked++
		}
		return
	case price.hash != u.TariffHash:
		v.fail("%s: usage record %d of session %s was rated by %s with content %s, the catalog has %s", w.here(), u.Number, e.Session, version, short(u.TariffHash), short(price.hash))
		return
	}
	usage := price.component(p.Component)
	if usage == nil {
		v.fail("%s: usage record %d of session %s: %s has no component %q", w.here(), u.Number, e.Session, version, p.Component)
		return
	}
	used := wide{lo: u.InOctets}.sum(wide{lo: u.OutOctets})
	switch usage.Unit {
	case tariff.Seconds:
		used = wideOf(u.Seconds)
	case tariff.Events:
		used = wideOf(e.Quantity)
	}
	if quantity != used {
		v.fail("%s: usage record %d of session %s prices %s %s by component %s, it used %s: off by %s",
			w.here(), u.Number, e.Session, quantity, usage.Unit, p.Component, used, quantity.minus(used))
	}
	rate := byQuantity(usage, p.Zone)
	if rate == nil || price.allowances || p.Period != 0 || p.Before.Events > 0 { // the last: another version has settled the fee
		return
	}
	if total := w.a.pricers.cost(usage, rate, after.Quantity).String(); total != wideOf(int64(after.Charged)).String() {
		v.fail("%s: usage record %d of session %s: %d units cost %s micro-units by component %s of %s, %d are charged",
			w.here(), u.Number, e.Session, after.Quantity, total, p.Component, version, after.Charged)
	}
}

// byQuantity is the rate of a destination's zone where the pricer knows it: the price
// follows from the quantity alone. Else nil.
func byQuantity(u *tariff.Usage, zone string) *tariff.Rate {
	var found *tariff.Rate
	for i := range u.Rates {
		r := &u.Rates[i]
		switch {
		case r.Zone != zone:
		case found != nil || r.Window != "" || u.Counted == tariff.ByPeriod:
			return nil
		default:
			found = r
		}
	}
	return found
}

// compareParts holds a live session's parts against its last record and against
// what is pending.
func (w *walk) compareParts(r *report, s *EdgeSession, have *ledgerSession, version offeringKey, pending wide) {
	v := &w.a.v2
	var charged wide
	for i := range s.Parts {
		p := &s.Parts[i]
		before, known := have.parts[p.Component], version == have.offering && have.parts != nil
		if p.Period != 0 {
			var last countedState
			last, known = w.counted[countedKey{s.Subscription, p.Component, version.id, p.Period}]
			before = last.before(version.version, p.CutBefore)
		}
		if known && p.CutBefore != before {
			v.fail("session %s at %s, component %s, goes on from %d units at %d micro-units, the last record ended at %d at %d",
				s.Key, r.label, p.Component, p.CutBefore.Quantity, p.CutBefore.Charged, before.Quantity, before.Charged)
		}
		charged = charged.plus(int64(p.Rated.Charged)).minus(wideOf(int64(p.CutBefore.Charged)))
		if p.Rated.Quantity-p.CutBefore.Quantity != p.Uncut {
			v.fail("session %s at %s, component %s: %d units were rated since record %d, it used %d", s.Key, r.label, p.Component,
				p.Rated.Quantity-p.CutBefore.Quantity, s.Cuts, p.Uncut)
		}
	}
	if charged != pending {
		v.fail("session %s at %s was charged %s micro-units since record %d, %s are pending: off by %s", s.Key, r.label, charged, s.Cuts, pending, pending.minus(charged))
	}
}
