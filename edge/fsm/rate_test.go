package fsm

import (
	"strings"
	"testing"

	"meridian/edge/command"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// calls costs 0.50 to begin, the first minute 0.60, then 0.01 a second in steps of
// 10 s, from 200 s on 0.005, and no more than 3.00.
func calls() *tariff.Offering {
	o := perMinute()
	cent := tariff.Price{Amount: 10_000, Per: 1}
	o.Usage = []tariff.Usage{{Name: "calls", Unit: tariff.Seconds, MaxEvent: 3 * eur, Rates: []tariff.Rate{{
		Fee: 500_000, First: 60, Next: 10, Mode: tariff.Graduated,
		Tiers: []tariff.Tier{{UpTo: 200, Price: cent}, {Price: tariff.Price{Amount: 5_000, Per: 1}}},
	}}}}
	o.Reservation.Quota = 60
	return o
}

func TestFeeStepsAndTiersAreChargedOnceHoweverReported(t *testing.T) {
	r := newRegion(t, 10*eur, calls())
	r.want("a hold of fee and first minute buys", r.login("s1").LimitUnits, 60)
	r.want("held", r.s.buckets.get("a/cash").H, 1_100_000)
	r.acct(command.Start, "s1", t0, 0, 0)
	left := func() money.Amount { b := r.s.buckets.get("a/cash"); return money.Amount(b.Available() + b.H) }
	r.want("nothing before the first second", left(), 10*eur)
	for _, c := range []struct {
		seconds int64
		left    money.Amount
	}{{5, 8_900_000}, {60, 8_900_000}, {61, 8_800_000}, {205, 7_450_000}, {205, 7_450_000}, {900, 7_000_000}} {
		r.acct(command.Interim, "s1", t0, c.seconds, 0)
		r.want("left", left(), c.left)
	}
	r.acct(command.Stop, "s1", t0, 905, 0)
	r.want("charged", r.sum(journal.KindCharge), 3*eur)
	var rules []string
	for _, e := range r.entries {
		if e.Kind == journal.KindUsage {
			var quantity int64
			for _, x := range e.Usage.Slices {
				rules = append(rules, x.Rule)
				quantity += x.Quantity
			}
			r.want("slices make the usage", quantity, e.Usage.Seconds)
		}
	}
	r.want("rules", strings.Join(rules, " "), "minutes@1/calls/1 minutes@1/calls/2 minutes@1/calls/3 minutes@1/calls/fee")
}

// A report that ends within a paid step does not run out of money, one micro-unit
// less than the next step does.
func TestASessionEndsWhereTheNextStepDoesNotFit(t *testing.T) {
	r := newRegion(t, 1_199_999, calls())
	r.want("limit", r.login("s1").LimitUnits, 60)
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 0)
	effects := r.s.Effects(10)
	r.want("disconnected", len(effects) == 1 && effects[0].Kind == EffectDisconnect, true)
	r.acct(command.Stop, "s1", t0, 60, 0)
	r.want("left", r.available(), 99_999)
	r.want("overrun", r.sum(journal.KindOverrun), 0)
}
