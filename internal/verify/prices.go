package verify

import (
	"fmt"
	"math/big"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// offeringKey names an offering version.
type offeringKey struct {
	id      string
	version uint32
}

// String writes id@version.
func (k offeringKey) String() string { return fmt.Sprintf("%s@%d", k.id, k.version) }

// price is a version's price and content hash.
type price struct {
	usage *tariff.Usage
	hash  [32]byte
}

func (a *audit) loadPrices() {
	a.prices = make(map[offeringKey]*price, len(a.opt.Offerings))
	for _, o := range a.opt.Offerings {
		a.prices[offeringKey{o.ID, o.Version}] = &price{usage: o.Metering(), hash: o.Hash()}
	}
}

// pricer prices by big integers: slow, plain, and not the code that is audited.
type pricer struct{ n, m big.Int }

// cost is floor(quantity · price / per).
func (p *pricer) cost(u *tariff.Usage, quantity int64) *big.Int {
	p.n.SetInt64(quantity)
	p.n.Mul(&p.n, p.m.SetInt64(int64(u.Rates[0].Price.Amount)))
	return p.n.Div(&p.n, p.m.SetInt64(u.Rates[0].Price.Per))
}

// moneyOf narrows a sum that a check has compared, or is about to, in full width.
func moneyOf(w wide) money.Amount { return money.Amount(int64(w.lo)) }

// reprice prices a usage record by the version that it names: all of its usage,
// at that version's price.
func (w *walk) reprice(e *journal.Entry, quantity, amount wide) {
	v, u := &w.a.v2, e.Usage
	octets, seconds := wide{lo: u.InOctets}.sum(wide{lo: u.OutOctets}), wideOf(u.Seconds)
	version := offeringKey{u.Offering, u.OfferingVersion}
	p := w.a.prices[version]
	switch {
	case p == nil:
		if len(w.a.prices) > 0 {
			w.a.naked++
		}
		if len(u.Slices) > 0 && quantity != octets && quantity != seconds {
			v.fail("%s: usage record %d of session %s prices %s units of %s octets or %s seconds", w.here(), u.Number, e.Session, quantity, octets, seconds)
		}
		return
	case p.hash != u.TariffHash:
		v.fail("%s: usage record %d of session %s was rated by %s with content %s, the catalog has %s", w.here(), u.Number, e.Session, version, short(u.TariffHash), short(p.hash))
		return
	case p.usage == nil:
		if !amount.isZero() {
			v.fail("%s: usage record %d of session %s is priced at %s micro-units, usage of %s is free", w.here(), u.Number, e.Session, amount, version)
		}
		return
	}
	used := octets
	if p.usage.Unit == tariff.Seconds {
		used = seconds
	}
	if quantity != used {
		v.fail("%s: usage record %d of session %s prices %s %s, it used %s: off by %s", w.here(), u.Number, e.Session, quantity, p.usage.Unit, used, quantity.minus(used))
	}
	total := w.a.pricers.cost(p.usage, u.Before.Quantity+int64(quantity.lo)).String()
	if got := wideOf(int64(u.Before.Charged)).sum(amount).String(); got != total {
		v.fail("%s: usage record %d of session %s: %d units cost %s micro-units by %s, %s are charged",
			w.here(), u.Number, e.Session, u.Before.Quantity+int64(quantity.lo), total, version, got)
	}
}

// repriceLive prices what a session used up to now.
func (w *walk) repriceLive(r *report, s *EdgeSession, version offeringKey) {
	p := w.a.prices[version]
	if p == nil || p.usage == nil {
		return
	}
	used := wide{lo: s.In - s.CutIn}.sum(wide{lo: s.Out - s.CutOut})
	if p.usage.Unit == tariff.Seconds {
		used = wideOf(s.Seconds - s.CutSeconds)
	}
	rated := wideOf(s.Rated.Quantity).minus(wideOf(s.CutBefore.Quantity))
	total := w.a.pricers.cost(p.usage, s.Rated.Quantity).String()
	if got := fmt.Sprint(int64(s.Rated.Charged)); used != rated || got != total {
		w.a.v2.fail("session %s at %s used %s %s since record %d and rated %s; %d cost %s micro-units by %s, %s are charged",
			s.Key, r.label, used, p.usage.Unit, s.Cuts, rated, s.Rated.Quantity, total, version, got)
	}
}
