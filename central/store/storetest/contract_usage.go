package storetest

import (
	"fmt"
	"testing"

	"meridian/central/fault"
	"meridian/central/ledger"
)

// Usage of a region and period comes page by page, each record once, with what it
// cost.
func testUsage(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Region("south")
	w.Subscriber("u1", "north")
	v1, err := w.Catalog.List(w.Ctx, "", 0, 1)
	w.must(err)
	e := NewEdge("north")
	e.Add(Epoch())
	for n := range uint32(5) {
		entries := cut(n+1, uint64(n)*100, 100, &v1[0].Offering, 0, 100_000, "owed")
		for i := range entries {
			entries[i].At = start + int64(n)*60e6
		}
		entries[0].Usage.From, entries[0].Usage.To = start/1e6+int64(n)*60, start/1e6+int64(n+1)*60
		e.Add(entries...)
	}
	unknown := cut(6, 500, 1, &v1[0].Offering, 0, 0, "")
	unknown[0].At, unknown[0].Usage.OfferingVersion = start+100e6, 9
	e.Add(unknown...)
	w.Ingest(e, e.All())
	got, pages := "", 0
	for after := (ledger.Place{}); ; pages++ {
		page, err := w.Usage.Read(w.Ctx, "north", start+60e6, start+240e6, after, 2)
		w.must(err)
		for _, x := range page.Events {
			got += fmt.Sprintln(x.Subscription, x.Offering, x.Usage, x.Session, x.Start, x.End, x.Quantity, x.Charged)
		}
		if page.Skipped > 0 {
			got += "skipped\n"
		}
		if page.Next == nil {
			break
		}
		after = *page.Next
	}
	want := `s-u1 prepaid usage nas-1/sess-u1@1795219200#1 2026-11-21T00:01:00Z 2026-11-21T00:02:00Z 100MB 0.10
s-u1 prepaid usage nas-1/sess-u1@1795219200#1 2026-11-21T00:02:00Z 2026-11-21T00:03:00Z 100MB 0.10
s-u1 prepaid usage nas-1/sess-u1@1795219200#1 2026-11-21T00:03:00Z 2026-11-21T00:04:00Z 100MB 0.10
skipped
`
	if got != want || pages != 2 {
		t.Errorf("after %d pages:\n%swant\n%s", pages, got, want)
	}
	if page, err := w.Usage.Read(w.Ctx, "south", 0, start*2, ledger.Place{}, 10); err != nil || len(page.Events) != 0 || page.Next != nil {
		t.Errorf("of a region without usage: %+v, %v", page, err)
	}
	if _, err := w.Usage.Read(w.Ctx, "", 0, 1, ledger.Place{}, 10); !fault.Is(err, fault.Invalid) {
		t.Errorf("of no region: %v", err)
	}
}
