package feed

import (
	"context"

	"meridian/central/store"
	"meridian/internal/feed"
)

// newestPages bounds the pages of which nothing is left that one call goes through.
const newestPages = 100

// Newest is Rows without what newer rows have overtaken: a new region, or one that was
// away for long, gets each entity once. What is left out is counted in Skipped of the
// row that follows, so that numbers stay dense. An order keeps what lies before it: a
// row is left out only for one that comes before the next order. Rows that are numbered
// already never change, so who asks again from a number that it has gets what follows,
// at any server.
func (s *Sequencer) Newest(ctx context.Context, region string, after uint64, limit int) ([]feed.Row, error) {
	done := after // last number that is given out or counted as skipped
	for at := after; ; {
		page, upto, err := s.newestPage(ctx, region, at, limit)
		if err != nil || len(page) == 0 {
			return nil, err
		}
		last := page[len(page)-1].Number
		kept := page[:0]
		for _, r := range page {
			if r.Skipped == 0 {
				r.Skipped = r.Number - done - 1
				done = r.Number
				kept = append(kept, r)
			}
		}
		if len(kept) > 0 {
			return kept, nil
		}
		if at = last; at >= upto || at > after+uint64(newestPages*limit) {
			return s.Rows(ctx, region, after, limit) // all the same
		}
	}
}

// newestPage reads rows after a number, up to the next order. Skipped is not zero for
// those that a row up to upto has overtaken.
func (s *Sequencer) newestPage(ctx context.Context, region string, after uint64, limit int) (page []feed.Row, upto uint64, err error) {
	page, err = store.Read(ctx, s.runner, "feed.newest", func(ctx context.Context, tx store.Tx) (page []feed.Row, err error) {
		st := s.stores(tx)
		if upto, err = st.NextOrder(ctx, region, after); err == nil && upto == 0 {
			upto, err = st.Last(ctx, region)
		}
		if err != nil {
			return nil, err
		}
		if page, err = st.Rows(ctx, region, after, limit); err != nil {
			return nil, err
		}
		for i := range page {
			if page[i].Number > upto {
				page = page[:i]
				break
			}
		}
		newest, err := st.Newest(ctx, region, upto, page)
		for i := range newest {
			if newest[i] > page[i].Version && overtaken(page[i].Kind) {
				page[i].Skipped = 1
			}
		}
		return page, err
	})
	return page, upto, err
}

// overtaken tells whether a newer row of a kind makes an older one idle. The other
// kinds are few, and rows in between may need the version that they were made with.
func overtaken(k feed.Kind) bool { return k == feed.KindLease || k == feed.KindSubscription }
