package storetest

import (
	"context"
	"reflect"
	"testing"

	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/rerating"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

const mega = 1_000_000

// cut is a usage record of u1's session, on top of before megabytes, and what paid
// for it: bucket money, then overrun. Version 1 costs 1.00 a GB.
func cut(number uint32, before, octets uint64, o *tariff.Offering, bucket, overrun money.Amount, detail string) []journal.Entry {
	usage := Usage("u1", octets*mega)
	price := money.Amount(octets) * 1000
	usage.Cut = number
	u := usage.Usage
	u.Number, u.Offering, u.OfferingVersion, u.TariffHash = number, o.ID, o.Version, o.Hash()
	u.CumulativeIn = (before + octets) * mega
	u.Before = rating.State{Quantity: int64(before) * mega, Charged: money.Amount(before) * 1000}
	u.Slices = []rating.Slice{{Rule: "prepaid@1/usage", Quantity: int64(octets) * mega, Amount: price}}
	out := []journal.Entry{usage}
	if bucket > 0 {
		c := Charge("u1", int64(bucket))
		c.Cut = number
		out = append(out, c)
	}
	if overrun > 0 {
		x := Overrun("u1", int64(overrun), detail)
		x.Session, x.Cut = usage.Session, number
		out = append(out, x)
	}
	return out
}

// A wrong price is corrected: what was charged too much is given back to the last
// micro-unit, overrun first, then the bucket, which the region may spend at once.
// Nothing is corrected twice, and the books still balance.
func testRerating(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Subscriber("u2", "north")
	w.Deposit("u1", "k", 5*money.Micro)
	publish := func(price money.Amount) {
		o := Offering("prepaid")
		o.Usage = tariff.PerUnit(tariff.Bytes, price, 1e9)
		_, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{o})
		w.must(err)
	}
	publish(money.Micro / 4)      // version 2
	publish(5 * money.Micro / 10) // version 3
	var v1 tariff.Offering
	w.must(w.Backend.View(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		list, err := w.Backend.Catalog(tx).Versions(ctx, "", 0, 1)
		v1 = list[0].Offering
		return err
	}))
	e := NewEdge("north")
	e.Add(Epoch())
	e.Add(cut(1, 0, 3000, &v1, 3*money.Micro, 0, "")...)
	e.Add(cut(2, 3000, 2400, &v1, 2*money.Micro, 400_000, "owed")...)
	w.Ingest(e, e.All())
	w.clock.Store(start + 3600e6)

	request := rerating.Request{Offering: "prepaid", Version: 1, Corrected: 2, To: start + 3600e6, Undercharge: rerating.Owe}
	page := func(r rerating.Request, run string) (out rerating.Report) {
		w.must(w.Backend.Do(w.Ctx, "rerate", func(ctx context.Context, tx store.Tx) (err error) {
			out, err = w.Rerating.PageTx(ctx, tx, r, run, "", run == "")
			return err
		}))
		return out
	}
	books := func() [3]int64 {
		b := w.balances("EUR", journal.CustomerPrepaid+"a-u1", journal.Receivable+"a-u1", journal.RevenueUsage)
		return [3]int64{-b[journal.CustomerPrepaid+"a-u1"], b[journal.Receivable+"a-u1"], -b[journal.RevenueUsage]}
	}
	want := func(what string, prepaid, receivable, revenue money.Amount) {
		t.Helper()
		if got := books(); got != [3]int64{int64(prepaid), int64(receivable), int64(revenue)} {
			t.Errorf("%s: the books owe %s, are owed %s and earned %s; want %s, %s, %s", what, money.Amount(got[0]), money.Amount(got[1]), money.Amount(got[2]), prepaid, receivable, revenue)
		}
		s, err := w.Statement.Of(w.Ctx, "a-u1", 0, 0)
		w.must(err)
		if s.Closing != prepaid || s.DebtClosing != receivable {
			t.Errorf("%s: the statement closes at %s and %s, want %s and %s", what, s.Closing, s.DebtClosing, prepaid, receivable)
		}
		later, err := w.Statement.Of(w.Ctx, "a-u1", w.clock.Load()+1, 0)
		w.must(err)
		if later.Opening != prepaid || later.DebtOpening != receivable {
			t.Errorf("%s: the next statement opens with %s and %s", what, later.Opening, later.DebtOpening)
		}
	}
	want("before", 0, 400_000, 5_400_000)

	// 5.4 GB cost 1.35 instead of 5.40: 4.05 too much, of which 0.40 were owed.
	dry := page(request, "")
	if dry.Accounts != 2 || dry.Records != 2 || dry.Over != 2 || dry.Refunded != 3_650_000 || dry.Owed != -400_000 || len(dry.Lines) != 1 || dry.NextAfter != "" {
		t.Errorf("dry run %+v", dry)
	}
	want("after a dry run", 0, 400_000, 5_400_000)
	if done := page(request, "run-1"); !reflect.DeepEqual(done, dry) {
		t.Errorf("the run did %+v, the dry run said %+v", done, dry)
	}
	want("corrected", 3_650_000, 0, 1_350_000)
	if again := page(request, "run-2"); again.Before != 2 || again.Records != 0 || again.Refunded != 0 {
		t.Errorf("again: %+v", again)
	}
	want("corrected again", 3_650_000, 0, 1_350_000)

	// The corrected price was wrong too: 2.70 are right. What is lacking is owed.
	request.Corrected = 3
	if got := page(request, "run-3"); got.Under != 2 || got.Owed != 1_350_000 || got.Refunded != 0 {
		t.Errorf("by version 3: %+v", got)
	}
	want("corrected a second time", 3_650_000, 1_350_000, 2_700_000)

	states, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) ([]buckets.State, error) {
		return w.Backend.Buckets(tx).Load(ctx, []string{"a-u1/cash"})
	})
	w.must(err)
	state := states[0]
	if free, err := state.Unleased(); err != nil || free != 0 || state.Credited != 8_650_000 || state.Leases[0].Totals.G != 8_650_000 {
		t.Errorf("bucket %+v, unleased %d, %v", state, free, err)
	}
	w.Drain()
	for _, f := range verify.Check(w.Ctx, w.Reader(), nil, nil, verify.Options{}) {
		if (f.ID == "V1" || f.ID == "V2" || f.ID == "V7") && !f.OK {
			t.Errorf("%s: %s", f.ID, f.Detail)
		}
	}
	w.must(w.Backend.View(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		list, err := w.Backend.Rerating(tx).Of(ctx, "a-u1", 0, 1<<62, 10)
		if len(list) != 4 || list[1].Place.Seq != 4 || list[1].Owed != -400_000 || list[1].Source() != "correction/north/1/4/2" ||
			!reflect.DeepEqual(list[1].Refunds, []rerating.Refund{{Bucket: "a-u1/cash", Amount: 1_400_000}}) || list[3].Run != "run-3" {
			t.Errorf("corrections %+v", list)
		}
		return err
	}))
}

// Usage that came too late for its session is charged once, for what the ledger
// does not have of it. What cannot be priced again is told, not guessed.
func testReratingLate(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k", 5*money.Micro)
	v2 := Offering("prepaid")
	_, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{v2})
	w.must(err)
	var v1 tariff.Offering
	w.must(w.Backend.View(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		list, err := w.Backend.Catalog(tx).Versions(ctx, "", 0, 1)
		v1 = list[0].Offering
		return err
	}))
	late := func(megabytes uint64) journal.Entry {
		q := Usage("u1", megabytes*mega)
		q.Kind, q.Cut, q.Usage.Number, q.Usage.CumulativeIn = journal.KindQuarantine, 0, 0, megabytes*mega
		return q
	}
	e := NewEdge("north")
	e.Add(Epoch())
	e.Add(cut(1, 0, 1000, &v1, money.Micro, 0, "")...)
	e.Add(late(900), late(1500), late(1200))
	odd := cut(2, 1000, 100, &v1, 100_000, 0, "")
	odd[0].Usage.TariffHash[0]++
	e.Add(odd...)
	w.Ingest(e, e.All())
	request := rerating.Request{Offering: "prepaid", Version: 1, Corrected: 2, Account: "a-u1", To: start + 3600e6, Undercharge: rerating.Waive, Late: true}
	page := func(run string) (out rerating.Report, err error) {
		err = w.Backend.Do(w.Ctx, "rerate", func(ctx context.Context, tx store.Tx) (err error) {
			out, err = w.Rerating.PageTx(ctx, tx, request, run, "", false)
			return err
		})
		return out, err
	}
	request.Undercharge = rerating.Owe
	got, err := page("run-1")
	w.must(err)
	// 1.1 GB are in the ledger, 1.5 GB were reported: 0.40 are owed, once.
	if got.Owed != 400_000 || got.Records != 4 || got.Skipped["it was rated by other content than the catalog has"] != 1 {
		t.Errorf("late usage: %+v", got)
	}
	if again, err := page("run-2"); err != nil || again.Owed != 0 || again.Before != 4 {
		t.Errorf("again: %+v, %v", again, err)
	}
	for field, change := range map[string]func(){
		"corrected":   func() { request.Corrected = 9 },
		"undercharge": func() { request.Undercharge = "forget" },
		"from, to":    func() { request.From = request.To },
	} {
		before := request
		change()
		if _, err := page("run-3"); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.NotFound) || fault.List(err)[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
		request = before
	}
}

// correct prices all that an offering's version rated again, by another, at once.
func (w *World) correct(offering string, version, by uint32) {
	w.T.Helper()
	w.must(w.Backend.Do(w.Ctx, "rerate", func(ctx context.Context, tx store.Tx) error {
		_, err := w.Rerating.PageTx(ctx, tx, rerating.Request{Offering: offering, Version: version, Corrected: by, To: start + 3600e6, Undercharge: rerating.Owe}, "run", "", false)
		return err
	}))
}
