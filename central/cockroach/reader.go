package cockroach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/central/buckets"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/verify"
)

// readerPage is how many rows a walk reads at once; a callback may take its time.
const readerPage = 1000

// Reader is one consistent, read-only view of the whole centre. It implements
// verify.CentreReader. It holds a connection until Close and is not safe for
// concurrent use.
type Reader struct {
	conn *pgxpool.Conn
	t    *tx
}

var _ verify.CentreReader = (*Reader)(nil)

// Reader opens a view of this instant.
func (db *DB) Reader(ctx context.Context) (*Reader, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a view of the centre: %w", classify(err))
	}
	begun, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil {
		// The caller compares with the edges between two reads.
		_, err = begun.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = '30min'`)
		if err != nil {
			err = errors.Join(err, begun.Rollback(ctx))
		}
	}
	if err != nil {
		conn.Release()
		return nil, fmt.Errorf("open a view of the centre: %w", classify(err))
	}
	return &Reader{conn: conn, t: &tx{Tx: begun, db: db}}, nil
}

// Close ends the view.
func (r *Reader) Close(ctx context.Context) error {
	defer r.conn.Release()
	return r.t.Rollback(ctx)
}

// Regions implements verify.CentreReader.
func (r *Reader) Regions(ctx context.Context) ([]verify.Region, error) {
	return rows(ctx, r.t, "regions", func(row pgx.CollectableRow) (v verify.Region, err error) {
		var hash []byte
		err = row.Scan(&v.Name, &v.Epoch, &v.Seq, &hash, &v.FeedLast, &v.Waiting, &v.Held, &v.Closed)
		copy(v.Hash[:], hash)
		return v, err
	}, `SELECT r.name, r.epoch, e.seq, e.hash, h.last,
			EXISTS (SELECT 1 FROM feed_pending AS p WHERE p.region = r.name), coalesce(k.reason, ''), r.revoked FROM regions AS r
		JOIN epochs AS e ON e.region = r.name AND e.epoch = r.epoch
		JOIN feed_heads AS h ON h.region = r.name LEFT JOIN region_holds AS k ON k.region = r.name ORDER BY r.name`)
}

// walk reads pages until one is not full and hands every row to fn.
func walk[T any](page func(last *T) ([]T, error), fn func(T) error) error {
	var last *T
	for {
		got, err := page(last)
		if err != nil {
			return err
		}
		for i := range got {
			if err := fn(got[i]); err != nil {
				return err
			}
		}
		if len(got) < readerPage {
			return nil
		}
		last = &got[len(got)-1]
	}
}

type storedEntry struct {
	epoch, seq uint64
	raw        []byte
	hash       journal.Hash
	row        journal.Entry // what the columns say
	session    string
	suspense   bool
}

// matches compares the columns, by which statements and reports are made, with the
// entry's bytes. What is in suspense has columns that were made fit.
func (s *storedEntry) matches(region string) error {
	e, err := journal.DecodeEntry(s.raw)
	if err != nil || s.suspense {
		return nil // the checks say that it cannot be read
	}
	for _, c := range [...]struct {
		column    string
		row, want any
	}{
		{"kind", s.row.Kind, e.Kind}, {"account", s.row.Account, e.Account}, {"subscription", s.row.Subscription, e.Subscription},
		{"bucket", s.row.Bucket, e.Bucket}, {"unit", s.row.Unit, e.Unit}, {"amount", s.row.Amount, e.Amount}, {"at_us", s.row.At, e.At},
		{"session", s.session, sessionOf(&e)}, {"cut", s.row.Cut, e.Cut}, {"ref", s.row.Ref, e.Ref},
	} {
		if c.row != c.want {
			return fmt.Errorf("%w: entry %s/%d/%d: the row's %s is %v, its bytes say %v", verify.ErrRow, region, s.epoch, s.seq, c.column, c.row, c.want)
		}
	}
	return nil
}

// Entries implements verify.CentreReader.
func (r *Reader) Entries(ctx context.Context, region string, fn func(epoch, seq uint64, raw []byte, hash journal.Hash) error) error {
	var odd error
	err := walk(func(last *storedEntry) ([]storedEntry, error) {
		if last == nil {
			last = &storedEntry{}
		}
		return rows(ctx, r.t, "entries", func(row pgx.CollectableRow) (e storedEntry, err error) {
			var hash []byte
			x := &e.row
			err = row.Scan(&e.epoch, &e.seq, &e.raw, &hash, &x.Kind, &x.Account, &x.Subscription, &x.Bucket, &x.Unit, &x.Amount, &x.At, &e.session, &x.Cut, &x.Ref, &e.suspense)
			copy(e.hash[:], hash)
			return e, err
		}, `SELECT epoch, seq, raw, hash, kind, account, subscription, bucket, unit, amount, at_us, session, cut, ref, suspense FROM ledger_entries WHERE region = $1 AND (epoch, seq) > ($2, $3) ORDER BY epoch, seq LIMIT $4`,
			region, int64(last.epoch), int64(last.seq), readerPage)
	}, func(e storedEntry) error {
		if odd == nil {
			odd = e.matches(region)
		}
		return fn(e.epoch, e.seq, e.raw, e.hash)
	})
	return errors.Join(err, odd)
}

// Buckets implements verify.CentreReader.
func (r *Reader) Buckets(ctx context.Context, fn func(verify.CentreBucket) error) error {
	return walk(func(last *buckets.State) ([]buckets.State, error) {
		after := ""
		if last != nil {
			after = last.ID
		}
		found, err := rows(ctx, r.t, "buckets", scanBucket, `SELECT `+bucketColumns+` FROM buckets WHERE id > $1 ORDER BY id LIMIT $2`, after, readerPage)
		if err != nil {
			return nil, err
		}
		states, err := bucketStore{r.t}.withLeases(ctx, found)
		if err != nil {
			return nil, err
		}
		all, err := bucketStore{r.t}.allClaims(ctx, found)
		for i := range states {
			states[i].Claims = all[states[i].ID]
		}
		return states, err
	}, func(s buckets.State) error {
		b := verify.CentreBucket{ID: s.ID, Account: s.Account, Unit: s.Unit, Credited: s.Credited, Debited: s.Debited}
		for _, l := range s.Leases {
			t := l.Totals
			b.Leases = append(b.Leases, verify.LeaseTotals{Region: l.Region, Epoch: l.Epoch, G: t.G, T: t.T, S: t.S, X: t.X, B: t.B, P: t.P, Released: l.Released})
		}
		for _, c := range s.Claims {
			b.Claims = append(b.Claims, verify.ClaimTotals{ID: c.ID, Amount: c.Amount, Served: c.Served})
		}
		return fn(b)
	})
}

// GrantedAt implements verify.CentreReader.
func (r *Reader) GrantedAt(ctx context.Context, region string, feedVersion uint64) (map[string]int64, error) {
	out := make(map[string]int64)
	type leaseRow struct {
		number uint64
		body   []byte
	}
	most := int64(min(feedVersion, 1<<62))
	err := walk(func(last *leaseRow) ([]leaseRow, error) {
		if last == nil {
			last = &leaseRow{}
		}
		return rows(ctx, r.t, "lease rows", func(row pgx.CollectableRow) (l leaseRow, err error) {
			return l, row.Scan(&l.number, &l.body)
		}, `SELECT number, body FROM feed_rows WHERE region = $1 AND number > $2 AND number <= $3 AND kind = $4 ORDER BY number LIMIT $5`,
			region, int64(last.number), most, string(feed.KindLease), readerPage)
	}, func(l leaseRow) error {
		var lease feed.Lease
		if err := json.Unmarshal(l.body, &lease); err != nil {
			return fmt.Errorf("feed row %d of region %s: %w", l.number, region, err)
		}
		out[lease.Bucket] = lease.Granted
		return nil
	})
	return out, err
}

// FeedRows implements verify.CentreReader.
func (r *Reader) FeedRows(ctx context.Context, region string, fn func(number uint64, kind, id string, version uint64) error) error {
	return walk(func(last *feed.Row) ([]feed.Row, error) {
		after := uint64(0)
		if last != nil {
			after = last.Number
		}
		return rows(ctx, r.t, "feed rows", func(row pgx.CollectableRow) (f feed.Row, err error) {
			return f, row.Scan(&f.Number, &f.Kind, &f.ID, &f.Version)
		}, `SELECT number, kind, entity, version FROM feed_rows WHERE region = $1 AND number > $2 ORDER BY number LIMIT $3`, region, int64(after), readerPage)
	}, func(f feed.Row) error { return fn(f.Number, string(f.Kind), f.ID, f.Version) })
}

// Journals implements verify.CentreReader. A journal without postings, which
// nothing here writes, is handed over as such.
func (r *Reader) Journals(ctx context.Context, fn func(journal.Journal) error) error {
	return walk(func(last *journal.Journal) ([]journal.Journal, error) {
		after := ""
		if last != nil {
			after = last.Source
		}
		found, err := rows(ctx, r.t, "journals", func(row pgx.CollectableRow) (j journal.Journal, err error) {
			return j, row.Scan(&j.Source, &j.At, &j.Kind)
		}, `SELECT source, at_us, kind FROM journals WHERE source > $1 ORDER BY source LIMIT $2`, after, readerPage)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		return found, r.postings(ctx, found)
	}, fn)
}

// postings fills in the postings of journals that are sorted by source.
func (r *Reader) postings(ctx context.Context, found []journal.Journal) error {
	type posting struct {
		source string
		journal.Posting
	}
	list, err := rows(ctx, r.t, "postings", func(row pgx.CollectableRow) (p posting, err error) {
		var unit string
		err = row.Scan(&p.source, &p.Account, &unit, &p.Amount)
		p.Unit = journal.Unit(unit)
		return p, err
	}, `SELECT source, account, unit, amount FROM postings WHERE source >= $1 AND source <= $2 ORDER BY source, n`,
		found[0].Source, found[len(found)-1].Source)
	if err != nil {
		return err
	}
	at := 0
	for _, p := range list {
		for at < len(found) && found[at].Source < p.source {
			at++
		}
		if at == len(found) || found[at].Source != p.source {
			return fmt.Errorf("posting of %s belongs to no journal", p.source)
		}
		found[at].Postings = append(found[at].Postings, p.Posting)
	}
	return nil
}

// LedgerBalances implements verify.CentreReader.
func (r *Reader) LedgerBalances(ctx context.Context) (map[verify.BalanceKey]int64, error) {
	type balance struct {
		key    verify.BalanceKey
		amount int64
	}
	found, err := rows(ctx, r.t, "balances", func(row pgx.CollectableRow) (b balance, err error) {
		var unit string
		err = row.Scan(&b.key.Account, &unit, &b.amount)
		b.key.Unit = journal.Unit(unit)
		return b, err
	}, `SELECT account, unit, sum(amount)::INT8 FROM ledger_balances GROUP BY account, unit`)
	out := make(map[verify.BalanceKey]int64, len(found))
	for _, b := range found {
		out[b.key] = b.amount
	}
	return out, err
}
