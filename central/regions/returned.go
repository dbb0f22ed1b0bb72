package regions

import (
	"context"
	"fmt"

	"meridian/central/buckets"
	"meridian/central/store"
	"meridian/internal/journal"
)

// raise adds what the entries say to the leases, and puts to use what they returned:
// it serves claims, and is the home's again where none is open.
func (s *Service) raise(ctx context.Context, tx store.Tx, r Region, out *settled, now int64) error {
	if len(out.opened) > 0 {
		if err := s.Buckets(tx).InsertBuckets(ctx, out.opened); err != nil {
			return fmt.Errorf("open %d buckets made at the region: %w", len(out.opened), err)
		}
		if err := s.Buckets(tx).SaveLeases(ctx, out.leases); err != nil {
			return fmt.Errorf("open %d leases: %w", len(out.leases), err)
		}
	}
	if len(out.deltas) == 0 {
		return nil
	}
	// Buckets are locked before leases, as everywhere.
	states, err := s.returnedTo(ctx, tx, out.deltas)
	if err != nil {
		return err
	}
	if err := s.Buckets(tx).Raise(ctx, r.Name, r.Epoch, out.deltas); err != nil {
		return fmt.Errorf("raise %d leases: %w", len(out.deltas), err)
	}
	if len(states) == 0 {
		return nil
	}
	if states, err = s.returnedTo(ctx, tx, out.deltas); err != nil { // with what was just raised
		return err
	}
	journals, err := s.rebalance(ctx, tx, states, now, nil)
	out.journals = append(out.journals, journals...)
	return err
}

// rebalance puts to use what became unleased and saves it, with leases that the caller
// changed. It returns the journals to post.
func (s *Service) rebalance(ctx context.Context, tx store.Tx, states []buckets.State, now int64, leases []buckets.Lease) ([]journal.Journal, error) {
	var changed buckets.Outcome
	rows := make([]buckets.Bucket, len(states))
	for i := range states {
		epoch, err := s.homeEpoch(ctx, tx, states[i].Home)
		if err != nil {
			return nil, err
		}
		o, err := states[i].Rebalance(epoch, now)
		if err != nil {
			return nil, err
		}
		changed.Add(o)
		rows[i] = states[i].Bucket
	}
	if err := s.Buckets(tx).SaveBuckets(ctx, rows); err != nil {
		return nil, fmt.Errorf("save %d buckets: %w", len(rows), err)
	}
	if err := s.Buckets(tx).SaveClaims(ctx, changed.Claims); err != nil {
		return nil, fmt.Errorf("serve %d claims: %w", len(changed.Claims), err)
	}
	if err := s.Buckets(tx).SaveLeases(ctx, append(leases, changed.Leases...)); err != nil {
		return nil, fmt.Errorf("grant %d leases: %w", len(changed.Leases), err)
	}
	return changed.Journals, s.Changes.Append(ctx, tx, changed.Rows...)
}

// returnedTo loads the buckets of which something was returned.
func (s *Service) returnedTo(ctx context.Context, tx store.Tx, deltas []buckets.Delta) ([]buckets.State, error) {
	var ids []string
	for _, d := range deltas {
		if d.Totals.X > 0 {
			ids = append(ids, d.Bucket)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	states, err := s.Buckets(tx).Load(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read buckets that were returned to: %w", err)
	}
	return states, nil
}

// homeEpoch is the present epoch of a home that may be granted to, 0 when there is
// none.
func (s *Service) homeEpoch(ctx context.Context, tx store.Tx, home string) (uint64, error) {
	if home == "" {
		return 0, nil
	}
	epoch, revoked, err := s.Stores(tx).Current(ctx, home)
	if err != nil {
		return 0, fmt.Errorf("read region %s: %w", home, err)
	}
	if revoked {
		return 0, nil
	}
	return epoch, nil
}
