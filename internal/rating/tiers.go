package rating

import (
	"math"
	"math/bits"

	"meridian/internal/money"
)

// volume prices all usage of the session or period at the tier that it reached,
// and charges the difference to what was charged before, which may be negative.
func (w *walk) volume(u Use) error {
	c, s := w.c, &w.s
	r := c.zones[w.ctx.Zone].always
	if r == nil {
		return c.fault(s, ErrNoRate, "zone %q", c.names[w.ctx.Zone])
	}
	if free := w.free(u.Quantity); free > 0 {
		s.Free += free
		s.Quantity += free
		u.Quantity -= free
		w.emit(Priced{Rule: c.rule, Kind: KindFree, Quantity: free})
	}
	before, paid := *s, u.Quantity
	fee := money.Amount(0)
	if !s.Started && paid > 0 {
		fee = r.fee
	}
	if c.byPeriod { // beside the tiers' price, which is made anew each time
		s.Done += fee
	}
	if w.ahead {
		if paid = w.volumeFit(r, paid); paid == 0 {
			*s = before
			return nil
		}
	}
	i, ok := w.volumeState(r, s, paid)
	if !ok {
		return c.fault(&before, money.ErrOverflow, "%d more", paid)
	}
	if fee > 0 {
		rule := &w.plan.rules[r.feeRule]
		w.emit(Priced{Rule: rule.name, Kind: KindFee, Charged: 1, Step: 1, Amount: fee, Price: rule.price})
	}
	s.Started = s.Started || paid > 0
	g := &r.segments[i]
	rule := &w.plan.rules[g.rule]
	s.Rule = g.rule + 1
	w.emit(Priced{Rule: rule.name, Kind: KindUsage, Quantity: paid, Charged: paid, Amount: s.plain(c) - before.plain(c) - fee, Price: rule.price, Step: rule.step})
	return nil
}

// Falls tells whether a component's price may fall: its tiers are of volume, so that
// all of its usage is priced anew at each of them.
func (p *Plan) Falls(component int) bool { return p.components[component].volume }

// TierLeft is how much more usage is free, and how much after it is priced by the
// volume tier that s has reached: both 0 when the next count begins another tier.
func (p *Plan) TierLeft(c Context, s Tally) (free, priced int64) {
	w := walk{plan: p, c: &p.components[c.Component], ctx: c, s: s}
	r := w.c.zones[c.Zone].always
	if r == nil {
		return 0, math.MaxInt64
	}
	have, i := s.Quantity-s.Free, 0
	for r.segments[i].to < have {
		i++
	}
	return w.free(math.MaxInt64), r.segments[i].to - have
}

// jumps is what the price can rise by at once, in all, where volume tiers begin.
func (c *component) jumps(r *rate) (sum money.Amount, err error) {
	w := walk{c: c}
	for i := 1; c.volume && i < len(r.segments); i++ {
		var before, after Tally
		end := r.segments[i].from
		if _, ok := w.volumeState(r, &before, end); !ok {
			return 0, money.ErrOverflow
		}
		if _, ok := w.volumeState(r, &after, end+1); !ok {
			return 0, money.ErrOverflow
		}
		if sum, err = money.Add(sum, max(after.total(c)-before.total(c), 0)); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// volumeState makes s the state after more paid usage and gives the tier.
func (w *walk) volumeState(r *rate, s *Tally, more int64) (int, bool) {
	total := s.Quantity - s.Free + more
	i := 0
	for r.segments[i].to < total {
		i++
	}
	g := &r.segments[i]
	s.Quantity += more
	s.Covered = total
	s.Whole, s.Rem = 0, 0
	if total > 0 || w.c.byPeriod {
		s.Whole = g.flat
	}
	if total > 0 {
		s.HasUsage = true
		if !w.c.byPeriod {
			s.Whole += r.fee
		}
	}
	n := uint64(total+g.step-1) / uint64(g.step)
	return i, s.add(n, g.num, w.c.den)
}

// volumeFit is how much more usage the budget pays for without the price passing
// it on the way: tier by tier, as a tier's price only rises.
func (w *walk) volumeFit(r *rate, want int64) int64 {
	s := w.s
	fits := int64(0)
	price := func(more int64) money.Amount {
		probe := s
		if _, ok := w.volumeState(r, &probe, more); !ok {
			return math.MaxInt64
		}
		return probe.total(w.c)
	}
	have := s.Quantity - s.Free
	for i := range r.segments {
		end := min(want, r.segments[i].to-have)
		if end <= fits {
			continue
		}
		if price(fits+1) > w.top {
			w.full = true
			return fits
		}
		lo, hi := fits+1, end // price(lo) fits
		if price(hi) <= w.top {
			lo = hi
		}
		for lo < hi {
			mid := lo + (hi-lo+1)/2
			if price(mid) <= w.top {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		fits = lo
		if fits < end {
			w.full = true
			return fits
		}
	}
	return fits
}

// weighted prices a change of level: each unit by the tier in which it lies, times
// the weight. Quantity is the level.
func (w *walk) weighted(u Use) error {
	c, s := w.c, &w.s
	level := s.Quantity + u.Quantity
	if u.Weight < 0 || u.Quantity > math.MaxInt64/4 || u.Quantity < -s.Quantity || level > math.MaxInt64/4 {
		return c.fault(s, ErrQuantity, "change by %d with weight %d: the level must stay from 0 to 2^61 and weights are not negative", u.Quantity, u.Weight)
	}
	r := c.zones[w.ctx.Zone].always
	if r == nil {
		return c.fault(s, ErrNoRate, "zone %q", c.names[w.ctx.Zone])
	}
	if u.New {
		s.begin(w.plan, c)
	}
	lo, hi := min(s.Quantity, level), max(s.Quantity, level)
	for i := range r.segments {
		g := &r.segments[i]
		if i > 0 && g.from >= hi {
			break
		}
		w.flats(r, i)
		n := min(hi, g.to) - max(lo, g.from)
		if n <= 0 {
			continue
		}
		before := s.plain(c)
		over, units := bits.Mul64(uint64(n), uint64(u.Weight))
		ok := over == 0
		if u.Quantity > 0 {
			ok = ok && s.add(units, g.num, c.den)
		} else {
			ok = ok && s.sub(units, g.num, c.den)
			n = -n
		}
		if !ok {
			return c.fault(s, money.ErrOverflow, "change by %d with weight %d", u.Quantity, u.Weight)
		}
		s.Rule = g.rule + 1
		s.HasUsage = true
		rule := &w.plan.rules[g.rule]
		w.emit(Priced{Rule: rule.name, Kind: KindUsage, Quantity: n, Charged: n, Amount: s.plain(c) - before, Price: rule.price, Step: 1})
	}
	s.Quantity, s.Covered = level, level
	w.close()
	return nil
}
