package tariff

func (a *Allowance) validate(c check, k known) {
	c.need(a.Unit.Scale() > 0, "unit", a.Unit, "use bytes, seconds, events, money or units")
	c.need(a.Amount > 0 && a.Amount <= 1<<53, "amount", a.Amount, "use a quantity from 1 to 2^53")
	c.need(a.Priority >= -1000 && a.Priority <= 1000, "priority", a.Priority, "use -1000 to 1000")
	c.need(oneOf(a.Anchor, "", Calendar, Anniversary), "anchor", a.Anchor, "use calendar or anniversary")
	if a.Every != nil {
		period(c.in("every"), a.Every)
	}
	if a.ValidFor != nil {
		period(c.in("valid_for"), a.ValidFor)
	}
	if r := a.Rollover; r != nil {
		c.need(a.Every != nil, "rollover", r.Max, "give the allowance a period, or leave the rollover out")
		c.need(r.Min >= 0 && r.Min <= r.Max, "rollover.min", r.Min, "use 0 to the maximum")
		c.need(r.Max <= 1<<53, "rollover.max", r.Max, "use at most 2^53")
		c.need(!r.Add || r.Min == 0, "rollover.min", r.Min, "with add the new amount comes on top: use 0")
	}
	c.need(!a.CarryOverage || a.Every != nil, "carry_overage", a.CarryOverage, "give the allowance a period")
	if s := a.Shared; s != nil {
		c.need(s.Pool != "", "shared.pool", s.Pool, "name the pool")
		c.need(s.PerChild >= 0, "shared.per_child", s.PerChild, "use a quantity that is not negative")
	}
	a.Filter.validate(c.in("filter"), k)
	if a.Factor != (Ratio{}) {
		c.need(a.Factor.Num > 0 && a.Factor.Num <= 1_000_000_000, "factor", a.Factor.Num, "use 1 to 1 000 000 000")
		c.need(a.Factor.Den > 0 && a.Factor.Den <= 1_000_000_000, "factor", a.Factor.Den, "divide by 1 to 1 000 000 000")
		c.need(a.Unit != Money, "factor", a.Factor.Num, "money pays prices: leave the factor out")
	}
	c.need(a.Step >= 0 && a.Step <= 1<<40, "step", a.Step, "use 0 to 2^40")
	c.need(a.RatedBy == "" || k.usage[a.RatedBy], "rated_by", a.RatedBy, "name a usage component")
	c.need(a.Unit != Money || a.Step == 0 && a.RatedBy == "", "unit", a.Unit, "money pays prices: leave step and rated_by out")
}

func (f *Filter) validate(c check, k known) {
	for _, l := range []struct {
		field string
		names []string
		set   map[string]bool
		what  string
	}{
		{"services", f.Services, k.services, "a service of the offering"}, {"usage", f.Usage, k.usage, "a usage component"},
		{"windows", f.Windows, k.windows, "one of the windows"},
	} {
		for _, name := range l.names {
			c.need(l.set[name], l.field, name, "name %s", l.what)
		}
		c.need(len(l.names) <= MaxComponents, l.field, len(l.names), "use at most %d", MaxComponents)
	}
	for _, z := range f.Zones {
		c.need(z != "", "zones", z, "name a zone")
	}
	c.need(len(f.Zones) <= MaxRates, "zones", len(f.Zones), "use at most %d", MaxRates)
}

// marketing checks thresholds, promotions and who may buy.
func (o *Offering) marketing(c check, k known) {
	for i := range o.Thresholds {
		o.Thresholds[i].validate(c.in("thresholds[%d]", i), k)
	}
	seen := map[string]bool{}
	for i := range o.Promotions {
		p := &o.Promotions[i]
		at := c.in("promotions[%d]", i)
		at.need(p.ID != "" && !seen[p.ID], "id", p.ID, "give an id that no other promotion has")
		seen[p.ID] = true
		p.validate(at, k)
	}
	e := &o.Eligibility
	for _, t := range e.CustomerTypes {
		c.need(oneOf(t, Person, Company), "eligibility.customer_types", t, "use person or company")
	}
	c.need(e.Until == 0 || e.Until > e.From, "eligibility.until", e.Until, "end after from, or leave it out")
	for _, l := range []struct {
		field string
		names []string
	}{{"requires", o.Requires}, {"excludes", o.Excludes}} {
		for _, id := range l.names {
			c.need(id != "" && id != o.ID, l.field, id, "name another offering")
		}
	}
	c.need((o.PriceOf == "") == (o.Company == ""), "price_of", o.PriceOf, "give price_of and company together: a price of one's own is for a company")
	c.need(o.Company == "" || len(e.CustomerTypes) == 1 && e.CustomerTypes[0] == Company, "eligibility.customer_types", e.CustomerTypes,
		"private persons get no prices of their own: say company")
}

func (t *Threshold) validate(c check, k known) {
	c.need(t.Name != "", "name", t.Name, "give the name of the event")
	c.need(k.allowances[t.On] || k.usage[t.On], "on", t.On, "name an allowance, a usage component, or money")
	c.need(oneOf(t.Metric, Left, UsedPercent, Used), "metric", t.Metric, "use left, used-percent or used")
	c.need(t.Value >= 0, "value", t.Value, "use a value that is not negative")
	if t.Metric == UsedPercent {
		c.need(t.Value > 0 && t.Value <= int64(Hundred), "value", t.Value, "use more than 0 and at most 100 %%")
		c.need(t.On != MoneyBalance && k.allowances[t.On], "on", t.On, "a part is of an allowance: name one")
	}
	c.need(t.Metric != Used || k.usage[t.On], "on", t.On, "used counts usage: name a usage component")
	c.need(t.Metric != Left || k.allowances[t.On], "on", t.On, "what is left is of a balance: name an allowance, or money")
	c.need(len(t.Actions) <= 8, "actions", len(t.Actions), "use at most 8")
	for i, a := range t.Actions {
		at := c.in("actions[%d]", i)
		at.need(oneOf(a.Do, Credit, Debit, ResetAll, UseProfile), "do", a.Do, "use credit, debit, reset or profile")
		if a.Do == Credit || a.Do == Debit {
			at.need(k.allowances[a.Balance], "balance", a.Balance, "name an allowance, or money")
			at.need(a.Amount > 0 && a.Amount <= int64(MaxPrice), "amount", a.Amount, "use more than 0 and at most 2^52")
		}
		at.need(a.Do != UseProfile || k.profiles[a.Profile], "profile", a.Profile, "name one of the profiles")
	}
}

func (p *Promotion) validate(c check, k known) {
	c.need(p.Name != "", "name", p.Name, "give the name that the bill shows")
	c.need(oneOf(p.Kind, Discount, Trial, TopUpBonus, Referral, Loyalty, CrossSell, HappyHours, Birthday), "kind", p.Kind,
		"use discount, trial, top-up, referral, loyalty, cross-sell, happy-hours or birthday")
	c.need(p.Until == 0 || p.Until > p.From, "until", p.Until, "end after from, or leave it out")
	for _, name := range p.Applies {
		c.need(k.components[name], "applies", name, "name a component of the offering")
	}
	c.need(amount(p.Amount), "amount", p.Amount, amountRemedy)
	c.need(p.Percent >= 0 && p.Percent <= Hundred, "percent", p.Percent, "use 0 to 100 %%")
	c.need(p.Periods >= 0 && p.Periods <= 120, "periods", p.Periods, "use 0 to 120")
	c.need(p.Kind != Trial || p.Periods > 0, "periods", p.Periods, "say how many periods are free")
	c.need(p.Kind != Birthday || p.Days >= 1 && p.Days <= 31, "days", p.Days, "use 1 to 31 days")
	c.need(p.Kind != HappyHours || k.windows[p.Window], "window", p.Window, "name one of the windows")
	c.need(p.Kind != CrossSell || len(p.With) > 0, "with", "absent", "name the offerings that must be held too")
	if oneOf(p.Kind, Discount, CrossSell, HappyHours, Birthday) {
		c.need(p.Amount > 0 || p.Percent > 0, "percent", p.Percent, "give an amount or a percentage")
	}
	c.need(p.Gives == "" || k.allowances[p.Gives], "gives", p.Gives, "name an allowance, or leave it out for money")
	p.validateTiers(c)
	c.need(amount(p.Budget), "budget", p.Budget, amountRemedy)
	c.need(p.Count >= 0, "count", p.Count, "use a number that is not negative")
	c.need(p.PerPerson >= 0, "per_person", p.PerPerson, "use a number that is not negative")
}

func (p *Promotion) validateTiers(c check) {
	c.need((p.Kind == Loyalty) == (len(p.Tenure) > 0), "tenure", len(p.Tenure), "loyalty, and it alone, needs tiers of tenure")
	c.need(oneOf(p.Kind, TopUpBonus, Referral) == (len(p.Bonus) > 0), "bonus", len(p.Bonus), "top-up and referral, and they alone, need tiers of bonus")
	c.need(len(p.Tenure) <= MaxTiers, "tenure", len(p.Tenure), "use at most %d", MaxTiers)
	c.need(len(p.Bonus) <= MaxTiers, "bonus", len(p.Bonus), "use at most %d", MaxTiers)
	for i, t := range p.Tenure {
		at := c.in("tenure[%d]", i)
		at.need(t.Months >= 0 && (i == 0 || t.Months > p.Tenure[i-1].Months), "months", t.Months, "list them in rising order")
		at.need(t.Percent > 0 && t.Percent <= Hundred, "percent", t.Percent, "use more than 0 and at most 100 %%")
	}
	for i, b := range p.Bonus {
		at := c.in("bonus[%d]", i)
		at.need(amount(b.From) && (i == 0 || b.From > p.Bonus[i-1].From), "from", b.From, "list them in rising order")
		at.need(amount(b.Amount), "amount", b.Amount, amountRemedy)
		at.need(b.Percent >= 0 && b.Percent <= 10*Hundred, "percent", b.Percent, "use 0 to 1000 %%")
		at.need(b.Amount > 0 || b.Percent > 0, "amount", b.Amount, "give an amount or a percentage")
	}
}
