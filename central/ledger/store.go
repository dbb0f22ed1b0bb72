package ledger

import (
	"context"

	"meridian/internal/journal"
)

// Record is an entry as the centre keeps it: the bytes that were chained, their
// place and hash. Entry is what the bytes say; nil when they cannot be read.
// Suspense marks an entry that was posted to suspense and waits for a person.
type Record struct {
	Region   string
	Epoch    uint64
	Seq      uint64
	Raw      []byte
	Hash     journal.Hash
	Entry    *journal.Entry
	Suspense bool
}

// Review is an item of the queue of entries that a person must look at.
type Review struct {
	Region string
	Epoch  uint64
	Seq    uint64
	At     int64 // Unix microseconds, when it was queued
	Reason string
}

// Balance is one row of the books' balances, or a change to it.
type Balance struct {
	Account string
	Unit    journal.Unit
	Slot    int16
	Amount  int64
}

// Place names an entry.
type Place struct {
	Region     string
	Epoch, Seq uint64
}

// Store keeps entries, journals, balances and reviews. Nothing of it is ever
// changed or deleted but the balances, which only journals move.
type Store interface {
	// AppendEntries adds entries; store.ErrExists when a place is taken.
	AppendEntries(ctx context.Context, records []Record) error
	// EntryHash returns the hash stored at a place, or store.ErrNotFound.
	EntryHash(ctx context.Context, p Place) (journal.Hash, error)
	// Entry returns the entry at a place, in suspense or not, or store.ErrNotFound.
	Entry(ctx context.Context, p Place) (Record, error)
	// UsageOf lists the usage records of a place's region after it, written in
	// [from, to), Unix microseconds, by (epoch, seq), at most limit, suspense left out.
	UsageOf(ctx context.Context, after Place, from, to int64, limit int) ([]Record, error)
	// ServiceOf lists the entries that say what was done for subscriptions by periods:
	// fees and one-time charges, owed ones too, what was given back of them, and
	// allowances given; by (subscription, region, epoch, seq), suspense left out.
	ServiceOf(ctx context.Context, subscriptions []string) ([]journal.Entry, error)
	// InsertJournals adds journals with their postings; store.ErrExists when a
	// source was posted before.
	InsertJournals(ctx context.Context, journals []journal.Journal) error
	// AddBalances adds to balance rows, making those that are not there. Rows are
	// distinct and sorted by (account, unit, slot).
	AddBalances(ctx context.Context, changes []Balance) error
	// BalancesOf returns the balance of each code in the unit, slots summed;
	// codes without a row are absent.
	BalancesOf(ctx context.Context, codes []string, unit journal.Unit) (map[string]int64, error)
	// InsertReviews adds items of the review queue.
	InsertReviews(ctx context.Context, reviews []Review) error
	// Reviews lists the queue by (region, epoch, seq), at most limit.
	Reviews(ctx context.Context, limit int) ([]Review, error)
	// TotalsBefore sums the amounts of an account's entries in one unit, by kind,
	// before an instant (Unix microseconds), suspense left out.
	TotalsBefore(ctx context.Context, account string, unit journal.Unit, before int64) (map[journal.Kind]int64, error)
	// OwedBefore sums what an account's entries of overrun and owed fees in one unit
	// put into its receivables, before an instant, suspense left out.
	OwedBefore(ctx context.Context, account string, unit journal.Unit, before int64) (int64, error)
	// EntriesOf lists an account's entries in [from, to), by (at, region, epoch,
	// seq), at most limit, suspense left out.
	EntriesOf(ctx context.Context, account string, from, to int64, limit int) ([]Record, error)
}
