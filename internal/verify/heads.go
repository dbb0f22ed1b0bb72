package verify

import (
	"cmp"
	"slices"

	"meridian/internal/journal"
)

// signed is a head that a node signed, as some source keeps it.
type signed struct {
	journal.SignedHead
	atNode bool // an asked node keeps it: its index is not beyond the nodes' reports
	met    bool // the ledger was followed to its entry
}

type ledgerPlace struct{ epoch, seq uint64 }

// readHeads gathers what a region's nodes signed, from the centre and from every
// node that was asked, and checks each by itself.
func (w *walk) readHeads() {
	a := w.a
	seen := map[string]*signed{}
	take := func(raw []byte, where string, atNode bool) {
		if h := seen[string(raw)]; h != nil {
			h.atNode = h.atNode || atNode
			return
		}
		a.heads++
		h, err := journal.DecodeSignedHead(raw)
		switch {
		case err != nil:
			a.v5.fail("a signed head of region %s, kept %s, cannot be read: %v", w.region.Name, where, err)
			return
		case h.Region != w.region.Name:
			a.v5.fail("a signed head of region %s is kept %s as one of region %s", h.Region, where, w.region.Name)
			return
		case a.opt.VerifyHead != nil:
			if err := a.opt.VerifyHead(h); err != nil {
				a.v5.fail("%s, kept %s: the signature does not hold: %v", h.Place(), where, err)
				return
			}
		}
		s := &signed{SignedHead: h, atNode: atNode}
		seen[string(raw)] = s
		w.signed = append(w.signed, s)
	}
	err := a.centre.Heads(a.ctx, w.region.Name, func(raw []byte) error {
		take(raw, "at the centre", false)
		return nil
	})
	a.unread("the signed heads of "+w.region.Name, err, &a.v5)
	for _, r := range w.reports {
		for _, raw := range r.Heads {
			take(raw, "at "+r.label, true)
		}
	}
	slices.SortFunc(w.signed, func(x, y *signed) int {
		return cmp.Or(cmp.Compare(x.Epoch, y.Epoch), cmp.Compare(x.Index, y.Index), cmp.Compare(x.Node, y.Node), cmp.Compare(x.Seq, y.Seq))
	})
	w.bySeq = map[ledgerPlace][]*signed{}
	for _, h := range w.signed {
		p := ledgerPlace{h.Epoch, h.Seq}
		w.bySeq[p] = append(w.bySeq[p], h)
	}
	w.compareSigned()
}

// compareSigned holds heads of one log index against each other.
func (w *walk) compareSigned() {
	for i, h := range w.signed {
		for j := i - 1; j >= 0 && w.signed[j].Epoch == h.Epoch && w.signed[j].Index == h.Index; j-- {
			o := w.signed[j]
			switch {
			case o.Node == h.Node && o.Head != h.Head:
				w.a.v5.fail("%s signed two heads there: hash %s and hash %s at entry %d", o.Place(), short(o.Hash), short(h.Hash), h.Seq)
			case o.Node != h.Node && !o.Same(&h.Head) && o.Seq == h.Seq && o.Hash == h.Hash:
				w.a.v6.fail("at log index %d node %s signed state hash %s, node %s %s: the replicas had parted", h.Index, o.Node, short(o.State), h.Node, short(h.State))
			}
		}
	}
}

// compareWithSigned holds the ledger against what was signed of the place that was
// reached.
func (w *walk) compareWithSigned() {
	what := "the centre stores"
	if w.tail {
		what = "the nodes have"
	}
	for _, h := range w.bySeq[ledgerPlace{w.epoch, w.seq}] {
		h.met = true
		w.a.met++
		w.a.v5.checked++
		if h.Hash != w.hash {
			w.a.v5.fail("%s: node %s signed hash %s at log index %d, %s %s: an entry at or before it was changed after it was signed",
				w.here(), h.Node, short(h.Hash), h.Index, what, short(w.hash))
		}
	}
}

// checkSigned looks at what was signed of entries that the ledger does not have.
func (w *walk) checkSigned() {
	if w.region.Held != "" {
		w.a.v5.fail("region %s is held until a person has looked: %s", w.region.Name, w.region.Held)
	}
	furthest := uint64(0)
	for _, r := range w.reports {
		if r.Epoch == w.region.Epoch {
			furthest = max(furthest, r.Index)
		}
	}
	for _, h := range w.signed {
		switch {
		case h.met:
		case h.Epoch < w.region.Epoch:
			w.a.waiting++ // what an ended epoch had beyond what was accepted is reconciled by persons
		case h.Epoch == w.region.Epoch && h.Seq <= w.region.Seq:
			w.a.v5.fail("%s signed an entry that the centre accepted and does not have any more", h.Place())
		case h.Epoch > w.region.Epoch:
			w.a.v5.fail("%s signed an entry of an epoch that the centre never issued", h.Place())
		case w.rolledBack(h, furthest):
			w.a.v5.fail("%s signed an entry that no node has any more: the ledger ends at %d/%d, the nodes at log index %d: the region was rolled back",
				h.Place(), w.epoch, w.seq, furthest)
		default:
			w.a.waiting++
		}
	}
}

// rolledBack tells whether a head that the ledger does not reach contradicts what
// the nodes report: it should lie behind them, by log index or by region time.
func (w *walk) rolledBack(h *signed, furthest uint64) bool {
	if furthest == 0 {
		return false // nobody was asked
	}
	if h.atNode || h.Index <= furthest {
		return true
	}
	for _, r := range w.reports {
		if r.Epoch == h.Epoch && h.At < r.Now {
			return true
		}
	}
	return false
}
