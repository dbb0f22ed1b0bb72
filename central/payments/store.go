package payments

import (
	"context"

	"meridian/internal/money"
)

// Payment is money received, for ever.
type Payment struct {
	ID          string
	Key         string // the caller's idempotency key, unique
	RequestHash [32]byte
	Account     string
	Bucket      string
	Amount      money.Amount
	Currency    money.Currency
	Method      string
	Reference   string
	At          int64 // Unix microseconds
}

// Store keeps payments.
type Store interface {
	// Insert adds payments; store.ErrExists when a key or id is taken.
	Insert(ctx context.Context, payments []Payment) error
	// Get returns the payment with an id, or nothing.
	Get(ctx context.Context, id string) ([]Payment, error)
	// ByKeys returns the payments with these idempotency keys, by key.
	ByKeys(ctx context.Context, keys []string) ([]Payment, error)
	// SumBefore is what an account paid in before an instant.
	SumBefore(ctx context.Context, account string, before int64) (money.Amount, error)
	// OfAccount lists an account's payments in [from, to), by (at, id), at most limit.
	OfAccount(ctx context.Context, account string, from, to int64, limit int) ([]Payment, error)
}
