package cockroach

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/central/feed"
	"meridian/central/ledger"
	"meridian/central/regions"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/journal"
)

type ledgerStore struct{ *tx }

const entryColumns = `region, epoch, seq, raw, hash, kind, account, subscription, bucket, unit, amount, at_us, session, cut, ref, suspense`

// entryOf gives the entry of a record, an empty one when it cannot be read.
func entryOf(r ledger.Record) journal.Entry {
	if r.Entry == nil {
		return journal.Entry{}
	}
	return *r.Entry
}

func (t ledgerStore) AppendEntries(ctx context.Context, in []ledger.Record) error {
	text := func(get func(*journal.Entry) string) []string {
		return column(in, func(r ledger.Record) string { e := entryOf(r); return get(&e) })
	}
	number := func(get func(*journal.Entry) int64) []int64 {
		return column(in, func(r ledger.Record) int64 { e := entryOf(r); return get(&e) })
	}
	_, err := t.exec(ctx, "append entries", `INSERT INTO ledger_entries (`+entryColumns+`)
		SELECT `+entryColumns+` FROM unnest($1::TEXT[], $2::INT8[], $3::INT8[], $4::BYTEA[], $5::BYTEA[], $6::INT2[], $7::TEXT[], $8::TEXT[],
			$9::TEXT[], $10::TEXT[], $11::INT8[], $12::INT8[], $13::TEXT[], $14::INT8[], $15::TEXT[], $16::BOOL[]) AS t (`+entryColumns+`)`,
		column(in, func(r ledger.Record) string { return r.Region }), column(in, func(r ledger.Record) int64 { return int64(r.Epoch) }),
		column(in, func(r ledger.Record) int64 { return int64(r.Seq) }), column(in, func(r ledger.Record) []byte { return r.Raw }),
		column(in, func(r ledger.Record) []byte { return r.Hash[:] }), column(in, func(r ledger.Record) int16 { return int16(entryOf(r).Kind) }),
		text(func(e *journal.Entry) string { return e.Account }), text(func(e *journal.Entry) string { return e.Subscription }),
		text(func(e *journal.Entry) string { return e.Bucket }), text(func(e *journal.Entry) string { return string(e.Unit) }),
		number(func(e *journal.Entry) int64 { return e.Amount }), number(func(e *journal.Entry) int64 { return e.At }),
		text(sessionOf), number(func(e *journal.Entry) int64 { return int64(e.Cut) }),
		text(func(e *journal.Entry) string { return e.Ref }), column(in, func(r ledger.Record) bool { return r.Suspense }))
	return err
}

func sessionOf(e *journal.Entry) string {
	if e.Session == (journal.SessionKey{}) {
		return ""
	}
	return e.Session.String()
}

func (t ledgerStore) EntryHash(ctx context.Context, p ledger.Place) (h journal.Hash, err error) {
	b, err := row(ctx, t.tx, "entry's hash", pgx.RowTo[[]byte], `SELECT hash FROM ledger_entries WHERE region = $1 AND epoch = $2 AND seq = $3`,
		p.Region, int64(p.Epoch), int64(p.Seq))
	copy(h[:], b)
	return h, err
}

func (t ledgerStore) InsertJournals(ctx context.Context, in []journal.Journal) error {
	if _, err := t.exec(ctx, "insert journals", `INSERT INTO journals (source, at_us, kind)
		SELECT source, at_us, kind FROM unnest($1::TEXT[], $2::INT8[], $3::TEXT[]) AS t (source, at_us, kind)`,
		column(in, func(j journal.Journal) string { return j.Source }), column(in, func(j journal.Journal) int64 { return j.At }),
		column(in, func(j journal.Journal) string { return j.Kind })); err != nil {
		return err
	}
	var sources, codes, units []string
	var numbers []int16
	var amounts []int64
	for i := range in {
		for n, p := range in[i].Postings {
			sources, numbers = append(sources, in[i].Source), append(numbers, int16(n))
			codes, units, amounts = append(codes, p.Account), append(units, string(p.Unit)), append(amounts, p.Amount)
		}
	}
	_, err := t.exec(ctx, "insert postings", `INSERT INTO postings (source, n, account, unit, amount)
		SELECT source, n, account, unit, amount FROM unnest($1::TEXT[], $2::INT2[], $3::TEXT[], $4::TEXT[], $5::INT8[]) AS t (source, n, account, unit, amount)`,
		sources, numbers, codes, units, amounts)
	return err
}

func (t ledgerStore) AddBalances(ctx context.Context, in []ledger.Balance) error {
	_, err := t.exec(ctx, "fold balances", `INSERT INTO ledger_balances (account, unit, slot, amount)
		SELECT account, unit, slot, amount FROM unnest($1::TEXT[], $2::TEXT[], $3::INT2[], $4::INT8[]) AS t (account, unit, slot, amount)
		ON CONFLICT (account, unit, slot) DO UPDATE SET amount = ledger_balances.amount + excluded.amount`,
		column(in, func(b ledger.Balance) string { return b.Account }), column(in, func(b ledger.Balance) string { return string(b.Unit) }),
		column(in, func(b ledger.Balance) int16 { return b.Slot }), column(in, func(b ledger.Balance) int64 { return b.Amount }))
	return err
}

func (t ledgerStore) BalancesOf(ctx context.Context, codes []string, unit journal.Unit) (map[string]int64, error) {
	found, err := rows(ctx, t.tx, "balances", func(r pgx.CollectableRow) (b ledger.Balance, err error) {
		return b, r.Scan(&b.Account, &b.Amount)
	}, `SELECT account, sum(amount)::INT8 FROM ledger_balances WHERE account = ANY($1::TEXT[]) AND unit = $2 GROUP BY account`, codes, string(unit))
	out := make(map[string]int64, len(found))
	for _, b := range found {
		out[b.Account] = b.Amount
	}
	return out, err
}

func (t ledgerStore) InsertReviews(ctx context.Context, in []ledger.Review) error {
	_, err := t.exec(ctx, "queue reviews", `INSERT INTO reviews (region, epoch, seq, at_us, reason)
		SELECT region, epoch, seq, at_us, reason FROM unnest($1::TEXT[], $2::INT8[], $3::INT8[], $4::INT8[], $5::TEXT[]) AS t (region, epoch, seq, at_us, reason)`,
		column(in, func(r ledger.Review) string { return r.Region }), column(in, func(r ledger.Review) int64 { return int64(r.Epoch) }),
		column(in, func(r ledger.Review) int64 { return int64(r.Seq) }), column(in, func(r ledger.Review) int64 { return r.At }),
		column(in, func(r ledger.Review) string { return r.Reason }))
	return err
}

func (t ledgerStore) Reviews(ctx context.Context, limit int) ([]ledger.Review, error) {
	return rows(ctx, t.tx, "reviews", func(r pgx.CollectableRow) (v ledger.Review, err error) {
		return v, r.Scan(&v.Region, &v.Epoch, &v.Seq, &v.At, &v.Reason)
	}, `SELECT region, epoch, seq, at_us, reason FROM reviews ORDER BY region, epoch, seq LIMIT $1`, limit)
}

func (t ledgerStore) TotalsBefore(ctx context.Context, account string, unit journal.Unit, before int64) (map[journal.Kind]int64, error) {
	type total struct {
		kind   int16
		amount int64
	}
	found, err := rows(ctx, t.tx, "totals of entries", func(r pgx.CollectableRow) (v total, err error) {
		return v, r.Scan(&v.kind, &v.amount)
	}, `SELECT kind, sum(amount)::INT8 FROM ledger_entries
		WHERE account = $1 AND account <> '' AND at_us < $2 AND unit = $3 AND NOT suspense GROUP BY kind`, account, before, string(unit))
	out := make(map[journal.Kind]int64, len(found))
	for _, v := range found {
		out[journal.Kind(v.kind)] = v.amount
	}
	return out, err
}

// OwedBefore asks the postings of the entries: who bears an overrun stands in the
// entry's detail, which is no column. The source is settlement.Source.
func (t ledgerStore) OwedBefore(ctx context.Context, account string, unit journal.Unit, before int64) (int64, error) {
	return row(ctx, t.tx, "overrun and fees owed", pgx.RowTo[int64], `SELECT coalesce(sum(p.amount), 0)::INT8
		FROM ledger_entries AS e JOIN postings AS p ON p.source = 'entry/' || e.region || '/' || e.epoch::TEXT || '/' || e.seq::TEXT
		WHERE e.account = $1 AND e.account <> '' AND e.at_us < $2 AND e.unit = $3 AND e.kind IN ($4, $6, $7) AND NOT e.suspense AND p.account = $5`,
		account, before, string(unit), int16(journal.KindOverrun), journal.Receivable+account, int16(journal.KindOwed), int16(journal.KindReversed))
}

// scanRecord reads region, epoch, seq, raw, hash.
func scanRecord(r pgx.CollectableRow) (rec ledger.Record, err error) {
	var hash []byte
	if err := r.Scan(&rec.Region, &rec.Epoch, &rec.Seq, &rec.Raw, &hash); err != nil {
		return rec, err
	}
	copy(rec.Hash[:], hash)
	e, err := journal.DecodeEntry(rec.Raw)
	if err != nil {
		return rec, fmt.Errorf("entry %s/%d/%d: %w", rec.Region, rec.Epoch, rec.Seq, err)
	}
	rec.Entry = &e
	return rec, nil
}

func (t ledgerStore) Entry(ctx context.Context, p ledger.Place) (ledger.Record, error) {
	return row(ctx, t.tx, "entry", func(r pgx.CollectableRow) (rec ledger.Record, err error) {
		var hash []byte
		if err := r.Scan(&rec.Raw, &hash, &rec.Suspense); err != nil {
			return rec, err
		}
		rec.Region, rec.Epoch, rec.Seq = p.Region, p.Epoch, p.Seq
		copy(rec.Hash[:], hash)
		if e, err := journal.DecodeEntry(rec.Raw); err == nil { // bytes that cannot be read have no entry
			rec.Entry = &e
		}
		return rec, nil
	}, `SELECT raw, hash, suspense FROM ledger_entries WHERE region = $1 AND epoch = $2 AND seq = $3`, p.Region, int64(p.Epoch), int64(p.Seq))
}

func (t ledgerStore) UsageOf(ctx context.Context, after ledger.Place, from, to int64, limit int) ([]ledger.Record, error) {
	return rows(ctx, t.tx, "usage of a region", scanRecord, `SELECT region, epoch, seq, raw, hash FROM ledger_entries
		WHERE region = $1 AND (epoch, seq) > ($2, $3) AND kind = $4 AND at_us >= $5 AND at_us < $6 AND NOT suspense
		ORDER BY epoch, seq LIMIT $7`, after.Region, int64(after.Epoch), int64(after.Seq), int16(journal.KindUsage), from, to, limit)
}

func (t ledgerStore) EntriesOf(ctx context.Context, account string, from, to int64, limit int) ([]ledger.Record, error) {
	return rows(ctx, t.tx, "entries of an account", scanRecord, `SELECT region, epoch, seq, raw, hash FROM ledger_entries
		WHERE account = $1 AND account <> '' AND at_us >= $2 AND at_us < $3 AND NOT suspense
		ORDER BY at_us, region, epoch, seq LIMIT $4`, account, from, to, limit)
}

type feedStore struct{ *tx }

func (t feedStore) CreateHead(ctx context.Context, region string) error {
	_, err := t.exec(ctx, "create a feed", `INSERT INTO feed_heads (region, last) VALUES ($1, 0)`, region)
	return err
}

func (t feedStore) Heads(ctx context.Context) ([]feed.Head, error) {
	return rows(ctx, t.tx, "feeds", func(r pgx.CollectableRow) (h feed.Head, err error) {
		return h, r.Scan(&h.Region, &h.Last)
	}, `SELECT region, last FROM feed_heads ORDER BY region`)
}

func (t feedStore) Last(ctx context.Context, region string) (uint64, error) {
	sql := `SELECT last FROM feed_heads WHERE region = $1`
	if t.write {
		sql += ` FOR UPDATE`
	}
	return row(ctx, t.tx, "feed's head", pgx.RowTo[uint64], sql, region)
}

func (t feedStore) Append(ctx context.Context, in []feed.Change) error {
	_, err := t.exec(ctx, "append to the feed", `INSERT INTO feed_pending (region, rank, kind, entity, version, body)
		SELECT region, rank, kind, entity, version, body
		FROM unnest($1::TEXT[], $2::INT2[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::BYTEA[]) AS t (region, rank, kind, entity, version, body)`,
		column(in, func(c feed.Change) string { return c.Region }), column(in, func(c feed.Change) int16 { return feed.Rank(c.Kind) }),
		column(in, func(c feed.Change) string { return string(c.Kind) }), column(in, func(c feed.Change) string { return c.ID }),
		column(in, func(c feed.Change) int64 { return int64(c.Version) }), column(in, func(c feed.Change) []byte { return c.Body }))
	return err
}

func (t feedStore) Waiting(ctx context.Context) ([]string, error) {
	return rows(ctx, t.tx, "waiting feeds", pgx.RowTo[string], `SELECT h.region FROM feed_heads AS h
		WHERE EXISTS (SELECT 1 FROM feed_pending AS p WHERE p.region = h.region) ORDER BY h.region`)
}

func (t feedStore) Pending(ctx context.Context, region string, limit int) ([]feed.Change, error) {
	return rows(ctx, t.tx, "pending feed rows", func(r pgx.CollectableRow) (c feed.Change, err error) {
		c.Region = region
		return c, r.Scan(&c.Kind, &c.ID, &c.Version, &c.Body)
	}, `SELECT kind, entity, version, body FROM feed_pending WHERE region = $1 ORDER BY rank, kind, version, entity LIMIT $2`, region, limit)
}

func (t feedStore) Number(ctx context.Context, region string, last uint64, in []feed.Change) error {
	numbers := make([]int64, len(in))
	for i := range in {
		numbers[i] = int64(last) + int64(i) + 1
	}
	kinds, ids := column(in, func(c feed.Change) string { return string(c.Kind) }), column(in, func(c feed.Change) string { return c.ID })
	versions := column(in, func(c feed.Change) int64 { return int64(c.Version) })
	if _, err := t.exec(ctx, "number feed rows", `INSERT INTO feed_rows (region, number, kind, entity, version, body)
		SELECT $1::TEXT, number, kind, entity, version, body
		FROM unnest($2::INT8[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::BYTEA[]) AS t (number, kind, entity, version, body)`,
		region, numbers, kinds, ids, versions, column(in, func(c feed.Change) []byte { return c.Body })); err != nil {
		return err
	}
	if err := t.execN(ctx, len(in), store.ErrConflict, "take pending feed rows", `DELETE FROM feed_pending AS p
		USING unnest($1::TEXT[], $2::INT2[], $3::TEXT[], $4::TEXT[], $5::INT8[]) AS d (region, rank, kind, entity, version)
		WHERE p.region = d.region AND p.rank = d.rank AND p.kind = d.kind AND p.entity = d.entity AND p.version = d.version`,
		column(in, func(feed.Change) string { return region }), column(in, func(c feed.Change) int16 { return feed.Rank(c.Kind) }), kinds, ids, versions); err != nil {
		return err
	}
	return t.execN(ctx, 1, store.ErrConflict, "move the feed's head", `UPDATE feed_heads SET last = $3 WHERE region = $1 AND last = $2`,
		region, int64(last), int64(last)+int64(len(in)))
}

func (t feedStore) Numbers(ctx context.Context, kind feedrow.Kind, ids []string) ([]feed.Number, error) {
	heads, err := t.Heads(ctx)
	if err != nil {
		return nil, err
	}
	return rows(ctx, t.tx, "numbers of entities", func(r pgx.CollectableRow) (n feed.Number, err error) {
		return n, r.Scan(&n.Region, &n.ID, &n.Number)
	}, `SELECT region, entity, max(number) FROM feed_rows WHERE region = ANY($1::TEXT[]) AND kind = $2 AND entity = ANY($3::TEXT[])
		GROUP BY region, entity ORDER BY region, entity`, column(heads, func(h feed.Head) string { return h.Region }), string(kind), ids)
}

func (t feedStore) NextOrder(ctx context.Context, region string, after uint64) (uint64, error) {
	return row(ctx, t.tx, "next order", pgx.RowTo[uint64], `SELECT COALESCE(min(number), 0) FROM feed_rows WHERE region = $1 AND kind = 'order' AND number > $2`,
		region, int64(after))
}

func (t feedStore) Newest(ctx context.Context, region string, upto uint64, in []feedrow.Row) ([]uint64, error) {
	return rows(ctx, t.tx, "newest versions", pgx.RowTo[uint64], `SELECT (SELECT f.version FROM feed_rows AS f
			WHERE f.region = $1 AND f.kind = e.kind AND f.entity = e.entity AND f.number <= $2 ORDER BY f.version DESC LIMIT 1)
		FROM unnest($3::TEXT[], $4::TEXT[]) WITH ORDINALITY AS e (kind, entity, n) ORDER BY e.n`, region, int64(upto),
		column(in, func(r feedrow.Row) string { return string(r.Kind) }), column(in, func(r feedrow.Row) string { return r.ID }))
}

func (t feedStore) Rows(ctx context.Context, region string, after uint64, limit int) ([]feedrow.Row, error) {
	return rows(ctx, t.tx, "feed rows", func(r pgx.CollectableRow) (f feedrow.Row, err error) {
		return f, r.Scan(&f.Number, &f.Kind, &f.ID, &f.Version, &f.Body)
	}, `SELECT number, kind, entity, version, body FROM feed_rows WHERE region = $1 AND number > $2 ORDER BY number LIMIT $3`,
		region, int64(after), limit)
}

type regionStore struct{ *tx }

func (t regionStore) Insert(ctx context.Context, r regions.Region) error {
	if _, err := t.exec(ctx, "insert region", `INSERT INTO regions (name, epoch, revoked, created_at) VALUES ($1, $2, $3, $4)`,
		r.Name, int64(r.Epoch), r.Revoked, r.CreatedAt); err != nil {
		return err
	}
	_, err := t.exec(ctx, "insert epoch", `INSERT INTO epochs (region, epoch, prev_hash, seq, hash, raft_term, started_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.Name, int64(r.Epoch), r.PrevHash[:], int64(r.Seq), r.Hash[:], int64(r.RaftTerm), r.CreatedAt)
	return err
}

const regionQuery = `SELECT r.name, r.revoked, r.epoch, e.prev_hash, e.seq, e.hash, e.raft_term, r.created_at, coalesce(h.reason, '')
	FROM regions AS r JOIN epochs AS e ON e.region = r.name AND e.epoch = r.epoch LEFT JOIN region_holds AS h ON h.region = r.name`

func scanRegion(row pgx.CollectableRow) (r regions.Region, err error) {
	var prev, hash []byte
	err = row.Scan(&r.Name, &r.Revoked, &r.Epoch, &prev, &r.Seq, &hash, &r.RaftTerm, &r.CreatedAt, &r.Held)
	copy(r.PrevHash[:], prev)
	copy(r.Hash[:], hash)
	return r, err
}

func (t regionStore) Get(ctx context.Context, name string, lock bool) (regions.Region, error) {
	sql := regionQuery + ` WHERE r.name = $1`
	if lock && t.write {
		sql += ` FOR UPDATE OF e`
	}
	return row(ctx, t.tx, "region", scanRegion, sql, name)
}

func (t regionStore) Current(ctx context.Context, name string) (epoch uint64, revoked bool, err error) {
	r, err := row(ctx, t.tx, "region", func(row pgx.CollectableRow) (r regions.Region, err error) {
		return r, row.Scan(&r.Epoch, &r.Revoked)
	}, `SELECT epoch, revoked FROM regions WHERE name = $1`, name)
	return r.Epoch, r.Revoked, err
}

func (t regionStore) List(ctx context.Context) ([]regions.Region, error) {
	return rows(ctx, t.tx, "regions", scanRegion, regionQuery+` ORDER BY r.name`)
}

func (t regionStore) SetTerm(ctx context.Context, name string, term uint64) error {
	return t.execN(ctx, 1, store.ErrNotFound, "record the raft term", `UPDATE epochs AS e SET raft_term = $2
		FROM regions AS r WHERE r.name = $1 AND e.region = r.name AND e.epoch = r.epoch`, name, int64(term))
}

func (t regionStore) MoveCursor(ctx context.Context, name string, epoch, from, to uint64, hash journal.Hash) error {
	return t.execN(ctx, 1, store.ErrConflict, "move the cursor", `UPDATE epochs SET seq = $4, hash = $5 WHERE region = $1 AND epoch = $2 AND seq = $3`,
		name, int64(epoch), int64(from), int64(to), hash[:])
}
