package cockroach

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/central/store"
)

// SQLSTATE codes that decide what happens next.
const (
	codeSerialization   = "40001"
	codeDeadlock        = "40P01" // PostgreSQL's; CockroachDB says 40001
	codeUnknownOutcome  = "40003"
	codeUnique          = "23505"
	codeAdminShutdown   = "57P01"
	codeAmbiguousSchema = "XXA00"
	codeReadOnly        = "25006"
	codeCanceled        = "57014"
	codePlanChanged     = "0A000"
	codeDiskFull        = "53100"
	codeLockTimeout     = "55P03"
	codeIdleInTx        = "25P03"
)

// retryable makes the retry loop run the closure again.
type retryable struct{ err error }

func (r *retryable) Error() string    { return r.err.Error() }
func (r *retryable) Unwrap() error    { return r.err }
func (r *retryable) SQLState() string { return codeSerialization }

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// classify turns an error from within a transaction that did not commit into the
// store's vocabulary.
func classify(err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		var connect *pgconn.ConnectError
		if errors.As(err, &connect) || (pgconn.SafeToRetry(err) && !errors.Is(err, context.Canceled)) {
			return unavailable(store.Down, err)
		}
		return err
	}
	switch {
	case pg.Code == codeDeadlock:
		return &retryable{err}
	case pg.Code == codePlanChanged && strings.Contains(pg.Message, "cached plan"):
		return &retryable{err} // a migration ran meanwhile; pgx plans anew
	}
	if cause := causeOf(pg.Code); cause != "" {
		return unavailable(cause, err)
	}
	return err
}

// causeOf is what a SQLSTATE says about the database, "" when it is about the
// statement.
func causeOf(code string) store.Cause {
	switch {
	case code == codeReadOnly:
		return store.ReadOnly
	case code == codeDiskFull:
		return store.Full
	case code == codeLockTimeout:
		return store.Contended
	case code == codeCanceled, code == codeIdleInTx, strings.HasPrefix(code, "53"):
		return store.Overloaded
	case strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "08"), strings.HasPrefix(code, "58"):
		return store.Down
	}
	return ""
}

func unavailable(cause store.Cause, err error) error {
	return &store.UnavailableError{Cause: cause, Err: err}
}

// connected classifies the failure to get a connection: it is the database's
// unless the caller has gone.
func connected(err error) error {
	if cause := causeOf(sqlState(err)); cause != "" {
		return unavailable(cause, err)
	}
	return unavailable(store.Down, err)
}

// committed judges the error of a COMMIT. Without a word from the server, or
// with one that says so, the outcome is unknown.
func committed(op string, err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrTxCommitRollback):
		return fmt.Errorf("%s: a statement's error was passed over: %w", op, err)
	case !errors.As(err, &pg), pg.Code == codeUnknownOutcome, pg.Code == codeAdminShutdown,
		pg.Code == codeAmbiguousSchema, strings.HasPrefix(pg.Code, "08"):
		return &store.UnknownOutcomeError{Op: op, Err: err}
	}
	return classify(err)
}

// statement names the work that a statement failed at, and turns a duplicate key
// into store.ErrExists.
func statement(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case sqlState(err) == codeUnique:
		return fmt.Errorf("%s: %w: %w", what, store.ErrExists, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
