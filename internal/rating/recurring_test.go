package rating

import (
	"fmt"
	"testing"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

func day(t *testing.T, d tariff.Date) int64 {
	t.Helper()
	if d == "" {
		return 0
	}
	n, ok := d.Days()
	if !ok {
		t.Fatal(d)
	}
	return n
}

func TestCycles(t *testing.T) {
	for _, c := range []struct {
		name           string
		r              tariff.Recurring
		start, end, by tariff.Date
		want           string
	}{
		{"weeks of the calendar begin on Monday", tariff.Recurring{Every: tariff.Period{Unit: tariff.Week, Count: 1}, Anchor: tariff.Calendar, Proration: tariff.ActualDays}, "2026-11-25", "", "2026-12-01", "5/7 7/7"},
		{"half months", tariff.Recurring{Every: tariff.Period{Unit: tariff.HalfMonth, Count: 1}, Anchor: tariff.Calendar, Proration: tariff.ActualDays}, "2026-02-10", "2026-03-05", "2026-04-01", "6/15 13/13 4/15"},
		{"anniversary on the 31st", tariff.Recurring{Every: tariff.Period{Unit: tariff.Month, Count: 1}, Proration: tariff.ActualDays}, "2026-01-31", "", "2026-03-30", "28/28 31/31"},
		{"quarters", tariff.Recurring{Every: tariff.Period{Unit: tariff.Month, Count: 3}, Proration: tariff.ActualDays}, "2026-11-15", "", "2027-03-01", "92/92 89/89"},
		{"years in arrears", tariff.Recurring{Every: tariff.Period{Unit: tariff.Year, Count: 1}, Due: tariff.Arrears, Proration: tariff.ActualDays}, "2026-03-01", "", "2028-03-01", "365/365 366/366"},
		{"thirty days a month", tariff.Recurring{Every: tariff.Period{Unit: tariff.Month, Count: 1}, Anchor: tariff.Calendar, Proration: tariff.Fixed30}, "2026-02-11", "", "2026-03-01", "20/30 30/30"},
		{"no proration", tariff.Recurring{Every: tariff.Period{Unit: tariff.Month, Count: 1}, Anchor: tariff.Calendar}, "2026-02-11", "2026-03-03", "2026-04-01", "28/28 31/31"},
		{"days", tariff.Recurring{Every: tariff.Period{Unit: tariff.Day, Count: 30}}, "2026-01-01", "", "2026-02-01", "30/30 30/30"},
	} {
		got := ""
		for _, x := range Cycles(&c.r, 1, day(t, c.start), day(t, c.end), day(t, c.by)) {
			got += fmt.Sprintf(" %d/%d", x.Days, x.Of)
		}
		if got != " "+c.want {
			t.Errorf("%s:%s, want %s", c.name, got, c.want)
		}
	}
}

func TestAmountAndCredit(t *testing.T) {
	r := tariff.Recurring{Every: tariff.Period{Unit: tariff.Month, Count: 1}, Anchor: tariff.Calendar, Proration: tariff.ActualDays, Cancel: tariff.PartCredit}
	c := Cycles(&r, 1, day(t, "2026-03-01"), 0, day(t, "2026-03-01"))[0]
	if a, err := c.Amount(249_950_000); err != nil || a != 249_950_000 {
		t.Error(a, err)
	}
	if a, err := Credit(&r, c, 249_950_000, day(t, "2026-03-22")); err != nil || a != 80_629_032 {
		t.Errorf("10 of 31 days: %s, %v", a, err)
	}
	r.Cancel = tariff.FullCredit
	if a, _ := Credit(&r, c, 5, day(t, "2026-03-31")); a != 5 {
		t.Error(a)
	}
	if a, _ := Credit(&r, c, 5, day(t, "2026-04-01")); a != 0 {
		t.Error("credit after the period's end")
	}
}

func TestReduce(t *testing.T) {
	half := tariff.Promotion{ID: "half", Name: "Half", Kind: tariff.Discount, Percent: 500_000, Periods: 3, Applies: []string{"fee"}}
	two := tariff.Promotion{ID: "two", Name: "Two off", Kind: tariff.Discount, Amount: 2_000_000, Order: 1}
	loyal := tariff.Promotion{ID: "loyal", Name: "Loyal", Kind: tariff.Loyalty, Tenure: []tariff.TenureTier{{Months: 12, Percent: 100_000}, {Months: 36, Percent: 250_000}}, Order: 2}
	trial := tariff.Promotion{ID: "trial", Name: "Trial", Kind: tariff.Trial, Periods: 1, Exclusive: true}
	group := func(p tariff.Promotion) tariff.Promotion { p.Group = "g"; return p }
	for _, c := range []struct {
		name string
		list []tariff.Promotion
		f    Facts
		want string
	}{
		{"in order, each on what is left", []tariff.Promotion{loyal, two, half}, Facts{Component: "fee", Period: 1, TenureMonths: 40}, "half 5.00 two 2.00 loyal 0.75 = 2.25"},
		{"after its periods", []tariff.Promotion{half}, Facts{Component: "fee", Period: 4}, "= 10.00"},
		{"another component", []tariff.Promotion{half}, Facts{Component: "calls", Period: 1}, "= 10.00"},
		{"the best of a group", []tariff.Promotion{group(half), group(two)}, Facts{Component: "fee", Period: 1}, "half 5.00 = 5.00"},
		{"exclusive", []tariff.Promotion{half, trial}, Facts{Component: "fee", Period: 1}, "trial 10.00 = 0.00"},
		{"budget", []tariff.Promotion{{ID: "b", Kind: tariff.Discount, Percent: 500_000, Budget: 100}}, Facts{Left: func(string) (money.Amount, int64) { return 3, 1 }}, "b 0.000003 = 9.999997"},
		{"no times left", []tariff.Promotion{{ID: "b", Kind: tariff.Discount, Percent: 500_000, Count: 9}}, Facts{Left: func(string) (money.Amount, int64) { return 3, 0 }}, "= 10.00"},
		{"over", []tariff.Promotion{{ID: "b", Kind: tariff.Discount, Percent: 500_000, Until: 7}}, Facts{At: 7}, "= 10.00"},
		{"cross-sell", []tariff.Promotion{{ID: "tv", Kind: tariff.CrossSell, Amount: 1_000_000, With: []string{"tv"}}}, Facts{Holds: []string{"tv"}}, "tv 1.00 = 9.00"},
	} {
		list, left, err := Reduce(c.list, &c.f, 10_000_000)
		got := ""
		for _, x := range list {
			got += x.Promotion + " " + x.Amount.String() + " "
		}
		if got += "= " + left.String(); got != c.want || err != nil {
			t.Errorf("%s: %s, want %s, %v", c.name, got, c.want, err)
		}
	}
	bonus := tariff.Promotion{Kind: tariff.TopUpBonus, Bonus: []tariff.BonusTier{{From: 10_000_000, Percent: 100_000}, {From: 50_000_000, Amount: 10_000_000}}}
	for paid, want := range map[money.Amount]money.Amount{9_999_999: 0, 10_000_000: 1_000_000, 50_000_000: 10_000_000} {
		if got, err := Bonus(&bonus, paid); err != nil || got != want {
			t.Errorf("bonus of %s: %s, %v", paid, got, err)
		}
	}
}

func TestExplain(t *testing.T) {
	p := compile(t, offering(tariff.Usage{Name: "calls", Unit: tariff.Seconds, Rates: []tariff.Rate{{Fee: 9, First: 60, Next: 1, Price: tariff.Price{Amount: 100_000, Per: 60}}}}), Env{})
	list, _, err := p.Rate(nil, Context{}, Tally{}, Use{Quantity: 65})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range list {
		if why, ok := p.Explain(x.Rule); !ok || why.Price != x.Price || why.Step != x.Step {
			t.Errorf("%+v is explained by %+v", x, why)
		}
	}
}
