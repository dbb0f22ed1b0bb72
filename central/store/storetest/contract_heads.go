package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/central/regions"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/replication/identity"
	"meridian/replication/link"
)

// Signer is a node that signs heads.
type Signer struct {
	Node string
	key  *identity.Signer
}

// Signer makes a node of a region with a key of its own.
func (w *World) Signer(region, node string) *Signer {
	w.T.Helper()
	b, err := w.CA.Issue(identity.Node(region, node), time.UnixMicro(start), 12*time.Hour)
	w.must(err)
	key, err := b.Signer()
	w.must(err)
	return &Signer{Node: node, key: key}
}

// Sign signs where an edge's ledger stands at a seq, as of a log index. change may
// alter the head before it is signed.
func (s *Signer) Sign(e *Edge, seq, index uint64, change ...func(*journal.Head)) []byte {
	h := journal.SignedHead{Head: journal.Head{Region: e.Region, Node: s.Node, Epoch: e.Epoch, Seq: seq, Hash: e.Hashes[seq],
		Index: index, At: start + int64(index)*1_000_000}, Certificate: s.key.Certificate()}
	for _, fn := range change {
		fn(&h.Head)
	}
	var err error
	if h.Signature, err = s.key.Sign(h.Message()); err != nil {
		panic(err) // a key in memory signs
	}
	return h.Encode()
}

// sent takes heads in and returns the refusal.
func (w *World) sent(region string, heads ...[]byte) *link.Refused {
	w.T.Helper()
	refused, err := w.Regions.Heads(w.Ctx, region, heads)
	w.must(err)
	return refused
}

// refusal is that of a batch, nil when it is taken.
func (w *World) refusal(e *Edge, b link.Batch) *link.Refused {
	w.T.Helper()
	_, refused, err := w.Regions.Ingest(w.Ctx, e.Region, b)
	w.must(err)
	return refused
}

// stored lists the heads that verify reads, as node/log index.
func (w *World) stored(region string) []string {
	w.T.Helper()
	var out []string
	w.must(w.Reader().Heads(w.Ctx, region, func(raw []byte) error {
		h, err := journal.DecodeSignedHead(raw)
		out = append(out, fmt.Sprintf("%s/%d", h.Node, h.Index))
		return err
	}))
	slices.Sort(out)
	return out
}

func (w *World) waiting() int {
	w.T.Helper()
	list, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) ([]regions.SignedHead, error) {
		return w.Backend.Regions(tx).PendingHeads(ctx, "north", 1, 1<<62, 1<<20)
	})
	w.must(err)
	return len(list)
}

// ledger is north's, of an epoch entry and nine charges.
func (w *World) ledger() *Edge {
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k", 10*money.Micro)
	return nineCharges(100)
}

func nineCharges(last int64) *Edge {
	e := NewEdge("north")
	e.Add(Epoch())
	for range 8 {
		e.Add(Charge("u1", 100))
	}
	e.Add(Charge("u1", last))
	return e
}

// A head that comes before its entries waits for them, one that comes after is
// compared at once; those that match are kept and hold nothing up.
func testHeads(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	e := w.ledger()
	n1, n2 := w.Signer("north", "north-1"), w.Signer("north", "north-2")
	early := [][]byte{n1.Sign(e, 3, 30), n2.Sign(e, 3, 30), n2.Sign(e, 8, 80)}
	if r := w.sent("north", early...); r != nil || w.waiting() != 3 {
		t.Fatalf("%v, %d wait", r, w.waiting())
	}
	if r := w.sent("north", early...); r != nil || w.waiting() != 3 {
		t.Errorf("sent again: %v, %d wait", r, w.waiting())
	}
	for i, c := range []struct {
		first, last uint64
		wait        int
	}{{1, 2, 3}, {3, 5, 1}, {2, 10, 0}} {
		w.Ingest(e, e.Batch(c.first, c.last))
		if got := w.waiting(); got != c.wait {
			t.Errorf("batch %d: %d heads wait, want %d", i, got, c.wait)
		}
	}
	if r := w.sent("north", n1.Sign(e, 10, 100), early[0]); r != nil || w.waiting() != 0 {
		t.Errorf("a head of entries that are here: %v, %d wait", r, w.waiting())
	}
	if got := w.stored("north"); !slices.Equal(got, []string{"north-1/100", "north-2/80"}) {
		t.Errorf("kept are %v", got)
	}
	if got := w.Regions.SignedHeads(); len(got) != 2 || got[0].Node != "north-1" || got[0].Seq != 10 || got[1].Seq != 8 {
		t.Errorf("newest are %+v", got)
	}
	if s := w.Regions.Stats(); s.Heads.Load() != 8 || s.Contradicted.Load() != 0 {
		t.Errorf("%d heads, %d contradicted", s.Heads.Load(), s.Contradicted.Load())
	}
}

// Of what matches the newest head of each node and hour is kept; what waits is
// bounded.
func testHeadsKept(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	e := w.ledger()
	n1 := w.Signer("north", "north-1")
	w.Ingest(e, e.Batch(1, 5))
	const hour = 3600
	for _, index := range []uint64{10, 20, hour + 10, hour + 20, 15} {
		if r := w.sent("north", n1.Sign(e, 5, index)); r != nil {
			t.Fatal(r)
		}
	}
	if got := w.stored("north"); !slices.Equal(got, []string{"north-1/20", fmt.Sprintf("north-1/%d", hour+20)}) {
		t.Errorf("kept are %v", got)
	}
	w.Regions.Verify = func(journal.SignedHead) error { return nil }
	flood := make([][]byte, regions.MaxPendingHeads+7)
	for i := range flood {
		h := journal.SignedHead{Head: journal.Head{Region: "north", Node: "north-1", Epoch: 1, Seq: 9, Hash: e.Hashes[9], Index: uint64(100 + i), At: start}, Certificate: []byte{1}, Signature: []byte{1}}
		flood[i] = h.Encode()
	}
	if r := w.sent("north", flood...); r != nil || w.waiting() != regions.MaxPendingHeads || w.Regions.Stats().HeadsDropped.Load() != 7 {
		t.Errorf("%v, %d wait, %d dropped", r, w.waiting(), w.Regions.Stats().HeadsDropped.Load())
	}
	w.Ingest(e, e.Batch(6, 10))
	if w.waiting() != 0 {
		t.Errorf("%d wait", w.waiting())
	}
}

// A head that contradicts holds the region by name until a person releases it.
func testHeadsHeld(t *testing.T, open Opener) {
	honest, forged := nineCharges(100), NewEdge("north")
	forged.Add(Epoch(), Charge("u1", 1)) // 99 less, and every later hash computed anew
	for range 8 {
		forged.Add(Charge("u1", 100))
	}
	for _, c := range []struct {
		name string
		do   func(w *World, node *Signer) *link.Refused
		want string
		seq  uint64 // accepted after it
	}{
		{"entry rewritten before it was sent", func(w *World, node *Signer) *link.Refused {
			if r := w.sent("north", node.Sign(honest, 2, 20), node.Sign(honest, 10, 100)); r != nil {
				return r
			}
			return w.refusal(forged, forged.All())
		}, "node north-2 of region north at entry 1/2, log index 20 signed hash", 0},
		{"rewritten entries were taken before the head came", func(w *World, node *Signer) *link.Refused {
			w.Ingest(forged, forged.All())
			return w.sent("north", node.Sign(honest, 9, 90))
		}, "node north-2 of region north at entry 1/9, log index 90 signed hash", 10},
		{"entry inserted before it was sent", func(w *World, node *Signer) *link.Refused {
			longer := NewEdge("north")
			longer.Add(Epoch(), Charge("u1", 100), Charge("u1", 100), Overrun("u1", 5, "owed"))
			if r := w.sent("north", node.Sign(honest, 4, 40)); r != nil {
				return r
			}
			return w.refusal(longer, longer.All())
		}, "log index 40 signed hash", 0},
		{"one node signs two ledgers", func(w *World, node *Signer) *link.Refused {
			if r := w.sent("north", node.Sign(honest, 7, 70)); r != nil {
				return r
			}
			return w.sent("north", node.Sign(forged, 7, 70))
		}, "node north-2 of region north at entry 1/7, log index 70 signed two heads", 0},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			w := NewWorld(t, open)
			w.ledger()
			held := c.do(w, w.Signer("north", "north-2"))
			if held == nil || held.Code != link.CodeHeld || !strings.Contains(held.Detail, c.want) || held.Remedy == "" {
				t.Fatalf("%+v, want %q", held, c.want)
			}
			found, err := w.Reader().Regions(w.Ctx)
			w.must(err)
			if found[0].Held != held.Detail || found[0].Seq != c.seq {
				t.Errorf("region is %+v, want it held at %d", found[0], c.seq)
			}
			if n := w.Regions.Stats().Contradicted.Load(); n != 1 {
				t.Errorf("%d contradictions counted", n)
			}
			w.wantHeld(honest, held.Detail)
			w.releases(honest, c.seq)
		})
	}
}

// wantHeld: nothing is taken from a held region, whoever sends it.
func (w *World) wantHeld(e *Edge, detail string) {
	w.T.Helper()
	_, hello, err := w.Regions.Hello(w.Ctx, "north", link.Hello{Region: "north", Epoch: 1, Term: 9, LastSeq: 10, HeadHash: e.Hashes[10][:]})
	w.must(err)
	for what, r := range map[string]*link.Refused{"hello": hello, "batch": w.refusal(e, e.Batch(1, 3)), "heads": w.sent("north")} {
		if r == nil || r.Code != link.CodeHeld || r.Detail != detail {
			w.T.Errorf("%s of a held region: %+v", what, r)
		}
	}
}

// releases: with the heads kept the right entries are taken, and only they. What
// was accepted in error needs the heads given up.
func (w *World) releases(honest *Edge, accepted uint64) {
	w.T.Helper()
	release := func(discard bool) regions.Released {
		r, err := store.Run(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) (regions.Released, error) {
			return w.Regions.ReleaseTx(ctx, tx, "north", discard)
		})
		w.must(err)
		return r
	}
	if got := release(accepted > 0); got.Node != "north-2" || got.Reason == "" || (len(got.Discarded) == 1) != (accepted > 0) {
		w.T.Errorf("released %+v", got)
	}
	if accepted > 0 {
		if n := w.waiting(); n != 0 {
			w.T.Errorf("%d heads wait", n)
		}
		return
	}
	if r := w.refusal(honest, honest.All()); r != nil || w.waiting() != 0 {
		w.T.Errorf("the right entries after a release: %v, %d heads wait", r, w.waiting())
	}
	if err := w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		_, err := w.Regions.ReleaseTx(ctx, tx, "north", false)
		return err
	}); err == nil {
		w.T.Error("a region that is not held was released")
	}
}

// What is not signed by the node that it names is refused and holds nothing.
func testHeadsRefused(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Region("south")
	e := w.ledger()
	n1, south := w.Signer("north", "north-1"), w.Signer("south", "south-1")
	torn := n1.Sign(e, 3, 30)
	torn[len(torn)-1] ^= 1
	stranger := func() []byte {
		ca, err := identity.NewCA("another", time.UnixMicro(start), time.Hour)
		w.must(err)
		other := &World{T: w.T, CA: ca}
		return other.Signer("north", "north-1").Sign(e, 3, 30)
	}
	for name, c := range map[string]struct {
		head []byte
		code link.Code
	}{
		"torn":                    {torn, link.CodeProtocol},
		"nothing":                 {nil, link.CodeProtocol},
		"in another node's name":  {n1.Sign(e, 3, 30, func(h *journal.Head) { h.Node = "north-2" }), link.CodeProtocol},
		"of another region":       {south.Sign(e, 3, 30, func(h *journal.Head) { h.Region = "south" }), link.CodeProtocol},
		"another region's key":    {south.Sign(e, 3, 30), link.CodeProtocol},
		"another authority's key": {stranger(), link.CodeProtocol},
		"epoch never issued":      {n1.Sign(e, 3, 30, func(h *journal.Head) { h.Epoch = 2 }), link.CodeRegionMismatch},
	} {
		if r := w.sent("north", c.head); r == nil || r.Code != c.code || r.Detail == "" || r.Remedy == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if w.waiting() != 0 || w.refusal(e, e.All()) != nil {
		t.Error("a head that was refused holds the region up")
	}
}
