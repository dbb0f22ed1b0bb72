package link

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

func TestHeadsGoUpAndAnewOnEveryStream(t *testing.T) {
	ca := testCA(t)
	sink := newBooks()
	srv := startCentre(t, ca, sink, nil)
	l := newLedger(1)
	for i := range 3*maxHeads + 1 {
		l.sign([]byte(fmt.Sprint("head ", i)))
	}
	has := func(n int) func() bool {
		return func() bool {
			sink.mu.Lock()
			defer sink.mu.Unlock()
			return len(sink.heads) == n
		}
	}
	cfg := quickClient(t, ca, "north", "n1", srv.addr)
	_, stop := runClient(t, cfg, l)
	eventually(t, "all heads at the centre", has(3*maxHeads+1))
	l.sign([]byte("one more"))
	eventually(t, "a later head at the centre", has(3*maxHeads+2))
	stop()
	runClient(t, cfg, l)
	eventually(t, "all heads once more", has(2*(3*maxHeads+2)))
	sink.mu.Lock()
	defer sink.mu.Unlock()
	if !slices.ContainsFunc(sink.heads, func(h []byte) bool { return bytes.Equal(h, []byte("one more")) }) {
		t.Error("the later head is lost")
	}
}

func TestHeadThatContradictsEndsTheStream(t *testing.T) {
	ca := testCA(t)
	sink := newBooks()
	sink.hold = &Refused{Code: CodeHeld, Detail: "a head contradicts the ledger", Remedy: "look"}
	srv := startCentre(t, ca, sink, nil)
	l := newLedger(1)
	l.sign([]byte("head"))
	runClient(t, quickClient(t, ca, "north", "n1", srv.addr), l)
	eventually(t, "the refusal", func() bool { return l.refusedWith(CodeHeld) })
	if n := srv.Stats().Refusals[CodeHeld]; n == 0 {
		t.Error("the refusal is not counted")
	}
}

func TestHeadsHaveLimits(t *testing.T) {
	for _, c := range []struct {
		heads [][]byte
		fine  bool
	}{
		{[][]byte{make([]byte, MaxHeadBytes)}, true},
		{[][]byte{make([]byte, MaxHeadBytes+1)}, false},
		{make([][]byte, maxHeads+1), false},
		{nil, false},
	} {
		ss := &serverSession{srv: &Server{cfg: quickServer()}, ctx: t.Context(), heads: make(chan [][]byte, 1)}
		ss.refusing.Store(true) // what is refused goes nowhere here
		ss.takeHeads(c.heads)
		if got := len(ss.heads) == 1; got != c.fine {
			t.Errorf("%d heads taken: %v", len(c.heads), got)
		}
	}
}
