package regions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/ledger"
	"meridian/central/orders"
	"meridian/central/store"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/replication/link"
)

// Books posts journals.
type Books interface {
	Post(ctx context.Context, tx store.Tx, writer string, journals []journal.Journal) error
}

// Orders takes the answers that entries give; it returns those it did not take.
type Orders interface {
	Answered(ctx context.Context, tx store.Tx, region string, answers []orders.Answer) ([]orders.Answer, error)
	// EndOpen refuses a region's open orders, since their epoch has ended.
	EndOpen(ctx context.Context, tx store.Tx, region, detail string) error
}

// Rows reads numbered feed rows and tells when there may be new ones.
type Rows interface {
	// Newest is Rows without what newer rows have overtaken; see feed.Row.Skipped.
	Newest(ctx context.Context, region string, after uint64, limit int) ([]feed.Row, error)
	Rows(ctx context.Context, region string, after uint64, limit int) ([]feed.Row, error)
	Signal(region string) <-chan struct{}
}

// Deps are what the service works with.
type Deps struct {
	Runner   store.Runner
	Stores   func(store.Tx) Store
	Accounts func(store.Tx) accounts.Store
	Buckets  func(store.Tx) buckets.Store
	Ledger   func(store.Tx) ledger.Store
	Books    Books
	Orders   Orders
	Changes  Feed
	Rows     Rows
	FeedLast func(ctx context.Context, tx store.Tx, region string) (uint64, error)
	// Verify checks a head's signature; nil: no head is taken.
	Verify func(journal.SignedHead) error
	Now    func() time.Time
	Log    *slog.Logger
}

// MaxBatch is the most entries taken in one transaction.
const MaxBatch = 1000

// Stats counts what the link brought.
type Stats struct {
	Batches, Entries   atomic.Uint64 // new ones
	Repeated           atomic.Uint64 // entries that were accepted before
	Refused            atomic.Uint64 // hellos and batches
	Suspended          atomic.Uint64 // entries in the review queue
	Grants, UnknownAsk atomic.Uint64 // leases raised on demand; wanted items that name nothing
	Heads              atomic.Uint64 // signed heads taken in
	HeadsDropped       atomic.Uint64 // signed heads beyond MaxPendingHeads
	Contradicted       atomic.Uint64 // heads and batches that put a region on hold
}

// Report is a region's health as last heard.
type Report struct {
	link.Health
	Node string
	At   time.Time
}

// Service is the link's Sink. It is safe for concurrent use.
type Service struct {
	Deps
	stats Stats

	mu      sync.Mutex
	reports map[string]Report
	nodes   map[string]string
	signed  map[string]map[string]Signed // newest by region and node
}

var _ link.Sink = (*Service)(nil)

// New builds the service.
func New(d Deps) *Service {
	return &Service{Deps: d, reports: make(map[string]Report), nodes: make(map[string]string), signed: make(map[string]map[string]Signed)}
}

// Stats gives the counters.
func (s *Service) Stats() *Stats { return &s.stats }

// answered carries a result or a refusal out of a transaction.
type answered[T any] struct {
	value   T
	refused *link.Refused
}

// lookup reads a region under lock and refuses one that is unknown or revoked.
func (s *Service) lookup(ctx context.Context, tx store.Tx, name string) (Region, *link.Refused, error) {
	r, err := s.Stores(tx).Get(ctx, name, true)
	if errors.Is(err, store.ErrNotFound) {
		return r, refuse(link.CodeUnknownRegion, "create the region at the centre first", "region %q does not exist", name), nil
	}
	if err != nil {
		return r, nil, fmt.Errorf("read region %s: %w", name, err)
	}
	if r.Revoked {
		return r, refuse(link.CodeRevoked, "ask the centre's administrator", "region %q is revoked", name), nil
	}
	if r.Held != "" {
		return r, held(r.Held), nil
	}
	return r, nil, nil
}

// finish counts and logs a refusal.
func (s *Service) finish(region, what string, refused *link.Refused) {
	if refused == nil {
		return
	}
	s.stats.Refused.Add(1)
	s.Log.Warn("the link refused a region", slog.String("region", region), slog.String("message", what),
		slog.String("code", refused.Code.String()), slog.String("detail", refused.Detail))
}

// unwell names what the database lacks, for the link to tell the region.
func unwell(err error) error {
	var unknown *store.UnknownOutcomeError
	switch {
	case errors.As(err, &unknown):
		return &link.Unavailable{Reason: "database_commit_unknown", Err: err} // the cursor will tell
	case errors.Is(err, store.ErrUnavailable):
		return &link.Unavailable{Reason: "database_" + string(store.CauseOf(err)), Err: err}
	}
	return err
}

// Hello implements link.Sink.
func (s *Service) Hello(ctx context.Context, region string, h link.Hello) (link.Welcome, *link.Refused, error) {
	out, err := store.Run(ctx, s.Runner, "regions.hello", func(ctx context.Context, tx store.Tx) (answered[link.Welcome], error) {
		w, refused, err := s.hello(ctx, tx, region, h)
		return answered[link.Welcome]{w, refused}, err
	})
	if err != nil {
		return link.Welcome{}, nil, fmt.Errorf("hello of region %s: %w", region, unwell(err))
	}
	s.finish(region, "hello", out.refused)
	if out.refused == nil {
		s.mu.Lock()
		s.nodes[region] = h.Node
		s.mu.Unlock()
	}
	return out.value, out.refused, nil
}

func (s *Service) hello(ctx context.Context, tx store.Tx, region string, h link.Hello) (link.Welcome, *link.Refused, error) {
	r, refused, err := s.lookup(ctx, tx, region)
	if refused != nil && r.Revoked && h.Epoch != 0 {
		refused.Detail += "; this ledger ends at " + heirOf(h).String() // for who gives it the next epoch
	}
	if err != nil || refused != nil {
		return link.Welcome{}, refused, err
	}
	o, err := s.Stores(tx).Opening(ctx, region, r.Epoch)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return link.Welcome{}, nil, fmt.Errorf("read the opening of epoch %d of region %s: %w", r.Epoch, region, err)
	}
	if refused := greet(r, h, o); refused != nil {
		return link.Welcome{}, refused, nil
	}
	if h.Term > r.RaftTerm {
		if err := s.Stores(tx).SetTerm(ctx, region, h.Term); err != nil {
			return link.Welcome{}, nil, fmt.Errorf("record term %d of region %s: %w", h.Term, region, err)
		}
	}
	last, err := s.FeedLast(ctx, tx, region)
	if err != nil {
		return link.Welcome{}, nil, fmt.Errorf("read the feed's head of region %s: %w", region, err)
	}
	return link.Welcome{Epoch: r.Epoch, EpochPrevHash: r.PrevHash[:], CursorSeq: r.Seq, CursorHash: r.Hash[:], FeedLast: last}, nil, nil
}

// greet is the rule which hello is welcome. An edge that has no epoch yet is,
// as long as nothing was accepted in this one; the ledger that the epoch was given to
// is, in its stead, when the epoch is not the region's first.
func greet(r Region, h link.Hello, o Opening) *link.Refused {
	const newEpoch = "give the region a new epoch (meridian ctl region new-epoch); until then it must spend nothing"
	if r.Epoch > 1 && h.Epoch < r.Epoch && r.Seq == 0 {
		return o.greet(r, h)
	}
	switch {
	case h.Epoch == 0 && r.Seq > 0:
		return refuse(link.CodeStaleEpoch, newEpoch, "the region comes without an epoch, the centre has its epoch %d up to entry %d", r.Epoch, r.Seq)
	case h.Epoch == 0:
		return nil
	case h.Epoch < r.Epoch:
		return refuse(link.CodeStaleEpoch, "stop these nodes and keep their directories: what the centre does not have of their ledger is not taken in",
			"epoch %d has ended, the region is in epoch %d; this ledger ends at %s", h.Epoch, r.Epoch, heirOf(h))
	case h.Epoch > r.Epoch:
		return refuse(link.CodeRegionMismatch, "connect the region to the centre that it belongs to, or restore the centre's newest backup",
			"epoch %d was never issued here, the newest is %d", h.Epoch, r.Epoch)
	case h.LastSeq < r.Seq: // before the term: what was restored has an old one
		return refuse(link.CodeStaleEpoch, newEpoch, "the region's ledger ends at %s, the centre has accepted %d", heirOf(h), r.Seq)
	case h.Term < r.RaftTerm && r.Seq > 0:
		return refuse(link.CodeStaleTerm, "let the region's present leader connect", "raft term %d, a leader of term %d has been here", h.Term, r.RaftTerm)
	case h.LastSeq == r.Seq && r.Seq > 0 && string(h.HeadHash) != string(r.Hash[:]):
		return refuse(link.CodeBadHash, "compare the edge's segments from the last acknowledged entry on",
			"entry %d of epoch %d has another hash than the one accepted", r.Seq, r.Epoch)
	}
	return nil
}

// Health implements link.Sink.
func (s *Service) Health(_ context.Context, region string, h link.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports[region] = Report{Health: h, Node: s.nodes[region], At: s.Now()}
}

// Report returns a region's health as last heard by this server.
func (s *Service) Report(region string) (Report, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.reports[region]
	return r, ok
}

// Heard is a region's health with its name.
type Heard struct {
	Region string
	Report
}

// Reports lists the health of all regions that this server has heard, by name.
func (s *Service) Reports() []Heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Heard, 0, len(s.reports))
	for _, name := range slices.Sorted(maps.Keys(s.reports)) {
		out = append(out, Heard{name, s.reports[name]})
	}
	return out
}

// FeedNewest implements link.Sink.
func (s *Service) FeedNewest(ctx context.Context, region string, after uint64, most int) ([]link.Row, error) {
	return s.feed(ctx, region, after, most, s.Rows.Newest)
}

// Feed implements link.Sink.
func (s *Service) Feed(ctx context.Context, region string, after uint64, most int) ([]link.Row, error) {
	return s.feed(ctx, region, after, most, s.Rows.Rows)
}

type readRows func(ctx context.Context, region string, after uint64, most int) ([]feed.Row, error)

func (s *Service) feed(ctx context.Context, region string, after uint64, most int, read readRows) ([]link.Row, error) {
	rows, err := read(ctx, region, after, most)
	if err != nil {
		return nil, fmt.Errorf("read the feed of region %s: %w", region, unwell(err))
	}
	out := make([]link.Row, len(rows))
	for i, r := range rows {
		out[i] = link.Row{Number: r.Number, Skipped: r.Skipped, EntityKind: string(r.Kind), EntityID: r.ID, EntityVersion: r.Version, Body: r.Body}
	}
	return out, nil
}

// FeedSignal implements link.Sink.
func (s *Service) FeedSignal(region string) <-chan struct{} { return s.Rows.Signal(region) }
