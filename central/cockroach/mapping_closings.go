package cockroach

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/regions"
	"meridian/central/store"
	"meridian/internal/journal"
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

func (t bucketStore) EndedLeases(ctx context.Context, region string, epoch uint64, after string, limit int) ([]string, error) {
	return rows(ctx, t.tx, "leases in suspense", pgx.RowTo[string], `SELECT l.bucket FROM leases AS l JOIN regions AS r ON r.name = l.region
		WHERE l.region = $1 AND l.epoch = $2 AND l.bucket > $3 AND (r.revoked OR l.epoch < r.epoch)
			AND (l.granted + l.taken + l.borrowed - l.repaid - l.spent - l.returned > l.released OR l.borrowed > l.repaid)
		ORDER BY l.bucket LIMIT $4`, region, int64(epoch), after, limit)
}

func (t regionStore) Revoke(ctx context.Context, region string) error {
	return t.execN(ctx, 1, store.ErrConflict, "close region", `UPDATE regions SET revoked = TRUE WHERE name = $1 AND NOT revoked`, region)
}

func (t regionStore) PutClosing(ctx context.Context, c regions.Closing) error {
	_, err := t.exec(ctx, "insert closing", `INSERT INTO epoch_closings (region, epoch, seq, closed_at, reason, released_at, release_reason)
		VALUES ($1, $2, $3, $4, $5, 0, '')`, c.Region, int64(c.Epoch), int64(c.Seq), c.At, c.Reason)
	return err
}

func (t regionStore) Closing(ctx context.Context, region string, epoch uint64) (regions.Closing, error) {
	c, err := row(ctx, t.tx, "closing", func(r pgx.CollectableRow) (c regions.Closing, err error) {
		return c, r.Scan(&c.Region, &c.Epoch, &c.Seq, &c.At, &c.Reason, &c.ReleasedAt, &c.ReleaseReason)
	}, `SELECT region, epoch, seq, closed_at, reason, released_at, release_reason FROM epoch_closings WHERE region = $1 AND epoch = $2`, region, int64(epoch))
	if err != nil {
		return c, fmt.Errorf("end of epoch %d of region %s: %w", epoch, region, err)
	}
	return c, nil
}

func (t regionStore) AllowRelease(ctx context.Context, region string, epoch uint64, at int64, reason string) error {
	return t.execN(ctx, 1, store.ErrConflict, "allow a release", `UPDATE epoch_closings SET released_at = $3, release_reason = $4
		WHERE region = $1 AND epoch = $2 AND released_at = 0`, region, int64(epoch), at, reason)
}

func (t regionStore) Begin(ctx context.Context, o regions.Opening, previous journal.Hash) error {
	if err := t.execN(ctx, 1, store.ErrConflict, "issue an epoch", `UPDATE regions SET epoch = $2, revoked = FALSE WHERE name = $1 AND epoch = $2 - 1`,
		o.Region, int64(o.Epoch)); err != nil {
		return err
	}
	if _, err := t.exec(ctx, "insert epoch", `INSERT INTO epochs (region, epoch, prev_hash, seq, hash, raft_term, started_at) VALUES ($1, $2, $3, 0, $4, 0, $5)`,
		o.Region, int64(o.Epoch), previous[:], make([]byte, len(previous)), o.At); err != nil {
		return err
	}
	_, err := t.exec(ctx, "insert opening", `INSERT INTO epoch_openings (region, epoch, heir_epoch, heir_seq, heir_hash, opened_at, after_id, services, ready_at)
		VALUES ($1, $2, $3, $4, $5, $6, '', 0, 0)`, o.Region, int64(o.Epoch), int64(o.Heir.Epoch), int64(o.Heir.Seq), o.Heir.Hash[:], o.At)
	return err
}

func (t regionStore) Opening(ctx context.Context, region string, epoch uint64) (regions.Opening, error) {
	return row(ctx, t.tx, "opening", func(r pgx.CollectableRow) (o regions.Opening, err error) {
		var hash []byte
		err = r.Scan(&o.Region, &o.Epoch, &o.Heir.Epoch, &o.Heir.Seq, &hash, &o.At, &o.After, &o.Services, &o.ReadyAt)
		copy(o.Heir.Hash[:], hash)
		return o, err
	}, `SELECT region, epoch, heir_epoch, heir_seq, heir_hash, opened_at, after_id, services, ready_at FROM epoch_openings
		WHERE region = $1 AND epoch = $2`, region, int64(epoch))
}

func (t regionStore) SaveOpening(ctx context.Context, o regions.Opening) error {
	return t.execN(ctx, 1, store.ErrNotFound, "save an opening", `UPDATE epoch_openings SET after_id = $3, services = $4, ready_at = $5
		WHERE region = $1 AND epoch = $2`, o.Region, int64(o.Epoch), o.After, int64(o.Services), o.ReadyAt)
}

func (t ledgerStore) ServiceOf(ctx context.Context, subscriptions []string) ([]journal.Entry, error) {
	return rows(ctx, t.tx, "fees and allowances of subscriptions", func(r pgx.CollectableRow) (e journal.Entry, err error) {
		var raw []byte
		if err := r.Scan(&raw); err != nil {
			return e, err
		}
		return journal.DecodeEntry(raw)
	}, `SELECT raw FROM ledger_entries WHERE subscription = ANY($1::TEXT[]) AND kind IN (4, 14, 18, 19, 20) AND NOT suspense
		ORDER BY subscription, region, epoch, seq`, subscriptions) // recurring, given, one_time, credit, owed
}

func (t accountStore) SubscriptionsAt(ctx context.Context, home, after string, limit int) ([]accounts.Subscription, error) {
	return rows(ctx, t.tx, "subscriptions of a home", scanSubscription,
		`SELECT `+subscriptionColumns+` FROM subscriptions WHERE home = $1 AND id > $2 ORDER BY id LIMIT $3`, home, after, limit)
}

func (t orderStore) RefuseOpen(ctx context.Context, region, detail string, at int64) error {
	_, err := t.exec(ctx, "refuse open orders", `UPDATE orders SET status = 'refused', detail = $2, done_at = $3 WHERE region = $1 AND status = 'open'`, region, detail, at)
	return err
}
