package feed

import (
	"context"

	"meridian/internal/feed"
)

// Change is a row of one region's feed that has no number yet. Body is the JSON
// of the entity's whole new state, as internal/feed describes it.
type Change struct {
	Region  string
	Kind    feed.Kind
	ID      string
	Version uint64 // of the entity, rising; an order's only one is when it was placed, in Unix microseconds
	Body    []byte
}

// Head is the last number given in a region's feed.
type Head struct {
	Region string
	Last   uint64
}

// Number is the place of an entity's row in a region's feed.
type Number struct {
	Region string
	ID     string
	Number uint64
}

// Store keeps changes until they are numbered, and numbered rows for ever.
type Store interface {
	// CreateHead starts the feed of a region; store.ErrExists when it has one.
	CreateHead(ctx context.Context, region string) error
	// Heads lists all feeds by region.
	Heads(ctx context.Context) ([]Head, error)
	// Last returns the last number of one region's feed and keeps others from
	// numbering until the transaction ends; store.ErrNotFound without a feed.
	Last(ctx context.Context, region string) (uint64, error)
	// Append adds changes; store.ErrExists for a version that is waiting already.
	// The caller takes versions from a row that it changes in the same transaction.
	Append(ctx context.Context, changes []Change) error
	// Waiting lists the regions that have changes without a number, by name.
	Waiting(ctx context.Context) ([]string, error)
	// Pending lists the first changes of a region by (Rank, kind, version, id).
	Pending(ctx context.Context, region string, limit int) ([]Change, error)
	// Number gives the changes the numbers last+1… and moves the head there;
	// store.ErrConflict when the head is not at last.
	Number(ctx context.Context, region string, last uint64, changes []Change) error
	// Numbers finds the numbered rows of entities of one kind in all feeds, by
	// (region, id); of several versions of one the newest.
	Numbers(ctx context.Context, kind feed.Kind, ids []string) ([]Number, error)
	// NextOrder is the number of the first order after a number, 0 when there is none.
	NextOrder(ctx context.Context, region string, after uint64) (uint64, error)
	// Newest gives, for each of the rows, the newest version of its entity that has a
	// number up to upto. Rows of one entity get the same.
	Newest(ctx context.Context, region string, upto uint64, rows []feed.Row) ([]uint64, error)
	// Rows lists numbered rows after a number, in order.
	Rows(ctx context.Context, region string, after uint64, limit int) ([]feed.Row, error)
}

// Rank orders kinds so that what others refer to comes first: a table before
// the offering that names it, an offering before the subscription that does, a lease and a subscription before an order.
// Rows are numbered by (rank, kind, version, id), so an entity's versions are in
// order, and so are orders, whose version is when they were placed.
func Rank(k feed.Kind) int16 {
	switch k {
	case feed.KindTable:
		return -1
	case feed.KindOffering:
		return 0
	case feed.KindNAS, feed.KindOperator:
		return 1
	case feed.KindLease:
		return 2
	case feed.KindSubscription:
		return 3
	default:
		return 4
	}
}
