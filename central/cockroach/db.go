package cockroach

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/central/approvals"
	"meridian/central/buckets"
	"meridian/central/catalog"
	"meridian/central/feed"
	"meridian/central/ledger"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/regions"
	"meridian/central/rerating"
	"meridian/central/store"
)

// Stats counts transactions.
type Stats struct {
	Transactions atomic.Uint64
	Retries      atomic.Uint64 // attempts after the first
	GivenUp      atomic.Uint64 // transactions that met too many serialization failures
	Unknown      atomic.Uint64 // commits whose outcome is unknown

	refused [5]atomic.Uint64 // in the order of store.Causes
}

// Refused is how many transactions the database did not do, by cause.
func (s *Stats) Refused() map[store.Cause]uint64 {
	out := make(map[store.Cause]uint64, len(s.refused))
	for i, c := range store.Causes() {
		out[c] = s.refused[i].Load()
	}
	return out
}

// DB is a pool of connections to one database. It is safe for concurrent use.
type DB struct {
	cfg   Config
	pool  *pgxpool.Pool
	stats Stats

	trouble atomic.Pointer[trouble] // of the newest write, nil when it succeeded
}

// trouble is why a write was refused, and when.
type trouble struct {
	err error
	at  time.Time
}

// troubleHold is how long a refused write makes the database not ready, when no
// other write is tried meanwhile.
const troubleHold = 10 * time.Second

// Open connects to the database that url names. It does not migrate it.
func Open(ctx context.Context, url string, cfg Config) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("database configuration: %w", err)
	}
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w: write postgresql://user@host:port/database", err)
	}
	pc.MaxConns = cfg.MaxConns
	pc.MaxConnLifetime = cfg.ConnLifetime
	pc.MaxConnLifetimeJitter = cfg.ConnLifetime / 10
	pc.MaxConnIdleTime = cfg.ConnLifetime
	pc.HealthCheckPeriod = 30 * time.Second
	pc.ConnConfig.ConnectTimeout = cfg.ConnectTimeout
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	for k, v := range map[string]string{
		"application_name":                    cfg.ApplicationName,
		"timezone":                            "UTC",
		"default_transaction_isolation":       "serializable",
		"statement_timeout":                   ms(cfg.StatementTimeout),
		"lock_timeout":                        ms(cfg.LockTimeout),
		"idle_in_transaction_session_timeout": ms(cfg.IdleInTx),
	} {
		pc.ConnConfig.RuntimeParams[k] = v
	}
	pc.AfterConnect = planByIndex
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", connected(err))
	}
	db := &DB{cfg: cfg, pool: pool}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the database: %w", connected(err))
	}
	return db, nil
}

// planByIndex keeps PostgreSQL from scanning small tables: a sequential scan in a
// serializable transaction locks the whole relation, and disjoint writers then
// fail each other. CockroachDB has neither the settings nor the problem.
func planByIndex(ctx context.Context, c *pgx.Conn) error {
	if c.PgConn().ParameterStatus("crdb_version") != "" {
		return nil
	}
	_, err := c.Exec(ctx, "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off", pgx.QueryExecModeSimpleProtocol)
	return err
}

// Close closes the pool when its connections are free.
func (db *DB) Close() { db.pool.Close() }

// note keeps the outcome of a transaction.
func (db *DB) note(write bool, err error) {
	cause := store.CauseOf(err)
	for i, c := range store.Causes() {
		if c == cause {
			db.stats.refused[i].Add(1)
		}
	}
	switch {
	case !write:
	case err == nil:
		db.trouble.Store(nil)
	case cause == store.Full || cause == store.ReadOnly:
		db.trouble.Store(&trouble{err, time.Now()})
	}
}

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.pool.Ping(ctx); err != nil {
		return connected(err)
	}
	return nil
}

// Ready asks whether the database takes writes: it answers, its transactions may
// write, and the newest write, if one was tried in the last 10 s, did not fail
// because it is full or read-only. The error is a *store.UnavailableError.
func (db *DB) Ready(ctx context.Context) error {
	var readOnly string
	if err := db.pool.QueryRow(ctx, `SHOW transaction_read_only`).Scan(&readOnly); err != nil {
		return connected(err)
	}
	if readOnly == "on" {
		return unavailable(store.ReadOnly, errors.New("transactions are read-only by default: it is a standby, or was set so"))
	}
	if t := db.trouble.Load(); t != nil && time.Since(t.at) < troubleHold {
		return t.err
	}
	return nil
}

// Stats gives the counters.
func (db *DB) Stats() *Stats { return &db.stats }

// PoolStats are the pool's connections at this moment, and totals since Open.
type PoolStats struct {
	InUse, Idle, Max int
	Waits            uint64 // transactions that found no idle connection
	GivenUp          uint64 // of these, the ones whose caller went before there was one
}

// Pool reads the pool's figures.
func (db *DB) Pool() PoolStats {
	st := db.pool.Stat()
	return PoolStats{InUse: int(st.AcquiredConns()), Idle: int(st.IdleConns()), Max: int(st.MaxConns()),
		Waits: uint64(st.EmptyAcquireCount()), GivenUp: uint64(st.CanceledAcquireCount())}
}

// The Stores of a transaction.
func (db *DB) Access(t store.Tx) access.Store       { return accessStore{db.in(t)} }
func (db *DB) Accounts(t store.Tx) accounts.Store   { return accountStore{db.in(t)} }
func (db *DB) Approvals(t store.Tx) approvals.Store { return approvalStore{db.in(t)} }
func (db *DB) Buckets(t store.Tx) buckets.Store     { return bucketStore{db.in(t)} }
func (db *DB) Catalog(t store.Tx) catalog.Store     { return catalogStore{db.in(t)} }
func (db *DB) Feed(t store.Tx) feed.Store           { return feedStore{db.in(t)} }
func (db *DB) Ledger(t store.Tx) ledger.Store       { return ledgerStore{db.in(t)} }
func (db *DB) Orders(t store.Tx) orders.Store       { return orderStore{db.in(t)} }
func (db *DB) Payments(t store.Tx) payments.Store   { return paymentStore{db.in(t)} }
func (db *DB) Rerating(t store.Tx) rerating.Store   { return rerateStore{db.in(t)} }
func (db *DB) Regions(t store.Tx) regions.Store     { return regionStore{db.in(t)} }
