package fsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
	"meridian/internal/trial"
	"meridian/internal/why"
)

// spoken is a session of time, by its reports.
type spoken struct {
	called  string
	start   int64
	reports []int64 // cumulative seconds, the last at its end
}

// asTrial is what `meridian rate` comes to: by balance, and what nothing could pay.
func asTrial(t testing.TB, o *tariff.Offering, cash money.Amount, sessions []spoken) string {
	t.Helper()
	tr, err := trial.New([]tariff.Offering{*o}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Start("balances", []trial.Balance{{Subscription: "sub", Balance: tariff.MoneyBalance, Value: cash.String()}}); err != nil {
		t.Fatal(err)
	}
	var events []trial.Event
	for i, s := range sessions {
		done := int64(0)
		for _, n := range s.reports {
			events = append(events, trial.Event{Subscription: "sub", Session: fmt.Sprint(i), Destination: s.called,
				Start: time.Unix(s.start+done, 0).UTC().Format(time.RFC3339), Quantity: fmt.Sprint(n - done)})
			done = n
		}
	}
	rows, err := tr.Rate("usage", events, why.Language(""))
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{}
	for _, r := range rows {
		if r.Barred != "" {
			t.Fatalf("%s: barred: %s", r.Start, r.Barred)
		}
		for _, p := range r.Payments {
			n, err := sheet.ParseQuantity(p.Amount, p.Unit)
			if err != nil {
				t.Fatal(err)
			}
			sums[p.Balance] += n
		}
		if r.Overrun != "" {
			n, err := sheet.ParseQuantity(r.Overrun, tariff.Money)
			if err != nil {
				t.Fatal(err)
			}
			sums["overrun"] += n
		}
	}
	return told(sums)
}

// asEdge is what a region's ledger comes to by the same sessions.
func asEdge(t testing.TB, o *tariff.Offering, cash money.Amount, sessions []spoken) string {
	t.Helper()
	if err := o.Publishable(); err != nil {
		t.Fatal(err)
	}
	r := newRegion(t, cash, o)
	names := map[string]string{"a/cash": tariff.MoneyBalance}
	for i, s := range sessions {
		id := fmt.Sprint("s", i)
		r.tick(max(s.start-r.now, 0))
		r.call(command.Start, id, s.called, s.start, 0)
		for k, n := range s.reports {
			r.tick(max(s.start+n-r.now, 0))
			status := command.Interim
			if k == len(s.reports)-1 {
				status = command.Stop
			}
			r.call(status, id, s.called, s.start, n)
			if (i+k)%3 == 0 {
				r.reloaded()
			}
			if (i+k)%5 == 0 {
				r.ok(&command.CutAll{Limit: 10})
			}
		}
	}
	sums := map[string]int64{}
	for _, e := range r.entries {
		switch e.Kind {
		case journal.KindGiven:
			names[e.Bucket] = e.Detail
		case journal.KindCharge:
			sums[names[e.Bucket]] += e.Amount
		case journal.KindOverrun:
			sums["overrun"] += e.Amount
		case journal.KindQuarantine, journal.KindRefund:
			t.Fatalf("%s: %s", e.Kind, e.Detail)
		}
	}
	if r.s.Anomalies != 0 {
		t.Fatalf("%d anomalies", r.s.Anomalies)
	}
	return told(sums)
}

func told(sums map[string]int64) string {
	var out []string
	for name, n := range sums {
		if n != 0 {
			out = append(out, fmt.Sprintf("%s %d", name, n))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// randomSessions follow each other, each to a number that can be called.
func randomSessions(rng *rand.Rand, n int, numbers ...string) (out []spoken) {
	at := int64(t0 + 10)
	for range n {
		s := spoken{called: numbers[rng.IntN(len(numbers))], start: at}
		total := int64(0)
		for range 1 + rng.IntN(4) {
			total += 1 + rng.Int64N(400)
			s.reports = append(s.reports, total)
		}
		at += total + rng.Int64N(100_000)
		out = append(out, s)
	}
	return out
}

// A random voice offering comes to the same by `meridian rate` and at the edge, however
// its calls are reported, cut and reloaded.
func TestCallsCostTheSameInATrial(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	var paid, overrun, minutes int
	for run := range 120 {
		o := voice()
		some := func(n int64) int64 { return rng.Int64N(2) * rng.Int64N(n) }
		u := &o.Usage[0]
		u.Free.Units, u.MinEvent = some(100), money.Amount(some(100_000))
		o.Windows = []tariff.Window{{Name: "night", From: 20 * 3600, To: 7 * 3600}}
		for i := range u.Rates {
			x := &u.Rates[i]
			x.Fee, x.First, x.Next = money.Amount(some(50_000)), some(90), some(70)
			x.Price = tariff.Price{Amount: money.Amount(rng.Int64N(200_000)), Per: []int64{1, 7, 60}[rng.IntN(3)]}
		}
		if rng.IntN(2) == 0 {
			night := u.Rates[rng.IntN(len(u.Rates))]
			night.Window, night.Price.Amount = "night", night.Price.Amount/3
			u.Rates = append(u.Rates, night)
		}
		if rng.IntN(2) == 0 {
			o.Allowances = []tariff.Allowance{{Name: "minutes", Unit: tariff.Seconds, Amount: 600 * (1 + rng.Int64N(10)), Step: some(60), Filter: tariff.Filter{Zones: []string{"home", "mobile"}}}}
		}
		cash := money.Amount(1+rng.Int64N(200)) * eur
		sessions := randomSessions(rng, 12, "+4930123", "+49151", "0151", "030", "+88161")
		want, got := asTrial(t, o, cash, sessions), asEdge(t, o, cash, sessions)
		if want != got {
			t.Fatalf("run %d: the trial says %s, the edge %s\n%+v\n%+v", run, want, got, o.Usage, sessions)
		}
		paid, overrun, minutes = paid+strings.Count(got, "money"), overrun+strings.Count(got, "overrun"), minutes+strings.Count(got, "minutes")
	}
	if paid < 50 || overrun < 10 || minutes < 20 {
		t.Errorf("%d runs paid, %d overran, %d used minutes: too few of a kind", paid, overrun, minutes)
	}
}
