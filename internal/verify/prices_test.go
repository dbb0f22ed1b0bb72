package verify

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// The naive pricing and the rating core agree on all that the edges may execute.
func TestNaivePriceIsTheCores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := &tariff.Offering{
			ID: "prepaid", Version: 3, Name: "Prepaid", Currency: "EUR", Service: "internet", ValidFrom: 1,
			Usage: tariff.PerUnit(tariff.Bytes, 3, 10), Overrun: tariff.Owed,
			Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Reservation: tariff.Reservation{Quota: 100, TTLSeconds: 200},
		}
		price := func() tariff.Price {
			return tariff.Price{Amount: money.Amount(rapid.Int64Range(0, 5000).Draw(t, "amount")), Per: rapid.SampledFrom([]int64{1, 3, 7, 1000}).Draw(t, "per")}
		}
		pick := func(name string, choices ...int64) int64 { return rapid.SampledFrom(choices).Draw(t, name) }
		u := &o.Usage[0]
		u.Free.Units = pick("free", 0, 0, 50)
		u.MinEvent, u.MaxEvent = money.Amount(pick("min", 0, 0, 700)), money.Amount(pick("max", 0, 0, 900_000))
		r := &u.Rates[0]
		r.Fee, r.First, r.Next = money.Amount(pick("fee", 0, 300)), pick("first", 0, 30, 60), pick("next", 0, 1, 10)
		if r.MaxCost = money.Amount(pick("max cost", 0, 0, 2000)); r.MaxCost > 0 {
			r.AfterMax = rapid.SampledFrom([]tariff.AfterMax{tariff.FreeAfter, tariff.Disconnect}).Draw(t, "after")
		}
		if r.Price = price(); rapid.Bool().Draw(t, "tiered") {
			r.Price, r.Mode = tariff.Price{}, tariff.Graduated
			r.Tiers = []tariff.Tier{{UpTo: pick("first tier", 20, 45, 100), Price: price(), Flat: 11}, {UpTo: 250, Price: price(), Flat: money.Amount(pick("flat", 0, 17)), Step: pick("step", 0, 40)}, {Price: price()}}
		}
		zoned := rapid.Bool().Draw(t, "zoned")
		if len(r.Tiers) > 0 && !zoned && rapid.Bool().Draw(t, "volume") {
			r.Mode, r.First, r.MaxCost, r.AfterMax = tariff.Volume, 0, 0, ""
		}
		if zoned { // the priced rate is one of three
			near, far := *r, *r
			near.Price, near.Mode, near.Tiers, near.Fee = price(), "", nil, 0
			far.Zone, near.Zone = "far", "near"
			u.Destinations = []tariff.Destination{{Zone: "far", Prefixes: []string{"9"}}, {Zone: "near", Prefixes: []string{"91", "1"}}}
			u.Rates = []tariff.Rate{near, {Price: price()}, far}
		}
		if err := errors.Join(o.Live(), o.Validate()); err != nil {
			t.Fatal(err)
		}
		plan, err := rating.Compile(o, rating.Env{})
		if err != nil {
			t.Fatal(err)
		}
		var tally rating.Tally
		zone, _ := plan.Zone(0, rapid.SampledFrom([]string{"", "5", "90", "911"}).Draw(t, "called"))
		var p pricer
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 200), 1, 4).Draw(t, "parts") {
			if _, tally, err = plan.Rate(nil, rating.Context{Zone: zone}, tally, rating.Use{Quantity: n}); err != nil {
				t.Fatal(err)
			}
			if want := p.cost(u, byQuantity(u, plan.ZoneName(0, zone)), tally.Quantity).Int64(); int64(tally.Charged) != want {
				t.Fatalf("%d octets cost %d, naively %d", tally.Quantity, tally.Charged, want)
			}
		}
	})
}
