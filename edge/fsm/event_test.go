package fsm

import (
	"fmt"
	"math/rand/v2"
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

// messages is a flat line whose package has messages, 0.09 each and 0.29 abroad, the
// first ten of the allowance, and tickets of 12.50 with a fee of 0.50.
func messages() *tariff.Offering {
	o := flat()
	o.ID, o.Recurring = "messages", tariff.EachDays(eur, 30)
	o.Services = []string{"sms", "cinema"}
	o.Usage = []tariff.Usage{
		{Name: "sms", Service: "sms", Unit: tariff.Events, Destinations: []tariff.Destination{{Zone: "home", Prefixes: []string{"+49"}}, {Zone: "abroad", Prefixes: []string{"+43", "+41"}}},
			Rates: []tariff.Rate{{Zone: "home", Price: tariff.Price{Amount: 90_000, Per: 1}}, {Zone: "abroad", Price: tariff.Price{Amount: 290_000, Per: 1}}}},
		{Name: "tickets", Service: "cinema", Unit: tariff.Events, Rates: []tariff.Rate{{Fee: 500_000, Price: tariff.Price{Amount: 12_500_000, Per: 1}}}},
	}
	o.Allowances = []tariff.Allowance{{Name: "texts", Unit: tariff.Events, Amount: 10, Filter: tariff.Filter{Usage: []string{"sms"}, Zones: []string{"home"}}}}
	return o
}

func (r *region) sell(id, usage string, n int64, to string) command.Result {
	return r.apply(&command.Event{ID: id, Subscription: "sub", Usage: usage, Quantity: n, Event: r.now, Destination: to})
}

// Worked by hand: 8 of 10 texts are in the package; of 4 more two are, and two cost 0.18;
// 3 abroad cost 0.87; two tickets 25.00 and the fee once.
func TestEventsAreSoldOnce(t *testing.T) {
	if err := messages().Publishable(); err != nil {
		t.Fatal(err)
	}
	r := newRegion(t, 31*eur, messages())
	r.entries = nil
	for _, c := range []struct {
		id, usage string
		n         int64
		to        string
		want      command.Result
		charged   money.Amount // in all, of money
	}{
		{"e1", "sms", 8, "+4915", command.Result{}, 0},
		{"e1", "sms", 8, "+4915", command.Result{Code: command.Repeated}, 0},
		{"e2", "sms", 4, "+4915", command.Result{}, 180_000},
		{"e3", "sms", 3, "+43", command.Result{}, 1_050_000},
		{"e4", "tickets", 2, "", command.Result{}, 26_550_000},
		{"e5", "tickets", 1, "", command.Result{Code: command.Refused, Reason: command.ReasonNoBalance}, 26_550_000},
		{"e5", "sms", 1, "+49", command.Result{}, 26_640_000}, // what was refused was not sold
		{"e6", "sms", 1, "+1", command.Result{Code: command.Refused, Reason: command.ReasonDestination}, 26_640_000},
		{"e7", "faxes", 1, "", command.Result{Code: command.Refused, Reason: command.ReasonNoOffering}, 26_640_000},
		{"e8", "sms", 0, "+49", command.Result{Code: command.Refused, Reason: command.ReasonNoOffering}, 26_640_000},
		{"e4", "tickets", 2, "", command.Result{Code: command.Repeated}, 26_640_000},
		{"e4", "tickets", 1, "", command.Result{Code: command.OutOfOrder}, 26_640_000}, // it was another sale
		{"e4", "sms", 2, "", command.Result{Code: command.OutOfOrder}, 26_640_000},
		{"e3", "sms", 3, "+41", command.Result{Code: command.OutOfOrder}, 26_640_000},
		{"e3", "sms", 3, "+43", command.Result{Code: command.Repeated}, 26_640_000},
	} {
		r.want(c.id+" "+c.usage, r.sell(c.id, c.usage, c.n, c.to), c.want)
		r.reloaded()
		var charged money.Amount
		for _, e := range r.entries {
			if e.Kind == journal.KindCharge && e.Unit == "EUR" {
				charged += money.Amount(e.Amount)
			}
		}
		r.want("charged after "+c.id, charged, c.charged)
	}
	r.want("paid", r.paid(), "texts:8=0<north/1/3, charge 8, texts:2=0<north/1/3, home:2=180000, charge 2, charge 180000, abroad:3=870000, charge 870000, "+
		"fee:0=500000, tickets:2=25000000, charge 25500000, home:1=90000, charge 90000")
	for _, e := range r.entries {
		if e.Kind == journal.KindUsage && e.Usage.Parts[0].Component == "tickets" {
			r.want("the record", fmt.Sprint(e.Usage.Service, " ", e.Quantity, " ", e.Usage.Seconds), "cinema 2 0")
		}
	}
}

// An id is remembered as long as an event may be old; another subscription cannot use it;
// who is barred buys nothing.
func TestWhoMayBuyAndWhen(t *testing.T) {
	r := newRegion(t, 5*eur, messages())
	r.sell("e", "sms", 1, "+43")
	r.want("another's", r.apply(&command.Event{ID: "e", Subscription: "other", Usage: "sms", Quantity: 1, Event: r.now}).Code, command.OutOfOrder)
	r.want("unknown", r.apply(&command.Event{ID: "f", Subscription: "other", Usage: "sms", Quantity: 1, Event: r.now}).Reason, command.ReasonUnknown)
	for age, want := range map[int64]command.Reason{3600: command.ReasonEventTime, 3599: command.ReasonNone, -301: command.ReasonEventTime, -299: command.ReasonNone} {
		res := r.apply(&command.Event{ID: fmt.Sprint("a", age), Subscription: "sub", Usage: "sms", Quantity: 1, Event: r.now - age, Destination: "+49"})
		r.want(fmt.Sprint("age ", age), res.Reason, want)
	}
	r.days(6)
	r.want("six days later", r.sell("e", "sms", 1, "+43").Code, command.Repeated)
	sub := r.s.subscriptions.get("sub")
	sub.Barred = true
	r.want("barred", r.sell("g", "sms", 1, "+43").Reason, command.ReasonBarred)
}

// A new epoch does not know what was sold before it: no event that may have been is
// sold again.
func TestNewEpochSellsNothingTwice(t *testing.T) {
	r := newRegion(t, 5*eur, messages())
	r.s.Since = r.now - 301
	for at, want := range map[int64]command.Reason{-302: command.ReasonEventTime, -1: command.ReasonEventTime, 0: command.ReasonNone, 1: command.ReasonNone} {
		res := r.apply(&command.Event{ID: fmt.Sprint("e", at), Subscription: "sub", Usage: "sms", Quantity: 1, Event: r.now + at, Destination: "+49"})
		r.want(fmt.Sprint("at ", at), res.Reason, want)
	}
}

// Sales leave a quarter of what is remembered to sessions, and a line without a package
// buys too; what its profile bars is not sold.
func TestSalesAreBounded(t *testing.T) {
	o := messages()
	o.Allowances, o.Profile.BarZones = nil, []string{"abroad"}
	r := newRegion(t, 5*eur, o)
	r.want("barred", r.sell("b", "sms", 1, "+43").Reason, command.ReasonBarredZone)
	r.s.Policy.MaxTombstones = 4
	for i, want := range []command.Reason{0, 0, 0, command.ReasonEventsFull} {
		r.want(fmt.Sprint("sale ", i), r.sell(fmt.Sprint("e", i), "sms", 1, "+49").Reason, want)
		r.reloaded()
	}
	r.want("a session finds room", r.s.full(0), "")
	r.want("paid", r.paid(), "home:1=90000, charge 90000, home:1=90000, charge 90000, home:1=90000, charge 90000")
}

// Random events come to the same by `meridian rate`.
func TestEventsCostTheSameInATrial(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for run := range 60 {
		o := messages()
		o.Usage[0].Rates[1].Next, o.Usage[1].MaxEvent = 1+rng.Int64N(3), 30*eur
		o.Usage[0].Free.Units, o.Usage[0].MinEvent = rng.Int64N(2), money.Amount(rng.Int64N(2)*400_000)
		r := newRegion(t, 1000*eur, o)
		r.entries = nil
		tr, err := trial.New([]tariff.Offering{*o}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var events []trial.Event
		for i := range 12 {
			n := 1 + rng.Int64N(5)
			usage, to := "sms", []string{"+4915", "+43", "+41"}[rng.IntN(3)]
			if rng.IntN(4) == 0 {
				usage, to = "tickets", ""
			}
			r.want("sold", r.sell(fmt.Sprint("e", i), usage, n, to).Code, command.OK)
			events = append(events, trial.Event{Subscription: "sub", Usage: usage, Destination: to, Quantity: fmt.Sprint(n), Start: time.Unix(r.now, 0).UTC().Format(time.RFC3339)})
			r.tick(rng.Int64N(3600))
		}
		rows, err := tr.Rate("usage", events, why.Language(""))
		if err != nil {
			t.Fatal(err)
		}
		want, got := map[string]int64{}, map[string]int64{}
		for _, row := range rows {
			for _, p := range row.Payments {
				n, err := sheet.ParseQuantity(p.Amount, p.Unit)
				if err != nil {
					t.Fatal(err)
				}
				want[p.Balance] += n
			}
		}
		for _, e := range r.entries {
			if e.Kind == journal.KindCharge {
				got[map[bool]string{true: "money", false: "texts"}[e.Unit == "EUR"]] += e.Amount
			}
		}
		if told(want) != told(got) {
			t.Fatalf("run %d: the trial says %s, the edge %s\n%+v", run, told(want), told(got), events)
		}
	}
}
