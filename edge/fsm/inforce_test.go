package fsm

import (
	"fmt"
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// versions makes versions of one offering at 1.00, 2.00, 3.00 for a GB and for a fee
// of 30 days: the first valid at once, the next from days later on. Of those named by
// kept, subscribers keep what they have.
func versions(kept ...uint32) []*tariff.Offering {
	var out []*tariff.Offering
	for n := uint32(1); n <= 3; n++ {
		o := perGigabyte()
		o.Version, o.Profile.SessionLimit = n, 9
		o.Usage = tariff.PerUnit(tariff.Bytes, money.Amount(n)*eur, 1_000_000_000)
		o.Recurring = tariff.EachDays(money.Amount(n)*eur, 30)
		if n > 1 {
			o.ValidFrom = t0 + int64(n-1)*10*86400
		}
		for _, k := range kept {
			o.Grandfathered = o.Grandfathered || k == n
		}
		out = append(out, o)
	}
	return out
}

// A GB of a new session costs what the version in force says; so do fees.
func TestGrandfatheredVersionsGoOn(t *testing.T) {
	for _, c := range []struct {
		name string
		kept []uint32
		want string // price of a GB at days 1, 11, 21, and the fee at day 31
		late string // price of a GB at day 21 for who came at day 11
	}{
		{"nobody keeps anything", nil, "1 2 3 3", "3"},
		{"who has the first keeps it", []uint32{1}, "1 1 1 1", "3"},
		{"who came to the second keeps that", []uint32{2}, "1 2 2 2", "2"},
		{"each keeps his own", []uint32{1, 2}, "1 1 1 1", "2"},
	} {
		list := versions(c.kept...)
		r := newRegion(t, 100*eur, list...)
		r.feed(feed.KindLease, "b/cash", &feed.Lease{Bucket: "b/cash", Account: "b", Unit: "EUR", Epoch: 1, Granted: int64(100 * eur)})
		gigabyte := func(login, id string) money.Amount {
			r.reloaded()
			before := r.sum(journal.KindCharge)
			r.apply(&command.Accounting{NAS: "nas", SessionID: id, Login: login, Status: command.Stop, Event: r.now, Seconds: 0, Out: 1_000_000_000, Giga: true})
			return (r.sum(journal.KindCharge) - before) / eur
		}
		var got [3]money.Amount
		var late money.Amount
		for i := range got {
			r.days(1)
			got[i] = gigabyte("u", fmt.Sprint("s", i))
			if i == 1 {
				r.feed(feed.KindSubscription, "sub2", &feed.Subscription{ID: "sub2", Account: "b", Login: "v", Offering: list[0].ID})
			}
			if i == 2 {
				late = gigabyte("v", "late")
			}
			r.days(9)
		}
		r.days(1)
		fee := money.Amount(0)
		for _, e := range r.entries {
			if e.Kind == journal.KindRecurring && e.Subscription == "sub" {
				fee = money.Amount(e.Amount) / eur
			}
		}
		r.want(c.name, fmt.Sprintf("%d %d %d %d, %d", got[0], got[1], got[2], fee, late), c.want+", "+c.late)
		if len(c.kept) == 0 {
			continue
		}
		r.feed(feed.KindOrder, "o1", &feed.Order{ID: "o1", Subscription: "sub", Action: feed.ActionChange, Offering: list[0].ID})
		r.tick(1)
		r.want(c.name+": an order to the same offering takes the newest", gigabyte("u", "after"), 3)
	}
}

// A session that runs when a newer version comes goes on by its own.
func TestARunningSessionKeepsItsVersion(t *testing.T) {
	r := newRegion(t, 100*eur, versions(1)...)
	r.days(9)
	start := r.now
	r.acct(command.Start, "s", start, 0, 0)
	r.days(2)
	r.acct(command.Interim, "s", start, r.now-start, 1_000_000_000)
	r.tick(60)
	r.acct(command.Stop, "s", start, r.now-start, 2_000_000_000)
	r.want("two GB", r.sum(journal.KindCharge), 2*eur)
}
