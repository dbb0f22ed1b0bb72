// Package store is the centre's one door to its database: a Runner that runs
// closures as transactions.
//
// It owns the contract of a transaction and the errors that every backend
// speaks. It owns no table: each domain package declares the small Store that it
// needs, a backend gives it for a Tx, and only the outermost service opens one.
package store

import (
	"context"
	"errors"
	"fmt"
)

// Tx is one running transaction. It is opaque to the domain: a backend turns it
// into the domain's Store. It is used by one goroutine at a time.
type Tx interface {
	// AfterCommit has fn called once when the transaction has committed, and
	// never when it has not. It is for wake-ups: fn must not block or fail.
	AfterCommit(fn func())
}

// Runner runs closures as serializable transactions.
//
// A closure may run several times, so it must have no effect outside its Tx and
// must return the errors of its statements. Its error ends the transaction
// without a trace and is returned. Errors of the backend itself wrap
// ErrUnavailable, or are an *UnknownOutcomeError when it cannot be told whether
// the commit took place.
type Runner interface {
	// Do reads and writes. op names the work in errors and statistics.
	Do(ctx context.Context, op string, fn func(ctx context.Context, tx Tx) error) error
	// View only reads, at one consistent instant.
	View(ctx context.Context, op string, fn func(ctx context.Context, tx Tx) error) error
}

var (
	// ErrNotFound: no row has the key.
	ErrNotFound = errors.New("not found")
	// ErrExists: a row has the key already.
	ErrExists = errors.New("exists already")
	// ErrConflict: a guarded update found another value than the one expected.
	ErrConflict = errors.New("changed by someone else")
	// ErrUnavailable: the database cannot be reached, is read-only or overloaded.
	ErrUnavailable = errors.New("database unavailable")
)

// UnknownOutcomeError says that a commit may or may not have taken place. It is
// never retried blindly: look the outcome up by the idempotency key, or repeat
// the request with the same key.
type UnknownOutcomeError struct {
	Op  string
	Err error
}

// Error names the operation and the cause.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("%s: the outcome of the commit is unknown: %v", e.Op, e.Err)
}

// Unwrap gives the cause.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// Run is Runner.Do for a closure that has a result. The result of the attempt
// that committed is returned.
func Run[T any](ctx context.Context, r Runner, op string, fn func(ctx context.Context, tx Tx) (T, error)) (T, error) {
	var out T
	err := r.Do(ctx, op, func(ctx context.Context, tx Tx) error {
		got, err := fn(ctx, tx)
		out = got
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return out, nil
}

// Read is Runner.View for a closure that has a result.
func Read[T any](ctx context.Context, r Runner, op string, fn func(ctx context.Context, tx Tx) (T, error)) (T, error) {
	var out T
	err := r.View(ctx, op, func(ctx context.Context, tx Tx) error {
		got, err := fn(ctx, tx)
		out = got
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return out, nil
}
