package fsm

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"meridian/edge/command"
	"meridian/internal/contract"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
)

const eur = money.Micro

func TestMinutesAreChargedOnceHoweverReported(t *testing.T) {
	r := newRegion(t, 59*eur, perMinute())
	r.want("login", r.login("s1").Code, command.OK)
	r.want("start", r.acct(command.Start, "s1", t0, 0, 0).Code, command.OK)
	r.acct(command.Interim, "s1", t0, 300, 0)
	r.want("repeated interim", r.acct(command.Interim, "s1", t0, 300, 0).Code, command.Repeated)
	r.ok(&command.SetMode{Mode: command.Isolated})
	r.acct(command.Interim, "s1", t0, 600, 0)
	r.want("late interim", r.acct(command.Interim, "s1", t0, 300, 0).Code, command.Repeated)
	r.ok(&command.SetMode{Mode: command.Connected})
	r.acct(command.Interim, "s1", t0, 900, 0)
	b := r.s.buckets.get("a/cash")
	r.want("left before the end", money.Amount(b.Available()+b.H), 44*eur)
	r.acct(command.Stop, "s1", t0, 900, 0)
	r.want("left", r.available(), 44*eur)
	r.want("charged", r.sum(journal.KindCharge), 15*eur)
}

func TestReserveAnswersTheSameAndStartAdopts(t *testing.T) {
	r := newRegion(t, 1*eur, perGigabyte())
	first := r.login("s1")
	r.want("limit is the quota", first.LimitUnits, 100_000_000)
	r.want("asked again", r.login("s1"), first)
	r.want("held once", r.s.buckets.get("a/cash").H, 500_000)
	r.want("another session", r.login("s2").Reason, command.ReasonSessionLimit)
	r.acct(command.Start, "s1", t0, 0, 0)
	r.want("asked after the Start", r.login("s1"), first)
	r.want("adopted", len(r.s.reservations), 0)
	r.tick(121)
	r.want("an adopted hold lives on", r.s.buckets.get("a/cash").H, 500_000)
	r.acct(command.Stop, "s1", t0, 10, 0)
	r.want("released at the Stop", r.available(), 1*eur)
	r.login("s3")
	r.tick(121)
	r.want("unadopted, it ends after 120 s", r.available(), 1*eur)
}

func TestSpendingEndsExactlyAtTheLimit(t *testing.T) {
	r := newRegion(t, 1*eur, perGigabyte())
	limit := uint64(r.login("s1").LimitUnits)
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 80_000_000)
	effects := r.s.Effects(10)
	r.want("a new limit is told", len(effects), 1)
	r.want("kind", effects[0].Kind, EffectLimit)
	if effects[0].Limit <= int64(limit) {
		t.Fatalf("limit fell from %d to %d", limit, effects[0].Limit)
	}
	r.want("all of it is held in the end", r.available()+money.Amount(r.s.buckets.get("a/cash").H), 600_000)
	r.acct(command.Interim, "s1", t0, 120, 160_000_000)
	r.acct(command.Interim, "s1", t0, 180, 200_000_199)
	r.want("nothing is left", r.available()+money.Amount(r.s.buckets.get("a/cash").H), 0)
	last := r.s.Effects(10)
	r.want("disconnect", last[len(last)-1].Kind, EffectDisconnect)
	r.acct(command.Stop, "s1", t0, 181, 200_000_199)
	r.want("spent", r.sum(journal.KindCharge), 1*eur)
	r.want("no overrun", r.sum(journal.KindOverrun), 0)
	r.want("the next login", r.login("s2").Reason, command.ReasonNoBalance)
	r.want("is wanted", len(r.wanted()), 1)
	r.grant(2*eur, 0, 0)
	r.want("granted", len(r.wanted()), 0)
	r.want("login again", r.login("s3").Code, command.OK)
}

func TestOverrunIsPricedInFullAndLeavesNoBucketNegative(t *testing.T) {
	r := newRegion(t, 1*eur, perGigabyte())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 300_000_000)
	r.acct(command.Stop, "s1", t0, 70, 300_000_000)
	r.want("spent", r.sum(journal.KindCharge), 1*eur)
	r.want("overrun", r.sum(journal.KindOverrun), 500_000)
	r.want("sum in the report", r.s.Report().OverrunSum, 500_000)
	r.want("bound: 2 MB/s for 60 + 12 + 10 s", newVersion(perGigabyte(), rating.Env{}).overrunBound(), 820_000)
	for _, e := range r.entries {
		if e.Kind == journal.KindOverrun && (e.Quantity != 300_000_000-200_000_199 || e.Detail != "owed" || e.Ref != "volume@1/usage" || e.Cut != 1) {
			t.Fatalf("%+v", e)
		}
	}
}

func TestIsolatedRegionBorrowsWithinTheAllowanceAndRepaysFirst(t *testing.T) {
	r := newRegion(t, 0, perGigabyte())
	r.grant(100_000, 0, 300_000)
	r.want("connected: no loan", r.login("s0").LimitUnits, 20_000_199)
	r.tick(121)
	r.ok(&command.SetMode{Mode: command.Isolated})
	r.want("isolated: lease and allowance", r.login("s1").LimitUnits, 80_000_199)
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 80_000_199)
	r.want("cut off at both", r.s.EffectsQueued(), 1)
	r.acct(command.Stop, "s1", t0, 61, 80_000_199)
	b := r.s.buckets.get("a/cash")
	r.want("owed", b.Debt(), 300_000)
	r.want("no overrun", r.sum(journal.KindOverrun), 0)
	r.ok(&command.SetMode{Mode: command.Connected})
	r.grant(1_100_000, 0, 300_000)
	r.want("repaid first", b.Debt(), 0)
	r.want("left", r.available(), 700_000)
	r.want("borrowed", r.sum(journal.KindBorrowed), r.sum(journal.KindRepaid))
}

func TestReclaimIsServedFromWhatIsNotHeld(t *testing.T) {
	r := newRegion(t, 1*eur, perGigabyte())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.grant(1*eur, 1*eur, 0)
	r.want("returned at once", r.sum(journal.KindReturned), 500_000)
	r.acct(command.Stop, "s1", t0, 1, 20_000_000)
	r.want("the rest when it is free", r.sum(journal.KindReturned), 900_000)
	r.grant(1*eur, 900_000, 0)
	r.grant(2*eur, 900_000, 0)
	r.want("a request that was taken back asks nothing of new credit", r.available(), 1*eur)
	r.want("what was returned stays returned", r.sum(journal.KindReturned), 900_000)
}

func TestPriceChangeSplitsTheRecordAndNeverReachesBack(t *testing.T) {
	r := newRegion(t, 10*eur, perMinute())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 0)
	dearer := perMinute()
	dearer.Version, dearer.ValidFrom = 2, t0+90
	dearer.Usage[0].Rates[0].Price.Amount = 3 * money.Micro
	r.feed(feed.KindOffering, "minutes@2", dearer)
	r.acct(command.Interim, "s1", t0, 120, 0) // began at +60, before the new price
	r.acct(command.Interim, "s1", t0, 180, 0) // began at +120
	r.acct(command.Stop, "s1", t0, 180, 0)
	r.want("1 + 1 + 3", r.sum(journal.KindCharge), 5*eur)
	var records []*journal.UsageRecord
	for _, e := range r.entries {
		if e.Usage != nil {
			records = append(records, e.Usage)
		}
	}
	r.want("records", len(records), 2)
	r.want("first", records[0].OfferingVersion, 1)
	r.want("its seconds", records[0].Seconds, 120)
	r.want("its end", records[0].To, t0+120)
	r.want("second", records[1].OfferingVersion, 2)
	r.want("dense", records[1].Number, 2)
	r.want("its hash", records[1].TariffHash, dearer.Hash())
}

func TestFlatRateRenewsLapsesAndComesBack(t *testing.T) {
	r := newRegion(t, 15*eur, flat())
	r.want("first period", r.sum(journal.KindRecurring), 10*eur)
	r.want("login", r.login("s1").Code, command.OK)
	r.acct(command.Start, "s1", r.now, 0, 0)
	r.want("a free slot needs no log", r.s.FindLogin("u").MustReserve, true)
	for range 30 * 24 {
		r.tick(3599)
		r.acct(command.Interim, "s1", t0+1, r.now-t0-1, 0)
	}
	r.acked()
	r.tick(1000)
	r.want("not paid", r.s.FindLogin("u").Reason, command.ReasonUnpaid)
	r.want("cut off", r.s.EffectsQueued(), 1)
	r.want("nothing was taken", r.available(), 5*eur)
	r.grant(25*eur, 0, 0)
	r.want("second period", r.sum(journal.KindRecurring), 20*eur)
	r.want("online again", r.s.FindLogin("u").Reason, command.ReasonNone)
	r.want("from now on", r.s.subscriptions.get("sub").PaidUntil, r.now+30*86400)
}

func TestOrders(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte(), flat())
	order := func(id string, o feed.Order) string {
		o.ID, o.Subscription = id, "sub"
		r.feed(feed.KindOrder, id, &o)
		last := r.entries[len(r.entries)-1]
		if last.Kind != journal.KindOrder || last.Ref != id {
			return "no answer"
		}
		return last.Detail
	}
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.want("bar", order("o1", feed.Order{Action: feed.ActionBar}), "executed")
	r.want("sessions are cut", r.s.EffectsQueued(), 1)
	r.acct(command.Stop, "s1", t0, 1, 0)
	r.want("barred", r.login("s2").Reason, command.ReasonBarred)
	r.want("unbar", order("o2", feed.Order{Action: feed.ActionUnbar}), "executed")
	r.want("debit", order("o3", feed.Order{Action: feed.ActionDebit, Bucket: "a/cash", Amount: 4 * eur}), "executed")
	r.want("debited", r.sum(journal.KindOrderDebit), 4*eur)
	r.want("too much", order("o4", feed.Order{Action: feed.ActionDebit, Bucket: "a/cash", Amount: 7 * eur}), "refused: available balance is 6000000 micro-units")
	r.want("stale precondition", order("o5", feed.Order{Action: feed.ActionBar, IfVersion: 1}), "refused: service state is at version 4")
	r.want("expired", order("o6", feed.Order{Action: feed.ActionBar, Expires: t0}), "refused: expired")
	r.want("not yet", order("o7", feed.Order{Action: feed.ActionBar, NotBefore: r.now + 60}), "no answer")
	r.tick(60)
	r.want("now", r.entries[len(r.entries)-1].Detail, "executed")
	r.want("barred later", r.s.FindLogin("u").Reason, command.ReasonBarred)
	order("o8", feed.Order{Action: feed.ActionUnbar})
	r.want("change", order("o9", feed.Order{Action: feed.ActionChange, Offering: "flat"}), "executed")
	r.want("unknown offering", order("o10", feed.Order{Action: feed.ActionChange, Offering: "x"}), "refused: offering x is not valid here now")
	before := len(r.entries)
	r.number++
	body, _ := feed.Encode(&feed.Order{ID: "o3", Subscription: "sub", Action: feed.ActionDebit, Bucket: "a/cash", Amount: eur})
	r.apply(&command.Feed{Rows: []feed.Row{{Number: r.number, Kind: feed.KindOrder, ID: "o3", Version: 1, Body: body}}})
	r.want("an order that comes again is not run again", len(r.entries), before)
	r.want("terminate", order("o11", feed.Order{Action: feed.ActionTerminate}), "executed")
	r.want("no login", r.s.FindLogin("u").Reason, command.ReasonTerminated)
}

func TestFeedInOrderOnly(t *testing.T) {
	r := newRegion(t, eur, perGigabyte())
	body, _ := feed.Encode(&feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 1, Granted: 9 * eur})
	row := func(number, version uint64) feed.Row {
		return feed.Row{Number: number, Kind: feed.KindLease, ID: "a/cash", Version: version, Body: body}
	}
	r.want("a gap", r.apply(&command.Feed{Rows: []feed.Row{row(r.number+2, 5)}}).Code, command.OutOfOrder)
	r.want("an old number", r.apply(&command.Feed{Rows: []feed.Row{row(r.number, 5)}}).Code, command.Repeated)
	r.want("granted", r.available(), eur)
	r.want("an old version moves the cursor only", r.apply(&command.Feed{Rows: []feed.Row{row(r.number+1, 1)}}).Code, command.OK)
	r.want("granted", r.available(), eur)
	r.want("the next", r.apply(&command.Feed{Rows: []feed.Row{row(r.number+2, 5)}}).Code, command.OK)
	r.want("granted", r.available(), 9*eur)
}

func TestSessionBeyondTheLimitIsCutOff(t *testing.T) {
	r := newRegion(t, 15*eur, flat())
	for _, id := range []string{"s1", "s2"} { // accepted by replicas at the same moment
		r.acct(command.Start, id, t0, 0, 0)
	}
	r.want("two are allowed", r.s.EffectsQueued(), 0)
	r.acct(command.Start, "s3", t0, 0, 0)
	r.want("the third is cut off", r.s.Effects(5)[0].Session.ID, "s3")
}

func TestImpossibleCountersChargeNothing(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte())
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 1<<63)
	r.acct(command.Stop, "s1", t0, 120, 1_000_000)
	r.want("charged", r.sum(journal.KindCharge), 5_000)
	r.want("noticed", r.s.Anomalies, 1)
}

func TestLostStops(t *testing.T) {
	line := func(r *region, id string) command.Result {
		return r.apply(&command.Reserve{NAS: "nas", Key: ReserveKey("nas", "", "aa:bb", "7", "u"), Login: "u", CallingStation: "aa:bb", NASPort: "7"})
	}
	acct := func(r *region, status command.Status, id string, start, seconds int64, out uint64) {
		r.apply(&command.Accounting{NAS: "nas", SessionID: id, Login: "u", Status: status, Event: start + seconds, Seconds: seconds, Out: out, Giga: true, CallingStation: "aa:bb", NASPort: "7"})
	}
	r := newRegion(t, 10*eur, perGigabyte())
	line(r, "s1")
	acct(r, command.Start, "s1", t0, 0, 0)
	acct(r, command.Interim, "s1", t0, 60, 1_000_000)
	r.want("the same line logs in again", line(r, "s2").Code, command.OK)
	r.want("one open session is left", len(r.s.subscriptions.get("sub").open), 0)
	acct(r, command.Stop, "s1", t0, 90, 2_000_000)
	r.want("usage that comes later counts", r.sum(journal.KindCharge), 10_000)
	acct(r, command.Start, "s2", t0+100, 0, 0)
	r.tick(3601)
	r.want("stale", len(r.s.subscriptions.get("sub").open), 0)
	r.want("nothing is held", r.s.buckets.get("a/cash").H, 0)
	acct(r, command.Interim, "s2", t0+100, r.now-t0, 4_000_000)
	r.want("it was alive: open again", len(r.s.subscriptions.get("sub").open), 1)
}

func TestNASRestartReusesSessionIDs(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte())
	r.login("0001")
	r.acct(command.Start, "0001", t0, 0, 0)
	r.acct(command.Interim, "0001", t0, 60, 50_000_000)
	r.now = t0 + 100
	r.want("on", r.apply(&command.Accounting{NAS: "nas", Status: command.On, Event: t0 + 100}).Code, command.OK)
	r.want("on again", r.apply(&command.Accounting{NAS: "nas", Status: command.On, Event: t0 + 100}).Code, command.Repeated)
	r.want("its session does not block", r.login("0001").Code, command.OK)
	r.tick(1)
	r.want("closed", r.sum(journal.KindCharge), 250_000)
	r.acct(command.Start, "0001", t0+110, 0, 0)
	r.acct(command.Stop, "0001", t0+110, 60, 50_000_000)
	r.want("two sessions, both charged", r.sum(journal.KindCharge), 500_000)
	r.want("tombstones", len(r.s.bySessionID[nasSession{"nas", "0001"}]), 2)
	r.tick(7*86400 + 600)
	r.want("forgotten", len(r.s.sessions), 0)
	r.want("too late", r.acct(command.Stop, "0001", t0+110, 60, 99_000_000).Code, command.Quarantined)
	r.want("charged nothing", r.sum(journal.KindCharge), 500_000)
}

func TestUnknownLoginIsKeptInQuarantine(t *testing.T) {
	r := newRegion(t, eur, perGigabyte())
	r.apply(&command.Accounting{NAS: "nas", SessionID: "x", Login: "ghost", Status: command.Stop, Event: t0 + 60, Seconds: 60, Out: 77, Giga: true})
	last := r.entries[len(r.entries)-1]
	if last.Kind != journal.KindQuarantine || last.Usage.OutOctets != 77 || last.Session.Start != t0 {
		t.Fatalf("%+v", last)
	}
}

func TestBacklogBound(t *testing.T) {
	r := newRegion(t, 100*eur, perMinute())
	r.s.Policy.MaxBacklogEntries = 16
	for i := int64(0); r.s.FindLogin("u").Reason == command.ReasonNone; i++ {
		r.acct(command.Start, "s", t0+i*100, 0, 0)
		r.acct(command.Stop, "s", t0+i*100, 60, 0)
	}
	r.want("no new session", r.login("n").Reason, command.ReasonBacklog)
	r.want("running ones are taken", r.acct(command.Stop, "s", t0+9000, 60, 0).Code, command.OK)
	r.want("until the reserve is used", r.acct(command.Stop, "s", t0+9900, 60, 0).Code, command.Overloaded)
	r.ok(&command.Acked{Epoch: 1, Seq: r.s.Seq})
	r.want("and again after an acknowledgement", r.acct(command.Stop, "s", t0+9900, 60, 0).Code, command.OK)
}

func TestAcknowledgementsAndModes(t *testing.T) {
	r := newRegion(t, eur, perGigabyte())
	r.want("ahead of the ledger", r.apply(&command.Acked{Epoch: 1, Seq: r.s.Seq + 1}).Code, command.OutOfOrder)
	r.want("other epoch", r.apply(&command.Acked{Epoch: 2, Seq: 1}).Code, command.OutOfOrder)
	r.ok(&command.Acked{Epoch: 1, Seq: 1, Hash: journal.Hash{5}})
	r.want("again", r.apply(&command.Acked{Epoch: 1, Seq: 1}).Code, command.Repeated)
	r.want("same mode", r.apply(&command.SetMode{Mode: command.Connected}).Code, command.Repeated)
	r.want("an epoch by itself", r.apply(&command.OpenEpoch{Epoch: 2}).Code, command.OutOfOrder)
	fresh := New()
	r.want("before the founding", fresh.Apply(&command.Tick{Clocks: []int64{1}}).Code, command.NotConfigured)
}

func TestRegionTimeIsTheMedianAndNeverGoesBack(t *testing.T) {
	r := newRegion(t, eur, perGigabyte())
	now := r.s.Now
	r.ok(&command.Tick{Clocks: []int64{now + 5, now + 400*86400*1_000_000, now + 7}})
	r.want("median", r.s.Now, now+7)
	r.ok(&command.Tick{Clocks: []int64{now - 10, now - 10, now + 100}})
	r.want("never back", r.s.Now, now+7)
}

func TestEffectOutcomes(t *testing.T) {
	r := newRegion(t, eur, perGigabyte())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 300_000_000)
	e := r.s.Effects(1)[0]
	r.ok(&command.EffectsDone{Done: []command.EffectResult{{ID: e.ID, Outcome: command.EffectFailed}}})
	r.acct(command.Interim, "s1", t0, 120, 300_000_000)
	r.want("a failed Disconnect is tried again at the next report", r.s.EffectsQueued(), 1)
	e = r.s.Effects(1)[0]
	r.ok(&command.EffectsDone{Done: []command.EffectResult{{ID: e.ID, Outcome: command.EffectNoSession}, {ID: 999}}})
	r.want("a session the NAS does not know is closed", len(r.s.subscriptions.get("sub").open), 0)
}

func TestNASTotalsPerHour(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte())
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 5_000)
	r.tick(3600)
	for _, e := range r.entries {
		if e.Kind == journal.KindNASTotals {
			r.want("octets", e.Usage.OutOctets, 5_000)
			r.want("sessions", e.Quantity, 1)
			return
		}
	}
	t.Fatal("no totals were written")
}

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

// Dumps of every version must load for ever, and today's must be the newest version's.
func TestDumpGolden(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte(), flat())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 80_000_000)
	r.feed(feed.KindOrder, "later", &feed.Order{ID: "later", Subscription: "sub", Action: feed.ActionBar, NotBefore: t0 + 9999})
	r.feed(feed.KindOperator, "op", &feed.Operator{ID: "op", Role: "admin", TokenHash: []byte{1}})
	// How old and large a backlog is dumps tell since format 4: older ones count from
	// the moment of the dump. Contracts and versions held they tell since then, too.
	asOld := func() []byte {
		written, stretches := r.s.written, r.s.stretches
		r.s.written, r.s.stretches = 0, []stretch{{seq: r.s.Acked + 1, at: r.s.Now}}
		kept := map[*Subscription]Subscription{}
		for _, sub := range r.s.subscriptions.sorted() {
			kept[sub] = *sub
			sub.Contract, sub.Held = contract.State{}, 0
		}
		b := r.s.Dump()
		for sub, k := range kept {
			sub.Contract, sub.Held = k.Contract, k.Held
		}
		r.s.written, r.s.stretches = written, stretches
		return b
	}
	version1 := asOld()
	r.feed(feed.KindSubscription, "other", &feed.Subscription{ID: "other", Account: "a", Login: "o", Offering: "flat", Password: []byte("sealed"), NTHash: []byte("hash")})
	const path = "testdata/dump-4.golden"
	dump := r.s.Dump()
	if *rewrite {
		if err := os.WriteFile(path, dump, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dump, want) {
		t.Error("the dump's format changed: raise dumpFormat, keep reading the old one, and add a golden file")
	}
	if s, err := Load(want); err != nil || !bytes.Equal(s.Dump(), want) {
		t.Errorf("version 4 does not load: %v", err)
	}
	for name, made := range map[string][]byte{"testdata/dump-1.golden": version1, "testdata/dump-2.golden": asOld(), "testdata/dump-3.golden": asOld()} {
		old, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Load(old)
		if err == nil { // a limit was then what the hold buys, and is the quota now
			for _, sess := range s.sessions {
				sess.Limit -= 199
			}
			for _, e := range s.effects {
				e.Limit -= 199
			}
		}
		if err != nil || !bytes.Equal(s.Dump(), made) {
			t.Errorf("%s does not load as what it was made of: %v", name, err)
		}
	}
}

func TestDumpLoad(t *testing.T) {
	r := newRegion(t, 10*eur, perGigabyte(), flat())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 60, 80_000_000)
	r.login("s2")
	r.feed(feed.KindOrder, "later", &feed.Order{ID: "later", Subscription: "sub", Action: feed.ActionBar, NotBefore: t0 + 9999})
	r.feed(feed.KindOperator, "op", &feed.Operator{ID: "op", Role: "admin", TokenHash: []byte{1}})
	dump := r.s.Dump()
	loaded, err := Load(dump)
	if err != nil || !bytes.Equal(loaded.Dump(), dump) || loaded.Hash() != r.s.Hash() {
		t.Fatalf("differs after a round trip: %v", err)
	}
	for i := range dump {
		if _, err := Load(dump[:i]); err == nil {
			t.Fatalf("a dump cut at %d of %d was accepted", i, len(dump))
		}
	}
	if _, ok := loaded.Operator([]byte{1}); !ok {
		t.Fatal("operator was lost")
	}
}
