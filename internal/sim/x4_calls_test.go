package sim

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"meridian/central/accounts"
	"meridian/central/catalog"
	"meridian/central/store"
	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// roaming is voice by a shared table and prefixes of its own, with an evening rate.
func roaming() tariff.Offering {
	per := func(micro money.Amount) tariff.Price { return tariff.Price{Amount: micro, Per: 60} }
	return tariff.Offering{
		ID: "calls", Name: "Calls", Currency: "EUR", ValidFrom: epochStart.Unix() - 1, Service: "voice",
		Windows: []tariff.Window{{Name: "evening", From: 18 * 3600, To: 8 * 3600}},
		Usage: []tariff.Usage{{Name: "calls", Unit: tariff.Seconds, Table: "world",
			Destinations: []tariff.Destination{{Zone: "own", Prefixes: []string{"+4900"}}},
			Rates: []tariff.Rate{
				{Zone: "own", Price: per(0)},
				{Zone: "home", Price: per(60_000), First: 60, Next: 1, Fee: 10_000},
				{Zone: "home", Window: "evening", Price: per(31_000), First: 60, Next: 1},
				{Zone: "mobile", Price: per(127_001), Next: 7},
				{Price: per(1_990_000), Next: 60}}}},
		Reservation: tariff.Reservation{Quota: 600, TTLSeconds: 3600},
		Profile:     tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Overrun: tariff.Owed,
	}
}

// X4 for calls: random calls of a region that is cut off meanwhile; the centre rates
// every record again by the catalog's text and table and comes to the same bytes, and
// verify closes.
func TestX4CallsByASharedTable(t *testing.T) {
	w := newCalmWorld(t)
	ctx := context.Background()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(store.Run(ctx, w.office.store, "test", func(ctx context.Context, tx store.Tx) (catalog.Table, error) {
		return w.office.services.Catalog.PublishTableTx(ctx, tx, "world", []tariff.Destination{{Zone: "home", Prefixes: []string{"+49", "0"}}, {Zone: "mobile", Prefixes: []string{"+4915", "+4917"}}})
	}))
	must(w.office.services.Catalog.Publish(ctx, []tariff.Offering{roaming()}))
	r, rng := w.regions[0], rand.New(rand.NewPCG(4, 5))
	for i := range 6 {
		id := fmt.Sprintf("c%d", i)
		must(w.office.services.Accounts.OpenAccount(ctx, accounts.NewAccount{ID: id, Customer: "cust", Currency: "EUR"}))
		must(w.office.services.Accounts.Subscribe(ctx, accounts.NewSubscription{ID: id, Account: id, Home: r.name, Login: id, Password: "a long password", Offering: "calls"}))
		w.office.deposit(&subscriber{w: w, region: r, account: id, id: id, login: id}, money.Amount(1+i)*3*money.Micro)
	}
	w.runUntil(w.now + 5*time.Second)
	refused := 0
	for n := range 160 {
		if n == 40 {
			r.cutTill, w.calm = w.now+3000*time.Second, false // the centre cannot be reached
		}
		login, called, id := fmt.Sprintf("c%d", rng.IntN(6)), []string{"+49301", "030", "+49151", "+4917", "+490077", "+1555"}[rng.IntN(6)], fmt.Sprintf("call-%d", n)
		res, err := r.do(&command.Reserve{NAS: r.nas, Key: fsm.ReserveKey(r.nas, id, "", "", login), SessionID: id, Login: login, Called: called})
		must(nil, err)
		if res.Code != command.OK {
			refused++
			continue
		}
		start, seconds := w.unix(), int64(0)
		for report := range 1 + rng.IntN(7) {
			c := &command.Accounting{NAS: r.nas, SessionID: id, Login: login, Status: command.Interim, Event: start + seconds, Seconds: seconds, Giga: true, Called: called}
			if report == 0 {
				c.Status = command.Start
			}
			must(r.do(c))
			if slices.ContainsFunc(r.lead().state.Effects(1000), func(e fsm.Effect) bool { return e.Kind == fsm.EffectDisconnect && e.Session.ID == id }) {
				break
			}
			seconds += 1 + rng.Int64N(60)
			w.runUntil(w.now + time.Duration(seconds+start-w.unix())*time.Second)
		}
		must(r.do(&command.Accounting{NAS: r.nas, SessionID: id, Login: login, Status: command.Stop, Event: start + seconds, Seconds: seconds, Giga: true, Called: called, Cause: 1}))
	}
	w.calm = true
	w.runUntil(w.now + 3600*time.Second)
	if s := r.nodes[0].state; s.Backlog() != 0 {
		t.Fatalf("backlog %d", s.Backlog())
	}
	if _, err := w.audit.check(); err != nil {
		t.Error(err)
	}
	records, pieces := w.rateAgain(t, "calls")
	if records < 100 || pieces < records || refused == 0 || refused > 80 {
		t.Errorf("%d records with %d slices, %d calls refused: the run was to have enough of each", records, pieces, refused)
	}
}

// rateAgain makes each record of an offering anew from its reports, by the plan of what
// the catalog says.
func (w *World) rateAgain(t *testing.T, offering string) (records, pieces int) {
	t.Helper()
	ctx := context.Background()
	tables, err := w.office.services.Catalog.Tables(ctx, "", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	env := rating.Env{Tables: map[string]*rating.Prefixes{}}
	for i := range tables {
		x := &tables[i].Table
		if env.Tables[tariff.TableKey(x.ID, x.Version)], err = rating.NewTable(x); err != nil {
			t.Fatal(err)
		}
	}
	offerings, err := w.audit.offerings()
	if err != nil {
		t.Fatal(err)
	}
	plans := map[string]*rating.Plan{}
	for _, o := range offerings {
		if plans[feed.OfferingKey(o.ID, o.Version)], err = rating.Compile(o, env); err != nil {
			t.Fatal(err)
		}
	}
	err = w.eachEntry(func(e *journal.Entry, raw []byte) {
		if e.Kind != journal.KindUsage || e.Usage.Offering != offering {
			return
		}
		u := *e.Usage
		plan := plans[feed.OfferingKey(u.Offering, u.OfferingVersion)]
		u.TariffHash = plan.Hash
		u.Parts = append([]journal.UsagePart(nil), u.Parts...)
		for i := range u.Parts {
			p := &u.Parts[i]
			c := plan.Component(p.Component)
			zone, ok := plan.Zone(c, u.CalledStation)
			if !ok {
				t.Fatalf("%s cannot be called", u.CalledStation)
			}
			p.Zone, p.Slices = plan.ZoneName(c, zone), nil
			tally := p.Before
			for _, use := range p.Uses {
				var priced []rating.Priced
				if priced, tally, err = plan.Rate(nil, rating.Context{Component: c, Zone: zone, Start: p.Start}, tally, use); err != nil {
					t.Fatal(err)
				}
				for _, x := range priced {
					p.Slices = append(p.Slices, journal.PaidSlice{Rule: x.Rule, Kind: x.Kind, Quantity: x.Quantity, Charged: x.Charged, Amount: x.Amount})
				}
			}
			p.Slices = merged(p.Slices)
			pieces += len(p.Slices)
		}
		again := *e
		again.Usage = &u
		if mine := again.Encode(); !bytes.Equal(mine, raw) {
			t.Fatalf("record %d of %s:\nedge   %+v\ncentre %+v", u.Number, e.Session, *e.Usage, u)
		}
		records++
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, pieces
}

// merged makes equal neighbours one, as a record has them.
func merged(list []journal.PaidSlice) (out []journal.PaidSlice) {
	for _, x := range list {
		if n := len(out); n > 0 && out[n-1].Rule == x.Rule && out[n-1].Kind == x.Kind && x.Kind != rating.KindFee {
			out[n-1].Quantity, out[n-1].Charged, out[n-1].Amount = out[n-1].Quantity+x.Quantity, out[n-1].Charged+x.Charged, out[n-1].Amount+x.Amount
			continue
		}
		out = append(out, x)
	}
	return out
}

// eachEntry walks what the centre has of all regions.
func (w *World) eachEntry(fn func(e *journal.Entry, raw []byte)) error {
	for _, r := range w.regions {
		err := w.office.store.Reader().Entries(context.Background(), r.name, func(_, _ uint64, raw []byte, _ journal.Hash) error {
			e, err := journal.DecodeEntry(raw)
			if err == nil {
				fn(&e, raw)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
