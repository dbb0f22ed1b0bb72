package replay

import (
	"fmt"

	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// guide follows the slices of a record's part: what an allowance has paid for, it
// pays for again, whatever else it had at the time.
type guide struct {
	v     *Version
	p     *Part
	ctx   rating.Context
	list  []journal.PaidSlice
	at    int   // in list
	done  int64 // of list[at], counts
	spent money.Amount
	cash  *[]Paid // of money, that is left
	even  bool    // a run of counts lies evenly over its part of the report's time

	use  rating.Use
	left int64
}

// follow prices a record's parts by their own slices, from the states that stand in
// the jobs; the cash that is given pays bucket by bucket as it did.
func (v *Version) follow(list []job, cash []Paid, even bool) (Result, error) {
	out := Result{Parts: make([]Part, len(list))}
	guides := make([]guide, len(list))
	most := 0
	for i := range list {
		j := &list[i]
		p := &out.Parts[i]
		*p = Part{Component: j.component, Zone: v.Plan.ZoneName(j.component, j.zone), Before: j.before, After: j.before.clone()}
		guides[i] = guide{v: v, p: p, ctx: rating.Context{Component: j.component, Zone: j.zone, Start: j.start}, list: j.slices, cash: &cash, even: even}
		most = max(most, len(j.uses))
	}
	for n := range most {
		for i := range list {
			if n < len(list[i].uses) {
				if err := guides[i].take(list[i].uses[n]); err != nil {
					return out, fmt.Errorf("%w: %w", ErrRecord, err)
				}
			}
		}
	}
	return out, nil
}

// take prices one report.
func (g *guide) take(u rating.Use) error {
	g.use, g.left = u, u.Quantity
	t := &g.p.After.Tally
	if u.New {
		*t = g.v.Plan.Begin(g.ctx, *t)
		g.use.New = false
	}
	if n := g.left - t.Unpaid(g.left); n > 0 || g.left == 0 { // a started step has paid for it
		if err := g.price(n); err != nil {
			return err
		}
	}
	for g.left > 0 {
		before := g.left
		run, allowance := g.next()
		var err error
		switch {
		case allowance != "":
			g.cover(allowance, min(run, g.left))
		case g.even || g.v.Plan.Unit(g.ctx.Component) == tariff.Seconds || run >= g.left && len(*g.cash) == 0:
			err = g.price(min(run, g.left))
		default:
			err = g.pay(run)
		}
		if err != nil {
			return err
		}
		if g.left == before {
			return fmt.Errorf("the record's slices do not go on after %d counts", t.Quantity)
		}
	}
	return nil
}

// next is what the record says of the counts that come: an allowance that pays for
// them, or money for a run of slices.
func (g *guide) next() (counts int64, allowance string) {
	for g.at < len(g.list) && g.list[g.at].Quantity == g.done {
		g.at, g.done = g.at+1, 0
	}
	if g.at == len(g.list) {
		return 0, ""
	}
	if x := &g.list[g.at]; x.Bucket != "" {
		return x.Quantity - g.done, x.Rule
	}
	counts = -g.done
	for k := g.at; k < len(g.list) && g.list[k].Bucket == ""; k++ {
		counts += g.list[k].Quantity
	}
	return counts, ""
}

// passed goes on in the record by counts, whose price was an amount.
func (g *guide) passed(n int64, cost money.Amount) {
	g.left -= n
	g.spent += cost
	for n > 0 && g.at < len(g.list) {
		x := &g.list[g.at]
		m := min(n, x.Quantity-g.done)
		n, g.done = n-m, g.done+m
		if g.done == x.Quantity {
			g.at, g.done = g.at+1, 0
		}
	}
}

// part is the report's rest, with n of its counts.
func (g *guide) part(n int64) rating.Use {
	u := g.use
	if u.To > u.From && u.Quantity > 0 && g.left < u.Quantity {
		if done, err := money.MulDiv(u.Quantity-g.left, u.To-u.From, u.Quantity, money.Floor); err == nil {
			u.From += done
		}
	}
	if g.even && n < g.left {
		if done, err := money.MulDiv(n, u.To-u.From, g.left, money.Floor); err == nil {
			u.To = u.From + done
		}
	}
	u.Quantity = n
	return u
}

func (g *guide) cover(allowance string, n int64) {
	step, bucket := int64(1), g.list[g.at].Bucket
	a := g.v.allowance(allowance)
	if a != nil {
		step = max(a.Step, 1)
	}
	charged := (n + step - 1) / step * step
	if a != nil && a.Factor != (tariff.Ratio{}) && a.Factor.Num != a.Factor.Den {
		d := g.p.After.draw(bucket)
		d.Counts += charged
		d.Taken, _ = money.MulDiv(d.Counts, a.Factor.Num, a.Factor.Den, money.Floor) // it fitted when it was charged
	}
	t := &g.p.After.Tally
	*t = g.v.Plan.Skip(g.ctx, *t, n, charged, false)
	g.p.add(rating.Priced{Rule: allowance, Kind: rating.KindCovered, Quantity: n, Charged: charged, Step: step}, bucket)
	g.passed(n, 0)
}

// price rates n of the report's rest at whatever it costs.
func (g *guide) price(n int64) error {
	pieces, t, err := g.v.Plan.Rate(nil, g.ctx, g.p.After.Tally, g.part(n))
	if err != nil {
		return err
	}
	g.rated(pieces, t, n)
	return nil
}

func (g *guide) rated(pieces []rating.Priced, t rating.Tally, n int64) {
	cost := t.Charged - g.p.After.Tally.Charged
	g.p.After.Tally = t
	for _, x := range pieces {
		g.p.add(x, "")
	}
	g.passed(n, cost)
}

// pay lets the money that is left pay for a run of counts, bucket by bucket: where
// one ends, the rest of the report lies over the rest of its time.
func (g *guide) pay(run int64) error {
	want := min(run, g.left)
	for want > 0 {
		budget := money.Amount(0)
		var b *Paid
		for i := range *g.cash {
			if (*g.cash)[i].Amount > 0 {
				b = &(*g.cash)[i]
				budget = money.Amount(b.Amount)
				break
			}
		}
		if run < g.left || b == nil {
			budget = min(budget, g.rest())
		}
		pieces, t, n, err := g.v.Plan.Fit(nil, g.ctx, g.p.After.Tally, g.part(g.left), budget)
		if err != nil {
			return err
		}
		cost := int64(t.Charged - g.p.After.Tally.Charged)
		switch {
		case n == 0 && cost == 0 && b != nil && budget == money.Amount(b.Amount):
			b.Amount = 0 // too little for the next step
			continue
		case n == 0 && cost == 0 || n > want:
			return g.price(want) // nothing paid for it
		}
		if b != nil {
			b.Amount -= cost
		}
		g.rated(pieces, t, n)
		want, run = want-n, run-n
	}
	return nil
}

// rest is what the record says that the run of priced slices still costs.
func (g *guide) rest() money.Amount {
	sum := money.Amount(0)
	for k := 0; k < len(g.list) && (k <= g.at || g.list[k].Bucket == ""); k++ {
		sum += g.list[k].Amount
	}
	return max(sum-g.spent, 0)
}

// add adds a piece as records keep them: equal neighbours are one, but for fees.
func (p *Part) add(x rating.Priced, bucket string) {
	s := journal.PaidSlice{Rule: x.Rule, Kind: x.Kind, Quantity: x.Quantity, Charged: x.Charged, Amount: x.Amount, Bucket: bucket}
	if n := len(p.Slices); n > 0 && s.Kind != rating.KindFee {
		if last := &p.Slices[n-1]; last.Rule == s.Rule && last.Kind == s.Kind && last.Bucket == s.Bucket {
			last.Quantity, last.Charged, last.Amount = last.Quantity+s.Quantity, last.Charged+s.Charged, last.Amount+s.Amount
			more := &p.Pieces[n-1]
			more.Quantity, more.Charged, more.Amount, more.Capped = last.Quantity, last.Charged, last.Amount, more.Capped || x.Capped
			return
		}
	}
	p.Slices, p.Pieces = append(p.Slices, s), append(p.Pieces, x)
}

func (s State) clone() State { return State{s.Tally, append([]charging.Draw(nil), s.Draws...)} }

func (s *State) draw(bucket string) *charging.Draw {
	for i := range s.Draws {
		if s.Draws[i].Bucket == bucket {
			return &s.Draws[i]
		}
	}
	s.Draws = append(s.Draws, charging.Draw{Bucket: bucket})
	return &s.Draws[len(s.Draws)-1]
}
