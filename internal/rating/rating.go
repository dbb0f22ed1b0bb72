// Package rating prices usage: a pure function of (plan, context, tally, usage).
//
// Compile turns a tariff version into an immutable plan; Plan.Rate prices a piece
// of usage by it into slices, each naming the rule that priced it, and gives the
// new tally. A price is the exact cumulative price rounded down once; a charge is
// that price less what was charged before. The package keeps no state of its own,
// reads no clock and allocates nothing but what the caller's buffer lacks.
package rating

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Errors of Rate, wrapped with what they are about.
var (
	// ErrQuantity: the usage is negative or past what fits 64 bits.
	ErrQuantity = errors.New("quantity is out of range")
	// ErrSpan: the usage lies longer between two reports than MaxSpanSeconds.
	ErrSpan = errors.New("usage spans too long a time")
	// ErrNoRate: no rate of the component is for this destination and time.
	ErrNoRate = errors.New("no rate for the destination and time")
)

// MaxSpanSeconds bounds the time that one piece of usage may span, and so the
// windows that it may cross: 400 days.
const MaxSpanSeconds = 400 * 86400

// State is the durable part of a tally: counts used so far, and what was charged
// for them. Of a component that Plan.Resumes the rest follows from it.
type State struct {
	Quantity int64
	Charged  money.Amount
}

// Tally is the rating state of one (session, component), or of one (subscription,
// component, period) for a component that is counted by period. The zero value is
// the beginning.
type Tally struct {
	State
	Free    int64 // of Quantity: not priced
	Lost    int64 // paid for in steps that ended with their event, and not used
	Covered int64 // Quantity − Free + Lost up to which is paid: the end of the last started step
	Base    int64 // Quantity when the event or session began
	FlatTo  int64 // 1 + the highest position whose tier's flat part was looked at
	Events  int64 // begun; 1 of a session that goes on from another version: see Plan.Continue

	// Exact price of the event or session, and of those before it in the period:
	// micro-units and a remainder in parts of the plan's denominator.
	Whole, Done       money.Amount
	Rem, DoneRem      uint64
	TopUp             money.Amount // of Charged: to reach a minimum
	Rule              int32        // 1 + the rule that covers
	Started, HasUsage bool         // the event's fee is settled; it had usage that is priced
}

// Kind says what a slice is for.
type Kind uint8

// Kinds of slice.
const (
	KindUsage   Kind = iota // quantity by price
	KindFee                 // connection fee, fixed fee of an event
	KindFlat                // flat part of a tier
	KindFree                // usage that costs nothing: free units and events
	KindMinimum             // up to the minimum
	KindCovered             // paid for by an allowance
)

// String names the kind.
func (k Kind) String() string {
	return [...]string{"usage", "fee", "flat", "free", "minimum", "covered"}[k]
}

// Slice is the durable part of a priced piece of usage: the rule that priced it,
// the quantity, the amount. Plan.Rule tells the rest of the rule.
type Slice struct {
	Rule     string
	Quantity int64
	Amount   money.Amount
}

// Priced is one priced piece of usage and why it costs what it does: Charged
// counts, whole steps of Step, at Price. Amount is the rise of the exact
// cumulative price, rounded down; it is less than quantity by price where Capped.
type Priced struct {
	Rule     string // offering@version/component/rate/tier
	Quantity int64  // counts of the usage
	Amount   money.Amount

	Kind    Kind
	Capped  bool // a maximum cost has taken something off
	Charged int64
	Step    int64
	Price   tariff.Price
}

// Context says what is rated: which component of the plan, the destination's zone
// (Plan.Zone), and when the session or call began, in Unix seconds.
type Context struct {
	Component int
	Zone      int
	Start     int64
}

// Use is a piece of usage. Time is counted from the context's start; volume and
// events were used between From and To (Unix seconds).
type Use struct {
	Quantity int64
	From, To int64
	New      bool  // counted by period: an event or session begins
	Weight   int64 // weighted units, in parts of the component's scale
}

// Unlimited is a budget without end.
const Unlimited money.Amount = math.MaxInt64

// Slice is the piece's durable part.
func (x *Priced) Slice() Slice { return Slice{x.Rule, x.Quantity, x.Amount} }

// Canonical is a usage record's form of slices: by rule, each once, none of nothing.
// However usage was divided into reports, its slices come to the same list. The
// list given stays as it is.
func Canonical(list []Slice) []Slice {
	var out []Slice
	for _, x := range list {
		at, found := slices.BinarySearchFunc(out, x.Rule, func(y Slice, rule string) int { return strings.Compare(y.Rule, rule) })
		if !found {
			out = slices.Insert(out, at, x)
			continue
		}
		out[at].Quantity += x.Quantity
		out[at].Amount += x.Amount
	}
	out = slices.DeleteFunc(out, func(x Slice) bool { return x.Quantity == 0 && x.Amount == 0 })
	if len(out) == 0 {
		return nil
	}
	return out
}

// Rate prices usage on top of s. It appends the slices to dst (equal neighbours
// are one) and returns the new tally; what is charged is the difference of the
// tallies' Charged, which is negative where a volume tier makes all usage cheaper.
// On an error nothing changes.
func (p *Plan) Rate(dst []Priced, c Context, s Tally, u Use) ([]Priced, Tally, error) {
	w := walk{plan: p, c: &p.components[c.Component], ctx: c, s: s, dst: dst, budget: Unlimited}
	if err := w.run(u); err != nil {
		return dst, s, err
	}
	return w.dst, w.s, nil
}

// Fit prices as much of the usage as budget pays for: whole steps, in order, up to
// the one that does not fit, or that would pass a maximum cost after which the
// session ends. It returns how much of the quantity that is.
func (p *Plan) Fit(dst []Priced, c Context, s Tally, u Use, budget money.Amount) ([]Priced, Tally, int64, error) {
	w := walk{plan: p, c: &p.components[c.Component], ctx: c, s: s, dst: dst, budget: max(budget, 0), ahead: true}
	if err := w.run(u); err != nil {
		return dst, s, 0, err
	}
	return w.dst, w.s, w.s.Quantity - s.Quantity, nil
}

// Skip passes over quantity that something else pays for: an allowance. It counts
// as used and for the position in steps and tiers; covered, at least quantity, is
// to where the allowance has paid ahead in steps of its own. The fee of an event
// that begins with it is not due, unless keepFee; nor is a minimum, which is of
// what is priced.
func (p *Plan) Skip(c Context, s Tally, quantity, covered int64, keepFee bool) Tally {
	s.Covered = max(s.Covered, s.paid()+covered)
	s.Quantity += quantity
	s.Rule = 0
	if !keepFee {
		s.Started = true
	}
	return s
}

// Unpaid is how much of quantity lies beyond what s has paid for ahead.
func (s *Tally) Unpaid(quantity int64) int64 {
	return max(quantity-max(s.Covered-s.paid(), 0), 0)
}

// paid is the position on the axis of what is priced.
func (s *Tally) paid() int64 { return s.Quantity - s.Free + s.Lost }

// Payable is what the state's total comes to when it is rounded by the tariff's
// rule, from the exact price: what one event rated alone is billed at.
func (p *Plan) Payable(component int, s Tally) money.Amount {
	c := &p.components[component]
	whole, rem := s.exact(c)
	unit := p.roundUnit
	if unit == 1 && rem == 0 {
		return whole
	}
	down := whole - ((whole%unit)+unit)%unit
	left := whole - down // and rem/den beside it
	up := false
	switch p.rounding {
	case money.Ceil:
		up = left > 0 || rem > 0
	case money.HalfUp, money.HalfEven:
		twice, rem2 := 2*left, 2*rem // den is below 2^62
		if rem2 >= c.den {
			twice, rem2 = twice+1, rem2-c.den
		}
		up = twice > unit || twice == unit && (rem2 > 0 || p.rounding == money.HalfUp || (down/unit)&1 == 1)
	}
	if up {
		return down + unit
	}
	return down
}

func (c *component) fault(s *Tally, what error, format string, args ...any) error {
	return fmt.Errorf("%s after %d: %w: %s", c.name, s.Quantity, what, fmt.Sprintf(format, args...))
}

// Begin is the tally at the beginning of another event or session of a period: the
// last one's price is settled, and what it left of a step that does not go on is
// used up. Rate does it for a use that is New.
func (p *Plan) Begin(c Context, s Tally) Tally {
	s.begin(p, &p.components[c.Component])
	return s
}

// Continue is the tally by which a component goes on with a session that another
// version of the offering has rated until now, by old: the fee is settled, and free
// units that were used are used. All else is of what is used from now on: tiers, steps,
// the minimum and the maximum. Volume tiers, which price all that they count, begin
// anew with their fee, and so does a session of which nothing was rated.
func (p *Plan) Continue(component int, old Tally) Tally {
	c := &p.components[component]
	if c.volume || c.byPeriod || c.weightScale > 0 || !old.Started && old.Quantity == 0 {
		return Tally{}
	}
	return Tally{Free: old.Free, Lost: old.Free, Events: 1, Started: old.Started} // Lost: so that prices begin at 0
}

// Carried is the tally of a period by one version in another's terms. A maximum that
// is lower now gives nothing back.
func (p *Plan) Carried(component int, t Tally) Tally {
	t.Charged = min(t.Charged, p.components[component].maxPeriod)
	t.Done, t.DoneRem, t.Whole, t.Rem, t.TopUp, t.Rule = t.Charged, 0, 0, 0, 0, 0
	t.Started, t.HasUsage = false, false
	return t
}

// Initial tells whether a component has a fee or free units, so that it matters whether
// a session began with it.
func (p *Plan) Initial(component int) bool {
	c := &p.components[component]
	for i := range c.zones {
		for _, r := range append([]*rate{c.zones[i].always}, c.zones[i].windowed...) {
			if r != nil && r.fee > 0 {
				return true
			}
		}
	}
	return c.freeUnits > 0
}

// Fee settles the fee of the event that begins with u, before its usage is priced
// by something else.
func (p *Plan) Fee(dst []Priced, c Context, s Tally, u Use) ([]Priced, Tally) {
	w := walk{plan: p, c: &p.components[c.Component], ctx: c, s: s, dst: dst, first: len(dst), top: Unlimited}
	t := max(u.From, 0)
	if w.c.unit == tariff.Seconds {
		t = c.Start + s.Quantity - s.Base
	}
	if r, _ := p.rateAt(&w.c.zones[c.Zone], t); r != nil {
		w.fee(r)
	}
	w.s.Charged = w.s.total(w.c)
	return w.dst, w.s
}

// ZoneNamed finds a component's zone by name; 0 when it has none of that name.
func (p *Plan) ZoneNamed(component int, name string) int {
	return max(slices.Index(p.components[component].names, name), 0)
}

// Rule names a usage component of an offering version, e.g. "prepaid@3/usage": the
// beginning of the rules of all that it prices.
func Rule(o *tariff.Offering, u *tariff.Usage) string {
	return fmt.Sprintf("%s@%d/%s", o.ID, o.Version, u.Name)
}

// Dearest bounds what quantity can cost wherever in a session of the component it
// falls.
func (p *Plan) Dearest(component int, quantity int64) (money.Amount, error) {
	c := &p.components[component]
	var most money.Amount
	for i := range c.zones {
		z := &c.zones[i]
		for _, r := range append([]*rate{z.always}, z.windowed...) {
			if r == nil {
				continue
			}
			sum := Tally{Whole: r.fee + c.minEvent}
			var worst Tally
			for j := range r.segments {
				g := &r.segments[j]
				one := Tally{}
				n := uint64(quantity+g.step-1) / uint64(g.step)
				if !one.add(n, g.num, c.den) || (len(r.segments) > 1 && !sum.add(1, g.num, c.den)) {
					return 0, money.ErrOverflow
				}
				sum.Whole += g.flat
				if one.Whole > worst.Whole {
					worst = one
				}
			}
			jumps, err := c.jumps(r)
			if err != nil {
				return 0, err
			}
			total, err := money.Add(sum.Whole, worst.Whole)
			if err == nil {
				total, err = money.Add(total, jumps)
			}
			if err != nil {
				return 0, err
			}
			most = max(most, total)
		}
	}
	return most, nil
}

// Resumes tells whether a component's tally follows from its durable state: its
// prices depend on the quantity alone, and on time only where time is the
// quantity.
func (p *Plan) Resumes(component int) bool {
	c := &p.components[component]
	if c.byPeriod || c.weightScale > 0 {
		return false
	}
	for i := range c.zones {
		if len(c.zones[i].windowed) > 0 && c.unit != tariff.Seconds {
			return false
		}
	}
	return true
}

// Resume makes the tally of a component that Resumes: what all of the quantity
// costs, in closed form.
func (p *Plan) Resume(c Context, s State) (Tally, error) {
	w := walk{plan: p, c: &p.components[c.Component], ctx: c, budget: Unlimited, quiet: true}
	if s.Quantity > 0 {
		if err := w.run(Use{Quantity: s.Quantity}); err != nil {
			return Tally{}, err
		}
	}
	return w.s, nil
}

// Why is what a rule says: the unit price and the step behind a slice that names
// it.
type Why struct {
	Rule  string
	Unit  tariff.Unit
	Price tariff.Price
	Step  int64
}

// Explain finds the rule of a slice that was kept; false when the plan has none of
// that name.
func (p *Plan) Explain(rule string) (Why, bool) {
	for i := range p.rules {
		if r := &p.rules[i]; r.name == rule {
			return Why{r.name, r.unit, r.price, r.step}, true
		}
	}
	return Why{}, false
}
