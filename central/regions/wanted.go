package regions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"meridian/central/buckets"
	"meridian/central/feed"
	"meridian/central/store"
	"meridian/replication/link"
)

// wantedPage is how many buckets one transaction looks at.
const wantedPage = 500

// Wanted implements link.Sink: each bucket's grant is raised towards the wanted
// total by what no region holds. Totals make it repeatable: asking twice grants
// once.
func (s *Service) Wanted(ctx context.Context, region string, w link.Wanted) error {
	items := slices.Clone(w.Items)
	slices.SortStableFunc(items, func(a, b link.WantedItem) int { return cmp.Compare(a.Bucket, b.Bucket) })
	for page := range slices.Chunk(items, wantedPage) {
		type result struct{ grants, unknown int }
		out, err := store.Run(ctx, s.Runner, "regions.wanted", func(ctx context.Context, tx store.Tx) (result, error) {
			grants, unknown, err := s.grant(ctx, tx, region, page)
			return result{grants, unknown}, err
		})
		if err != nil {
			return fmt.Errorf("grant what region %s wants: %w", region, unwell(err))
		}
		s.stats.Grants.Add(uint64(out.grants))
		s.stats.UnknownAsk.Add(uint64(out.unknown))
	}
	return nil
}

func (s *Service) grant(ctx context.Context, tx store.Tx, region string, items []link.WantedItem) (grants, unknown int, err error) {
	epoch, revoked, err := s.Stores(tx).Current(ctx, region)
	if errors.Is(err, store.ErrNotFound) || (err == nil && revoked) {
		return 0, len(items), nil // the stream of such a region is refused anyway
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read region %s: %w", region, err)
	}
	ids := make([]string, 0, len(items))
	want := make(map[string]int64, len(items))
	for _, it := range items {
		if it.Epoch != epoch {
			unknown++
			continue
		}
		ids = append(ids, it.Bucket)
		want[it.Bucket] = max(want[it.Bucket], it.Total)
	}
	states, err := s.Buckets(tx).Load(ctx, slices.Compact(ids))
	if err != nil {
		return 0, 0, fmt.Errorf("read buckets: %w", err)
	}
	var leases []buckets.Lease
	var rows []feed.Change
	for i := range states {
		state := &states[i]
		l := state.Lease(region, epoch)
		if l == nil {
			unknown++ // a region gets its first lease from a subscription, not by asking
			continue
		}
		n, err := state.Grant(l, want[state.ID]-l.Totals.G)
		if err != nil {
			return 0, 0, err
		}
		changed := n > 0 || want[state.ID] > l.Wanted
		l.Wanted = max(l.Wanted, want[state.ID])
		if n > 0 {
			grants++
			row, err := state.Announce(l)
			if err != nil {
				return 0, 0, err
			}
			rows = append(rows, row)
		}
		if changed {
			leases = append(leases, *l)
		}
	}
	if len(leases) == 0 {
		return 0, unknown, nil
	}
	if err := s.Buckets(tx).SaveLeases(ctx, leases); err != nil {
		return 0, 0, fmt.Errorf("save %d leases: %w", len(leases), err)
	}
	return grants, unknown, s.Changes.Append(ctx, tx, rows...)
}
