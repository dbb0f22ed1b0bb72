package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/payments"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/mschap"
	"meridian/internal/tariff"
)

// Run runs the whole contract.
func Run(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"transactions":       testTransactions,
		"catalog":            testCatalog,
		"catalog_status":     testCatalogStatus,
		"catalog_tables":     testCatalogTables,
		"proposals":          testProposals,
		"rerating":           testRerating,
		"usage":              testUsage,
		"why":                testWhy,
		"why_fees":           testWhyFees,
		"eligible":           testEligible,
		"rerating_late":      testReratingLate,
		"rerating_parts":     testReratingParts,
		"subscribe":          testSubscribe,
		"subscribe_batch":    testSubscribeBatch,
		"password":           testPassword,
		"refusals":           testRefusals,
		"deposit_repeated":   testDepositRepeated,
		"deposit_bounds":     testDepositBounds,
		"deposit_concurrent": testDepositsConcurrent,
		"deposit_same_key":   testDepositSameKeyConcurrent,
		"feed":               testFeed,
		"feed newest":        testFeedNewest,
		"new_region_is_fed":  testSeed,
		"ingest":             testIngest,
		"ingest_opens":       testIngestOpens,
		"ingest_repeats":     testIngestRepeats,
		"ingest_refuses":     testIngestRefuses,
		"ingest_suspense":    testIngestSuspense,
		"ingest_long_texts":  testIngestLongTexts,
		"ingest_two_regions": testIngestTwoRegions,
		"hello":              testHello,
		"heads":              testHeads,
		"heads_kept":         testHeadsKept,
		"heads_held":         testHeadsHeld,
		"heads_refused":      testHeadsRefused,
		"wanted":             testWanted,
		"chargeback":         testChargeback,
		"chargeback_refused": testChargebackRefused,
		"region_lost":        testRegionLost,
		"new_epoch":          testNewEpoch,
		"new_epoch_refused":  testNewEpochRefused,
		"founded_anew":       testFoundedAnew,
		"orders":             testOrders,
		"orders_in_order":    testOrdersInOrder,
		"statement":          testStatement,
		"statement_long":     testStatementLong,
		"access":             testAccess,
		"injection":          testInjection,
		"reader":             testReader,
		"sequencers":         testSequencersConcurrent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func testTransactions(t *testing.T, open Opener) {
	w := bare(t, open)
	failure := errors.New("the closure failed")
	hooks := 0
	err := w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		tx.AfterCommit(func() { hooks++ })
		if err := w.Backend.Feed(tx).CreateHead(ctx, "lost"); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) || hooks != 0 {
		t.Fatalf("failed transaction: error %v, %d hooks ran", err, hooks)
	}
	w.must(w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		tx.AfterCommit(func() { hooks++ })
		return w.Backend.Feed(tx).CreateHead(ctx, "kept")
	}))
	w.must(w.Backend.View(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		heads, err := w.Backend.Feed(tx).Heads(ctx)
		if err == nil && (len(heads) != 1 || heads[0].Region != "kept" || hooks != 1) {
			t.Errorf("heads %v, %d hooks: want only 'kept' and one hook", heads, hooks)
		}
		return err
	}))
	err = w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		return w.Backend.Feed(tx).CreateHead(ctx, "kept")
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("a second head: %v, want ErrExists", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a panic of the closure was swallowed")
			}
		}()
		_ = w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
			_ = w.Backend.Feed(tx).CreateHead(ctx, "panicked")
			panic("broken invariant")
		})
	}()
	w.must(w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		return w.Backend.Feed(tx).CreateHead(ctx, "panicked")
	}))
}

func testCatalog(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	next := Offering("prepaid")
	next.Usage[0].Rates[0].Price.Amount = 2 * money.Micro
	got, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{next, Offering("other")})
	w.must(err)
	if got[0].Version != 2 || got[1].Version != 1 || got[0].ValidFrom == 0 {
		t.Fatalf("published %+v: want versions 2 and 1, valid from now", got)
	}
	wrong := Offering("prepaid")
	wrong.Currency, wrong.Overrun = "USD", "nobody"
	if _, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{wrong}); len(fault.List(err)) != 2 {
		t.Errorf("another currency and a wrong policy: %v, want both faults", err)
	}
	all, err := w.Catalog.List(w.Ctx, "", 0, 10)
	w.must(err)
	if len(all) != 3 || all[0].Offering.ID != "other" || all[2].Offering.Version != 2 || all[2].Hash != got[0].Hash() {
		t.Errorf("catalog lists %+v", all)
	}
	page, err := w.Catalog.List(w.Ctx, "other", 1, 1)
	w.must(err)
	if len(page) != 1 || page[0].Offering.ID != "prepaid" || page[0].Offering.Version != 1 {
		t.Errorf("second page is %+v", page)
	}
}

func testSubscribe(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	_, err := w.Accounts.CreateCustomer(w.Ctx, accounts.NewCustomer{ID: "c-u1", Kind: accounts.Company, Name: "Firm"})
	w.must(err)
	_, err = w.Accounts.OpenAccount(w.Ctx, accounts.NewAccount{ID: "a-u1", Customer: "c-u1", Currency: "EUR"})
	w.must(err)
	w.Deposit("u1", "before", 3*money.Micro) // before there is a home: stays unleased
	_, err = w.Accounts.Subscribe(w.Ctx, accounts.NewSubscription{ID: "s-u1", Account: "a-u1", Home: "north", Login: "u1", Password: "secret-word", Offering: "prepaid"})
	w.must(err)
	w.Deposit("u1", "after", 2*money.Micro)
	_, err = w.Accounts.RegisterNAS(w.Ctx, accounts.NewNAS{ID: "nas-1", Region: "north", Address: "127.0.2.1", Vendor: "generic", Secret: "shared-secret", CoA: "127.0.2.1:3799"})
	w.must(err)
	w.Drain()
	feedRows, err := w.Sequencer.Rows(w.Ctx, "north", 0, 100)
	w.must(err)
	var last feed.Lease
	kinds := map[feed.Kind]int{}
	for i, r := range feedRows {
		if r.Number != uint64(i+1) {
			t.Errorf("row %d has number %d", i, r.Number)
		}
		if bytes.Contains(r.Body, []byte("secret-word")) || bytes.Contains(r.Body, []byte("shared-secret")) {
			t.Errorf("row %d carries a secret in clear text", r.Number)
		}
		entity, err := r.Decode()
		w.must(err)
		kinds[r.Kind]++
		switch e := entity.(type) {
		case *feed.Lease:
			last = *e
		case *feed.Subscription:
			hash, err := w.Rings["north"].Open(nil, e.NTHash, []byte(feed.NTHashAAD("s-u1")))
			if want, _ := mschap.NTHash("secret-word"); err != nil || string(hash) != string(want[:]) {
				t.Errorf("NT hash opens to %x, %v", hash, err)
			}
			plain, err := w.Rings["north"].Open(nil, e.Password, []byte(feed.PasswordAAD("s-u1")))
			if err != nil || string(plain) != "secret-word" || e.Login != "u1" || e.Offering != "prepaid" {
				t.Errorf("subscription row %+v opens to %q, %v", e, plain, err)
			}
		case *feed.NAS:
			plain, err := w.Rings["north"].Open(nil, e.Secret, []byte("nas/nas-1"))
			if err != nil || string(plain) != "shared-secret" {
				t.Errorf("NAS row opens to %q, %v", plain, err)
			}
		}
	}
	want := feed.Lease{Bucket: "a-u1/cash", Account: "a-u1", Unit: "EUR", Epoch: 1, Granted: 5 * money.Micro, Allowance: 500_000}
	if last != want {
		t.Errorf("newest lease is %+v, want %+v", last, want)
	}
	if kinds[feed.KindLease] != 2 || kinds[feed.KindSubscription] != 1 || kinds[feed.KindOffering] != 1 || kinds[feed.KindNAS] != 1 {
		t.Errorf("rows by kind: %v", kinds)
	}
}

func testSubscribeBatch(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	const n = 40
	customers, accs := make([]accounts.NewCustomer, n), make([]accounts.NewAccount, n)
	subs, deposits := make([]accounts.NewSubscription, n), make([]payments.Deposit, n)
	for i := range n {
		id := fmt.Sprintf("u%02d", i)
		customers[i] = accounts.NewCustomer{ID: "c-" + id, Kind: accounts.Individual, Name: id}
		accs[i] = accounts.NewAccount{ID: "a-" + id, Customer: "c-" + id, Currency: "EUR"}
		subs[i] = accounts.NewSubscription{ID: "s-" + id, Account: "a-" + id, Home: "north", Login: id, Password: "pw", Offering: "prepaid"}
		deposits[i] = payments.Deposit{Key: id, Account: "a-" + id, Amount: money.Amount(i + 1), Currency: "EUR", Method: "bank"}
	}
	w.must(w.Backend.Do(w.Ctx, "import", func(ctx context.Context, tx store.Tx) error {
		if _, err := w.Accounts.CreateCustomersTx(ctx, tx, customers); err != nil {
			return err
		}
		if _, err := w.Accounts.OpenAccountsTx(ctx, tx, accs); err != nil {
			return err
		}
		if _, err := w.Accounts.SubscribeTx(ctx, tx, subs); err != nil {
			return err
		}
		_, err := w.Payments.DepositsTx(ctx, tx, deposits)
		return err
	}))
	w.Drain()
	grants, err := w.Reader().GrantedAt(w.Ctx, "north", 1<<40)
	w.must(err)
	for i := range n {
		if got := grants[fmt.Sprintf("a-u%02d/cash", i)]; got != int64(i+1) {
			t.Errorf("account %d was granted %d", i, got)
		}
	}
	w.CheckBooks()
}

func testRefusals(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Region("south")
	sub := accounts.NewSubscription{ID: "s-x", Account: "a-u1", Home: "north", Login: "x", Password: "pw", Offering: "prepaid"}
	for name, c := range map[string]struct {
		change func(*accounts.NewSubscription)
		code   fault.Code
		field  string
	}{
		"taken login":     {func(s *accounts.NewSubscription) { s.Login = "u1" }, fault.Exists, "login"},
		"unknown account": {func(s *accounts.NewSubscription) { s.Account = "nobody" }, fault.NotFound, "account"},
		"unknown region":  {func(s *accounts.NewSubscription) { s.Home = "west" }, fault.NotFound, "home"},
		"unknown tariff":  {func(s *accounts.NewSubscription) { s.Offering = "none" }, fault.NotFound, "offering"},
		"other home":      {func(s *accounts.NewSubscription) { s.Home = "south" }, fault.Conflict, "home"},
		"broken password": {func(s *accounts.NewSubscription) { s.Password = "pw\xff" }, fault.Invalid, "password"},
		"no password":     {func(s *accounts.NewSubscription) { s.Password = "" }, fault.Invalid, "password"},
		"control letter":  {func(s *accounts.NewSubscription) { s.Login = "a\x00b" }, fault.Invalid, "login"},
		"taken id":        {func(s *accounts.NewSubscription) { s.ID = "s-u1" }, fault.Exists, "id"},
	} {
		in := sub
		c.change(&in)
		_, err := w.Accounts.Subscribe(w.Ctx, in)
		list := fault.List(err)
		if len(list) != 1 || list[0].Code != c.code || list[0].Field != c.field || list[0].Remedy == "" {
			t.Errorf("%s: %v, want one fault %s about %s with a remedy", name, err, c.code, c.field)
		}
	}
	_, err := w.Accounts.Subscribe(w.Ctx, sub) // nothing of the above was kept
	w.must(err)
	if _, err := w.Registry.Create(w.Ctx, "north"); !fault.Is(err, fault.Exists) {
		t.Errorf("a second region north: %v", err)
	}
	if _, err := w.Registry.Create(w.Ctx, "No Name"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a region without a proper name: %v", err)
	}
}

func testDepositRepeated(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	first := w.Deposit("u1", "k1", 7*money.Micro)
	if again := w.Deposit("u1", "k1", 7*money.Micro); again != first {
		t.Errorf("repeated deposit gives %+v, first gave %+v", again, first)
	}
	_, err := w.Payments.Deposit(w.Ctx, payments.Deposit{Key: "k1", Account: "a-u1", Amount: 8 * money.Micro, Currency: "EUR", Method: "bank"})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("another deposit under the key: %v, want a conflict", err)
	}
	for name, d := range map[string]payments.Deposit{
		"zero":            {Key: "k2", Account: "a-u1", Currency: "EUR", Method: "bank"},
		"other currency":  {Key: "k2", Account: "a-u1", Amount: 1, Currency: "USD", Method: "bank"},
		"unknown account": {Key: "k2", Account: "nobody", Amount: 1, Currency: "EUR", Method: "bank"},
		"no key":          {Account: "a-u1", Amount: 1, Currency: "EUR", Method: "bank"},
		"too large":       {Key: "k2", Account: "a-u1", Amount: tariff.MaxPrice + 1, Currency: "EUR", Method: "bank"},
		"overflow":        {Key: "k2", Account: "a-u1", Amount: 1<<63 - 1, Currency: "EUR", Method: "bank"},
	} {
		if _, err := w.Payments.Deposit(w.Ctx, d); len(fault.List(err)) != 1 {
			t.Errorf("%s: %v, want one fault", name, err)
		}
	}
	state := w.Bucket("u1")
	if free, err := state.Unleased(); state.Credited != 7*money.Micro || err != nil || free != 0 {
		t.Errorf("bucket after all: %+v, unleased %d, %v", state, free, err)
	}
	w.CheckBooks()
}

// A bucket is credited at most buckets.MaxTotal in all, and no lease is granted
// more: a feed row beyond that would be refused by every edge.
func testDepositBounds(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k1", tariff.MaxPrice)
	state := w.Bucket("u1")
	if g := state.Leases[0].Totals.G; g != int64(tariff.MaxPrice) {
		t.Errorf("granted %d", g)
	}
	state.Credited = buckets.MaxTotal - 5
	w.must(w.Backend.Do(w.Ctx, "test", func(ctx context.Context, tx store.Tx) error {
		return w.Backend.Buckets(tx).SaveBuckets(ctx, []buckets.Bucket{state.Bucket})
	}))
	_, err := w.Payments.Deposit(w.Ctx, payments.Deposit{Key: "k2", Account: "a-u1", Amount: 6, Currency: "EUR", Method: "bank"})
	if list := fault.List(err); len(list) != 1 || list[0].Code != fault.Invalid || list[0].Field != "amount" || list[0].Value == "" || list[0].Remedy == "" {
		t.Errorf("beyond the total: %v, want one fault about the amount", err)
	}
	w.Deposit("u1", "k3", 5)
	if got := w.Bucket("u1").Credited; got != buckets.MaxTotal {
		t.Errorf("credited %d", got)
	}
	w.CheckBooks()
}

func testDepositsConcurrent(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	const workers, each = 6, 5
	var wg sync.WaitGroup
	errs := make(chan error, workers*each)
	for n := range workers {
		wg.Go(func() {
			for i := range each {
				_, err := w.Payments.Deposit(w.Ctx, payments.Deposit{Key: fmt.Sprintf("k-%d-%d", n, i), Account: "a-u1", Amount: money.Micro, Currency: "EUR", Method: "bank"})
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		w.must(err)
	}
	state := w.Bucket("u1")
	if state.Credited != workers*each*money.Micro || state.Leases[0].Totals.G != state.Credited {
		t.Errorf("after %d deposits: %+v", workers*each, state)
	}
	w.Drain()
	grants, err := w.Reader().GrantedAt(w.Ctx, "north", 1<<40)
	w.must(err)
	if grants["a-u1/cash"] != state.Credited {
		t.Errorf("the feed grants %d of %d", grants["a-u1/cash"], state.Credited)
	}
	w.CheckBooks()
}

func testDepositSameKeyConcurrent(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	const workers = 8
	ids := make(chan string, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			p, err := w.Payments.Deposit(w.Ctx, payments.Deposit{Key: "same", Account: "a-u1", Amount: money.Micro, Currency: "EUR", Method: "bank"})
			if err != nil {
				t.Error(err)
			}
			ids <- p.ID
		})
	}
	wg.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("answers name payments %s and %s", first, id)
		}
	}
	if state := w.Bucket("u1"); state.Credited != money.Micro {
		t.Errorf("credited %d times", state.Credited/money.Micro)
	}
}

// Bucket is the cash bucket of a subscriber, with its leases.
func (w *World) Bucket(name string) buckets.State {
	w.T.Helper()
	found, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) ([]buckets.State, error) {
		return w.Backend.Buckets(tx).Load(ctx, []string{"a-" + name + "/cash"})
	})
	w.must(err)
	if len(found) != 1 {
		w.T.Fatalf("%d buckets of %s", len(found), name)
	}
	return found[0]
}

func (w *World) balances(unit journal.Unit, codes ...string) map[string]int64 {
	w.T.Helper()
	out, err := store.Read(w.Ctx, w.Backend, "test", func(ctx context.Context, tx store.Tx) (map[string]int64, error) {
		return w.Backend.Ledger(tx).BalancesOf(ctx, codes, unit)
	})
	w.must(err)
	return out
}
