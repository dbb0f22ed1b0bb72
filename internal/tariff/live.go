package tariff

import (
	"errors"
	"fmt"
	"slices"
)

const notLive = "the edges do not execute this yet: leave it out"

// Live reports the parts of an offering that the edges do not execute yet, each a
// *Fault that names it. Publishing refuses them: an edge never runs an offering
// in part.
func (o *Offering) Live() error {
	var faults []error
	c := check{faults: &faults}
	for i := range o.Usage {
		o.Usage[i].live(c.in("usage[%d]", i), o)
	}
	for i := range o.Allowances {
		o.Allowances[i].live(c.in("allowances[%d]", i), o)
	}
	for i := range o.Promotions {
		o.Promotions[i].live(c.in("promotions[%d]", i), o)
	}
	for i := range o.Thresholds {
		o.Thresholds[i].live(c.in("thresholds[%d]", i), o)
	}
	o.Profile.live(c.in("profile"), o)
	c.need(!o.Profile.BarService, "profile.bar_service", o.Profile.BarService, "an offering that is never served is none: use a switch")
	for i := range o.Profiles {
		p := &o.Profiles[i]
		at := c.in("profiles[%d]", i)
		at.need(p.Service == "" || p.Service == o.Service, "service", p.Service, notLive)
		p.live(at, o)
	}
	for i := range o.Switches {
		for j, x := range o.Switches[i].When {
			at := c.in("switches[%d].when[%d]", i, j)
			at.need(oneOf(x.Kind, AllowanceUsed, BalanceZero, BalanceNegative, InWindow), "kind", x.Kind, notLive)
		}
	}
	return errors.Join(faults...)
}

// Publishable reports what keeps an offering from being published, each a *Fault:
// what Live reports, and a rounding rule. Edges charge to the micro-unit, rounded
// down, and there is no invoice yet on which the rule would hold.
func (o *Offering) Publishable() error {
	faults := []error{o.Live()}
	c := check{faults: &faults}
	if r := o.Rounding; r != nil {
		c.need(r.Mode == Down && r.Places == 6, "rounding", fmt.Sprintf("%s to %d places", r.Mode, r.Places), "the edges charge to the micro-unit: leave it out, or say down to 6 places")
	}
	return errors.Join(faults...)
}

// Warnings names what is allowed and is hardly meant, each a *Fault.
func (o *Offering) Warnings() error {
	var faults []error
	c := check{faults: &faults}
	for i := range o.Allowances {
		a := &o.Allowances[i]
		c.in("allowances[%d]", i).need(a.Priority <= 0, "priority", a.Priority, "it pays after the subscriber's money, whose priority is 0: use 0 or less")
	}
	return errors.Join(faults...)
}

func (p *Profile) live(c check, o *Offering) {
	c.need(p.Garden == "", "garden", p.Garden, notLive)
	limited := p.UpBps > 0 && p.DownBps > 0
	c.need(len(o.Switches) == 0 || limited || o.Calls() || p.BarService, "up, down", p.UpBps, "no message to a NAS takes a limit off: give each profile that a switch leads to or from both speeds")
}

func (t *Threshold) live(c check, o *Offering) {
	if t.Metric == Used {
		i := slices.IndexFunc(o.Usage, func(u Usage) bool { return u.Name == t.On })
		c.need(i >= 0 && o.Usage[i].Counted == ByPeriod, "on", t.On, "the edges watch the usage of a component that is counted by period: name one")
	}
	c.need(len(t.Actions) == 0, "actions", len(t.Actions), "the edges raise the event: "+notLive)
}

func (p *Promotion) live(c check, o *Offering) {
	c.need(oneOf(p.Kind, Discount, Trial, Loyalty, CrossSell, HappyHours), "kind", p.Kind, notLive)
	c.need(p.Budget == 0, "budget", p.Budget, "a cut-off region cannot know what others gave: "+notLive)
	c.need(p.Count == 0, "count", p.Count, "a cut-off region cannot know what others gave: "+notLive)
	c.need(len(p.Applies) > 0 || len(o.Usage) == 0, "applies", "absent", "the edges take promotions off recurring and one-time charges: name them")
	for i := range o.Usage {
		for _, name := range p.Applies {
			c.need(name != o.Usage[i].Name, "applies", name, "the edges take promotions off recurring and one-time charges: name one")
		}
	}
}

func (u *Usage) live(c check, o *Offering) {
	c.need(u.Unit == Bytes || u.Unit == Seconds || u.Unit == Events, "unit", u.Unit, "the edges meter bytes and seconds, and sell events: "+notLive)
	c.need(u.Unit == Events || u.Service == "" || u.Service == o.Service, "service", u.Service, "the edges meter the main service: "+notLive)
	c.need(u.Unit != Events || !u.volume(), "rates", Volume, "volume tiers of events: "+notLive)
	if u.Counted == ByPeriod {
		u.liveByPeriod(c, o)
	}
	c.need(u.Table == "" || u.TableVersion > 0 && u.TableHash != "", "table", u.Table, "name a version of the table and its hash, as publishing does")
	c.need(u.WeightScale == 0, "weight_scale", u.WeightScale, notLive)
}

// liveByPeriod reports what sessions that go on with one count cannot have: bounds of
// an event, and what falls due at a period's end.
func (u *Usage) liveByPeriod(c check, o *Offering) {
	e := u.Every
	c.need(e == nil || e.Count == 1 || e.Unit == Month || e.Unit == Year, "every", e, "the edges count calendar days, weeks, months and years: use 1")
	c.need(u.Unit != Events, "counted", u.Counted, "events that go on over a period: "+notLive)
	c.need(u.MinPeriod == 0, "min_period", u.MinPeriod, "what is due at a period's end: "+notLive)
	c.need(u.MinEvent == 0 && u.MaxEvent == 0, "max_event", u.MaxEvent, "bounds of a session of a component that is counted by period: "+notLive)
	c.need(u.Free.Events == 0, "free.events", u.Free.Events, notLive)
	for i := range u.Rates {
		r := &u.Rates[i]
		at := c.in("rates[%d]", i)
		at.need(r.Mode != Volume, "mode", r.Mode, "who paid, and gets back what a fall gives, is known by session: count it by session, or use graduated tiers")
		at.need(r.MaxCost == 0, "max_cost", r.MaxCost, "a session's bound of a component that is counted by period: "+notLive)
		at.need(r.Next <= 1 || o.Profile.SessionLimit == 1, "next", r.Next, "sessions beside each other would share a step: set session_limit 1, or leave it out")
	}
}

func (a *Allowance) live(c check, o *Offering) {
	c.need(oneOf(a.Unit, Bytes, Seconds, Events, Money), "unit", a.Unit, "the edges meter bytes and seconds, and sell events: "+notLive)
	c.need(a.Every == nil || a.ValidFor == nil, "valid_for", a.ValidFor, "the edges keep what is given each period for that period: "+notLive)
	c.need(!a.CarryOverage, "carry_overage", a.CarryOverage, notLive)
	c.need(a.RatedBy == "", "rated_by", a.RatedBy, notLive)
	c.need(!a.Blocking || o.Metered(), "blocking", a.Blocking, "usage that costs nothing goes on all the same: give it a price, or leave it out")
}
