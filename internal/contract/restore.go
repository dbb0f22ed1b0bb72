package contract

import (
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Charged is what was charged of a component in all. Times are Unix seconds.
type Charged struct {
	Component string
	First     int64 // begin of the first stretch charged
	Last      int64 // begin of the newest
	Until     int64 // its end, or where the rest of it was given back; 0 = not known
	Paid      money.Amount
}

// Restore is a contract that goes on after what was charged, for who has nothing but
// that: each component's next charge begins where the newest ended, whichever offering
// charged it. Nothing is charged twice, and nothing is given back twice. rest is until
// when offerings before this one were paid for (see PaidTo), 0 when there were none:
// what was not charged yet begins there. A contract of which nothing was charged has not
// begun. Promotions for a number of charges count anew.
func (p *Plan) Restore(charged []Charged, rest int64) State {
	s := State{Rest: rest}
	newest := int64(0)
	for _, c := range charged {
		if here := p.recurring(c.Component) != nil || p.oneTime(c.Component); here && (s.Bought == 0 || c.First < s.Bought) {
			s.Bought = c.First
		}
		if s.Activated == 0 || c.First < s.Activated {
			s.Activated = c.First
		}
		newest = max(newest, c.Last)
	}
	if s.Bought == 0 && rest != 0 {
		s.Bought = newest
	}
	if s.Bought == 0 {
		return State{}
	}
	s.Once = len(p.OneTime)
	for i := range p.Recurring {
		r := &p.Recurring[i]
		if x, ok := p.goOn(&s, r, charged, newest); ok {
			s.Parts = append(s.Parts, x)
		}
	}
	return s
}

// PaidTo is until when what was charged of a component of this plan is paid, if it goes
// on to there when another plan takes this one's place; else 0.
func (p *Plan) PaidTo(c Charged) int64 {
	if r := p.recurring(c.Component); r == nil || r.Due == tariff.Arrears || prorates(r) {
		return 0
	}
	return p.EndOf(c)
}

// EndOf is the end of the newest charge of a component of this plan. When it is not
// known it is the end of the period that this plan has there, 0 when the plan has no
// such component.
func (p *Plan) EndOf(c Charged) int64 {
	r := p.recurring(c.Component)
	switch {
	case r == nil:
		return 0
	case c.Until != 0:
		return c.Until
	}
	x := Part{Anchor: p.anchor(r, c.First, c), Next: c.Last}
	return p.span(r, &x).until
}

// anchor is from where a component's periods are counted, so that one begins where the
// next charge does. Where parts of periods cost a part that is the contract's
// activation, whatever was paused or changed since.
func (p *Plan) anchor(r *tariff.Recurring, activated int64, c Charged) int64 {
	if prorates(r) || r.Anchor == tariff.Calendar {
		return activated
	}
	next := c.Until
	if next == 0 {
		next = c.Last
	}
	for _, at := range [...]int64{c.First, c.Last} { // it was paused: counted from where it went on
		x := Part{Anchor: at, Next: next}
		if w := p.span(r, &x); w.from == w.begin {
			return at
		}
	}
	return next // another offering's period ended there
}

// goOn is a component where its charges leave it. One that was never charged begins
// where offerings before are paid to, or with the contract if it is paid in arrears and
// its first period has not ended, else when it is looked at.
func (p *Plan) goOn(s *State, r *tariff.Recurring, charged []Charged, newest int64) (Part, bool) {
	for _, c := range charged {
		if c.Component != r.Name {
			continue
		}
		x := Part{Component: r.Name, Anchor: p.anchor(r, s.Activated, c), Next: p.EndOf(c)}
		if r.Due != tariff.Arrears {
			x.From, x.To, x.Paid = c.Last, x.Next, c.Paid
		}
		return x, true
	}
	if s.Rest > 0 && r.Due != tariff.Arrears {
		x := begin(s, r, s.Rest)
		x.From, x.To = newest, s.Rest
		return x, true
	}
	x := begin(s, r, s.Activated)
	return x, r.Due == tariff.Arrears && p.span(r, &x).until > newest
}

func (p *Plan) oneTime(name string) bool {
	for i := range p.OneTime {
		if p.OneTime[i].Name == name {
			return true
		}
	}
	return false
}
