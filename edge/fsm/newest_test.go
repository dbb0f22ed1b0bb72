package fsm

import (
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/money"
)

// Rows that the centre left out are counted; a row that does not follow what is
// counted is refused, and changes nothing.
func TestRowsLeftOutAreCounted(t *testing.T) {
	r := newRegion(t, 5*money.Micro, perGigabyte())
	lease := func(number, skipped, version uint64, granted int64) command.Result {
		body, err := feed.Encode(&feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 1, Granted: granted})
		if err != nil {
			t.Fatal(err)
		}
		return r.apply(&command.Feed{Rows: []feed.Row{{Number: number, Skipped: skipped, Kind: feed.KindLease, ID: "a/cash", Version: version, Body: body}}})
	}
	at := r.s.FeedVersion
	for _, wrong := range [][2]uint64{{at + 5, 3}, {at + 5, 5}, {at + 5, at + 5}, {at + 5, at + 6}, {at + 2, 0}} {
		before := r.s.Hash()
		if res := lease(wrong[0], wrong[1], 9, 7_000_000); res.Code != command.OutOfOrder || r.s.Hash() != before {
			t.Errorf("row %d that skips %d after %d: %+v", wrong[0], wrong[1], at, res)
		}
	}
	r.want("accepted", lease(at+5, 4, 6, 7_000_000).Code, command.OK)
	r.want("granted", r.s.buckets.get("a/cash").G, 7_000_000)
	r.want("all are accounted for", []uint64{r.s.FeedVersion, r.s.FeedApplied}, []uint64{at + 5, at + 5})
	r.want("one that was left out comes late", lease(at+3, 0, 4, 9_000_000).Code, command.Repeated)
	r.want("an older version", lease(at+6, 0, 5, 9_000_000).Code, command.OK)
	r.want("still granted", r.s.buckets.get("a/cash").G, 7_000_000)
}
