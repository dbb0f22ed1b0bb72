package aaa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/journal"
)

// Effects sends what the state machine has queued to the NAS while this node
// leads, and takes it off the queue by a command: at least once, since a new leader
// sends what the old one could not report any more. A session has one request
// under way at a time. New → Start → Close.
type Effects struct {
	cfg     EffectsConfig
	log     Log
	handler *Handler // for the registry
	sender  Sender
	logger  *slog.Logger
	warned  limiter
	stats   effectCounters

	// The loop's own.
	items     map[uint64]*item            // at most Window, and what is in flight
	order     []*item                     // those that the last look found, by id
	busyNAS   map[string]int              // requests under way
	busy      map[journal.SessionKey]bool // a request is under way
	sending   int
	proposed  []*item   // outcomes that the log is asked to take; one proposal at a time
	proposeAt time.Time // not before, after the log has refused
	looks     uint64
	leading   bool // at the last look

	results   chan attempt
	committed chan error

	lifecycle
}

// item is one effect on its way.
type item struct {
	effect  fsm.Effect
	phase   phase
	tries   int
	due     time.Time
	outcome command.EffectOutcome
	seen    uint64 // the last look that found it in the state
	after   *item  // an earlier one of its session, which goes first
}

type phase uint8

const (
	waiting  phase = iota // to be sent when due
	inFlight              // a request is under way
	finished              // its outcome is to be proposed
	reported              // its outcome is with the log
)

type effectCounters struct {
	queued, sending                                                              atomic.Int64
	sent, acked, noSession, retried, busy, failed, noTarget, superseded, commits atomic.Uint64
	notTaken                                                                     atomic.Uint64
}

// NewEffects checks the configuration. h gives the NAS registry; it need not be
// started for others.
func NewEffects(cfg EffectsConfig, log Log, h *Handler, sender Sender, logger *slog.Logger) (*Effects, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil || h == nil || sender == nil || logger == nil {
		return nil, errors.New("aaa: NewEffects needs a log, a handler, a sender and a logger: one of them is nil")
	}
	return &Effects{
		cfg: cfg, log: log, handler: h, sender: sender, logger: logger, warned: limiter{every: cfg.LogEvery},
		items: map[uint64]*item{}, busyNAS: map[string]int{}, busy: map[journal.SessionKey]bool{},
		results: make(chan attempt, cfg.Concurrency), committed: make(chan error, 1),
	}, nil
}

// Start begins to send. When ctx ends it ends. Errors: ErrStarted, ErrClosed.
func (e *Effects) Start(ctx context.Context) error {
	ctx, err := e.begin(ctx)
	if err != nil {
		return fmt.Errorf("start effects: %w", err)
	}
	e.wait.Go(func() { e.run(ctx) })
	return nil
}

// Close ends what is under way without waiting for NAS and waits for every
// goroutine. Outcomes that the log has not taken are the next leader's to find out.
func (e *Effects) Close() error {
	e.end()
	return nil
}

// Stats is a snapshot of the counters.
func (e *Effects) Stats() EffectStats {
	c := &e.stats
	return EffectStats{
		Queued: c.queued.Load(), Sending: c.sending.Load(), Sent: c.sent.Load(), Acked: c.acked.Load(), NoSession: c.noSession.Load(),
		Retried: c.retried.Load(), Busy: c.busy.Load(), Failed: c.failed.Load(), NoTarget: c.noTarget.Load(),
		Superseded: c.superseded.Load(), Committed: c.commits.Load(), NotTaken: c.notTaken.Load(),
	}
}

// run is the loop; it alone touches the items.
func (e *Effects) run(ctx context.Context) {
	tick := time.NewTicker(e.cfg.Every)
	defer tick.Stop()
	rest := time.NewTimer(0)
	defer rest.Stop()
	next := e.changed()
	var changed <-chan struct{} // nil while the loop rests
	for {
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
			changed = next
		case <-changed:
			next, changed = e.changed(), nil // before the look, so that no change is missed
			e.look()
			rest.Reset(e.cfg.Rest)
		case <-tick.C:
			e.look()
		case a := <-e.results:
			e.settle(a)
			e.drain()
		case err := <-e.committed:
			e.taken(err)
			e.look()
		}
		now := time.Now()
		e.dispatch(ctx, now)
		e.propose(now)
		e.stats.sending.Store(int64(e.sending))
	}
}

func (e *Effects) changed() <-chan struct{} {
	if e.cfg.Changed == nil {
		return nil
	}
	return e.cfg.Changed()
}
