package verify

import (
	"cmp"
	"slices"

	"meridian/internal/journal"
)

// accountSum is what all buckets of an (account, unit) say together.
type accountSum struct {
	credited, debited wide
	owed              wide // credited − debited + Σ(T + B − P − S), by rows and entries
}

// checkBuckets compares the centre's rows with the journals and the entries, and
// adds up the whole of each bucket.
func (a *audit) checkBuckets() {
	sums := map[BalanceKey]*accountSum{}
	for _, id := range a.bucketIDs {
		b := a.buckets[id]
		a.v1.checked++
		k := BalanceKey{b.Account, b.Unit}
		if sums[k] == nil {
			sums[k] = &accountSum{}
		}
		s := sums[k]
		s.credited, s.debited = s.credited.plus(b.Credited), s.debited.plus(b.Debited)
		s.owed = s.owed.plus(b.Credited).minus(wideOf(b.Debited))
		for i := range b.Leases {
			a.checkLease(b, &b.Leases[i], s)
		}
		a.checkWhole(b)
	}
	a.strayTotals()
	a.strayClaims()
	a.checkAccounts(sums)
	if len(a.bucketIDs) == 0 {
		a.v1.note("the centre has no buckets")
	}
}

// checkLease compares a lease's totals at the centre with the entries that it
// settled.
func (a *audit) checkLease(b *CentreBucket, l *LeaseTotals, s *accountSum) {
	k := leaseKey{l.Region, l.Epoch, b.ID}
	var t, held totals
	if x := a.ledger[k]; x != nil {
		t = *x
	}
	if x := a.held[k]; x != nil {
		held = *x
	}
	for _, c := range []struct {
		name           string
		row, sum, held int64
	}{{"T", l.T, t.T, held.T}, {"S", l.S, t.S, held.S}, {"X", l.X, t.X, held.X}, {"B", l.B, t.B, held.B}, {"P", l.P, t.P, held.P}} {
		if c.row != c.sum-c.held {
			a.v1.fail("lease %s of region %s, epoch %d: %s is %d at the centre, its entries sum to %d: off by %d", b.ID, l.Region, l.Epoch, c.name, c.row, c.sum-c.held, c.row-c.sum+c.held)
		}
	}
	s.owed = s.owed.plus(t.T).plus(t.B).minus(wideOf(t.P)).minus(wideOf(t.S))
	s.owed = s.owed.minus(wideOf(held.T)).minus(wideOf(held.B)).plus(held.P).plus(held.S)
	if n := wideOf(t.Low).plus(l.G); n.negative() {
		a.v4.fail("entry %s/%d/%d: bucket %s had %d more spent and returned than taken in and borrowed, %d were granted in all: overspent by %s",
			l.Region, l.Epoch, t.LowSeq, b.ID, -t.Low, l.G, wide{}.minus(n))
	}
}

// checkWhole adds up a bucket over the centre and all regions: what was put in
// equals what is there, each grant and return on the wire counted once.
func (a *audit) checkWhole(b *CentreBucket) {
	unleased := wideOf(b.Credited).minus(wideOf(b.Debited))
	for i := range b.Leases {
		unleased = unleased.minus(wideOf(b.Leases[i].G)).plus(b.Leases[i].X).plus(b.Leases[i].Released)
	}
	if unleased.negative() {
		a.v1.fail("bucket %s: unleased is %s: more was granted than credited, %d − %d, and returned", b.ID, unleased, b.Credited, b.Debited)
	}
	a.checkClaims(b, unleased)
	in, there := wideOf(b.Credited).minus(wideOf(b.Debited)), unleased
	for i := range b.Leases {
		l := &b.Leases[i]
		a.checkReleased(b, l)
		there = there.minus(wideOf(l.Released))
		p, seen := a.points[leaseKey{l.Region, l.Epoch, b.ID}]
		if !seen { // the centre's own view: what was granted and not reported as spent or returned is out
			in = in.plus(l.T).plus(l.B).minus(wideOf(l.P))
			there = there.plus(l.G).minus(wideOf(l.X)).plus(l.T).plus(l.B).minus(wideOf(l.P))
			continue
		}
		in = in.plus(p.taken).plus(p.borrowed)
		there = there.plus(l.G).minus(wideOf(p.granted))  // grants on the wire
		there = there.plus(p.returned).minus(wideOf(l.X)) // returns on the wire
		there = there.plus(p.available).plus(p.spent).sum(p.pending).sum(p.held)
	}
	if in != there {
		a.v1.fail("bucket %s: %s were put in and %s are there (unleased %s): off by %s over centre, wire and regions", b.ID, in, there, unleased, there.minus(in))
	}
}

// checkReleased looks at what an ended epoch left: it is in suspense but for what was
// released, and nothing is released of a lease that lives.
func (a *audit) checkReleased(b *CentreBucket, l *LeaseTotals) {
	ended := false
	for i := range a.regions {
		if r := &a.regions[i]; r.Name == l.Region {
			ended = r.Closed || l.Epoch < r.Epoch
		}
	}
	if l.Released != 0 && !ended {
		a.v1.fail("lease %s of region %s, epoch %d: %d were released, and the epoch has not ended: what a region has is not the centre's", b.ID, l.Region, l.Epoch, l.Released)
	}
	if !ended {
		return
	}
	left := wideOf(l.G).plus(l.T).plus(l.B).minus(wideOf(l.P)).minus(wideOf(l.S)).minus(wideOf(l.X)).minus(wideOf(l.Released))
	switch {
	case l.Released < 0:
		a.v1.fail("lease %s of region %s, epoch %d: %d were released", b.ID, l.Region, l.Epoch, l.Released)
	case left.negative():
		a.epochLoss = a.epochLoss.minus(left) // released, and spent all the same: the operator's loss
	default:
		a.suspense = a.suspense.sum(left)
	}
}

// checkAccounts compares the rows of each account with the postings to what it is
// owed.
func (a *audit) checkAccounts(sums map[BalanceKey]*accountSum) {
	keys := make([]BalanceKey, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	for k := range a.central {
		if sums[k] == nil {
			sums[k] = &accountSum{}
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareBalance)
	for _, k := range keys {
		s, c := sums[k], a.central[k]
		if c == nil {
			c = &central{}
		}
		if s.credited != c.credited || s.debited != c.debited {
			a.v1.fail("account %s in %s: its buckets say %s credited and %s debited, the journals %s and %s: off by %s and %s",
				k.Account, k.Unit, s.credited, s.debited, c.credited, c.debited, s.credited.minus(c.credited), s.debited.minus(c.debited))
		}
		owed := wide{}.minus(a.books[BalanceKey{journal.CustomerPrepaid + k.Account, k.Unit}])
		if owed != s.owed {
			a.v1.fail("account %s in %s: the books owe it %s, its buckets and entries come to %s: off by %s", k.Account, k.Unit, owed, s.owed, owed.minus(s.owed))
		}
	}
}

// strayTotals finds entries that were settled into a lease of which the centre has
// no row.
func (a *audit) strayTotals() {
	keys := make([]leaseKey, 0)
	for k, t := range a.ledger {
		if h := a.held[k]; a.lease(k) == nil && (h == nil || t.T != h.T || t.S != h.S || t.X != h.X || t.B != h.B || t.P != h.P) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(x, y leaseKey) int {
		return cmp.Or(cmp.Compare(x.region, y.region), cmp.Compare(x.epoch, y.epoch), cmp.Compare(x.bucket, y.bucket))
	})
	for _, k := range keys {
		a.v1.fail("lease %s of region %s, epoch %d: entries raise it, the centre has no row of it", k.bucket, k.region, k.epoch)
	}
}
