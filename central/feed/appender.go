// Package feed carries the centre's changes to the regions: every change writes
// a row of the feed in its own transaction, and a sequencer numbers the
// committed rows densely, region by region.
//
// It owns the pending and the numbered rows and the heads. It does not own what
// the rows say (internal/feed) nor their transport (replication/link).
package feed

import (
	"context"
	"fmt"

	"meridian/central/store"
	"meridian/internal/feed"
)

// Appender writes changes within the caller's transaction.
type Appender struct {
	stores func(store.Tx) Store
	wake   func()
}

// NewAppender builds an Appender; wake is called after each commit that appended.
func NewAppender(stores func(store.Tx) Store, wake func()) *Appender {
	return &Appender{stores: stores, wake: wake}
}

// NewChange encodes an entity as a change of one region's feed.
func NewChange(region string, kind feed.Kind, id string, version uint64, entity any) (Change, error) {
	body, err := feed.Encode(entity)
	if err != nil {
		return Change{}, err
	}
	return Change{Region: region, Kind: kind, ID: id, Version: version, Body: body}, nil
}

// Append writes changes. They become visible to regions some time after the
// transaction has committed.
func (a *Appender) Append(ctx context.Context, tx store.Tx, changes ...Change) error {
	if len(changes) == 0 {
		return nil
	}
	if err := a.stores(tx).Append(ctx, changes); err != nil {
		return fmt.Errorf("append %d feed rows: %w", len(changes), err)
	}
	tx.AfterCommit(a.wake)
	return nil
}

// Broadcast writes the same change for every region that has a feed.
func (a *Appender) Broadcast(ctx context.Context, tx store.Tx, kind feed.Kind, id string, version uint64, entity any) error {
	heads, err := a.stores(tx).Heads(ctx)
	if err != nil {
		return fmt.Errorf("list feeds: %w", err)
	}
	changes := make([]Change, 0, len(heads))
	for _, h := range heads {
		c, err := NewChange(h.Region, kind, id, version, entity)
		if err != nil {
			return err
		}
		changes = append(changes, c)
	}
	return a.Append(ctx, tx, changes...)
}

// Create starts a region's feed.
func (a *Appender) Create(ctx context.Context, tx store.Tx, region string) error {
	if err := a.stores(tx).CreateHead(ctx, region); err != nil {
		return fmt.Errorf("create the feed of region %s: %w", region, err)
	}
	return nil
}
