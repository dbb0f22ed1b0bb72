package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/central/fault"
	"meridian/central/orders"
	"meridian/central/statement"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/verify"
	"meridian/replication/link"
)

func testOrders(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	_, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{Offering("flat")})
	w.must(err)
	for _, o := range []feed.Order{
		{ID: "o1", Subscription: "s-u1", Action: feed.ActionBar},
		{ID: "o2", Subscription: "s-u1", Action: feed.ActionChange, Offering: "flat"},
		{ID: "o3", Subscription: "s-u1", Action: feed.ActionTerminate},
		{ID: "o4", Subscription: "s-u1", Action: feed.ActionDebit, Amount: 5},
	} {
		placed, err := w.Orders.Place(w.Ctx, o)
		w.must(err)
		if placed.Status != orders.Open || placed.Region != "north" {
			t.Errorf("placed %+v", placed)
		}
	}
	for name, o := range map[string]feed.Order{
		"no subscription": {Subscription: "s-x", Action: feed.ActionBar},
		"no action":       {Subscription: "s-u1", Action: "dance"},
		"no offering":     {Subscription: "s-u1", Action: feed.ActionChange, Offering: "none"},
		"no amount":       {Subscription: "s-u1", Action: feed.ActionDebit},
		"foreign bucket":  {Subscription: "s-u1", Action: feed.ActionDebit, Amount: 1, Bucket: "a-u2/cash"},
		"too much":        {Subscription: "s-u1", Action: feed.ActionDebit, Amount: tariff.MaxPrice + 1},
		"no such instant": {Subscription: "s-u1", Action: feed.ActionBar, NotBefore: 1 << 61},
		"never expires":   {Subscription: "s-u1", Action: feed.ActionBar, Expires: 1 << 61},
		"taken id":        {ID: "o1", Subscription: "s-u1", Action: feed.ActionBar},
	} {
		if _, err := w.Orders.Place(w.Ctx, o); len(fault.List(err)) != 1 {
			t.Errorf("%s: %v, want one fault", name, err)
		}
	}
	w.Drain()
	e := NewEdge("north")
	say := func(id, detail string) journal.Entry {
		return journal.Entry{Kind: journal.KindOrder, Account: "a-u1", Subscription: "s-u1", Ref: id, Detail: detail}
	}
	e.Add(say("o1", "executed"), say("o2", "executed"), say("o3", "refused: expired"), say("o1", "executed"), say("never", "executed"))
	if ack := w.Ingest(e, e.All()); ack.Seq != 5 {
		t.Errorf("acknowledged %d", ack.Seq)
	}
	sub, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) (accounts.Subscription, error) {
		return w.Accounts.Subscription(ctx, tx, "id", "s-u1")
	})
	w.must(err)
	if !sub.Barred || sub.Terminated || sub.Offering != "flat" {
		t.Errorf("subscription is %+v", sub)
	}
	list, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) ([]orders.Order, error) {
		return w.Backend.Orders(tx).Get(ctx, []string{"o4", "o3", "o1", "none"})
	})
	w.must(err)
	if len(list) != 3 || list[0].Status != orders.Executed || list[1].Status != orders.Refused || list[1].Detail != "refused: expired" || list[2].Status != orders.Open {
		t.Errorf("orders are %+v", list)
	}
	if n := w.Regions.Stats().Suspended.Load(); n != 2 {
		t.Errorf("%d answers in front of a person, want the repeated and the unknown one", n)
	}
}

// Orders reach the home in the order they were placed, whatever their ids, and
// after what they refer to.
func testOrdersInOrder(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	place := func(id string, action feed.Action) {
		_, err := w.Orders.Place(w.Ctx, feed.Order{ID: id, Subscription: "s-u1", Action: action})
		w.must(err)
	}
	place("o-9", feed.ActionBar)
	place("o-5", feed.ActionUnbar)
	now := w.Orders.Now()
	w.Orders.Now = func() time.Time { return now } // the clock stands still, then goes back
	place("o-4", feed.ActionBar)
	w.must(w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		for _, id := range []string{"o-3", "o-2"} {
			if _, err := w.Orders.PlaceTx(ctx, tx, feed.Order{ID: id, Subscription: "s-u1", Action: feed.ActionUnbar}); err != nil {
				return err
			}
		}
		return nil
	}))
	now = now.Add(-time.Minute)
	place("o-1", feed.ActionBar)
	w.Deposit("u1", "k", 1) // later, and yet a lease goes before an order
	w.Drain()
	got, err := w.Sequencer.Rows(w.Ctx, "north", 0, 100)
	w.must(err)
	var order []string
	last := uint64(0)
	for _, r := range got {
		order = append(order, string(r.Kind)+" "+r.ID)
		if r.Kind == feed.KindOrder {
			if r.Version <= last {
				t.Errorf("order %s has version %d after %d", r.ID, r.Version, last)
			}
			last = r.Version
		}
	}
	want := []string{"offering prepaid@1", "lease a-u1/cash", "lease a-u1/cash", "subscription s-u1",
		"order o-9", "order o-5", "order o-4", "order o-3", "order o-2", "order o-1"}
	if !slices.Equal(order, want) {
		t.Errorf("the feed is %q, want %q", order, want)
	}
}

// A statement adds up however much lies before its period.
func testStatementLong(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Subscriber("u2", "north")
	w.Deposit("u1", "k", 100*money.Micro)
	e := NewEdge("north")
	const rounds = statement.MaxLines/4 + 1
	for range rounds {
		e.Add(Usage("u1", 1000), Charge("u1", 10), Overrun("u1", 3, "owed"), Overrun("u1", 2, "absorbed"))
	}
	suspended := Overrun("u1", 7, "owed")
	suspended.Ref = "with\x00nul"
	other := Overrun("u1", 11, "owed")
	other.Unit = "USD"
	e.Add(suspended, other, Overrun("u2", 13, "owed"), Overrun("u1", 0, "owed"))
	from := start + int64(len(e.Raw)+1)*1_000_000
	late := Overrun("u1", 5, "owed")
	late.At = from
	e.Add(late)
	for first := 1; first <= len(e.Raw); first += 1000 {
		w.Ingest(e, e.Batch(uint64(first), uint64(min(first+999, len(e.Raw)))))
	}
	s, err := w.Statement.Of(w.Ctx, "a-u1", from, 0)
	w.must(err)
	if s.Opening != 100*money.Micro-10*rounds || s.Closing != s.Opening || s.DebtOpening != 3*rounds || s.Overrun != 5 || s.DebtClosing != 3*rounds+5 || len(s.Lines) != 1 {
		t.Errorf("opening %s, closing %s, debt %s + %s = %s, %d lines", s.Opening, s.Closing, s.DebtOpening, s.Overrun, s.DebtClosing, len(s.Lines))
	}
	books := w.balances("EUR", journal.Receivable+"a-u1")
	if int64(s.DebtClosing) != books[journal.Receivable+"a-u1"] {
		t.Errorf("debt closes at %s, the books say %v", s.DebtClosing, books)
	}
	if _, err := w.Statement.Of(w.Ctx, "a-u1", 0, 0); !fault.Is(err, fault.TooLarge) {
		t.Errorf("all lines at once: %v", err)
	}
}

func testStatement(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k1", 10*money.Micro)
	e := NewEdge("north")
	e.Add(Usage("u1", 4_000_000), Charge("u1", 4_000_000), Overrun("u1", 50_000, "owed"), Overrun("u1", 20_000, "absorbed"))
	w.Ingest(e, e.All())
	const noon = start + 3600e6
	w.clock.Store(noon)
	w.Deposit("u1", "k2", 5*money.Micro)
	late := Charge("u1", 3_000_000)
	late.At = noon + 5e6
	owed := Overrun("u1", 1_000, "owed")
	owed.At = noon + 6e6
	e.Add(late, owed)
	w.Ingest(e, e.Batch(5, 6))
	w.Regions.Health(w.Ctx, "north", link.Health{Mode: "isolated", BacklogEntries: 17})

	s, err := w.Statement.Of(w.Ctx, "a-u1", noon, 0)
	w.must(err)
	if s.Opening != 6_000_000 || s.Credits != 5_000_000 || s.Charges != 3_000_000 || s.Closing != 8_000_000 {
		t.Errorf("opening %s + credits %s − charges %s = closing %s", s.Opening, s.Credits, s.Charges, s.Closing)
	}
	if s.DebtOpening != 50_000 || s.Overrun != 1_000 || s.DebtClosing != 51_000 || s.Absorbed != 0 || len(s.Lines) != 3 {
		t.Errorf("debt %s + %s = %s, absorbed %s, %d lines", s.DebtOpening, s.Overrun, s.DebtClosing, s.Absorbed, len(s.Lines))
	}
	if len(s.Leased) != 1 || s.Leased[0].Amount != 8_000_000 || s.Leased[0].Pending == nil || s.Leased[0].Pending.BacklogEntries != 17 || s.Unleased != 0 {
		t.Errorf("leased %+v, unleased %s", s.Leased, s.Unleased)
	}
	whole, err := w.Statement.Of(w.Ctx, "a-u1", 0, 0)
	w.must(err)
	books := w.balances("EUR", journal.CustomerPrepaid+"a-u1", journal.Receivable+"a-u1")
	if whole.Opening != 0 || int64(whole.Closing) != -books[journal.CustomerPrepaid+"a-u1"] || int64(whole.DebtClosing) != books[journal.Receivable+"a-u1"] {
		t.Errorf("statement closes at %s and %s, the books say %v", whole.Closing, whole.DebtClosing, books)
	}
	if first := whole.Lines[1]; first.Kind != "usage" || first.InOctets != 4_000_000 || whole.Lines[2].Cut != 1 {
		t.Errorf("lines are %+v", whole.Lines)
	}
	before, err := w.Statement.Of(w.Ctx, "a-u1", 0, noon)
	w.must(err)
	if before.Closing != s.Opening || before.DebtClosing != s.DebtOpening {
		t.Errorf("the period before closes at %s and %s, this one opens at %s and %s", before.Closing, before.DebtClosing, s.Opening, s.DebtOpening)
	}
	if _, err := w.Statement.Of(w.Ctx, "nobody", 0, 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("statement of nobody: %v", err)
	}
	if _, err := w.Statement.Of(w.Ctx, "a-u1", 5, 5); !fault.Is(err, fault.Invalid) {
		t.Errorf("statement of no time: %v", err)
	}
}

func testAccess(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	a := w.Services.Access
	const token = "a token of twenty letters"
	for range 2 { // a second start finds it
		w.must(a.Bootstrap(w.Ctx, "root", access.HashToken(token)))
	}
	o, err := a.Authenticate(w.Ctx, token)
	w.must(err)
	if o.Login != "root" || o.Role != access.Admin {
		t.Errorf("authenticated %+v", o)
	}
	for _, wrong := range []string{"", "short", token + "x"} {
		if _, err := a.Authenticate(w.Ctx, wrong); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("token %q: %v", wrong, err)
		}
	}
	keep := func(key string, hash byte) (*access.Answer, error) {
		return store.Run(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) (*access.Answer, error) {
			got, err := a.Answered(ctx, tx, "root", key, [32]byte{hash})
			if err != nil || got != nil {
				return got, err
			}
			return nil, a.Keep(ctx, tx, access.Answer{Operator: "root", Key: key, RequestHash: [32]byte{hash}, Status: 201, Body: []byte(`{"id":1}`)})
		})
	}
	if got, err := keep("k", 1); got != nil || err != nil {
		t.Errorf("first: %+v, %v", got, err)
	}
	if got, err := keep("k", 1); err != nil || got == nil || got.Status != 201 || string(got.Body) != `{"id":1}` {
		t.Errorf("repeated: %+v, %v", got, err)
	}
	if _, err := keep("k", 2); !fault.Is(err, fault.Conflict) {
		t.Errorf("other request: %v", err)
	}
	w.must(w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		_, err := a.CreateTx(ctx, tx, "clerk", access.Writer, access.HashToken(token+"2"))
		return errors.Join(err, a.Record(ctx, tx, access.Audit{Operator: "root", From: "127.0.0.1", Action: "create", Object: "operator/clerk", Before: []byte("null"), After: []byte(`{}`)}))
	}))
	log, err := a.AuditAfter(w.Ctx, 0, "", 10)
	w.must(err)
	if len(log) != 2 || log[0].Action != "bootstrap" || log[1].Object != "operator/clerk" || string(log[1].Before) != "null" {
		t.Errorf("audit log %+v", log)
	}
	rest, err := a.AuditAfter(w.Ctx, log[0].At, log[0].ID, 10)
	w.must(err)
	if len(rest) != 1 || rest[0].ID != log[1].ID {
		t.Errorf("audit log after the first: %+v", rest)
	}
}

func testInjection(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	const evil = `'; DROP TABLE accounts; --`
	_, err := w.Accounts.CreateCustomer(w.Ctx, accounts.NewCustomer{ID: "c-1", Kind: accounts.Individual, Name: evil})
	w.must(err)
	if _, err := w.Accounts.OpenAccount(w.Ctx, accounts.NewAccount{ID: "a-1", Customer: evil, Currency: "EUR"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an id with quotes: %v", err)
	}
	if _, err := w.Statement.Of(w.Ctx, evil, 0, 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("statement of %q: %v", evil, err)
	}
	_, err = w.Accounts.OpenAccount(w.Ctx, accounts.NewAccount{ID: "a-1", Customer: "c-1", Currency: "EUR"})
	w.must(err)
	got, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) ([]accounts.Customer, error) {
		return w.Backend.Accounts(tx).Customers(ctx, []string{"c-1", evil})
	})
	w.must(err)
	if len(got) != 1 || got[0].Name != evil {
		t.Errorf("customer came back as %+v", got)
	}
}

func testReader(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k", 100)
	e := NewEdge("north")
	e.Add(Charge("u1", 30), Moved(journal.KindTaken, "u1", 5))
	w.Ingest(e, e.All())
	w.Drain()
	r := w.Reader()
	list, err := r.Regions(w.Ctx)
	w.must(err)
	if len(list) != 1 || list[0].Name != "north" || list[0].Epoch != 1 || list[0].Seq != 2 || list[0].Hash != e.Hashes[2] || list[0].FeedLast != 4 {
		t.Errorf("regions %+v", list)
	}
	var found []verify.CentreBucket
	w.must(r.Buckets(w.Ctx, func(b verify.CentreBucket) error { found = append(found, b); return nil }))
	want := verify.LeaseTotals{Region: "north", Epoch: 1, G: 100, T: 5, S: 30}
	if len(found) != 1 || found[0].ID != "a-u1/cash" || found[0].Credited != 100 || len(found[0].Leases) != 1 || found[0].Leases[0] != want {
		t.Errorf("buckets %+v", found)
	}
	early, err := r.GrantedAt(w.Ctx, "north", 2)
	w.must(err)
	now, err := r.GrantedAt(w.Ctx, "north", 4)
	w.must(err)
	if early["a-u1/cash"] != 0 || now["a-u1/cash"] != 100 {
		t.Errorf("granted at 2: %v, at 4: %v", early, now)
	}
	stop := errors.New("enough")
	if err := r.Entries(w.Ctx, "north", func(uint64, uint64, []byte, journal.Hash) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a callback's error came back as %v", err)
	}
}

func testSequencersConcurrent(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 10 {
				if _, err := w.Sequencer.Step(w.Ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 8 {
		w.Deposit("u1", fmt.Sprint("k", i), 1)
	}
	wg.Wait()
	w.Drain()
	next := uint64(0)
	w.must(w.Reader().FeedRows(w.Ctx, "north", func(number uint64, _, _ string, _ uint64) error {
		next++
		if number != next {
			t.Errorf("row %d stands at %d", number, next)
		}
		return nil
	}))
	if next != 1+2+8 {
		t.Errorf("%d rows in the feed", next)
	}
}
