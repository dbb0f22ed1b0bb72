package central

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"meridian/central/access"
	"meridian/central/accounts"
	"meridian/central/approvals"
	"meridian/central/buckets"
	"meridian/central/catalog"
	"meridian/central/explain"
	"meridian/central/feed"
	"meridian/central/ledger"
	"meridian/central/orders"
	"meridian/central/payments"
	"meridian/central/regions"
	"meridian/central/rerating"
	"meridian/central/statement"
	"meridian/central/store"
	"meridian/central/usage"
	"meridian/internal/journal"
	"meridian/replication/seal"
)

// Backend is a database: transactions, and each domain's Store within one.
// central/cockroach is the real one, internal/sim/memstore keeps all in memory.
type Backend interface {
	store.Runner
	Access(store.Tx) access.Store
	Accounts(store.Tx) accounts.Store
	Approvals(store.Tx) approvals.Store
	Buckets(store.Tx) buckets.Store
	Catalog(store.Tx) catalog.Store
	Feed(store.Tx) feed.Store
	Ledger(store.Tx) ledger.Store
	Orders(store.Tx) orders.Store
	Payments(store.Tx) payments.Store
	Regions(store.Tx) regions.Store
	Rerating(store.Tx) rerating.Store
}

// Rings are the regions' key rings by region. It implements accounts.Sealer.
type Rings map[string]*seal.Ring

// ErrNoRing: the centre has no key for a region.
var ErrNoRing = errors.New("no key ring")

// Seal seals with the region's newest key.
func (r Rings) Seal(region string, plain, additional []byte) ([]byte, error) {
	ring := r[region]
	if ring == nil {
		return nil, fmt.Errorf("%w for region %s: name its key file in the centre's configuration", ErrNoRing, region)
	}
	return ring.Seal(nil, plain, additional), nil
}

// Services are the centre's domain services over one backend. They start no
// goroutine and read no clock but the one they are given; Sequencer.Step numbers
// the feed when Sequencer is not started.
type Services struct {
	Access    *access.Service
	Accounts  *accounts.Service
	Approvals *approvals.Service
	Catalog   *catalog.Service
	Explain   *explain.Service
	Orders    *orders.Service
	Payments  *payments.Service
	Registry  *regions.Registry
	Rerating  *rerating.Service
	Regions   *regions.Service // the link's Sink
	Sequencer *feed.Sequencer
	Statement *statement.Service
	Usage     *usage.Service
}

// Deps are what the services need besides the backend. Log may be nil; without
// VerifyHead no signed head is taken.
type Deps struct {
	Now     func() time.Time
	NewID   func() string
	Sealer  accounts.Sealer
	Feed    feed.Config
	Catalog catalog.Config
	Log     *slog.Logger

	VerifyHead func(journal.SignedHead) error
}

// NewServices wires the services: the same for a server, a test and a simulation.
func NewServices(b Backend, d Deps) *Services {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	s := &Services{}
	s.Sequencer = feed.NewSequencer(d.Feed, b, b.Feed, d.Log)
	appender := feed.NewAppender(b.Feed, s.Sequencer.Wake)
	books := ledger.NewBooks(b.Ledger)
	s.Catalog = catalog.New(d.Catalog, b, b.Catalog, appender, d.Now)
	s.Approvals = approvals.New(b, b.Approvals, d.Now, d.NewID)
	s.Access = access.New(b, b.Access, appender, d.Now, d.NewID)
	s.Registry = regions.NewRegistry(b, b.Regions, appender, d.Now, s.Catalog.Seed, s.Access.Seed)
	s.Accounts = accounts.New(accounts.Deps{Runner: b, Stores: b.Accounts, Buckets: b.Buckets, Feed: appender,
		Regions: s.Registry, Catalog: s.Catalog, Sealer: d.Sealer, Now: d.Now, NewID: d.NewID})
	s.Payments = payments.New(payments.Deps{Runner: b, Stores: b.Payments, Accounts: b.Accounts, Buckets: b.Buckets,
		Books: books, Feed: appender, Regions: s.Registry, Now: d.Now, NewID: d.NewID})
	s.Orders = orders.New(orders.Deps{Runner: b, Stores: b.Orders, Accounts: b.Accounts, Catalog: s.Catalog,
		Feed: appender, Now: d.Now, NewID: d.NewID,
		Epoch: func(ctx context.Context, tx store.Tx, region string) (uint64, error) {
			epoch, _, err := b.Regions(tx).Current(ctx, region)
			return epoch, err
		}})
	s.Regions = regions.New(regions.Deps{Runner: b, Stores: b.Regions, Accounts: b.Accounts, Buckets: b.Buckets,
		Ledger: b.Ledger, Books: books, Orders: s.Orders, Changes: appender, Rows: s.Sequencer,
		FeedLast: func(ctx context.Context, tx store.Tx, region string) (uint64, error) {
			return b.Feed(tx).Last(ctx, region)
		},
		Verify: d.VerifyHead, Now: d.Now, Log: d.Log})
	s.Explain = explain.New(explain.Deps{Runner: b, Accounts: b.Accounts, Buckets: b.Buckets, Catalog: b.Catalog, Corrections: b.Rerating,
		Ledger: b.Ledger, Orders: b.Orders, Payments: b.Payments})
	s.Usage = usage.New(b, b.Ledger, b.Catalog)
	s.Rerating = rerating.New(rerating.Deps{Runner: b, Stores: b.Rerating, Ledger: b.Ledger, Buckets: b.Buckets, Catalog: b.Catalog,
		Books: books, Feed: appender, Regions: s.Registry, Now: d.Now})
	s.Statement = statement.New(statement.Deps{Runner: b, Corrections: b.Rerating, Accounts: b.Accounts, Buckets: b.Buckets, Ledger: b.Ledger,
		Payments: b.Payments, Pending: s.pending, Now: d.Now})
	return s
}

func (s *Services) pending(region string) *statement.Pending {
	r, ok := s.Regions.Report(region)
	if !ok {
		return nil
	}
	return &statement.Pending{BacklogEntries: r.BacklogEntries, Mode: r.Mode, HeardAt: r.At.UnixMicro()}
}
