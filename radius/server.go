package radius

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Server is a RADIUS server over UDP. New → Start → Close; it is not started twice.
type Server struct {
	cfg     Config
	clients Clients
	handler Handler
	log     *slog.Logger

	auth, acct *port // nil when that side is off
	queue      *queue
	dup        *dupTable
	states     clientStates
	logged     [NumDropReasons]atomic.Int64 // unix nanoseconds of the next line that may be logged

	exchanges sync.Pool
	datagrams sync.Pool
	inFlight  atomic.Int64
	answered  chan struct{} // tells Close that a request has ended

	readers, workers, senders sync.WaitGroup

	mu       sync.Mutex
	started  bool
	closing  atomic.Bool
	stopBy   atomic.Int64  // Unix nanoseconds, 0 = no limit; see StopBy
	stop     chan struct{} // closed when Close begins
	finished chan struct{} // closed when Close is through
	stopCtx  func() bool
}

// New checks the configuration and builds a server that listens on nothing yet.
func New(cfg Config, clients Clients, h Handler, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if clients == nil || h == nil || log == nil {
		return nil, errors.New("radius: New needs clients, a handler and a logger: one of them is nil")
	}
	s := &Server{
		cfg: cfg, clients: clients, handler: h, log: log,
		queue: newQueue(cfg.Queue), dup: newDupTable(cfg.ReplyTTL, cfg.ReplyCacheMax, cfg.ReplyCacheOctets),
		answered: make(chan struct{}, 1), stop: make(chan struct{}), finished: make(chan struct{}),
	}
	s.states.limit = int64(cfg.MaxClients)
	s.exchanges.New = func() any { return &exchange{server: s, buf: make([]byte, 0, 512)} }
	s.datagrams.New = func() any { return &datagram{buf: make([]byte, 0, 256)} }
	return s, nil
}

// Start opens the sockets and begins to serve. When ctx ends the server closes as by Close. After an error nothing is left open.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return fmt.Errorf("start RADIUS server: %w", ErrClosed)
	}
	if s.started {
		return fmt.Errorf("start RADIUS server: %w", ErrStarted)
	}
	limit := s.cfg.MaxInFlight + s.cfg.Queue
	var err error
	if s.cfg.AuthAddr.IsValid() {
		if s.auth, err = listen(ctx, s.cfg.AuthAddr, false, s.cfg.ReadBuffer, limit); err != nil {
			return err
		}
	}
	if s.cfg.AcctAddr.IsValid() {
		if s.acct, err = listen(ctx, s.cfg.AcctAddr, true, s.cfg.ReadBuffer, limit); err != nil {
			if s.auth != nil {
				s.auth.conn.Close()
				s.auth = nil
			}
			return err
		}
	}
	s.started = true
	for _, p := range s.ports() {
		s.readers.Go(func() { s.read(p) })
		s.senders.Go(func() { p.sender(s.releaseDatagram) })
	}
	for range s.cfg.Workers {
		s.workers.Go(s.work)
	}
	s.workers.Go(s.sweep)
	s.stopCtx = context.AfterFunc(ctx, func() { _ = s.Close() })
	return nil
}

// sweep lets old replies go also when no requests come.
func (s *Server) sweep() {
	tick := time.NewTicker(max(s.cfg.ReplyTTL/2, 50*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.dup.sweep(now)
		case <-s.stop:
			return
		}
	}
}

func (s *Server) ports() []*port {
	var list []*port
	for _, p := range []*port{s.auth, s.acct} {
		if p != nil {
			list = append(list, p)
		}
	}
	return list
}

// Close stops reading, finishes what is queued, waits up to DrainTimeout for answers that handlers still owe, sends them and waits for
// every goroutine of the server. Replies after that get ErrClosed. It may be called more than once and always waits.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closing.Swap(true) {
		s.mu.Unlock()
		<-s.finished
		return nil
	}
	started := s.started
	if s.stopCtx != nil {
		s.stopCtx()
	}
	s.mu.Unlock()
	close(s.stop)
	defer close(s.finished)
	if !started {
		return nil
	}
	for _, p := range s.ports() {
		_ = p.conn.SetReadDeadline(time.Unix(1, 0)) // wakes the reader; replies still go out
	}
	s.readers.Wait()
	s.queue.close()
	s.workers.Wait()
	s.drain()
	var faults []error
	for _, p := range s.ports() {
		p.stop()
	}
	s.senders.Wait()
	for _, p := range s.ports() {
		if err := p.conn.Close(); err != nil {
			faults = append(faults, fmt.Errorf("close RADIUS socket %v: %w", p.local, err))
		}
	}
	return errors.Join(faults...)
}

// StopBy says until when Close may wait for handlers, if that is before DrainTimeout.
func (s *Server) StopBy(t time.Time) { s.stopBy.Store(t.UnixNano()) }

// drain waits until handlers have answered everything, or DrainTimeout or StopBy.
func (s *Server) drain() {
	limit := s.cfg.DrainTimeout
	if by := s.stopBy.Load(); by != 0 {
		limit = max(0, min(limit, time.Until(time.Unix(0, by))))
	}
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for s.inFlight.Load() > 0 {
		select {
		case <-s.answered:
		case <-timeout.C:
			s.log.Warn("closing with requests that were never answered", slog.Int64("requests", s.inFlight.Load()))
			return
		}
	}
}

// AuthAddr is where authentication listens; invalid when it is off or the server has not been started.
func (s *Server) AuthAddr() netip.AddrPort { return s.auth.addr() }

// AcctAddr is where accounting listens; invalid when it is off or the server has not been started.
func (s *Server) AcctAddr() netip.AddrPort { return s.acct.addr() }

func (p *port) addr() netip.AddrPort {
	if p == nil {
		return netip.AddrPort{}
	}
	return p.local
}

// Stats is a snapshot of the counters; single counters are exact, between them packets may have come.
func (s *Server) Stats() Stats {
	replies, octets := s.dup.size()
	st := Stats{
		InFlight:            int(s.inFlight.Load()),
		Queued:              s.queue.len(),
		ReplyCache:          replies,
		ReplyCacheOctets:    octets,
		ReplyCacheEvictions: s.dup.evictions.Load(),
		Clients:             int(min(s.states.count.Load(), s.states.limit)),
		ClientsFull:         s.states.full.Load(),
	}
	for _, side := range []struct {
		port *port
		to   *PortStats
	}{{s.auth, &st.Auth}, {s.acct, &st.Acct}} {
		if side.port == nil {
			continue
		}
		*side.to = side.port.snapshot()
		side.to.Addr = side.port.local
		side.to.KernelDrops, side.to.ReceiveBufferBytes = side.port.kernel()
	}
	return st
}

// drop counts a packet that will not be answered and, now and then, says so.
func (s *Server) drop(p *port, reason DropReason, source netip.AddrPort, err error) {
	total := p.drops[reason].Add(1)
	if reason == DropInProgress || reason == DropClosing {
		return // what a healthy network and an orderly end bring with them
	}
	now := time.Now().UnixNano()
	next := s.logged[reason].Load()
	if now < next || !s.logged[reason].CompareAndSwap(next, now+int64(s.cfg.LogEvery)) {
		return
	}
	attrs := []any{slog.String("reason", reason.String()), slog.String("source", source.String()), slog.String("port", p.local.String()),
		slog.Uint64("total", total)}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	s.log.Warn("RADIUS packet dropped", attrs...)
}

// clientStates remembers, per client ID, what cannot be seen in one packet. At most limit clients; those beyond it are served without memory.
type clientStates struct {
	limit int64
	count atomic.Int64
	full  atomic.Uint64
	byID  sync.Map // string → *clientState
}

// clientState is what a client's packets have shown.
type clientState struct {
	sentMA  atomic.Bool // it has sent a valid Message-Authenticator
	usesOld atomic.Bool // its last packet that proved a secret proved OldSecret
}

func (c *clientStates) of(id string) *clientState {
	if st, ok := c.byID.Load(id); ok {
		return st.(*clientState)
	}
	if c.count.Load() >= c.limit {
		c.full.Add(1)
		return &clientState{}
	}
	st, loaded := c.byID.LoadOrStore(id, &clientState{})
	if !loaded {
		c.count.Add(1)
	}
	return st.(*clientState)
}
