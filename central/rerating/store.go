package rerating

import (
	"context"

	"meridian/internal/money"
)

// Store keeps corrections, for ever.
type Store interface {
	// Insert adds corrections; store.ErrExists when a record was priced by the version
	// before.
	Insert(ctx context.Context, corrections []Correction) error
	// Of lists an account's corrections by (at, region, epoch, seq, version), at most
	// limit, of those made in [from, to), Unix microseconds.
	Of(ctx context.Context, account string, from, to int64, limit int) ([]Correction, error)
	// SumBefore is what an account's buckets got back, and by what its receivable
	// changed, before an instant.
	SumBefore(ctx context.Context, account string, before int64) (refunded, owed money.Amount, err error)
	// AccountsAfter lists the ids of accounts after one, in order, at most limit.
	AccountsAfter(ctx context.Context, after string, limit int) ([]string, error)
}
