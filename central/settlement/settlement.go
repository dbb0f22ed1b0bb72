// Package settlement decides what a region's ledger entry means for the books
// and for the lease that it names. It is pure: entry in, journals and raised
// totals out.
//
// It owns the chart of postings. It does not store or check anything, and it
// never refuses: what the centre cannot accept is posted to suspense.
package settlement

import (
	"fmt"
	"strings"

	"meridian/central/buckets"
	"meridian/internal/journal"
)

// DetailOwed and DetailAbsorbed are the details of an overrun entry: who bears
// the usage that nothing could pay. Anything else is owed.
const (
	DetailOwed     = "owed"
	DetailAbsorbed = "absorbed"
)

// Outcome is what an entry causes.
type Outcome struct {
	Journals []journal.Journal // each balanced
	Delta    buckets.Totals    // added to the lease that the entry names
}

// Source is the journal source of an entry, "entry/<region>/<epoch>/<seq>".
func Source(region string, epoch, seq uint64) string {
	return fmt.Sprintf("entry/%s/%d/%d", region, epoch, seq)
}

// Post settles an entry whose account and bucket the centre knows.
func Post(e *journal.Entry) Outcome {
	own := func(code string) string {
		if strings.HasSuffix(code, ":") {
			return code + e.Account
		}
		return code
	}
	return post(e, Source(e.Region, e.Epoch, e.Seq), own, journal.RegionCash+e.Region)
}

// Suspend settles an entry that stands at a place and that the centre cannot
// accept: what would be posted to the subscriber's accounts goes to the region's
// suspense, no lease is raised. Entries without an amount post nothing.
func Suspend(e *journal.Entry, region string, epoch, seq uint64) []journal.Journal {
	suspense := journal.Suspense + region
	out := post(e, Source(region, epoch, seq), func(string) string { return suspense }, journal.RegionCash+region)
	return out.Journals
}

// post builds the outcome; own maps a code of the subscriber's side of a posting
// to the account to use.
func post(e *journal.Entry, source string, own func(code string) string, regionCash string) Outcome {
	var out Outcome
	move := func(debit, credit string) {
		if e.Amount == 0 || e.Unit == "" {
			return
		}
		out.Journals = append(out.Journals,
			journal.Transfer(source, e.At, e.Kind.String(), debit, credit, e.Unit, e.Amount))
	}
	prepaid := func() string { return own(journal.CustomerPrepaid) }
	switch e.Kind {
	case journal.KindCharge:
		move(prepaid(), journal.RevenueUsage)
		out.Delta.S = e.Amount
	case journal.KindRecurring:
		move(prepaid(), journal.RevenueRecurring)
		out.Delta.S = e.Amount
	case journal.KindOneTime:
		move(prepaid(), journal.RevenueOneTime)
		out.Delta.S = e.Amount
	case journal.KindCredit:
		move(journal.RevenueRecurring, prepaid())
		out.Delta.T = e.Amount
	case journal.KindOwed:
		move(own(journal.Receivable), journal.RevenueRecurring)
	case journal.KindOrderDebit:
		move(prepaid(), journal.RevenueOther)
		out.Delta.S = e.Amount
	case journal.KindTaken:
		move(regionCash, prepaid())
		out.Delta.T = e.Amount
	case journal.KindGiven:
		move(journal.Allowances, prepaid())
		out.Delta.T = e.Amount
	case journal.KindRefund:
		move(journal.RevenueUsage, prepaid())
		out.Delta.T = e.Amount
	case journal.KindExpired:
		move(prepaid(), journal.RevenueExpired)
		out.Delta.S = e.Amount
	case journal.KindReturned:
		out.Delta.X = e.Amount
	case journal.KindBorrowed:
		move(own(journal.OfflineAllowance), prepaid())
		out.Delta.B = e.Amount
	case journal.KindRepaid:
		move(prepaid(), own(journal.OfflineAllowance))
		out.Delta.P = e.Amount
	case journal.KindOverrun, journal.KindReversed:
		bearer := own(journal.Receivable)
		if e.Detail == DetailAbsorbed {
			bearer = own(journal.OverrunAbsorbed)
		}
		if e.Kind == journal.KindOverrun {
			move(bearer, journal.RevenueUsage)
		} else {
			move(journal.RevenueUsage, bearer)
		}
	case journal.KindEpoch, journal.KindUsage, journal.KindQuarantine, journal.KindOrder, journal.KindNASTotals, journal.KindNotice:
	}
	return out
}
