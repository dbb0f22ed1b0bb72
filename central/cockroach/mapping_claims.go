package cockroach

import (
	"context"

	"github.com/jackc/pgx/v5"

	"meridian/central/buckets"
	"meridian/central/store"
	"meridian/internal/journal"
)

const claimColumns = `bucket, id, account, unit, kind, payment, amount, served, at_us, reason`

func scanClaim(r pgx.CollectableRow) (c buckets.Claim, err error) {
	var unit, kind string
	err = r.Scan(&c.Bucket, &c.ID, &c.Account, &unit, &kind, &c.Payment, &c.Amount, &c.Served, &c.At, &c.Reason)
	c.Unit, c.Kind = journal.Unit(unit), buckets.ClaimKind(kind)
	return c, err
}

// openClaims reads the open claims of buckets, by bucket.
func (t bucketStore) openClaims(ctx context.Context, found []buckets.Bucket) (map[string][]buckets.Claim, error) {
	list, err := rows(ctx, t.tx, "open claims", scanClaim, `SELECT `+claimColumns+` FROM claims
		WHERE bucket = ANY($1::TEXT[]) AND served < amount ORDER BY bucket, id`, column(found, func(b buckets.Bucket) string { return b.ID }))
	return byBucket(list), err
}

// allClaims reads all claims on buckets, by bucket.
func (t bucketStore) allClaims(ctx context.Context, found []buckets.Bucket) (map[string][]buckets.Claim, error) {
	list, err := rows(ctx, t.tx, "claims", scanClaim, `SELECT `+claimColumns+` FROM claims
		WHERE bucket = ANY($1::TEXT[]) ORDER BY bucket, id`, column(found, func(b buckets.Bucket) string { return b.ID }))
	return byBucket(list), err
}

func byBucket(list []buckets.Claim) map[string][]buckets.Claim {
	out := make(map[string][]buckets.Claim)
	for _, c := range list {
		out[c.Bucket] = append(out[c.Bucket], c)
	}
	return out
}

func (t bucketStore) InsertClaim(ctx context.Context, c buckets.Claim) error {
	_, err := t.exec(ctx, "insert claim", `INSERT INTO claims (`+claimColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		c.Bucket, c.ID, c.Account, string(c.Unit), string(c.Kind), c.Payment, c.Amount, c.Served, c.At, c.Reason)
	return err
}

func (t bucketStore) ClaimMade(ctx context.Context, bucket, id string) (bool, error) {
	return row(ctx, t.tx, "claim made", pgx.RowTo[bool], `SELECT EXISTS (SELECT 1 FROM claims WHERE bucket = $1 AND id = $2)`, bucket, id)
}

func (t bucketStore) SaveClaims(ctx context.Context, in []buckets.Claim) error {
	if len(in) == 0 {
		return nil
	}
	return t.execN(ctx, len(in), store.ErrNotFound, "serve claims", `UPDATE claims AS c SET served = d.served
		FROM unnest($1::TEXT[], $2::TEXT[], $3::INT8[]) AS d (bucket, id, served) WHERE c.bucket = d.bucket AND c.id = d.id`,
		column(in, func(c buckets.Claim) string { return c.Bucket }), column(in, func(c buckets.Claim) string { return c.ID }),
		column(in, func(c buckets.Claim) int64 { return c.Served }))
}

func (t bucketStore) ClaimsOf(ctx context.Context, account string, from, to int64, limit int) ([]buckets.Claim, error) {
	return rows(ctx, t.tx, "claims of an account", scanClaim, `SELECT `+claimColumns+` FROM claims
		WHERE account = $1 AND at_us >= $2 AND at_us < $3 ORDER BY at_us, id LIMIT $4`, account, from, to, limit)
}

func (t bucketStore) Claim(ctx context.Context, id string) (buckets.Claim, error) {
	return row(ctx, t.tx, "claim", scanClaim, `SELECT `+claimColumns+` FROM claims WHERE id = $1`, id)
}

func (t bucketStore) ClaimedBefore(ctx context.Context, account string, before int64) (int64, error) {
	return row(ctx, t.tx, "claims before", pgx.RowTo[int64],
		`SELECT coalesce(sum(amount), 0)::INT8 FROM claims WHERE account = $1 AND at_us < $2`, account, before)
}

func (t bucketStore) ClaimedOf(ctx context.Context, payment string) (int64, error) {
	return row(ctx, t.tx, "claims of a payment", pgx.RowTo[int64],
		`SELECT coalesce(sum(amount), 0)::INT8 FROM claims WHERE payment = $1`, payment)
}
