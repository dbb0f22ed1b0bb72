package cockroach

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/central/buckets"
	"meridian/central/catalog"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
)

type catalogStore struct{ *tx }

func (t catalogStore) Insert(ctx context.Context, in []catalog.Version) error {
	bodies := make([]string, len(in))
	for i := range in {
		b, err := json.Marshal(&in[i].Offering)
		if err != nil {
			return fmt.Errorf("encode offering %s: %w", in[i].Offering.ID, err)
		}
		bodies[i] = string(b)
	}
	_, err := t.exec(ctx, "insert offerings", `INSERT INTO offerings (id, version, valid_from, body, hash, published_at)
		SELECT id, version, valid_from, body, hash, published_at
		FROM unnest($1::TEXT[], $2::INT4[], $3::INT8[], $4::TEXT[], $5::BYTEA[], $6::INT8[]) AS t (id, version, valid_from, body, hash, published_at)`,
		column(in, func(v catalog.Version) string { return v.Offering.ID }), column(in, func(v catalog.Version) int32 { return int32(v.Offering.Version) }),
		column(in, func(v catalog.Version) int64 { return v.Offering.ValidFrom }), bodies,
		column(in, func(v catalog.Version) []byte { return v.Hash[:] }), column(in, func(v catalog.Version) int64 { return v.PublishedAt }))
	return err
}

func scanVersion(r pgx.CollectableRow) (v catalog.Version, err error) {
	var body string
	var hash []byte
	if err := r.Scan(&body, &hash, &v.PublishedAt); err != nil {
		return v, err
	}
	copy(v.Hash[:], hash)
	return v, json.Unmarshal([]byte(body), &v.Offering)
}

func (t catalogStore) Latest(ctx context.Context, ids []string) ([]catalog.Version, error) {
	return rows(ctx, t.tx, "latest offerings", scanVersion, `SELECT o.body, o.hash, o.published_at FROM offerings AS o
		WHERE o.id = ANY($1::TEXT[]) AND NOT EXISTS (SELECT 1 FROM offerings AS n WHERE n.id = o.id AND n.version > o.version)
		ORDER BY o.id`, ids)
}

func (t catalogStore) Versions(ctx context.Context, afterID string, afterVersion uint32, limit int) ([]catalog.Version, error) {
	return rows(ctx, t.tx, "offerings", scanVersion, `SELECT body, hash, published_at FROM offerings
		WHERE (id, version) > ($1, $2) ORDER BY id, version LIMIT $3`, afterID, int32(afterVersion), limit)
}

type paymentStore struct{ *tx }

const paymentColumns = `id, key, request_hash, account, bucket, amount, currency, method, reference, at_us`

func (t paymentStore) Insert(ctx context.Context, in []payments.Payment) error {
	_, err := t.exec(ctx, "insert payments", `INSERT INTO payments (`+paymentColumns+`)
		SELECT `+paymentColumns+` FROM unnest($1::TEXT[], $2::TEXT[], $3::BYTEA[], $4::TEXT[], $5::TEXT[], $6::INT8[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::INT8[])
			AS t (`+paymentColumns+`)`,
		column(in, func(p payments.Payment) string { return p.ID }), column(in, func(p payments.Payment) string { return p.Key }),
		column(in, func(p payments.Payment) []byte { return p.RequestHash[:] }), column(in, func(p payments.Payment) string { return p.Account }),
		column(in, func(p payments.Payment) string { return p.Bucket }), column(in, func(p payments.Payment) int64 { return int64(p.Amount) }),
		column(in, func(p payments.Payment) string { return string(p.Currency) }), column(in, func(p payments.Payment) string { return p.Method }),
		column(in, func(p payments.Payment) string { return p.Reference }), column(in, func(p payments.Payment) int64 { return p.At }))
	return err
}

func scanPayment(r pgx.CollectableRow) (p payments.Payment, err error) {
	var hash []byte
	var amount int64
	var currency string
	err = r.Scan(&p.ID, &p.Key, &hash, &p.Account, &p.Bucket, &amount, &currency, &p.Method, &p.Reference, &p.At)
	copy(p.RequestHash[:], hash)
	p.Amount, p.Currency = money.Amount(amount), money.Currency(currency)
	return p, err
}

func (t paymentStore) Get(ctx context.Context, id string) ([]payments.Payment, error) {
	return rows(ctx, t.tx, "payment", scanPayment, `SELECT `+paymentColumns+` FROM payments WHERE id = $1`, id)
}

func (t paymentStore) ByKeys(ctx context.Context, keys []string) ([]payments.Payment, error) {
	return rows(ctx, t.tx, "payments by key", scanPayment, `SELECT `+paymentColumns+` FROM payments WHERE key = ANY($1::TEXT[]) ORDER BY key`, keys)
}

func (t paymentStore) SumBefore(ctx context.Context, account string, before int64) (money.Amount, error) {
	sum, err := row(ctx, t.tx, "sum of payments", pgx.RowTo[int64],
		`SELECT coalesce(sum(amount), 0)::INT8 FROM payments WHERE account = $1 AND at_us < $2`, account, before)
	return money.Amount(sum), err
}

func (t paymentStore) OfAccount(ctx context.Context, account string, from, to int64, limit int) ([]payments.Payment, error) {
	return rows(ctx, t.tx, "payments of an account", scanPayment, `SELECT `+paymentColumns+` FROM payments
		WHERE account = $1 AND at_us >= $2 AND at_us < $3 ORDER BY at_us, id LIMIT $4`, account, from, to, limit)
}

type orderStore struct{ *tx }

func (t orderStore) Insert(ctx context.Context, o orders.Order) error {
	body, err := json.Marshal(&o.Order)
	if err != nil {
		return fmt.Errorf("encode order %s: %w", o.ID, err)
	}
	_, err = t.exec(ctx, "insert order", `INSERT INTO orders (id, subscription, account, region, action, body, placed_at, status, detail, done_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		o.ID, o.Subscription, o.Account, o.Region, string(o.Action), string(body), o.PlacedAt, o.Status, o.Detail, o.DoneAt)
	return err
}

func (t orderStore) Get(ctx context.Context, ids []string) ([]orders.Order, error) {
	return rows(ctx, t.tx, "orders", func(r pgx.CollectableRow) (o orders.Order, err error) {
		var body string
		if err := r.Scan(&o.Account, &o.Region, &body, &o.PlacedAt, &o.Status, &o.Detail, &o.DoneAt); err != nil {
			return o, err
		}
		return o, json.Unmarshal([]byte(body), &o.Order)
	}, `SELECT account, region, body, placed_at, status, detail, done_at FROM orders WHERE id = ANY($1::TEXT[]) ORDER BY id`, ids)
}

func (t orderStore) SetAnswers(ctx context.Context, in []orders.Answer) error {
	_, err := t.exec(ctx, "answer orders", `UPDATE orders AS o SET status = d.status, detail = d.detail, done_at = d.done_at
		FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::INT8[]) AS d (id, status, detail, done_at)
		WHERE o.id = d.id AND o.status = 'open'`,
		column(in, func(a orders.Answer) string { return a.Order }), column(in, func(a orders.Answer) string { return a.Status }),
		column(in, func(a orders.Answer) string { return a.Detail }), column(in, func(a orders.Answer) int64 { return a.At }))
	return err
}

type bucketStore struct{ *tx }

const bucketColumns = `id, account, unit, home, priority, expires_at, allowance, credited, debited, given`

func (t bucketStore) InsertBuckets(ctx context.Context, in []buckets.Bucket) error {
	_, err := t.exec(ctx, "insert buckets", `INSERT INTO buckets (`+bucketColumns+`)
		SELECT `+bucketColumns+` FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT4[], $6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[], $10::BOOL[])
			AS t (`+bucketColumns+`)`,
		column(in, func(b buckets.Bucket) string { return b.ID }), column(in, func(b buckets.Bucket) string { return b.Account }),
		column(in, func(b buckets.Bucket) string { return string(b.Unit) }), column(in, func(b buckets.Bucket) string { return b.Home }),
		column(in, func(b buckets.Bucket) int32 { return int32(b.Priority) }), column(in, func(b buckets.Bucket) int64 { return b.ExpiresAt }),
		column(in, func(b buckets.Bucket) int64 { return b.Allowance }), column(in, func(b buckets.Bucket) int64 { return b.Credited }),
		column(in, func(b buckets.Bucket) int64 { return b.Debited }), column(in, func(b buckets.Bucket) bool { return b.Given }))
	return err
}

func scanBucket(r pgx.CollectableRow) (b buckets.Bucket, err error) {
	var unit string
	err = r.Scan(&b.ID, &b.Account, &unit, &b.Home, &b.Priority, &b.ExpiresAt, &b.Allowance, &b.Credited, &b.Debited, &b.Given)
	b.Unit = journal.Unit(unit)
	return b, err
}

const leaseColumns = `bucket, region, epoch, account, unit, granted, taken, spent, returned, borrowed, repaid, wanted, reclaim_to, feed_version, released`

func scanLease(r pgx.CollectableRow) (l buckets.Lease, err error) {
	var unit string
	t := &l.Totals
	err = r.Scan(&l.Bucket, &l.Region, &l.Epoch, &l.Account, &unit, &t.G, &t.T, &t.S, &t.X, &t.B, &t.P, &l.Wanted, &l.ReclaimTo, &l.FeedVersion, &l.Released)
	l.Unit = journal.Unit(unit)
	return l, err
}

func (t bucketStore) Load(ctx context.Context, ids []string) ([]buckets.State, error) {
	lock := ""
	if t.write {
		lock = " FOR UPDATE"
	}
	found, err := rows(ctx, t.tx, "buckets", scanBucket, `SELECT `+bucketColumns+` FROM buckets WHERE id = ANY($1::TEXT[]) ORDER BY id`+lock, ids)
	if err != nil {
		return nil, err
	}
	return t.withLeases(ctx, found)
}

func (t bucketStore) OfAccount(ctx context.Context, account string) ([]buckets.State, error) {
	found, err := rows(ctx, t.tx, "buckets of an account", scanBucket, `SELECT `+bucketColumns+` FROM buckets WHERE account = $1 ORDER BY id`, account)
	if err != nil {
		return nil, err
	}
	return t.withLeases(ctx, found)
}

// withLeases adds the leases to buckets that are sorted by id.
func (t bucketStore) withLeases(ctx context.Context, found []buckets.Bucket) ([]buckets.State, error) {
	leases, err := rows(ctx, t.tx, "leases", scanLease, `SELECT `+leaseColumns+` FROM leases WHERE bucket = ANY($1::TEXT[]) ORDER BY bucket, region, epoch`,
		column(found, func(b buckets.Bucket) string { return b.ID }))
	if err != nil {
		return nil, err
	}
	if err := t.markEnded(ctx, leases); err != nil {
		return nil, err
	}
	claims, err := t.openClaims(ctx, found)
	if err != nil {
		return nil, err
	}
	out := make([]buckets.State, len(found))
	n := 0
	for i, b := range found {
		out[i].Bucket, out[i].Claims = b, claims[b.ID]
		for n < len(leases) && leases[n].Bucket == b.ID {
			out[i].Leases = append(out[i].Leases, leases[n])
			n++
		}
	}
	return out, nil
}

func (t bucketStore) SaveBuckets(ctx context.Context, in []buckets.Bucket) error {
	if len(in) == 0 {
		return nil
	}
	return t.execN(ctx, len(in), store.ErrNotFound, "save buckets", `UPDATE buckets AS b
		SET home = d.home, allowance = d.allowance, credited = d.credited, debited = d.debited
		FROM unnest($1::TEXT[], $2::TEXT[], $3::INT8[], $4::INT8[], $5::INT8[]) AS d (id, home, allowance, credited, debited) WHERE b.id = d.id`,
		column(in, func(b buckets.Bucket) string { return b.ID }), column(in, func(b buckets.Bucket) string { return b.Home }),
		column(in, func(b buckets.Bucket) int64 { return b.Allowance }), column(in, func(b buckets.Bucket) int64 { return b.Credited }),
		column(in, func(b buckets.Bucket) int64 { return b.Debited }))
}

func (t bucketStore) SaveLeases(ctx context.Context, in []buckets.Lease) error {
	if len(in) == 0 {
		return nil
	}
	_, err := t.exec(ctx, "save leases", `INSERT INTO leases (`+leaseColumns+`)
		SELECT bucket, region, epoch, account, unit, granted, 0, 0, 0, 0, 0, wanted, reclaim_to, feed_version, released
		FROM unnest($1::TEXT[], $2::TEXT[], $3::INT8[], $4::TEXT[], $5::TEXT[], $6::INT8[], $7::INT8[], $8::INT8[], $9::INT8[], $10::INT8[])
			AS t (bucket, region, epoch, account, unit, granted, wanted, reclaim_to, feed_version, released)
		ON CONFLICT (bucket, region, epoch) DO UPDATE SET granted = excluded.granted, wanted = excluded.wanted,
			reclaim_to = excluded.reclaim_to, feed_version = excluded.feed_version, released = excluded.released`,
		column(in, func(l buckets.Lease) string { return l.Bucket }), column(in, func(l buckets.Lease) string { return l.Region }),
		column(in, func(l buckets.Lease) int64 { return int64(l.Epoch) }), column(in, func(l buckets.Lease) string { return l.Account }),
		column(in, func(l buckets.Lease) string { return string(l.Unit) }), column(in, func(l buckets.Lease) int64 { return l.Totals.G }),
		column(in, func(l buckets.Lease) int64 { return l.Wanted }), column(in, func(l buckets.Lease) int64 { return l.ReclaimTo }),
		column(in, func(l buckets.Lease) int64 { return int64(l.FeedVersion) }), column(in, func(l buckets.Lease) int64 { return l.Released }))
	return err
}

func (t bucketStore) Leases(ctx context.Context, region string, epoch uint64, ids []string) ([]buckets.Lease, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return rows(ctx, t.tx, "leases", scanLease, `SELECT `+leaseColumns+` FROM leases
		WHERE bucket = ANY($1::TEXT[]) AND region = $2 AND epoch = $3 ORDER BY bucket`, ids, region, int64(epoch))
}

// Raise joins on the whole key, all of it from the arrays: with region and epoch
// as constants PostgreSQL walks the region's leases for every array element.
func (t bucketStore) Raise(ctx context.Context, region string, epoch uint64, in []buckets.Delta) error {
	return t.execN(ctx, len(in), store.ErrNotFound, "raise leases", `UPDATE leases AS l SET taken = l.taken + d.t, spent = l.spent + d.s,
			returned = l.returned + d.x, borrowed = l.borrowed + d.b, repaid = l.repaid + d.p
		FROM unnest($1::TEXT[], $2::TEXT[], $3::INT8[], $4::INT8[], $5::INT8[], $6::INT8[], $7::INT8[], $8::INT8[])
			AS d (bucket, region, epoch, t, s, x, b, p)
		WHERE l.bucket = d.bucket AND l.region = d.region AND l.epoch = d.epoch`,
		column(in, func(d buckets.Delta) string { return d.Bucket }), column(in, func(buckets.Delta) string { return region }),
		column(in, func(buckets.Delta) int64 { return int64(epoch) }), column(in, func(d buckets.Delta) int64 { return d.Totals.T }),
		column(in, func(d buckets.Delta) int64 { return d.Totals.S }), column(in, func(d buckets.Delta) int64 { return d.Totals.X }),
		column(in, func(d buckets.Delta) int64 { return d.Totals.B }), column(in, func(d buckets.Delta) int64 { return d.Totals.P }))
}
