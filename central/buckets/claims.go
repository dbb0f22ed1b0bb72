package buckets

import (
	"cmp"
	"fmt"
	"slices"

	centralfeed "meridian/central/feed"
	"meridian/internal/invariant"
	"meridian/internal/journal"
)

// ClaimKind says what a claim is owed for, and with it which account of the books
// it is kept on until it is served.
type ClaimKind string

// Kinds of claims.
const (
	Chargeback ClaimKind = "chargeback" // a payment was taken back: a receivable
	Debt       ClaimKind = "debt"       // what an ended epoch had lent and nobody repaid: a receivable in place of the loan
)

// Claim is a central debit that could not wait for what is leased: it is owed at
// once, and served from what becomes unleased before anything is granted again.
// Amounts count units of the bucket.
type Claim struct {
	ID      string
	Bucket  string
	Account string
	Unit    journal.Unit
	Kind    ClaimKind
	Payment string // the payment that was taken back, "" when it is of no payment
	Amount  int64  // owed in all
	Served  int64  // debited so far, only rises
	At      int64  // Unix microseconds
	Reason  string
}

// Open is what is still owed.
func (c *Claim) Open() int64 { return c.Amount - c.Served }

// Owed is the journal of a new claim: owed at once, whatever regions hold. Sources
// name the claim and how much of it is served.
func (c *Claim) Owed() journal.Journal {
	from := journal.Cash
	if c.Kind == Debt {
		from = journal.OfflineAllowance + c.Account
	}
	return journal.Transfer("claim/"+c.ID+"/0", c.At, string(c.Kind), journal.Receivable+c.Account, from, c.Unit, c.Amount)
}

// instalment is the journal of n that was just served, so that Served includes it.
func (c *Claim) instalment(n, at int64) journal.Journal {
	return journal.Transfer(fmt.Sprintf("claim/%s/%d", c.ID, c.Served), at, "claim_served",
		journal.CustomerPrepaid+c.Account, journal.Receivable+c.Account, c.Unit, n)
}

// OpenClaims is what all open claims on the bucket still lack.
func (s *State) OpenClaims() int64 {
	var sum int64
	for i := range s.Claims {
		sum += s.Claims[i].Open()
	}
	return sum
}

// Outcome is what Rebalance changed beside the bucket itself, to be saved in the
// same transaction.
type Outcome struct {
	Journals []journal.Journal
	Claims   []Claim              // of which more is served
	Leases   []Lease              // granted to or asked to return
	Rows     []centralfeed.Change // that tell the regions
}

// Add adds what another bucket's Rebalance changed.
func (o *Outcome) Add(p Outcome) {
	o.Journals, o.Claims = append(o.Journals, p.Journals...), append(o.Claims, p.Claims...)
	o.Leases, o.Rows = append(o.Leases, p.Leases...), append(o.Rows, p.Rows...)
}

// Rebalance is the policy of a bucket, to be run whenever something became unleased
// or is owed: open claims are served first, the oldest first; what they lack is asked
// back from the regions (reclaim_to); what is left is leased to the home, whose lease
// is the whole bucket as long as no claim is open. homeEpoch is the home's present
// epoch, 0 when the bucket has no home or nothing may be granted there. Of an
// allowance whose epoch has ended what is left lapses: nobody could tell it from
// money that has no end.
func (s *State) Rebalance(homeEpoch uint64, at int64) (Outcome, error) {
	var out Outcome
	if err := s.serve(&out, at); err != nil {
		return out, err
	}
	var home *Lease
	if s.Given && s.Lease(s.Home, homeEpoch) == nil {
		if err := s.lapse(&out, at); err != nil {
			return out, err
		}
	} else if s.Home != "" && homeEpoch != 0 {
		home, _ = s.Open(s.Home, homeEpoch)
	}
	told := s.reclaim()
	if home != nil {
		granted, err := s.Grant(home, MaxTotal)
		if err != nil {
			return out, err
		}
		if granted > 0 {
			told[home] = true
		}
	}
	for i := range s.Leases {
		l := &s.Leases[i]
		if !told[l] {
			continue
		}
		row, err := s.Announce(l)
		if err != nil {
			return out, err
		}
		out.Rows, out.Leases = append(out.Rows, row), append(out.Leases, *l)
	}
	return out, nil
}

// serve debits what is unleased for the open claims, the oldest first.
func (s *State) serve(out *Outcome, at int64) error {
	free, err := s.Unleased()
	if err != nil {
		return err
	}
	invariant.Check(free >= 0, "bucket %s: %d are unleased", s.ID, free)
	slices.SortFunc(s.Claims, func(a, b Claim) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	for i := range s.Claims {
		c := &s.Claims[i]
		n := min(free, c.Open())
		if n <= 0 {
			continue
		}
		free -= n
		c.Served += n
		s.Debited += n
		out.Journals = append(out.Journals, c.instalment(n, at))
		out.Claims = append(out.Claims, *c)
	}
	return nil
}

// reclaim sets how much each region should have returned: all that the open claims
// lack, as far as the region has it. A target is lowered to what was returned when
// nothing is asked any more; the rows' versions keep an older one from coming after
// it. It returns the leases that changed.
func (s *State) reclaim() map[*Lease]bool {
	told := map[*Lease]bool{}
	lack := s.OpenClaims()
	for i := range s.Leases {
		l := &s.Leases[i]
		if l.Ended {
			continue // nobody is there to return it
		}
		ask := max(min(lack, l.Totals.Out()), 0)
		lack -= ask
		if to := l.Totals.X + ask; to != l.ReclaimTo && (ask > 0 || l.ReclaimTo > to) {
			l.ReclaimTo = to
			told[l] = true
		}
	}
	return told
}
