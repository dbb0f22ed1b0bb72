package orders

import (
	"context"

	"meridian/internal/feed"
)

// Outcome of an order, as the home's entry reports it.
const (
	Open     = "open"
	Executed = "executed"
	Refused  = "refused"
)

// Order is an order with its answer.
type Order struct {
	feed.Order
	Account  string
	Region   string
	PlacedAt int64  // Unix microseconds, rising: the version of its feed row
	Status   string // Open, Executed or Refused
	Detail   string // what the home said
	DoneAt   int64  // region time of the answer, Unix microseconds
}

// Answer is what an entry says about an order.
type Answer struct {
	Order  string
	Status string
	Detail string
	At     int64
}

// Store keeps orders.
type Store interface {
	// Insert adds an order; store.ErrExists when its id is taken.
	Insert(ctx context.Context, o Order) error
	// Get returns the orders that exist, by id.
	Get(ctx context.Context, ids []string) ([]Order, error)
	// SetAnswers records answers of orders that are open, and leaves others alone.
	SetAnswers(ctx context.Context, answers []Answer) error
	// RefuseOpen answers all open orders of a region.
	RefuseOpen(ctx context.Context, region, detail string, at int64) error
}
