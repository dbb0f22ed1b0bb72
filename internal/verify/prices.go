package verify

import (
	"fmt"
	"math/big"
	"slices"

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
	usage      *tariff.Usage
	components []tariff.Usage
	allowances bool
	hash       [32]byte
}

func (p *price) component(name string) *tariff.Usage {
	for i := range p.components {
		if p.components[i].Name == name {
			return &p.components[i]
		}
	}
	return nil
}

func (a *audit) loadPrices() {
	a.prices = make(map[offeringKey]*price, len(a.opt.Offerings))
	for _, o := range a.opt.Offerings {
		a.prices[offeringKey{o.ID, o.Version}] = &price{usage: o.Metering(), components: o.Usage, allowances: slices.ContainsFunc(o.Allowances, func(a tariff.Allowance) bool { return a.Unit != tariff.Money }), hash: o.Hash()}
	}
}

// pricer prices by big integers: slow, plain, and not the code that is audited.
type pricer struct{ n, m big.Int }

// cost is what a session of quantity units costs by a component's one rate, without
// windows: fee, first step, tiers in whole steps, maxima, rounded down at the end.
func (p *pricer) cost(u *tariff.Usage, r *tariff.Rate, quantity int64) *big.Int {
	quantity -= u.Free.Units
	if quantity <= 0 {
		return new(big.Int)
	}
	if r.Fee == 0 && r.First == 0 && r.Next == 0 && len(r.Tiers) == 0 && r.MaxCost == 0 && u.MinEvent == 0 && u.MaxEvent == 0 {
		p.n.SetInt64(quantity)
		p.n.Mul(&p.n, p.m.SetInt64(int64(r.Price.Amount)))
		return p.n.Div(&p.n, p.m.SetInt64(r.Price.Per))
	}
	total := tiered(r, quantity)
	if r.Mode == tariff.Volume {
		total = atTier(r, quantity)
	}
	most := func(limit money.Amount) {
		if b := big.NewRat(int64(limit), 1); limit > 0 && total.Cmp(b) > 0 {
			total = b
		}
	}
	if r.AfterMax == tariff.FreeAfter {
		most(r.MaxCost)
	}
	if least := big.NewRat(int64(u.MinEvent), 1); total.Cmp(least) < 0 {
		total = least
	}
	most(u.MaxEvent)
	return new(big.Int).Div(total.Num(), total.Denom())
}

// tiered walks the tiers of a rate step by step of the tariff's own text.
func tiered(r *tariff.Rate, quantity int64) *big.Rat {
	tiers := r.Tiers
	if len(tiers) == 0 {
		tiers = []tariff.Tier{{Price: r.Price}}
	}
	total := big.NewRat(int64(r.Fee), 1)
	add := func(units int64, price tariff.Price) {
		x := big.NewRat(units, price.Per)
		total.Add(total, x.Mul(x, big.NewRat(int64(price.Amount), 1)))
	}
	at := int64(0)
	if r.First > 0 && r.First != r.Next {
		add(r.First, tiers[0].Price)
		total.Add(total, big.NewRat(int64(tiers[0].Flat), 1))
		at = r.First
	}
	from := at
	for i, t := range tiers {
		if t.UpTo > 0 && t.UpTo <= from {
			continue // inside the first step
		}
		if at >= quantity {
			break
		}
		if i > 0 || from == 0 {
			total.Add(total, big.NewRat(int64(t.Flat), 1))
		}
		step := max(t.Step, 1)
		if t.Step == 0 && r.Next > 0 {
			step = r.Next
		}
		end := quantity
		if t.UpTo > 0 {
			end = min(end, t.UpTo)
		}
		if end > at {
			whole := (end - at + step - 1) / step * step
			add(whole, t.Price)
			at += whole
		}
	}
	return total
}

// atTier prices all of the quantity by the volume tier that it reaches.
func atTier(r *tariff.Rate, quantity int64) *big.Rat {
	i := 0
	for r.Tiers[i].UpTo > 0 && r.Tiers[i].UpTo < quantity {
		i++
	}
	t := &r.Tiers[i]
	step := max(t.Step, 1)
	if t.Step == 0 && r.Next > 0 {
		step = r.Next
	}
	total := big.NewRat((quantity+step-1)/step*step, t.Price.Per)
	total.Mul(total, big.NewRat(int64(t.Price.Amount), 1))
	return total.Add(total, big.NewRat(int64(r.Fee)+int64(t.Flat), 1))
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
	total := w.a.pricers.cost(p.usage, &p.usage.Rates[0], u.Before.Quantity+int64(quantity.lo)).String()
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
	total := w.a.pricers.cost(p.usage, &p.usage.Rates[0], s.Rated.Quantity).String()
	if got := fmt.Sprint(int64(s.Rated.Charged)); used != rated || got != total {
		w.a.v2.fail("session %s at %s used %s %s since record %d and rated %s; %d cost %s micro-units by %s, %s are charged",
			s.Key, r.label, used, p.usage.Unit, s.Cuts, rated, s.Rated.Quantity, total, version, got)
	}
}
