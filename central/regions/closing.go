package regions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/store"
	"meridian/internal/journal"
)

// ReleasePage is the most buckets that one call gives back.
const ReleasePage = 500

// CloseTx ends a region that is lost for good: nothing is taken of it any more, its
// epoch ends with the last entry accepted, and what its leases had is in suspense.
// Nobody can know what it still spent, so nothing of that is granted again until two
// persons release it. Deposits of its subscribers stay unleased.
func (s *Service) CloseTx(ctx context.Context, tx store.Tx, region, reason string) (Closing, error) {
	st := s.Stores(tx)
	r, err := st.Get(ctx, region, true)
	if errors.Is(err, store.ErrNotFound) {
		return Closing{}, fault.Missing("region", region, "the region", "name one that exists")
	}
	if err != nil {
		return Closing{}, fmt.Errorf("read region %s: %w", region, err)
	}
	c := Closing{Region: region, Epoch: r.Epoch, Seq: r.Seq, At: s.Now().UnixMicro(), Reason: reason}
	if err := st.Revoke(ctx, region); errors.Is(err, store.ErrConflict) || r.Revoked {
		return Closing{}, fault.New(fault.Conflict, "region", region, "the region is closed already", "look at its closing")
	} else if err != nil {
		return Closing{}, fmt.Errorf("close region %s: %w", region, err)
	}
	if err := st.PutClosing(ctx, c); err != nil {
		return Closing{}, fmt.Errorf("close region %s: %w", region, err)
	}
	tx.AfterCommit(func() {
		s.Log.Warn("a region was closed for good: its leases are in suspense", slog.String("region", region),
			slog.Uint64("epoch", c.Epoch), slog.Uint64("seq", c.Seq), slog.String("reason", reason))
	})
	return c, nil
}

// AllowReleaseTx lets what an ended epoch had be given back to its owners, as a
// named loss: what the region spent after its last accepted entry is the operator's.
func (s *Service) AllowReleaseTx(ctx context.Context, tx store.Tx, region string, epoch uint64, reason string) (Closing, error) {
	c, err := s.ClosingTx(ctx, tx, region, epoch)
	if err != nil {
		return c, err
	}
	c.ReleasedAt, c.ReleaseReason = s.Now().UnixMicro(), reason
	if err := s.Stores(tx).AllowRelease(ctx, region, c.Epoch, c.ReleasedAt, reason); errors.Is(err, store.ErrConflict) {
		return c, fault.New(fault.Conflict, "region", region, "its release was allowed already", "go on with the release")
	} else if err != nil {
		return c, fmt.Errorf("allow the release of region %s: %w", region, err)
	}
	return c, nil
}

// ClosingTx reads the end of a region's epoch, of the newest that has ended when epoch
// is 0.
func (s *Service) ClosingTx(ctx context.Context, tx store.Tx, region string, epoch uint64) (c Closing, err error) {
	st := s.Stores(tx)
	if epoch == 0 {
		if epoch, _, err = st.Current(ctx, region); err == nil {
			c, err = st.Closing(ctx, region, epoch)
		}
		epoch--
	}
	if err == nil && c.Region == "" || errors.Is(err, store.ErrNotFound) {
		c, err = st.Closing(ctx, region, epoch)
	}
	if errors.Is(err, store.ErrNotFound) {
		return c, fault.Missing("region", region, "an ended epoch of the region", "name a region that was closed for good or has a new epoch, and which of its epochs")
	}
	if err != nil {
		return c, fmt.Errorf("read the closing of region %s: %w", region, err)
	}
	return c, nil
}

// Suspended is what one call of ReleaseTx gave back.
type Suspended struct {
	Region  string
	Buckets int
	Last    string // bucket that was looked at last: go on after it
	More    bool
}

// ReleaseSuspenseTx gives back what an ended epoch had of at most ReleasePage buckets
// after one of them. Each is the owner's again: it serves claims first, and is the
// home's if it has one; only allowances expire. Repeated, it gives nothing twice.
func (s *Service) ReleaseSuspenseTx(ctx context.Context, tx store.Tx, region string, epoch uint64, after string) (Suspended, error) {
	out := Suspended{Region: region, Last: after}
	c, err := s.ClosingTx(ctx, tx, region, epoch)
	if err != nil {
		return out, err
	}
	if c.ReleasedAt == 0 {
		return out, fault.New(fault.Conflict, "region", region, "nobody has allowed the release", "propose it, and have another admin approve it")
	}
	ids, err := s.Buckets(tx).EndedLeases(ctx, region, c.Epoch, after, ReleasePage)
	if err != nil {
		return out, fmt.Errorf("list what region %s had: %w", region, err)
	}
	if len(ids) == 0 {
		return out, nil
	}
	states, err := s.Buckets(tx).Load(ctx, ids)
	if err != nil {
		return out, fmt.Errorf("read %d buckets: %w", len(ids), err)
	}
	var released []buckets.Lease
	var lapsed []journal.Journal
	now := s.Now().UnixMicro()
	for i := range states {
		if l := states[i].Lease(region, c.Epoch); l != nil && l.Suspense() > 0 {
			if j := states[i].Return(l, now); j != nil {
				lapsed = append(lapsed, *j)
			}
			released = append(released, *l)
		}
		if l := states[i].Lease(region, c.Epoch); l != nil {
			j, err := s.claimDebt(ctx, tx, &states[i], l, now)
			if err != nil {
				return out, err
			}
			lapsed = append(lapsed, j...)
		}
	}
	journals, err := s.rebalance(ctx, tx, states, now, released)
	if err != nil {
		return out, err
	}
	journals = append(lapsed, journals...)
	if len(journals) > 0 {
		if err := s.Books.Post(ctx, tx, region, journals); err != nil {
			return out, err
		}
	}
	out.Buckets, out.Last, out.More = len(ids), ids[len(ids)-1], len(ids) == ReleasePage
	return out, nil
}

// claimDebt makes a claim of what an ended lease had borrowed, once: the subscriber
// owes it still, and the lease that would repay it is no more.
func (s *Service) claimDebt(ctx context.Context, tx store.Tx, state *buckets.State, l *buckets.Lease, now int64) ([]journal.Journal, error) {
	c, ok := state.DebtOf(l, now)
	if !ok {
		return nil, nil
	}
	made, err := s.Buckets(tx).ClaimMade(ctx, c.Bucket, c.ID)
	if err != nil || made {
		return nil, err
	}
	if err := s.Buckets(tx).InsertClaim(ctx, c); err != nil {
		return nil, fmt.Errorf("claim what bucket %s was lent: %w", c.Bucket, err)
	}
	state.Claims = append(state.Claims, c)
	return []journal.Journal{c.Owed()}, nil
}
