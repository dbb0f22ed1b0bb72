package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"meridian/central/fault"
	"meridian/central/regions"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/replication/link"
)

// hello is what the region's leader says whose ledger ends at seq.
func (w *World) hello(e *Edge, seq int, term uint64) (link.Welcome, *link.Refused) {
	w.T.Helper()
	h := link.Hello{Epoch: e.Epoch, LastSeq: uint64(seq), HeadHash: e.Hashes[seq][:], Term: term}
	if seq == 0 {
		h.Epoch = 0
	}
	welcome, refused, err := w.Regions.Hello(w.Ctx, "north", h)
	w.must(err)
	return welcome, refused
}

// stale checks that a hello is refused by name, and with these words.
func (w *World) stale(what, words string, refused *link.Refused) {
	w.T.Helper()
	if refused == nil || refused.Code != link.CodeStaleEpoch || !strings.Contains(refused.Detail+refused.Remedy, words) {
		w.T.Errorf("%s: %v, want STALE_EPOCH and %q", what, refused, words)
	}
}

// open has two persons end an epoch of the region and give the next one to an heir.
func (w *World) open(ends uint64, heir regions.Heir) (regions.Opening, error) {
	return inTx(w, func(ctx context.Context, tx store.Tx) (regions.Opening, error) {
		return w.Regions.OpenEpochTx(ctx, tx, "north", ends, heir, "restored")
	})
}

// prepare tells the feed of all subscriptions.
func (w *World) prepare(o regions.Opening) regions.Opening {
	w.T.Helper()
	for range 3 { // once it is ready, again does nothing
		next, err := inTx(w, func(ctx context.Context, tx store.Tx) (regions.Opening, error) {
			return w.Regions.PrepareTx(ctx, tx, o)
		})
		w.must(err)
		o = next
	}
	return o
}

// fee is a charge of a subscription's period of 1000 seconds.
func fee(name string, start, amount int64) journal.Entry {
	e := Moved(journal.KindRecurring, name, amount)
	e.Ref, e.Quantity = fmt.Sprintf("s-%s/monthly/%d", name, start), 1000
	return e
}

// began is the first entry of an epoch after the ledger of another.
func began(before *Edge, seq int) journal.Entry {
	return journal.Entry{Kind: journal.KindEpoch, Ref: fmt.Sprintf("%x", before.Hashes[seq])}
}

// Drill: a region is restored from a backup of after its entry 3; the centre has 6. It
// is refused until two persons give the next epoch to the ledger that ends at 3.
//
//	u1: 100 paid in, 30 + 20 spent at the centre: 50 in suspense, 10 paid in since: 10 leased anew
//	    released as a loss: 60 are leased in epoch 2; 15 spent there: 45 left
func testNewEpoch(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Subscriber("u2", "north")
	w.Deposit("u1", "k1", 100)
	e := NewEdge("north")
	e.Add(Epoch(), fee("u1", 1000, 20), Moved(journal.KindOrderDebit, "u1", 1), fee("u1", 2000, 20), Moved(journal.KindOrderDebit, "u1", 4), Moved(journal.KindOrderDebit, "u1", 5))
	w.Ingest(e, e.All())
	placed, err := w.Orders.Place(w.Ctx, feed.Order{Subscription: "s-u1", Action: feed.ActionBar})
	w.must(err)
	_, refused := w.hello(e, 3, 1)
	heir := regions.Heir{Epoch: 1, Seq: 3, Hash: e.Hashes[3]}
	w.stale("a restored ledger", heir.String(), refused)
	if parsed, err := regions.ParseHeir(heir.String()); err != nil || parsed != heir {
		t.Errorf("%s is read as %v, %v", heir, parsed, err)
	}
	if _, err := w.open(1, regions.Heir{Epoch: 2, Seq: 7, Hash: e.Hashes[3]}); !fault.Is(err, fault.Conflict) {
		t.Errorf("an epoch for a ledger of one that was never issued: %v", err)
	}
	o, err := w.open(1, heir)
	w.must(err)
	_, refused = w.hello(e, 3, 1)
	w.stale("before it is prepared", "is being prepared", refused)
	w.suspense("the epoch has ended", 0, 50)
	w.Deposit("u1", "k2", 10)
	if o = w.prepare(o); o.Epoch != 2 || o.Services != 2 || o.ReadyAt == 0 {
		t.Errorf("opening %+v", o)
	}
	if again, err := inTx(w, func(ctx context.Context, tx store.Tx) (regions.Opening, error) {
		again, _, err := w.Regions.OpeningTx(ctx, tx, "north")
		return again, err
	}); err != nil || again != o {
		t.Errorf("stored %+v, %v", again, err)
	}
	w.beginsWith(placed.ID)
	e.Add(Moved(journal.KindOrderDebit, "u1", 3), Moved(journal.KindOrderDebit, "u1", 4)) // what the lost disk had beyond the centre's
	_, refused = w.hello(e, 8, 9)
	w.stale("the lost disk", "this ledger ends at 1/8", refused)
	_, refused = w.hello(e, 0, 9)
	w.stale("founded anew", heir.String(), refused)
	welcome, refused := w.hello(e, 3, 1)
	if refused != nil || welcome.Epoch != 2 || welcome.CursorSeq != 0 || journal.Hash(welcome.EpochPrevHash) != e.Hashes[6] {
		t.Fatalf("the heir: %+v, %v", welcome, refused)
	}
	w.inEpochTwo(e, heir)
}

// beginsWith looks at what the region's feed has for the new epoch.
func (w *World) beginsWith(order string) {
	w.T.Helper()
	w.Drain()
	rows, err := w.Sequencer.Rows(w.Ctx, "north", 0, 1000)
	w.must(err)
	leases := map[string]uint64{}
	var last feed.Epoch
	services := 0
	for i := range rows {
		row := &rows[i]
		entity, err := row.Decode()
		w.must(err)
		switch e := entity.(type) {
		case *feed.Lease:
			if leases[e.Bucket] >= row.Version {
				w.T.Errorf("lease %s of epoch %d has version %d after %d", e.Bucket, e.Epoch, row.Version, leases[e.Bucket])
			}
			leases[e.Bucket] = row.Version
		case *feed.Service:
			services++
			got, _ := json.Marshal(e.Charged)
			want := map[string]string{"s-u1": `[{"component":"monthly","first":1000,"last":2000,"until":3000,"paid_micro":20}]`, "s-u2": "null"}[e.Subscription.ID]
			if string(got) != want || e.Epoch != 2 || e.Offering != "prepaid" || e.Version == 0 || len(e.Subscription.Password) == 0 {
				w.T.Errorf("service of %s: %+v, charged %s, want %s", e.Subscription.ID, e, got, want)
			}
		case *feed.Epoch:
			last = *e
		case *feed.Order:
			if e.ID == order && e.Epoch != 1 {
				w.T.Errorf("order %s is of epoch %d", e.ID, e.Epoch)
			}
		}
	}
	if last.Epoch != 2 || last.Services != 2 || services != 2 || last.At == 0 {
		w.T.Errorf("the epoch begins with %+v, %d services", last, services)
	}
	w.must(w.Backend.View(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		list, err := w.Backend.Orders(tx).Get(ctx, []string{order})
		if err == nil && (len(list) != 1 || list[0].Status != "refused" || !strings.Contains(list[0].Detail, "epoch 1 of region north ended")) {
			w.T.Errorf("the open order: %+v", list)
		}
		return err
	}))
}

// inEpochTwo goes on with the drill once the heir was welcomed.
func (w *World) inEpochTwo(old *Edge, heir regions.Heir) {
	w.T.Helper()
	e := NewEdge("north")
	e.Epoch = 2
	e.Add(began(old, 6), Moved(journal.KindOrderDebit, "u1", 5))
	b := e.All()
	b.Term = 1
	w.Ingest(e, b)
	_, refused := w.hello(old, int(heir.Seq), 9)
	w.stale("the same backup once more", "has ended", refused)
	if _, refused, err := w.Regions.Ingest(w.Ctx, "north", old.Batch(7, 8)); err != nil || refused == nil || refused.Code != link.CodeStaleEpoch {
		w.T.Errorf("a batch of the ended epoch: %v, %v", refused, err)
	}
	w.suspense("epoch 2 spends what was paid in since", 0, 50)
	_, err := inTx(w, func(ctx context.Context, tx store.Tx) (regions.Closing, error) {
		return w.Regions.AllowReleaseTx(ctx, tx, "north", 1, "no disk was found")
	})
	w.must(err)
	for range 2 {
		_, err = inTx(w, func(ctx context.Context, tx store.Tx) (regions.Suspended, error) {
			return w.Regions.ReleaseSuspenseTx(ctx, tx, "north", 1, "")
		})
		w.must(err)
	}
	w.suspense("released: it is the home's again", 0, 0)
	s := w.Bucket("u1")
	if l := s.Lease("north", 2); l == nil || l.Totals.G != 60 {
		w.T.Errorf("lease of epoch 2: %+v", l)
	}
	e.Add(Moved(journal.KindOrderDebit, "u1", 10))
	b = e.Batch(3, 3)
	b.Term = 1
	w.Ingest(e, b)
	w.suspense("and spends it", 0, 0)
	if out := s.Lease("north", 2).Totals.G - 15; out != 45 {
		w.T.Errorf("left %d", out)
	}
}

// Drill: a region was closed as lost, and its site is built again: two persons give
// the next epoch to a region that is founded anew. What was paid in while it was closed
// is leased, an allowance of before expires when the rest is released.
func testFoundedAnew(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k1", 100)
	e := NewEdge("north")
	given := func(seq uint64, unit journal.Unit, amount int64, kind journal.Kind) journal.Entry {
		return journal.Entry{Kind: kind, Account: "a-u1", Subscription: "s-u1", Bucket: journal.BucketName("north", 1, seq), Unit: unit, Amount: amount, Detail: "bundle"}
	}
	back := given(5, "EUR", 2, journal.KindCredit)
	back.Ref = "s-u1/monthly/1500"
	lent := Moved(journal.KindBorrowed, "u1", 12)
	e.Add(Epoch(), fee("u1", 1000, 40), given(3, "bytes", 5000, journal.KindGiven), given(4, "EUR", 7, journal.KindGiven), back, lent)
	w.Ingest(e, e.All())
	_, err := inTx(w, func(ctx context.Context, tx store.Tx) (regions.Closing, error) {
		return w.Regions.CloseTx(ctx, tx, "north", "the site burnt down")
	})
	w.must(err)
	w.Deposit("u1", "k2", 30)
	o, err := w.open(1, regions.Heir{})
	w.must(err)
	w.prepare(o)
	_, refused := w.hello(e, 6, 9)
	w.stale("a node that was thought burnt", "was given to new", refused)
	welcome, refused := w.hello(NewEdge("north"), 0, 1)
	if refused != nil || welcome.Epoch != 2 {
		t.Fatalf("founded anew: %+v, %v", welcome, refused)
	}
	w.must(func() error {
		_, err := inTx(w, func(ctx context.Context, tx store.Tx) (regions.Closing, error) {
			return w.Regions.AllowReleaseTx(ctx, tx, "north", 0, "no disk was found")
		})
		return err
	}())
	_, err = inTx(w, func(ctx context.Context, tx store.Tx) (regions.Suspended, error) {
		return w.Regions.ReleaseSuspenseTx(ctx, tx, "north", 0, "")
	})
	w.must(err)
	w.suspense("released", 0, 0)
	if claims, err := claimsOf(w, "a-u1"); err != nil || len(claims) != 1 || claims[0].Kind != "debt" || claims[0].Amount != 12 || claims[0].Open() != 0 {
		t.Errorf("what was lent: %+v, %v", claims, err)
	}
	for _, c := range []struct {
		bucket  string
		granted int64 // in epoch 2
		debited int64
	}{{"a-u1/cash", 90, 12}, {"north/1/3", 0, 5000}, {"north/1/4", 0, 7}, {"north/1/5", 2, 0}} {
		w.must(w.Backend.View(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
			list, err := w.Backend.Buckets(tx).Load(ctx, []string{c.bucket})
			if err != nil || len(list) != 1 {
				return fmt.Errorf("%v, %w", list, err)
			}
			got := money.Amount(0)
			if l := list[0].Lease("north", 2); l != nil {
				got = money.Amount(l.Totals.G)
			}
			if int64(got) != c.granted || list[0].Debited != c.debited {
				t.Errorf("bucket %s: %d leased, %d debited; want %d, %d", c.bucket, int64(got), list[0].Debited, c.granted, c.debited)
			}
			return nil
		}))
	}
}
