package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"meridian/central/access"
	"meridian/central/buckets"
	"meridian/central/ledger"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/verify"
	"meridian/replication/link"
)

// CheckBooks proves that every journal balances, that the balance rows are the
// sums of the postings, and that their total is zero.
func (w *World) CheckBooks() {
	w.T.Helper()
	r := w.Reader()
	sums := make(map[verify.BalanceKey]int64)
	w.must(r.Journals(w.Ctx, func(j journal.Journal) error {
		for _, p := range j.Postings {
			sums[verify.BalanceKey{Account: p.Account, Unit: p.Unit}] += p.Amount
		}
		return j.Balanced()
	}))
	stored, err := r.LedgerBalances(w.Ctx)
	w.must(err)
	if !maps.Equal(sums, stored) {
		w.T.Errorf("balances are %v, postings sum to %v", stored, sums)
	}
	var total int64
	for _, v := range stored {
		total += v
	}
	if total != 0 {
		w.T.Errorf("trial balance is %d", total)
	}
}

func testFeed(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Region("south")
	w.Subscriber("u1", "north")
	for i := range 5 {
		w.Deposit("u1", fmt.Sprint("k", i), money.Micro)
	}
	w.Drain()
	select {
	case <-w.Sequencer.Signal("north"):
	default:
		t.Error("north was not signalled")
	}
	for _, region := range []string{"north", "south"} {
		versions := map[string]uint64{}
		next := uint64(0)
		w.must(w.Reader().FeedRows(w.Ctx, region, func(number uint64, kind, id string, version uint64) error {
			next++
			if number != next || version != versions[kind+id]+1 {
				t.Errorf("%s row %d (%s %s version %d): want number %d, version %d", region, number, kind, id, version, next, versions[kind+id]+1)
			}
			versions[kind+id] = version
			return nil
		}))
		if region == "north" && versions["leasea-u1/cash"] != 6 || region == "south" && next != 1 {
			t.Errorf("%s: %d rows, versions %v", region, next, versions)
		}
	}
	page, err := w.Regions.Feed(w.Ctx, "north", 3, 2)
	w.must(err)
	if len(page) != 2 || page[0].Number != 4 || page[1].Number != 5 {
		t.Errorf("page after 3 is %+v", page)
	}
	none, err := w.Regions.Feed(w.Ctx, "north", 1000, 2)
	w.must(err)
	if len(none) != 0 {
		t.Errorf("rows after the last: %+v", none)
	}
}

func testSeed(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	_, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{Offering("prepaid")})
	w.must(err)
	w.must(w.Services.Access.Bootstrap(w.Ctx, "root", access.HashToken("a token of twenty letters")))
	w.Region("late")
	w.Drain()
	var got []string
	w.must(w.Reader().FeedRows(w.Ctx, "late", func(_ uint64, kind, id string, _ uint64) error {
		got = append(got, kind+" "+id)
		return nil
	}))
	if len(got) != 3 || got[0] != "offering prepaid@1" || got[1] != "offering prepaid@2" || !strings.HasPrefix(got[2], "operator ") {
		t.Errorf("a new region's feed is %v", got)
	}
}

func testIngest(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k", 10*money.Micro)
	e := NewEdge("north")
	e.Add(Epoch(), Usage("u1", 1000), Charge("u1", 4_000_000), Moved(journal.KindRecurring, "u1", 1_000_000),
		Moved(journal.KindOrderDebit, "u1", 500_000), Moved(journal.KindTaken, "u1", 2_000_000), Moved(journal.KindReturned, "u1", 250_000),
		Moved(journal.KindBorrowed, "u1", 300_000), Moved(journal.KindRepaid, "u1", 100_000),
		Overrun("u1", 70_000, "owed"), Overrun("u1", 30_000, "absorbed"))
	ack := w.Ingest(e, e.All())
	if ack.Seq != 11 || string(ack.Hash) != string(e.All().HeadHash) || ack.Epoch != 1 {
		t.Errorf("acknowledged %+v", ack)
	}
	got := w.Bucket("u1").Leases[0].Totals
	want := got
	// What was returned is the home's again: no claim is open.
	want.G, want.T, want.S, want.X, want.B, want.P = 10_250_000, 2_000_000, 5_500_000, 250_000, 300_000, 100_000
	if got != want {
		t.Errorf("lease totals %+v, want %+v", got, want)
	}
	books := w.balances("EUR", journal.Cash, journal.CustomerPrepaid+"a-u1", journal.RevenueUsage, journal.RevenueRecurring, journal.RevenueOther,
		journal.RegionCash+"north", journal.OfflineAllowance+"a-u1", journal.Receivable+"a-u1", journal.OverrunAbsorbed)
	wantBooks := map[string]int64{journal.Cash: 10_000_000, journal.CustomerPrepaid + "a-u1": -6_700_000, journal.RevenueUsage: -4_100_000,
		journal.RevenueRecurring: -1_000_000, journal.RevenueOther: -500_000, journal.RegionCash + "north": 2_000_000,
		journal.OfflineAllowance + "a-u1": 200_000, journal.Receivable + "a-u1": 70_000, journal.OverrunAbsorbed: 30_000}
	if !maps.Equal(books, wantBooks) {
		t.Errorf("books %v, want %v", books, wantBooks)
	}
	w.CheckBooks()
}

// A bucket that a region made is opened by the entry that made it, in whatever
// unit it counts; any other entry that names a bucket nobody knows is a person's.
func testIngestOpens(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	e := NewEdge("north")
	in := func(kind journal.Kind, bucket string, amount int64) journal.Entry {
		return journal.Entry{Kind: kind, Account: "a-u1", Bucket: bucket, Unit: "bytes", Amount: amount, Detail: "data"}
	}
	e.Add(Epoch(), in(journal.KindGiven, "north/1/2", 1000), in(journal.KindCharge, "north/1/2", 300), in(journal.KindExpired, "north/1/2", 200))
	w.Ingest(e, e.All())
	e.Add(in(journal.KindGiven, "north/1/2", 500), in(journal.KindGiven, "north/1/2", 1), in(journal.KindGiven, "north/1/9", 7), in(journal.KindCharge, "north/1/10", 7))
	w.Ingest(e, e.All())
	states, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) ([]buckets.State, error) {
		return w.Backend.Buckets(tx).OfAccount(ctx, "a-u1")
	})
	w.must(err)
	var got []string
	for _, s := range states {
		for _, l := range s.Leases {
			got = append(got, fmt.Sprintf("%s %s %s T%d S%d", s.ID, s.Home, s.Unit, l.Totals.T, l.Totals.S))
		}
	}
	want := []string{"a-u1/cash north EUR T0 S0", "north/1/2 north bytes T1501 S500"}
	if !slices.Equal(got, want) {
		t.Errorf("buckets are %q, want %q", got, want)
	}
	books := w.balances("bytes", journal.CustomerPrepaid+"a-u1", journal.Allowances, journal.RevenueExpired, journal.Suspense+"north")
	if want := map[string]int64{journal.CustomerPrepaid + "a-u1": -1001, journal.Allowances: 1508, journal.RevenueExpired: -200, journal.Suspense + "north": 0}; !maps.Equal(books, want) {
		t.Errorf("books %v, want %v", books, want)
	}
	w.CheckBooks()
}

func testIngestRepeats(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	e := NewEdge("north")
	for range 10 {
		e.Add(Charge("u1", 100))
	}
	w.Ingest(e, e.Batch(1, 4))
	for _, c := range []struct{ first, last, acked uint64 }{
		{1, 4, 4}, {2, 3, 4}, {1, 6, 6}, {3, 10, 10}, {10, 10, 10}, {1, 10, 10},
	} {
		if ack := w.Ingest(e, e.Batch(c.first, c.last)); ack.Seq != c.acked || string(ack.Hash) != string(e.Hashes[c.acked][:]) {
			t.Errorf("batch %d–%d acknowledged to %d, want %d with its hash", c.first, c.last, ack.Seq, c.acked)
		}
	}
	if s := w.Bucket("u1").Leases[0].Totals.S; s != 1000 {
		t.Errorf("ten charges of 100 make %d", s)
	}
	if st := w.Regions.Stats(); st.Entries.Load() != 10 || st.Repeated.Load() != 4+2+4+4+1+10 {
		t.Errorf("counted %d new and %d repeated", st.Entries.Load(), st.Repeated.Load())
	}
	w.CheckBooks()
}

func testIngestRefuses(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	e := NewEdge("north")
	for range 6 {
		e.Add(Charge("u1", 100))
	}
	w.Ingest(e, e.Batch(1, 3))
	other := NewEdge("north") // another history
	for range 6 {
		other.Add(Charge("u1", 101))
	}
	wrongHead := e.Batch(4, 5)
	wrongHead.HeadHash = e.Hashes[4][:]
	altered := e.Batch(4, 6)
	altered.Entries = [][]byte{e.Raw[3], other.Raw[4], e.Raw[5]}
	stale, unknownEpoch := e.Batch(4, 5), e.Batch(4, 5)
	unknownEpoch.Epoch = 2
	stale.Epoch = 0
	huge := e.Batch(4, 5)
	huge.Entries = make([][]byte, 1001)
	for name, c := range map[string]struct {
		region string
		batch  link.Batch
		code   link.Code
	}{
		"gap":                  {"north", e.Batch(5, 6), link.CodeGap},
		"head of another":      {"north", wrongHead, link.CodeBadHash},
		"entry altered":        {"north", altered, link.CodeBadHash},
		"other history, after": {"north", other.Batch(4, 6), link.CodeBadHash},
		"other history, over":  {"north", other.Batch(2, 5), link.CodeBadHash},
		"other history, old":   {"north", other.Batch(1, 2), link.CodeBadHash},
		"epoch never issued":   {"north", unknownEpoch, link.CodeRegionMismatch},
		"no epoch":             {"north", stale, link.CodeProtocol},
		"too many":             {"north", huge, link.CodeProtocol},
		"unknown region":       {"west", e.Batch(1, 2), link.CodeUnknownRegion},
	} {
		_, refused, err := w.Regions.Ingest(w.Ctx, c.region, c.batch)
		if err != nil || refused == nil || refused.Code != c.code || refused.Remedy == "" || refused.Detail == "" {
			t.Errorf("%s: refused %v, error %v; want %s with detail and remedy", name, refused, err, c.code)
		}
	}
	if s := w.Bucket("u1").Leases[0].Totals.S; s != 300 {
		t.Errorf("refused batches changed the lease: S is %d", s)
	}
	w.Ingest(e, e.Batch(4, 6)) // the legitimate continuation still gets through
}

func testIngestSuspense(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	e := NewEdge("north")
	e.Add(Charge("u1", 100), Charge("nobody", 40)) // 2: unknown bucket
	e.AddRaw([]byte("not an entry\x00"))           // 3
	foreign := Charge("u1", 5)
	foreign.Region, foreign.Epoch, foreign.Seq, foreign.At = "south", 1, 4, start
	e.AddRaw(foreign.Encode()) // 4: says it is another region's
	unclean := Charge("u1", 6)
	unclean.Ref = "with\x00nul"
	mismatch := Charge("u1", 7)
	mismatch.Account = "a-other"
	bytes := Charge("u1", 8)
	bytes.Unit = "bytes"
	huge := Charge("u1", 1<<60)
	e.Add(unclean, mismatch, bytes, huge, Overrun("nobody", 9, "absorbed"), Usage("nobody", 5), Charge("u1", 200)) // 5 … 11
	long := Charge("u1", 3)
	long.Account = strings.Repeat("a", 9000)
	e.Add(long) // 12
	if ack := w.Ingest(e, e.All()); ack.Seq != 12 {
		t.Fatalf("acknowledged to %d of 12", ack.Seq)
	}
	if s := w.Bucket("u1").Leases[0].Totals.S; s != 300 {
		t.Errorf("S is %d, want the two good charges", s)
	}
	queue, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) ([]ledger.Review, error) {
		return w.Backend.Ledger(tx).Reviews(ctx, 100)
	})
	w.must(err)
	if len(queue) != 10 {
		t.Errorf("%d entries in the review queue, want 10: %+v", len(queue), queue)
	}
	for _, r := range queue {
		if r.Reason == "" || r.Seq == 1 || r.Seq == 11 {
			t.Errorf("review %+v", r)
		}
	}
	// 40 + 5 + 6 + 7 and 9 and 3 in EUR are in suspense; the huge amount is only queued.
	books := w.balances("EUR", journal.Suspense+"north", journal.RevenueUsage)
	if books[journal.Suspense+"north"] != 70 || books[journal.RevenueUsage] != -370 {
		t.Errorf("books %v", books)
	}
	n := 0
	w.must(w.Reader().Entries(w.Ctx, "north", func(_, seq uint64, raw []byte, hash journal.Hash) error {
		n++
		if string(raw) != string(e.Raw[seq-1]) || hash != e.Hashes[seq] {
			t.Errorf("entry %d is not kept as it came", seq)
		}
		return nil
	}))
	if n != 12 {
		t.Errorf("%d entries kept", n)
	}
	w.CheckBooks()
}

// Ids that an edge makes of a NAS's octets are long; they are settled all the same.
func testIngestLongTexts(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	e := NewEdge("north")
	id := `\hex:` + strings.Repeat("0f", 253) // an Acct-Session-Id of 253 octets that are no text
	usage, charge, owed := Usage("u1", 1000), Charge("u1", 100), Overrun("u1", 7, "owed")
	usage.Session.ID, charge.Session.ID, charge.Session.NAS, owed.Ref = id, id, strings.Repeat("n", 600), strings.Repeat("ü", 300)
	e.Add(usage, charge, owed)
	if w.Ingest(e, e.All()); len(id) != 511 || w.Regions.Stats().Suspended.Load() != 0 || w.Bucket("u1").Leases[0].Totals.S != 100 {
		t.Errorf("%d entries suspended, S is %d", w.Regions.Stats().Suspended.Load(), w.Bucket("u1").Leases[0].Totals.S)
	}
	s, err := w.Statement.Of(w.Ctx, "a-u1", 0, 0)
	w.must(err)
	if len(s.Lines) != 3 || !strings.Contains(s.Lines[0].Session, id) || s.Lines[2].Text != owed.Ref {
		t.Errorf("lines are %+v", s.Lines)
	}
	long := Charge("u1", 100)
	long.Session.ID = strings.Repeat("x", 601)
	e.Add(long)
	w.Ingest(e, e.Batch(4, 4))
	if n := w.Regions.Stats().Suspended.Load(); n != 1 {
		t.Errorf("%d entries suspended, want the one whose id no edge writes", n)
	}
	w.CheckBooks()
}

func testIngestTwoRegions(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Region("south")
	w.Subscriber("u1", "north")
	w.Subscriber("u2", "south")
	north, south := NewEdge("north"), NewEdge("south")
	for range 60 {
		north.Add(Charge("u1", 10))
		south.Add(Charge("u2", 20))
	}
	var wg sync.WaitGroup
	for _, e := range []*Edge{north, south} {
		wg.Go(func() {
			for first := uint64(1); first <= 60; first += 6 {
				if _, refused, err := w.Regions.Ingest(w.Ctx, e.Region, e.Batch(first, first+5)); err != nil || refused != nil {
					t.Errorf("%s: %v, %v", e.Region, refused, err)
				}
			}
		})
	}
	for i := range 5 { // payments go on meanwhile
		w.Deposit("u1", fmt.Sprint("n", i), 100)
		w.Deposit("u2", fmt.Sprint("s", i), 100)
	}
	wg.Wait()
	if a, b := w.Bucket("u1").Leases[0].Totals.S, w.Bucket("u2").Leases[0].Totals.S; a != 600 || b != 1200 {
		t.Errorf("spent %d and %d", a, b)
	}
	w.CheckBooks()
}

func testHello(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Drain()
	e := NewEdge("north")
	for range 3 {
		e.Add(Charge("u1", 1))
	}
	welcome, refused, err := w.Regions.Hello(w.Ctx, "north", link.Hello{Node: "n1"})
	w.must(err)
	if refused != nil || welcome.Epoch != 1 || welcome.CursorSeq != 0 || welcome.FeedLast != 3 {
		t.Fatalf("first hello: %+v, %v", welcome, refused)
	}
	w.Ingest(e, e.Batch(1, 2))
	ok := link.Hello{Node: "n1", Epoch: 1, Term: 5, LastSeq: 3, HeadHash: e.Hashes[3][:]}
	for _, c := range []struct {
		name   string
		region string
		change func(*link.Hello)
		code   link.Code
	}{
		{"goes on", "north", func(*link.Hello) {}, 0},
		{"at the cursor", "north", func(h *link.Hello) { h.LastSeq, h.HeadHash = 2, e.Hashes[2][:] }, 0},
		{"at the cursor, other hash", "north", func(h *link.Hello) { h.LastSeq, h.HeadHash = 2, e.Hashes[1][:] }, link.CodeBadHash},
		{"behind the cursor", "north", func(h *link.Hello) { h.LastSeq = 1 }, link.CodeStaleEpoch},
		{"lower term", "north", func(h *link.Hello) { h.Term = 4 }, link.CodeStaleTerm},
		{"lost everything", "north", func(h *link.Hello) { h.Epoch = 0 }, link.CodeStaleEpoch},
		{"epoch of another centre", "north", func(h *link.Hello) { h.Epoch = 9 }, link.CodeRegionMismatch},
		{"unknown", "west", func(*link.Hello) {}, link.CodeUnknownRegion},
	} {
		h := ok
		c.change(&h)
		welcome, refused, err := w.Regions.Hello(w.Ctx, c.region, h)
		w.must(err)
		if c.code == 0 && (refused != nil || welcome.CursorSeq != 2 || string(welcome.CursorHash) != string(e.Hashes[2][:])) {
			t.Errorf("%s: %+v, %v", c.name, welcome, refused)
		}
		if c.code != 0 && (refused == nil || refused.Code != c.code) {
			t.Errorf("%s: %v, want %s", c.name, refused, c.code)
		}
	}
	old := e.Batch(3, 3)
	old.Term = 4
	if _, refused, err := w.Regions.Ingest(w.Ctx, "north", old); err != nil || refused == nil || refused.Code != link.CodeStaleTerm {
		t.Errorf("batch of a former leader: %v, %v", refused, err)
	}
}

func testWanted(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k", 100)
	homeless := w.Bucket("u1")
	homeless.Home = "" // so that what comes back waits to be asked for
	w.must(w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		return w.Backend.Buckets(tx).SaveBuckets(ctx, []buckets.Bucket{homeless.Bucket})
	}))
	e := NewEdge("north")
	e.Add(Moved(journal.KindReturned, "u1", 60))
	w.Ingest(e, e.All())
	ask := func(total int64, epoch uint64) int64 {
		w.must(w.Regions.Wanted(w.Ctx, "north", link.Wanted{Items: []link.WantedItem{{Bucket: "a-u1/cash", Total: total, Epoch: epoch}, {Bucket: "none", Total: 5, Epoch: 1}}}))
		return w.Bucket("u1").Leases[0].Totals.G
	}
	for _, c := range []struct {
		total int64
		epoch uint64
		g     int64
	}{{90, 1, 100}, {130, 2, 100}, {130, 1, 130}, {130, 1, 130}, {500, 1, 160}, {500, 1, 160}} {
		if g := ask(c.total, c.epoch); g != c.g {
			t.Errorf("wanted %d in epoch %d: G is %d, want %d", c.total, c.epoch, g, c.g)
		}
	}
	if l := w.Bucket("u1").Leases[0]; l.Wanted != 500 {
		t.Errorf("wanted %d is remembered", l.Wanted)
	}
	if free, err := ptr(w.Bucket("u1")).Unleased(); err != nil || free != 0 {
		t.Errorf("unleased %d, %v", free, err)
	}
	w.Drain()
	grants, err := w.Reader().GrantedAt(w.Ctx, "north", 1<<40)
	w.must(err)
	if grants["a-u1/cash"] != 160 {
		t.Errorf("the feed grants %v", grants)
	}
	w.must(w.Regions.Wanted(w.Ctx, "west", link.Wanted{Items: []link.WantedItem{{Bucket: "a-u1/cash", Total: 900, Epoch: 1}}}))
}

func ptr[T any](v T) *T { return &v }
