package cockroach

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"meridian/central/buckets"
	"meridian/central/regions"
	"meridian/central/store"
)

// markEnded finds the leases whose epoch has ended: a later one was issued, or the
// region was closed. Regions are few and hardly change.
func (t bucketStore) markEnded(ctx context.Context, leases []buckets.Lease) error {
	var names []string
	for i := range leases {
		names = append(names, leases[i].Region)
	}
	if slices.Sort(names); len(names) == 0 {
		return nil
	}
	type present struct {
		name    string
		epoch   uint64
		revoked bool
	}
	list, err := rows(ctx, t.tx, "epochs of leases", func(r pgx.CollectableRow) (p present, err error) {
		return p, r.Scan(&p.name, &p.epoch, &p.revoked)
	}, `SELECT name, epoch, revoked FROM regions WHERE name = ANY($1::TEXT[])`, slices.Compact(names))
	if err != nil {
		return err
	}
	now := make(map[string]present, len(list))
	for _, p := range list {
		now[p.name] = p
	}
	for i := range leases {
		p := now[leases[i].Region]
		leases[i].Ended = p.revoked || leases[i].Epoch < p.epoch
	}
	return nil
}

func (t bucketStore) EndedLeases(ctx context.Context, region, after string, limit int) ([]string, error) {
	return rows(ctx, t.tx, "leases in suspense", pgx.RowTo[string], `SELECT DISTINCT l.bucket FROM leases AS l JOIN regions AS r ON r.name = l.region
		WHERE l.region = $1 AND l.bucket > $2 AND (r.revoked OR l.epoch < r.epoch)
			AND l.granted + l.taken + l.borrowed - l.repaid - l.spent - l.returned > l.released
		ORDER BY l.bucket LIMIT $3`, region, after, limit)
}

func (t regionStore) Close(ctx context.Context, c regions.Closing) error {
	if err := t.execN(ctx, 1, store.ErrConflict, "close region", `UPDATE regions SET revoked = TRUE WHERE name = $1 AND NOT revoked`, c.Region); err != nil {
		return err
	}
	_, err := t.exec(ctx, "insert closing", `INSERT INTO region_closings (region, epoch, seq, closed_at, reason, released_at, release_reason)
		VALUES ($1, $2, $3, $4, $5, 0, '')`, c.Region, int64(c.Epoch), int64(c.Seq), c.At, c.Reason)
	return err
}

func (t regionStore) Closing(ctx context.Context, region string) (regions.Closing, error) {
	c, err := row(ctx, t.tx, "closing", func(r pgx.CollectableRow) (c regions.Closing, err error) {
		return c, r.Scan(&c.Region, &c.Epoch, &c.Seq, &c.At, &c.Reason, &c.ReleasedAt, &c.ReleaseReason)
	}, `SELECT region, epoch, seq, closed_at, reason, released_at, release_reason FROM region_closings WHERE region = $1`, region)
	if err != nil {
		return c, fmt.Errorf("closing of region %s: %w", region, err)
	}
	return c, nil
}

func (t regionStore) AllowRelease(ctx context.Context, region string, at int64, reason string) error {
	return t.execN(ctx, 1, store.ErrConflict, "allow a release", `UPDATE region_closings SET released_at = $2, release_reason = $3
		WHERE region = $1 AND released_at = 0`, region, at, reason)
}
