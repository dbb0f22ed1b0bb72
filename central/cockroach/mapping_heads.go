package cockroach

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/central/regions"
	"meridian/internal/journal"
)

func (t regionStore) Hold(ctx context.Context, h regions.Hold) error {
	_, err := t.exec(ctx, "hold a region", `INSERT INTO region_holds (region, at_us, node, reason) VALUES ($1, $2, $3, $4) ON CONFLICT (region) DO NOTHING`,
		h.Region, h.At, h.Node, h.Reason)
	return err
}

func (t regionStore) Release(ctx context.Context, region string) (regions.Hold, error) {
	return row(ctx, t.tx, "hold", func(r pgx.CollectableRow) (h regions.Hold, err error) {
		return h, r.Scan(&h.Region, &h.At, &h.Node, &h.Reason)
	}, `DELETE FROM region_holds WHERE region = $1 RETURNING region, at_us, node, reason`, region)
}

func scanHead(r pgx.CollectableRow) (h regions.SignedHead, err error) {
	if err := r.Scan(&h.Raw, &h.ReceivedAt); err != nil {
		return h, err
	}
	if h.SignedHead, err = journal.DecodeSignedHead(h.Raw); err != nil {
		return h, fmt.Errorf("stored head: %w", err)
	}
	return h, nil
}

func (t regionStore) PendingHeads(ctx context.Context, region string, epoch, upTo uint64, limit int) ([]regions.SignedHead, error) {
	return rows(ctx, t.tx, "heads that wait", scanHead, `SELECT raw, received_at FROM heads_pending
		WHERE region = $1 AND epoch = $2 AND seq <= $3 ORDER BY node, log_index LIMIT $4`, region, int64(epoch), int64(upTo), limit)
}

// headKeys are the columns that name heads: region, epoch, node, log index.
func headKeys(in []regions.SignedHead) (names []string, epochs []int64, nodes []string, indexes []int64) {
	return column(in, func(h regions.SignedHead) string { return h.Region }), column(in, func(h regions.SignedHead) int64 { return int64(h.Epoch) }),
		column(in, func(h regions.SignedHead) string { return h.Node }), column(in, func(h regions.SignedHead) int64 { return int64(h.Index) })
}

func (t regionStore) PutPending(ctx context.Context, in []regions.SignedHead) error {
	names, epochs, nodes, indexes := headKeys(in)
	_, err := t.exec(ctx, "keep heads that wait", `INSERT INTO heads_pending (region, epoch, node, log_index, seq, raw, received_at)
		SELECT region, epoch, node, log_index, seq, raw, received_at
		FROM unnest($1::TEXT[], $2::INT8[], $3::TEXT[], $4::INT8[], $5::INT8[], $6::BYTEA[], $7::INT8[]) AS t (region, epoch, node, log_index, seq, raw, received_at)
		ON CONFLICT (region, epoch, node, log_index) DO NOTHING`,
		names, epochs, nodes, indexes, column(in, func(h regions.SignedHead) int64 { return int64(h.Seq) }),
		column(in, func(h regions.SignedHead) []byte { return h.Raw }), column(in, func(h regions.SignedHead) int64 { return h.ReceivedAt }))
	return err
}

func (t regionStore) TakePending(ctx context.Context, in []regions.SignedHead) error {
	names, epochs, nodes, indexes := headKeys(in)
	_, err := t.exec(ctx, "take heads that waited", `DELETE FROM heads_pending AS p
		USING unnest($1::TEXT[], $2::INT8[], $3::TEXT[], $4::INT8[]) AS d (region, epoch, node, log_index)
		WHERE p.region = d.region AND p.epoch = d.epoch AND p.node = d.node AND p.log_index = d.log_index`, names, epochs, nodes, indexes)
	return err
}

func (t regionStore) DropPending(ctx context.Context, region string) ([]regions.SignedHead, error) {
	return rows(ctx, t.tx, "heads given up", scanHead, `DELETE FROM heads_pending WHERE region = $1 RETURNING raw, received_at`, region)
}

func (t regionStore) PutChecked(ctx context.Context, in []regions.SignedHead) error {
	names, epochs, nodes, indexes := headKeys(in)
	_, err := t.exec(ctx, "keep checked heads", `INSERT INTO heads_checked (region, epoch, node, hour, log_index, raw, received_at)
		SELECT region, epoch, node, hour, log_index, raw, received_at
		FROM unnest($1::TEXT[], $2::INT8[], $3::TEXT[], $4::INT8[], $5::INT8[], $6::BYTEA[], $7::INT8[]) AS t (region, epoch, node, hour, log_index, raw, received_at)
		ON CONFLICT (region, epoch, node, hour) DO UPDATE SET log_index = excluded.log_index, raw = excluded.raw, received_at = excluded.received_at
		WHERE heads_checked.log_index < excluded.log_index`,
		names, epochs, nodes, column(in, func(h regions.SignedHead) int64 { return h.Hour() }), indexes,
		column(in, func(h regions.SignedHead) []byte { return h.Raw }), column(in, func(h regions.SignedHead) int64 { return h.ReceivedAt }))
	return err
}

// Heads implements verify.CentreReader: the checked ones first, then those that
// wait.
func (r *Reader) Heads(ctx context.Context, region string, fn func(raw []byte) error) error {
	type head struct {
		epoch, place int64
		node         string
		raw          []byte
	}
	for _, sql := range []string{
		`SELECT epoch, node, hour, raw FROM heads_checked WHERE region = $1 AND (epoch, node, hour) > ($2, $3, $4) ORDER BY epoch, node, hour LIMIT $5`,
		`SELECT epoch, node, log_index, raw FROM heads_pending WHERE region = $1 AND (epoch, node, log_index) > ($2, $3, $4) ORDER BY epoch, node, log_index LIMIT $5`,
	} {
		err := walk(func(last *head) ([]head, error) {
			if last == nil {
				last = &head{}
			}
			return rows(ctx, r.t, "signed heads", func(row pgx.CollectableRow) (h head, err error) {
				return h, row.Scan(&h.epoch, &h.node, &h.place, &h.raw)
			}, sql, region, last.epoch, last.node, last.place, readerPage)
		}, func(h head) error { return fn(h.raw) })
		if err != nil {
			return err
		}
	}
	return nil
}
