package trial

import (
	"fmt"
	"slices"

	"meridian/internal/tariff"
)

// inForce is the profile that the switches put in force for a service at a time
// (Unix seconds), or nil. Overdue and turbo do not occur in a trial.
func (p *person) inForce(service string, at int64) *tariff.NamedProfile {
	for i := range p.v.Switches {
		x := &p.v.Switches[i]
		n := &p.v.Profiles[slices.IndexFunc(p.v.Profiles, func(n tariff.NamedProfile) bool { return n.Name == x.Profile })]
		of := n.Service
		if of == "" {
			of = p.v.Service
		}
		if of == service && !slices.ContainsFunc(x.When, func(c tariff.Condition) bool { return !p.holds(&c, at) }) {
			return n
		}
	}
	return nil
}

func (p *person) holds(c *tariff.Condition, at int64) bool {
	switch c.Kind {
	case tariff.AllowanceUsed:
		b := p.wallet.Bucket(c.Allowance)
		return b != nil && b.Value == 0
	case tariff.BalanceZero:
		return p.limited && p.money.Value == 0
	case tariff.BalanceNegative:
		return p.limited && p.owed > 0 && p.v.Overrun == tariff.Owed
	case tariff.InWindow:
		in, _ := p.v.plan.InWindow(p.v.plan.Window(c.Window), at)
		return in
	}
	return false
}

// profile is the name of the profile in force, "" for the offering's own.
func (p *person) profile(service string, at int64) string {
	if n := p.inForce(service, at); n != nil {
		return n.Name
	}
	return ""
}

// barred says why a service cannot be used, or "".
func (p *person) barred(service, zone string, at int64) string {
	own, name := &p.v.Profile, "the offering's own profile"
	if n := p.inForce(service, at); n != nil {
		own, name = &n.Profile, "profile "+n.Name
	} else if service != p.v.Service {
		return ""
	}
	switch {
	case own.BarService:
		return fmt.Sprintf("%s bars new sessions", name)
	case zone != "" && slices.Contains(own.BarZones, zone):
		return fmt.Sprintf("%s bars zone %s", name, zone)
	}
	return ""
}
