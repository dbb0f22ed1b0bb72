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
