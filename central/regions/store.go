package regions

import (
	"context"

	"meridian/internal/journal"
)

// Region is what the centre knows of a region: its epoch and the cursor up to
// which its ledger has been accepted.
type Region struct {
	Name      string
	Revoked   bool
	Epoch     uint64
	PrevHash  journal.Hash // last accepted hash of the epoch before, zero for the first
	Seq       uint64       // cursor: last entry accepted in the epoch
	Hash      journal.Hash // its hash, zero before the first
	RaftTerm  uint64       // highest that has said hello in the epoch
	CreatedAt int64        // Unix microseconds
}

// Store keeps regions and their epochs.
type Store interface {
	// Insert adds a region with its epoch; store.ErrExists when it is there.
	Insert(ctx context.Context, r Region) error
	// Get returns a region, or store.ErrNotFound; in a writing transaction with
	// lock it keeps other holders of the lock waiting.
	Get(ctx context.Context, name string, lock bool) (Region, error)
	// Current returns a region's epoch and whether it is revoked, or
	// store.ErrNotFound. It does not read the cursor, which moves all the time.
	Current(ctx context.Context, name string) (epoch uint64, revoked bool, err error)
	// List returns all regions by name.
	List(ctx context.Context) ([]Region, error)
	// SetTerm records the highest raft term.
	SetTerm(ctx context.Context, name string, term uint64) error
	// MoveCursor moves the cursor of an epoch from one place to a later one;
	// store.ErrConflict when it is not at from.
	MoveCursor(ctx context.Context, name string, epoch, from, to uint64, hash journal.Hash) error
}
