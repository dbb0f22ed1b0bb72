package charging

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

type tierText struct {
	From      string `yaml:"from"`
	To        string `yaml:"to"`
	Unit      string `yaml:"unit_amount"`
	Percent   string `yaml:"rate_percent"`
	Flat      string `yaml:"flat"`
	BlockSize string `yaml:"block_size"`
	MaxBlocks string `yaml:"max_blocks"`
	PerBlock  string `yaml:"price_per_block"`
}

type grantText struct {
	ID        string `yaml:"id"`
	Amount    string `yaml:"amount"`
	Priority  int    `yaml:"priority"`
	Effective string `yaml:"effective"`
	Expires   string `yaml:"expires_after"`
	Deleted   string `yaml:"deleted"`
	Voided    string `yaml:"voided"`
	Recurs    string `yaml:"recurs"`
	Anchor    string `yaml:"anchor"`
	Count     int    `yaml:"count"`
	Max       string `yaml:"reset_max_rollover"`
	Min       string `yaml:"reset_min_rollover"`
}

type billingCase struct {
	ID   string `yaml:"id"`
	Kind string `yaml:"kind"`
	Note string `yaml:"note"`
	Plan struct {
		Policy        string      `yaml:"policy"`
		Model         string      `yaml:"model"`
		Tiers         []tierText  `yaml:"tiers"`
		Unit          string      `yaml:"unit_amount"`
		PackageSize   string      `yaml:"package_size"`
		PackageAmount string      `yaml:"package_amount"`
		FreeUnits     string      `yaml:"free_units"`
		FreeEvents    string      `yaml:"free_events"`
		Percent       string      `yaml:"rate_percent"`
		Fixed         string      `yaml:"fixed_per_event"`
		Min           string      `yaml:"min_per_event"`
		Max           string      `yaml:"max_per_event"`
		Grants        []grantText `yaml:"grants"`
		Resets        []string    `yaml:"resets"`
		Preserve      bool        `yaml:"preserve_overage"`
		Period        string      `yaml:"period"`
		Mode          string      `yaml:"mode"`
		BillCycleDay  int64       `yaml:"bill_cycle_day"`
	} `yaml:"plan"`
	Event struct {
		Quantity      string            `yaml:"quantity"`
		Quantities    []string          `yaml:"quantities"`
		Invoiced      string            `yaml:"already_invoiced"`
		Units         string            `yaml:"units"`
		Events        int64             `yaml:"events"`
		RunningTotal  []string          `yaml:"running_total"`
		Amounts       []string          `yaml:"event_amounts"`
		UnitEvents    []string          `yaml:"unit_events"`
		Prorated      []string          `yaml:"prorated_units"`
		T0            string            `yaml:"t0"`
		StartBalances map[string]string `yaml:"start_balances"`
		Usage         []struct {
			At    string `yaml:"at"`
			Units string `yaml:"units"`
		} `yaml:"usage"`
		Until  string `yaml:"until"`
		Start  string `yaml:"start"`
		Target string `yaml:"target"`
		End    string `yaml:"end"`
	} `yaml:"event"`
	Expected map[string]any `yaml:"expected"`
}

func TestBillingCases(t *testing.T) {
	var f struct {
		Cases []billingCase `yaml:"cases"`
	}
	load(t, "testdata/billing.yaml", &f)
	for i := range f.Cases {
		c := &f.Cases[i]
		t.Run(c.ID, func(t *testing.T) {
			want := flatten(c.Expected)
			for k, v := range c.Expected { // lists are compared as text
				if list, ok := v.([]any); ok {
					text := make([]string, len(list))
					for i, x := range list {
						text[i] = money.Amount(micro(fmt.Sprint(x))).String()
					}
					want[k] = strings.Join(text, " ")
				}
			}
			expect(t, c.ID, want, c.run(t), map[string]bool{})
		})
	}
	if len(f.Cases) < 55 {
		t.Errorf("only %d cases were found", len(f.Cases))
	}
}

func (c *billingCase) run(t *testing.T) map[string]string {
	switch c.Kind {
	case "tiered_usage", "usage_rebill":
		return c.blocks(t)
	case "proration":
		return c.cycles(t)
	case "credit_grants":
		return c.grants(t)
	case "charge_model":
		switch c.Plan.Model {
		case "percentage", "graduated_percentage":
			return c.percentage(t)
		case "graduated_prorated":
			return c.prorated(t)
		}
		return c.model(t)
	}
	t.Fatalf("kind %q is not known", c.Kind)
	return nil
}

// cycles are the periods charged by a day, as multiples and fractions.
func (c *billingCase) cycles(t *testing.T) map[string]string {
	r := tariff.Recurring{Every: tariff.Period{Unit: tariff.PeriodUnit(c.Plan.Period), Count: 1}, Anchor: tariff.Calendar, Proration: tariff.ActualDays}
	if c.Plan.Mode == "in_arrears" || c.Plan.Mode == "in_arrear" {
		r.Due = tariff.Arrears
	}
	day := func(text string) int64 {
		if text == "" {
			return 0
		}
		n, ok := tariff.Date(text).Days()
		if !ok {
			t.Fatalf("no date: %q", text)
		}
		return n
	}
	var parts []string
	whole := 0
	flush := func() {
		if whole > 0 {
			parts = append(parts, fmt.Sprint(whole))
		}
		whole = 0
	}
	for _, x := range rating.Cycles(&r, c.Plan.BillCycleDay, day(c.Event.Start), day(c.Event.End), day(c.Event.Target)) {
		if x.Whole() {
			whole++
			continue
		}
		flush()
		parts = append(parts, fmt.Sprintf("%d/%d", x.Days, x.Of))
	}
	flush()
	return map[string]string{"cycles": strings.Join(parts, " + ")}
}

// rated runs uses through one usage component that is counted by period.
func rated(t *testing.T, u tariff.Usage, uses ...rating.Use) ([]rating.Priced, rating.Tally, *rating.Plan, []money.Amount) {
	t.Helper()
	o := newOffering()
	u.Name, u.Counted = "usage", tariff.ByPeriod
	o.Usage = []tariff.Usage{u}
	o.Rounding = &tariff.Rounding{Mode: tariff.HalfEven, Places: 6}
	plan, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var slices []rating.Priced
	var s rating.Tally
	var each []money.Amount
	for _, use := range uses {
		before := s.Charged
		if slices, s, err = plan.Rate(slices, rating.Context{}, s, use); err != nil {
			t.Fatal(err)
		}
		each = append(each, s.Charged-before)
	}
	return slices, s, plan, each
}

// blocks are Kill Bill's tiers: each of max_blocks blocks, counted on.
func (c *billingCase) blocks(t *testing.T) map[string]string {
	r := tariff.Rate{Mode: tariff.Graduated}
	if c.Plan.Policy == "top_tier" {
		r.Mode = tariff.Volume
	}
	end := int64(0)
	for i, b := range c.Plan.Tiers {
		size := counts(b.BlockSize)
		tier := tariff.Tier{Price: price(b.PerBlock, size), Step: size}
		if i < len(c.Plan.Tiers)-1 {
			end += size * counts(b.MaxBlocks)
			tier.UpTo = end
		}
		r.Tiers = append(r.Tiers, tier)
	}
	var uses []rating.Use
	for _, q := range append(slices.Clone(c.Event.Quantities), c.Event.Quantity) {
		if q != "" {
			uses = append(uses, rating.Use{Quantity: counts(q)})
		}
	}
	list, s, _, _ := rated(t, tariff.Usage{Unit: tariff.Events, Rates: []tariff.Rate{r}}, uses...)
	var tiers []string
	for _, x := range list {
		tiers = append(tiers, x.Amount.String())
	}
	total := s.Charged
	got := map[string]string{"total": total.String(), "by_tier": strings.Join(tiers, " ")}
	if c.Event.Invoiced != "" {
		got["amount"] = (total - money.Amount(micro(c.Event.Invoiced))).String()
	}
	return got
}

// tiers are Lago's: to is the last unit of each.
func (c *billingCase) tiers(mode tariff.Mode, scale int64, percent bool) tariff.Rate {
	r := tariff.Rate{Mode: mode}
	for _, x := range c.Plan.Tiers {
		tier := tariff.Tier{Price: price(x.Unit, scale), Flat: money.Amount(micro(x.Flat))}
		if percent {
			tier.Price = price(x.Percent, 100*scale)
		}
		if x.To != "" && x.To != "null" {
			tier.UpTo = micro(x.To) / (1_000_000 / scale)
		}
		r.Tiers = append(r.Tiers, tier)
	}
	return r
}

func (c *billingCase) model(t *testing.T) map[string]string {
	const scale = 1_000_000 // of units: a quantity may be 100.5
	u := tariff.Usage{Unit: tariff.Units, Free: tariff.Free{Units: micro(c.Plan.FreeUnits)}}
	switch c.Plan.Model {
	case "standard":
		u.Rates = []tariff.Rate{{Price: price(c.Plan.Unit, scale)}}
	case "graduated":
		u.Rates = []tariff.Rate{c.tiers(tariff.Graduated, scale, false)}
	case "volume":
		u.Rates = []tariff.Rate{c.tiers(tariff.Volume, scale, false)}
	case "package":
		size := micro(c.Plan.PackageSize)
		u.Rates = []tariff.Rate{{Next: size, Price: price(c.Plan.PackageAmount, size)}}
	default:
		t.Fatalf("model %q is not known", c.Plan.Model)
	}
	_, s, _, _ := rated(t, u, rating.Use{Quantity: micro(c.Event.Units)})
	return map[string]string{"amount": s.Charged.String()}
}

// percentage is of amounts: the usage is money.
func (c *billingCase) percentage(t *testing.T) map[string]string {
	p := &c.Plan
	u := tariff.Usage{Unit: tariff.Money, Free: tariff.Free{Units: micro(p.FreeUnits)},
		MinEvent: money.Amount(micro(p.Min)), MaxEvent: money.Amount(micro(p.Max))}
	if p.FreeEvents != "" && p.FreeEvents != "null" {
		u.Free.Events = counts(p.FreeEvents)
	}
	u.Rates = []tariff.Rate{{Price: price(p.Percent, 100*1_000_000), Fee: money.Amount(micro(p.Fixed))}}
	if p.Model == "graduated_percentage" {
		u.Rates = []tariff.Rate{c.tiers(tariff.Graduated, 1_000_000, true)}
	}
	var uses []rating.Use
	for _, q := range c.amounts() {
		uses = append(uses, rating.Use{Quantity: q, New: true})
	}
	list, s, _, each := rated(t, u, uses...)
	var units, events int64
	for _, x := range list {
		if x.Kind == rating.KindUsage {
			units += x.Quantity
		}
		if x.Kind == rating.KindFee {
			events++
		}
	}
	var by []string
	for _, a := range each {
		by = append(by, a.String())
	}
	return map[string]string{"amount": s.Charged.String(), "paid_units": money.Amount(units).String(), "paid_events": fmt.Sprint(events), "by_event": strings.Join(by, " ")}
}

// amounts are the single events: given, or by the running totals of the first
// ones, or in equal parts.
func (c *billingCase) amounts() []int64 {
	var out []int64
	for _, a := range c.Event.Amounts {
		out = append(out, micro(a))
	}
	if len(out) > 0 {
		return out
	}
	total, before := micro(c.Event.Units), int64(0)
	for _, r := range c.Event.RunningTotal {
		out = append(out, micro(r)-before)
		before = micro(r)
	}
	for n := max(c.Event.Events, 1) - int64(len(out)); n > 0; n-- {
		part := (total - before) / n
		out = append(out, part)
		before += part
	}
	return out
}

// prorated units are levels: each change counts for its part of the period.
func (c *billingCase) prorated(t *testing.T) map[string]string {
	scale := int64(1)
	type change struct{ level, weight, of int64 }
	var list []change
	for i, text := range c.Event.UnitEvents {
		x := change{level: counts(text)}
		w, places := decimal(c.Event.Prorated[i])
		x.weight, x.of = max(w, -w), max(x.level, -x.level)
		for range places {
			x.of *= 10
		}
		a, b := x.weight, x.of
		for b != 0 {
			a, b = b, a%b
		}
		x.weight, x.of = x.weight/a, x.of/a
		a, b = scale, x.of
		for b != 0 {
			a, b = b, a%b
		}
		scale = scale / a * x.of
		list = append(list, x)
	}
	var uses []rating.Use
	for _, x := range list {
		uses = append(uses, rating.Use{Quantity: x.level, Weight: x.weight * (scale / x.of)})
	}
	o := newOffering()
	o.Rounding = &tariff.Rounding{Mode: tariff.HalfUp, Places: 2}
	o.Usage = []tariff.Usage{{Name: "seats", Unit: tariff.Events, Counted: tariff.ByPeriod, WeightScale: scale, Rates: []tariff.Rate{c.tiers(tariff.Graduated, 1, false)}}}
	plan, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var s rating.Tally
	for _, u := range uses {
		if _, s, err = plan.Rate(nil, rating.Context{}, s, u); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"amount": plan.Payable(0, s).String()}
}

var (
	timeParts = regexp.MustCompile(`([+-]?)(\d+)([smhdwy])`)
	runStart  = regexp.MustCompile(`run starts at (\S+)`)
)

// offset reads "+1d-1s", "30d" or "t0" as seconds.
func offset(text string) int64 {
	sum := int64(0)
	for _, m := range timeParts.FindAllStringSubmatch(text, -1) {
		n := counts(m[2]) * map[string]int64{"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}[m[3]]
		if m[1] == "-" {
			n = -n
		}
		sum += n
	}
	return sum
}

func (c *billingCase) grants(t *testing.T) map[string]string {
	t0 := instant(c.Event.T0)
	start := t0
	if m := runStart.FindStringSubmatch(c.Note); m != nil {
		start = t0 + offset(m[1])
	}
	var buckets []*Bucket
	for _, g := range c.Plan.Grants {
		b := Bucket{ID: g.ID, Unit: tariff.Units, Priority: g.Priority, From: t0 + offset(g.Effective), Given: micro(g.Amount), Value: micro(g.Amount)}
		if text, ok := c.Event.StartBalances[g.ID]; ok && b.From <= start {
			b.Value = micro(text)
		}
		if g.Expires != "" {
			b.Expires = b.From + offset(g.Expires)
		}
		if end := g.Deleted + g.Voided; end != "" {
			b.Voided = t0 + offset(end)
		}
		if g.Recurs != "" {
			b.Every = map[string]int64{"daily": 86400, "weekly": 7 * 86400}[g.Recurs]
			if b.Every == 0 {
				t.Fatalf("recurs %q is not known", g.Recurs)
			}
			b.Anchor = t0 + offset(g.Anchor)
		}
		if g.Max != "" {
			b.Rollover = &tariff.Rollover{Max: micro(g.Max), Min: micro(g.Min)}
		}
		for i := range max(g.Count, 1) {
			x := b
			if g.Count > 1 {
				x.ID = fmt.Sprintf("%s#%06d", g.ID, i)
			}
			buckets = append(buckets, &x)
		}
	}
	return c.burnDown(t, NewWallet(start, buckets...), t0)
}

func (c *billingCase) burnDown(t *testing.T, w *Wallet, t0 int64) map[string]string {
	got := map[string]string{"overage_at_grant_start": "0"}
	resets := slices.Clone(c.Plan.Resets)
	sinceReset := int64(0)
	var moved []Moved
	advance := func(to int64) {
		for len(resets) > 0 && t0+offset(resets[0]) <= to {
			moved = w.Reset(t0+offset(resets[0]), c.Plan.Preserve, moved)
			sinceReset, resets = 0, resets[1:]
		}
		moved = w.Advance(to, moved)
	}
	for _, u := range c.Event.Usage {
		at := t0 + offset(u.At)
		if at < w.now {
			continue // before the run
		}
		advance(at)
		var r Result
		if err := w.Draw(at, tariff.Units, micro(u.Units), &r); err != nil {
			t.Fatal(err)
		}
		sinceReset += micro(u.Units)
	}
	advance(t0 + offset(c.Event.Until) - 1) // what is due at the end belongs to the next run
	for _, m := range moved {
		if m.Why == OverageTaken && got["overage_at_grant_start"] == "0" {
			got["overage_at_grant_start"] = money.Amount(-m.Amount).String()
		}
	}
	least, most := map[string]int64{}, map[string]int64{}
	for _, b := range w.Buckets {
		got[b.ID] = money.Amount(b.Value).String()
		name, _, many := strings.Cut(b.ID, "#")
		if !many {
			continue
		}
		if _, ok := least[name]; !ok {
			least[name] = math.MaxInt64
		}
		least[name], most[name] = min(least[name], b.Value), max(most[name], b.Value)
	}
	for name, v := range least {
		if v == most[name] {
			got[name+"_each"] = money.Amount(v).String()
		}
	}
	got["overage"] = money.Amount(w.Overage[tariff.Units]).String()
	got["usage_since_reset"] = money.Amount(sinceReset).String()
	return got
}
