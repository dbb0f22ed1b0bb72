// Package buckets is the centre's side of balance buckets and their leases.
//
// It owns what was credited and debited centrally, what was granted to each
// region, and the totals that regions have reported. It does not own what a
// region does with its lease: live balances, holds and unsettled charges are the
// edge's. All totals are monotonic, per (bucket, region, epoch).
package buckets

import (
	"context"
	"errors"
	"fmt"

	centralfeed "meridian/central/feed"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
)

// CashID is the id of an account's money bucket.
func CashID(account string) string { return account + "/cash" }

// MaxTotal bounds what a bucket is credited and what a lease is granted in all, so
// that sums of several fit 64 bits at the edge too: 2^60 units.
const MaxTotal = 1 << 60

// ErrTooMuch: a bucket would be credited more than MaxTotal in all.
var ErrTooMuch = errors.New("a bucket cannot be credited that much in all")

// Bucket is the central part of a bucket. Amounts count units of Unit.
type Bucket struct {
	ID        string
	Account   string
	Unit      journal.Unit
	Home      string // region that holds the whole by default, "" until the account has a subscription
	Priority  int
	ExpiresAt int64 // Unix seconds, 0 = never
	Allowance int64 // most that B − P may be while the home is isolated
	Credited  int64
	Debited   int64
	Given     bool // made at a region for an allowance: it ends with the epoch that made it
}

// Totals are a lease's monotonic totals: granted, taken in, spent, returned,
// borrowed, repaid.
type Totals struct{ G, T, S, X, B, P int64 }

// Add returns the sum, total by total, or money.ErrOverflow.
func (t Totals) Add(d Totals) (Totals, error) {
	out := t
	for _, p := range [...]struct {
		to  *int64
		add int64
	}{{&out.G, d.G}, {&out.T, d.T}, {&out.S, d.S}, {&out.X, d.X}, {&out.B, d.B}, {&out.P, d.P}} {
		v, err := money.Add(money.Amount(*p.to), money.Amount(p.add))
		if err != nil {
			return t, err
		}
		*p.to = int64(v)
	}
	return out, nil
}

// Out is what the region has and has not yet reported as spent or returned:
// G + T + B − P − S − X.
func (t Totals) Out() int64 { return t.G + t.T + t.B - t.P - t.S - t.X }

// Lease is a region's lease of a bucket. Account and Unit repeat the bucket's,
// which never change, so that settling reads no bucket.
type Lease struct {
	Bucket      string
	Region      string
	Epoch       uint64
	Account     string
	Unit        journal.Unit
	Totals      Totals
	Wanted      int64
	ReclaimTo   int64
	FeedVersion uint64 // version of the newest feed row
	Released    int64  // of an ended epoch's lease: given back out of suspense
	Ended       bool   // its epoch has ended; not stored with the lease
}

// Suspense is what an ended epoch's lease had and nobody has accounted for: it is
// neither spent nor anybody's to grant until two persons release it.
func (l *Lease) Suspense() int64 {
	if !l.Ended {
		return 0
	}
	return l.Totals.Out() - l.Released
}

// State is a bucket with all its leases, by (region, epoch), and the claims on it
// that are open.
type State struct {
	Bucket
	Leases []Lease
	Claims []Claim
}

// Unleased is what no region holds: credited − debited − ΣG + ΣX, and what was
// released out of suspense. It is never negative: what is owed beyond it is a claim.
func (s *State) Unleased() (int64, error) {
	sum, err := money.Sub(money.Amount(s.Credited), money.Amount(s.Debited))
	for i := range s.Leases {
		if err == nil {
			sum, err = money.Sub(sum, money.Amount(s.Leases[i].Totals.G))
		}
		if err == nil {
			sum, err = money.Add(sum, money.Amount(s.Leases[i].Totals.X))
		}
		if err == nil {
			sum, err = money.Add(sum, money.Amount(s.Leases[i].Released))
		}
	}
	if err != nil {
		return 0, fmt.Errorf("bucket %s: %w", s.ID, err)
	}
	return int64(sum), nil
}

// Lease finds the lease of (region, epoch), nil when there is none.
func (s *State) Lease(region string, epoch uint64) *Lease {
	for i := range s.Leases {
		if l := &s.Leases[i]; l.Region == region && l.Epoch == epoch {
			return l
		}
	}
	return nil
}

// Open adds the lease of (region, epoch) if it is not there, with nothing
// granted, and returns it and whether it is new.
func (s *State) Open(region string, epoch uint64) (*Lease, bool) {
	if l := s.Lease(region, epoch); l != nil {
		return l, false
	}
	l := Lease{Bucket: s.ID, Region: region, Epoch: epoch, Account: s.Account, Unit: s.Unit}
	for i := range s.Leases { // rows go on from those of epochs before: a region skips what is not newer
		if s.Leases[i].Region == region {
			l.FeedVersion = max(l.FeedVersion, s.Leases[i].FeedVersion)
		}
	}
	s.Leases = append(s.Leases, l)
	return &s.Leases[len(s.Leases)-1], true
}

// Grant raises the lease's G by at most amount, and by no more than is unleased and
// not owed to a claim; it returns by how much. What would take G beyond MaxTotal stays
// unleased.
func (s *State) Grant(l *Lease, amount int64) (int64, error) {
	free, err := s.Unleased()
	if err != nil {
		return 0, err
	}
	free -= s.OpenClaims()
	grant := min(amount, free, MaxTotal-l.Totals.G)
	if grant <= 0 {
		return 0, nil
	}
	totals, err := l.Totals.Add(Totals{G: grant})
	if err != nil {
		return 0, fmt.Errorf("grant %d of bucket %s: %w", grant, s.ID, err)
	}
	l.Totals = totals
	return grant, nil
}

// Credit raises what the bucket was credited centrally. It fails with ErrTooMuch
// beyond MaxTotal.
func (s *State) Credit(amount int64) error {
	if amount > MaxTotal-s.Credited {
		return fmt.Errorf("%w: bucket %s has %d, at most %d", ErrTooMuch, s.ID, s.Credited, MaxTotal)
	}
	s.Credited += amount
	return nil
}

// Announce raises the lease's feed version and builds its feed row.
func (s *State) Announce(l *Lease) (centralfeed.Change, error) {
	l.FeedVersion++
	return centralfeed.NewChange(l.Region, feed.KindLease, s.ID, l.FeedVersion, &feed.Lease{
		Bucket: s.ID, Account: s.Account, Unit: s.Unit, Priority: s.Priority, ExpiresAt: s.ExpiresAt,
		Epoch: l.Epoch, Granted: l.Totals.G, ReclaimTo: l.ReclaimTo, Allowance: s.Allowance,
	})
}

// Delta raises a lease's totals by what a batch of entries says. G is never
// raised this way.
type Delta struct {
	Bucket string
	Totals Totals
}

// Store keeps buckets and leases. Slices are in key order where the method says
// nothing else; a method that takes several rows changes all or fails.
type Store interface {
	// InsertBuckets adds buckets; store.ErrExists when one is there.
	InsertBuckets(ctx context.Context, buckets []Bucket) error
	// Load returns the buckets that exist, by id, with all their leases and open
	// claims, and in a writing transaction keeps other writers of them waiting.
	Load(ctx context.Context, ids []string) ([]State, error)
	// SaveBuckets writes home, allowance, credited and debited.
	SaveBuckets(ctx context.Context, buckets []Bucket) error
	// SaveLeases writes G, wanted, reclaim_to, feed version and what was released, and adds leases
	// that are not there; it never touches T, S, X, B, P.
	SaveLeases(ctx context.Context, leases []Lease) error
	// Leases returns a region's leases in one epoch of the buckets named.
	Leases(ctx context.Context, region string, epoch uint64, buckets []string) ([]Lease, error)
	// EndedLeases lists the buckets, after one of them, of which an ended epoch of a
	// region has left something in suspense or lent, by id, at most limit.
	EndedLeases(ctx context.Context, region string, epoch uint64, after string, limit int) ([]string, error)
	// Raise adds to T, S, X, B, P of leases that exist; store.ErrNotFound otherwise.
	Raise(ctx context.Context, region string, epoch uint64, deltas []Delta) error
	// OfAccount lists an account's buckets by id.
	OfAccount(ctx context.Context, account string) ([]State, error)

	// InsertClaim adds a claim; store.ErrExists when its id is taken.
	InsertClaim(ctx context.Context, c Claim) error
	// ClaimMade tells whether a bucket has a claim of this id, served or not.
	ClaimMade(ctx context.Context, bucket, id string) (bool, error)
	// SaveClaims writes what was served of claims that exist.
	SaveClaims(ctx context.Context, claims []Claim) error
	// ClaimsOf lists an account's claims made in [from, to), Unix microseconds, by
	// (at, id), served ones too, at most limit.
	ClaimsOf(ctx context.Context, account string, from, to int64, limit int) ([]Claim, error)
	// Claim returns the claim with an id, or store.ErrNotFound.
	Claim(ctx context.Context, id string) (Claim, error)
	// ClaimedBefore is what was claimed of an account in all before an instant.
	ClaimedBefore(ctx context.Context, account string, before int64) (int64, error)
	// ClaimedOf is what was claimed of a payment in all.
	ClaimedOf(ctx context.Context, payment string) (int64, error)
}
