package cockroach

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/central/rerating"
	"meridian/internal/money"
)

type rerateStore struct{ *tx }

const correctionColumns = `account, region, epoch, seq, version, offering, subscription, nas, session_id, session_start, run, at_us, unit, price, refunds, refunded, owed, absorbed, waived, up_to`

func (t rerateStore) Insert(ctx context.Context, in []rerating.Correction) error {
	refunds := make([]string, len(in))
	for i := range in {
		b, err := json.Marshal(in[i].Refunds)
		if err != nil {
			return fmt.Errorf("encode %s: %w", in[i].Source(), err)
		}
		refunds[i] = string(b)
	}
	text := func(get func(*rerating.Correction) string) []string {
		return column(in, func(c rerating.Correction) string { return get(&c) })
	}
	number := func(get func(*rerating.Correction) int64) []int64 {
		return column(in, func(c rerating.Correction) int64 { return get(&c) })
	}
	_, err := t.exec(ctx, "insert corrections", `INSERT INTO corrections (`+correctionColumns+`)
		SELECT `+correctionColumns+` FROM unnest($1::TEXT[], $2::TEXT[], $3::INT8[], $4::INT8[], $5::INT8[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::INT8[],
			$11::TEXT[], $12::INT8[], $13::TEXT[], $14::INT8[], $15::TEXT[], $16::INT8[], $17::INT8[], $18::INT8[], $19::INT8[], $20::INT8[]) AS t (`+correctionColumns+`)`,
		text(func(c *rerating.Correction) string { return c.Account }), text(func(c *rerating.Correction) string { return c.Place.Region }),
		number(func(c *rerating.Correction) int64 { return int64(c.Place.Epoch) }), number(func(c *rerating.Correction) int64 { return int64(c.Place.Seq) }),
		number(func(c *rerating.Correction) int64 { return int64(c.Version) }), text(func(c *rerating.Correction) string { return c.Offering }),
		text(func(c *rerating.Correction) string { return c.Subscription }), text(func(c *rerating.Correction) string { return c.Session.NAS }),
		text(func(c *rerating.Correction) string { return c.Session.ID }), number(func(c *rerating.Correction) int64 { return c.Session.Start }),
		text(func(c *rerating.Correction) string { return c.Run }), number(func(c *rerating.Correction) int64 { return c.At }),
		text(func(c *rerating.Correction) string { return string(c.Unit) }), number(func(c *rerating.Correction) int64 { return int64(c.Price) }),
		refunds, number(func(c *rerating.Correction) int64 { return int64(c.Refunded()) }), number(func(c *rerating.Correction) int64 { return int64(c.Owed) }),
		number(func(c *rerating.Correction) int64 { return int64(c.Absorbed) }), number(func(c *rerating.Correction) int64 { return int64(c.Waived) }),
		number(func(c *rerating.Correction) int64 { return c.UpTo }))
	return err
}

func (t rerateStore) Of(ctx context.Context, account string, from, to int64, limit int) ([]rerating.Correction, error) {
	return rows(ctx, t.tx, "corrections", func(r pgx.CollectableRow) (c rerating.Correction, err error) {
		var refunds string
		var refunded money.Amount // what refunds sums to
		if err := r.Scan(&c.Account, &c.Place.Region, &c.Place.Epoch, &c.Place.Seq, &c.Version, &c.Offering, &c.Subscription, &c.Session.NAS, &c.Session.ID, &c.Session.Start,
			&c.Run, &c.At, &c.Unit, &c.Price, &refunds, &refunded, &c.Owed, &c.Absorbed, &c.Waived, &c.UpTo); err != nil {
			return c, err
		}
		return c, json.Unmarshal([]byte(refunds), &c.Refunds)
	}, `SELECT `+correctionColumns+` FROM corrections WHERE account = $1 AND at_us >= $2 AND at_us < $3
		ORDER BY at_us, region, epoch, seq, version LIMIT $4`, account, from, to, limit)
}

func (t rerateStore) SumBefore(ctx context.Context, account string, before int64) (refunded, owed money.Amount, err error) {
	sums, err := row(ctx, t.tx, "sum of corrections", func(r pgx.CollectableRow) (s [2]money.Amount, err error) {
		return s, r.Scan(&s[0], &s[1])
	}, `SELECT coalesce(sum(refunded), 0)::INT8, coalesce(sum(owed), 0)::INT8 FROM corrections WHERE account = $1 AND at_us < $2`, account, before)
	return sums[0], sums[1], err
}

func (t rerateStore) AccountsAfter(ctx context.Context, after string, limit int) ([]string, error) {
	return rows(ctx, t.tx, "accounts", pgx.RowTo[string], `SELECT id FROM accounts WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
}
