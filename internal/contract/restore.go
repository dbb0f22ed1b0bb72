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
	Paid      money.Amount
}

// Restore is a contract that goes on after what was charged, for who has nothing but
// that: each component's next charge begins where the newest ended, and nothing is
// charged twice. rest is until when offerings before this one were paid for (see
// PaidTo), 0 when there were none: what was not charged yet begins there. A contract
// of which nothing was charged has not begun. Promotions for a number of charges count
// anew.
func (p *Plan) Restore(charged []Charged, rest int64) State {
	s := State{Rest: rest}
	newest := int64(0)
	for _, c := range charged {
		if rest == 0 && p.recurring(c.Component) == nil && !p.oneTime(c.Component) {
			continue
		}
		if s.Activated == 0 || c.First < s.Activated {
			s.Activated = c.First
		}
		newest = max(newest, c.Last)
	}
	if s.Activated == 0 {
		return s
	}
	s.Bought, s.Once = s.Activated, len(p.OneTime)
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
	r := p.recurring(c.Component)
	if r == nil || r.Due == tariff.Arrears || prorates(r) {
		return 0
	}
	_, w := p.newest(r, c)
	return w.until
}

// newest is the newest charge of a component.
func (p *Plan) newest(r *tariff.Recurring, c Charged) (Part, span) {
	x := Part{Component: r.Name, Anchor: c.First, Next: c.Last}
	w := p.span(r, &x)
	if w.from != w.begin && !prorates(r) { // it was paused: periods are counted from where it went on
		x.Anchor = c.Last
		w = p.span(r, &x)
	}
	return x, w
}

// goOn is a component where its charges leave it. One that was never charged begins
// where offerings before are paid to, or with the contract if it is paid in arrears and
// its first period has not ended, else when it is looked at.
func (p *Plan) goOn(s *State, r *tariff.Recurring, charged []Charged, newest int64) (Part, bool) {
	for _, c := range charged {
		if c.Component != r.Name {
			continue
		}
		x, w := p.newest(r, c)
		x.Next = w.until
		if r.Due != tariff.Arrears {
			x.From, x.To, x.Paid = c.Last, w.until, c.Paid
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
