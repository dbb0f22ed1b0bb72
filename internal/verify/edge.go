package verify

// point is what a region's furthest node and the ledger show of a lease at one
// place: the node's own available, and everything else derived.
type point struct {
	granted, available int64
	taken, borrowed    int64 // T, B − P by the entries
	spent, returned    int64 // S, X by the entries
	pending, held      wide  // by the sessions and reservations
}

// compareEdge compares a node with the ledger at the place where it stands.
func (w *walk) compareEdge(r *report) {
	granted, err := w.a.centre.GrantedAt(w.a.ctx, r.Region, r.FeedVersion)
	if w.a.unread("what was granted to "+r.Region, err, &w.a.v1) {
		return
	}
	w.compareBuckets(r, granted)
	w.compareSessions(r)
	w.compareOverrun(r)
}

// compareBuckets checks a node's totals by grants, entries, sessions and
// reservations.
func (w *walk) compareBuckets(r *report, granted map[string]int64) {
	v := &w.a.v1
	pending, held := map[string]wide{}, map[string]wide{}
	for i := range r.Sessions {
		for _, p := range r.Sessions[i].Pending {
			pending[p.Bucket] = pending[p.Bucket].plus(p.Amount)
		}
	}
	for _, h := range r.Reservations {
		held[h.Bucket] = held[h.Bucket].plus(h.Held)
	}
	furthest := w.reports[0] == r
	has := make(map[string]bool, len(r.Buckets))
	for i := range r.Buckets {
		b := &r.Buckets[i]
		has[b.ID] = true
		v.checked++
		var t totals
		if sums := w.at(b.ID); sums != nil {
			t = *sums
		}
		w.compareTotals(r, b, granted[b.ID], &t)
		if got := wideOf(b.U); got != pending[b.ID] {
			v.fail("bucket %s at %s: U is %s, its sessions have %s pending: off by %s", b.ID, r.label, got, pending[b.ID], got.minus(pending[b.ID]))
		}
		if got := wideOf(b.H); got != held[b.ID] {
			v.fail("bucket %s at %s: H is %s, its reservations hold %s: off by %s", b.ID, r.label, got, held[b.ID], got.minus(held[b.ID]))
		}
		w.checkSpending(r, b, &t)
		if furthest {
			w.a.points[leaseKey{r.Region, r.Epoch, b.ID}] = point{
				granted: granted[b.ID], available: b.Available(), taken: t.T, borrowed: t.debt(), spent: t.S, returned: t.X,
				pending: pending[b.ID], held: held[b.ID],
			}
		}
	}
	w.missingBuckets(r, granted, has)
}

// compareTotals compares G with the grants that the node has applied, and the
// totals with the entries.
func (w *walk) compareTotals(r *report, b *EdgeBucket, granted int64, t *totals) {
	v := &w.a.v1
	if b.G != granted {
		v.fail("bucket %s at %s: G is %d, %d were granted up to feed row %d: off by %d", b.ID, r.label, b.G, granted, r.FeedVersion, b.G-granted)
	}
	for _, c := range []struct {
		name      string
		edge, sum int64
	}{{"T", b.T, t.T}, {"S", b.S, t.S}, {"X", b.X, t.X}, {"B", b.B, t.B}, {"P", b.P, t.P}} {
		if c.edge != c.sum {
			v.fail("bucket %s at %s: %s is %d, the entries up to %d/%d sum to %d: off by %d", b.ID, r.label, c.name, c.edge, r.Epoch, r.Seq, c.sum, c.edge-c.sum)
		}
	}
}

// missingBuckets finds leases that a node should have and has not.
func (w *walk) missingBuckets(r *report, granted map[string]int64, has map[string]bool) {
	for _, id := range w.names() {
		if !has[id] {
			w.a.v1.fail("bucket %s: entries of region %s raise its totals, %s has no such bucket", id, r.Region, r.label)
		}
	}
	for _, id := range sortedKeys(granted) {
		// A lease of another epoch reaches the region in the same feed and is not its.
		if !has[id] && granted[id] > 0 && w.a.lease(leaseKey{r.Region, r.Epoch, id}) != nil {
			w.a.v1.fail("bucket %s: %d were granted to region %s up to feed row %d, %s has no such bucket", id, granted[id], r.Region, r.FeedVersion, r.label)
		}
	}
}

// checkSpending checks that a bucket was never overspent, now and on the way.
func (w *walk) checkSpending(r *report, b *EdgeBucket, t *totals) {
	v := &w.a.v4
	v.checked++
	if n := b.Available(); n < 0 {
		v.fail("bucket %s at %s: available is %d: %d more is held or spent than there is", b.ID, r.label, n, -n)
	}
	if b.U < 0 || b.H < 0 {
		v.fail("bucket %s at %s: U is %d and H %d: neither may be negative", b.ID, r.label, b.U, b.H)
	}
	allowance := b.Allowance
	if c := w.a.buckets[b.ID]; c != nil {
		allowance = max(allowance, c.Allowance)
	}
	if debt := b.B - b.P; debt < 0 || debt > allowance {
		v.fail("bucket %s at %s: %d are borrowed and not repaid, the allowance is %d: off by %d", b.ID, r.label, debt, allowance, debt-allowance)
	}
	if t.PeakDebt > allowance {
		v.fail("%s: bucket %s had %d borrowed and not repaid, the allowance is %d: %d too much", w.place(r.Epoch, t.PeakSeq), b.ID, t.PeakDebt, allowance, t.PeakDebt-allowance)
	}
	if n := wideOf(t.Low).plus(b.G); n.negative() {
		v.fail("%s: bucket %s had %d more spent and returned than taken in and borrowed, %d were granted in all: overspent by %s", w.place(r.Epoch, t.LowSeq), b.ID, -t.Low, b.G, wide{}.minus(n))
	}
}

// compareOverrun derives sum and worst case of the overrun and holds them against
// what the node says and against the bound.
func (w *walk) compareOverrun(r *report) {
	v := &w.a.v4
	sum, worst := w.overrun, int64(0)
	worstOf := ""
	perSession := func(key string, n int64) {
		if n > worst || n == worst && n > 0 && key < worstOf {
			worst, worstOf = n, key
		}
	}
	live := map[string]bool{}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		sum = sum.plus(s.PendingOverrun)
		n := s.PendingOverrun
		if l := w.sessions[s.Key]; l != nil {
			n += l.overrun
		}
		live[s.Key.String()] = true
		perSession(s.Key.String(), n)
	}
	for k, s := range w.sessions {
		if s.overrun > 0 && !live[k.String()] {
			perSession(k.String(), s.overrun)
		}
	}
	if got := wideOf(r.OverrunSum); got != sum {
		v.fail("%s says %s micro-units of overrun in all, entries and sessions sum to %s: off by %s", r.label, got, sum, got.minus(sum))
	}
	if worst != r.OverrunWorst {
		v.fail("%s says that one session overran by %d micro-units at most, session %s did by %d", r.label, r.OverrunWorst, worstOf, worst)
	}
	if r.OverrunBound >= 0 && worst > r.OverrunBound {
		v.fail("session %s of region %s overran by %d micro-units, the bound is %d: %d too much", worstOf, r.Region, worst, r.OverrunBound, worst-r.OverrunBound)
	}
	if w.reports[0] != r {
		return
	}
	bound := "not bounded: an offering names no speed"
	if r.OverrunBound >= 0 {
		bound = "bound " + wideOf(r.OverrunBound).String()
	}
	v.note("%s: no bucket below zero, debt within the allowance at every entry; overrun %s micro-units in all, %d at worst, %s", r.Region, sum, worst, bound)
}
