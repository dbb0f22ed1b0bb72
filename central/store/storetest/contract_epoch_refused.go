package storetest

import (
	"testing"

	"meridian/central/fault"
	"meridian/central/regions"
	"meridian/internal/journal"
	"meridian/replication/link"
)

// An epoch that is served cannot be ended by mistake: not by a request that was approved
// twice, nor for a ledger that may go on as it is, nor of a region that is connected.
func testNewEpochRefused(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k1", 100)
	e := NewEdge("north")
	e.Add(Epoch(), fee("u1", 1000, 20), Moved(journal.KindOrderDebit, "u1", 1), Moved(journal.KindOrderDebit, "u1", 2))
	w.Ingest(e, e.Batch(1, 3))
	if _, refused := w.hello(e, 4, 1); refused != nil {
		t.Fatal(refused)
	}
	conflict := func(what string, ends uint64, heir regions.Heir) {
		t.Helper()
		if o, err := w.open(ends, heir); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %+v, %v", what, o, err)
		}
	}
	restored := regions.Heir{Epoch: 1, Seq: 2, Hash: e.Hashes[2]}
	conflict("a backlog that the centre has not taken yet", 1, regions.Heir{Epoch: 1, Seq: 4, Hash: e.Hashes[4]})
	conflict("all is accepted", 1, regions.Heir{Epoch: 1, Seq: 3, Hash: e.Hashes[3]})
	conflict("not closed", 1, regions.Heir{})
	w.Regions.Health(w.Ctx, "north", link.Health{Mode: "connected"})
	conflict("connected", 1, restored)
	w.suspense("nothing has ended", 0, 0)
	w.clock.Add(120_000_000) // µs: not heard since
	o, err := w.open(1, restored)
	w.must(err)
	conflict("the same request, approved again", 1, restored)
	w.prepare(o)
	if _, refused := w.hello(e, 2, 1); refused != nil {
		t.Fatal(refused)
	}
	conflict("approved again after the heir has taken it", 1, restored)
	served := NewEdge("north")
	served.Epoch = 2
	served.Add(began(e, 3), Moved(journal.KindOrderDebit, "u1", 1))
	conflict("the ledger of the epoch that is served", 2, regions.Heir{Epoch: 2, Seq: 2, Hash: served.Hashes[2]})
	if _, refused := w.hello(served, 2, 1); refused != nil {
		t.Errorf("it goes on: %v", refused)
	}
}
