// Package accounts owns customers, their accounts and subscriptions, and the NAS
// registry.
//
// Credentials are sealed with the key of the region that uses them before they
// reach the store. The package does not own service state (barred, period,
// offering in force): that is the home edge's, and what is kept here is its
// projection. Money is buckets' and payments'.
package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// Feed is what the service needs of central/feed.
type Feed interface {
	Append(ctx context.Context, tx store.Tx, changes ...feed.Change) error
}

// Regions answers which epoch a region is in, or a fault that names field.
type Regions interface {
	Epoch(ctx context.Context, tx store.Tx, field, name string) (uint64, error)
	// HomeEpoch is Epoch of a region that is a home already: 0 when nothing may be
	// leased there any more.
	HomeEpoch(ctx context.Context, tx store.Tx, name string) (uint64, error)
}

// Catalog answers what an offering says now, or a fault that names field.
type Catalog interface {
	Latest(ctx context.Context, tx store.Tx, field, id string) (tariff.Offering, error)
}

// Sealer seals with a region's key. The error says when there is none.
type Sealer interface {
	Seal(region string, plain, additional []byte) ([]byte, error)
}

// Deps are what the service works with.
type Deps struct {
	Runner  store.Runner
	Stores  func(store.Tx) Store
	Buckets func(store.Tx) buckets.Store
	Feed    Feed
	Regions Regions
	Catalog Catalog
	Sealer  Sealer
	Now     func() time.Time
	NewID   func() string
}

// Service creates and reads accounts.
type Service struct {
	Deps
	rules rules
}

// New builds the service.
func New(d Deps) *Service { return &Service{Deps: d, rules: newRules()} }

// exists turns store.ErrExists into a fault about an id or login.
func exists(err error, what, field, value string) error {
	if errors.Is(err, store.ErrExists) {
		return fault.New(fault.Exists, field, value, what+" exists already", "choose another, or use the one that exists")
	}
	return fmt.Errorf("store %s: %w", what, err)
}

func (s *Service) id(given string) string {
	if given == "" {
		return s.NewID()
	}
	return given
}

// CreateCustomer is CreateCustomersTx for one, in a transaction of its own.
func (s *Service) CreateCustomer(ctx context.Context, in NewCustomer) (Customer, error) {
	return one(ctx, s.Runner, "accounts.create_customer", in, s.CreateCustomersTx)
}

// CreateCustomersTx creates customers; all faults of all are reported at once.
func (s *Service) CreateCustomersTx(ctx context.Context, tx store.Tx, in []NewCustomer) ([]Customer, error) {
	var c fault.Collector
	out := make([]Customer, len(in))
	for i, n := range in {
		n.ID = s.id(n.ID)
		s.rules.customer(&c, len(in), i, n)
		out[i] = Customer{ID: n.ID, Kind: n.Kind, Name: n.Name, Segment: n.Segment, CreatedAt: s.Now().UnixMicro()}
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if err := s.Stores(tx).InsertCustomers(ctx, out); err != nil {
		return nil, exists(err, "the customer", "id", out[0].ID)
	}
	return out, nil
}

// OpenAccount is OpenAccountsTx for one, in a transaction of its own.
func (s *Service) OpenAccount(ctx context.Context, in NewAccount) (Account, error) {
	return one(ctx, s.Runner, "accounts.open", in, s.OpenAccountsTx)
}

// OpenAccountsTx opens accounts, each with one empty money bucket.
func (s *Service) OpenAccountsTx(ctx context.Context, tx store.Tx, in []NewAccount) ([]Account, error) {
	var c fault.Collector
	out := make([]Account, len(in))
	cash := make([]buckets.Bucket, len(in))
	customers := make([]string, len(in))
	for i, n := range in {
		n.ID = s.id(n.ID)
		s.rules.account(&c, len(in), i, n)
		out[i] = Account{ID: n.ID, Customer: n.Customer, Currency: n.Currency, CreatedAt: s.Now().UnixMicro()}
		cash[i] = buckets.Bucket{ID: buckets.CashID(n.ID), Account: n.ID, Unit: journal.Unit(n.Currency)}
		customers[i] = n.Customer
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	found, err := s.Stores(tx).Customers(ctx, customers)
	if err != nil {
		return nil, fmt.Errorf("read customers: %w", err)
	}
	known := make(map[string]bool, len(found))
	for _, f := range found {
		known[f.ID] = true
	}
	for i, id := range customers {
		if !known[id] {
			c.Add(fault.Missing(Path(len(in), i, "customer"), id, "the customer", "create it first"))
		}
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	if err := s.Stores(tx).InsertAccounts(ctx, out); err != nil {
		return nil, exists(err, "the account", "id", out[0].ID)
	}
	if err := s.Buckets(tx).InsertBuckets(ctx, cash); err != nil {
		return nil, exists(err, "the account's money bucket", "id", cash[0].ID)
	}
	return out, nil
}

// RegisterNAS is RegisterNASTx in a transaction of its own.
func (s *Service) RegisterNAS(ctx context.Context, in NewNAS) (NAS, error) {
	return store.Run(ctx, s.Runner, "accounts.register_nas", func(ctx context.Context, tx store.Tx) (NAS, error) {
		return s.RegisterNASTx(ctx, tx, in)
	})
}

// RegisterNASTx adds a NAS to the registry of its region.
func (s *Service) RegisterNASTx(ctx context.Context, tx store.Tx, in NewNAS) (NAS, error) {
	in.ID = s.id(in.ID)
	var c fault.Collector
	s.rules.nas(&c, in)
	if _, err := s.Regions.Epoch(ctx, tx, "region", in.Region); err != nil {
		c.Add(err)
	}
	if err := c.Err(); err != nil {
		return NAS{}, err
	}
	secret, err := s.Sealer.Seal(in.Region, []byte(in.Secret), []byte("nas/"+in.ID))
	if err != nil {
		return NAS{}, fmt.Errorf("seal the secret of NAS %s: %w", in.ID, err)
	}
	n := NAS{ID: in.ID, Region: in.Region, Address: in.Address, Vendor: in.Vendor, Secret: secret, CoA: in.CoA, Version: 1}
	if err := s.Stores(tx).InsertNAS(ctx, []NAS{n}); err != nil {
		return NAS{}, exists(err, "the NAS, or one with its address in this region,", "id", n.ID)
	}
	row, err := feed.NewChange(n.Region, feedrow.KindNAS, n.ID, n.Version,
		&feedrow.NAS{ID: n.ID, Address: n.Address, Vendor: n.Vendor, Secret: n.Secret, CoA: n.CoA})
	if err != nil {
		return NAS{}, err
	}
	return n, s.Feed.Append(ctx, tx, row)
}

// Account returns an account, or a not-found fault that names field.
func (s *Service) Account(ctx context.Context, tx store.Tx, field, id string) (Account, error) {
	found, err := s.Stores(tx).Accounts(ctx, []string{id})
	if err != nil {
		return Account{}, fmt.Errorf("read account %s: %w", id, err)
	}
	if len(found) == 0 {
		return Account{}, fault.Missing(field, id, "the account", "open it first, or name one that exists")
	}
	return found[0], nil
}

// Subscription returns a subscription, or a not-found fault that names field.
func (s *Service) Subscription(ctx context.Context, tx store.Tx, field, id string) (Subscription, error) {
	found, err := s.Stores(tx).Subscriptions(ctx, []string{id})
	if err != nil {
		return Subscription{}, fmt.Errorf("read subscription %s: %w", id, err)
	}
	if len(found) == 0 {
		return Subscription{}, fault.Missing(field, id, "the subscription", "name one that exists")
	}
	return found[0], nil
}

// one runs a batch operation for one request in a transaction of its own.
func one[In, Out any](ctx context.Context, r store.Runner, op string, in In,
	batch func(context.Context, store.Tx, []In) ([]Out, error)) (Out, error) {
	return store.Run(ctx, r, op, func(ctx context.Context, tx store.Tx) (Out, error) {
		out, err := batch(ctx, tx, []In{in})
		if err != nil {
			var zero Out
			return zero, err
		}
		return out[0], nil
	})
}
