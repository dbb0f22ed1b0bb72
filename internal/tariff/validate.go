package tariff

import (
	"errors"
	"strings"

	"meridian/internal/money"
)

// Limits of one offering: what is beyond is refused, so that no offering can make
// rating slow or its result long.
const (
	MaxComponents   = 32     // of each kind
	MaxWindows      = 32     //
	MaxRates        = 1000   // of a usage component
	MaxTiers        = 32     // of a rate
	MaxPrefixes     = 20_000 // written in the offering itself; more go into a shared table
	MaxPrefixDigits = 15     // ITU-T E.164
	MaxHolidays     = 1000
	maxName         = 64
	maxTTLSeconds   = 30 * 86400
	amountRemedy    = "use an amount from 0 to 4 503 599 627"
)

// known are the names that others of the offering's parts may refer to.
type known struct {
	services, windows, usage, allowances, profiles, zones, components map[string]bool
}

// Validate reports every fault at once, each a *Fault with its field and a
// remedy.
func (o *Offering) Validate() error {
	var faults []error
	c := check{faults: &faults}
	o.identity(c)
	k := o.names(c)
	o.calendar(c)
	for i := range o.Usage {
		o.Usage[i].validate(c.in("usage[%d]", i), k)
	}
	o.charges(c)
	for i := range o.Allowances {
		o.Allowances[i].validate(c.in("allowances[%d]", i), k)
	}
	o.service(c, k)
	o.marketing(c, k)
	o.volumes(c)
	return errors.Join(faults...)
}

func (o *Offering) identity(c check) {
	c.need(o.ID != "" && len(o.ID) <= maxName, "id", o.ID, "give 1 to 64 characters")
	c.need(o.Version > 0, "version", o.Version, "number versions from 1")
	c.need(o.Name != "", "name", o.Name, "give the name that subscribers see")
	c.need(o.Service != "", "service", o.Service, "name the service, e.g. internet")
	c.need(o.Currency.Validate() == nil, "currency", o.Currency, "write an ISO 4217 code of three upper-case letters, e.g. EUR")
	c.need(o.ValidUntil == 0 || o.ValidUntil > o.ValidFrom, "valid_until", o.ValidUntil, "end after valid_from, or leave it out")
	if r := o.Rounding; r != nil {
		c.need(oneOf(r.Mode, HalfEven, HalfUp, Up, Down), "rounding.mode", r.Mode, "use half-even, half-up, up or down")
		c.need(r.Places >= 0 && r.Places <= 6, "rounding.places", r.Places, "use 0 to 6 decimal places")
	}
	priced := len(o.Usage) + len(o.Recurring) + len(o.OneTime)
	c.need(priced > 0, "usage, recurring", "both absent", "give the offering at least one price component, at price 0 if it is free")
	for _, l := range []struct {
		field string
		n, at int
	}{
		{"usage", len(o.Usage), MaxComponents}, {"recurring", len(o.Recurring), MaxComponents}, {"one_time", len(o.OneTime), MaxComponents},
		{"allowances", len(o.Allowances), MaxComponents}, {"windows", len(o.Windows), MaxWindows}, {"holidays", len(o.Holidays), MaxHolidays},
		{"profiles", len(o.Profiles), MaxComponents}, {"switches", len(o.Switches), MaxComponents}, {"services", len(o.Services), MaxComponents},
		{"thresholds", len(o.Thresholds), MaxComponents}, {"promotions", len(o.Promotions), MaxComponents},
	} {
		c.need(l.n <= l.at, l.field, l.n, "use at most %d: split the offering", l.at)
	}
}

// names collects what can be referred to; the same name twice is a fault.
func (o *Offering) names(c check) known {
	k := known{services: map[string]bool{o.Service: true}, windows: map[string]bool{}, usage: map[string]bool{},
		allowances: map[string]bool{MoneyBalance: true}, profiles: map[string]bool{}, zones: map[string]bool{}, components: map[string]bool{}}
	add := func(set map[string]bool, name, format string, args ...any) {
		at := c.in(format, args...)
		at.need(name != "" && len(name) <= maxName && !strings.ContainsAny(name, "/@"), "", name, "give a name of 1 to 64 characters without / and @")
		at.need(name == "" || !set[name], "", name, "this name is taken: give another")
		set[name] = true
	}
	for i, s := range o.Services {
		add(k.services, s, "services[%d]", i)
	}
	for i := range o.Windows {
		add(k.windows, o.Windows[i].Name, "windows[%d].name", i)
	}
	for i := range o.Usage {
		add(k.components, o.Usage[i].Name, "usage[%d].name", i)
		k.usage[o.Usage[i].Name] = true
		for _, d := range o.Usage[i].Destinations {
			k.zones[d.Zone] = true
		}
		for j := range o.Usage[i].Rates {
			k.zones[o.Usage[i].Rates[j].Zone] = true
		}
	}
	for i := range o.Recurring {
		add(k.components, o.Recurring[i].Name, "recurring[%d].name", i)
	}
	for i := range o.OneTime {
		add(k.components, o.OneTime[i].Name, "one_time[%d].name", i)
	}
	for i := range o.Allowances {
		add(k.allowances, o.Allowances[i].Name, "allowances[%d].name", i)
	}
	for i := range o.Profiles {
		add(k.profiles, o.Profiles[i].Name, "profiles[%d].name", i)
	}
	return k
}

func (o *Offering) calendar(c check) {
	for i, d := range o.Holidays {
		_, ok := d.Days()
		c.need(ok, "holidays", d, "write dates as 2026-12-31 (entry %d)", i+1)
	}
	for i := range o.Windows {
		w := &o.Windows[i]
		at := c.in("windows[%d]", i)
		for _, d := range w.Days {
			at.need(oneOf(d, Weekdays()...), "days", d, "use mon, tue, wed, thu, fri, sat or sun")
		}
		for _, m := range w.Months {
			at.need(m >= 1 && m <= 12, "months", m, "use 1 to 12")
		}
		for _, d := range w.MonthDays {
			at.need(d >= 1 && d <= 31, "month_days", d, "use 1 to 31")
		}
		for _, d := range w.Dates {
			_, ok := d.Days()
			at.need(ok, "dates", d, "write dates as 2026-12-31")
		}
		at.need(len(w.Dates) <= MaxHolidays, "dates", len(w.Dates), "use at most %d", MaxHolidays)
		at.need(w.From >= 0 && w.From < 86400, "from", w.From, "use a time of day from 00:00:00 to 23:59:59")
		at.need(w.To >= 0 && w.To <= 86400, "to", w.To, "use a time of day up to 24:00:00")
		at.need(w.From != w.To || w.From == 0, "to", w.To, "end at another time than from, or leave both out for the whole day")
		at.need(!w.Holidays || len(o.Holidays) > 0, "holidays", w.Holidays, "list the offering's holidays")
		at.need(w.Weight >= 0 && w.Weight <= 1000, "weight", w.Weight, "use 0 to 1000")
	}
}

func (o *Offering) charges(c check) {
	for i := range o.OneTime {
		x := &o.OneTime[i]
		at := c.in("one_time[%d]", i)
		at.need(amount(x.Price), "price", x.Price, amountRemedy)
		shares(at, x.Shares)
	}
	for i := range o.Recurring {
		r := &o.Recurring[i]
		at := c.in("recurring[%d]", i)
		at.need(amount(r.Price), "price", r.Price, amountRemedy)
		period(at.in("every"), &r.Every)
		at.need(oneOf(r.Anchor, "", Calendar, Anniversary), "anchor", r.Anchor, "use calendar or anniversary")
		at.need(oneOf(r.Due, "", Advance, Arrears), "due", r.Due, "use advance or arrears")
		at.need(oneOf(r.Proration, "", ActualDays, Fixed30, NoProrate), "proration", r.Proration, "use actual-days, fixed-30 or none")
		at.need(oneOf(r.Cancel, "", NoCredit, PartCredit, FullCredit), "cancel", r.Cancel, "use none, unused or full")
		at.need(r.Anchor != Calendar || r.Every.Unit != Day || r.Every.Count == 1, "every", r.Every.Count, "calendar periods of days are single days: use anniversary")
		at.need(r.Every.Unit != HalfMonth || r.Anchor == Calendar, "anchor", r.Anchor, "half months are the calendar's: use calendar")
		shares(at, r.Shares)
	}
}

func (o *Offering) service(c check, k known) {
	o.Profile.validate(c.in("profile"), k, true)
	for i := range o.Profiles {
		p := &o.Profiles[i]
		at := c.in("profiles[%d]", i)
		p.validate(at, k, false)
		at.need(p.Service == "" || k.services[p.Service], "service", p.Service, "name a service of the offering")
	}
	for i := range o.Switches {
		s := &o.Switches[i]
		at := c.in("switches[%d]", i)
		at.need(k.profiles[s.Profile], "profile", s.Profile, "name one of the profiles")
		at.need(len(s.When) > 0 && len(s.When) <= 8, "when", len(s.When), "give 1 to 8 conditions")
		for j := range s.When {
			s.When[j].validate(at.in("when[%d]", j), k)
		}
	}
	o.reservation(c)
	c.need(o.Overrun == Owed || o.Overrun == Absorbed, "overrun", o.Overrun, "say owed or absorbed")
	c.need(amount(o.OfflineAllowance), "offline_allowance", o.OfflineAllowance, amountRemedy)
}

func (o *Offering) reservation(c check) {
	if !o.Metered() {
		return
	}
	c.need(o.Reservation.Quota > 0, "reservation.quota", o.Reservation.Quota, "say how many units a session may hold ahead")
	ttl := o.Reservation.TTLSeconds
	c.need(ttl >= 60 && ttl <= maxTTLSeconds, "reservation.ttl", ttl, "use 60 seconds to 30 days")
	// A NAS is told an interim interval of up to a fifth more.
	c.need(ttl*5 > int64(o.Profile.InterimSeconds)*12, "reservation.ttl", ttl, "use more than 2.4 interim intervals, so that one lost report does not end the hold")
}

func (p *Profile) validate(c check, k known, own bool) {
	c.need(p.SessionLimit > 0 || (!own && p.SessionLimit == 0), "session_limit", p.SessionLimit, "allow at least one session")
	c.need(p.InterimSeconds >= 60 || (!own && p.InterimSeconds == 0), "interim", p.InterimSeconds, "use at least 60 seconds (RFC 2869 section 5.16)")
	c.need(p.InterimSeconds <= maxTTLSeconds, "interim", p.InterimSeconds, "use at most 30 days")
	c.need(p.UpBps >= 0, "up", p.UpBps, "use bits per second, 0 for no limit")
	c.need(p.DownBps >= 0, "down", p.DownBps, "use bits per second, 0 for no limit")
	for _, z := range p.BarZones {
		c.need(z != "" && k.zones[z], "bar_zones", z, "name a zone that a usage component has")
	}
}

func (x *Condition) validate(c check, k known) {
	c.need(oneOf(x.Kind, AllowanceUsed, BalanceZero, BalanceNegative, Overdue, InWindow, Turbo), "kind", x.Kind,
		"use allowance-used, balance-zero, balance-negative, overdue, window or turbo")
	c.need(x.Kind != AllowanceUsed || (k.allowances[x.Allowance] && x.Allowance != MoneyBalance), "allowance", x.Allowance, "name one of the allowances")
	c.need(x.Kind != InWindow || k.windows[x.Window], "window", x.Window, "name one of the windows")
	c.need(x.Kind != Overdue || (x.Days >= 0 && x.Days <= 366), "days", x.Days, "use 0 to 366 days")
}

func amount(a money.Amount) bool { return a >= 0 && a <= MaxPrice }

func period(c check, p *Period) {
	c.need(p.Unit.longest() > 0, "unit", p.Unit, "use day, week, half-month, month or year")
	c.need(p.Count > 0 && p.Count <= max(p.Unit.longest(), 1), "count", p.Count, "use 1 to %d", max(p.Unit.longest(), 1))
}

func shares(c check, list []Share) {
	var sum Percent
	for i, s := range list {
		at := c.in("shares[%d]", i)
		at.need(s.Partner != "", "partner", s.Partner, "name the partner")
		at.need(s.Percent > 0 && s.Percent <= Hundred, "percent", s.Percent, "use more than 0 and at most 100 %%")
		sum += max(s.Percent, 0)
	}
	c.need(sum <= Hundred, "shares", sum, "share out at most 100 %% in all")
}
