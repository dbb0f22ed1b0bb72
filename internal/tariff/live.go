package tariff

import "errors"

const notLive = "the edges do not execute this yet: leave it out"

// Live reports the parts of an offering that the edges do not execute yet, each a
// *Fault that names it. Publishing refuses them: an edge never runs an offering
// in part.
func (o *Offering) Live() error {
	var faults []error
	c := check{faults: &faults}
	for _, part := range []struct {
		field string
		n     int
	}{
		{"services", len(o.Services)}, {"one_time", len(o.OneTime)},
		{"switches", len(o.Switches)}, {"thresholds", len(o.Thresholds)}, {"promotions", len(o.Promotions)},
	} {
		c.need(part.n == 0, part.field, part.n, notLive)
	}
	c.need(len(o.Recurring) <= 1, "recurring", len(o.Recurring), "the edges renew by one component: "+notLive)
	for i := range o.Usage {
		o.Usage[i].live(c.in("usage[%d]", i), o)
	}
	for i := range o.Allowances {
		o.Allowances[i].live(c.in("allowances[%d]", i), o)
	}
	for i := range o.Recurring {
		r := &o.Recurring[i]
		at := c.in("recurring[%d]", i)
		at.need(r.Every.Unit == Day, "every.unit", r.Every.Unit, "the edges count periods of days: use day")
		at.need(oneOf(r.Anchor, "", Anniversary), "anchor", r.Anchor, notLive)
		at.need(oneOf(r.Due, "", Advance), "due", r.Due, notLive)
		at.need(oneOf(r.Proration, "", NoProrate), "proration", r.Proration, notLive)
		at.need(oneOf(r.Cancel, "", NoCredit), "cancel", r.Cancel, notLive)
	}
	p := &o.Profile
	c.need(p.Garden == "", "profile.garden", p.Garden, notLive)
	c.need(len(p.BarZones) == 0, "profile.bar_zones", len(p.BarZones), notLive)
	c.need(!p.BarService, "profile.bar_service", p.BarService, notLive)
	return errors.Join(faults...)
}

func (u *Usage) live(c check, o *Offering) {
	c.need(u.Unit == Bytes || u.Unit == Seconds, "unit", u.Unit, "the edges meter bytes and seconds: "+notLive)
	c.need(u.Service == "" || u.Service == o.Service, "service", u.Service, "the edges meter the main service: "+notLive)
	c.need(oneOf(u.Counted, "", BySession), "counted", u.Counted, notLive)
	c.need(len(u.Destinations) == 0, "destinations", len(u.Destinations), notLive)
	c.need(u.Table == "", "table", u.Table, notLive)
	c.need(u.WeightScale == 0, "weight_scale", u.WeightScale, notLive)
	for i := range u.Rates {
		r := &u.Rates[i]
		at := c.in("rates[%d]", i)
		at.need(r.Zone == "", "zone", r.Zone, notLive)
	}
}

func (a *Allowance) live(c check, o *Offering) {
	c.need(oneOf(a.Unit, Bytes, Seconds, Money), "unit", a.Unit, "the edges meter bytes and seconds: "+notLive)
	c.need(a.Every == nil || a.ValidFor == nil, "valid_for", a.ValidFor, "the edges keep what is given each period for that period: "+notLive)
	c.need(!a.CarryOverage, "carry_overage", a.CarryOverage, notLive)
	c.need(a.RatedBy == "", "rated_by", a.RatedBy, notLive)
	c.need(len(a.Filter.Zones) == 0, "filter.zones", len(a.Filter.Zones), notLive)
	c.need(!a.Blocking || o.Metered(), "blocking", a.Blocking, "usage that costs nothing goes on all the same: give it a price, or leave it out")
}
