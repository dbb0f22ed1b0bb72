// Package regions is where the link meets the books: the registry of regions and
// their epochs, and the Sink that takes their ledgers in.
//
// It owns epochs, cursors and the rule which entry is accepted: one transaction
// appends a batch, settles it and moves the cursor, so everything is counted
// exactly once. It does not own the stream (replication/link) nor what an entry
// is posted to (settlement).
package regions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	"meridian/replication/identity"
)

// Seed gives the feed rows that a new region starts with.
type Seed func(ctx context.Context, tx store.Tx, region string) ([]feed.Change, error)

// Feed is what the registry needs of central/feed.
type Feed interface {
	Create(ctx context.Context, tx store.Tx, region string) error
	Append(ctx context.Context, tx store.Tx, changes ...feed.Change) error
}

// Registry creates regions and answers what their epoch is.
type Registry struct {
	runner store.Runner
	stores func(store.Tx) Store
	feed   Feed
	seeds  []Seed
	now    func() time.Time
}

// NewRegistry builds the registry; seeds fill the feed of a new region.
func NewRegistry(runner store.Runner, stores func(store.Tx) Store, feed Feed, now func() time.Time, seeds ...Seed) *Registry {
	return &Registry{runner: runner, stores: stores, feed: feed, seeds: seeds, now: now}
}

// Create is CreateTx in a transaction of its own.
func (g *Registry) Create(ctx context.Context, name string) (Region, error) {
	return store.Run(ctx, g.runner, "regions.create", func(ctx context.Context, tx store.Tx) (Region, error) {
		return g.CreateTx(ctx, tx, name)
	})
}

// CreateTx makes a region with epoch 1 and its feed.
func (g *Registry) CreateTx(ctx context.Context, tx store.Tx, name string) (Region, error) {
	if !identity.ValidName(name) {
		return Region{}, fault.Bad("name", name, "this cannot name a region", "use 1 to 63 of a-z, 0-9 and hyphen, not at the ends")
	}
	r := Region{Name: name, Epoch: 1, CreatedAt: g.now().UnixMicro()}
	if err := g.stores(tx).Insert(ctx, r); errors.Is(err, store.ErrExists) {
		return Region{}, fault.New(fault.Exists, "name", name, "the region exists already", "use it, or choose another name")
	} else if err != nil {
		return Region{}, fmt.Errorf("create region %s: %w", name, err)
	}
	if err := g.feed.Create(ctx, tx, name); err != nil {
		return Region{}, err
	}
	for _, seed := range g.seeds {
		changes, err := seed(ctx, tx, name)
		if err != nil {
			return Region{}, fmt.Errorf("seed the feed of region %s: %w", name, err)
		}
		if err := g.feed.Append(ctx, tx, changes...); err != nil {
			return Region{}, err
		}
	}
	return r, nil
}

// Epoch returns the current epoch of a region that may be given leases, or a
// fault that names field.
func (g *Registry) Epoch(ctx context.Context, tx store.Tx, field, name string) (uint64, error) {
	epoch, revoked, err := g.stores(tx).Current(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, fault.Missing(field, name, "the region", "create it first, or name one that exists")
	case err != nil:
		return 0, fmt.Errorf("read region %s: %w", name, err)
	case revoked:
		return 0, fault.New(fault.Conflict, field, name, "the region is revoked", "name another region")
	}
	return epoch, nil
}

// HomeEpoch is the present epoch of a home, 0 when the region was closed: what is paid
// in then stays unleased.
func (g *Registry) HomeEpoch(ctx context.Context, tx store.Tx, name string) (uint64, error) {
	epoch, revoked, err := g.stores(tx).Current(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("read region %s: %w", name, err)
	}
	if revoked {
		return 0, nil
	}
	return epoch, nil
}

// List returns all regions by name.
func (g *Registry) List(ctx context.Context) ([]Region, error) {
	return store.Read(ctx, g.runner, "regions.list", func(ctx context.Context, tx store.Tx) ([]Region, error) {
		return g.ListTx(ctx, tx)
	})
}

// ListTx is List within the caller's transaction.
func (g *Registry) ListTx(ctx context.Context, tx store.Tx) ([]Region, error) {
	return g.stores(tx).List(ctx)
}
