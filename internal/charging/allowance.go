package charging

import (
	"slices"

	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// NewTerms makes an allowance's terms ready for a plan of its offering.
func NewTerms(o *tariff.Offering, p *rating.Plan, a *tariff.Allowance) Terms {
	t := Terms{Components: 1 << 63, Zones: a.Filter.Zones, Factor: a.Factor, Step: a.Step, Blocking: a.Blocking, RatedBy: 1 + p.Component(a.RatedBy)}
	for i := range o.Usage {
		u := &o.Usage[i]
		if len(a.Filter.Usage) > 0 && !slices.Contains(a.Filter.Usage, u.Name) {
			continue
		}
		if len(a.Filter.Services) > 0 && !slices.Contains(a.Filter.Services, p.Service(i)) {
			continue
		}
		// without a factor an allowance pays for what it counts itself
		if a.Unit != tariff.Money && a.Factor == (tariff.Ratio{}) && u.Unit != a.Unit {
			continue
		}
		t.Components |= 1 << i
	}
	for _, name := range a.Filter.Windows {
		t.Windows |= 1 << p.Window(name)
	}
	return t
}
