package sim

import (
	"context"
	"testing"
	"time"

	"meridian/central/accounts"
	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// X1: 59 minutes of balance, 5 used; the region is cut off, 5 more; the link
// returns, 5 more: every view says 44 before the session ends. (The peer's own
// test of two sites shows 49.)
func TestX1CutOffAndBackEveryViewSays44(t *testing.T) {
	w := newCalmWorld(t)
	ctx := context.Background()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	minutes := tariff.Offering{
		ID: "minutes", Name: "Minutes", Currency: "EUR", ValidFrom: epochStart.Unix() - 1, Service: "internet",
		Usage:       tariff.PerUnit(tariff.Seconds, money.Micro, 60),
		Reservation: tariff.Reservation{Quota: 1800, TTLSeconds: 3600},
		Profile:     tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Overrun: tariff.Owed,
	}
	must(w.office.services.Catalog.Publish(ctx, []tariff.Offering{minutes}))
	must(w.office.services.Accounts.OpenAccount(ctx, accounts.NewAccount{ID: "x1", Customer: "cust", Currency: "EUR"}))
	must(w.office.services.Accounts.Subscribe(ctx, accounts.NewSubscription{ID: "x1", Account: "x1", Home: "north", Login: "x1", Password: "a long password", Offering: "minutes"}))
	p := &subscriber{w: w, region: w.regions[0], account: "x1", id: "x1", login: "x1"}
	w.office.deposit(p, 59*money.Micro)
	w.runUntil(w.now + 5*time.Second)

	key := fsm.ReserveKey("nas-north", "x1-1", "", "", "x1")
	if res, err := w.regions[0].do(&command.Reserve{NAS: "nas-north", Key: key, SessionID: "x1-1", Login: "x1"}); err != nil || res.Code != command.OK {
		t.Fatalf("login: %+v %v", res, err)
	}
	start := w.unix()
	report := func(status command.Status, minutes int64) {
		t.Helper()
		w.runUntil(epochStartPlus(start, minutes))
		c := &command.Accounting{NAS: "nas-north", SessionID: "x1-1", Login: "x1", Status: status, Event: start + 60*minutes, Seconds: 60 * minutes, Giga: true}
		if res, err := w.regions[0].do(c); err != nil || res.Code != command.OK {
			t.Fatalf("%d minutes: %+v %v", minutes, res, err)
		}
	}
	report(command.Start, 0)
	report(command.Interim, 5)
	w.regions[0].cutTill, w.calm = w.now+280*time.Second, false // the centre cannot be reached
	report(command.Interim, 10)
	if mode := w.regions[0].nodes[0].state.Mode; mode != command.Isolated {
		t.Fatalf("the region is %s", mode)
	}
	w.calm = true
	report(command.Interim, 15)
	must(w.regions[0].do(&command.CutAll{Limit: 10}))
	w.runUntil(w.now + 10*time.Second)

	for _, n := range w.regions[0].nodes {
		n.catchUp()
		v := n.state.Account("x1")[0]
		if left := money.Amount(v.Available + v.Held); left != 44*money.Micro {
			t.Errorf("node %s: %s minutes are left, want 44", n.id, left)
		}
	}
	st, err := w.office.services.Statement.Of(ctx, "x1", 0, w.clock().UnixMicro()+1)
	if err != nil {
		t.Fatal(err)
	}
	if st.Closing != 44*money.Micro {
		t.Errorf("the centre's statement closes with %s, want 44", st.Closing)
	}
	if s := w.regions[0].nodes[0].state; s.Backlog() != 0 || s.Count().Open != 1 {
		t.Errorf("backlog %d, open %d: the views were to agree while the session lives", s.Backlog(), s.Count().Open)
	}
	if _, err := w.audit.check(); err != nil {
		t.Error(err)
	}
}

// newCalmWorld is a region of three nodes and a centre without misfortune and
// without people of their own will.
func newCalmWorld(t *testing.T) *World {
	t.Helper()
	w := newWorld(Config{Seed: 1, Regions: 1, Nodes: 3})
	w.calm = true
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	w.runUntil(5 * time.Second)
	return w
}

func epochStartPlus(start, minutes int64) time.Duration {
	return time.Duration(start+60*minutes-epochStart.Unix()) * time.Second
}
