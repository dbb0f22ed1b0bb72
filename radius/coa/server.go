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

// Request is a CoA- or Disconnect-Request as a NAS gets it, its authenticator verified. Attributes are valid during the handler's call.
type Request struct {
	Code       radius.Code
	Attributes attr.List
	Source     netip.AddrPort
}

// Answer is what the NAS says: ACK, or NAK with the cause. Attributes are added to it.
type Answer struct {
	ACK        bool
	Cause      ErrorCause
	Attributes attr.List
}

// Handler decides about requests; it is called from one goroutine, one request at a time.
type Handler func(Request) Answer

// ServerConfig is what a [Server] is built from.
type ServerConfig struct {
	Addr        netip.AddrPort
	Secret      []byte
	EventWindow time.Duration    // a request whose Event-Timestamp is further away is dropped (RFC 5176 §6.3: 300 s); 0 = not looked at
	Remember    int              // answers kept for retransmissions, at most
	Now         func() time.Time // nil is the machine's clock
}

// ServerStats counts what the server did.
type ServerStats struct{ Requests, ACKs, NAKs, Resent, Dropped uint64 }

// Server is the NAS's side: it verifies requests, calls the handler and answers, once for each request however often it comes.
type Server struct {
	cfg     ServerConfig
	handler Handler
	log     *slog.Logger

	mu      sync.Mutex
	conn    *net.UDPConn
	closed  bool
	stopCtx func() bool
	reader  sync.WaitGroup

	answers map[answerKey][]byte
	order   []answerKey // oldest first, as many as answers

	requests, acks, naks, resent, dropped atomic.Uint64
}

type answerKey struct {
	source        netip.AddrPort
	identifier    byte
	authenticator [16]byte
}

// NewServer checks the configuration; Remember 0 becomes 1024.
func NewServer(cfg ServerConfig, h Handler, log *slog.Logger) (*Server, error) {
	var faults []error
	if !cfg.Addr.IsValid() {
		faults = append(faults, errors.New("coa: Addr is empty: give an address, as 127.0.0.1:3799"))
	}
	if len(cfg.Secret) == 0 {
		faults = append(faults, errors.New("coa: Secret is empty: give the secret that the AAA server uses"))
	}
	if cfg.EventWindow < 0 || cfg.Remember < 0 {
		faults = append(faults, errors.New("coa: EventWindow and Remember must not be negative"))
	}
	if h == nil || log == nil {
		faults = append(faults, errors.New("coa: NewServer needs a handler and a logger"))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Remember == 0 {
		cfg.Remember = 1024
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Server{cfg: cfg, handler: h, log: log, answers: make(map[answerKey][]byte)}, nil
}

// Start opens the socket. When ctx ends the server closes as by Close.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.conn != nil {
		return fmt.Errorf("start coa server: %w", ErrClosed)
	}
	network := "udp4"
	if s.cfg.Addr.Addr().Is6() {
		network = "udp"
	}
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, network, s.cfg.Addr.String())
	if err != nil {
		return fmt.Errorf("listen for CoA on %v: %w", s.cfg.Addr, err)
	}
	s.conn = pc.(*net.UDPConn)
	s.reader.Go(s.read)
	s.stopCtx = context.AfterFunc(ctx, func() { _ = s.Close() })
	return nil
}

// Addr is where the server listens; invalid before Start.
func (s *Server) Addr() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return netip.AddrPort{}
	}
	return s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Stats is a snapshot of the counters.
func (s *Server) Stats() ServerStats {
	return ServerStats{Requests: s.requests.Load(), ACKs: s.acks.Load(), NAKs: s.naks.Load(), Resent: s.resent.Load(), Dropped: s.dropped.Load()}
}

// Close ends the socket and waits for the handler's last call. It must not be called from the handler.
func (s *Server) Close() error {
	s.mu.Lock()
	first, conn := !s.closed, s.conn
	s.closed = true
	if s.stopCtx != nil {
		s.stopCtx()
	}
	s.mu.Unlock()
	if conn == nil {
		return nil
	}
	var err error
	if first {
		err = conn.Close()
	}
	s.reader.Wait()
	return err
}

func (s *Server) read() {
	buf := make([]byte, radius.MaxPacket)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.dropped.Add(1)
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		answer, err := s.serve(from, buf[:n])
		if err != nil {
			s.dropped.Add(1)
			s.log.Debug("CoA request dropped", slog.String("source", from.String()), slog.String("error", err.Error()))
			continue
		}
		if _, err := s.conn.WriteToUDPAddrPort(answer, from); err != nil && !errors.Is(err, net.ErrClosed) {
			s.log.Debug("CoA answer not sent", slog.String("to", from.String()), slog.String("error", err.Error()))
		}
	}
}

// serve gives the answer to a datagram; an error means that it is dropped silently.
func (s *Server) serve(from netip.AddrPort, datagram []byte) ([]byte, error) {
	p, err := radius.Parse(datagram)
	if err != nil {
		return nil, err
	}
	if p.Code() != radius.CodeCoARequest && p.Code() != radius.CodeDisconnectRequest {
		return nil, fmt.Errorf("%w: %v", radius.ErrPacket, p.Code())
	}
	if err := p.VerifyRequest(s.cfg.Secret); err != nil {
		return nil, err
	}
	if err := p.VerifyMessageAuthenticator(s.cfg.Secret, [16]byte{}); err != nil && !errors.Is(err, radius.ErrMAMissing) {
		return nil, err
	}
	if at, ok := p.Attributes().Time(attr.EventTimestamp); ok && s.cfg.EventWindow > 0 {
		if off := s.cfg.Now().Sub(at).Abs(); off > s.cfg.EventWindow {
			return nil, fmt.Errorf("Event-Timestamp is %v off, more than %v: check the clocks", off, s.cfg.EventWindow)
		}
	}
	key := answerKey{source: from, identifier: p.Identifier(), authenticator: p.Authenticator()}
	if answer, ok := s.answers[key]; ok {
		s.resent.Add(1)
		return answer, nil
	}
	s.requests.Add(1)
	answer, err := s.answer(p, s.handler(Request{Code: p.Code(), Attributes: p.Attributes(), Source: from}))
	if err != nil {
		return nil, err
	}
	s.remember(key, answer)
	return answer, nil
}

func (s *Server) answer(p radius.Packet, a Answer) ([]byte, error) {
	code := p.Code() + 2
	if a.ACK {
		code = p.Code() + 1
	}
	var b attr.Builder
	b.Raw(a.Attributes)
	if a.Cause != CauseNone {
		b.Uint32(attr.ErrorCause, uint32(a.Cause))
	}
	attrs, err := b.List()
	if err != nil {
		return nil, err
	}
	out, err := radius.AppendResponse(nil, p, code, attrs, s.cfg.Secret, false)
	if err != nil {
		return nil, err
	}
	if a.ACK {
		s.acks.Add(1)
	} else {
		s.naks.Add(1)
	}
	return out, nil
}

// remember keeps an answer and lets the oldest go beyond the limit.
func (s *Server) remember(key answerKey, answer []byte) {
	s.answers[key] = answer
	s.order = append(s.order, key)
	if len(s.order) > s.cfg.Remember {
		delete(s.answers, s.order[0])
		s.order = s.order[1:]
	}
}
