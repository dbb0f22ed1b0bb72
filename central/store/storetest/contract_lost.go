package storetest

import (
	"context"
	"strings"
	"testing"

	"meridian/central/fault"
	"meridian/central/payments"
	"meridian/central/regions"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/verify"
	"meridian/replication/link"
)

// Drill: a region is lost for good. Its epoch ends, nothing is taken of it any more,
// what it had is in suspense and nobody's to spend; deposits go on and wait. Only when
// its release is allowed is it given back, once, and claims come first.
func testRegionLost(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Subscriber("u2", "north")
	paid := w.Deposit("u1", "k1", 100)
	w.Deposit("u2", "k2", 40)
	e := NewEdge("north")
	e.Add(Epoch(), Moved(journal.KindOrderDebit, "u1", 30), Moved(journal.KindOrderDebit, "u2", 40))
	w.Ingest(e, e.All())
	closing, err := inTx(w, func(ctx context.Context, tx store.Tx) (regions.Closing, error) {
		return w.Regions.CloseTx(ctx, tx, "north", "the site burnt down")
	})
	w.must(err)
	if closing.Epoch != 1 || closing.Seq != 3 {
		t.Errorf("closed at %+v", closing)
	}
	w.refusesNorth(e)
	w.Deposit("u1", "k3", 20)
	w.suspense("after the closing", 20, 70)
	_, err = w.Payments.Chargeback(w.Ctx, payments.Taken{Payment: paid.ID, Amount: 50, Reason: "the bank"})
	w.must(err)
	w.suspense("what is unleased serves a claim, what is in suspense does not", 0, 70)

	release := func() (regions.Suspended, error) {
		return inTx(w, func(ctx context.Context, tx store.Tx) (regions.Suspended, error) {
			return w.Regions.ReleaseSuspenseTx(ctx, tx, "north", 0, "")
		})
	}
	if _, err := release(); !fault.Is(err, fault.Conflict) {
		t.Errorf("released without being allowed: %v", err)
	}
	allow := func() error {
		_, err := inTx(w, func(ctx context.Context, tx store.Tx) (regions.Closing, error) {
			return w.Regions.AllowReleaseTx(ctx, tx, "north", 0, "no disk was found")
		})
		return err
	}
	w.must(allow())
	if err := allow(); !fault.Is(err, fault.Conflict) {
		t.Errorf("allowed twice: %v", err)
	}
	for i, want := range []int{1, 0} { // u2 had spent all
		got, err := release()
		if err != nil || got.Buckets != want || got.More {
			t.Errorf("release %d: %+v, %v", i, got, err)
		}
	}
	w.suspense("released: the claim first", 40, 0)
	if claims, err := claimsOf(w, "a-u1"); err != nil || claims[0].Open() != 0 {
		t.Errorf("claims %+v, %v", claims, err)
	}
	_, err = inTx(w, func(ctx context.Context, tx store.Tx) (regions.Closing, error) {
		return w.Regions.CloseTx(ctx, tx, "north", "again")
	})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("closed twice: %v", err)
	}
	_, err = inTx(w, func(ctx context.Context, tx store.Tx) (regions.Suspended, error) {
		return w.Regions.ReleaseSuspenseTx(ctx, tx, "south", 0, "")
	})
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("release of a region that lives: %v", err)
	}
}

func inTx[T any](w *World, fn func(context.Context, store.Tx) (T, error)) (T, error) {
	return store.Run(w.Ctx, w.Backend, "test", fn)
}

// refusesNorth checks that nothing is taken of the region any more.
func (w *World) refusesNorth(e *Edge) {
	w.T.Helper()
	_, refused, err := w.Regions.Hello(w.Ctx, "north", link.Hello{Epoch: 1, LastSeq: 3, HeadHash: e.Hashes[3][:], Term: 9})
	w.must(err)
	if refused == nil || refused.Code != link.CodeRevoked {
		w.T.Errorf("hello of a closed region: %v", refused)
	}
	e.Add(Charge("u1", 5))
	if _, refused, err = w.Regions.Ingest(w.Ctx, "north", e.Batch(4, 4)); err != nil || refused == nil || refused.Code != link.CodeRevoked {
		w.T.Errorf("batch of a closed region: %v, %v", refused, err)
	}
	w.must(w.Regions.Wanted(w.Ctx, "north", link.Wanted{Items: []link.WantedItem{{Bucket: "a-u1/cash", Total: 900, Epoch: 1}}}))
}

// suspense holds u1's bucket against what is unleased and what is in suspense, and
// runs V1–V9.
func (w *World) suspense(what string, unleased, suspended int64) {
	w.T.Helper()
	s := w.Bucket("u1")
	if free, err := s.Unleased(); err != nil || free != unleased || s.Leases[0].Suspense() != suspended {
		w.T.Errorf("%s: unleased %d, in suspense %d, %v; want %d and %d", what, free, s.Leases[0].Suspense(), err, unleased, suspended)
	}
	w.CheckBooks()
	w.Drain()
	for _, f := range verify.Check(w.Ctx, w.Reader(), nil, nil, verify.Options{}) {
		if !f.OK {
			w.T.Errorf("%s: %s: %s", what, f.ID, f.Detail)
		}
		if f.ID == "V1" && strings.Contains(f.Detail, "in suspense, left by ended epochs") != (suspended > 0) {
			w.T.Errorf("%s: V1 says %s", what, f.Detail)
		}
	}
}
