// Package payments takes money in: a deposit becomes a payment, a journal that
// makes it a liability until it is earned, a credit of the account's money
// bucket and a grant to the bucket's home, in one transaction.
//
// It owns payments and the rule that a repeated deposit has one effect. Refunds
// and invoices are not its.
package payments

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/store"
	"meridian/internal/canon"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Books posts journals.
type Books interface {
	Post(ctx context.Context, tx store.Tx, writer string, journals []journal.Journal) error
}

// Deps are what the service works with.
type Deps struct {
	Runner   store.Runner
	Stores   func(store.Tx) Store
	Accounts func(store.Tx) accounts.Store
	Buckets  func(store.Tx) buckets.Store
	Books    Books
	Feed     accounts.Feed
	Regions  accounts.Regions
	Now      func() time.Time
	NewID    func() string
}

// Service takes payments.
type Service struct{ Deps }

// New builds the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// Deposit asks to credit an account. Key is the caller's idempotency key.
type Deposit struct {
	Key       string
	Account   string
	Amount    money.Amount
	Currency  money.Currency
	Method    string // e.g. "bank", "card", "desk"
	Reference string // the payer's or bank's reference, may be empty
}

const (
	maxKey  = 200
	maxText = 200
	// attempts at a deposit whose key another request is just storing
	attempts = 3
)

// hash covers all that a repeated deposit must repeat.
func (d *Deposit) hash() [32]byte {
	var w canon.Writer
	w.Byte(1)
	w.String(d.Account)
	w.Varint(int64(d.Amount))
	w.String(string(d.Currency))
	w.String(d.Method)
	w.String(d.Reference)
	return sha256.Sum256(w.B)
}

func (d *Deposit) check(c *fault.Collector, n, i int) {
	path := func(name string) string { return accounts.Path(n, i, name) }
	c.Need(d.Key != "" && len(d.Key) <= maxKey, path("key"), d.Key, "a deposit needs an idempotency key", fmt.Sprintf("give 1 to %d characters, the same when you repeat it", maxKey))
	c.Need(d.Account != "", path("account"), "", "no account is named", "name the account to credit")
	c.Need(d.Amount > 0, path("amount"), d.Amount.String(), "a deposit must be more than zero", `write e.g. "25.00"`)
	c.Need(d.Amount <= tariff.MaxPrice, path("amount"), d.Amount.String(), "the deposit is too large", "deposit at most "+tariff.MaxPrice.String()+" at once")
	c.Need(d.Method != "" && len(d.Method) <= maxText, path("method"), d.Method, "no method is named", "say how it was paid, e.g. bank, card or desk")
	c.Need(len(d.Reference) <= maxText, path("reference"), d.Reference, "the reference is too long", fmt.Sprintf("use at most %d octets", maxText))
}

// Deposit is DepositsTx for one, in a transaction of its own.
func (s *Service) Deposit(ctx context.Context, d Deposit) (Payment, error) {
	var out Payment
	var err error
	for range attempts {
		out, err = store.Run(ctx, s.Runner, "payments.deposit", func(ctx context.Context, tx store.Tx) (Payment, error) {
			got, err := s.DepositsTx(ctx, tx, []Deposit{d})
			if err != nil {
				return Payment{}, err
			}
			return got[0], nil
		})
		// The same key was stored between our look and our insert: look again.
		if !errors.Is(err, store.ErrExists) {
			break
		}
	}
	return out, err
}

// DepositsTx takes deposits, at most one for each key. A key that was used for
// the same deposit gives the payment made then and no second credit; for another
// deposit it is a conflict. Payments are returned in the order asked.
func (s *Service) DepositsTx(ctx context.Context, tx store.Tx, in []Deposit) ([]Payment, error) {
	var c fault.Collector
	keys := make([]string, len(in))
	seen := make(map[string]bool, len(in))
	for i := range in {
		in[i].check(&c, len(in), i)
		c.Need(!seen[in[i].Key], accounts.Path(len(in), i, "key"), in[i].Key, "the key is used twice in one batch", "give each deposit its own key")
		seen[in[i].Key] = true
		keys[i] = in[i].Key
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	before, err := s.Stores(tx).ByKeys(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("look up idempotency keys: %w", err)
	}
	made := make(map[string]Payment, len(in))
	for _, p := range before {
		made[p.Key] = p
	}
	var fresh []Deposit
	for i := range in {
		p, repeated := made[in[i].Key]
		if !repeated {
			fresh = append(fresh, in[i])
		} else if p.RequestHash != in[i].hash() {
			c.Add(fault.New(fault.Conflict, accounts.Path(len(in), i, "key"), in[i].Key, "the key was used for another deposit", "use a new key for a new deposit"))
		}
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if err := s.take(ctx, tx, fresh, made); err != nil {
		return nil, err
	}
	out := make([]Payment, len(in))
	for i, key := range keys {
		out[i] = made[key]
	}
	return out, nil
}

// take credits deposits that were not made before and adds them to made.
func (s *Service) take(ctx context.Context, tx store.Tx, fresh []Deposit, made map[string]Payment) error {
	if len(fresh) == 0 {
		return nil
	}
	states, at, err := s.load(ctx, tx, fresh)
	if err != nil {
		return err
	}
	epochs := make(map[string]uint64)
	now := s.Now().UnixMicro()
	list := make([]Payment, 0, len(fresh))
	journals := make([]journal.Journal, 0, len(fresh))
	for _, d := range fresh {
		state := &states[at[buckets.CashID(d.Account)]]
		if err := s.credit(ctx, tx, state, int64(d.Amount), epochs); err != nil {
			return fmt.Errorf("deposit to account %s: %w", d.Account, err)
		}
		p := Payment{ID: s.NewID(), Key: d.Key, RequestHash: d.hash(), Account: d.Account, Bucket: state.ID,
			Amount: d.Amount, Currency: d.Currency, Method: d.Method, Reference: d.Reference, At: now}
		list, made[d.Key] = append(list, p), p
		journals = append(journals, journal.Transfer("payment/"+p.ID, now, "deposit",
			journal.Cash, journal.CustomerPrepaid+d.Account, journal.Unit(d.Currency), int64(d.Amount)))
	}
	if err := s.Stores(tx).Insert(ctx, list); err != nil {
		return fmt.Errorf("store %d payments: %w", len(list), err)
	}
	return s.save(ctx, tx, "payment/"+list[0].ID, states, epochs, journals, now)
}

// load reads what fresh deposits credit and checks account and currency.
func (s *Service) load(ctx context.Context, tx store.Tx, fresh []Deposit) ([]buckets.State, map[string]int, error) {
	ids, cash := make([]string, len(fresh)), make([]string, len(fresh))
	for i, d := range fresh {
		ids[i], cash[i] = d.Account, buckets.CashID(d.Account)
	}
	found, err := s.Accounts(tx).Accounts(ctx, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("read accounts: %w", err)
	}
	known := make(map[string]accounts.Account, len(found))
	for _, a := range found {
		known[a.ID] = a
	}
	slices.Sort(cash)
	states, err := s.Buckets(tx).Load(ctx, slices.Compact(cash))
	if err != nil {
		return nil, nil, fmt.Errorf("read money buckets: %w", err)
	}
	at := make(map[string]int, len(states))
	for i := range states {
		at[states[i].ID] = i
	}
	var c fault.Collector
	for i, d := range fresh {
		a, ok := known[d.Account]
		_, hasBucket := at[buckets.CashID(d.Account)]
		if !ok || !hasBucket {
			c.Add(fault.Missing(accounts.Path(len(fresh), i, "account"), d.Account, "the account", "open it first"))
			continue
		}
		c.Need(a.Currency == d.Currency, accounts.Path(len(fresh), i, "currency"), string(d.Currency),
			"the account is kept in "+string(a.Currency), "deposit in the account's currency")
	}
	return states, at, c.Err()
}

// credit raises what the bucket was credited and looks up its home's epoch.
func (s *Service) credit(ctx context.Context, tx store.Tx, state *buckets.State, amount int64, epochs map[string]uint64) error {
	if err := state.Credit(amount); err != nil {
		return fault.Bad("amount", money.Amount(amount).String(), err.Error(), "deposit less, or into another account")
	}
	return s.epoch(ctx, tx, state, epochs)
}

func (s *Service) epoch(ctx context.Context, tx store.Tx, state *buckets.State, epochs map[string]uint64) error {
	if state.Home == "" {
		return nil
	}
	if _, ok := epochs[state.Home]; !ok {
		epoch, err := s.Regions.HomeEpoch(ctx, tx, state.Home)
		if err != nil {
			return err
		}
		epochs[state.Home] = epoch
	}
	return nil
}

// save serves claims and leases what is left, and writes buckets and leases once
// each, however many deposits they took.
func (s *Service) save(ctx context.Context, tx store.Tx, writer string, states []buckets.State, epochs map[string]uint64, journals []journal.Journal, now int64) error {
	changed := make([]buckets.Bucket, len(states))
	var out buckets.Outcome
	for i := range states {
		o, err := states[i].Rebalance(epochs[states[i].Home], now)
		if err != nil {
			return err
		}
		out.Add(o)
		changed[i] = states[i].Bucket
	}
	if err := s.Buckets(tx).SaveBuckets(ctx, changed); err != nil {
		return fmt.Errorf("save %d buckets: %w", len(changed), err)
	}
	if err := s.Buckets(tx).SaveClaims(ctx, out.Claims); err != nil {
		return fmt.Errorf("serve %d claims: %w", len(out.Claims), err)
	}
	if err := s.Buckets(tx).SaveLeases(ctx, out.Leases); err != nil {
		return fmt.Errorf("grant %d leases: %w", len(out.Leases), err)
	}
	if err := s.Books.Post(ctx, tx, writer, append(journals, out.Journals...)); err != nil {
		return err
	}
	return s.Feed.Append(ctx, tx, out.Rows...)
}
