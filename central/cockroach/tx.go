package cockroach

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/cockroach-go/v2/crdb"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/central/store"
	"meridian/internal/invariant"
)

// tx is one attempt at a transaction.
type tx struct {
	pgx.Tx
	db    *DB
	write bool
	after []func()
}

// AfterCommit implements store.Tx.
func (t *tx) AfterCommit(fn func()) { t.after = append(t.after, fn) }

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(ctx context.Context, what, sql string, args ...any) (int64, error) {
	tag, err := t.Exec(ctx, sql, args...)
	return tag.RowsAffected(), statement(what, err)
}

// execN runs a statement that must change n rows; fewer are wrapped as missing.
func (t *tx) execN(ctx context.Context, n int, missing error, what, sql string, args ...any) error {
	got, err := t.exec(ctx, what, sql, args...)
	if err != nil {
		return err
	}
	if got != int64(n) {
		return fmt.Errorf("%s: %d of %d rows: %w", what, got, n, missing)
	}
	return nil
}

// rows reads all rows of a query before it returns: a connection has one open
// result at a time on both servers.
func rows[T any](ctx context.Context, t *tx, what string, scan func(pgx.CollectableRow) (T, error), sql string, args ...any) ([]T, error) {
	r, err := t.Query(ctx, sql, args...)
	if err != nil {
		return nil, statement(what, err)
	}
	out, err := pgx.CollectRows(r, scan)
	return out, statement(what, err)
}

// row reads the one row of a query, or store.ErrNotFound.
func row[T any](ctx context.Context, t *tx, what string, scan func(pgx.CollectableRow) (T, error), sql string, args ...any) (T, error) {
	out, err := rows(ctx, t, what, scan, sql, args...)
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s: %w", what, store.ErrNotFound)
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return out[0], nil
}

// column takes one column out of rows, as an array parameter.
func column[R, T any](rows []R, get func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = get(r)
	}
	return out
}

// Do implements store.Runner.
func (db *DB) Do(ctx context.Context, op string, fn func(ctx context.Context, tx store.Tx) error) error {
	return db.run(ctx, op, true, pgx.TxOptions{IsoLevel: pgx.Serializable}, fn)
}

// View implements store.Runner. The snapshot of REPEATABLE READ is consistent on
// both servers and, being read-only, hinders no writer.
func (db *DB) View(ctx context.Context, op string, fn func(ctx context.Context, tx store.Tx) error) error {
	return db.run(ctx, op, false, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn)
}

// run is the one retrying runner. The whole of BEGIN … COMMIT is one attempt, on
// both servers: a savepoint would keep PostgreSQL's old snapshot.
func (db *DB) run(ctx context.Context, op string, write bool, opts pgx.TxOptions, fn func(ctx context.Context, tx store.Tx) error) error {
	db.stats.Transactions.Add(1)
	var last *tx
	attempts := 0
	err := crdb.ExecuteCtx(crdb.WithMaxRetries(ctx, db.cfg.MaxRetries), func(ctx context.Context, _ ...any) error {
		attempts++
		if attempts > 1 {
			db.stats.Retries.Add(1)
			if err := pause(ctx, attempts); err != nil {
				return err
			}
		}
		last = &tx{db: db, write: write}
		return db.attempt(ctx, op, attempts, opts, last, fn)
	})
	if err == nil {
		db.note(write, nil)
		for _, after := range last.after {
			after()
		}
		return nil
	}
	var tooMany *crdb.MaxRetriesExceededError
	var unknown *store.UnknownOutcomeError
	switch {
	case errors.As(err, &tooMany):
		db.stats.GivenUp.Add(1)
		cause := store.CauseOf(err)
		if cause == "" {
			cause = store.Contended
		}
		err = fmt.Errorf("%s: after %d attempts: %w", op, attempts, unavailable(cause, err))
	case errors.As(err, &unknown):
		db.stats.Unknown.Add(1)
	}
	db.note(write, err)
	return err
}

// pause waits 1 ms … 500 ms, longer with each attempt, so that transactions that
// met once do not meet again.
func pause(ctx context.Context, attempt int) error {
	most := min(time.Millisecond<<min(attempt, 10), 500*time.Millisecond)
	timer := time.NewTimer(time.Millisecond + rand.N(most))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (db *DB) attempt(ctx context.Context, op string, n int, opts pgx.TxOptions, t *tx, fn func(ctx context.Context, tx store.Tx) error) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", op, connected(err))
	}
	defer conn.Release()
	begun, err := conn.BeginTx(ctx, opts)
	if err != nil {
		err = fmt.Errorf("%s: begin: %w", op, err)
		if conn.Conn().IsClosed() && ctx.Err() == nil && sqlState(err) == "" {
			// The server was started anew since this connection was used last.
			// Others of the pool are as old; nothing has begun yet.
			db.pool.Reset()
			return &retryable{connected(err)}
		}
		return connected(err)
	}
	t.Tx = begun
	ended := false
	defer func() {
		if !ended { // the closure failed or panicked
			undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
			defer cancel()
			_ = begun.Rollback(undo) // a connection that cannot roll back is closed by the pool
		}
	}()
	if err := fn(ctx, t); err != nil {
		err = classify(err)
		if conn.Conn().IsClosed() && ctx.Err() == nil && sqlState(err) == "" && !errors.Is(err, store.ErrUnavailable) {
			err = unavailable(store.Down, err) // without a COMMIT nothing took effect
		}
		return err
	}
	if db.cfg.BeforeCommit != nil && t.write {
		if err := db.cfg.BeforeCommit(op, n); err != nil {
			return classify(err)
		}
	}
	ended = true
	err = begun.Commit(ctx)
	if err != nil && !t.write {
		return classify(fmt.Errorf("%s: %w", op, err))
	}
	return committed(op, err)
}

// rollbackTimeout bounds a rollback whose caller has gone.
const rollbackTimeout = 5 * time.Second

// FailFirstCommit is a BeforeCommit hook for tests: every transaction's first
// commit fails with a serialization failure, so that a closure which cannot be
// repeated is found out.
func FailFirstCommit(_ string, attempt int) error {
	if attempt == 1 {
		return &pgconn.PgError{Severity: "ERROR", Code: codeSerialization, Message: "restart transaction: forced by a test"}
	}
	return nil
}

// in returns the running transaction of this database.
func (db *DB) in(t store.Tx) *tx {
	x, ok := t.(*tx)
	invariant.Check(ok && x.db == db, "a transaction of another database")
	return x
}
