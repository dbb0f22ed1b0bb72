package verify

import (
	"strings"

	"meridian/internal/journal"
)

// totals are the sums of a lease's entries, and the worst that the ledger showed
// of it on the way.
type totals struct {
	T, S, X, B, P int64
	PeakDebt      int64  // greatest B − P after a borrowing
	PeakSeq       uint64 // where
	Low           int64  // least T + B − P − S − X
	LowSeq        uint64 // where
}

func (t *totals) net() int64  { return t.T + t.B - t.P - t.S - t.X }
func (t *totals) debt() int64 { return t.B - t.P }

// target is the total that an entry of this kind raises, nil when it raises none.
func (t *totals) target(k journal.Kind) *int64 {
	switch k {
	case journal.KindCharge, journal.KindRecurring, journal.KindOrderDebit, journal.KindExpired, journal.KindOneTime:
		return &t.S
	case journal.KindTaken, journal.KindGiven, journal.KindRefund, journal.KindCredit:
		return &t.T
	case journal.KindReturned:
		return &t.X
	case journal.KindBorrowed:
		return &t.B
	case journal.KindRepaid:
		return &t.P
	}
	return nil
}

// raise adds an entry to the totals of its lease and checks the running debt.
func (w *walk) raise(e *journal.Entry, source string) {
	if (&totals{}).target(e.Kind) == nil {
		return
	}
	t := w.at(e.Bucket)
	if t == nil {
		t = &totals{}
		w.put(e.Bucket, t)
	}
	if !addAmount(t.target(e.Kind), e.Amount) {
		w.a.v1.fail("%s: the totals of bucket %s overflow 64 bits with %d more", w.here(), e.Bucket, e.Amount)
	}
	debt := t.debt()
	if debt < 0 {
		w.a.v4.fail("%s: bucket %s has %d repaid of %d borrowed: %d too much", w.here(), e.Bucket, t.P, t.B, -debt)
	}
	if e.Kind == journal.KindBorrowed && debt > t.PeakDebt {
		t.PeakDebt, t.PeakSeq = debt, w.seq
	}
	if n := t.net(); n < t.Low {
		t.Low, t.LowSeq = n, w.seq
	}
	w.a.v4.checked++
	if w.tail || !w.suspends(e, source) {
		return
	}
	k := leaseKey{w.region.Name, w.epoch, e.Bucket}
	h := w.a.held[k]
	if h == nil {
		h = &totals{}
		w.a.held[k] = h
	}
	addAmount(h.target(e.Kind), e.Amount)
}

// suspends tells whether the centre could not settle the entry, so that it raised
// no lease there. A posting shows it; a return posts nothing, and is settled when
// its bucket and lease are there.
func (w *walk) suspends(e *journal.Entry, source string) bool {
	if source != "" {
		return w.a.suspended[source]
	}
	b := w.a.buckets[e.Bucket]
	return b == nil || b.Account != e.Account || b.Unit != e.Unit ||
		w.a.lease(leaseKey{w.region.Name, w.epoch, e.Bucket}) == nil
}

// at returns the totals of a bucket where the walk stands, or nil. Beyond what
// the centre stores they are copies, so that its own stay.
func (w *walk) at(bucket string) *totals {
	if !w.tail {
		return w.totals[bucket]
	}
	if t := w.ahead[bucket]; t != nil {
		return t
	}
	if t := w.totals[bucket]; t != nil {
		copied := *t
		w.ahead[bucket] = &copied
		return &copied
	}
	return nil
}

func (w *walk) put(bucket string, t *totals) {
	if w.tail {
		w.ahead[bucket] = t
		return
	}
	w.totals[bucket] = t
}

// names lists the buckets that have totals where the walk stands, sorted.
func (w *walk) names() []string {
	all := map[string]bool{}
	for id := range w.totals {
		all[id] = true
	}
	for id := range w.ahead {
		all[id] = true
	}
	return sortedKeys(all)
}

// keepTotals hands the epoch's totals over for the comparison with the leases.
func (w *walk) keepTotals() {
	for bucket, t := range w.totals {
		w.a.ledger[leaseKey{w.region.Name, w.epoch, bucket}] = t
	}
}

// order checks that an order of the region's feed is answered, and once.
func (w *walk) order(e *journal.Entry) {
	v := &w.a.v9
	if before, twice := w.a.answered[e.Ref]; twice {
		v.fail("%s answers order %s, which %s had answered: it was carried out twice", w.here(), e.Ref, before)
		return
	}
	w.a.answered[e.Ref] = w.here()
	if w.orders != nil && !w.orders[e.Ref] {
		v.fail("%s answers order %s, which the region's feed does not hold", w.here(), e.Ref)
	}
}

// period is the newest period that a component of a subscription was charged for.
type period struct {
	start  string
	seq    uint64
	bucket string
	back   string // begin of what was given back last
	net    wide   // charged less given back
}

// recurring checks that a period is charged once: its parts follow each other,
// each from another bucket. What is given back is given back once, and not more
// than was charged.
func (w *walk) recurring(e *journal.Entry) {
	cut := strings.LastIndexByte(e.Ref, '/')
	if cut < 0 {
		w.a.v2.fail("%s: the fee names %q, want subscription/component/period start", w.here(), e.Ref)
		return
	}
	of, start := e.Ref[:cut], e.Ref[cut+1:]
	last := w.periods[of]
	if e.Kind == journal.KindCredit {
		last.net = last.net.plus(-e.Amount)
		if !later(start, last.back) || last.net.negative() {
			w.a.v2.fail("%s gives %d %s of subscription %s back from %s: it gives back twice, or more than was charged", w.here(), e.Amount, e.Unit, of, start)
		}
		last.back = start
		w.periods[of] = last
		return
	}
	again := last.start == start && (w.seq != last.seq+1 || e.Bucket == last.bucket)
	if again || last.start != start && !later(start, last.start) {
		w.a.v2.fail("%s charges %d %s for period %s of subscription %s, entry %d had charged period %s: a period is charged twice",
			w.here(), e.Amount, e.Unit, start, of, last.seq, last.start)
	}
	last.start, last.seq, last.bucket, last.net = start, w.seq, e.Bucket, last.net.plus(e.Amount)
	w.periods[of] = last
}

// later compares decimal numbers.
func later(a, b string) bool { return len(a) > len(b) || len(a) == len(b) && a > b }
