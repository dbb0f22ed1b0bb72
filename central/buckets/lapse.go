package buckets

import (
	"fmt"

	"meridian/internal/journal"
)

// Return gives what an ended epoch's lease has in suspense back to the bucket: it is
// unleased then. What was given for an allowance is not the owner's: it expires here,
// since the epoch that follows gives the allowance anew. It returns the journal of
// that, nil when there is none.
func (s *State) Return(l *Lease, at int64) *journal.Journal {
	n := l.Suspense()
	l.Released += n
	if !s.Given || n <= 0 {
		return nil
	}
	s.Debited += n
	j := journal.Transfer(fmt.Sprintf("lapsed/%s/%d/%s", l.Region, l.Epoch, s.ID), at, "expired",
		journal.CustomerPrepaid+s.Account, journal.RevenueExpired, s.Unit, n)
	return &j
}

// lapse ends what is unleased of an allowance and serves no claim. The source of its
// journal names what has lapsed or was debited until then, which only rises.
func (s *State) lapse(out *Outcome, at int64) error {
	n, err := s.Unleased()
	if err != nil {
		return err
	}
	if n -= s.OpenClaims(); n <= 0 {
		return nil
	}
	s.Debited += n
	out.Journals = append(out.Journals, journal.Transfer(fmt.Sprintf("lapsed/%s/%d", s.ID, s.Debited), at, "expired",
		journal.CustomerPrepaid+s.Account, journal.RevenueExpired, s.Unit, n))
	return nil
}

// DebtOf is the claim for what an ended epoch's lease had borrowed and not repaid; ok
// is false when there is nothing. Its id is the lease's, so that it is made once.
func (s *State) DebtOf(l *Lease, at int64) (c Claim, ok bool) {
	n := l.Totals.B - l.Totals.P
	return Claim{ID: fmt.Sprintf("debt/%s/%d/%s", l.Region, l.Epoch, s.ID), Bucket: s.ID, Account: s.Account, Unit: s.Unit, Kind: Debt, Amount: n, At: at,
		Reason: fmt.Sprintf("lent while region %s was cut off, epoch %d", l.Region, l.Epoch)}, n > 0
}
