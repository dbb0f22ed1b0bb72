package contract

import (
	"fmt"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Activate begins a contract. One-time charges and the first periods are then due.
func (p *Plan) Activate(s *State, at int64) {
	s.Activated, s.Bought, s.Once, s.Ended, s.Paused = at, at, 0, 0, 0
	p.Sync(s, at)
}

// Sync gives the state the components that the plan has: those that a newer version
// of the offering added begin at an instant, those that it left out end with what
// was charged.
func (p *Plan) Sync(s *State, at int64) {
	if s.Activated == 0 || s.Ended != 0 {
		return
	}
	same := len(s.Parts) == len(p.Recurring)
	for i := range p.Recurring {
		same = same && s.Parts[i].Component == p.Recurring[i].Name
	}
	if same {
		return
	}
	parts := make([]Part, 0, len(p.Recurring))
	for i := range p.Recurring {
		r := &p.Recurring[i]
		if x := s.part(r.Name); x != nil {
			parts = append(parts, *x)
			continue
		}
		parts = append(parts, begin(s, r, at))
	}
	s.Parts = parts
}

// begin is a component that is charged from an instant on. Where parts of periods
// cost a part, anniversaries are the contract's, else the component's own.
func begin(s *State, r *tariff.Recurring, at int64) Part {
	x := Part{Component: r.Name, Anchor: at, Next: at}
	if prorates(r) && s.Activated < at {
		x.Anchor = s.Activated
	}
	return x
}

func prorates(r *tariff.Recurring) bool {
	return r.Proration == tariff.ActualDays || r.Proration == tariff.Fixed30
}

// Pause stops a contract that is not served: because its charges could not be paid,
// or by order. What is paid in arrears falls due for the time before.
func (s *State) Pause(at int64) {
	if s.Paused == 0 {
		s.Paused = at
	}
}

// Resume goes on with a paused contract: the time between is not owed. What fell due
// for the time before the pause has to be taken first.
func (p *Plan) Resume(s *State, at int64) {
	for i := range p.Recurring {
		r := &p.Recurring[i]
		x := s.part(r.Name)
		if x == nil || x.Next >= at {
			continue
		}
		x.Next = at
		if !prorates(r) {
			x.Anchor = at
		}
	}
	s.Paused = 0
}

// Cancel ends a contract at an instant: the charges for a begun period in arrears, and what is given back of periods paid
// in advance. A day that has begun counts as used.
func (p *Plan) Cancel(s *State, f *Facts, at int64) ([]Charge, error) {
	out, err := p.close(s, f, at, true)
	if err != nil {
		return nil, err
	}
	s.Ended, s.Parts = at, nil
	return out, nil
}

// Change ends the old plan's charges at an instant and begins the new one's. Of
// components that charge parts of periods
// the unused days are given back, the day of the change among them, for the new
// plan charges it. Components that do not go on to the end of what is paid, and
// what comes in their place begins there. The new plan's one-time charges are due.
func Change(from, to *Plan, s *State, f *Facts, at int64) ([]Charge, error) {
	out, err := from.close(s, f, at, false)
	if err != nil {
		return nil, err
	}
	paid := map[string]int64{}
	rest := s.Rest
	for i := range from.Recurring {
		r := &from.Recurring[i]
		x := s.part(r.Name)
		if x == nil || prorates(r) || r.Due == tariff.Arrears || x.To <= at {
			continue
		}
		if to.recurring(r.Name) != nil {
			paid[r.Name] = x.To
		} else {
			rest = max(rest, x.To)
		}
	}
	parts := make([]Part, 0, len(to.Recurring))
	for i := range to.Recurring {
		r := &to.Recurring[i]
		start := at
		if r.Due != tariff.Arrears {
			start = max(at, rest)
			if until, known := paid[r.Name]; known {
				start = until
			}
		}
		x := begin(s, r, start)
		if start > at {
			x.From, x.To = at, start
			if _, goesOn := paid[r.Name]; goesOn {
				old := s.part(r.Name)
				x.Anchor, x.From, x.Paid = old.Anchor, old.From, old.Paid
			}
		}
		parts = append(parts, x)
	}
	s.Parts, s.Bought, s.Once, s.Rest = parts, at, 0, rest
	return out, nil
}

// maxOwed bounds the periods in arrears that an end or a change charges; what is
// taken as it falls due leaves one.
const maxOwed = 400

// close is what ending or changing brings: charges in arrears and credits.
func (p *Plan) close(s *State, f *Facts, at int64, cancel bool) ([]Charge, error) {
	var out []Charge
	if s.Activated == 0 || s.Ended != 0 {
		return nil, nil
	}
	for i := range p.Recurring {
		r := &p.Recurring[i]
		x := s.part(r.Name)
		if x == nil {
			continue
		}
		for range maxOwed {
			var c Charge
			var err error
			if r.Due == tariff.Arrears {
				c, err = p.arrears(s, f, r, x, at, cancel)
			} else {
				c, err = p.credit(r, x, at, cancel)
			}
			if err != nil {
				return nil, fmt.Errorf("end %s: %w", r.Name, err)
			}
			if c.Kind == 0 {
				break
			}
			s.use(&c)
			out = append(out, c)
		}
	}
	return out, nil
}

// arrears is the charge for what was used of a period that is paid afterwards.
func (p *Plan) arrears(s *State, f *Facts, r *tariff.Recurring, x *Part, at int64, cancel bool) (c Charge, err error) {
	if s.Paused != 0 {
		at = min(at, s.Paused)
	}
	if x.Next >= at {
		return c, nil
	}
	w := p.span(r, x)
	if at < w.until {
		w = p.cut(r, x, w, at, cancel)
	}
	if w.to == w.from && prorates(r) {
		return c, nil
	}
	c = Charge{Kind: Fee, Component: r.Name, From: x.Next, To: w.until, Due: min(at, w.until)}
	if c.Price, c.Days, c.Of, err = w.price(r); err != nil {
		return c, err
	}
	x.Next = w.until
	return c, p.promote(s, f, &c)
}

// credit is what is given back of a period that was paid in advance.
func (p *Plan) credit(r *tariff.Recurring, x *Part, at int64, cancel bool) (c Charge, err error) {
	if x.To <= at || x.Paid == 0 || !cancel && !prorates(r) {
		return c, nil
	}
	k := p.clock(r, x.Anchor)
	from, to, day := k.day(x.From), k.begun(x.To), k.day(at)
	if cancel {
		day = k.begun(at)
	}
	day = max(min(day, to), from)
	unused, whole := max(days(r, day, to), 0), max(days(r, from, to), 1)
	unused = min(unused, whole)
	switch {
	case cancel && r.Cancel == tariff.FullCredit:
		unused = whole
	case cancel && r.Cancel != tariff.PartCredit:
		return c, nil
	}
	used, err := money.MulDiv(int64(x.Paid), whole-unused, whole, money.HalfEven)
	if err != nil {
		return c, err
	}
	back := x.Paid - money.Amount(used)
	if back == 0 {
		return c, nil
	}
	c = Charge{Kind: Credit, Component: r.Name, From: at, To: x.To, Due: at, Days: unused, Of: whole, Price: x.Paid, Amount: back}
	x.Paid, x.To = money.Amount(used), at
	return c, nil
}
