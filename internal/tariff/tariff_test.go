package tariff

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"meridian/internal/canon"
)

func sample() *Offering {
	return &Offering{
		ID: "prepaid", Version: 2, Name: "Prepaid", Currency: "EUR", ValidFrom: 1_700_000_000, Service: "internet",
		Usage: PerUnit(Bytes, 5_000_000, 1_000_000_000), Recurring: EachDays(1, 30),
		Profile: Profile{UpBps: 1, DownBps: 2, Pool: "p", SessionLimit: 1, InterimSeconds: 60}, Reservation: Reservation{Quota: 1, TTLSeconds: 200},
		Overrun: Owed, OfflineAllowance: 3,
	}
}

// converged uses every part of the language.
func converged() *Offering {
	o := sample()
	o.ID, o.Name, o.Service, o.Services = "family", "Family", "mobile", []string{"voice", "sms", "tv"}
	o.Zone, o.TZData, o.Rounding = "Europe/Berlin", "2026a", &Rounding{HalfUp, 2}
	o.Holidays = []Date{"2026-12-25", "2027-01-01"}
	o.Windows = []Window{
		{Name: "night", From: 22 * 3600, To: 6 * 3600},
		{Name: "weekend", Days: []Weekday{"sat", "sun"}, Weight: 10},
		{Name: "holiday", Holidays: true, Weight: 20},
		{Name: "may", Months: []int{5}, MonthDays: []int{1}, Dates: []Date{"2026-05-01"}, Weight: 30},
	}
	o.OneTime = []OneTime{{Name: "sim", Price: 5_000_000, Tax: "vat"}, {Name: "cinema", Price: 12_000_000, Shares: []Share{{"kino", 700_000}}}}
	o.Recurring = []Recurring{{Name: "fee", Price: 20_000_000, Every: Period{Month, 1}, Anchor: Calendar, Due: Advance, Proration: ActualDays, Cancel: PartCredit}}
	o.Usage = []Usage{
		{Name: "data", Unit: Bytes, Counted: ByPeriod, Every: &Period{Month, 1}, Free: Free{Units: 1 << 30}, MaxPeriod: 50_000_000,
			Rates: []Rate{{Mode: Graduated, Next: 1024, Tiers: []Tier{{UpTo: 1 << 33, Price: Price{10, 1 << 20}}, {Price: Price{5, 1 << 20}, Flat: 1_000_000}}}}},
		{Name: "calls", Service: "voice", Unit: Seconds, Table: "world", Destinations: []Destination{{"national", []string{"+49", "0"}}},
			Rates: []Rate{{Zone: "national", Price: Price{100_000, 60}, First: 60, Next: 1, Fee: 10_000}, {Zone: "national", Window: "night", Price: Price{50_000, 60}},
				{Price: Price{500_000, 60}, First: 60, Next: 60, MaxCost: 20_000_000, AfterMax: Disconnect}}},
		{Name: "texts", Service: "sms", Unit: Events, Rates: []Rate{{Mode: Graduated, Tiers: []Tier{{UpTo: 100, Price: Price{90_000, 1}}, {Price: Price{50_000, 1}}}}}},
		{Name: "payments", Unit: Money, Counted: ByPeriod, Free: Free{Events: 3}, MinEvent: 100_000, MaxEvent: 12_000_000, Rates: []Rate{{Price: Price{13, 1000}, Fee: 2_000_000}}},
	}
	o.Allowances = []Allowance{
		{Name: "minutes", Unit: Seconds, Amount: 6000, Every: &Period{Month, 1}, Rollover: &Rollover{Max: 6000, Add: true}, Filter: Filter{Usage: []string{"calls"}, Zones: []string{"national"}, Windows: []string{"weekend"}}, Step: 60},
		{Name: "pool", Unit: Bytes, Amount: 1 << 34, ValidFor: &Period{Day, 30}, Shared: &Shared{"family", 1 << 32}, Factor: Ratio{1, 2}, Blocking: true, CarryOverage: false},
	}
	o.Profiles = []NamedProfile{{Name: "slow", Profile: Profile{UpBps: 64_000, DownBps: 64_000}}, {Name: "local", Service: "voice", Profile: Profile{BarZones: []string{"national"}}}}
	o.Switches = []Switch{{[]Condition{{Kind: AllowanceUsed, Allowance: "pool"}}, "slow"}, {[]Condition{{Kind: BalanceZero}}, "local"}, {[]Condition{{Kind: BalanceNegative}, {Kind: InWindow, Window: "night"}}, "slow"}}
	o.Thresholds = []Threshold{{Name: "80", On: "pool", Metric: UsedPercent, Value: 800_000, Recurring: true}, {Name: "low", On: MoneyBalance, Metric: Left, Value: 1_000_000, Actions: []Action{{Do: Credit, Balance: "minutes", Amount: 60}}}}
	o.Promotions = []Promotion{
		{ID: "welcome", Name: "Welcome", Kind: Discount, Percent: 500_000, Periods: 3, Applies: []string{"fee"}, Group: "new"},
		{ID: "bonus", Name: "Bonus", Kind: TopUpBonus, Bonus: []BonusTier{{From: 10_000_000, Percent: 100_000}, {From: 50_000_000, Amount: 10_000_000}}, Budget: 1_000_000_000},
		{ID: "years", Name: "Loyal", Kind: Loyalty, Tenure: []TenureTier{{12, 50_000}, {36, 100_000}}, Order: 5},
	}
	o.Eligibility = Eligibility{Regions: []string{"north"}, CustomerTypes: []string{Company}, Channels: []string{"desk"}, From: 1, Until: 9}
	o.Requires, o.Excludes, o.PriceOf, o.Company = []string{"base"}, []string{"solo"}, "family", "a-17"
	o.PriceOf = "family-list"
	return o
}

func TestCanonicalRoundTrip(t *testing.T) {
	for _, want := range []*Offering{sample(), converged()} {
		if err := want.Validate(); err != nil {
			t.Fatal(err)
		}
		var w canon.Writer
		want.AppendCanonical(&w)
		r := canon.NewReader(w.B)
		got := ReadOffering(r)
		if err := r.Close(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v: got %+v", err, got)
		}
	}
	want, changed := converged(), converged()
	changed.TZData = "2026b"
	if changed.Hash() == want.Hash() {
		t.Fatal("another version of the zone data left the hash as it was")
	}
	r := canon.NewReader([]byte{3, 0})
	if ReadOffering(r); r.Err() == nil {
		t.Fatal("an unknown format was read")
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	for _, c := range []struct {
		path   string
		change func(*Offering)
	}{
		{"reservation.ttl", func(o *Offering) { o.Reservation.TTLSeconds = 140 }}, // 2.4 × 60 = 144
		{"offline_allowance", func(o *Offering) { o.OfflineAllowance = -1 }},
		{"valid_until", func(o *Offering) { o.ValidUntil = o.ValidFrom }},
		{"rounding.places", func(o *Offering) { o.Rounding.Places = 7 }},
		{"services[1]", func(o *Offering) { o.Services[1] = "voice" }},
		{"usage[1].name", func(o *Offering) { o.Usage[1].Name = "data" }},
		{"windows", func(o *Offering) { o.Windows = make([]Window, MaxWindows+1) }},
		{"windows[0].to", func(o *Offering) { o.Windows[0].To = 22 * 3600 }},
		{"windows[1].days", func(o *Offering) { o.Windows[1].Days[0] = "saturday" }},
		{"windows[3].dates", func(o *Offering) { o.Windows[3].Dates[0] = "2026-02-29" }},
		{"holidays", func(o *Offering) { o.Holidays[1] = "1.1.2027" }},
		{"recurring[0].price", func(o *Offering) { o.Recurring[0].Price = MaxPrice + 1 }},
		{"recurring[0].every.count", func(o *Offering) { o.Recurring[0].Every.Count = 37 }},
		{"one_time[1].shares[0].percent", func(o *Offering) { o.OneTime[1].Shares[0].Percent = Hundred + 1 }},
		{"usage[0].rates[0].tiers[0].up_to", func(o *Offering) { o.Usage[0].Rates[0].Tiers[0].UpTo = 0 }},
		{"usage[0].rates[0].tiers[1].price", func(o *Offering) { o.Usage[0].Rates[0].Tiers[1].Price = Price{1 << 40, 1} }},
		{"usage[0].rates[0].mode", func(o *Offering) { o.Usage[0].Rates[0].Mode = "" }},
		{"usage[1].destinations[0].prefixes", func(o *Offering) { o.Usage[1].Destinations[0].Prefixes[0] = "+4x" }},
		{"usage[1].rates[1].window", func(o *Offering) { o.Usage[1].Rates[1].Window = "noon" }},
		{"usage[1].rates[2].after_max", func(o *Offering) { o.Usage[1].Rates[2].AfterMax = "" }},
		{"usage[2].rates[0].mode", func(o *Offering) {
			o.Usage[2].Rates[0].Mode = Volume
			o.Usage[2].Rates = append(o.Usage[2].Rates, Rate{Window: "night", Price: Price{1, 1}})
		}},
		{"usage[3].free.events", func(o *Offering) { o.Usage[3].Counted = "" }},
		{"usage[3].max_event", func(o *Offering) { o.Usage[3].MaxEvent = 1 }},
		{"allowances[0].filter.windows", func(o *Offering) { o.Allowances[0].Filter.Windows[0] = "noon" }},
		{"allowances[0].rollover.min", func(o *Offering) { o.Allowances[0].Rollover.Min = 7000 }},
		{"allowances[1].factor", func(o *Offering) { o.Allowances[1].Factor = Ratio{1, 0} }},
		{"allowances[1].carry_overage", func(o *Offering) { o.Allowances[1].CarryOverage = true }},
		{"profiles[1].bar_zones", func(o *Offering) { o.Profiles[1].BarZones[0] = "moon" }},
		{"switches[0].when[0].allowance", func(o *Offering) { o.Switches[0].When[0].Allowance = "money" }},
		{"switches[1].profile", func(o *Offering) { o.Switches[1].Profile = "none" }},
		{"thresholds[0].value", func(o *Offering) { o.Thresholds[0].Value = 80_000_000 }},
		{"thresholds[1].actions[0].balance", func(o *Offering) { o.Thresholds[1].Actions[0].Balance = "gold" }},
		{"promotions[0].applies", func(o *Offering) { o.Promotions[0].Applies[0] = "gold" }},
		{"promotions[1].bonus[1].from", func(o *Offering) { o.Promotions[1].Bonus[1].From = 1 }},
		{"promotions[2].tenure", func(o *Offering) { o.Promotions[2].Tenure = nil }},
		{"eligibility.customer_types", func(o *Offering) { o.Eligibility.CustomerTypes[0] = Person }},
		{"requires", func(o *Offering) { o.Requires[0] = o.ID }},
	} {
		o := converged()
		c.change(o)
		faults := Faults(o.Validate())
		found := false
		for _, f := range faults {
			found = found || f.Path == c.path && f.Remedy != ""
		}
		if !found {
			t.Errorf("%s is not reported: %v", c.path, o.Validate())
		}
	}
}

func TestEmptyOfferingNamesWhatItNeeds(t *testing.T) {
	err := (&Offering{Usage: []Usage{{Rates: []Rate{{Price: Price{Amount: 1}}}}}}).Validate()
	if err == nil {
		t.Fatal("an empty offering was accepted")
	}
	for _, field := range []string{"id:", "version:", "name:", "service:", "currency:", "usage[0].name:", "usage[0].unit:", "usage[0].rates[0].price.per:", "profile.session_limit:", "profile.interim:", "overrun:"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not reported in:\n%v", field, err)
		}
	}
	if n := len(Faults((&Offering{Holidays: make([]Date, 900)}).Validate())); n != maxFaults {
		t.Errorf("%d faults reported, at most %d are", n, maxFaults)
	}
}

func TestLiveNamesWhatEdgesCannotRun(t *testing.T) {
	if err := sample().Live(); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range Faults(converged().Live()) {
		got[f.Path] = true
	}
	for _, path := range []string{"thresholds[1].actions", "usage[1].service", "promotions[1].kind"} {
		if !got[path] {
			t.Errorf("%s is not named", path)
		}
	}
}

// Of what is counted by period, and of thresholds on usage, edges execute what does not
// hang on one session or on the period's end.
func TestLiveByPeriod(t *testing.T) {
	month := func() *Offering {
		o := sample()
		o.Usage = []Usage{{Name: "data", Unit: Bytes, Counted: ByPeriod, Free: Free{Units: 5}, MaxPeriod: 9, Rates: []Rate{{Price: Price{9, 1}, Fee: 1, Next: 10}}}}
		o.Profile.SessionLimit = 1
		o.Thresholds = []Threshold{{Name: "much", On: "data", Metric: Used, Value: 5}}
		return o
	}
	if err := month().Publishable(); err != nil {
		t.Fatal(err)
	}
	for path, change := range map[string]func(o *Offering){
		"usage[0].min_period":        func(o *Offering) { o.Usage[0].MinPeriod = 1 },
		"usage[0].max_event":         func(o *Offering) { o.Usage[0].MaxEvent = 1 },
		"usage[0].free.events":       func(o *Offering) { o.Usage[0].Free.Events = 1 },
		"usage[0].every":             func(o *Offering) { o.Usage[0].Every = &Period{Day, 3} },
		"usage[0].rates[0].max_cost": func(o *Offering) { o.Usage[0].Rates[0].MaxCost, o.Usage[0].Rates[0].AfterMax = 1, FreeAfter },
		"usage[0].rates[0].next":     func(o *Offering) { o.Profile.SessionLimit = 2 },
		"thresholds[0].on":           func(o *Offering) { o.Usage[0].Counted, o.Usage[0].MaxPeriod = "", 0 },
		"thresholds[0].actions":      func(o *Offering) { o.Thresholds[0].Actions = []Action{{Do: ResetAll}} },
		"usage[0].rates[0].mode":     func(o *Offering) { o.Usage[0].Rates[0] = Rate{Mode: Volume, Tiers: []Tier{{Price: Price{9, 1}}}} },
	} {
		o := month()
		change(o)
		named := false
		for _, f := range Faults(o.Live()) {
			named = named || f.Path == path && f.Remedy != ""
		}
		if !named {
			t.Errorf("%s is not named: %v", path, o.Live())
		}
	}
}

// Volume tiers are published, and refused where something would take a part out of
// what they price as a whole.
func TestVolumeTiersAreTakenWhole(t *testing.T) {
	volume := func(change func(o *Offering)) *Offering {
		o := sample()
		o.Usage = []Usage{{Name: "data", Unit: Bytes, Rates: []Rate{{Mode: Volume, Tiers: []Tier{{UpTo: 100, Price: Price{9, 1}}, {Price: Price{5, 1}}}}}}}
		o.Allowances, o.Promotions = []Allowance{{Name: "bonus", Unit: Money, Amount: 1}}, nil
		change(o)
		return o
	}
	byPeriod := volume(func(o *Offering) { o.Usage[0].Counted = ByPeriod })
	if !slices.ContainsFunc(Faults(byPeriod.Publishable()), func(f *Fault) bool { return f.Path == "usage[0].rates[0].mode" }) {
		t.Errorf("by period: %v", byPeriod.Publishable())
	}
	if err := errors.Join(volume(func(*Offering) {}).Publishable(), volume(func(*Offering) {}).Validate()); err != nil {
		t.Errorf("refused: %v", err)
	}
	for path, change := range map[string]func(o *Offering){
		"allowances[0].filter.usage": func(o *Offering) { o.Allowances[0].Unit = Bytes },
		"allowances[0].rated_by":     func(o *Offering) { o.Allowances[0].Unit, o.Allowances[0].RatedBy = Seconds, "data" },
		"promotions[0].applies": func(o *Offering) {
			o.Promotions = []Promotion{{ID: "p", Name: "P", Kind: Discount, Percent: 1, Applies: []string{"data"}}}
		},
	} {
		got := Faults(volume(change).Validate())
		if len(got) != 1 || got[0].Path != path || got[0].Remedy == "" {
			t.Errorf("got %v, want %s named", got, path)
		}
	}
}

// The edges round nothing but down to the micro-unit; another rule is named.
func TestARoundingRuleIsNotPublished(t *testing.T) {
	for _, c := range []struct {
		rule *Rounding
		ok   bool
	}{{nil, true}, {&Rounding{Down, 6}, true}, {&Rounding{HalfUp, 2}, false}, {&Rounding{Down, 2}, false}} {
		o := sample()
		o.Rounding = c.rule
		if got := Faults(o.Publishable()); (len(got) == 0) != c.ok || !c.ok && got[0].Path != "rounding" {
			t.Errorf("%+v: %v", c.rule, got)
		}
	}
}

func TestAnAllowanceBehindMoneyIsWarnedOf(t *testing.T) {
	o := sample()
	o.Allowances = []Allowance{{Name: "first", Unit: Bytes, Amount: 1}, {Name: "last", Unit: Bytes, Amount: 1, Priority: 1}}
	if got := Faults(o.Warnings()); len(got) != 1 || got[0].Path != "allowances[1].priority" {
		t.Error(got)
	}
}

func TestCalendarArithmetic(t *testing.T) {
	if DayNumber(1970, 1, 1) != 0 || DayNumber(2026, 11, 25) != 20782 {
		t.Fatal(DayNumber(1970, 1, 1), DayNumber(2026, 11, 25))
	}
	for n := int64(-800); n < 60_000; n++ {
		y, m, d := Civil(n)
		if back := DayNumber(y, m, d); back != n || d < 1 || d > DaysIn(y, m) {
			t.Fatalf("day %d is %d-%d-%d, which is day %d", n, y, m, d, back)
		}
	}
	if n, ok := Date("2028-02-29").Days(); !ok || n != DayNumber(2028, 2, 29) {
		t.Fatal(n, ok)
	}
}
