package fsm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/zones"
)

// eachMonth is 1 GB a month free, then 2.00 a GB up to 3 GB in all, 1.00 beyond, at most
// 6.00 a month; a notice at 2 GB, each month.
func eachMonth() *tariff.Offering {
	o := perGigabyte()
	gb := int64(1_000_000_000)
	o.ID = "monthly"
	o.Usage = []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Counted: tariff.ByPeriod, Free: tariff.Free{Units: gb}, MaxPeriod: 6 * eur,
		Rates: []tariff.Rate{{Mode: tariff.Graduated, Tiers: []tariff.Tier{{UpTo: 2 * gb, Price: tariff.Price{Amount: 2 * eur, Per: gb}}, {Price: tariff.Price{Amount: eur, Per: gb}}}}}}}
	o.Thresholds = []tariff.Threshold{{Name: "much", On: "data", Metric: tariff.Used, Value: 2 * gb, Recurring: true}}
	o.Profile.SessionLimit = 2
	return o
}

func (r *region) octets(status command.Status, id string, start, seconds int64, octets uint64) {
	r.t.Helper()
	if res := r.acct(status, id, start, seconds, octets); res.Code != command.OK && res.Code != command.Repeated {
		r.t.Fatalf("%s: %d", id, res.Code)
	}
}

// Worked by hand: of 0.6, 0.8, 1 and 5 GB in four sessions of a month 1 GB is free, 2 GB
// cost 4.00 and the next 2 GB 2.00: then the maximum is reached.
func TestTiersGoOnOverTheMonth(t *testing.T) {
	o := eachMonth()
	if err := o.Publishable(); err != nil {
		t.Fatal(err)
	}
	r := newRegion(t, 20*eur, o)
	var charges []string
	for i, mb := range []uint64{600, 800, 1000, 5000} {
		r.entries = nil
		id, start := fmt.Sprint("s", i), r.now
		r.octets(command.Start, id, start, 0, 0)
		for k := range uint64(5) {
			r.octets(command.Interim, id, start, int64(k+1)*1000, mb*1_000_000*(k+1)/5)
			r.reloaded()
		}
		r.octets(command.Stop, id, start, 5000, mb*1_000_000)
		charges = append(charges, plain(r.sum(journal.KindCharge)))
		r.tick(5000)
	}
	r.want("charges", strings.Join(charges, " "), "0 800000 2000000 3200000")
	r.want("left", r.available(), 14*eur)
}

// t0 is the 15th of January 2027, 08:00: on the 1st of February the count begins anew, and
// a stretch belongs to the month in which it began.
func TestANewMonthCountsAnew(t *testing.T) {
	r := newRegion(t, 20*eur, eachMonth())
	const february = 1_801_440_000
	r.days(16)
	r.tick(february - 3600 - r.now)
	start := r.now
	r.octets(command.Start, "s", start, 0, 0)
	r.octets(command.Interim, "s", start, 1000, 1_500_000_000) // 0.5 GB beyond: 1.00
	r.octets(command.Interim, "s", start, 3500, 1_500_000_000)
	r.tick(3700)
	r.octets(command.Interim, "s", start, 3700, 2_500_000_000) // began in January: 2.00
	r.reloaded()
	r.octets(command.Interim, "s", start, 5000, 3_700_000_000) // 1 GB free, 0.2: 0.40
	r.octets(command.Stop, "s", start, 6000, 3_700_000_000)
	r.want("paid", r.paid(), "data:1000000000=0, 1:500000000=1000000, charge 1000000, 1:1000000000=2000000, charge 2000000, data:1000000000=0, 1:200000000=400000, charge 400000")
	var periods, notices []string
	for _, e := range r.entries {
		if e.Kind == journal.KindUsage {
			periods = append(periods, fmt.Sprint(e.Usage.Parts[0].Period))
		}
		if e.Kind == journal.KindNotice {
			notices = append(notices, fmt.Sprint(e.Ref, e.Quantity))
		}
	}
	r.want("notices", notices, "[much2500000000]")
	r.want("periods", periods, fmt.Sprintf("[%d %[1]d %d]", february-31*86400, february))
}

// Two sessions beside each other count together, and each record goes on where the one
// before it ended, whichever session it is of.
func TestSessionsCountTogether(t *testing.T) {
	r := newRegion(t, 20*eur, eachMonth())
	r.octets(command.Start, "a", t0, 0, 0)
	r.octets(command.Start, "b", t0+1, 0, 0)
	rng := rand.New(rand.NewPCG(3, 3))
	var in [2]uint64
	for k := range 40 {
		i := rng.IntN(2)
		in[i] += rng.Uint64N(100_000_000)
		r.octets(command.Interim, []string{"a", "b"}[i], t0+int64(i), int64(k+1)*60, in[i])
		if rng.IntN(6) == 0 {
			r.reloaded()
		}
	}
	r.octets(command.Stop, "a", t0, 6000, in[0])
	r.octets(command.Stop, "b", t0+1, 6000, in[1])
	var quantity int64
	var charged money.Amount
	for _, e := range r.entries {
		if e.Kind != journal.KindUsage {
			continue
		}
		for _, p := range e.Usage.Parts {
			if p.Before.Quantity != quantity || p.Before.Charged != charged {
				t.Fatalf("a record goes on from %d at %s, the one before ended at %d at %s", p.Before.Quantity, p.Before.Charged, quantity, charged)
			}
			for _, x := range p.Slices {
				quantity, charged = quantity+x.Quantity, charged+x.Amount
			}
		}
	}
	r.want("all of it", quantity, int64(in[0]+in[1]))
	beyond := quantity - 1_000_000_000
	want := min(beyond, 2_000_000_000)*2 + max(beyond-2_000_000_000, 0)
	r.want("charged", int64(charged), min(want/1000, 6_000_000))
	r.want("and paid", r.sum(journal.KindCharge), charged)
}

// A new version in the middle of the month goes on with what was used and paid: nothing
// is free twice, and a lower maximum gives nothing back and asks for nothing more.
func TestAVersionGoesOnWithTheMonth(t *testing.T) {
	for _, c := range []struct {
		name string
		most money.Amount
		want money.Amount
	}{{"the same maximum", 6 * eur, 3_500_000 + 500_000}, {"a lower one", 2 * eur, 3_500_000}} {
		o := eachMonth()
		next := eachMonth()
		next.Version, next.ValidFrom, next.Usage[0].MaxPeriod = 2, t0+50, c.most
		r := newRegion(t, 20*eur, o)
		r.octets(command.Start, "s", t0, 0, 0)
		r.octets(command.Interim, "s", t0, 60, 2_750_000_000) // 1.75 beyond: 3.50
		r.feed(feed.KindOffering, "monthly@2", next)
		r.octets(command.Interim, "s", t0, 120, 3_000_000_000)
		r.octets(command.Stop, "s", t0, 121, 3_000_000_000)
		r.want(c.name, r.sum(journal.KindCharge), c.want)
		r.want("given back", r.sum(journal.KindRefund), 0)
	}
}

// What is held ahead is what the next units of the month cost.
func TestAHoldIsOfTheMonthsPrice(t *testing.T) {
	r := newRegion(t, 20*eur, eachMonth())
	r.want("free", fmt.Sprint(r.login("s1").LimitUnits, r.s.buckets.get("a/cash").H), "100000000 0")
	r.octets(command.Start, "s1", t0, 0, 0)
	r.octets(command.Stop, "s1", t0, 60, 950_000_000)
	r.want("half of it", fmt.Sprint(r.login("s2").LimitUnits, r.s.buckets.get("a/cash").H), "100000000 100000")
	r.octets(command.Start, "s2", t0+60, 0, 0)
	r.octets(command.Stop, "s2", t0+60, 60, 9_000_000_000)
	r.want("at the maximum", fmt.Sprint(r.login("s3").LimitUnits, r.s.buckets.get("a/cash").H), "100000000 0")
}

// A random tariff that is counted by period comes to the same by `meridian rate`.
func TestCountedByPeriodCostsTheSameInATrial(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 8))
	var paid, overrun int
	for run := range 120 {
		o := perMinute()
		some := func(n int64) int64 { return rng.Int64N(2) * rng.Int64N(n) }
		price := func() tariff.Price {
			return tariff.Price{Amount: money.Amount(rng.Int64N(200_000)), Per: []int64{1, 7, 60}[rng.IntN(3)]}
		}
		every := []*tariff.Period{nil, {Unit: tariff.Day, Count: 1}, {Unit: tariff.Week, Count: 1}, {Unit: tariff.HalfMonth, Count: 1}, {Unit: tariff.Month, Count: 2}}[rng.IntN(5)]
		u := tariff.Usage{Name: "use", Unit: tariff.Seconds, Counted: tariff.ByPeriod, Every: every, Free: tariff.Free{Units: some(2000)}}
		if rng.IntN(2) == 0 {
			u.MaxPeriod = money.Amount(1+rng.Int64N(50)) * eur
		}
		r := tariff.Rate{Fee: money.Amount(some(300_000)), Next: some(60)}
		if rng.IntN(2) == 0 {
			r.Mode = tariff.Graduated
			r.Tiers = []tariff.Tier{{UpTo: 600, Price: price(), Flat: money.Amount(some(90_000))}, {UpTo: 2000, Price: price(), Step: some(400)}, {Price: price()}}
		} else {
			r.Price = price()
		}
		u.Rates = []tariff.Rate{r}
		if rng.IntN(2) == 0 {
			o.Windows = []tariff.Window{{Name: "night", From: 20 * 3600, To: 7 * 3600}}
			night := r
			night.Window, night.Mode, night.Tiers, night.Price = "night", "", nil, price()
			u.Rates = append(u.Rates, night)
		}
		o.Usage = []tariff.Usage{u}
		if rng.IntN(2) == 0 {
			o.Zone, o.TZData = "Asia/Tokyo", zones.Latest
		}
		cash := money.Amount(1+rng.Int64N(200)) * eur
		sessions := randomSessions(rng, 14, "")
		want, got := asTrial(t, o, cash, sessions), asEdge(t, o, cash, sessions)
		if want != got {
			t.Fatalf("run %d: the trial says %s, the edge %s\n%+v\n%+v", run, want, got, o.Usage, sessions)
		}
		paid, overrun = paid+strings.Count(got, "money"), overrun+strings.Count(got, "overrun")
	}
	if paid < 60 || overrun < 10 {
		t.Errorf("%d runs paid, %d overran: too few of a kind", paid, overrun)
	}
}
