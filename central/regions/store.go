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
	Held      string       // why nothing is taken of it until a person has looked, "" when it is
}

// Hold keeps a region's stream out until a person has looked.
type Hold struct {
	Region string
	At     int64  // Unix microseconds
	Node   string // whose signed head started it
	Reason string
}

// SignedHead is a head that a node signed, as it came.
type SignedHead struct {
	journal.SignedHead
	Raw        []byte // canonical bytes
	ReceivedAt int64  // Unix microseconds
}

// Hour is the hour of region time of which the newest checked head is kept.
func (h *SignedHead) Hour() int64 { return h.At / 3_600_000_000 }

// Closing is the end of an epoch, because the region was lost for good or was restored
// from before what the centre has: it ended at Seq, and what it had is in suspense
// until ReleasedAt.
type Closing struct {
	Region        string
	Epoch         uint64
	Seq           uint64 // last entry accepted
	At            int64  // Unix microseconds
	Reason        string
	ReleasedAt    int64 // when giving back was allowed, 0 when it was not
	ReleaseReason string
}

// Heir is the ledger that an epoch was given to: the one that ends here, or that of a
// region that is founded anew (all zero).
type Heir struct {
	Epoch uint64
	Seq   uint64
	Hash  journal.Hash
}

// Opening is the beginning of an epoch that is not a region's first. It is taken over
// the link once the region's feed has what the centre knows of each subscription.
type Opening struct {
	Region   string
	Epoch    uint64
	Heir     Heir
	At       int64  // Unix microseconds
	After    string // subscription that was looked at last
	Services uint64 // rows of Service that were written
	ReadyAt  int64  // when the last one was, 0 before
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

	// Revoke ends a region; store.ErrConflict when it is revoked.
	Revoke(ctx context.Context, region string) error
	// PutClosing keeps the end of an epoch; store.ErrExists when it is there.
	PutClosing(ctx context.Context, c Closing) error
	// Closing returns the end of an epoch, or store.ErrNotFound.
	Closing(ctx context.Context, region string, epoch uint64) (Closing, error)
	// AllowRelease lets what an epoch had be given back; store.ErrConflict when that
	// was allowed before.
	AllowRelease(ctx context.Context, region string, epoch uint64, at int64, reason string) error
	// Begin issues a region's next epoch, with its cursor before the first entry, and
	// ends its being revoked; store.ErrConflict when it is not the next.
	Begin(ctx context.Context, o Opening, previous journal.Hash) error
	// Opening returns the beginning of an epoch, or store.ErrNotFound.
	Opening(ctx context.Context, region string, epoch uint64) (Opening, error)
	// SaveOpening writes how far an opening has come.
	SaveOpening(ctx context.Context, o Opening) error

	// Hold keeps a region's stream out; a hold that is there stays.
	Hold(ctx context.Context, h Hold) error
	// Release ends a hold and returns it, or store.ErrNotFound.
	Release(ctx context.Context, region string) (Hold, error)
	// PendingHeads returns heads that wait to be compared, up to a seq of an epoch,
	// by (node, log index), at most limit.
	PendingHeads(ctx context.Context, region string, epoch, upTo uint64, limit int) ([]SignedHead, error)
	// PutPending adds heads that wait; those that are there stay.
	PutPending(ctx context.Context, heads []SignedHead) error
	// TakePending removes heads that waited, by (node, log index).
	TakePending(ctx context.Context, heads []SignedHead) error
	// DropPending removes all heads of a region that wait and returns them.
	DropPending(ctx context.Context, region string) ([]SignedHead, error)
	// PutChecked keeps heads that match the ledger: of each node and hour the newest.
	PutChecked(ctx context.Context, heads []SignedHead) error
}
