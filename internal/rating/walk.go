package rating

import (
	"math"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// walk prices one piece of usage. Its loop goes from step to step only where
// something changes: window, tier, end of usage or budget.
type walk struct {
	plan   *Plan
	c      *component
	ctx    Context
	s      Tally
	dst    []Priced
	first  int          // slices of this walk begin here
	budget money.Amount // of this walk
	top    money.Amount // the total must not pass this
	ahead  bool         // stop where the budget or a maximum cost ends it
	full   bool         // stopped
	quiet  bool         // no slices are asked for
}

func (w *walk) run(u Use) error {
	c, s := w.c, &w.s
	w.first = len(w.dst)
	w.top = math.MaxInt64
	if sum, err := money.Add(max(s.Charged, 0), w.budget); w.ahead && err == nil {
		w.top = sum
	}
	if c.weightScale > 0 {
		return w.weighted(u)
	}
	if u.Quantity < 0 || u.Quantity > math.MaxInt64/4-s.Quantity {
		return c.fault(s, ErrQuantity, "%d more: must be 0 to 2^61 in all", u.Quantity)
	}
	if u.New {
		s.begin(w.plan, c)
	}
	if c.byPeriod && s.Events <= 1 {
		s.Events = 1
		if err := w.firstFlat(u); err != nil {
			return err
		}
	}
	var err error
	switch {
	case c.volume:
		err = w.volume(u)
	case c.unit == tariff.Seconds:
		if len(c.zones[w.ctx.Zone].windowed) > 0 && (u.Quantity > MaxSpanSeconds || w.ctx.Start < 0 || w.ctx.Start > lastInstant) {
			return c.fault(s, ErrSpan, "%d s more of what began at %d: report at least every %d days, at times from 1970 to 2100", u.Quantity, w.ctx.Start, MaxSpanSeconds/86400)
		}
		err = w.piece(u.Quantity, nil)
	default:
		err = w.spread(u)
	}
	if err != nil {
		return err
	}
	w.close()
	return nil
}

// begin starts an event or session of a period: the last one's price is settled
// within its bounds, and a step that it began is used up; a package goes on.
func (s *Tally) begin(p *Plan, c *component) {
	if !c.volume && s.Events > 0 {
		whole, rem := s.Whole, s.Rem
		if s.HasUsage && whole < c.minEvent {
			whole, rem = c.minEvent, 0
		}
		if whole >= c.maxEvent {
			whole, rem = c.maxEvent, 0
		}
		s.Done, s.DoneRem = s.Done+whole, s.DoneRem+rem
		if s.DoneRem >= c.den {
			s.Done, s.DoneRem = s.Done+1, s.DoneRem-c.den
		}
		s.Whole, s.Rem, s.TopUp = 0, 0, 0
		s.HasUsage = false
	}
	if ahead := s.Covered - s.paid(); ahead > 0 && s.Rule > 0 && !p.rules[s.Rule-1].carries {
		s.Lost += ahead
	}
	s.Events++
	s.Started = false
	s.Base = s.Quantity
}

// spread prices volume and events, split at the edges of windows in proportion to
// time.
func (w *walk) spread(u Use) error {
	z := &w.c.zones[w.ctx.Zone]
	if len(z.windowed) == 0 || u.To <= u.From || u.Quantity == 0 {
		r, _ := w.plan.rateAt(z, max(u.From, 0))
		return w.piece(u.Quantity, r)
	}
	if u.From < 0 || u.To > lastInstant || u.To-u.From > MaxSpanSeconds {
		return w.c.fault(&w.s, ErrSpan, "%d s between two reports: report at least every %d days", u.To-u.From, MaxSpanSeconds/86400)
	}
	done := int64(0)
	for t := u.From; t < u.To && !w.full; {
		r, until := w.plan.rateAt(z, t)
		for until < u.To {
			next, more := w.plan.rateAt(z, until)
			if next != r {
				break
			}
			until = more
		}
		t = min(until, u.To)
		upTo, err := money.MulDiv(u.Quantity, t-u.From, u.To-u.From, money.Floor)
		if err != nil {
			return w.c.fault(&w.s, ErrQuantity, "%v", err)
		}
		if err := w.piece(upTo-done, r); err != nil {
			return err
		}
		done = upTo
	}
	return nil
}

// piece prices quantity by one rate, or, where r is nil, by the rates of the times
// through which it runs.
func (w *walk) piece(quantity int64, r *rate) error {
	c, s := w.c, &w.s
	target := s.paid() + quantity
	if free := w.free(quantity); free > 0 {
		s.Quantity += free
		s.Free += free
		target -= free
		w.emit(Priced{Rule: c.rule, Kind: KindFree, Quantity: free})
	}
	if ahead := min(s.Covered, target) - s.paid(); ahead > 0 {
		s.Quantity += ahead
		if s.Rule == 0 {
			w.emit(Priced{Rule: c.rule, Kind: KindCovered, Quantity: ahead})
		} else {
			rule := &w.plan.rules[s.Rule-1]
			w.emit(Priced{Rule: rule.name, Kind: KindUsage, Quantity: ahead, Price: rule.price, Step: rule.step})
		}
	}
	timed := r == nil && c.unit == tariff.Seconds
	for s.Covered < target && !w.full {
		limit := target
		if timed {
			t := w.ctx.Start + s.Free - s.Lost + s.Covered - s.Base
			var until int64
			r, until = w.plan.rateAt(&c.zones[w.ctx.Zone], t)
			if until < math.MaxInt64 {
				limit = min(limit, s.Covered+until-t)
			}
		}
		if r == nil {
			return c.fault(s, ErrNoRate, "zone %q", c.names[w.ctx.Zone])
		}
		if err := w.stretch(r, limit, target); err != nil {
			return err
		}
	}
	return nil
}

// free is how much of quantity costs nothing.
func (w *walk) free(quantity int64) int64 {
	c, s := w.c, &w.s
	if c.freeEvents == 0 && c.freeUnits == 0 || c.freeEvents > 0 && s.Events > c.freeEvents {
		return 0
	}
	if c.freeUnits == 0 {
		return quantity
	}
	return min(quantity, max(c.freeUnits-s.Free, 0))
}

// stretch prices up to limit within one segment of a rate: whole steps, n at once.
func (w *walk) stretch(r *rate, limit, target int64) error {
	c, s := w.c, &w.s
	i := 0
	for r.segments[i].to <= s.Covered {
		i++
	}
	g := &r.segments[i]
	if !w.fee(r) || !w.flats(r, i) {
		return nil
	}
	limit = min(limit, g.to)
	n := uint64(limit-s.Covered+g.step-1) / uint64(g.step)
	if g.step == 1 {
		n = uint64(limit - s.Covered)
	}
	if w.ahead {
		n = min(n, w.affordable(r, g.num))
		if n == 0 {
			w.full = true
			return nil
		}
	}
	before, whole, rem := s.plain(c), s.Whole, s.Rem
	if !s.add(n, g.num, c.den) {
		return c.fault(s, money.ErrOverflow, "%d steps of rule %s", n, w.plan.rules[g.rule].name)
	}
	capped := s.Whole >= r.maxCost && s.cap(r, whole, rem)
	s.HasUsage = true
	used := min(int64(n)*g.step, target-s.Covered)
	s.Covered += int64(n) * g.step
	s.Quantity += used
	s.Rule = g.rule + 1
	rule := &w.plan.rules[g.rule]
	after := s.plain(c)
	capped = capped || s.Whole >= c.maxEvent || after >= c.maxPeriod
	w.emit(Priced{Rule: rule.name, Kind: KindUsage, Quantity: used, Charged: int64(n) * g.step, Amount: after - before, Capped: capped, Price: rule.price, Step: rule.step})
	return nil
}

// fee charges the fee of an event's first rate; false when the budget lacks it.
func (w *walk) fee(r *rate) bool {
	s := &w.s
	if s.Started {
		return true
	}
	s.Started = r.fee == 0 || w.lump(r, r.fee, r.feeRule, KindFee)
	return s.Started
}

// flats charges the flat parts of the tiers entered up to the i-th.
func (w *walk) flats(r *rate, i int) bool {
	s := &w.s
	for j := 0; r.segments[i].from >= s.FlatTo; j++ {
		g := &r.segments[j]
		if g.from < s.FlatTo {
			continue
		}
		if g.flat > 0 && !w.lump(r, g.flat, g.flatRule, KindFlat) {
			return false
		}
		s.FlatTo = g.from + 1
	}
	return true
}

// lump adds a whole amount.
func (w *walk) lump(r *rate, amount money.Amount, rule int32, kind Kind) bool {
	s := &w.s
	next := *s
	if next.Whole += amount; next.Whole >= r.maxCost {
		next.cap(r, s.Whole, s.Rem)
	}
	if w.ahead && next.total(w.c) > w.top {
		w.full = true
		return false
	}
	before := s.plain(w.c)
	s.Whole, s.Rem = next.Whole, next.Rem
	x := &w.plan.rules[rule]
	charged := s.plain(w.c) - before
	w.emit(Priced{Rule: x.name, Kind: kind, Charged: 1, Step: 1, Amount: charged, Capped: charged < amount, Price: x.price})
	return true
}

// cap holds the event's price, which has reached the maximum cost, there: or where
// it was, when another rate had taken it beyond. It tells whether that made a
// difference.
func (s *Tally) cap(r *rate, whole money.Amount, rem uint64) bool {
	if r.disconnect {
		return false
	}
	if whole < r.maxCost {
		whole, rem = r.maxCost, 0
	}
	changed := s.Whole != whole || s.Rem != rem
	s.Whole, s.Rem = whole, rem
	return changed
}

// total is what the state's exact price comes to, with minima.
func (s *Tally) total(c *component) money.Amount {
	whole, _ := s.exact(c)
	return whole
}

// firstFlat charges the first tier's flat part of a period, with or without usage.
func (w *walk) firstFlat(u Use) error {
	if w.s.FlatTo > 0 || w.c.volume {
		return nil
	}
	r, _ := w.plan.rateAt(&w.c.zones[w.ctx.Zone], max(u.From, w.ctx.Start))
	if r == nil {
		return nil
	}
	w.flats(r, 0)
	return nil
}

// affordable is how many steps of num the budget and the maximum cost allow.
func (w *walk) affordable(r *rate, num uint64) uint64 {
	c, s := w.c, &w.s
	n := uint64(math.MaxUint64)
	if r.disconnect && r.maxCost < math.MaxInt64 { // up to and including the maximum
		n = steps(s.Whole, s.Rem, r.maxCost, num, c.den)
		probe := *s
		if n < math.MaxUint64 && probe.add(n+1, num, c.den) && probe.Whole == r.maxCost && probe.Rem == 0 {
			n++
		}
	}
	if w.top == math.MaxInt64 {
		return n
	}
	if s.HasUsage || c.minEvent == 0 {
		// the total stays within the budget whatever comes, once it is capped
		if !r.disconnect && r.maxCost < math.MaxInt64 && w.within(max(r.maxCost, s.Whole)) || w.within(c.maxEvent) || c.maxPeriod <= w.top {
			return n
		}
		end := w.top - s.Done // room for the event's whole part: total < top + 1
		rem := s.Rem + s.DoneRem
		whole := s.Whole
		if rem >= c.den {
			whole, rem = whole+1, rem-c.den
		}
		if s.HasUsage && w.s.total(c) > w.top {
			return 0
		}
		return min(n, steps(whole, rem, end+1, num, c.den))
	}
	probe := *s
	probe.HasUsage = true
	if probe.total(c) > w.top {
		return 0
	}
	w.s.HasUsage = true
	m := w.affordable(r, num)
	w.s.HasUsage = false
	return m
}

// within tells whether the budget covers the total when the event costs amount.
func (w *walk) within(amount money.Amount) bool {
	if amount == math.MaxInt64 {
		return false
	}
	probe := w.s
	probe.Whole, probe.Rem = amount, 0
	return probe.total(w.c) <= w.top
}

// close settles what the whole piece costs: minima, and the charge.
func (w *walk) close() {
	c, s := w.c, &w.s
	total, plain := s.total(c), s.plain(c)
	if top := total - plain; top != s.TopUp {
		w.emit(Priced{Rule: c.rule, Kind: KindMinimum, Amount: top - s.TopUp})
		s.TopUp = top
	}
	s.Charged = total
}

// emit appends a slice, or adds it to its equal neighbour.
func (w *walk) emit(x Priced) {
	if w.quiet {
		return
	}
	if n := len(w.dst); n > w.first {
		last := &w.dst[n-1]
		if last.Kind == x.Kind && last.Capped == x.Capped && last.Rule == x.Rule && x.Kind != KindFee {
			last.Quantity += x.Quantity
			last.Amount += x.Amount
			last.Charged += x.Charged
			return
		}
	}
	w.dst = append(w.dst, x)
}
