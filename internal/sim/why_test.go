package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/replay"
	"meridian/internal/tariff"
	"meridian/internal/why"
)

// whyOfferings are two that differ in all that fees can.
func whyOfferings() []*tariff.Offering {
	month := tariff.Period{Unit: tariff.Month, Count: 1}
	base := tariff.Offering{Version: 1, Currency: "EUR", Service: "internet", Overrun: tariff.Owed, Zone: "UTC",
		Usage:       []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 7_000_000, Per: 3e6}}}}},
		Reservation: tariff.Reservation{Quota: 1e6, TTLSeconds: 600}, Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}}
	a, b := base, base
	a.ID, a.Name = "a", "A"
	a.OneTime = []tariff.OneTime{{Name: "set-up", Price: 3_000_000}}
	a.Recurring = []tariff.Recurring{
		{Name: "fee", Price: 19_990_000, Every: month, Anchor: tariff.Calendar, Proration: tariff.ActualDays, Cancel: tariff.PartCredit},
		{Name: "line", Price: 7_770_000, Every: month, Due: tariff.Arrears, Anchor: tariff.Calendar, Proration: tariff.Fixed30}}
	a.Promotions = []tariff.Promotion{{ID: "half", Name: "Half; for a start", Kind: tariff.Discount, Percent: 500_000, Periods: 2, Applies: []string{"fee"}},
		{ID: "two", Name: "Two (off)", Kind: tariff.Discount, Amount: 2_000_000, Applies: []string{"fee", "line"}}}
	a.Allowances = []tariff.Allowance{{Name: "pack", Unit: tariff.Bytes, Amount: 3e6, Every: &month, Anchor: tariff.Calendar}}
	b.ID, b.Name = "b", "B"
	b.Recurring = []tariff.Recurring{{Name: "fee", Price: 33_000_000, Every: month, Anchor: tariff.Calendar, Proration: tariff.ActualDays, Cancel: tariff.FullCredit},
		{Name: "week", Price: 1_000_001, Every: tariff.Period{Unit: tariff.Week, Count: 1}}}
	return []*tariff.Offering{&a, &b}
}

// Subscribers of two offerings with fees, discounts, an allowance and usage change
// and end them at random for months. Each entry that charges, or gives back, is
// explained: what it names comes to its amount when the core computes it again.
func TestEveryEntryIsExplained(t *testing.T) {
	e := &x4Edge{t: t, rng: rand.New(rand.NewPCG(11, 7)), state: fsm.New(), now: 1_798_700_000}
	e.do(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	e.do(&command.OpenEpoch{Epoch: 1})
	e.do(&command.SetMode{Mode: command.Connected})
	e.do(&command.Tick{Clocks: []int64{e.now * 1e6}})
	var versions []*replay.Version
	for _, o := range whyOfferings() {
		body := e.feed(feed.KindOffering, feed.OfferingKey(o.ID, o.Version), o)
		read := &tariff.Offering{}
		if err := json.Unmarshal(body, read); err != nil {
			t.Fatal(err)
		}
		v, err := replay.NewVersion(read)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, v)
	}
	e.feed(feed.KindNAS, "nas", &feed.NAS{ID: "nas", Address: "127.0.2.1", Vendor: "generic"})
	var entries []*journal.Entry
	orders := 0
	for n := range 150 * 4 {
		e.now += 6 * 3600
		e.do(&command.Tick{Clocks: []int64{e.now * 1e6}})
		if n < 200 && n%4 == 0 {
			id := fmt.Sprintf("s/%d", n/4)
			e.feed(feed.KindLease, id+"/cash", &feed.Lease{Bucket: id + "/cash", Account: id, Unit: "EUR", Epoch: 1, Granted: int64(30+e.rng.IntN(400)) * 1_000_000})
			e.feed(feed.KindSubscription, id, &feed.Subscription{ID: id, Account: id, Login: id, Offering: []string{"a", "b"}[e.rng.IntN(2)]})
			e.lines = append(e.lines, x4Line{login: id})
		}
		for i := range e.lines {
			l := &e.lines[i]
			if e.rng.IntN(6) == 0 {
				l.sessions++
				e.state.Apply(&command.Accounting{NAS: "nas", SessionID: fmt.Sprintf("%s-%d", l.login, l.sessions), Login: l.login, Status: command.Stop, Cause: 1,
					Event: e.now, Seconds: 60, In: e.rng.Uint64N(3_000_000), Out: e.rng.Uint64N(1_000_000), Giga: true})
			}
			if e.rng.IntN(120) == 0 {
				orders++
				o := &feed.Order{ID: fmt.Sprintf("o%d", orders), Subscription: l.login, Action: feed.ActionChange, Offering: []string{"a", "b"}[e.rng.IntN(2)]}
				if e.rng.IntN(6) == 0 {
					o.Action, o.Offering = feed.ActionTerminate, ""
				}
				e.feed(feed.KindOrder, o.ID, o)
			}
		}
		for _, raw := range e.state.TakeEntries() {
			x, err := journal.DecodeEntry(raw.Raw)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, &x)
		}
	}
	explainAll(t, entries, versions)
}

func explainAll(t *testing.T, entries []*journal.Entry, versions []*replay.Version) {
	t.Helper()
	count := map[journal.Kind]int{}
	of := map[string][]*journal.Entry{} // by account
	for i, x := range entries {
		q := &why.Question{Entry: x, Before: of[x.Account], Versions: versions, Names: map[string]string{}}
		if x.Account != "" {
			of[x.Account] = append(of[x.Account], x)
		}
		for k := max(i-20, 0); k < min(i+20, len(entries)); k++ {
			if entries[k].At == x.At && entries[k].Account == x.Account {
				q.Beside = append(q.Beside, entries[k])
				if u := entries[k].Usage; u != nil && entries[k].Session == x.Session && entries[k].Cut == x.Cut && u.Offering == "b" {
					q.Versions = versions[1:]
				}
			}
		}
		if x.Kind == journal.KindGiven { // what is left when it is given anew is not in the entry
			q.Names[x.Bucket] = x.Detail
		}
		a := why.Explain(why.English, q)
		count[x.Kind]++
		if !a.Explained && x.Kind != journal.KindGiven || strings.ContainsAny(a.Sentence, "{}") {
			t.Errorf("%s %d %s %q: %s\n%s", x.Kind, x.Seq, x.Ref, x.Detail, a.Reason, a.Sentence)
			if t.Failed() && count[x.Kind] > 3 {
				t.FailNow()
			}
		}
	}
	for _, k := range []journal.Kind{journal.KindUsage, journal.KindCharge, journal.KindRecurring, journal.KindOneTime, journal.KindCredit, journal.KindOwed, journal.KindGiven, journal.KindExpired, journal.KindOverrun} {
		if count[k] == 0 {
			t.Errorf("the run was to have entries of every kind that charges: %v", count)
		}
	}
	t.Logf("%v", count)
}
