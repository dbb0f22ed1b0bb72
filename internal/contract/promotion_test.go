package contract

import (
	"fmt"
	"strings"
	"testing"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

func TestPromotions(t *testing.T) {
	const percent = tariff.Hundred / 100
	half := tariff.Promotion{ID: "half", Name: "Half", Kind: tariff.Discount, Percent: 50 * percent, Periods: 2}
	free := tariff.Promotion{ID: "free", Name: "First free", Kind: tariff.Trial, Periods: 1}
	two := tariff.Promotion{ID: "two", Name: "Two off", Kind: tariff.Discount, Amount: amount("2.00"), Order: 1}
	loyal := tariff.Promotion{ID: "loyal", Name: "Loyal", Kind: tariff.Loyalty, Tenure: []tariff.TenureTier{{Months: 1, Percent: 10 * percent}, {Months: 2, Percent: 20 * percent}}}
	tv := tariff.Promotion{ID: "tv", Name: "With TV", Kind: tariff.CrossSell, Percent: 10 * percent, With: []string{"tv"}}
	happy := tariff.Promotion{ID: "happy", Name: "Weekend", Kind: tariff.HappyHours, Percent: 10 * percent, Window: "weekend"}
	born := tariff.Promotion{ID: "born", Name: "Birthday", Kind: tariff.Birthday, Percent: 10 * percent, Days: 3}
	set := func(p tariff.Promotion, change func(*tariff.Promotion)) tariff.Promotion { change(&p); return p }
	for _, c := range []struct {
		name  string
		list  []tariff.Promotion
		facts Facts
		want  string // of the 1st to 5th of March, April and May 2026: a fee of 10.00, activated on 1 March; setup of 5.00
	}{
		{"for two periods, of all components", []tariff.Promotion{half}, Facts{}, "setup 2.50 (half -2.50); fee 5.00 (half -5.00); fee 5.00 (half -5.00); fee 10.00"},
		{"of one component", []tariff.Promotion{set(half, func(p *tariff.Promotion) { p.Applies = []string{"setup"} })}, Facts{}, "setup 2.50 (half -2.50); fee 10.00; fee 10.00; fee 10.00"},
		{"the periods of two pass together", []tariff.Promotion{free, half, two}, Facts{}, "setup 0.00 (free -5.00); fee 0.00 (free -10.00); fee 3.00 (half -5.00) (two -2.00); fee 8.00 (two -2.00)"},
		{"from a day on", []tariff.Promotion{set(half, func(p *tariff.Promotion) { p.From = instant(t, "2026-03-15T00:00Z") })}, Facts{}, "setup 5.00; fee 10.00; fee 5.00 (half -5.00); fee 5.00 (half -5.00)"},
		{"until a day", []tariff.Promotion{set(two, func(p *tariff.Promotion) { p.Until = instant(t, "2026-04-01T00:00Z") })}, Facts{}, "setup 3.00 (two -2.00); fee 8.00 (two -2.00); fee 10.00; fee 10.00"},
		{"loyalty", []tariff.Promotion{loyal}, Facts{}, "setup 5.00; fee 10.00; fee 9.00 (loyal -1.00); fee 8.00 (loyal -2.00)"},
		{"cross-sell", []tariff.Promotion{tv}, Facts{Holds: []string{"plan", "tv"}}, "setup 4.50 (tv -0.50); fee 9.00 (tv -1.00); fee 9.00 (tv -1.00); fee 9.00 (tv -1.00)"},
		{"cross-sell of nothing", []tariff.Promotion{tv}, Facts{Holds: []string{"plan"}}, "setup 5.00; fee 10.00; fee 10.00; fee 10.00"},
		{"happy hours: 1 March 2026 is a Sunday", []tariff.Promotion{happy}, Facts{}, "setup 4.50 (happy -0.50); fee 9.00 (happy -1.00); fee 10.00; fee 10.00"},
		{"birthday, three days from 30 March", []tariff.Promotion{born}, Facts{BirthMonth: 3, BirthDay: 30}, "setup 5.00; fee 10.00; fee 9.00 (born -1.00); fee 10.00"},
		{"born on 29 February", []tariff.Promotion{born}, Facts{BirthMonth: 2, BirthDay: 29}, "setup 4.50 (born -0.50); fee 9.00 (born -1.00); fee 10.00; fee 10.00"},
		{"as often as a person may", []tariff.Promotion{set(two, func(p *tariff.Promotion) { p.PerPerson = 3 })}, Facts{}, "setup 3.00 (two -2.00); fee 8.00 (two -2.00); fee 8.00 (two -2.00); fee 10.00"},
		{"what is left of the budget", []tariff.Promotion{set(two, func(p *tariff.Promotion) { p.Budget = 1 })}, Facts{Left: func(string) (money.Amount, int64) { return 500_000, 0 }},
			"setup 4.50 (two -0.50); fee 9.50 (two -0.50); fee 9.50 (two -0.50); fee 9.50 (two -0.50)"},
		{"exclusive", []tariff.Promotion{two, set(tv, func(p *tariff.Promotion) { p.Exclusive = true })}, Facts{Holds: []string{"tv"}}, "setup 4.50 (tv -0.50); fee 9.00 (tv -1.00); fee 9.00 (tv -1.00); fee 9.00 (tv -1.00)"},
		{"the best of a group", []tariff.Promotion{set(two, func(p *tariff.Promotion) { p.Group = "g" }), set(half, func(p *tariff.Promotion) { p.Group = "g" })}, Facts{},
			"setup 2.50 (half -2.50); fee 5.00 (half -5.00); fee 5.00 (half -5.00); fee 8.00 (two -2.00)"},
	} {
		p := plan(t, tariff.Offering{OneTime: []tariff.OneTime{{Name: "setup", Price: amount("5.00")}}, Recurring: []tariff.Recurring{fee("10.00")}, Promotions: c.list,
			Windows: []tariff.Window{{Name: "weekend", Days: []tariff.Weekday{"sat", "sun"}}}})
		got := play(t, &c.facts, []string{"2026-03-01T00:00Z activate", "2026-05-02T00:00Z run"}, p)
		for _, period := range []string{" 2026-03-01..2026-04-01", " 2026-04-01..2026-05-01", " 2026-05-01..2026-06-01"} {
			got = strings.ReplaceAll(got, period, "")
		}
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// An amount off is off a whole period; of a part it takes a part. What was paid is
// given back, not what it would have cost.
func TestPromotionOfAPart(t *testing.T) {
	p := plan(t, tariff.Offering{Recurring: []tariff.Recurring{fee("31.00")}, Promotions: []tariff.Promotion{{ID: "off", Name: "Off", Kind: tariff.Discount, Amount: amount("3.10")}}})
	got := play(t, nil, []string{"2026-03-22T00:00Z activate", "2026-03-27T00:00Z cancel"}, p)
	if want := "fee 9.00 2026-03-22..2026-04-01 10/31 (off -1.00); fee back 4.50 2026-03-27..2026-04-01 5/10"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A promotion for some periods does not begin again by changing there and back.
func TestPromotionIsNotWonTwice(t *testing.T) {
	free := []tariff.Promotion{{ID: "free", Name: "First free", Kind: tariff.Trial, Periods: 1}}
	p := plan(t, tariff.Offering{Recurring: []tariff.Recurring{fee("31.00")}, Promotions: free})
	q := plan(t, tariff.Offering{ID: "other", Recurring: []tariff.Recurring{fee("62.00")}})
	got := play(t, nil, []string{"2026-03-01T00:00Z activate", "2026-03-02T00:00Z change 1", "2026-03-12T00:00Z change 0"}, p, q)
	want := "fee 0.00 2026-03-01..2026-04-01 (free -31.00); fee 60.00 2026-03-02..2026-04-01 30/31; " +
		"fee back 40.00 2026-03-12..2026-04-01 20/30; fee 20.00 2026-03-12..2026-04-01 20/31"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBonuses(t *testing.T) {
	tiers := []tariff.BonusTier{{From: amount("10.00"), Percent: tariff.Hundred / 10}, {From: amount("50.00"), Amount: amount("15.00")}}
	small := tariff.Promotion{ID: "a", Name: "A", Kind: tariff.TopUpBonus, Bonus: tiers, PerPerson: 3}
	friend := tariff.Promotion{ID: "b", Name: "B", Kind: tariff.Referral, Bonus: []tariff.BonusTier{{Amount: amount("5.00")}}}
	best := tariff.Promotion{ID: "c", Name: "C", Kind: tariff.TopUpBonus, Bonus: []tariff.BonusTier{{Amount: amount("1.00")}}, Group: "g", Gives: tariff.MoneyBalance, Order: -1}
	other := tariff.Promotion{ID: "d", Name: "D", Kind: tariff.TopUpBonus, Bonus: []tariff.BonusTier{{Percent: tariff.Hundred / 2}}, Group: "g"}
	p := plan(t, tariff.Offering{OneTime: []tariff.OneTime{{Name: "setup"}}, Promotions: []tariff.Promotion{small, friend, best, other}})
	s := &State{}
	p.Activate(s, 1)
	var got []string
	for _, x := range []struct {
		kind   tariff.PromotionKind
		amount string
	}{{tariff.TopUpBonus, "9.99"}, {tariff.TopUpBonus, "10.00"}, {tariff.TopUpBonus, "50.00"}, {tariff.TopUpBonus, "20.00"}, {tariff.TopUpBonus, "20.00"}, {tariff.Referral, "0.00"}, {tariff.TopUpBonus, "1.00"}} {
		list, err := p.Bonuses(s, nil, x.kind, 10, amount(x.amount))
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, b := range list {
			text += fmt.Sprintf(" %s %s to %s", b.Promotion, b.Amount, b.Gives)
		}
		got = append(got, x.amount+text)
	}
	want := "9.99 d 4.995 to money; 10.00 a 1.00 to money d 5.00 to money; 50.00 a 15.00 to money d 25.00 to money; 20.00 a 2.00 to money d 10.00 to money; " +
		"20.00 d 10.00 to money; 0.00 b 5.00 to money; 1.00 c 1.00 to money"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}
