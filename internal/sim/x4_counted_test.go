package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"meridian/central/accounts"
	"meridian/edge/command"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// gigs is a price that falls over the day, at most 3.00 of it, for sessions beside each
// other.
func gigs() tariff.Offering {
	return tariff.Offering{
		ID: "gigs", Name: "Gigs", Currency: "EUR", ValidFrom: epochStart.Unix() - 1, Service: "internet",
		Usage: []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Counted: tariff.ByPeriod, Every: &tariff.Period{Unit: tariff.Day, Count: 1}, Free: tariff.Free{Units: perGB / 2}, MaxPeriod: 9 * money.Micro,
			Rates: []tariff.Rate{{Fee: 10_000, Mode: tariff.Graduated, Tiers: []tariff.Tier{{UpTo: perGB, Price: tariff.Price{Amount: 2_000_003, Per: perGB}}, {Price: tariff.Price{Amount: 1_000_000, Per: perGB}}}}}}, {Name: "sms", Service: "sms", Unit: tariff.Events, Rates: []tariff.Rate{{Fee: 1000, Price: tariff.Price{Amount: 90_000, Per: 1}}}}},
		Services:    []string{"sms"},
		Thresholds:  []tariff.Threshold{{Name: "much", On: "data", Metric: tariff.Used, Value: perGB, Recurring: true}},
		Reservation: tariff.Reservation{Quota: perGB / 10, TTLSeconds: 3600},
		Profile:     tariff.Profile{SessionLimit: 3, InterimSeconds: 600, UpBps: 80_000_000, DownBps: 80_000_000}, Overrun: tariff.Owed,
	}
}

// X4 for what is counted by period: sessions beside each other, over midnights, of a
// region that is cut off meanwhile; the centre rates every record again from its bytes,
// each goes on where the one before it ended, and verify closes.
func TestX4CountedByPeriod(t *testing.T) {
	w := newCalmWorld(t)
	ctx := context.Background()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.office.services.Catalog.Publish(ctx, []tariff.Offering{gigs()}))
	r, rng := w.regions[0], rand.New(rand.NewPCG(4, 6))
	type line struct {
		login, id string
		start     int64
		octets    uint64
	}
	var lines []*line
	for i := range 2 {
		id := fmt.Sprintf("g%d", i)
		must(w.office.services.Accounts.OpenAccount(ctx, accounts.NewAccount{ID: id, Customer: "cust", Currency: "EUR"}))
		must(w.office.services.Accounts.Subscribe(ctx, accounts.NewSubscription{ID: id, Account: id, Home: r.name, Login: id, Password: "a long password", Offering: "gigs"}))
		w.office.deposit(&subscriber{w: w, region: r, account: id, id: id, login: id}, 50*money.Micro)
		lines = append(lines, &line{login: id}, &line{login: id})
	}
	w.runUntil(w.now + 5*time.Second)
	report := func(l *line, status command.Status) {
		t.Helper()
		must(r.do(&command.Accounting{NAS: r.nas, SessionID: l.id, Login: l.login, Status: status, Event: w.unix(), Seconds: w.unix() - l.start, Out: l.octets, Giga: true, Cause: uint32(status) & 1}))
	}
	for n := range 200 {
		if n == 60 {
			r.cutTill, w.calm = w.now+20_000*time.Second, false // the centre cannot be reached
		}
		if n%40 == 30 { // versions in the middle of the count, one of them with a lower maximum
			next := gigs()
			next.ValidFrom, next.Usage[0].MaxPeriod = w.unix()+900, money.Amount(n%7)*money.Micro
			must(w.office.services.Catalog.Publish(ctx, []tariff.Offering{next}))
		}
		if n%5 == 0 { // and messages, each asked for twice
			sale := &command.Event{ID: fmt.Sprintf("sms-%d", n), Subscription: lines[n%4].login, Usage: "sms", Quantity: 1 + rng.Int64N(3), Event: w.unix()}
			must(r.do(sale))
			if res, err := r.do(sale); err != nil || res.Code == command.OK {
				t.Fatalf("sold twice: %+v, %v", res, err)
			}
		}
		w.runUntil(w.now + time.Duration(60+rng.IntN(600))*time.Second)
		switch l := lines[rng.IntN(len(lines))]; {
		case l.id == "":
			*l = line{login: l.login, id: fmt.Sprintf("gig-%d", n), start: w.unix()}
			report(l, command.Start)
		case rng.IntN(6) == 0:
			report(l, command.Stop)
			l.id = ""
		default:
			l.octets += rng.Uint64N(perGB / 5)
			report(l, command.Interim)
		}
	}
	w.calm = true
	for _, l := range lines {
		if l.id != "" {
			report(l, command.Interim) // the sessions live while verify looks
		}
	}
	w.runUntil(w.now + 300*time.Second)
	if s := r.nodes[0].state; s.Backlog() != 0 {
		t.Fatalf("backlog %d", s.Backlog())
	}
	if _, err := w.audit.check(); err != nil {
		t.Error(err)
	}
	if records, pieces := w.rateAgain(t, "gigs"); records < 50 || pieces < records {
		t.Errorf("%d records with %d slices: the run was to have more", records, pieces)
	}
}
