package radtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"

	"meridian/radius"
	"meridian/radius/attr"
)

// Faults of an exchange.
var (
	ErrTimeout      = errors.New("no answer")
	ErrNoIdentifier = errors.New("all identifiers of all sockets are in use")
	ErrClosed       = errors.New("not running")
)

// Exchange is one request to be sent.
type Exchange struct {
	Code   radius.Code
	To     netip.AddrPort
	Secret []byte
	MA     bool // add a Message-Authenticator

	// Fill appends the attributes; the Request Authenticator is what User-Password and CHAP are made with. It is called once.
	Fill func(b *attr.Builder, authenticator [16]byte)

	Duplicates int // how many further copies of the same octets follow the first at once
}

// Reply is what came of an exchange. Attributes are valid during the callback of Go; Do gives a copy.
type Reply struct {
	Code       radius.Code
	Attributes attr.List
	Tries      int
	RTT        time.Duration // since the first try
	Err        error         // ErrTimeout or ErrClosed when there is no reply
}

// ExchangerStats counts what an Exchanger did. Counters only grow; InFlight is a gauge.
type ExchangerStats struct {
	InFlight                                               int
	Sent, Retransmits, Duplicates, Replies, Timeouts       uint64
	BadReplies, StrayReplies, SendErrors, OutOfIdentifiers uint64
}

// Exchanger keeps many requests in flight over several sockets and verifies every reply. Safe for concurrent use. New → Start → Close.
type Exchanger struct {
	cfg     ExchangerConfig
	sockets []*socket
	free    chan slotID // first in, first out: an identifier rests as long as it can
	done    chan struct{}
	once    sync.Once
	wait    sync.WaitGroup
	started atomic.Bool

	inFlight                                           atomic.Int64
	sent, retransmits, duplicates, replies, timeouts   atomic.Uint64
	badReplies, strayReplies, sendErrors, noIdentifier atomic.Uint64
}

type slotID struct {
	socket int
	id     uint8
}

type socket struct {
	x     *Exchanger
	index int
	conn  *net.UDPConn
	mu    sync.Mutex
	slots [256]slot
}

// slot is one identifier of one socket.
type slot struct {
	active   bool
	code     radius.Code
	to       netip.AddrPort
	secret   []byte
	request  [16]byte
	packet   []byte
	builder  attr.Builder
	done     func(Reply)
	began    time.Time
	deadline time.Time
	tries    int
}

// NewExchanger checks the configuration.
func NewExchanger(cfg ExchangerConfig) (*Exchanger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Exchanger{cfg: cfg, free: make(chan slotID, 256*cfg.Sockets), done: make(chan struct{})}, nil
}

// Start opens the sockets. It is called once.
func (x *Exchanger) Start(ctx context.Context) error {
	if x.started.Swap(true) {
		return fmt.Errorf("start exchanger a second time: %w", ErrClosed)
	}
	network := "udp4"
	if x.cfg.Local.Is6() {
		network = "udp"
	}
	for i := range x.cfg.Sockets {
		var lc net.ListenConfig
		pc, err := lc.ListenPacket(ctx, network, netip.AddrPortFrom(x.cfg.Local, 0).String())
		if err != nil {
			for _, s := range x.sockets {
				s.conn.Close()
			}
			return fmt.Errorf("open NAS socket on %v: %w", x.cfg.Local, err)
		}
		s := &socket{x: x, index: i, conn: pc.(*net.UDPConn)}
		_ = s.conn.SetReadBuffer(4 << 20) // as much as the kernel gives: replies lost here only cost a retransmission
		x.sockets = append(x.sockets, s)
	}
	for id := range 256 {
		for i := range x.sockets {
			x.free <- slotID{socket: i, id: uint8(id)}
		}
	}
	for _, s := range x.sockets {
		x.wait.Go(s.read)
	}
	x.wait.Go(x.watch)
	return nil
}

// Close ends the sockets; requests in flight get ErrClosed. It waits for the goroutines.
func (x *Exchanger) Close() error {
	var faults []error
	x.once.Do(func() {
		close(x.done)
		for _, s := range x.sockets {
			if err := s.conn.Close(); err != nil {
				faults = append(faults, err)
			}
		}
	})
	x.wait.Wait()
	for _, s := range x.sockets {
		s.abort()
	}
	return errors.Join(faults...)
}

// Stats is a snapshot of the counters.
func (x *Exchanger) Stats() ExchangerStats {
	return ExchangerStats{
		InFlight: int(x.inFlight.Load()), Sent: x.sent.Load(), Retransmits: x.retransmits.Load(), Duplicates: x.duplicates.Load(),
		Replies: x.replies.Load(), Timeouts: x.timeouts.Load(), BadReplies: x.badReplies.Load(), StrayReplies: x.strayReplies.Load(),
		SendErrors: x.sendErrors.Load(), OutOfIdentifiers: x.noIdentifier.Load(),
	}
}

// Go sends a request and returns at once; done is called exactly once, from a goroutine of the Exchanger, and must not block. It is the open loop:
// ErrNoIdentifier, counted, when every identifier is in use. After an error done is not called.
func (x *Exchanger) Go(e Exchange, done func(Reply)) error {
	select {
	case id := <-x.free:
		return x.begin(id, e, done)
	default:
		x.noIdentifier.Add(1)
		return ErrNoIdentifier
	}
}

// Do sends a request and waits for its reply; it also waits for a free identifier, which bounds what is in flight. The error is the context's,
// ErrTimeout, ErrClosed or a fault of the attributes.
func (x *Exchanger) Do(ctx context.Context, e Exchange) (Reply, error) {
	var id slotID
	select {
	case id = <-x.free:
	case <-ctx.Done():
		return Reply{}, fmt.Errorf("%v to %v waits for an identifier: %w", e.Code, e.To, ctx.Err())
	case <-x.done:
		return Reply{}, ErrClosed
	}
	answer := make(chan Reply, 1)
	err := x.begin(id, e, func(r Reply) {
		r.Attributes = append(attr.List(nil), r.Attributes...)
		answer <- r
	})
	if err != nil {
		return Reply{}, err
	}
	select {
	case r := <-answer:
		if r.Err != nil {
			return r, fmt.Errorf("%v to %v: %w", e.Code, e.To, r.Err)
		}
		return r, nil
	case <-ctx.Done(): // the slot goes on to its own end
		return Reply{}, fmt.Errorf("%v to %v: %w", e.Code, e.To, ctx.Err())
	}
}

// begin builds the packet in the slot's memory and sends it.
func (x *Exchanger) begin(id slotID, e Exchange, done func(Reply)) error {
	s := x.sockets[id.socket]
	sl := &s.slots[id.id]
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-x.done:
		return ErrClosed
	default:
	}
	var authenticator [16]byte
	_, _ = rand.Read(authenticator[:]) // crypto/rand never fails
	sl.builder.Reset()
	if e.Fill != nil {
		e.Fill(&sl.builder, authenticator)
	}
	attrs, err := sl.builder.List()
	if err == nil {
		sl.packet, err = radius.AppendRequest(sl.packet[:0], e.Code, id.id, authenticator, attrs, e.Secret, e.MA)
	}
	if err != nil {
		x.free <- id
		return fmt.Errorf("build %v: %w", e.Code, err)
	}
	now := time.Now()
	sl.active, sl.code, sl.secret, sl.done = true, e.Code, e.Secret, done
	sl.to = netip.AddrPortFrom(e.To.Addr().Unmap(), e.To.Port())
	sl.request = [16]byte(sl.packet[4:20])
	sl.began, sl.deadline, sl.tries = now, now.Add(x.cfg.Timeout), 1
	x.inFlight.Add(1)
	x.sent.Add(1)
	s.write(sl)
	for range e.Duplicates {
		x.duplicates.Add(1)
		s.write(sl)
	}
	return nil
}

// write sends the slot's packet; an error is only counted, the next try may find the way again.
func (s *socket) write(sl *slot) {
	if _, err := s.conn.WriteToUDPAddrPort(sl.packet, sl.to); err != nil {
		s.x.sendErrors.Add(1)
	}
}

// finish frees the slot and gives its callback back; the caller holds the lock and calls it after letting it go.
func (s *socket) finish(id uint8) func(Reply) {
	sl := &s.slots[id]
	done := sl.done
	sl.active, sl.done = false, nil
	s.x.inFlight.Add(-1)
	s.x.free <- slotID{socket: s.index, id: id}
	return done
}

// read takes replies in batches until the socket closes.
func (s *socket) read() {
	const batch = 32
	pc := ipv4.NewPacketConn(s.conn) // recvmmsg needs no family; only control messages would
	messages := make([]ipv4.Message, batch)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, radius.MaxPacket)}
	}
	for {
		n, err := pc.ReadBatch(messages, 0)
		if err != nil {
			select {
			case <-s.x.done:
				return
			default:
				continue
			}
		}
		for i := range messages[:n] {
			m := &messages[i]
			if udp, ok := m.Addr.(*net.UDPAddr); ok {
				s.receive(udp.AddrPort(), m.Buffers[0][:m.N])
			}
		}
	}
}

func (s *socket) receive(from netip.AddrPort, datagram []byte) {
	p, err := radius.Parse(datagram)
	if err != nil {
		s.x.badReplies.Add(1)
		return
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	s.mu.Lock()
	sl := &s.slots[p.Identifier()]
	if !sl.active || sl.to != from {
		s.mu.Unlock()
		s.x.strayReplies.Add(1)
		return
	}
	if p.VerifyResponse(sl.secret, sl.request) != nil || (s.x.cfg.NeedMA && sl.code == radius.CodeAccessRequest && !startsWithMA(p)) {
		s.mu.Unlock()
		s.x.badReplies.Add(1)
		return
	}
	r := Reply{Code: p.Code(), Attributes: p.Attributes(), Tries: sl.tries, RTT: time.Since(sl.began)}
	done := s.finish(p.Identifier())
	s.mu.Unlock()
	s.x.replies.Add(1)
	done(r)
}

func startsWithMA(p radius.Packet) bool {
	l := p.Attributes()
	return len(l) > 0 && attr.Type(l[0]) == attr.MessageAuthenticator
}

// watch repeats and ends requests whose time is up.
func (x *Exchanger) watch() {
	tick := time.NewTicker(max(time.Millisecond, x.cfg.Timeout/20))
	defer tick.Stop()
	for {
		select {
		case <-x.done:
			return
		case now := <-tick.C:
			for _, s := range x.sockets {
				s.expire(now)
			}
		}
	}
}

func (s *socket) expire(now time.Time) {
	for id := range s.slots {
		s.mu.Lock()
		sl := &s.slots[id]
		if !sl.active || now.Before(sl.deadline) {
			s.mu.Unlock()
			continue
		}
		if sl.tries < s.x.cfg.Tries {
			sl.tries++
			sl.deadline = now.Add(s.x.cfg.Timeout)
			s.x.retransmits.Add(1)
			s.write(sl)
			s.mu.Unlock()
			continue
		}
		r := Reply{Tries: sl.tries, RTT: now.Sub(sl.began), Err: ErrTimeout}
		done := s.finish(uint8(id))
		s.mu.Unlock()
		s.x.timeouts.Add(1)
		done(r)
	}
}

// abort ends what is in flight when the Exchanger closes.
func (s *socket) abort() {
	for id := range s.slots {
		s.mu.Lock()
		var done func(Reply)
		if s.slots[id].active {
			done = s.finish(uint8(id))
		}
		s.mu.Unlock()
		if done != nil {
			done(Reply{Err: ErrClosed})
		}
	}
}
