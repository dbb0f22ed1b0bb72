package forward

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// reopenWait is how long the failure to open a stream is answered to everyone
// who asks, instead of trying again.
const reopenWait = 50 * time.Millisecond

// PoolStats only rise, but for Open.
type PoolStats struct {
	Open                              int // streams now
	Opened, OpenFailed, Lost, Evicted uint64
	Batches, Commands, Unknown        uint64
	Refused                           uint64 // streams that the other node refused
}

// Pool sends batches to leaders, over one stream for each address. Safe for
// concurrent use.
type Pool struct {
	cfg Config

	mu     sync.Mutex
	lanes  map[string]*lane
	closed bool
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	opened, openFailed, lost, evicted atomic.Uint64
	batches, commands, unknown        atomic.Uint64
	refused                           atomic.Uint64
	said                              once
}

// NewPool checks the configuration. It does not connect.
func NewPool(cfg Config) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Pool{cfg: cfg, lanes: map[string]*lane{}, ctx: ctx, cancel: cancel}, nil
}

// Stats reads the counters.
func (p *Pool) Stats() PoolStats {
	st := PoolStats{
		Opened: p.opened.Load(), OpenFailed: p.openFailed.Load(), Lost: p.lost.Load(), Evicted: p.evicted.Load(),
		Batches: p.batches.Load(), Commands: p.commands.Load(), Unknown: p.unknown.Load(),
		Refused: p.refused.Load(),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lanes {
		if l.current() != nil {
			st.Open++
		}
	}
	return st
}

// Close fails everything that waits and waits for the goroutines.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel(ErrClosed)
	p.wg.Wait()
	return nil
}

// Propose sends a batch of commands to the node at addr (host:port) and waits
// for its results, one per command in their order. The error is ErrNotSent or
// ErrOutcomeUnknown, for the batch as a whole. Batches of concurrent callers
// travel in one stream; when MaxInFlight of them wait, Propose waits for room
// as long as ctx allows.
func (p *Pool) Propose(ctx context.Context, addr string, cmds [][]byte) ([]Result, error) {
	if err := p.cfg.check(cmds); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	l, err := p.lane(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %d batches wait for %s: %w", ErrNotSent, p.cfg.MaxInFlight, addr, ctx.Err())
	case <-p.ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrNotSent, ErrClosed)
	}
	o, err := l.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	p.batches.Add(1)
	p.commands.Add(uint64(len(cmds)))
	rs, err := o.propose(ctx, cmds)
	if errors.Is(err, ErrOutcomeUnknown) {
		p.unknown.Add(1)
	}
	return rs, err
}

// Status asks the node at addr how it is. Give ctx a deadline.
func (p *Pool) Status(ctx context.Context, addr string) (Status, error) {
	l, err := p.lane(addr)
	if err != nil {
		return Status{}, err
	}
	o, err := l.open(ctx)
	if err != nil {
		return Status{}, err
	}
	return o.status(ctx)
}

// Heads asks the node at addr where its ledger and state stand. Give ctx a
// deadline.
func (p *Pool) Heads(ctx context.Context, addr string, q HeadsQuery) (Heads, error) {
	l, err := p.lane(addr)
	if err != nil {
		return Heads{}, err
	}
	o, err := l.open(ctx)
	if err != nil {
		return Heads{}, err
	}
	return o.heads(ctx, q)
}

// lane finds the address, making room for a new one.
func (p *Pool) lane(addr string) (*lane, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	l := p.lanes[addr]
	if l == nil {
		if len(p.lanes) >= p.cfg.MaxLeaders {
			p.evict()
		}
		l = &lane{pool: p, addr: addr, slots: make(chan struct{}, p.cfg.MaxInFlight), opening: make(chan struct{}, 1)}
		p.lanes[addr] = l
	}
	l.used = time.Now()
	return l, nil
}

func (p *Pool) evict() {
	var oldest *lane
	for _, l := range p.lanes {
		if oldest == nil || l.used.Before(oldest.used) {
			oldest = l
		}
	}
	delete(p.lanes, oldest.addr)
	p.evicted.Add(1)
	oldest.evict()
}

// lane is one address. At most one stream is open.
type lane struct {
	pool    *Pool
	addr    string
	slots   chan struct{}
	opening chan struct{} // held by who opens
	used    time.Time     // guarded by pool.mu

	mu       sync.Mutex
	cur      *outbound
	gone     bool
	failed   error // of the last attempt to open
	failedAt time.Time
}

func (l *lane) current() *outbound {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur != nil && l.cur.ctx.Err() == nil {
		return l.cur
	}
	return nil
}

func (l *lane) evict() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	if l.cur != nil {
		l.cur.cancel(errors.New("forward: connection given up for another address"))
	}
}

// open returns the stream, opening it when there is none.
func (l *lane) open(ctx context.Context) (*outbound, error) {
	if o := l.current(); o != nil {
		return o, nil
	}
	select {
	case l.opening <- struct{}{}:
		defer func() { <-l.opening }()
	case <-ctx.Done():
		return nil, fmt.Errorf("forward: connect to %s: %w", l.addr, ctx.Err())
	}
	if o := l.current(); o != nil {
		return o, nil
	}
	l.mu.Lock()
	err, at := l.failed, l.failedAt
	l.mu.Unlock()
	if err != nil && time.Since(at) < reopenWait {
		return nil, err
	}
	o, err := dial(ctx, l.pool, l.addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.pool.openFailed.Add(1)
		if ctx.Err() == nil { // else it says more of the caller than of the address
			l.failed, l.failedAt = err, time.Now()
		}
		return nil, err
	}
	l.failed = nil
	if l.gone {
		o.cancel(ErrClosed)
		return nil, fmt.Errorf("forward: connection to %s was given up for another address", l.addr)
	}
	l.pool.opened.Add(1)
	l.cur = o
	return o, nil
}
