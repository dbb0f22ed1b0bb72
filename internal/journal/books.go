package journal

import (
	"errors"
	"fmt"

	"meridian/internal/invariant"
)

// Account codes of the books. Those that end in ':' are followed by the account
// or region that they are kept for.
const (
	Cash             = "asset/cash"
	CustomerPrepaid  = "liability/prepaid:"  // unspent prepaid money: owed to the subscriber until earned
	Receivable       = "asset/receivable:"   // owed by a subscriber: overrun
	OfflineAllowance = "asset/offline-lent:" // lent by a cut-off region, repaid from new credit
	RevenueUsage     = "income/usage"        //
	RevenueRecurring = "income/recurring"    //
	RevenueOneTime   = "income/one-time"     // set-up, cards, installations
	RevenueOther     = "income/other"        //
	RevenueExpired   = "income/expired"      // what was left of a bucket when its time was over
	OverrunAbsorbed  = "expense/overrun"     // usage that the operator bears
	Allowances       = "expense/allowance"   // what offerings bring: bytes, seconds, events, bonus money
	RegionCash       = "asset/region-cash:"  // taken in by a region, not yet handed over
	Suspense         = "suspense/region:"    // entries that a person must look at
)

// Posting is one side of a journal: debit is positive, credit negative.
type Posting struct {
	Account string
	Unit    Unit
	Amount  int64
}

// Journal is one balanced transaction of the books. Source is what it was made
// from, and is unique: "entry/north/1/17", "payment/<id>".
type Journal struct {
	Source   string
	At       int64 // Unix microseconds
	Kind     string
	Postings []Posting
}

// ErrUnbalanced is returned for a journal that does not sum to zero by unit.
var ErrUnbalanced = errors.New("journal does not balance")

// Balanced checks that the postings sum to zero in every unit, without overflow.
func (j *Journal) Balanced() error {
	for i, p := range j.Postings {
		if p.Account == "" || p.Unit == "" {
			return fmt.Errorf("%w: %s: posting %d names no account or unit", ErrUnbalanced, j.Source, i)
		}
		var sum int64
		for _, q := range j.Postings {
			if q.Unit != p.Unit {
				continue
			}
			next := sum + q.Amount
			if (q.Amount > 0) != (next > sum) && q.Amount != 0 {
				return fmt.Errorf("%w: %s: overflow in %s", ErrUnbalanced, j.Source, p.Unit)
			}
			sum = next
		}
		if sum != 0 {
			return fmt.Errorf("%w: %s: %s sums to %d", ErrUnbalanced, j.Source, p.Unit, sum)
		}
	}
	return nil
}

// Transfer builds the journal that moves amount ≥ 0 from credit to debit.
func Transfer(source string, at int64, kind, debit, credit string, unit Unit, amount int64) Journal {
	invariant.Check(amount >= 0, "journal %s moves %d", source, amount)
	j := Journal{Source: source, At: at, Kind: kind, Postings: []Posting{
		{Account: debit, Unit: unit, Amount: amount}, {Account: credit, Unit: unit, Amount: -amount},
	}}
	err := j.Balanced()
	invariant.Check(err == nil, "%v", err)
	return j
}
