// Package memstore keeps the centre's data in memory, for simulations and fast
// tests: the same Runner and Stores as central/cockroach, under the same contract
// test.
//
// Transactions run one at a time and are undone from a log when they fail, so it
// is trivially serializable. Nothing is durable. What it returns never depends on
// the order of a map.
package memstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/central/approvals"
	"meridian/central/buckets"
	"meridian/central/catalog"
	"meridian/central/feed"
	"meridian/central/ledger"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/regions"
	"meridian/central/rerating"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/invariant"
	"meridian/internal/journal"
	"meridian/internal/verify"
)

type leaseKey struct {
	bucket, region string
	epoch          uint64
}

type claimKey struct{ bucket, id string }

type balanceKey struct {
	account string
	unit    journal.Unit
	slot    int16
}

type versionKey struct {
	id      string
	version uint32
}

type answerKey struct{ operator, key string }

type changeKey struct {
	region  string
	kind    feedrow.Kind
	id      string
	version uint64
}

// Store is a database in memory. It is safe for concurrent use.
type Store struct {
	mu        sync.Mutex
	failFirst bool

	operators     map[string]access.Operator
	tokens        map[[32]byte]string
	logins        map[string]string // operators' logins
	audit         map[string]access.Audit
	answers       map[answerKey]access.Answer
	customers     map[string]accounts.Customer
	accounts      map[string]accounts.Account
	subscriptions map[string]accounts.Subscription
	subLogins     map[string]string
	ofAccount     map[string][]string // subscriptions
	nas           map[string]accounts.NAS
	buckets       map[string]buckets.Bucket
	bucketsOf     map[string][]string
	leases        map[leaseKey]buckets.Lease
	leasesOf      map[string][]leaseKey
	claims        map[claimKey]buckets.Claim
	claimsOf      map[string][]claimKey // by bucket
	versions      map[versionKey]catalog.Version
	tables        map[versionKey]catalog.Table
	latest        map[string]uint32
	heads         map[string]uint64
	pending       map[changeKey]feed.Change
	appended      map[changeKey]bool
	rows          map[string][]feedrow.Row
	entries       map[string][]ledger.Record // by region, in order
	entryAt       map[ledger.Place]int
	entriesOf     map[string][]ledger.Record // by account
	journals      map[string]journal.Journal
	balances      map[balanceKey]int64
	reviews       map[ledger.Place]ledger.Review
	orders        map[string]orders.Order
	payments      map[string]payments.Payment // by key
	paymentIDs    map[string]bool
	paymentsOf    map[string][]string
	regions       map[string]regions.Region
	holds         map[string]regions.Hold
	closings      map[epochKey]regions.Closing
	openings      map[epochKey]regions.Opening
	signed        map[headKey]regions.SignedHead
	proposals     map[string]approvals.Proposal
	corrections   map[correctionKey]rerating.Correction
}

// New returns an empty database.
func New() *Store {
	return &Store{
		operators: map[string]access.Operator{}, tokens: map[[32]byte]string{}, logins: map[string]string{},
		audit: map[string]access.Audit{}, answers: map[answerKey]access.Answer{},
		customers: map[string]accounts.Customer{}, accounts: map[string]accounts.Account{},
		subscriptions: map[string]accounts.Subscription{}, subLogins: map[string]string{}, ofAccount: map[string][]string{},
		nas: map[string]accounts.NAS{}, buckets: map[string]buckets.Bucket{}, bucketsOf: map[string][]string{},
		leases: map[leaseKey]buckets.Lease{}, leasesOf: map[string][]leaseKey{},
		claims: map[claimKey]buckets.Claim{}, claimsOf: map[string][]claimKey{},
		versions: map[versionKey]catalog.Version{}, tables: map[versionKey]catalog.Table{}, latest: map[string]uint32{},
		heads: map[string]uint64{}, pending: map[changeKey]feed.Change{}, appended: map[changeKey]bool{}, rows: map[string][]feedrow.Row{},
		entries: map[string][]ledger.Record{}, entryAt: map[ledger.Place]int{}, entriesOf: map[string][]ledger.Record{},
		journals: map[string]journal.Journal{}, balances: map[balanceKey]int64{}, reviews: map[ledger.Place]ledger.Review{},
		orders: map[string]orders.Order{}, payments: map[string]payments.Payment{}, paymentIDs: map[string]bool{},
		paymentsOf: map[string][]string{}, regions: map[string]regions.Region{},
		holds: map[string]regions.Hold{}, closings: map[epochKey]regions.Closing{}, openings: map[epochKey]regions.Opening{}, signed: map[headKey]regions.SignedHead{},
		proposals: map[string]approvals.Proposal{}, corrections: map[correctionKey]rerating.Correction{},
	}
}

// NewFailingFirstCommits returns an empty database in which the first commit of
// every transaction fails and the closure runs again, as after a serialization
// failure: a closure that cannot be repeated is found out.
func NewFailingFirstCommits() *Store {
	s := New()
	s.failFirst = true
	return s
}

// errFirst undoes a first attempt that would have committed.
var errFirst = errors.New("memstore: the first commit fails")

// tx is a running transaction with the log that undoes it.
type tx struct {
	s     *Store
	write bool
	undo  []func()
	after []func()
}

// AfterCommit implements store.Tx.
func (t *tx) AfterCommit(fn func()) { t.after = append(t.after, fn) }

// Do implements store.Runner.
func (s *Store) Do(ctx context.Context, op string, fn func(ctx context.Context, tx store.Tx) error) error {
	return s.run(ctx, op, true, fn)
}

// View implements store.Runner.
func (s *Store) View(ctx context.Context, op string, fn func(ctx context.Context, tx store.Tx) error) error {
	return s.run(ctx, op, false, fn)
}

func (s *Store) run(ctx context.Context, op string, write bool, fn func(ctx context.Context, tx store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if s.failFirst && write {
		first := &tx{s: s, write: true}
		err := first.attempt(ctx, func(ctx context.Context, t store.Tx) error {
			if err := fn(ctx, t); err != nil {
				return err
			}
			return errFirst
		})
		if !errors.Is(err, errFirst) {
			return err
		}
	}
	t := &tx{s: s, write: write}
	if err := t.attempt(ctx, fn); err != nil {
		return err
	}
	for _, after := range t.after {
		after()
	}
	return nil
}

func (t *tx) attempt(ctx context.Context, fn func(ctx context.Context, tx store.Tx) error) (err error) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	done := false
	defer func() {
		if done && err == nil {
			return
		}
		for _, undo := range slices.Backward(t.undo) {
			undo()
		}
	}()
	err = fn(ctx, t)
	done = true
	return err
}

// put sets a key and logs how to undo it.
func put[K comparable, V any](t *tx, m map[K]V, k K, v V) {
	invariant.Check(t.write, "a reading transaction writes %v", k)
	old, had := m[k]
	t.undo = append(t.undo, func() {
		if had {
			m[k] = old
		} else {
			delete(m, k)
		}
	})
	m[k] = v
}

// drop removes a key and logs how to undo it.
func drop[K comparable, V any](t *tx, m map[K]V, k K) {
	invariant.Check(t.write, "a reading transaction deletes %v", k)
	old, had := m[k]
	t.undo = append(t.undo, func() {
		if had {
			m[k] = old
		}
	})
	delete(m, k)
}

// push appends to a list of a map. The list before is a prefix, so keeping its
// length is enough to undo.
func push[K comparable, V any](t *tx, m map[K][]V, k K, v ...V) { put(t, m, k, append(m[k], v...)) }

// insertAll adds rows whose keys must all be new.
func insertAll[K comparable, V any](t *tx, m map[K]V, rows []V, key func(V) K) error {
	for _, r := range rows {
		k := key(r)
		if _, there := m[k]; there {
			return fmt.Errorf("%v: %w", k, store.ErrExists)
		}
		put(t, m, k, r)
	}
	return nil
}

// pick returns the rows of the ids that exist, by id, once each.
func pick[V any](m map[string]V, ids []string) []V {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	var out []V
	for _, id := range slices.Compact(ids) {
		if v, ok := m[id]; ok {
			out = append(out, v)
		}
	}
	return out
}

// sorted returns all rows in order.
func sorted[K comparable, V any](m map[K]V, order func(a, b V) int) []V {
	return slices.SortedFunc(maps.Values(m), order)
}

func first[V any](rows []V, limit int) []V { return rows[:min(len(rows), limit)] }

func (s *Store) in(t store.Tx) *tx {
	x, ok := t.(*tx)
	invariant.Check(ok && x.s == s, "a transaction of another database")
	return x
}

// The Stores of a transaction.
func (s *Store) Access(t store.Tx) access.Store       { return accessStore{s.in(t)} }
func (s *Store) Accounts(t store.Tx) accounts.Store   { return accountStore{s.in(t)} }
func (s *Store) Approvals(t store.Tx) approvals.Store { return approvalStore{s.in(t)} }
func (s *Store) Buckets(t store.Tx) buckets.Store     { return bucketStore{s.in(t)} }
func (s *Store) Catalog(t store.Tx) catalog.Store     { return catalogStore{s.in(t)} }
func (s *Store) Feed(t store.Tx) feed.Store           { return feedStore{s.in(t)} }
func (s *Store) Ledger(t store.Tx) ledger.Store       { return ledgerStore{s.in(t)} }
func (s *Store) Orders(t store.Tx) orders.Store       { return orderStore{s.in(t)} }
func (s *Store) Payments(t store.Tx) payments.Store   { return paymentStore{s.in(t)} }
func (s *Store) Rerating(t store.Tx) rerating.Store   { return rerateStore{s.in(t)} }
func (s *Store) Regions(t store.Tx) regions.Store     { return regionStore{s.in(t)} }

// reader reads the whole database for verify.
type reader struct{ s *Store }

// Reader gives the view that verify checks. It holds no lock: nothing may write
// while it is used.
func (s *Store) Reader() verify.CentreReader { return reader{s} }

func byPlace(a, b ledger.Record) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
}
