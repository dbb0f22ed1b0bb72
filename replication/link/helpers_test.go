package link

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// chain is the hash after each entry of a test ledger.
func chain(prev, entry []byte) []byte {
	h := sha256.New()
	h.Write(prev)
	h.Write(entry)
	return h.Sum(nil)
}

// ledger is a Source and an Applier: a region in memory.
type ledger struct {
	mu       sync.Mutex
	entries  [][]byte
	hashes   [][]byte // hashes[i] is after entry i+1; before the first: nil
	acked    uint64
	rows     []Row
	wanted   map[string]int64
	changed  chan struct{} // closed and replaced when anything changes
	fresh    bool          // the next Wanted names everything
	dirty    map[string]bool
	welcomes []Welcome
	refusals []Refused
	hello    Hello
	applying chan struct{} // when set, Feed waits for it
	differs  bool          // the Welcome is never ours
	heads    [][]byte      // signed heads
	told     int           // of them, on this stream
	pad      int           // octets of noise in each entry
}

func newLedger(n int) *ledger {
	l := &ledger{changed: make(chan struct{}), wanted: map[string]int64{}, dirty: map[string]bool{}, hello: Hello{Epoch: 1, Term: 1}}
	l.add(n)
	return l
}

func (l *ledger) touch() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *ledger) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		e := binary.BigEndian.AppendUint64(nil, uint64(len(l.entries)+1))
		for len(e) < 8+l.pad {
			e = append(e, byte(rand.N(256)))
		}
		l.hashes = append(l.hashes, chain(l.hashAt(uint64(len(l.entries))), e))
		l.entries = append(l.entries, e)
	}
	l.touch()
}

func (l *ledger) hashAt(seq uint64) []byte {
	if seq == 0 {
		return nil
	}
	return l.hashes[seq-1]
}

func (l *ledger) want(bucket string, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted[bucket] = total
	l.dirty[bucket] = true
	l.touch()
}

// wait calls f with the lock held until it returns true.
func (l *ledger) wait(ctx context.Context, f func() bool) error {
	l.mu.Lock()
	for !f() {
		ch := l.changed
		l.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
		l.mu.Lock()
	}
	l.mu.Unlock()
	return nil
}

func (l *ledger) Hello() Hello {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.hello
	h.LastSeq, h.AckedSeq, h.FeedVersion = uint64(len(l.entries)), l.acked, l.feedVersion()
	h.HeadHash = l.hashAt(h.LastSeq)
	return h
}

func (l *ledger) feedVersion() uint64 {
	if len(l.rows) == 0 {
		return 0
	}
	return l.rows[len(l.rows)-1].Number
}

func (l *ledger) Entries(ctx context.Context, after uint64, maxEntries, maxBytes int) (b Batch, err error) {
	err = l.wait(ctx, func() bool {
		n := uint64(len(l.entries))
		if n <= after {
			return false
		}
		end, size := after, 0
		for end < min(n, after+uint64(maxEntries)) && (end == after || size+len(l.entries[end]) <= maxBytes) {
			size += len(l.entries[end])
			end++
		}
		b = Batch{
			Epoch: l.hello.Epoch, FirstSeq: after + 1, PrevHash: l.hashAt(after),
			Entries: l.entries[after:end], HeadHash: l.hashAt(end),
		}
		return true
	})
	return b, err
}

func (l *ledger) Health() Health {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Health{Mode: "connected", BacklogEntries: uint64(len(l.entries)) - l.acked, ClockUnixMicros: time.Now().UnixMicro()}
}

func (l *ledger) Wanted(ctx context.Context) (w Wanted, err error) {
	err = l.wait(ctx, func() bool {
		for b, total := range l.wanted {
			if l.fresh || l.dirty[b] {
				w.Items = append(w.Items, WantedItem{Bucket: b, Total: total, Epoch: l.hello.Epoch})
			}
		}
		l.fresh = false
		clear(l.dirty)
		return len(w.Items) > 0
	})
	return w, err
}

func (l *ledger) Heads(ctx context.Context, most int) (out [][]byte, err error) {
	err = l.wait(ctx, func() bool {
		out = l.heads[l.told:min(len(l.heads), l.told+most)]
		l.told += len(out)
		return len(out) > 0
	})
	return out, err
}

func (l *ledger) sign(heads ...[]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heads = append(l.heads, heads...)
	l.touch()
}

func (l *ledger) Welcome(_ context.Context, w Welcome) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.welcomes = append(l.welcomes, w)
	l.fresh, l.told = true, 0
	if l.differs {
		return fmt.Errorf("%w: so the test says", ErrDiverged)
	}
	if w.CursorSeq > uint64(len(l.entries)) || !bytes.Equal(w.CursorHash, l.hashAt(w.CursorSeq)) {
		return fmt.Errorf("the cursor %d is not on this ledger", w.CursorSeq)
	}
	l.acked = max(l.acked, w.CursorSeq)
	return nil
}

func (l *ledger) Acked(_ context.Context, a Ack) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !bytes.Equal(a.Hash, l.hashAt(a.Seq)) {
		return fmt.Errorf("acknowledged hash of %d is not ours", a.Seq)
	}
	l.acked = max(l.acked, a.Seq)
	return nil
}

func (l *ledger) Feed(ctx context.Context, rows []Row) error {
	if l.applying != nil {
		select {
		case <-l.applying:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rows {
		if r.Number <= l.feedVersion() {
			continue // a repeat
		}
		if r.Number-r.Skipped != l.feedVersion()+1 {
			return fmt.Errorf("feed row %d after %d", r.Number, l.feedVersion())
		}
		l.rows = append(l.rows, r)
	}
	return nil
}

func (l *ledger) Refused(r Refused) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusals = append(l.refusals, r)
}

func (l *ledger) ackedSeq() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

func (l *ledger) refusedWith(code Code) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.refusals, func(r Refused) bool { return r.Code == code && r.Detail != "" && r.Remedy != "" })
}

func (l *ledger) feedLen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows)
}

// books is a Sink: the centre in memory. It takes every entry in exactly once,
// by the cursor, and counts what it was given.
type books struct {
	mu       sync.Mutex
	entries  [][]byte
	hash     []byte
	given    int // entries in all batches, repeats included
	feed     []Row
	signal   chan struct{}
	wanted   map[string]int64
	health   Health
	newest   int // FeedNewest calls
	inside   int // Ingest calls under way
	overlap  bool
	queued   int
	gate     chan struct{} // when set, Ingest takes one from it first
	refuse   *Refused
	fail     error // of the next Ingest, after it was taken in
	lastTerm uint64
	heads    [][]byte
	hold     *Refused // of the next heads
}

func newBooks() *books {
	return &books{signal: make(chan struct{}), wanted: map[string]int64{}}
}

func (b *books) Hello(_ context.Context, _ string, h Hello) (Welcome, *Refused, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inside > 0 {
		b.overlap = true
	}
	if b.refuse != nil {
		return Welcome{}, b.refuse, nil
	}
	if h.Term < b.lastTerm {
		return Welcome{}, &Refused{Code: CodeStaleTerm, Detail: fmt.Sprintf("term %d, a leader of term %d has been here", h.Term, b.lastTerm), Remedy: "let the present leader connect"}, nil
	}
	return Welcome{Epoch: h.Epoch, CursorSeq: uint64(len(b.entries)), CursorHash: b.hash, FeedLast: uint64(len(b.feed))}, nil, nil
}

func (b *books) Ingest(ctx context.Context, _ string, in Batch) (Ack, *Refused, error) {
	b.mu.Lock()
	b.inside++
	if b.inside > 1 {
		b.overlap = true
	}
	gate := b.gate
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.inside--
		b.mu.Unlock()
	}()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return Ack{}, nil, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.given += len(in.Entries)
	b.lastTerm = in.Term
	cursor := uint64(len(b.entries))
	if in.FirstSeq > cursor+1 {
		return Ack{}, &Refused{Code: CodeGap, Detail: fmt.Sprintf("entry %d after %d", in.FirstSeq, cursor), Remedy: "send from the cursor"}, nil
	}
	if in.LastSeq() > cursor {
		for _, e := range in.Entries[cursor+1-in.FirstSeq:] {
			b.entries = append(b.entries, e)
			b.hash = chain(b.hash, e)
		}
		if !bytes.Equal(b.hash, in.HeadHash) {
			return Ack{}, &Refused{Code: CodeBadHash, Detail: "hash differs", Remedy: "verify the ledger"}, nil
		}
	}
	if err := b.fail; err != nil {
		b.fail = nil
		return Ack{}, nil, err
	}
	return Ack{Epoch: in.Epoch, Seq: uint64(len(b.entries)), Hash: b.hash}, nil, nil
}

func (b *books) Wanted(_ context.Context, _ string, w Wanted) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, it := range w.Items {
		b.wanted[it.Bucket] = it.Total
	}
	return nil
}

func (b *books) Heads(_ context.Context, _ string, heads [][]byte) (*Refused, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heads = append(b.heads, heads...)
	return b.hold, nil
}

func (b *books) Health(_ context.Context, _ string, h Health) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.health = h
}

func (b *books) Feed(_ context.Context, _ string, after uint64, most int) ([]Row, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if after >= uint64(len(b.feed)) {
		return nil, nil
	}
	rows := b.feed[after:]
	return slices.Clone(rows[:min(most, len(rows))]), nil
}

// FeedNewest leaves out what a later row of the same entity has overtaken.
func (b *books) FeedNewest(_ context.Context, _ string, after uint64, most int) (out []Row, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest++
	done := after
	for i := after; i < uint64(len(b.feed)) && len(out) < most; i++ {
		r := b.feed[i]
		if slices.ContainsFunc(b.feed[i+1:], func(o Row) bool { return o.EntityID == r.EntityID && o.EntityKind == r.EntityKind }) {
			continue
		}
		r.Skipped, done = r.Number-done-1, r.Number
		out = append(out, r)
	}
	return out, nil
}

func (b *books) FeedSignal(string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.signal
}

func (b *books) publish(n int, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range n {
		k := uint64(len(b.feed) + 1)
		b.feed = append(b.feed, Row{Number: k, EntityKind: "subscription", EntityID: fmt.Sprint("s", k), EntityVersion: k, Body: body})
	}
	close(b.signal)
	b.signal = make(chan struct{})
}

func (b *books) state() (entries, given int, overlap bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries), b.given, b.overlap
}

// check finds every entry once, in order.
func (b *books) check(t *testing.T, n int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.entries) != n {
		t.Errorf("the centre has %d entries, the region wrote %d", len(b.entries), n)
	}
	for i, e := range b.entries {
		if binary.BigEndian.Uint64(e) != uint64(i+1) {
			t.Fatalf("at place %d lies entry %d", i+1, binary.BigEndian.Uint64(e))
		}
	}
	if b.overlap {
		t.Error("two streams of one region used the sink at the same time")
	}
}
