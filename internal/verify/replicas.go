package verify

import "fmt"

// checkReplicas compares the nodes of each region with each other, and with the
// centre where nothing is on the way.
func (a *audit) checkReplicas() {
	v := &a.v6
	for i := range a.regions {
		region := &a.regions[i]
		list := a.reports[region.Name]
		if len(list) == 0 {
			v.note("no node of region %s was asked", region.Name)
			continue
		}
		first := list[0]
		same := 1
		for _, r := range list[1:] {
			if r.Epoch != first.Epoch || r.Index != first.Index {
				v.note("%s is at log index %d, %s at %d", r.label, r.Index, first.label, first.Index)
				continue
			}
			same++
			v.checked++
			a.compareReplicas(first, r)
		}
		if same > 1 {
			v.note("%d nodes of region %s agree at log index %d", same, region.Name, first.Index)
		}
		a.checkQuiet(region, first)
	}
	if len(a.regions) == 0 {
		v.note("the centre has no regions")
	}
}

func (a *audit) compareReplicas(x, y *report) {
	v := &a.v6
	at := fmt.Sprintf("at log index %d", x.Index)
	switch {
	case x.Seq != y.Seq:
		v.fail("%s: %s wrote entries up to %d, %s up to %d: the replicas parted", at, x.label, x.Seq, y.label, y.Seq)
	case x.Head != y.Head:
		v.fail("%s: the ledger's head at %d/%d is %s at %s, %s at %s: the replicas parted", at, x.Epoch, x.Seq, short(x.Head), x.label, short(y.Head), y.label)
	case x.StateHash != y.StateHash:
		v.fail("%s: the state hash is %s at %s, %s at %s: the replicas parted", at, short(x.StateHash), x.label, short(y.StateHash), y.label)
	}
}

// checkQuiet compares every total on both sides when the region has nothing that
// the centre lacks, nor the other way round.
func (a *audit) checkQuiet(region *Region, r *report) {
	v := &a.v6
	if r.Epoch != region.Epoch || r.Seq != region.Seq || r.Acked != r.Seq || r.FeedVersion != region.FeedLast || region.Waiting {
		v.note("region %s: totals wait for what is on the way: the ledger is at %d/%d, acknowledged %d, the centre at %d/%d; the feed is at row %d of %d",
			region.Name, r.Epoch, r.Seq, r.Acked, region.Epoch, region.Seq, r.FeedVersion, region.FeedLast)
		return
	}
	has := make(map[string]bool, len(r.Buckets))
	for i := range r.Buckets {
		b := &r.Buckets[i]
		has[b.ID] = true
		v.checked++
		k := leaseKey{region.Name, region.Epoch, b.ID}
		l := a.lease(k)
		if l == nil {
			if a.held[k] == nil {
				v.fail("bucket %s: %s has a lease, the centre has no row of it", b.ID, r.label)
			}
			continue
		}
		var held totals
		if h := a.held[k]; h != nil {
			held = *h
		}
		for _, c := range []struct {
			name               string
			edge, centre, held int64
		}{{"G", b.G, l.G, 0}, {"T", b.T, l.T, held.T}, {"S", b.S, l.S, held.S}, {"X", b.X, l.X, held.X}, {"B", b.B, l.B, held.B}, {"P", b.P, l.P, held.P}} {
			if wideOf(c.edge) != wideOf(c.centre).plus(c.held) {
				v.fail("bucket %s: %s is %d at %s and %d at the centre, %d in suspense, with nothing on the way", b.ID, c.name, c.edge, r.label, c.centre, c.held)
			}
		}
	}
	for _, id := range a.bucketIDs {
		if l := a.lease(leaseKey{region.Name, region.Epoch, id}); l != nil && !has[id] && *l != (LeaseTotals{Region: l.Region, Epoch: l.Epoch}) {
			v.fail("bucket %s: the centre has a lease of region %s, %s has no such bucket, with nothing on the way", id, region.Name, r.label)
		}
	}
	v.note("region %s is quiet: every total of %d buckets is equal on both sides", region.Name, len(r.Buckets))
}
