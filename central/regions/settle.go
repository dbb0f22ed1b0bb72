package regions

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"meridian/central/buckets"
	"meridian/central/ledger"
	"meridian/central/orders"
	"meridian/central/settlement"
	"meridian/central/store"
	"meridian/internal/journal"
)

// settled is what the new entries of a batch cause.
type settled struct {
	journals []journal.Journal
	deltas   []buckets.Delta  // by bucket, one each
	opened   []buckets.Bucket // made at the region
	leases   []buckets.Lease  // of them
	answers  []orders.Answer
	reviews  []ledger.Review
}

// touchesLease tells whether entries of a kind raise a total of a lease.
func touchesLease(k journal.Kind) bool {
	return k.Spends() || k.TakesIn() || (k >= journal.KindTaken && k <= journal.KindRepaid)
}

// context of a batch: the leases and accounts that its entries may name.
type known struct {
	leases   map[string]buckets.Lease
	opened   map[string]buckets.Lease // of buckets that entries of the batch make
	accounts map[string]bool
}

// load reads what the entries refer to: two look-ups however long the batch is.
func (s *Service) load(ctx context.Context, tx store.Tx, region string, epoch uint64, records []ledger.Record) (*known, error) {
	k := &known{leases: make(map[string]buckets.Lease), opened: make(map[string]buckets.Lease), accounts: make(map[string]bool)}
	var ids, accounts []string
	for i := range records {
		e := records[i].Entry
		if e == nil {
			continue
		}
		if touchesLease(e.Kind) {
			ids = append(ids, e.Bucket)
		}
		if e.Account != "" && (!touchesLease(e.Kind) || opens(e)) {
			accounts = append(accounts, e.Account)
		}
	}
	slices.Sort(ids)
	leases, err := s.Buckets(tx).Leases(ctx, region, epoch, slices.Compact(ids))
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	for _, l := range leases {
		k.leases[l.Bucket] = l
		k.accounts[l.Account] = true
	}
	slices.Sort(accounts)
	accounts = slices.DeleteFunc(slices.Compact(accounts), func(a string) bool { return k.accounts[a] })
	if len(accounts) == 0 {
		return k, nil
	}
	found, err := s.Accounts(tx).Accounts(ctx, accounts)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	for _, a := range found {
		k.accounts[a.ID] = true
	}
	return k, nil
}

// settle decides every new entry in order. It is pure but for marking records
// that go to suspense.
func settle(a *arrived, records []ledger.Record, reasons []string, prev journal.Hash, k *known, now int64) settled {
	var out settled
	sums := make(map[string]buckets.Totals)
	for i := range records {
		r := &records[i]
		reason := reasons[i]
		if reason == "" {
			reason = k.accept(r.Entry, prev, sums)
		}
		if reason != "" {
			r.Suspense = true
			out.reviews = append(out.reviews, ledger.Review{Region: a.region, Epoch: a.epoch, Seq: r.Seq, At: now, Reason: reason})
			if r.Entry != nil {
				out.journals = append(out.journals, settlement.Suspend(r.Entry, a.region, a.epoch, r.Seq)...)
			}
			continue
		}
		if l, ok := k.opened[r.Entry.Bucket]; ok && opens(r.Entry) {
			out.opened = append(out.opened, buckets.Bucket{ID: l.Bucket, Account: l.Account, Unit: l.Unit, Home: a.region, Given: r.Entry.Kind == journal.KindGiven})
			out.leases = append(out.leases, l)
		}
		out.journals = append(out.journals, settlement.Post(r.Entry).Journals...)
		if r.Entry.Kind == journal.KindOrder {
			out.answers = append(out.answers, answer(r.Entry))
		}
	}
	for bucket, t := range sums {
		out.deltas = append(out.deltas, buckets.Delta{Bucket: bucket, Totals: t})
	}
	slices.SortFunc(out.deltas, func(a, b buckets.Delta) int { return cmp.Compare(a.Bucket, b.Bucket) })
	return out
}

// opens tells whether an entry makes a bucket at its region: the bucket has the
// entry's own name (region, epoch, seq).
func opens(e *journal.Entry) bool {
	return (e.Kind == journal.KindGiven || e.Kind == journal.KindRefund || e.Kind == journal.KindCredit) && e.Bucket == e.OwnBucket()
}

// accept returns why an entry cannot be settled, "" when it can; then it has
// been added to its lease's sums.
func (k *known) accept(e *journal.Entry, prev journal.Hash, sums map[string]buckets.Totals) string {
	switch {
	case e.Kind == journal.KindEpoch:
		return epochFault(e, prev)
	case !touchesLease(e.Kind):
		if (e.Kind == journal.KindOverrun || e.Kind == journal.KindReversed || e.Kind == journal.KindOwed) && (e.Account == "" || e.Unit == "") && e.Amount > 0 {
			return e.Kind.String() + " names no account or unit"
		}
		if e.Account != "" && !k.accounts[e.Account] {
			return "account " + e.Account + " does not exist"
		}
		return ""
	}
	l, ok := k.leases[e.Bucket]
	if !ok && opens(e) {
		if !k.accounts[e.Account] {
			return "account " + e.Account + " does not exist"
		}
		l, ok = buckets.Lease{Bucket: e.Bucket, Region: e.Region, Epoch: e.Epoch, Account: e.Account, Unit: e.Unit}, true
		k.leases[e.Bucket], k.opened[e.Bucket] = l, l
	}
	switch {
	case !ok:
		return "bucket " + e.Bucket + " is not leased to this region and epoch"
	case l.Account != e.Account:
		return fmt.Sprintf("bucket %s is of account %s, not %s", e.Bucket, l.Account, e.Account)
	case l.Unit != e.Unit:
		return fmt.Sprintf("bucket %s counts %s, not %s", e.Bucket, l.Unit, e.Unit)
	}
	sum, err := sums[e.Bucket].Add(settlement.Post(e).Delta)
	if err == nil {
		_, err = l.Totals.Add(sum)
	}
	if err != nil {
		return fmt.Sprintf("totals of bucket %s: %v", e.Bucket, err)
	}
	sums[e.Bucket] = sum
	return ""
}

// queue puts answers that no open order takes in front of a person. Nothing is
// posted for them: an answer moves no money.
func (s *settled) queue(odd []orders.Answer, a *arrived, records []ledger.Record, now int64) {
	for _, o := range odd {
		for i := range records {
			e := records[i].Entry
			if e != nil && e.Kind == journal.KindOrder && e.Ref == o.Order && e.At == o.At && !records[i].Suspense {
				records[i].Suspense = true
				s.reviews = append(s.reviews, ledger.Review{Region: a.region, Epoch: a.epoch, Seq: records[i].Seq, At: now,
					Reason: "order " + o.Order + " is not an open order of this region"})
				break
			}
		}
	}
}

// answer reads what the home says about an order: "executed", or "refused: why".
func answer(e *journal.Entry) orders.Answer {
	a := orders.Answer{Order: e.Ref, Status: orders.Executed, Detail: e.Detail, At: e.At}
	if strings.HasPrefix(e.Detail, "refused") {
		a.Status = orders.Refused
	}
	return a
}
