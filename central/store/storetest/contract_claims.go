package storetest

import (
	"context"
	"encoding/json"
	"math"
	"testing"

	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/payments"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
)

// A payment is taken back whose money a region holds: it is owed at once, asked back,
// served from what is returned and from new credit, and nothing is granted before.
func testChargeback(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	paid := w.Deposit("u1", "k1", 100)
	e := NewEdge("north")
	e.Add(Epoch(), Charge("u1", 30))
	w.Ingest(e, e.All())
	claim, err := w.Payments.Chargeback(w.Ctx, payments.Taken{Payment: paid.ID, Reason: "card company, case 4711"})
	w.must(err)
	if claim.Amount != 100 || claim.Served != 0 || claim.Kind != buckets.Chargeback {
		t.Errorf("claim %+v", claim)
	}
	step := func(what string, g, to, debited, served int64) {
		t.Helper()
		s := w.Bucket("u1")
		claims, err := claimsOf(w, "a-u1")
		w.must(err)
		if l := s.Leases[0]; l.Totals.G != g || l.ReclaimTo != to || s.Debited != debited || claims[0].Served != served {
			t.Errorf("%s: granted %d, reclaim to %d, debited %d, served %d; want %d, %d, %d, %d", what, l.Totals.G, l.ReclaimTo, s.Debited, claims[0].Served, g, to, debited, served)
		}
		if free, err := s.Unleased(); err != nil || free != 0 {
			t.Errorf("%s: unleased %d, %v", what, free, err)
		}
		w.CheckBooks()
	}
	step("owed and asked back", 100, 70, 0, 0)
	e.Add(Moved(journal.KindReturned, "u1", 50), Charge("u1", 20))
	w.Ingest(e, e.Batch(3, 4))
	step("what came back serves it; nothing is left there to ask for", 100, 50, 50, 50)
	w.Deposit("u1", "k2", 20)
	step("new credit serves it before it is granted", 100, 50, 70, 70)
	w.Deposit("u1", "k3", 45)
	step("the rest is the home's", 115, 50, 100, 100)
	if _, err := w.Payments.Chargeback(w.Ctx, payments.Taken{Payment: paid.ID, Reason: "again"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("taken back twice: %v", err)
	}
	s, err := w.Statement.Of(w.Ctx, "a-u1", 0, 0)
	w.must(err)
	if s.Closing != 15 {
		t.Errorf("the statement closes at %s", s.Closing)
	}
	w.Drain()
	if lease := newestLease(w, "north", "a-u1/cash"); lease.Granted != 115 || lease.ReclaimTo != 50 {
		t.Errorf("the feed says %+v", lease)
	}
}

func testChargebackRefused(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	paid := w.Deposit("u1", "k1", 100)
	for name, in := range map[string]payments.Taken{
		"no payment":      {Reason: "r"},
		"unknown payment": {Payment: "none", Reason: "r"},
		"no reason":       {Payment: paid.ID},
		"more than paid":  {Payment: paid.ID, Amount: 101, Reason: "r"},
		"negative":        {Payment: paid.ID, Amount: -1, Reason: "r"},
	} {
		if _, err := w.Payments.Chargeback(w.Ctx, in); len(fault.List(err)) != 1 {
			t.Errorf("%s: %v, want one fault", name, err)
		}
	}
	for _, amount := range []int64{40, 60} {
		if c, err := w.Payments.Chargeback(w.Ctx, payments.Taken{Payment: paid.ID, Amount: money.Amount(amount), Reason: "in parts"}); err != nil || c.Amount != amount {
			t.Errorf("part of %d: %+v, %v", amount, c, err)
		}
	}
	w.CheckBooks()
}

func claimsOf(w *World, account string) ([]buckets.Claim, error) {
	return store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) ([]buckets.Claim, error) {
		return w.Backend.Buckets(tx).ClaimsOf(ctx, account, 0, math.MaxInt64, 10)
	})
}

// newestLease is what a region's feed says last of a bucket.
func newestLease(w *World, region, bucket string) (l feed.Lease) {
	rows, err := w.Sequencer.Rows(w.Ctx, region, 0, 1000)
	w.must(err)
	for _, r := range rows {
		if r.Kind == feed.KindLease && r.ID == bucket {
			w.must(json.Unmarshal(r.Body, &l))
		}
	}
	return l
}
