package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
)

// many founds a region with n subscribers of a flat rate that renews each 30 days,
// all activated at one instant, each with money for three.
func many(t *testing.T, n int, policy func(*command.Policy)) *region {
	r := newRegion(t, 100*eur, flat())
	p := r.s.Policy
	policy(&p)
	r.ok(&command.SetPolicy{Policy: p})
	for i := range n {
		id := fmt.Sprintf("s%02d", i)
		r.feed(feed.KindLease, id+"/cash", &feed.Lease{Bucket: id + "/cash", Account: id, Unit: "EUR", Epoch: 1, Granted: int64(30 * eur)})
		r.feed(feed.KindSubscription, id, &feed.Subscription{ID: id, Account: id, Login: id, Offering: "flat"})
	}
	return r
}

func TestRenewalsAreSpread(t *testing.T) {
	r := many(t, 40, func(p *command.Policy) { p.RenewalSpread = 1000 })
	r.want("activations are not", r.count(journal.KindRecurring), 41)
	r.entries = nil
	r.tick(30*86400 - 1)
	r.want("nothing before", r.count(journal.KindRecurring), 0)
	for range 10 {
		r.tick(100)
		r.tick(1)
	}
	r.want("all within the window", r.count(journal.KindRecurring), 41)
	at, most := map[int64]int{}, 0
	for _, e := range r.entries {
		at[e.At]++
		most = max(most, at[e.At])
	}
	if len(at) < 8 || most > 20 {
		t.Errorf("41 renewals at %d instants, %d at one: they are not spread", len(at), most)
	}
}

func TestTooManyRenewalsAskAPerson(t *testing.T) {
	r := many(t, 20, func(p *command.Policy) { p.RenewalsPerHour = 8 })
	r.want("activations are not counted", r.count(journal.KindRecurring), 21)
	r.entries = nil
	for range 3 * 24 {
		r.tick(3600)
		r.tick(1)
	}
	r.tick(27 * 86400)
	for range 5 {
		r.tick(3600)
	}
	r.want("an hour's worth, and no more in later hours", r.count(journal.KindRecurring), 8)
	if !r.s.RenewalsHeld {
		t.Fatal("nobody is asked")
	}
	for i := range 20 {
		if sub := r.s.subscriptions.get(fmt.Sprintf("s%02d", i)); sub.Lapsed {
			t.Fatalf("%s is not served", sub.ID)
		}
	}
	dump := r.s.Dump()
	if again, err := Load(dump); err != nil || !bytes.Equal(again.Dump(), dump) || !again.RenewalsHeld {
		t.Fatal("a restart forgets it", err)
	}
	p := r.s.Policy
	p.RenewalsPerHour = 1000
	r.ok(&command.SetPolicy{Policy: p})
	for range 3600/100 + 2 {
		r.tick(100)
	}
	r.want("confirmed", r.count(journal.KindRecurring), 21)
	seen := map[string]bool{}
	for _, e := range r.entries {
		if e.Kind == journal.KindRecurring && seen[e.Ref] {
			t.Errorf("%s twice", e.Ref)
		}
		seen[e.Ref] = true
	}
}
