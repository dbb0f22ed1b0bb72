// Package contract decides what a subscription owes for having an offering, apart
// from usage: one-time and recurring charges, their parts when it begins, changes
// or ends within a period, what is given back, and what promotions take off.
//
// It owns the contract's state: where each component's periods stand, and which
// promotions were used. It pays nothing and knows no balances: Next says what
// falls due, Take notes that it was executed, so that whoever pays can decline.
// Each charge has a key (component, start) that never comes twice for one
// subscription. What usage costs is rating's, what pays is charging's.
package contract

import (
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// Plan is an offering version with the plan that counts its days and windows.
type Plan struct {
	*tariff.Offering
	Rating *rating.Plan
}

// State is what a contract has come to. Times are Unix seconds. The zero value is
// a contract that nobody has activated.
type State struct {
	Activated int64 // 0 = not yet
	Since     int64 // from when tenure counts; 0 = from the activation
	Bought    int64 // when the offering in force was activated: its one-time charges are of then
	Once      int   // how many of them were executed
	Paused    int64 // from when nothing is served and nothing more becomes due; 0 = it goes on
	Ended     int64 // 0 = not
	Rest      int64 // until when offerings before this one were paid for, without parts
	Parts     []Part
	Uses      []Use
}

// Part is where a recurring component stands.
type Part struct {
	Component string
	Anchor    int64 // from where anniversaries are counted
	Next      int64 // begin of what is not charged yet

	// The newest charge in advance: what it was for, and what was paid.
	From, To int64
	Paid     money.Amount
}

// Use is how often a promotion was used for a component.
type Use struct {
	Promotion string
	Component string
	Periods   int64 // charges that it was there for
	Times     int64 // charges that it made less
}

// MaxUses bounds what is remembered of promotions; the oldest is forgotten first.
const MaxUses = 128

// Kind is what a charge is for.
type Kind uint8

// Kinds of charges.
const (
	OneTime Kind = iota + 1
	Fee          // of a recurring component
	Credit       // given back of a fee that was paid in advance
)

// Charge is one thing that is due.
type Charge struct {
	Kind      Kind
	Component string
	From, To  int64 // what it is for; a one-time charge: the activation
	Due       int64
	Days, Of  int64        // From to To are Days of the Of days that the whole price is for
	Price     money.Amount // of the stretch
	Amount    money.Amount // after promotions; of a credit, what is given back
	Off       []rating.Reduction

	counted []string // promotions of a limited number of periods that were there
}

// Part tells whether the charge is for less than a period.
func (c *Charge) Part() bool { return c.Days != c.Of }

// Facts are what promotions ask about a customer.
type Facts struct {
	BirthMonth, BirthDay int      // 0 = not known
	Holds                []string // ids of the customer's offerings
	// Left tells what is left of a promotion's budget and times; nil = all.
	Left func(id string) (budget money.Amount, times int64)
}

// Clone copies the state: what is tried on the copy leaves the original as it is.
func (s *State) Clone() *State {
	out := *s
	out.Parts = append([]Part(nil), s.Parts...)
	out.Uses = append([]Use(nil), s.Uses...)
	return &out
}

// PaidUntil is the end of what is paid in advance by all components that are paid
// so, 0 when none is.
func (s *State) PaidUntil(p *Plan) int64 {
	until := int64(0)
	for i := range p.Recurring {
		if p.Recurring[i].Due == tariff.Arrears {
			continue
		}
		x := s.part(p.Recurring[i].Name)
		if x == nil || x.Next == 0 || x.To < x.Next { // nothing was paid
			return 0
		}
		if until == 0 || x.Next < until {
			until = x.Next
		}
	}
	return until
}

func (s *State) part(component string) *Part {
	for i := range s.Parts {
		if s.Parts[i].Component == component {
			return &s.Parts[i]
		}
	}
	return nil
}

func (p *Plan) recurring(name string) *tariff.Recurring {
	for i := range p.Recurring {
		if p.Recurring[i].Name == name {
			return &p.Recurring[i]
		}
	}
	return nil
}

// clock counts a component's days: they begin at midnight in the offering's zone,
// or, by anniversary, at the time of day of the anchor.
type clock struct {
	p      *rating.Plan
	second int64
	start  int64 // day number of the anchor
}

func (p *Plan) clock(r *tariff.Recurring, anchor int64) clock {
	day, second := p.Rating.Local(anchor)
	if r.Anchor == tariff.Calendar {
		second = 0
	}
	return clock{p.Rating, second, day}
}

// day is the number of the day that an instant lies in.
func (c clock) day(t int64) int64 {
	day, second := c.p.Local(t)
	if second < c.second {
		day--
	}
	if c.instant(day+1) <= t { // the hour that comes twice
		day++
	}
	return day
}

// begun is the day number after the last day that has begun before t.
func (c clock) begun(t int64) int64 {
	day := c.day(t)
	if c.instant(day) < t {
		day++
	}
	return day
}

func (c clock) instant(day int64) int64 { return c.p.Instant(day, c.second) }

// span is a stretch of a component's period.
type span struct {
	from, to    int64 // day numbers
	begin, next int64 // of the period
	until       int64 // instant of the end
}

// span is what comes next of a part: to the end of its period.
func (p *Plan) span(r *tariff.Recurring, x *Part) span {
	c := p.clock(r, x.Anchor)
	from := c.day(x.Next)
	begin, next := rating.Period(r.Every, r.Anchor == tariff.Calendar, c.start, from)
	return span{from, next, begin, next, c.instant(next)}
}

// price is a span's part of a price. Parts of a period sum to the whole price.
func (w *span) price(r *tariff.Recurring) (amount money.Amount, part, of int64, err error) {
	of = days(r, w.begin, w.next)
	if !prorates(r) {
		return r.Price, of, of, nil
	}
	upTo := func(day int64) int64 {
		n := of
		if day < w.next {
			n = min(days(r, w.begin, day), of)
		}
		sum, e := money.MulDiv(int64(r.Price), n, of, money.HalfEven)
		if e != nil {
			err = e
		}
		return sum
	}
	amount = money.Amount(upTo(w.to) - upTo(w.from))
	part = of - min(days(r, w.begin, w.from), of)
	if w.to < w.next {
		part -= of - min(days(r, w.begin, w.to), of)
	}
	return amount, part, of, err
}

// days counts days by a component's rule. Months of thirty days are of periods of
// months and years.
func days(r *tariff.Recurring, from, to int64) int64 {
	if r.Every.Unit == tariff.Day || r.Every.Unit == tariff.Week {
		return to - from
	}
	return rating.Days(r.Proration, from, to)
}
