package verify

import (
	"errors"
	"fmt"

	"meridian/internal/journal"
)

// walk follows one region's ledger: first what the centre stores, then what only
// the region has.
type walk struct {
	a       *audit
	region  *Region
	reports []*report
	orders  map[string]bool // orders that the region's feed holds

	epoch    uint64
	seq      uint64
	hash     journal.Hash
	previous journal.Hash // last hash of the epoch before
	tail     bool         // beyond what the centre stores

	totals   map[string]*totals // of the epoch, as the centre stores them
	ahead    map[string]*totals // copies that the tail raised further
	sessions map[journal.SessionKey]*ledgerSession
	nas      map[string]*nasOctets
	periods  map[string]period
	counted  map[countedKey]countedState // after the newest record of what is counted by period
	group    group
	signed   []*signed
	bySeq    map[ledgerPlace][]*signed
	overrun  wide  // of the epoch
	began    int64 // when the newest epoch that is not the first did, Unix seconds
}

// walkRegion checks a region's chain and everything that the entries say.
func (a *audit) walkRegion(region *Region, orders map[string]bool) {
	w := &walk{
		a: a, region: region, reports: a.reports[region.Name], orders: orders,
		totals: map[string]*totals{}, ahead: map[string]*totals{},
		sessions: map[journal.SessionKey]*ledgerSession{}, nas: map[string]*nasOctets{}, periods: map[string]period{}, counted: map[countedKey]countedState{},
	}
	w.readHeads()
	err := a.centre.Entries(a.ctx, region.Name, func(epoch, seq uint64, raw []byte, hash journal.Hash) error {
		w.stored(epoch, seq, raw, hash)
		return nil
	})
	if errors.Is(err, ErrRow) {
		a.v5.fail("%v", err)
		err = nil
	}
	a.unread("the entries of "+region.Name, err, &a.v1, &a.v2, &a.v3, &a.v4, &a.v5, &a.v6, &a.v7, &a.v9)
	w.checkCursor()
	if w.epoch < region.Epoch {
		w.beginEpoch(region.Epoch)
	}
	w.keepTotals()
	if err == nil {
		w.followTail()
		w.checkReached()
		w.checkSigned()
	}
	w.keepRecords()
}

// stored takes an entry of the centre with the hash beside it.
func (w *walk) stored(epoch, seq uint64, raw []byte, hash journal.Hash) {
	a := w.a
	a.v5.checked++
	if epoch != w.epoch {
		if epoch < w.epoch || epoch > w.region.Epoch {
			a.v5.fail("%s: epoch %d follows epoch %d, and the centre issued %d at most", w.place(epoch, seq), epoch, w.epoch, w.region.Epoch)
		}
		w.beginEpoch(epoch)
	}
	if seq != w.seq+1 {
		a.v5.fail("%s follows %d/%d: %d entries are missing or out of order: the ledger is not dense", w.place(epoch, seq), epoch, w.seq, int64(seq)-int64(w.seq)-1)
	}
	if want := journal.Chain(w.hash, raw); want != hash {
		a.v5.fail("%s: stored hash is %s, the entry chains to %s: an entry at or before it was changed", w.place(epoch, seq), short(hash), short(want))
	}
	w.seq, w.hash = seq, hash
	w.compareHashes(hash)
	w.compareWithSigned()
	w.take(raw)
}

// compareHashes holds the centre's hash against what nodes say of the same place.
func (w *walk) compareHashes(hash journal.Hash) {
	for _, r := range w.reports {
		if r.Epoch != w.epoch || w.seq < r.Acked {
			continue
		}
		if w.seq == r.Acked {
			r.acked = true
			if r.AckedHash != hash {
				w.a.v5.fail("%s: %s had hash %s acknowledged, the centre stores %s: the ledger was changed after it", w.place(w.epoch, w.seq), r.label, short(r.AckedHash), short(hash))
			}
			continue
		}
		if i := w.seq - r.Acked - 1; i < uint64(len(r.hashes)) && r.hashes[i] != hash {
			w.a.v5.fail("%s: %s has hash %s, the centre stores %s: the two ledgers part here", w.place(w.epoch, w.seq), r.label, short(r.hashes[i]), short(hash))
		}
	}
}

// take decodes an entry, checks that it says its own place, and follows what it
// says.
func (w *walk) take(raw []byte) {
	a := w.a
	e, err := journal.DecodeEntry(raw)
	switch {
	case err != nil:
		a.v5.fail("%s cannot be read: %v", w.place(w.epoch, w.seq), err)
		w.arrive()
		return
	case e.Region != w.region.Name || e.Epoch != w.epoch || e.Seq != w.seq:
		a.v5.fail("%s says that it is %s: it was moved", w.place(w.epoch, w.seq), w.placeOf(&e))
	}
	if first := w.seq == 1; first != (e.Kind == journal.KindEpoch) {
		a.v5.fail("%s is of kind %s: the first entry of an epoch and no other opens it", w.place(w.epoch, w.seq), e.Kind)
	} else if want := fmt.Sprintf("%x", w.previous); first && e.Ref != want {
		a.v5.fail("%s names %.16s… as the last hash of the epoch before, it is %.16s…", w.place(w.epoch, w.seq), e.Ref, want)
	}
	if e.Kind == journal.KindEpoch && e.Epoch > 1 {
		w.began = e.At / 1_000_000
	}
	w.account(&e)
	w.arrive()
}

// account follows one entry in every sum.
func (w *walk) account(e *journal.Entry) {
	source := ""
	postings := postingsOf(e, w.region.Name, false)
	if postings != nil && !w.tail {
		source = sourceOf(w.region.Name, w.epoch, w.seq)
		if w.a.suspended[source] {
			postings = postingsOf(e, w.region.Name, true)
		}
		w.a.bins[binOf(source)].sub(digest(source, postings))
	}
	if !ofCut(e.Kind) {
		w.closeGroup()
	}
	switch e.Kind {
	case journal.KindUsage, journal.KindQuarantine:
		w.usage(e)
	case journal.KindNASTotals:
		w.octets(e.Session.NAS).totals += e.Usage.InOctets + e.Usage.OutOctets
	case journal.KindCharge, journal.KindOverrun, journal.KindRefund, journal.KindReversed:
		w.charge(e)
	case journal.KindRecurring, journal.KindOneTime, journal.KindCredit, journal.KindOwed:
		w.recurring(e)
	case journal.KindOrder:
		w.order(e)
	}
	w.raise(e, source)
}

// arrive compares the nodes whose ledger ends at the place that was reached.
func (w *walk) arrive() {
	for _, r := range w.reports {
		if r.Epoch == w.epoch && r.Seq == w.seq && !r.walked {
			r.walked = true
			w.closeGroup()
			w.compareEdge(r)
		}
	}
}

// beginEpoch leaves what an ended epoch's ledger says when it was cut off: a cut whose
// charges never came, hours that count usage which was not cut.
func (w *walk) beginEpoch(epoch uint64) {
	w.keepTotals()
	w.group = group{}
	clear(w.nas)
	w.previous, w.hash, w.epoch, w.seq = w.hash, journal.Hash{}, epoch, 0
	w.totals, w.overrun = map[string]*totals{}, wide{}
	for _, s := range w.sessions {
		s.overrun = 0
	}
}

// checkCursor compares the region's cursor with the last entry stored.
func (w *walk) checkCursor() {
	r := w.region
	switch {
	case w.epoch == r.Epoch && (r.Seq != w.seq || r.Hash != w.hash):
		w.a.v5.fail("region %s: the cursor stands at %d/%d with hash %s, the last entry stored is %d with %s: the end of the ledger is not what was accepted", r.Name, r.Epoch, r.Seq, short(r.Hash), w.seq, short(w.hash))
	case w.epoch != r.Epoch && (r.Seq != 0 || r.Hash != journal.Hash{}):
		w.a.v5.fail("region %s: the cursor stands at %d/%d, no entry of epoch %d is stored: %d are missing", r.Name, r.Epoch, r.Seq, r.Epoch, r.Seq)
	}
}

// followTail goes on with the entries that only the region has, as its furthest
// node keeps them.
func (w *walk) followTail() {
	w.tail = true
	for _, r := range w.reports {
		if r.Epoch != w.epoch || r.Seq <= w.seq || r.Acked > w.seq {
			continue
		}
		for i, e := range r.Entries {
			place := r.Acked + 1 + uint64(i)
			if place <= w.seq || i >= len(r.hashes) {
				continue
			}
			w.seq = place
			w.hash = r.hashes[i]
			w.a.v5.checked++
			w.compareNodes(r)
			w.compareWithSigned()
			w.take(e.Raw)
		}
	}
}

// compareNodes holds the other nodes' hashes of a place against one's.
func (w *walk) compareNodes(r *report) {
	for _, o := range w.reports {
		if o == r || o.Epoch != w.epoch || w.seq <= o.Acked {
			continue
		}
		if i := w.seq - o.Acked - 1; i < uint64(len(o.hashes)) && o.hashes[i] != w.hash {
			w.a.v6.fail("%s: %s has hash %s, %s has %s: the replicas part here", w.here(), o.label, short(o.hashes[i]), r.label, short(w.hash))
		}
	}
}

// checkReached says which nodes the ledger could not be followed to.
func (w *walk) checkReached() {
	if len(w.reports) == 0 || !w.reports[0].walked {
		w.a.blind++
	}
	for _, r := range w.reports {
		switch {
		case r.Epoch != w.epoch && !r.walked:
			w.a.v5.note("%s is still in epoch %d", r.label, r.Epoch)
		case r.Acked > w.region.Seq && r.Epoch == w.region.Epoch:
			w.a.v5.fail("%s had %d/%d acknowledged, the centre's cursor stands at %d: %d acknowledged entries are lost at the centre", r.label, r.Epoch, r.Acked, w.region.Seq, r.Acked-w.region.Seq)
		case !r.walked:
			w.a.v5.fail("%s stands at %d/%d, the entries reach to %d only: its totals cannot be followed", r.label, r.Epoch, r.Seq, w.seq)
		case r.Acked > 0 && !r.acked:
			w.a.v5.fail("%s had %d/%d acknowledged, the centre stores no such entry", r.label, r.Epoch, r.Acked)
		}
	}
}

// checkTail checks a node's own entries: dense after what was acknowledged, and
// chained from its hash to the head.
func (a *audit) checkTail(r *report) {
	place := func(seq uint64) string { return fmt.Sprintf("entry %s/%d/%d at %s", r.Region, r.Epoch, seq, r.label) }
	if r.Acked > r.Seq || r.Seq == 0 {
		a.v5.fail("%s: its ledger ends at %d/%d, and %d was acknowledged: no epoch entry, or a ledger that went back", r.label, r.Epoch, r.Seq, r.Acked)
		return
	}
	if r.Acked == 0 && r.AckedHash != (journal.Hash{}) {
		a.v5.fail("%s: nothing was acknowledged in epoch %d, but its hash is %s", r.label, r.Epoch, short(r.AckedHash))
	}
	hash := r.AckedHash
	for i, e := range r.Entries {
		want := r.Acked + 1 + uint64(i)
		if e.Seq != want {
			a.v5.fail("%s stands where %d should: the node's segments are not dense", place(e.Seq), want)
			return
		}
		hash = journal.Chain(hash, e.Raw)
		r.hashes = append(r.hashes, hash)
	}
	if got := r.Acked + uint64(len(r.Entries)); got != r.Seq {
		a.v5.fail("%s is the last, the ledger's head is %d: %d entries are not in the node's segments", place(got), r.Seq, int64(r.Seq)-int64(got))
		return
	}
	if hash != r.Head {
		a.v5.fail("%s: the entries after %d chain to %s, the head is %s: an entry was changed on the node", place(r.Seq), r.Acked, short(hash), short(r.Head))
	}
}

func (w *walk) place(epoch, seq uint64) string {
	return fmt.Sprintf("entry %s/%d/%d", w.region.Name, epoch, seq)
}

func (w *walk) here() string { return w.place(w.epoch, w.seq) }

func (w *walk) placeOf(e *journal.Entry) string {
	return fmt.Sprintf("entry %s/%d/%d", e.Region, e.Epoch, e.Seq)
}

func short(h journal.Hash) string { return fmt.Sprintf("%x…", h[:6]) }
