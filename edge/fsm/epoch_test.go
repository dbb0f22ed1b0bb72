package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// reopen fences the region and has it begin epoch 2, with what the centre knows.
func (r *region) reopen(services ...*feed.Service) {
	r.t.Helper()
	r.apply(&command.Fence{Epoch: 1, LastSeq: r.s.Seq})
	r.number, r.entries = 0, nil
	r.ok(&command.OpenEpoch{Epoch: 2, Previous: journal.Hash{9}})
}

// Drill: a fenced region takes a new epoch. It forgets what it was, takes the feed
// from its first row on, serves nobody before it has each subscription's service, and
// then charges what the centre's ledger does not have: no period twice, no usage of a
// session of before, no order of before.
//
//	flat costs 10 each 30 days; the ledger at the centre has it charged up to t0+90 days
//	the region's backup is of t0: it thinks it is paid up to t0+30 days
//	day 75: epoch 2 serves. Due at day 90 and no sooner: 10.00 of the 15.00 granted
func TestNewEpochAfterAFence(t *testing.T) {
	const days = 86400
	r := newRegion(t, 50*eur, flat(), perGigabyte())
	r.ok(&command.Accounting{NAS: "nas", SessionID: "old", Login: "u", Status: command.Start, Event: r.now})
	r.want("paid", r.sum(journal.KindRecurring), 10*eur)
	r.want("a region that is not fenced", r.apply(&command.OpenEpoch{Epoch: 2}).Code, command.OutOfOrder)
	r.tick(75 * days)
	rows := []struct {
		kind feed.Kind
		id   string
		row  any
	}{
		{feed.KindOffering, "flat@1", flat()}, {feed.KindOffering, "volume@1", perGigabyte()},
		{feed.KindNAS, "nas", &feed.NAS{ID: "nas", Address: "127.0.2.1", Vendor: "generic"}},
		{feed.KindSubscription, "sub", &feed.Subscription{ID: "sub", Account: "a", Login: "u", Offering: "volume"}},
		{feed.KindLease, "a/cash", &feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 1, Granted: 50 * eur}},
		{feed.KindOrder, "bar", &feed.Order{ID: "bar", Subscription: "sub", Action: feed.ActionBar}}, // undone since
		{feed.KindLease, "a/cash", &feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 2, Granted: 15 * eur}},
		{feed.KindEpoch, "north", &feed.Epoch{Region: "north", Epoch: 2, Services: 1, At: r.now - 60}},
	}
	was := r.s.Dump()
	frozen := r.s.Freeze()
	r.ok(&command.Fence{Epoch: 1, LastSeq: r.s.Seq})
	r.reopen()
	var dumped []byte
	if err := frozen.Dump(alone{}, func(b []byte) error { dumped = append(dumped, b...); return nil }); err != nil || !bytes.Equal(dumped, was) {
		t.Errorf("a snapshot that was begun before is not of before: %v", err)
	}
	frozen.Thaw()
	r.want("nothing goes on", fmt.Sprint(r.s.buckets.len(), len(r.s.sessions), r.s.subscriptions.len(), r.s.FeedVersion, r.s.Seq, r.s.Acked), "0 0 0 0 1 0")
	r.version = map[string]uint64{}
	for _, row := range rows {
		r.want(string(row.kind), r.feed(row.kind, row.id, row.row).Code, command.OK)
		r.want("login", r.login("s").Code, command.NotConfigured)
		r.want("the replica's answer", r.s.FindLogin("u").Reason, command.ReasonFenced)
		r.tick(1)
	}
	r.want("report", r.acct(command.Interim, "old", r.now-100, 100, 9).Code, command.NotConfigured)
	half, err := Load(r.s.Dump())
	if err != nil || half.Hash() != r.s.Hash() || !half.Gathering {
		t.Fatalf("a replica restored meanwhile: %v", err)
	}
	service := func(epoch uint64) *feed.Service {
		return &feed.Service{Subscription: feed.Subscription{ID: "sub", Account: "a", Login: "u", Offering: "volume"}, Version: 1, Epoch: epoch, At: r.now,
			Offering: "flat", Charged: []feed.Charged{{Component: flat().Recurring[0].Name, First: t0, Last: t0 + 60*days, Paid: 10 * eur}}}
	}
	r.feed(feed.KindService, "sub", service(1))
	r.want("another epoch's row is not counted", r.s.Gathering, true)
	r.feed(feed.KindService, "sub", service(2))
	r.want("it serves", r.s.Gathering, false)
	since := r.now
	r.tick(1)
	r.want("granted in this epoch", r.available(), 15*eur)
	r.want("not charged again", r.sum(journal.KindRecurring), 0)
	r.want("not barred by an order of before", r.login("s").Code, command.OK)
	r.want("a session of before", r.acct(command.Interim, "old", t0, r.now-t0, 5_000).Code, command.Quarantined)
	r.want("is ended", r.s.Effects(9)[0].Session, journal.SessionKey{NAS: "nas", ID: "old", Start: t0})
	r.want("one that does not say when it began", r.apply(&command.Accounting{NAS: "nas", SessionID: "older", Login: "u", Status: command.Interim,
		Event: r.now, Seconds: -1, Out: 7}).Code, command.Quarantined)
	r.want("a new session", r.acct(command.Start, "new", r.now, 0, 0).Code, command.OK)
	r.tick(t0 + 90*days - 1 - r.now)
	r.want("a second before it is due", r.sum(journal.KindRecurring), 0)
	r.tick(1)
	r.want("due", r.sum(journal.KindRecurring), 10*eur)
	r.want("left", r.available(), 5*eur)
	r.want("an order of this epoch", r.feed(feed.KindOrder, "o2", &feed.Order{ID: "o2", Subscription: "sub", Action: feed.ActionDebit, Bucket: "a/cash", Amount: 5, Epoch: 2}).Code, command.OK)
	r.want("is carried out", r.sum(journal.KindOrderDebit), 5)
	if r.entries[0].Kind != journal.KindEpoch || r.entries[0].Epoch != 2 || r.entries[0].Seq != 1 || r.entries[0].Ref != fmt.Sprintf("%x", journal.Hash{9}) {
		t.Errorf("the epoch begins with %+v", r.entries[0])
	}
	r.want("since", r.s.Since, since)
}

// What was charged is not charged again, what was not is: hand-worked, day by day.
func TestServiceGoesOnAfterWhatWasCharged(t *testing.T) {
	const days = 86400
	fee := flat().Recurring[0].Name
	for _, c := range []struct {
		name    string
		charged []feed.Charged
		granted int64
		barred  bool
		want    string // days after the epoch served at which 10.00 were charged
	}{
		{"in the middle of a paid period", []feed.Charged{{Component: fee, First: t0 - 40*days, Last: t0 - 10*days, Paid: 10 * eur}}, 25 * eur, false, "20 50 "},
		{"its period ended meanwhile: paid from now", []feed.Charged{{Component: fee, First: t0 - 35*days, Last: t0 - 35*days, Paid: 10 * eur}}, 25 * eur, false, "0 30 "},
		{"two periods ended meanwhile: they are not owed", []feed.Charged{{Component: fee, First: t0 - 95*days, Last: t0 - 95*days, Paid: 10 * eur}}, 25 * eur, false, "0 30 "},
		{"it was paused: counted from where it went on", []feed.Charged{{Component: fee, First: t0 - 77*days, Last: t0 - 10*days, Paid: 10 * eur}}, 25 * eur, false, "20 50 "},
		{"nothing was ever charged", nil, 25 * eur, false, "0 30 "},
		{"no money", []feed.Charged{{Component: fee, First: t0 - 35*days, Last: t0 - 35*days, Paid: 10 * eur}}, 9 * eur, false, ""},
		{"barred", []feed.Charged{{Component: fee, First: t0 - 35*days, Last: t0 - 35*days, Paid: 10 * eur}}, 25 * eur, true, ""},
		{"another offering's component, not known here", []feed.Charged{{Component: "line", First: t0 - 10*days, Last: t0 - 10*days, Paid: 3}}, 25 * eur, false, "0 30 "},
		{"the offering before is paid for 12 days more", []feed.Charged{{Component: "rent", First: t0 - 28*days, Last: t0 - 8*days, Paid: 3}}, 25 * eur, false, "12 42 "},
		{"the offering before was paid for until 3 days ago", []feed.Charged{{Component: "rent", First: t0 - 23*days, Last: t0 - 23*days, Paid: 3}}, 25 * eur, false, "0 30 "},
	} {
		r := newRegion(t, 0, flat())
		r.reopen()
		r.version = map[string]uint64{}
		r.feed(feed.KindOffering, "flat@1", flat())
		before := flat()
		before.ID, before.Recurring = "before", tariff.EachDays(3*eur, 20)
		before.Recurring[0].Name = "rent"
		r.feed(feed.KindOffering, "before@1", before)
		r.feed(feed.KindEpoch, "north", &feed.Epoch{Region: "north", Epoch: 2, Services: 1, At: r.now})
		r.feed(feed.KindLease, "a/cash", &feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 2, Granted: c.granted})
		r.feed(feed.KindService, "sub", &feed.Service{Subscription: feed.Subscription{ID: "sub", Account: "a", Login: "u", Offering: "flat"}, Version: 3, Epoch: 2, At: r.now,
			Offering: "flat", Barred: c.barred, Charged: c.charged})
		begin, got, sum := r.now, "", r.sum(journal.KindRecurring)
		for range 70 {
			r.tick(1)
			if now := r.sum(journal.KindRecurring); now != sum {
				got, sum = got+fmt.Sprintf("%d ", (r.now-begin)/days), now
			}
			r.tick(days - 1)
		}
		if got != c.want {
			t.Errorf("%s: charged on day %q, want %q", c.name, got, c.want)
		}
	}
}
