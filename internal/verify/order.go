package verify

import (
	"fmt"

	"meridian/internal/feed"
)

// readFeed checks a region's numbered rows, compares them with what its nodes
// have applied, and returns the orders that the feed holds; nil when it could not
// be read.
func (a *audit) readFeed(region *Region) map[string]bool {
	v := &a.v9
	type entity struct{ kind, id string }
	newest := map[entity]uint64{}
	orders := map[string]bool{}
	var last uint64
	err := a.centre.FeedRows(a.ctx, region.Name, func(number uint64, kind, id string, version uint64) error {
		v.checked++
		row := fmt.Sprintf("feed row %s/%d (%s %s version %d)", region.Name, number, kind, id, version)
		if number != last+1 {
			v.fail("%s follows row %d: the feed is not dense, an edge would stop before it", row, last)
		}
		last = number
		e := entity{kind, id}
		if before, ok := newest[e]; ok && version <= before {
			v.fail("%s comes after version %d: an edge passes it over", row, before)
		}
		newest[e] = version
		if kind == string(feed.KindOrder) {
			orders[id] = true
		}
		return nil
	})
	if a.unread("the feed of "+region.Name, err, v) {
		return nil
	}
	if last != region.FeedLast {
		v.fail("feed of region %s: the sequencer gave number %d last, the last row is %d: %d rows are missing", region.Name, region.FeedLast, last, int64(region.FeedLast)-int64(last))
	}
	for _, r := range a.reports[region.Name] {
		v.checked++
		if r.FeedVersion > region.FeedLast {
			v.fail("%s stands at feed row %d, the centre numbered %d: it has %d that the centre never sent", r.label, r.FeedVersion, region.FeedLast, r.FeedVersion-region.FeedLast)
		}
		if r.FeedApplied != r.FeedVersion {
			v.fail("%s stands at feed row %d and applied %d rows: %d were skipped or applied twice", r.label, r.FeedVersion, r.FeedApplied, int64(r.FeedVersion)-int64(r.FeedApplied))
		}
	}
	return orders
}
