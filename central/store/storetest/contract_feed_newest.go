package storetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"meridian/internal/feed"
	"meridian/internal/money"
)

// Newest leaves out what newer rows have overtaken and nothing else, wherever it is
// begun and however short its pages are; before an order all is as it was placed upon.
func testFeedNewest(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	order := 0
	place := func() {
		order++
		_, err := w.Orders.Place(w.Ctx, feed.Order{ID: fmt.Sprint("o", order), Subscription: "s-u1", Action: feed.ActionBar})
		w.must(err)
	}
	for _, u := range []string{"u1", "u2", "u3"} {
		w.Subscriber(u, "north")
	}
	for i := range 24 {
		w.Deposit(fmt.Sprint("u", 1+i%3), fmt.Sprint("k", i), money.Micro)
		if i == 7 || i == 8 || i == 19 {
			place()
		}
		w.Drain()
	}
	all, err := w.Sequencer.Rows(w.Ctx, "north", 0, 1000)
	w.must(err)
	type state map[string]uint64                   // version of each entity
	before := func(rows []feed.Row) (at []state) { // each order, and at the end
		now := state{}
		for _, r := range rows {
			if r.Kind == feed.KindOrder {
				at = append(at, maps.Clone(now))
			}
			now[string(r.Kind)+r.ID] = r.Version
		}
		return append(at, now)
	}
	for limit := 1; limit <= 40; limit += 3 {
		for after := uint64(0); after < uint64(len(all)); after += 5 {
			got := slices.Clone(all[:after])
			for at := after; ; {
				page, err := w.Sequencer.Newest(w.Ctx, "north", at, limit)
				w.must(err)
				if len(page) == 0 {
					break
				}
				for _, r := range page {
					if r.Number-r.Skipped != at+1 || r.Number <= at {
						t.Fatalf("limit %d: row %d skips %d after %d", limit, r.Number, r.Skipped, at)
					}
					at = r.Number
				}
				got = append(got, page...)
			}
			if have, want := before(got), before(all); !slices.EqualFunc(have, want, maps.Equal[state, state]) {
				t.Fatalf("limit %d after %d: at orders and the end %v, want %v", limit, after, have, want)
			}
			if after == 0 && limit > 1 && len(got) > len(all)-8 {
				t.Errorf("limit %d: %d of %d rows are left", limit, len(got), len(all))
			}
		}
	}
}
