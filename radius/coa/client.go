package coa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
)

// Faults of the client's use.
var (
	ErrClosed = errors.New("coa client is not running")
	ErrBusy   = errors.New("all 256 identifiers towards the NAS are in use")
	ErrTarget = errors.New("target cannot be asked")
)

// Outcome is how a request ended.
type Outcome uint8

// Outcomes.
const (
	Timeout Outcome = iota // the NAS never answered
	ACK
	NAK
)

// String names the outcome as a metric's label spells it.
func (o Outcome) String() string {
	switch o {
	case ACK:
		return "ack"
	case NAK:
		return "nak"
	}
	return "timeout"
}

// Target is the NAS to be asked.
type Target struct {
	Addr   netip.AddrPort // port 3799 by RFC 5176
	Secret []byte
	MA     bool // add a Message-Authenticator (RFC 5176 §3.4); some old NAS refuse it
}

// Result is what came of a request.
type Result struct {
	Outcome    Outcome
	Cause      ErrorCause // of a NAK, or of an ACK that carries one
	Attributes attr.List  // of the answer; the caller's to keep
	Tries      int        // how often it was sent
	RTT        time.Duration
}

// Stats counts what the client did. Counters only grow; InFlight is a gauge.
type Stats struct {
	InFlight                                   int
	Sent, Retransmits, ACKs, NAKs, Timeouts    uint64
	Busy, BadAnswers, StrayAnswers, SendErrors uint64
}

// Client sends requests to any number of NAS over one socket. Safe for concurrent use. New → Start → Close.
type Client struct {
	cfg   Config
	log   *slog.Logger
	slots chan struct{}

	mu      sync.Mutex
	conn    *net.UDPConn
	targets map[netip.AddrPort]*target // only those with requests in flight, or idle ones up to maxIdleTargets
	done    chan struct{}
	closed  bool
	stopCtx func() bool
	reader  sync.WaitGroup

	inFlight                                      atomic.Int64
	sent, retransmits, acks, naks, timeouts, busy atomic.Uint64
	bad, stray, sendErrors                        atomic.Uint64
}

// target is the identifiers of one NAS. They are used in turn, so that one is not used again while the NAS may remember it.
type target struct {
	waiting [256]*call
	next    uint8
	used    int
}

// maxIdleTargets is how many NAS without requests keep their place in the turn of identifiers.
const maxIdleTargets = 4096

// call is one request that waits for its answer.
type call struct {
	secret  []byte
	code    radius.Code
	request [16]byte
	answer  chan radius.Packet
}

// New checks the configuration.
func New(cfg Config, log *slog.Logger) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		return nil, errors.New("coa: New needs a logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, log: log, slots: make(chan struct{}, cfg.MaxInFlight), targets: make(map[netip.AddrPort]*target),
		done: make(chan struct{})}, nil
}

// Start opens the socket. When ctx ends the client closes as by Close.
func (c *Client) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.conn != nil {
		return fmt.Errorf("start coa client: %w", ErrClosed)
	}
	network := "udp4"
	if c.cfg.Local.Addr().Is6() {
		network = "udp"
	}
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, network, c.cfg.Local.String())
	if err != nil {
		return fmt.Errorf("open coa socket on %v: %w", c.cfg.Local, err)
	}
	c.conn = pc.(*net.UDPConn)
	c.reader.Go(c.read)
	c.stopCtx = context.AfterFunc(ctx, func() { _ = c.Close() })
	return nil
}

// Close ends the socket; requests in flight get ErrClosed. It waits for the reader.
func (c *Client) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	conn := c.conn
	if first {
		close(c.done)
	}
	if c.stopCtx != nil {
		c.stopCtx()
	}
	c.mu.Unlock()
	var err error
	if conn != nil {
		if first {
			err = conn.Close()
		}
		c.reader.Wait()
	}
	return err
}

// Addr is where requests leave from; invalid before Start.
func (c *Client) Addr() netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return netip.AddrPort{}
	}
	return c.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Stats is a snapshot of the counters.
func (c *Client) Stats() Stats {
	return Stats{
		InFlight: int(c.inFlight.Load()), Sent: c.sent.Load(), Retransmits: c.retransmits.Load(), ACKs: c.acks.Load(), NAKs: c.naks.Load(),
		Timeouts: c.timeouts.Load(), Busy: c.busy.Load(), BadAnswers: c.bad.Load(), StrayAnswers: c.stray.Load(), SendErrors: c.sendErrors.Load(),
	}
}

// Disconnect asks the NAS to end the sessions that attrs name (RFC 5176 §2.1). See [Client.CoA].
func (c *Client) Disconnect(ctx context.Context, to Target, attrs attr.List) (Result, error) {
	return c.exchange(ctx, radius.CodeDisconnectRequest, to, attrs)
}

// CoA asks the NAS to change the session that attrs name (RFC 5176 §2.2). Event-Timestamp is added when attrs have none; all tries send the
// same octets, so that the NAS knows them for one request. Silence after the last try is Result.Outcome Timeout, not an error. Errors: the
// context's, ErrBusy, ErrTarget, ErrClosed, or a fault of attrs.
func (c *Client) CoA(ctx context.Context, to Target, attrs attr.List) (Result, error) {
	return c.exchange(ctx, radius.CodeCoARequest, to, attrs)
}

func (c *Client) exchange(ctx context.Context, code radius.Code, to Target, attrs attr.List) (Result, error) {
	if !to.Addr.IsValid() || to.Addr.Port() == 0 || len(to.Secret) == 0 {
		return Result{}, fmt.Errorf("%w: %v needs an address, a port and a secret", ErrTarget, to.Addr)
	}
	to.Addr = netip.AddrPortFrom(to.Addr.Addr().Unmap(), to.Addr.Port())
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return Result{}, fmt.Errorf("%v to %v waits for its turn: %w", code, to.Addr, ctx.Err())
	case <-c.done:
		return Result{}, fmt.Errorf("%v to %v: %w", code, to.Addr, ErrClosed)
	}
	defer func() { <-c.slots }()
	cl := &call{secret: to.Secret, code: code, answer: make(chan radius.Packet, 1)}
	id, packet, conn, err := c.enter(cl, to, attrs)
	if err != nil {
		return Result{}, fmt.Errorf("%v to %v: %w", code, to.Addr, err)
	}
	defer c.leave(to.Addr, id)
	return c.try(ctx, cl, to, conn, packet)
}

// try sends the packet until it is answered, the tries are used up, or the caller has enough.
func (c *Client) try(ctx context.Context, cl *call, to Target, conn *net.UDPConn, packet []byte) (Result, error) {
	timer := time.NewTimer(c.cfg.Timeout)
	defer timer.Stop()
	began := time.Now()
	for tries := 1; ; tries++ {
		if tries == 1 {
			c.sent.Add(1)
		} else {
			c.retransmits.Add(1)
			timer.Reset(c.cfg.Timeout)
		}
		if _, err := conn.WriteToUDPAddrPort(packet, to.Addr); err != nil {
			c.sendErrors.Add(1) // the next try may find the way again
		}
		select {
		case p := <-cl.answer:
			return c.result(cl, p, tries, time.Since(began)), nil
		case <-ctx.Done():
			return Result{Tries: tries}, fmt.Errorf("%v to %v: %w", cl.code, to.Addr, ctx.Err())
		case <-c.done:
			return Result{Tries: tries}, fmt.Errorf("%v to %v: %w", cl.code, to.Addr, ErrClosed)
		case <-timer.C:
		}
		if tries == c.cfg.Tries {
			c.timeouts.Add(1)
			return Result{Outcome: Timeout, Tries: tries, RTT: time.Since(began)}, nil
		}
	}
}

func (c *Client) result(cl *call, p radius.Packet, tries int, took time.Duration) Result {
	r := Result{Outcome: NAK, Attributes: p.Attributes(), Tries: tries, RTT: took}
	if p.Code() == cl.code+1 {
		r.Outcome = ACK
		c.acks.Add(1)
	} else {
		c.naks.Add(1)
	}
	cause, _ := p.Attributes().Uint32(attr.ErrorCause)
	r.Cause = ErrorCause(cause)
	return r
}

// enter takes an identifier and builds the packet with it.
func (c *Client) enter(cl *call, to Target, attrs attr.List) (id byte, packet []byte, conn *net.UDPConn, err error) {
	if !attrs.Has(attr.EventTimestamp) {
		b := attr.NewBuilder(make([]byte, 0, len(attrs)+6))
		b.Raw(attrs)
		b.Time(attr.EventTimestamp, c.cfg.Now())
		if attrs, err = b.List(); err != nil {
			return 0, nil, nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || c.closed {
		return 0, nil, nil, ErrClosed
	}
	t := c.targets[to.Addr]
	if t == nil {
		c.evictIdle()
		t = &target{}
		c.targets[to.Addr] = t
	}
	if t.used == len(t.waiting) {
		c.busy.Add(1)
		return 0, nil, nil, ErrBusy
	}
	for t.waiting[t.next] != nil {
		t.next++
	}
	id = t.next
	packet, err = radius.AppendRequest(nil, cl.code, id, [16]byte{}, attrs, to.Secret, to.MA)
	if err != nil {
		return 0, nil, nil, err
	}
	cl.request = [16]byte(packet[4:20])
	t.waiting[id] = cl
	t.next++
	t.used++
	c.inFlight.Add(1)
	return id, packet, c.conn, nil
}

// evictIdle keeps the number of remembered NAS bounded.
func (c *Client) evictIdle() {
	if len(c.targets) < maxIdleTargets {
		return
	}
	for addr, t := range c.targets {
		if t.used == 0 {
			delete(c.targets, addr)
			return
		}
	}
}

func (c *Client) leave(addr netip.AddrPort, id byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.targets[addr]; t != nil && t.waiting[id] != nil {
		t.waiting[id] = nil
		t.used--
		c.inFlight.Add(-1)
	}
}

// read gives answers to those who wait, until the socket closes.
func (c *Client) read() {
	buf := make([]byte, radius.MaxPacket)
	for {
		n, from, err := c.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			c.bad.Add(1)
			continue
		}
		c.receive(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:n])
	}
}

// receive gives a datagram to the call that it answers; only then are its octets copied.
func (c *Client) receive(from netip.AddrPort, datagram []byte) {
	p, err := radius.Parse(datagram)
	if err != nil {
		c.bad.Add(1)
		return
	}
	c.mu.Lock()
	var cl *call
	if t := c.targets[from]; t != nil {
		cl = t.waiting[p.Identifier()]
	}
	c.mu.Unlock()
	switch {
	case cl == nil:
		c.stray.Add(1)
	case p.Code() != cl.code+1 && p.Code() != cl.code+2, p.VerifyResponse(cl.secret, cl.request) != nil:
		c.bad.Add(1)
		c.log.Debug("CoA answer does not verify", slog.String("source", from.String()), slog.String("code", p.Code().String()))
	default:
		select {
		case cl.answer <- p.Clone():
		default:
			c.stray.Add(1) // the answer to an earlier try has already been taken
		}
	}
}
