package verify_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"meridian/internal/journal"
)

// mark is what stands for a node's signature here.
func mark(h *journal.Head) []byte {
	sum := sha256.Sum256(append([]byte("key of "+h.Node), h.Message()...))
	return sum[:]
}

func checkMark(h journal.SignedHead) error {
	if string(h.Signature) != string(mark(&h.Head)) {
		return errors.New("not made by the key of " + h.Node)
	}
	return nil
}

// hashAt is the chain's hash at a seq of north, at the centre or beyond it.
func (w *world) hashAt(seq uint64) journal.Hash {
	if seq <= acked {
		return at(w, int(seq)).hash
	}
	r := w.edges[0]
	hash := r.AckedHash
	for _, e := range r.Entries {
		if e.Seq <= seq {
			hash = journal.Chain(hash, e.Raw)
		}
	}
	return hash
}

func (w *world) head(node string, seq, index uint64, change ...func(*journal.Head)) []byte {
	h := journal.SignedHead{Head: journal.Head{Region: "north", Node: node, Epoch: 1, Seq: seq, Hash: w.hashAt(seq), Index: index,
		At: now*1_000_000 - 900 + int64(index), StateForm: 3, StateParts: 1, State: journal.Hash{byte(index)}}, Certificate: []byte{1}}
	for _, fn := range change {
		fn(&h.Head)
	}
	h.Signature = mark(&h.Head)
	return h.Encode()
}

// sign has both nodes of north sign where they stood at some log indexes; heads of
// what the centre has lie there, the later ones at the nodes.
func (w *world) sign() {
	w.opt.VerifyHead = checkMark
	w.heads = map[string][][]byte{}
	for _, node := range []string{"north-1", "north-2"} {
		w.heads["north"] = append(w.heads["north"], w.head(node, 9, 100), w.head(node, 15, 200))
	}
	for i := range w.edges {
		w.edges[i].Heads = [][]byte{w.head("north-1", 15, 200), w.head("north-1", 18, 800), w.head("north-2", 18, 800)}
	}
}

func headMutations() []mutation {
	signed := func(fn func(w *world)) func(w *world) {
		return func(w *world) {
			w.sign()
			fn(w)
		}
	}
	add := func(node string, seq, index uint64, change ...func(*journal.Head)) func(w *world) {
		return signed(func(w *world) { w.heads["north"] = append(w.heads["north"], w.head(node, seq, index, change...)) })
	}
	return []mutation{
		{"signed: an entry rewritten at the centre with all later hashes, no node is asked", signed(func(w *world) {
			at(w, 3).entry.Detail = "x"
			w.rechain("north")
			w.edges, w.witness = nil, nil
		}), map[string]string{"V5": "entry north/1/9: node north-1 signed hash"}},
		{"signed: the end of the ledger rewritten at the centre, no node is asked", signed(func(w *world) {
			at(w, 14).entry.Detail = "x"
			w.rechain("north")
			w.edges, w.witness = nil, nil
		}), map[string]string{"V5": "entry north/1/15: node north-1 signed hash"}},
		{"signed: the centre lost its end and its cursor, no node is asked", signed(func(w *world) {
			w.entries["north"] = w.entries["north"][:14]
			w.rechain("north")
			w.journals = slices.DeleteFunc(w.journals, func(j journal.Journal) bool { return j.Source == "entry/north/1/16" })
			w.rebalance()
			w.regions[0].Seq = 15
			w.edges, w.witness = nil, nil
		}), map[string]string{"V5": "region north: the cursor stands at 1/15"}},
		{"signed: nodes rewrote what is not acknowledged, all together", signed(func(w *world) {
			for i := range w.edges {
				r := &w.edges[i]
				r.Entries = slices.Clone(r.Entries)
				e, err := journal.DecodeEntry(r.Entries[0].Raw)
				if err != nil {
					panic(err)
				}
				e.Detail = "x"
				number(r, 0, e)
				head(r)
			}
		}), map[string]string{"V5": "entry north/1/18: node north-1 signed hash"}},
		{"signed: the region was rolled back, all nodes together", signed(func(w *world) {
			for i := range w.edges {
				w.edges[i].Heads = append(w.edges[i].Heads, w.head("north-1", 19, 890, func(h *journal.Head) { h.Seq = 25 }))
			}
		}), map[string]string{"V5": "node north-1 of region north at entry 1/25, log index 890 signed an entry that no node has any more"}},
		{"signed: the region was rolled back, the centre has its heads", add("north-1", 19, 950, func(h *journal.Head) { h.Seq, h.At = 25, now*1_000_000-1 }),
			map[string]string{"V5": "log index 950 signed an entry that no node has any more: the ledger ends at 1/19, the nodes at log index 900"}},
		{"signed: two ledgers", add("north-2", 9, 100, func(h *journal.Head) { h.Hash[0] ^= 1 }),
			map[string]string{"V5": "node north-2 of region north at entry 1/9, log index 100 signed two heads"}},
		{"signed: states that differ at one index", signed(func(w *world) {
			w.heads["north"] = append(w.heads["north"], w.head("north-1", 9, 150), w.head("north-2", 9, 150, func(h *journal.Head) { h.State[3] ^= 1 }))
		}), map[string]string{"V6": "at log index 150 node north-1 signed state hash"}},
		{"signed: another's name", signed(func(w *world) {
			h, err := journal.DecodeSignedHead(w.heads["north"][0])
			if err != nil {
				panic(err)
			}
			h.Node = "north-3"
			w.heads["north"] = append(w.heads["north"], h.Encode())
		}), map[string]string{"V5": "node north-3 of region north at entry 1/9, log index 100, kept at the centre: the signature does not hold: not made by the key of north-3"}},
		{"signed: altered on a node's disk", signed(func(w *world) { w.edges[1].Heads[1][70] ^= 1 }), map[string]string{"V5": "at node north-2 of region north"}},
		{"signed: kept as another region's", signed(func(w *world) { w.heads["south"] = w.heads["north"][:1] }),
			map[string]string{"V5": "a signed head of region north is kept at the centre as one of region south"}},
		{"signed: cannot be read", signed(func(w *world) { w.heads["north"] = append(w.heads["north"], []byte{9}) }),
			map[string]string{"V5": "a signed head of region north, kept at the centre, cannot be read"}},
		{"signed: of an epoch never issued", add("north-1", 9, 100, func(h *journal.Head) { h.Epoch = 7 }),
			map[string]string{"V5": "signed an entry of an epoch that the centre never issued"}},
		{"a row's column altered", func(w *world) { w.broken = "row" },
			map[string]string{"V5": "columns and bytes differ: entry north/1/3: the row's amount is 1, its bytes say 2"}},
		{"region is held", signed(func(w *world) { w.regions[0].Held = "node north-2 signed another hash" }),
			map[string]string{"V5": "region north is held until a person has looked: node north-2 signed another hash"}},
	}
}

// What is signed and right is counted, what has not come waits, and what could not
// be checked is said.
func TestSignedHeadsThatMatch(t *testing.T) {
	detail := func(w *world) string {
		for _, f := range w.check(t) {
			if !f.OK {
				t.Errorf("%+v", f)
			}
			if f.ID == "V5" {
				return f.Detail
			}
		}
		return ""
	}
	w := newWorld()
	w.sign()
	w.heads["north"] = append(w.heads["north"], w.head("north-1", 19, 950, func(h *journal.Head) { h.Seq, h.At = 30, now*1_000_000+5 }))
	if got := detail(w); !strings.Contains(got, "6 signed heads match, 1 wait for their entries") {
		t.Error(got)
	}
	w.opt.VerifyHead = nil
	if got := detail(w); !strings.Contains(got, "their signatures were not checked: no authority was given") {
		t.Error(got)
	}
	w = newWorld()
	if got := detail(w); !strings.Contains(got, "no signed heads") {
		t.Error(got)
	}
	w = newWorld()
	w.sign()
	w.broken = "heads"
	for _, f := range w.check(t) {
		if f.ID == "V5" && (f.OK || !strings.Contains(f.Detail, "reading the signed heads of north")) {
			t.Errorf("%+v", f)
		}
	}
}
