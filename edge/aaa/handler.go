package aaa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
)

// Handler answers Access- and Accounting-Requests. It is a radius.Handler and a
// radius.Clients, safe for concurrent use. New → Start → Close.
type Handler struct {
	cfg         Config
	log         Log
	logger      *slog.Logger
	registry    *registry
	credentials *credentials
	builders    sync.Pool
	sealed      limiter // warnings about passwords that do not open
	broken      limiter // warnings about replies that cannot be built
	counters    counters

	lifecycle
}

// New checks the configuration and builds a handler that knows no NAS until it is
// started.
func New(cfg Config, log Log, opener Opener, logger *slog.Logger) (*Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil || opener == nil || logger == nil {
		return nil, errors.New("aaa: New needs a log, an opener and a logger: one of them is nil")
	}
	h := &Handler{cfg: cfg, log: log, logger: logger, sealed: limiter{every: cfg.LogEvery}, broken: limiter{every: cfg.LogEvery}}
	h.registry = &registry{cfg: cfg, log: log, opener: opener, logger: logger, counters: &h.counters}
	h.credentials = newCredentials(cfg.PasswordCacheMax, opener, &h.counters)
	h.builders.New = func() any { return attr.NewBuilder(make([]byte, 0, 256)) }
	return h, nil
}

// Start reads the NAS registry and begins to look after it. When ctx ends the
// looking ends too. Errors: ErrStarted, ErrClosed.
func (h *Handler) Start(ctx context.Context) error {
	ctx, err := h.begin(ctx)
	if err != nil {
		return fmt.Errorf("start RADIUS handler: %w", err)
	}
	h.registry.refresh()
	h.wait.Go(func() { h.watch(ctx) })
	return nil
}

// Close waits for the handler's goroutine. Requests at the log still get their
// answers.
func (h *Handler) Close() error {
	h.end()
	return nil
}

// Refresh takes over changes of the NAS registry; it costs next to nothing when
// the feed has not moved. Call it after feed commands have been applied.
func (h *Handler) Refresh() { h.registry.refresh() }

// Client implements radius.Clients from the newest snapshot.
func (h *Handler) Client(source netip.Addr) (*radius.Client, bool) { return h.registry.client(source) }

// Ready tells whether this node hears a leader: what Status-Server should be
// answered by.
func (h *Handler) Ready() bool { return !h.stale(time.Now()) }

// stale tells whether the replica may be out of date at the instant.
func (h *Handler) stale(now time.Time) bool { return now.Sub(h.log.LeaderHeard()) > h.cfg.StaleAfter }

// ServeRADIUS implements radius.Handler. It does not block.
func (h *Handler) ServeRADIUS(req *radius.Request, w *radius.Responder) {
	switch req.Code {
	case radius.CodeAccessRequest:
		h.access(req, w)
	case radius.CodeAccountingRequest:
		h.accounting(req, w)
	default:
		w.Drop(radius.DropCode)
	}
}

// watch refreshes the registry and says when the node loses and finds a leader.
func (h *Handler) watch(ctx context.Context) {
	tick := time.NewTicker(h.cfg.RefreshEvery)
	defer tick.Stop()
	stale := false
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.registry.refresh()
			if was := stale; was != h.stale(now) {
				stale = !was
				h.logStale(stale)
			}
		}
	}
}

func (h *Handler) logStale(stale bool) {
	if stale {
		h.logger.Warn("no leader heard: only what needs no exactness is accepted",
			slog.Duration("after", h.cfg.StaleAfter), slog.Bool("accepting", h.cfg.AcceptWhenStale))
		return
	}
	h.logger.Info("leader heard again: everything is answered")
}

// lifecycle is Start once, Close any time, and goroutines that Close waits for.
type lifecycle struct {
	mu              sync.Mutex
	cancel          context.CancelFunc
	started, closed bool
	wait            sync.WaitGroup
}

// begin returns the context of the goroutines.
func (l *lifecycle) begin(ctx context.Context) (context.Context, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, ErrClosed
	case l.started:
		return nil, ErrStarted
	}
	l.started = true
	ctx, l.cancel = context.WithCancel(ctx)
	return ctx, nil
}

// end cancels and waits.
func (l *lifecycle) end() {
	l.mu.Lock()
	l.closed = true
	if l.cancel != nil {
		l.cancel()
	}
	l.mu.Unlock()
	l.wait.Wait()
}

// limiter lets one log line through in a time.
type limiter struct {
	every time.Duration
	next  atomic.Int64 // Unix nanoseconds
}

func (l *limiter) allow() bool {
	now := time.Now().UnixNano()
	next := l.next.Load()
	return now >= next && l.next.CompareAndSwap(next, now+int64(l.every))
}
