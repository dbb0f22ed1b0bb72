package contract

import (
	"fmt"
	"slices"

	"meridian/internal/invariant"
	"meridian/internal/tariff"
)

// Due is when the next charge falls due; false when none will.
func (p *Plan) Due(s *State) (at int64, ok bool) {
	i, at, _ := p.first(s)
	return at, i >= 0
}

// first finds the charge that falls due first: of one instant one-time charges
// before arrears before what is paid in advance, then as the offering lists them.
// The index counts the one-time charges, then the recurring components.
func (p *Plan) first(s *State) (index int, at int64, w span) {
	if s.Activated == 0 || s.Ended != 0 {
		return -1, 0, w
	}
	index = -1
	if s.Once < len(p.OneTime) && s.Paused == 0 {
		index, at = s.Once, s.Bought
	}
	arrears := false
	for i := range p.Recurring {
		r := &p.Recurring[i]
		x := s.part(r.Name)
		if x == nil || s.Paused != 0 && (r.Due != tariff.Arrears || x.Next >= s.Paused) {
			continue
		}
		next := p.span(r, x)
		due := x.Next
		if r.Due == tariff.Arrears {
			due = next.until
			if s.Paused != 0 && s.Paused < due {
				next = p.cut(r, x, next, s.Paused, true)
				due = s.Paused
			}
		}
		if index < 0 || due < at || due == at && index >= len(p.OneTime) && r.Due == tariff.Arrears && !arrears {
			index, at, w, arrears = len(p.OneTime)+i, due, next, r.Due == tariff.Arrears
		}
	}
	return index, at, w
}

// Used counts the charges at the head of a bill that are for service which was used:
// fees in arrears. They are owed whether or not service goes on, so each stands alone;
// what begins is paid together or not at all.
func (p *Plan) Used(bill []Charge) (n int) {
	arrears := func(c *Charge) bool {
		return c.Kind == Fee && slices.ContainsFunc(p.Recurring, func(r tariff.Recurring) bool { return r.Name == c.Component && r.Due == tariff.Arrears })
	}
	for n < len(bill) && arrears(&bill[n]) {
		n++
	}
	return n
}

// cut ends a span at an instant: after the days that have begun by then, or before
// the day it lies in.
func (p *Plan) cut(r *tariff.Recurring, x *Part, w span, at int64, begun bool) span {
	c := p.clock(r, x.Anchor)
	w.to, w.until = c.day(at), at
	if begun {
		w.to = c.begun(at)
	}
	w.to = max(min(w.to, w.next), w.from)
	return w
}

// Next is the charge that falls due first, if it is due by now. The state stays as
// it is: see Take. The error is money.ErrOverflow's.
func (p *Plan) Next(s *State, f *Facts, now int64) (c Charge, due bool, err error) {
	i, at, w := p.first(s)
	if i < 0 || at > now {
		return c, false, nil
	}
	if i < len(p.OneTime) {
		o := &p.OneTime[i]
		c = Charge{Kind: OneTime, Component: o.Name, From: at, To: at, Due: at, Days: 1, Of: 1, Price: o.Price}
	} else {
		r := &p.Recurring[i-len(p.OneTime)]
		c = Charge{Kind: Fee, Component: r.Name, From: s.part(r.Name).Next, To: w.until, Due: at}
		if c.Price, c.Days, c.Of, err = w.price(r); err != nil {
			return c, false, fmt.Errorf("price of %s: %w", r.Name, err)
		}
	}
	err = p.promote(s, f, &c)
	return c, err == nil, err
}

// Take notes that a charge of Next was executed.
func (p *Plan) Take(s *State, c *Charge) {
	switch c.Kind {
	case OneTime:
		s.Once++
	case Fee:
		x := s.part(c.Component)
		invariant.Check(x != nil && x.Next == c.From && c.To > c.From, "charge %s from %d to %d does not go on from the contract", c.Component, c.From, c.To)
		x.Next = c.To
		if r := p.recurring(c.Component); r != nil && r.Due != tariff.Arrears {
			x.From, x.To, x.Paid = c.From, c.To, c.Amount
		}
	}
	s.use(c)
}
