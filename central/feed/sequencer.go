package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"meridian/central/store"
	"meridian/internal/feed"
)

// Config bounds the sequencer.
type Config struct {
	// Batch is the most rows numbered in one transaction.
	Batch int
	// Poll is how long changes of other servers may lie unseen; those of this
	// process wake the sequencer at once.
	Poll time.Duration
}

// DefaultConfig returns 1000 rows a transaction and a poll each 250 ms.
func DefaultConfig() Config { return Config{Batch: 1000, Poll: 250 * time.Millisecond} }

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	if c.Batch < 1 || c.Batch > 5000 {
		faults = append(faults, fmt.Errorf("feed Batch is %d: use 1 to 5000 rows", c.Batch))
	}
	if c.Poll <= 0 || c.Poll > time.Minute {
		faults = append(faults, fmt.Errorf("feed Poll is %s: use more than zero and at most a minute", c.Poll))
	}
	return errors.Join(faults...)
}

// Stats counts the sequencer's work.
type Stats struct {
	Steps, Rows, Failures atomic.Uint64
}

// Sequencer numbers committed changes. Any number of servers may run one: a
// region's numbers are guarded by its head. Step works without a goroutine;
// Start runs it on every wake-up and poll.
type Sequencer struct {
	cfg    Config
	runner store.Runner
	stores func(store.Tx) Store
	log    *slog.Logger
	stats  Stats

	wake   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	signals map[string]chan struct{}
	seen    map[string]uint64
}

// NewSequencer builds a sequencer that is not running.
func NewSequencer(cfg Config, runner store.Runner, stores func(store.Tx) Store, log *slog.Logger) *Sequencer {
	return &Sequencer{cfg: cfg, runner: runner, stores: stores, log: log, wake: make(chan struct{}, 1),
		signals: make(map[string]chan struct{}), seen: make(map[string]uint64)}
}

// Wake asks for a step soon. It never blocks; wake-ups that come together are one.
func (s *Sequencer) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Stats gives the counters.
func (s *Sequencer) Stats() *Stats { return &s.stats }

// Signal returns the region's wake-up channel: it holds one token when rows may
// have been numbered since it was last emptied.
func (s *Sequencer) Signal(region string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signal(region)
}

func (s *Sequencer) signal(region string) chan struct{} {
	c := s.signals[region]
	if c == nil {
		c = make(chan struct{}, 1)
		s.signals[region] = c
	}
	return c
}

// Step numbers at most one batch of each region that has changes waiting,
// signals the regions whose feed grew (here or on another server), and returns
// how many rows it numbered.
func (s *Sequencer) Step(ctx context.Context) (int, error) {
	s.stats.Steps.Add(1)
	waiting, err := store.Read(ctx, s.runner, "feed.waiting", func(ctx context.Context, tx store.Tx) ([]string, error) {
		return s.stores(tx).Waiting(ctx)
	})
	if err != nil {
		return 0, fmt.Errorf("list waiting feeds: %w", err)
	}
	total := 0
	for _, region := range waiting {
		n, err := s.number(ctx, region)
		if err != nil {
			return total, fmt.Errorf("number the feed of region %s: %w", region, err)
		}
		total += n
	}
	s.stats.Rows.Add(uint64(total))
	return total, s.announce(ctx)
}

func (s *Sequencer) number(ctx context.Context, region string) (int, error) {
	return store.Run(ctx, s.runner, "feed.number", func(ctx context.Context, tx store.Tx) (int, error) {
		st := s.stores(tx)
		last, err := st.Last(ctx, region)
		if err != nil {
			return 0, err
		}
		changes, err := st.Pending(ctx, region, s.cfg.Batch)
		if err != nil || len(changes) == 0 {
			return 0, err
		}
		return len(changes), st.Number(ctx, region, last, changes)
	})
}

func (s *Sequencer) announce(ctx context.Context) error {
	heads, err := store.Read(ctx, s.runner, "feed.heads", func(ctx context.Context, tx store.Tx) ([]Head, error) {
		return s.stores(tx).Heads(ctx)
	})
	if err != nil {
		return fmt.Errorf("read the feeds' heads: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range heads {
		if s.seen[h.Region] == h.Last {
			continue
		}
		s.seen[h.Region] = h.Last
		select {
		case s.signal(h.Region) <- struct{}{}:
		default:
		}
	}
	return nil
}

// Head is the newest number of a region's feed, as this server has seen it.
func (s *Sequencer) Head(region string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[region]
}

// Rows lists a region's numbered rows after a number, at most limit.
func (s *Sequencer) Rows(ctx context.Context, region string, after uint64, limit int) ([]feed.Row, error) {
	return store.Read(ctx, s.runner, "feed.rows", func(ctx context.Context, tx store.Tx) ([]feed.Row, error) {
		return s.stores(tx).Rows(ctx, region, after, limit)
	})
}

// Start runs the sequencer until ctx ends or Close is called.
func (s *Sequencer) Start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.done = make(chan struct{})
	go s.run(ctx)
}

// Close stops the sequencer and waits for it.
func (s *Sequencer) Close() {
	if s.cancel != nil {
		s.cancel()
		<-s.done
	}
}

func (s *Sequencer) run(ctx context.Context) {
	defer close(s.done)
	poll := time.NewTicker(s.cfg.Poll)
	defer poll.Stop()
	failing := false
	for {
		n, err := s.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.stats.Failures.Add(1)
			if !failing {
				s.log.Warn("the feed is not numbered for now; trying again", slog.Any("error", err))
			}
			failing = true
		case n > 0:
			failing = false
			continue // a full batch may have left more behind
		default:
			failing = false
		}
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		case <-s.wakeUnless(failing):
		}
	}
}

// wakeUnless keeps a failing store from being asked in a tight loop: only the
// poll counts then.
func (s *Sequencer) wakeUnless(failing bool) <-chan struct{} {
	if failing {
		return nil
	}
	return s.wake
}
