package tariff

import (
	"strings"

	"meridian/internal/money"
)

func (u *Usage) validate(c check, k known) {
	c.need(u.Service == "" || k.services[u.Service], "service", u.Service, "name a service of the offering")
	c.need(u.Unit.Scale() > 0, "unit", u.Unit, "use bytes, seconds, events, money or units")
	c.need(oneOf(u.Counted, "", BySession, ByPeriod), "counted", u.Counted, "use session or period")
	if u.Every != nil {
		c.need(u.Counted == ByPeriod, "every", u.Every.Unit, "leave it out, or count by period")
		period(c.in("every"), u.Every)
	}
	c.need(u.Free.Units >= 0, "free.units", u.Free.Units, "use a quantity that is not negative")
	c.need(u.Free.Events >= 0, "free.events", u.Free.Events, "use a number that is not negative")
	c.need(u.Free.Events == 0 || u.Counted == ByPeriod, "free.events", u.Free.Events, "free events are counted by period")
	u.validateBounds(c)
	c.need(u.WeightScale >= 0 && u.WeightScale <= 1_000_000_000, "weight_scale", u.WeightScale, "use 0 to 1 000 000 000")
	u.validateDestinations(c)
	c.need(len(u.Rates) > 0, "rates", "absent", "give at least one rate, at price 0 if it is free")
	c.need(len(u.Rates) <= MaxRates, "rates", len(u.Rates), "use at most %d: split the component", MaxRates)
	seen := map[[2]string]bool{}
	for i := range u.Rates {
		r := &u.Rates[i]
		at := c.in("rates[%d]", i)
		at.need(!seen[[2]string{r.Zone, r.Window}], "window", r.Window, "zone %q has a rate for this window: keep one", r.Zone)
		seen[[2]string{r.Zone, r.Window}] = true
		at.need(r.Window == "" || k.windows[r.Window], "window", r.Window, "name one of the windows")
		r.validate(at, u)
	}
	if u.WeightScale > 0 {
		c.need(len(u.Rates) == 1 && u.Rates[0].Next == 0 && u.Rates[0].First == 0, "weight_scale", u.WeightScale, "weighted units take one rate without steps")
		c.need(u.Free == Free{} && u.MinEvent == 0 && u.MaxEvent == 0, "weight_scale", u.WeightScale, "weighted units take no free units and no bounds of an event")
	}
	shares(c, u.Shares)
}

func (u *Usage) validateBounds(c check) {
	for _, b := range []struct {
		field string
		v     money.Amount
	}{{"min_event", u.MinEvent}, {"max_event", u.MaxEvent}, {"min_period", u.MinPeriod}, {"max_period", u.MaxPeriod}} {
		c.need(amount(b.v), b.field, b.v, amountRemedy)
	}
	c.need(u.MaxEvent == 0 || u.MaxEvent >= u.MinEvent, "max_event", u.MaxEvent, "use at least min_event")
	c.need(u.MaxPeriod == 0 || u.MaxPeriod >= u.MinPeriod, "max_period", u.MaxPeriod, "use at least min_period")
	c.need(u.MinPeriod == 0 && u.MaxPeriod == 0 || u.Counted == ByPeriod, "counted", u.Counted, "bounds of a period need a component that is counted by period")
}

func (u *Usage) validateDestinations(c check) {
	prefixes := map[string]bool{}
	zones := map[string]bool{"": u.Table != ""}
	validateZones(c, u.Destinations, prefixes, zones)
	c.need(len(prefixes) <= MaxPrefixes, "destinations", len(prefixes), "use at most %d prefixes, or name a shared table", MaxPrefixes)
	c.need(u.Table != "" || u.TableVersion == 0 && u.TableHash == "", "table", u.Table, "name the table whose version this is")
	for i := range u.Rates {
		z := u.Rates[i].Zone
		c.need(z == "" || zones[z] || u.Table != "", "rates", z, "no destination is in this zone: list its prefixes")
	}
}

// validateZones checks zones and their prefixes, and notes both.
func validateZones(c check, list []Destination, prefixes, zones map[string]bool) {
	for i, d := range list {
		at := c.in("destinations[%d]", i)
		at.need(d.Zone != "" && len(d.Zone) <= maxName && !strings.ContainsAny(d.Zone, "/@"), "zone", d.Zone, "give a name of 1 to 64 characters without / and @")
		at.need(len(d.Prefixes) > 0, "prefixes", "absent", "list the prefixes of its numbers")
		zones[d.Zone] = true
		for _, p := range d.Prefixes {
			at.need(ValidPrefix(p), "prefixes", p, "write 1 to %d digits, + before them for an international number", MaxPrefixDigits)
			at.need(!prefixes[p], "prefixes", p, "this prefix is listed twice: keep one")
			prefixes[p] = true
		}
	}
}

// ValidPrefix tells whether a number's prefix is digits, + before them or not.
func ValidPrefix(p string) bool {
	p = strings.TrimPrefix(p, "+")
	return p != "" && len(p) <= MaxPrefixDigits && strings.Trim(p, "0123456789") == ""
}

func (r *Rate) validate(c check, u *Usage) {
	c.need(len(r.Name) <= maxName && !strings.ContainsAny(r.Name, "/@"), "name", r.Name, "use at most 64 characters without / and @")
	c.need(amount(r.Fee), "fee", r.Fee, amountRemedy)
	c.need(r.First >= 0, "first", r.First, "use a quantity that is not negative")
	c.need(r.Next >= 0, "next", r.Next, "use a quantity that is not negative")
	c.need(r.First <= maxStep(u.Unit) && r.Next <= maxStep(u.Unit), "next", max(r.First, r.Next), "use at most %d", maxStep(u.Unit))
	c.need(r.First == 0 || u.Counted != ByPeriod, "first", r.First, "a first step is a session's: count by session, or use tiers")
	c.need(amount(r.MaxCost), "max_cost", r.MaxCost, amountRemedy)
	c.need((r.MaxCost == 0) == (r.AfterMax == ""), "after_max", r.AfterMax, "give max_cost and after_max together")
	c.need(oneOf(r.AfterMax, "", FreeAfter, Disconnect), "after_max", r.AfterMax, `use "free after" or "disconnect"`)
	if len(r.Tiers) == 0 {
		c.need(r.Mode == "", "mode", r.Mode, "give the tiers")
		r.Price.validate(c.in("price"), u.Unit, max(r.First, r.Next))
		return
	}
	c.need(oneOf(r.Mode, Graduated, Volume), "mode", r.Mode, "say graduated or volume")
	c.need(r.Price == Price{}, "price", r.Price.Amount, "with tiers, leave it out")
	c.need(len(r.Tiers) <= MaxTiers, "tiers", len(r.Tiers), "use at most %d", MaxTiers)
	if r.Mode == Volume {
		c.need(len(u.Rates) == 1, "mode", r.Mode, "volume tiers price the whole quantity at once: use one rate, without zones and windows")
		c.need(r.MaxCost == 0, "max_cost", r.MaxCost, "with volume tiers, use max_event or max_period")
		c.need(r.First == 0, "first", r.First, "with volume tiers, use next or the tiers' step")
		c.need(u.Counted != ByPeriod || u.MinEvent == 0 && u.MaxEvent == 0, "mode", r.Mode, "volume tiers of a period have no bounds of an event")
		c.need(u.WeightScale == 0, "mode", r.Mode, "weighted units take graduated tiers or one price")
	}
	for i := range r.Tiers {
		t := &r.Tiers[i]
		at := c.in("tiers[%d]", i)
		last := i == len(r.Tiers)-1
		at.need(last == (t.UpTo == 0), "up_to", t.UpTo, "give every tier but the last an end")
		at.need(t.UpTo == 0 || t.UpTo > 0 && (i == 0 || t.UpTo > r.Tiers[i-1].UpTo), "up_to", t.UpTo, "end after the tier before")
		at.need(amount(t.Flat), "flat", t.Flat, amountRemedy)
		at.need(t.Step >= 0 && t.Step <= maxStep(u.Unit), "step", t.Step, "use 0 to %d", maxStep(u.Unit))
		t.Price.validate(at.in("price"), u.Unit, max(t.Step, r.First, r.Next))
	}
}

// maxStep bounds a step: beyond it the first count of usage would cost as much as
// years of it.
func maxStep(u Unit) int64 { return u.most() >> 10 }

// validate wants a price whose product with a step and with the largest quantity
// that must be payable fits 64 bits.
func (p *Price) validate(c check, u Unit, step int64) {
	c.need(amount(p.Amount), "amount", p.Amount, amountRemedy)
	c.need(p.Per > 0 && p.Per <= 1<<53, "per", p.Per, "say how many units the price is for, at most 2^53")
	if p.Amount > 0 && p.Per > 0 && u.Scale() > 0 {
		_, err := money.MulDiv(u.most()+step, int64(p.Amount), p.Per, money.Floor)
		c.need(err == nil, "", p.Amount, "the price of %d units does not fit: lower it or raise per", u.most())
	}
}
