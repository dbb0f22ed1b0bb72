package contract

import (
	"cmp"
	"slices"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// promote takes off a charge what promotions take.
func (p *Plan) promote(s *State, f *Facts, c *Charge) error {
	c.Amount = c.Price
	if len(p.Promotions) == 0 || c.Price <= 0 {
		return nil
	}
	var list []tariff.Promotion
	for i := range p.Promotions {
		x := &p.Promotions[i]
		if !p.eligible(s, f, x, c.Component, c.Due) {
			continue
		}
		if x.Periods > 0 {
			c.counted = append(c.counted, x.ID)
		}
		off, err := plain(x, p.tenure(s, c.Due), c.Days, c.Of)
		if err != nil {
			return err
		}
		list = append(list, off)
	}
	var left func(string) (money.Amount, int64)
	if f != nil {
		left = f.Left
	}
	var err error
	c.Off, c.Amount, err = rating.Reduce(list, &rating.Facts{At: c.Due, Component: c.Component, Left: left}, c.Price)
	return err
}

// Discount is what promotions take off an amount for usage of a component at an
// instant. Take notes it.
func (p *Plan) Discount(s *State, f *Facts, component string, at int64, amount money.Amount) (Charge, error) {
	c := Charge{Component: component, From: at, To: at, Due: at, Days: 1, Of: 1, Price: amount}
	err := p.promote(s, f, &c)
	return c, err
}

// plain makes a promotion that applies one of a percentage and an amount; of a part
// of a period it takes a part of the amount.
func plain(x *tariff.Promotion, tenure int, days, of int64) (tariff.Promotion, error) {
	out := tariff.Promotion{ID: x.ID, Name: x.Name, Kind: tariff.Discount, Percent: x.Percent, Budget: x.Budget, Count: x.Count,
		Order: x.Order, Group: x.Group, Exclusive: x.Exclusive}
	switch x.Kind {
	case tariff.Trial:
		out.Percent = tariff.Hundred
	case tariff.Loyalty:
		out.Percent = 0
		for _, t := range x.Tenure {
			if tenure >= t.Months {
				out.Percent = t.Percent
			}
		}
	}
	n, err := money.MulDiv(int64(x.Amount), days, max(of, 1), money.Floor)
	out.Amount = money.Amount(n)
	return out, err
}

// eligible tells whether a promotion is there for a charge of a component.
func (p *Plan) eligible(s *State, f *Facts, x *tariff.Promotion, component string, at int64) bool {
	if f == nil {
		f = &Facts{}
	}
	if !open(s, x, at) || len(x.Applies) > 0 && !slices.Contains(x.Applies, component) {
		return false
	}
	if x.Periods > 0 && p.periods(s, x, component, at) >= int64(x.Periods) {
		return false
	}
	switch x.Kind {
	case tariff.Discount, tariff.Trial:
		return true
	case tariff.Loyalty:
		return p.tenure(s, at) >= x.Tenure[0].Months
	case tariff.CrossSell:
		return !slices.ContainsFunc(x.With, func(id string) bool { return !slices.Contains(f.Holds, id) })
	case tariff.HappyHours:
		in, _ := p.Rating.InWindow(p.Rating.Window(x.Window), at)
		return in
	case tariff.Birthday:
		return p.birthday(f, x.Days, at)
	}
	return false // a bonus: see Bonuses
}

// open tells whether a promotion runs at an instant and the customer may still use
// it.
func open(s *State, x *tariff.Promotion, at int64) bool {
	if at < x.From || x.Until != 0 && at >= x.Until {
		return false
	}
	times := int64(0)
	for i := range s.Uses {
		if s.Uses[i].Promotion == x.ID {
			times += s.Uses[i].Times
		}
	}
	return x.PerPerson == 0 || times < x.PerPerson
}

// periods is how many periods of a promotion are over: of a recurring or one-time
// component its charges, of usage the months since the activation.
func (p *Plan) periods(s *State, x *tariff.Promotion, component string, at int64) int64 {
	if p.Rating.Component(component) >= 0 {
		return int64(p.months(s.Activated, at))
	}
	for i := range s.Uses {
		if s.Uses[i].Promotion == x.ID && s.Uses[i].Component == component {
			return s.Uses[i].Periods
		}
	}
	return 0
}

// birthday tells whether an instant lies within days of the customer's birthday. A
// birthday on 29 February is kept on 28 February where the year has none.
func (p *Plan) birthday(f *Facts, days int, at int64) bool {
	if f.BirthMonth == 0 {
		return false
	}
	day, _ := p.Rating.Local(at)
	year, _, _ := tariff.Civil(day)
	for _, y := range []int64{year, year - 1} {
		month := int64(f.BirthMonth)
		first := tariff.DayNumber(y, month, min(int64(f.BirthDay), tariff.DaysIn(y, month)))
		if day >= first && day < first+int64(days) {
			return true
		}
	}
	return false
}

// tenure is the whole months of the customer's time.
func (p *Plan) tenure(s *State, at int64) int { return p.months(cmp.Or(s.Since, s.Activated), at) }

func (p *Plan) months(from, to int64) int {
	a, _ := p.Rating.Local(from)
	b, _ := p.Rating.Local(to)
	y, m, d := tariff.Civil(a)
	y2, m2, d2 := tariff.Civil(b)
	n := (y2-y)*12 + m2 - m
	if d2 < min(d, tariff.DaysIn(y2, m2)) {
		n--
	}
	return int(max(n, 0))
}

// use notes what a charge used of promotions.
func (s *State) use(c *Charge) {
	for _, id := range c.counted {
		s.useOf(id, c.Component).Periods++
	}
	for _, r := range c.Off {
		s.useOf(r.Promotion, c.Component).Times++
	}
}

func (s *State) useOf(promotion, component string) *Use {
	for i := range s.Uses {
		if s.Uses[i].Promotion == promotion && s.Uses[i].Component == component {
			return &s.Uses[i]
		}
	}
	if len(s.Uses) >= MaxUses {
		s.Uses = s.Uses[1:]
	}
	s.Uses = append(s.Uses, Use{Promotion: promotion, Component: component})
	return &s.Uses[len(s.Uses)-1]
}

// Bonus is what a promotion gives for a top-up or a referral.
type Bonus struct {
	Promotion string
	Name      string
	Gives     string // allowance, or tariff.MoneyBalance
	Amount    money.Amount
}

// Bonuses is what promotions of a kind (top-up or referral) give for an amount: by
// order and id; of a group only the best, and an exclusive one alone. The state
// notes that they were given.
func (p *Plan) Bonuses(s *State, f *Facts, kind tariff.PromotionKind, at int64, amount money.Amount) ([]Bonus, error) {
	type gift struct {
		*tariff.Promotion
		amount money.Amount
	}
	var list []gift
	for i := range p.Promotions {
		x := &p.Promotions[i]
		if x.Kind != kind || !open(s, x, at) {
			continue
		}
		n, err := rating.Bonus(x, amount)
		if err != nil {
			return nil, err
		}
		if f != nil && f.Left != nil {
			budget, times := f.Left(x.ID)
			if x.Count > 0 && times <= 0 {
				continue
			}
			if x.Budget > 0 {
				n = min(n, budget)
			}
		}
		if n > 0 {
			list = append(list, gift{x, n})
		}
	}
	slices.SortFunc(list, func(a, b gift) int { return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID)) })
	if i := slices.IndexFunc(list, func(g gift) bool { return g.Exclusive }); i >= 0 {
		list = list[i : i+1]
	}
	var out []Bonus
	for i, g := range list {
		better := func(j int) bool {
			o := list[j]
			return o.Group == g.Group && (o.amount > g.amount || o.amount == g.amount && j < i)
		}
		beaten := false
		for j := range list {
			beaten = beaten || g.Group != "" && better(j)
		}
		if beaten {
			continue
		}
		s.useOf(g.ID, "").Times++
		out = append(out, Bonus{g.ID, g.Name, cmp.Or(g.Gives, tariff.MoneyBalance), g.amount})
	}
	return out, nil
}
