package memstore

import (
	"context"
	"fmt"
	"slices"

	"meridian/central/regions"
	"meridian/central/store"
)

func (t bucketStore) EndedLeases(_ context.Context, region, after string, limit int) ([]string, error) {
	var out []string
	for k, l := range t.s.leases {
		r := t.s.regions[l.Region]
		if k.region == region && k.bucket > after && (r.Revoked || l.Epoch < r.Epoch) && l.Totals.Out() > l.Released {
			out = append(out, k.bucket)
		}
	}
	slices.Sort(out)
	return first(slices.Compact(out), limit), nil
}

func (t regionStore) Close(ctx context.Context, c regions.Closing) error {
	r, err := t.Get(ctx, c.Region, true)
	if err != nil {
		return err
	}
	if r.Revoked {
		return fmt.Errorf("region %s: %w", c.Region, store.ErrConflict)
	}
	r.Revoked = true
	put(t.tx, t.s.regions, c.Region, r)
	put(t.tx, t.s.closings, c.Region, c)
	return nil
}

func (t regionStore) Closing(_ context.Context, region string) (regions.Closing, error) {
	c, ok := t.s.closings[region]
	if !ok {
		return c, fmt.Errorf("closing of region %s: %w", region, store.ErrNotFound)
	}
	return c, nil
}

func (t regionStore) AllowRelease(_ context.Context, region string, at int64, reason string) error {
	c, ok := t.s.closings[region]
	if !ok || c.ReleasedAt != 0 {
		return fmt.Errorf("closing of region %s: %w", region, store.ErrConflict)
	}
	c.ReleasedAt, c.ReleaseReason = at, reason
	put(t.tx, t.s.closings, region, c)
	return nil
}
