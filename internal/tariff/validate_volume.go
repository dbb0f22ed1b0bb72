package tariff

import (
	"cmp"
	"slices"
)

// volume tells whether the component prices all of its usage by the tier reached,
// so that its price may fall.
func (u *Usage) volume() bool {
	return slices.ContainsFunc(u.Rates, func(r Rate) bool { return r.Mode == Volume })
}

// volumes refuses what would take a part of the usage, or of the price, out of
// volume tiers: all of both belongs together there, or a fall would give back what
// nobody paid.
func (o *Offering) volumes(c check) {
	for i := range o.Usage {
		u := &o.Usage[i]
		if !u.volume() {
			continue
		}
		for j := range o.Allowances {
			a, at := &o.Allowances[j], c.in("allowances[%d]", j)
			at.need(a.RatedBy != u.Name, "rated_by", a.RatedBy, "this component has volume tiers: name one with graduated tiers or one price")
			at.need(a.Unit == Money || !o.covers(a, u), "filter.usage", u.Name, "an allowance cannot pay for a part of what volume tiers price as a whole: name other components, or use graduated tiers")
		}
		for j := range o.Promotions {
			p := &o.Promotions[j]
			touches := !oneOf(p.Kind, TopUpBonus, Referral) && (len(p.Applies) == 0 || slices.Contains(p.Applies, u.Name))
			c.in("promotions[%d]", j).need(!touches, "applies", u.Name, "a promotion cannot take off a price that may fall: name components without volume tiers")
		}
	}
}

// covers tells whether an allowance may pay for a component.
func (o *Offering) covers(a *Allowance, u *Usage) bool {
	return (len(a.Filter.Usage) == 0 || slices.Contains(a.Filter.Usage, u.Name)) &&
		(len(a.Filter.Services) == 0 || slices.Contains(a.Filter.Services, cmp.Or(u.Service, o.Service))) &&
		(a.Factor != (Ratio{}) || a.Unit == u.Unit)
}
