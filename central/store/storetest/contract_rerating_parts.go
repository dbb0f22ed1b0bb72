package storetest

import (
	"context"
	"testing"

	"meridian/central/rerating"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/replay"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// By hand. A day's megabyte costs 0.01 by version 1 and 0.004 by version 2, a night's
// 0.001 by both; night begins at 22:00. Of 100 MB from 21:59 to 22:01, even, a bundle
// pays 20, the day's price 30 (0.30), the night's 50 (0.05). Then 10 MB at 22:02
// (0.01). By version 2 the 30 MB cost 0.12: 0.18 come back, and not for the bundle's
// nor for the night's. Version 3 has a larger bundle: which usage that would have paid
// for nobody knows, and it is refused.
func testReratingParts(t *testing.T, open Opener) {
	const ten = start/1e6 + 22*3600
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k", 5*money.Micro)
	version := func(day money.Amount, pack int64) *replay.Version {
		o := Offering("windows")
		o.Windows = []tariff.Window{{Name: "night", From: 22 * 3600, To: 6 * 3600}}
		o.Usage = []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Window: "night", Price: tariff.Price{Amount: 1000, Per: mega}}, {Price: tariff.Price{Amount: day, Per: mega}}}}}
		o.Allowances = []tariff.Allowance{{Name: "pack", Unit: tariff.Bytes, Amount: pack}}
		list, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{o})
		w.must(err)
		v, err := replay.NewVersion(&list[0])
		w.must(err)
		return v
	}
	v1 := version(10_000, 20*mega)
	version(4_000, 20*mega)
	version(4_000, 30*mega)
	e := NewEdge("north")
	e.Add(Epoch(), journal.Entry{Kind: journal.KindGiven, Account: "a-u1", Subscription: "s-u1", Bucket: "north/1/2", Unit: "bytes", Amount: 20 * mega, Detail: "pack", Ref: "s-u1/1"})
	first := inParts(1, v1, []rating.Use{{Quantity: 100 * mega, From: ten - 60, To: ten + 60}}, replay.State{},
		journal.PaidSlice{Rule: "pack", Kind: rating.KindCovered, Quantity: 20 * mega, Charged: 20 * mega, Bucket: "north/1/2"},
		journal.PaidSlice{Rule: "windows@1/data", Quantity: 30 * mega, Charged: 30 * mega, Amount: 300_000},
		journal.PaidSlice{Rule: "windows@1/data/night", Quantity: 50 * mega, Charged: 50 * mega, Amount: 50_000})
	bundle, cash := Charge("u1", 350_000), Charge("u1", 350_000)
	bundle.Cut, bundle.Bucket, bundle.Unit, bundle.Amount, cash.Cut = 1, "north/1/2", "bytes", 20*mega, 1
	e.Add(first, bundle, cash)
	paid := []replay.Paid{{Bucket: "north/1/2", Unit: "bytes", Amount: 20 * mega}, {Bucket: "a-u1/cash", Unit: "EUR", Amount: 350_000}}
	r, exact, err := v1.Record(first.Session.Start, first.Usage, paid)
	if err != nil || !exact {
		t.Fatalf("the record by hand is none: %v, %+v", err, r)
	}
	second := inParts(2, v1, []rating.Use{{Quantity: 10 * mega, From: ten + 60, To: ten + 120}}, r.Parts[0].After,
		journal.PaidSlice{Rule: "windows@1/data/night", Quantity: 10 * mega, Charged: 10 * mega, Amount: 10_000})
	more := Charge("u1", 10_000)
	more.Cut = 2
	e.Add(second, more)
	w.Ingest(e, e.All())
	w.clock.Store(start + 24*3600e6)

	request := rerating.Request{Offering: "windows", Version: 1, Corrected: 2, To: start + 24*3600e6, Undercharge: rerating.Owe}
	page := func(run string) (out rerating.Report) {
		w.must(w.Backend.Do(w.Ctx, "rerate", func(ctx context.Context, tx store.Tx) (err error) {
			out, err = w.Rerating.PageTx(ctx, tx, request, run, "", false)
			return err
		}))
		return out
	}
	if got := page("run-1"); got.Records != 2 || got.Over != 1 || got.Refunded != 180_000 || got.Owed != 0 || len(got.Skipped) != 0 {
		t.Errorf("by version 2: %+v", got)
	}
	if got := page("run-2"); got.Before != 2 || got.Refunded != 0 {
		t.Errorf("again: %+v", got)
	}
	request.Corrected = 3
	if got := page("run-3"); got.Records != 0 || got.Skipped["the record cannot be priced again by windows version 3: its allowance pack may have paid for other usage"] != 2 {
		t.Errorf("by version 3: %+v", got)
	}
	s, err := w.Statement.Of(w.Ctx, "a-u1", 0, 0)
	w.must(err)
	if s.Closing != 5*money.Micro-180_000 { // 0.36 were charged
		t.Errorf("the statement closes at %s", s.Closing)
	}
	w.Drain()
	for _, f := range verify.Check(w.Ctx, w.Reader(), nil, nil, verify.Options{}) {
		if (f.ID == "V1" || f.ID == "V2" || f.ID == "V7") && !f.OK {
			t.Errorf("%s: %s", f.ID, f.Detail)
		}
	}
}

// inParts is a record of u1's session by a version's component data.
func inParts(number uint32, v *replay.Version, uses []rating.Use, before replay.State, slices ...journal.PaidSlice) journal.Entry {
	e := Usage("u1", uint64(uses[0].Quantity))
	u := e.Usage
	e.Cut, u.Number, u.Offering, u.OfferingVersion, u.TariffHash = number, number, v.ID, v.Version, v.Hash()
	u.From, u.To = uses[0].From, uses[0].To
	u.CumulativeIn = uint64(before.Tally.Quantity + uses[0].Quantity)
	u.Before, u.Slices = rating.State{}, nil
	u.Parts = []journal.UsagePart{{Component: "data", Start: e.Session.Start, Before: before.Tally, Uses: uses, Slices: slices}}
	return e
}
