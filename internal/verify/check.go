package verify

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// Options are what the records do not say of themselves.
type Options struct {
	// Offerings are all published versions. With them every usage record is
	// priced a second time; without, only its sums are checked.
	Offerings []*tariff.Offering
	// VerifyHead checks who signed a head. Without it signatures are not checked, and
	// what they are about still is.
	VerifyHead func(journal.SignedHead) error
	// TombstoneSeconds is how long an edge remembers a closed session; 0 means
	// seven days. An acknowledged session without usage may be forgotten after it.
	TombstoneSeconds int64
}

// defaultTombstone is seven days, in seconds.
const defaultTombstone = 7 * 86400

// leaseKey names a lease.
type leaseKey struct {
	region string
	epoch  uint64
	bucket string
}

// audit is the state of one run. Its memory grows with sessions, buckets,
// accounts, feed entities and orders, and not with entries or journals.
type audit struct {
	ctx     context.Context
	centre  CentreReader
	witness *Witness
	opt     Options

	v1, v2, v3, v4, v5, v6, v7, v8, v9 check

	regions []Region
	reports map[string][]*report // by region, the furthest first

	// From the journals.
	suspended map[string]bool // sources of entries that were posted to suspense
	central   map[BalanceKey]*central
	books     map[BalanceKey]wide
	claims    map[string]*claimed // by id; those that were met are taken out
	bins      *[binCount]bin

	buckets    map[string]*CentreBucket
	bucketIDs  []string
	claimCount int
	claimOpen  wide
	suspense   wide // left by ended epochs and not released
	epochLoss  wide // released and spent all the same

	// From the entries.
	ledger   map[leaseKey]*totals // as the centre stores them
	held     map[leaseKey]*totals // the part of it that stands in suspense
	points   map[leaseKey]point   // what a region's furthest report shows
	answered map[string]string    // order → place of its answer
	prices   map[offeringKey]*price
	pricers  pricer
	records  map[*WitnessSession]*recorded
	blind    int             // regions whose live state no report shows
	reached  map[string]bool // NASes of the other regions

	stray, unknown, forgotten int64            // sessions: not the witness's; not to be looked up; too old
	ended                     int64            // sessions that began before an epoch which has ended, and lack something
	began                     map[string]int64 // of a NAS's region: when its newest epoch did, if that is not the first; Unix seconds
	newest                    int64            // of these
	usageRecords              int64
	heads, met, waiting       int64 // signed heads; of them, compared; of entries that have not come
	naked                     int64 // of them, without a known version
}

// Check runs V1–V9 over one consistent view of the centre, the reports of edge
// nodes and a client's witness. edges may hold several nodes of several regions;
// edges and w may be empty or nil: what cannot be checked is said. The reports
// must have been taken before the centre's view, so that what a node says it has
// had acknowledged is in that view. Findings come in the order of their ids.
func Check(ctx context.Context, centre CentreReader, edges []EdgeReport, w *Witness, opt Options) []Finding {
	a := &audit{
		ctx: ctx, centre: centre, witness: w, opt: opt,
		v1: check{id: "V1"}, v2: check{id: "V2"}, v3: check{id: "V3"}, v4: check{id: "V4"}, v5: check{id: "V5"},
		v6: check{id: "V6"}, v7: check{id: "V7"}, v8: check{id: "V8"}, v9: check{id: "V9"},
		reports: map[string][]*report{}, suspended: map[string]bool{}, central: map[BalanceKey]*central{},
		books: map[BalanceKey]wide{}, claims: map[string]*claimed{}, bins: new([binCount]bin), buckets: map[string]*CentreBucket{},
		ledger: map[leaseKey]*totals{}, held: map[leaseKey]*totals{}, points: map[leaseKey]point{},
		answered: map[string]string{}, records: map[*WitnessSession]*recorded{}, reached: map[string]bool{}, began: map[string]int64{},
	}
	if a.opt.TombstoneSeconds == 0 {
		a.opt.TombstoneSeconds = defaultTombstone
	}
	a.loadPrices()
	a.run(edges)
	out := make([]Finding, 0, 9)
	for _, c := range []*check{&a.v1, &a.v2, &a.v3, &a.v4, &a.v5, &a.v6, &a.v7, &a.v8, &a.v9} {
		out = append(out, c.finding())
	}
	return out
}

func (a *audit) run(edges []EdgeReport) {
	regions, err := a.centre.Regions(a.ctx)
	if a.unread("the regions", err, &a.v1, &a.v2, &a.v3, &a.v4, &a.v5, &a.v6, &a.v7, &a.v9) {
		a.checkAutonomy()
		return
	}
	a.regions = regions
	a.openReports(edges)
	a.readJournals()
	a.readBuckets()
	for i := range regions {
		orders := a.readFeed(&regions[i])
		a.walkRegion(&regions[i], orders)
	}
	a.checkReplicas()
	a.checkBuckets()
	a.checkBooks()
	a.checkWitness()
	a.checkAutonomy()
	a.summarize()
}

// unread marks the checks that depend on what could not be read. A check that did
// not run to its end is not passed.
func (a *audit) unread(what string, err error, checks ...*check) bool {
	if err == nil {
		return false
	}
	for _, c := range checks {
		c.fail("not checked: reading %s at the centre: %v; see that the store answers and run again", what, err)
	}
	return true
}

func (a *audit) readBuckets() {
	err := a.centre.Buckets(a.ctx, func(b CentreBucket) error {
		if a.buckets[b.ID] != nil {
			a.v1.fail("bucket %s stands twice at the centre: its money would count twice", b.ID)
			return nil
		}
		a.bucketIDs = append(a.bucketIDs, b.ID)
		a.buckets[b.ID] = &b
		return nil
	})
	a.unread("the buckets", err, &a.v1, &a.v6)
}

// lease returns the centre's row of a lease, or nil.
func (a *audit) lease(k leaseKey) *LeaseTotals {
	b := a.buckets[k.bucket]
	if b == nil {
		return nil
	}
	for i := range b.Leases {
		if l := &b.Leases[i]; l.Region == k.region && l.Epoch == k.epoch {
			return l
		}
	}
	return nil
}

// report is an edge report with what is derived from it.
type report struct {
	*EdgeReport
	label  string
	hashes []journal.Hash // of Entries, chained from AckedHash
	walked bool           // the ledger was followed up to its Seq
	acked  bool           // the ledger held its Acked
}

// openReports sorts the reports by region, the furthest first, and checks each
// one's own part of the chain.
func (a *audit) openReports(edges []EdgeReport) {
	known := map[string]*Region{}
	for i := range a.regions {
		known[a.regions[i].Name] = &a.regions[i]
	}
	for i := range edges {
		r := &report{EdgeReport: &edges[i], label: fmt.Sprintf("node %s of region %s", edges[i].Node, edges[i].Region)}
		switch region := known[r.Region]; {
		case r.Epoch == 0: // a new node, or one that has just begun to replay
			a.v5.note("node %s has no epoch yet", r.Node)
		case region == nil:
			a.v5.fail("%s: the centre knows no such region: its ledger cannot be compared", r.label)
		case r.Epoch > region.Epoch:
			a.v5.fail("%s is in epoch %d, the centre issued %d at most", r.label, r.Epoch, region.Epoch)
		default:
			a.checkTail(r)
			a.reports[r.Region] = append(a.reports[r.Region], r)
		}
	}
	for _, list := range a.reports {
		slices.SortStableFunc(list, func(x, y *report) int {
			return cmp.Or(cmp.Compare(y.Epoch, x.Epoch), cmp.Compare(y.Index, x.Index), cmp.Compare(y.Seq, x.Seq), cmp.Compare(x.Node, y.Node))
		})
	}
}

// summarize says what was counted; a check with a fault shows that instead.
func (a *audit) summarize() {
	nodes := 0
	for _, list := range a.reports {
		nodes += len(list)
	}
	edges := fmt.Sprintf("%d edge reports", nodes)
	if nodes == 0 {
		edges = "no edge was asked: live state was not compared"
	}
	a.v1.note("%d buckets, three ways: journals, entries and leases agree; %s", len(a.bucketIDs), edges)
	if !a.suspense.isZero() {
		a.v1.note("%s in suspense, left by ended epochs", a.suspense)
	}
	if !a.epochLoss.isZero() {
		a.v4.note("%s lost by ended epochs: released, and spent before they ended", a.epochLoss)
	}
	if a.claimCount > 0 {
		a.v1.note("%d claims, %s of them not served yet", a.claimCount, a.claimOpen)
	}
	priced := "each priced a second time"
	if len(a.opt.Offerings) == 0 {
		priced = "their sums only: the catalog's prices were not given"
	} else if a.naked > 0 {
		priced = fmt.Sprintf("%d of them without a version of the catalog", a.naked)
	}
	a.v2.note("%d usage records dense and contiguous, %s; %s", a.usageRecords, priced, edges)
	if a.witness == nil {
		a.v2.note("no witness: what clients sent was not compared")
	}
	a.v5.note("%d entries of %d regions chain; %s", a.v5.checked-a.met, len(a.regions), edges)
	switch {
	case a.heads == 0:
		a.v5.note("no signed heads")
	case a.opt.VerifyHead == nil:
		a.v5.note("%d signed heads match, %d wait for their entries; their signatures were not checked: no authority was given", a.heads-a.waiting, a.waiting)
	default:
		a.v5.note("%d signed heads match, %d wait for their entries", a.heads-a.waiting, a.waiting)
	}
	a.v7.note("%d journals balance and match their entries; %d entries in suspense", a.v7.checked, len(a.suspended))
	a.v9.note("%d feed rows in order, %d orders answered once; %s", a.v9.checked, len(a.answered), edges)
	if nodes == 0 {
		a.v4.note("%s", edges)
	}
}
