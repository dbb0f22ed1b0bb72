package charging

import (
	"testing"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// Each event of a period buys its own steps: what the last one left of a step is
// not the next one's, every unit of money is paid by a bucket, and an event that
// cannot take place is none.
func TestEventsOfAPeriodBuyTheirOwnSteps(t *testing.T) {
	o := &tariff.Offering{ID: "turbo", Version: 1, Name: "Turbo", Currency: "EUR", Service: "internet", Overrun: tariff.Owed,
		Usage: []tariff.Usage{{Name: "turbo", Unit: tariff.Seconds, Counted: tariff.ByPeriod, MaxPeriod: 2_000_000,
			Rates: []tariff.Rate{{Price: tariff.Price{Amount: 500_000, Per: 1800}, Next: 1800}}}},
		Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Reservation: tariff.Reservation{Quota: 1800, TTLSeconds: 180}}
	plan, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	cash := &Bucket{ID: "m", Name: tariff.MoneyBalance, Unit: tariff.Money, Value: 1_600_000}
	w := NewWallet(0, cash)
	var s Session
	var r Result
	for i, c := range []struct {
		seconds            int64
		mode               Mode
		cost, overrun, end money.Amount
		paid               int64
	}{
		{2400, Owe, 1_000_000, 0, 600_000, 2400},  // two steps of 0.50
		{600, Owe, 500_000, 0, 100_000, 600},      // its own step, though 1 200 s of the last one's were left
		{600, Part, 0, 0, 100_000, 0},             // there is not enough: nothing happens
		{7200, Owe, 500_000, 500_000, 100_000, 0}, // up to the period's 2.00
		{7200, Owe, 0, 0, 100_000, 7200},          // and no further
	} {
		if err := Debit(plan, &s, w, rating.Use{Quantity: c.seconds, New: true}, c.mode, &r); err != nil {
			t.Fatal(err)
		}
		paid := int64(0)
		for _, p := range r.Payments {
			paid += p.Amount
		}
		if r.Cost != c.cost || r.Overrun != c.overrun || money.Amount(paid) != c.cost-c.overrun || money.Amount(cash.Value) != c.end || r.Paid != c.paid {
			t.Errorf("event %d: cost %s, overrun %s, from buckets %s, paid for %d, left %s; want %+v", i, r.Cost, r.Overrun, money.Amount(paid), r.Paid, money.Amount(cash.Value), c)
		}
	}
}

// A minimum is of what is priced: usage that an allowance pays for in full costs
// nothing, in however many reports it comes.
func TestAMinimumIsNotOfWhatAnAllowancePays(t *testing.T) {
	o := newOffering()
	o.Usage = []tariff.Usage{{Name: "usage", Unit: tariff.Seconds, MinEvent: 300_000, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 1000, Per: 1}}}}}
	o.Allowances = []tariff.Allowance{{Name: "mins", Unit: tariff.Seconds, Amount: 3600, Step: 60}}
	plan, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, reports := range [][]int64{{20}, {10, 10}, {60, 10, 50}} {
		mins := &Bucket{ID: "mins", Name: "mins", Unit: tariff.Seconds, Value: 120, Terms: NewTerms(o, plan, &o.Allowances[0])}
		cash := &Bucket{ID: "m", Name: tariff.MoneyBalance, Unit: tariff.Money, Priority: 1, Value: 1_000_000}
		w, s := NewWallet(0, mins, cash), Session{}
		var r Result
		for _, n := range reports {
			if err := Debit(plan, &s, w, rating.Use{Quantity: n}, Owe, &r); err != nil || r.Cost != 0 || s.State.Charged != 0 || cash.Value != 1_000_000 {
				t.Errorf("%d of %v: cost %s, charged %s, %d left, %v", n, reports, r.Cost, s.State.Charged, cash.Value, err)
			}
		}
		mins.Value = 0 // what comes next is priced, and has the minimum
		if err := Debit(plan, &s, w, rating.Use{Quantity: 50}, Owe, &r); err != nil || r.Cost != 300_000 || cash.Value != 700_000 {
			t.Errorf("after %v: cost %s, %d left, %v", reports, r.Cost, cash.Value, err)
		}
	}
}
