package regions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/store"
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
	if err := st.Close(ctx, c); errors.Is(err, store.ErrConflict) || r.Revoked {
		return Closing{}, fault.New(fault.Conflict, "region", region, "the region is closed already", "look at its closing")
	} else if err != nil {
		return Closing{}, fmt.Errorf("close region %s: %w", region, err)
	}
	tx.AfterCommit(func() {
		s.Log.Warn("a region was closed for good: its leases are in suspense", slog.String("region", region),
			slog.Uint64("epoch", c.Epoch), slog.Uint64("seq", c.Seq), slog.String("reason", reason))
	})
	return c, nil
}

// AllowReleaseTx lets what a closed region had be given back to its owners, as a
// named loss: what the region spent after its last accepted entry is the operator's.
func (s *Service) AllowReleaseTx(ctx context.Context, tx store.Tx, region, reason string) (Closing, error) {
	c, err := s.ClosingTx(ctx, tx, region)
	if err != nil {
		return c, err
	}
	c.ReleasedAt, c.ReleaseReason = s.Now().UnixMicro(), reason
	if err := s.Stores(tx).AllowRelease(ctx, region, c.ReleasedAt, reason); errors.Is(err, store.ErrConflict) {
		return c, fault.New(fault.Conflict, "region", region, "its release was allowed already", "go on with the release")
	} else if err != nil {
		return c, fmt.Errorf("allow the release of region %s: %w", region, err)
	}
	return c, nil
}

// ClosingTx reads the closing of a region that was closed for good.
func (s *Service) ClosingTx(ctx context.Context, tx store.Tx, region string) (Closing, error) {
	c, err := s.Stores(tx).Closing(ctx, region)
	if errors.Is(err, store.ErrNotFound) {
		return c, fault.Missing("region", region, "a closed region", "name a region that was closed for good")
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

// ReleaseSuspenseTx gives back what a closed region had of at most ReleasePage buckets
// after one of them. Each is the owner's again: it serves claims first, and waits for a
// home. Repeated, it gives nothing twice.
func (s *Service) ReleaseSuspenseTx(ctx context.Context, tx store.Tx, region, after string) (Suspended, error) {
	out := Suspended{Region: region, Last: after}
	c, err := s.ClosingTx(ctx, tx, region)
	if err != nil {
		return out, err
	}
	if c.ReleasedAt == 0 {
		return out, fault.New(fault.Conflict, "region", region, "nobody has allowed the release", "propose it, and have another admin approve it")
	}
	ids, err := s.Buckets(tx).EndedLeases(ctx, region, after, ReleasePage)
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
	for i := range states {
		for k := range states[i].Leases {
			if l := &states[i].Leases[k]; l.Region == region && l.Suspense() > 0 {
				l.Released += l.Suspense()
				released = append(released, *l)
			}
		}
	}
	journals, err := s.rebalance(ctx, tx, states, s.Now().UnixMicro(), released)
	if err != nil {
		return out, err
	}
	if len(journals) > 0 {
		if err := s.Books.Post(ctx, tx, region, journals); err != nil {
			return out, err
		}
	}
	out.Buckets, out.Last, out.More = len(ids), ids[len(ids)-1], len(ids) == ReleasePage
	return out, nil
}
