package rating

import (
	"cmp"
	"slices"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Facts are what promotions ask about a charge and its customer.
type Facts struct {
	At           int64  // Unix seconds
	Component    string // that is charged
	Period       int    // of the subscription, the first is 1
	TenureMonths int
	Birthday     bool     // At lies within the promotion's days of it
	InWindow     string   // the window in force, "" = none
	Holds        []string // ids of the customer's other offerings
	// Left tells how much of a promotion's budget, and how many of its times, are
	// left; nil = all.
	Left func(id string) (budget money.Amount, times int64)
}

// Reduction is what a promotion took off a charge.
type Reduction struct {
	Promotion string
	Name      string
	Amount    money.Amount
}

// Reduce applies promotions to a charge: by order and id, each to what the ones
// before left; of a group only the one that takes most off the whole charge, and
// an exclusive one alone. It returns what each took, and what is left to pay,
// which is never negative.
func Reduce(list []tariff.Promotion, f *Facts, charge money.Amount) ([]Reduction, money.Amount, error) {
	var apply []*tariff.Promotion
	for i := range list {
		if p := &list[i]; applies(p, f) {
			apply = append(apply, p)
		}
	}
	slices.SortFunc(apply, func(a, b *tariff.Promotion) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
	})
	if i := slices.IndexFunc(apply, func(p *tariff.Promotion) bool { return p.Exclusive }); i >= 0 {
		apply = apply[i : i+1]
	}
	best := map[string]*tariff.Promotion{}
	for _, p := range apply {
		off, err := reduction(p, f, charge)
		if err != nil {
			return nil, charge, err
		}
		if have := best[p.Group]; p.Group != "" && have != nil {
			before, err := reduction(have, f, charge)
			if err != nil {
				return nil, charge, err
			}
			if before >= off {
				continue
			}
		}
		best[p.Group] = p
	}
	var out []Reduction
	for _, p := range apply {
		if p.Group != "" && best[p.Group] != p {
			continue
		}
		off, err := reduction(p, f, charge)
		if err != nil {
			return nil, charge, err
		}
		if off > 0 {
			charge -= off
			out = append(out, Reduction{p.ID, p.Name, off})
		}
	}
	return out, charge, nil
}

func applies(p *tariff.Promotion, f *Facts) bool {
	if f.At < p.From || p.Until != 0 && f.At >= p.Until || len(p.Applies) > 0 && !slices.Contains(p.Applies, f.Component) {
		return false
	}
	if p.Periods > 0 && f.Period > p.Periods {
		return false
	}
	switch p.Kind {
	case tariff.Discount, tariff.Trial:
		return true
	case tariff.Loyalty:
		return f.TenureMonths >= p.Tenure[0].Months
	case tariff.CrossSell:
		return !slices.ContainsFunc(p.With, func(id string) bool { return !slices.Contains(f.Holds, id) })
	case tariff.HappyHours:
		return f.InWindow == p.Window
	case tariff.Birthday:
		return f.Birthday
	}
	return false // a bonus is given for a top-up or a referral, see Bonus
}

// reduction is what a promotion takes off an amount, within its budget.
func reduction(p *tariff.Promotion, f *Facts, charge money.Amount) (money.Amount, error) {
	percent := p.Percent
	switch p.Kind {
	case tariff.Trial:
		percent = tariff.Hundred
	case tariff.Loyalty:
		for _, t := range p.Tenure {
			if f.TenureMonths >= t.Months {
				percent = t.Percent
			}
		}
	}
	n, err := money.MulDiv(int64(max(charge, 0)), int64(percent), int64(tariff.Hundred), money.Floor)
	if err != nil {
		return 0, err
	}
	off := min(money.Amount(n)+p.Amount, charge)
	if f.Left != nil {
		budget, times := f.Left(p.ID)
		if p.Count > 0 && times <= 0 {
			return 0, nil
		}
		if p.Budget > 0 {
			off = min(off, budget)
		}
	}
	return max(off, 0), nil
}

// Bonus is what a top-up, or a referral, of an amount brings by a promotion's
// tiers.
func Bonus(p *tariff.Promotion, amount money.Amount) (money.Amount, error) {
	for i := len(p.Bonus) - 1; i >= 0; i-- {
		b := &p.Bonus[i]
		if amount < b.From {
			continue
		}
		n, err := money.MulDiv(int64(amount), int64(b.Percent), int64(tariff.Hundred), money.Floor)
		if err != nil {
			return 0, err
		}
		return money.Add(money.Amount(n), b.Amount)
	}
	return 0, nil
}
