package radius

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"

	"meridian/radius/attr"
)

// read takes datagrams from the socket in batches, throws out what cannot be served and queues the rest, until the server closes.
func (s *Server) read(p *port) {
	messages := make([]ipv4.Message, readBatch)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, MaxPacket)}
		if p.wildcard {
			messages[i].OOB = make([]byte, 128)
		}
	}
	in, shed := make([]*exchange, 0, readBatch), make([]*exchange, 0, readBatch)
	for {
		n, err := p.batch.ReadBatch(messages, 0)
		if s.closing.Load() {
			return
		}
		if err != nil {
			p.readErrors.Add(1)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // ReadBatch waits for the socket to be readable, so an error that lasts does not spin without a packet to read
		}
		now := time.Now()
		in, shed = in[:0], shed[:0]
		for i := range messages[:n] {
			if ex := s.receive(p, &messages[i], now); ex != nil {
				in = append(in, ex)
			}
		}
		for _, ex := range s.queue.push(in, shed) {
			reason := ex.class.shedReason()
			if s.closing.Load() {
				reason = DropClosing
			}
			s.drop(ex.port, reason, ex.Source, nil) // what is pushed out may be of the other side
			s.releaseExchange(ex)
		}
	}
}

// receive makes an exchange of a datagram from a known client with a form and a code that this port serves; nil for any other.
func (s *Server) receive(p *port, m *ipv4.Message, now time.Time) *exchange {
	p.received.Add(1)
	udp, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		s.drop(p, DropMalformed, netip.AddrPort{}, nil)
		return nil
	}
	source := udp.AddrPort()
	source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	client, ok := s.clients.Client(source.Addr())
	if !ok || client == nil {
		s.drop(p, DropUnknownClient, source, nil)
		return nil
	}
	if len(client.Secret) == 0 {
		s.drop(p, DropClientInvalid, source, nil)
		return nil
	}
	packet, err := Parse(m.Buffers[0][:m.N])
	if err != nil {
		s.drop(p, DropMalformed, source, err)
		return nil
	}
	if packet.count > s.cfg.MaxAttributes {
		s.drop(p, DropAttributes, source, nil)
		return nil
	}
	kind, ok := classify(p.acct, packet)
	if !ok {
		s.drop(p, DropCode, source, nil)
		return nil
	}
	ex := s.exchanges.Get().(*exchange)
	ex.buf = append(ex.buf[:0], packet.raw...)
	packet.raw = ex.buf
	ex.port, ex.class = p, kind
	ex.Request = Request{
		Code: packet.Code(), Identifier: packet.Identifier(), Authenticator: packet.Authenticator(), Attributes: packet.Attributes(),
		Client: client, Source: source, Local: p.asked(m), Received: now, packet: packet,
	}
	return ex
}

// classify gives a packet's class; ok is false for codes that the port does not serve.
func classify(acct bool, p Packet) (c class, ok bool) {
	switch p.Code() {
	case CodeStatusServer:
		return classAuth, true
	case CodeAccessRequest:
		return classAuth, !acct
	case CodeAccountingRequest:
		if status, _ := p.Attributes().Uint32(attr.AcctStatusType); attr.AcctStatus(status) == attr.AcctInterim {
			return classInterim, acct
		}
		return classAcct, acct
	}
	return 0, false
}

// workBatch is how many packets a worker takes from the queue at once.
const workBatch = 8

// work verifies packets and hands them to the handler until the queue is closed and empty.
func (s *Server) work() {
	var batch [workBatch]*exchange
	for {
		n := s.queue.pop(batch[:])
		if n == 0 {
			return
		}
		for i := range n {
			s.process(batch[i], time.Now())
			batch[i] = nil
		}
	}
}

// process takes one packet up to the handler, or answers or drops it.
func (s *Server) process(ex *exchange, now time.Time) {
	if now.Sub(ex.Received) > s.cfg.QueueMaxAge {
		s.discard(ex, DropStale, nil)
		return
	}
	ex.state = s.states.of(ex.Client.ID)
	if reason, err := ex.verify(); err != nil {
		s.discard(ex, reason, err)
		return
	}
	if ex.Code == CodeStatusServer {
		s.status(ex)
		return
	}
	limit := int64(s.cfg.MaxInFlight)
	if ex.class == classInterim {
		limit -= limit / 10 // the last tenth is for what nothing will repeat
	}
	if s.inFlight.Add(1) > limit {
		s.ended()
		s.discard(ex, ex.class.shedReason(), nil)
		return
	}
	d := s.datagrams.Get().(*datagram)
	seen, serial, reply := s.dup.begin(ex.key(), ex.Authenticator, now, d.buf[:0])
	d.buf = reply
	switch seen {
	case isInProgress:
		s.releaseDatagram(d)
		s.ended()
		s.discard(ex, DropInProgress, nil)
	case isAnswered:
		s.ended()
		s.send(ex, d, &ex.port.resent)
		s.releaseExchange(ex)
	case isNew:
		s.releaseDatagram(d)
		ex.serial = serial
		ex.port.requests.Add(1)
		w := new(Responder)
		w.ex.Store(ex)
		s.handler.ServeRADIUS(&ex.Request, w)
	}
}

// key names the request for the duplicate table.
func (ex *exchange) key() dupKey {
	return dupKey{source: ex.Source, local: ex.Local, acct: ex.port.acct, identifier: ex.Identifier}
}

// What a log line says of a packet that is well made but not welcome.
var (
	errEAP        = errors.New("EAP-Message asks for a Message-Authenticator (RFC 3579 §3.2)")
	errStatus     = errors.New("Status-Server asks for a Message-Authenticator (RFC 5997 §3)")
	errPolicyMA   = errors.New("the client's policy asks for a Message-Authenticator")
	errProxyState = errors.New("the client's policy asks for a Message-Authenticator with Proxy-State")
)

// verify checks that the packet was made with the client's secret, as far as it shows, and the client's policy.
func (ex *exchange) verify() (DropReason, error) {
	ex.secret = ex.Client.Secret
	if ex.state.usesOld.Load() && len(ex.Client.OldSecret) > 0 {
		ex.secret = ex.Client.OldSecret
	}
	if ex.Code.keyed() {
		err := ex.trySecrets(ex.packet.VerifyRequest)
		if err != nil {
			return DropAuthenticator, err
		}
	}
	err := ex.trySecrets(ex.packet.verifyRequestMA)
	switch {
	case err == nil:
		ex.state.sentMA.Store(ex.state.sentMA.Load() || ex.Code == CodeAccessRequest)
		return 0, nil
	case errors.Is(err, ErrMAMultiple):
		return DropMAMultiple, err
	case !errors.Is(err, ErrMAMissing):
		return DropMA, err
	case ex.Code.keyed():
		return 0, nil
	case ex.Code == CodeStatusServer:
		return DropMAMissing, errStatus
	case ex.Attributes.Has(attr.EAPMessage):
		return DropMAMissing, errEAP
	case ex.Client.MA == MARequire || (ex.Client.MA == MAAuto && ex.state.sentMA.Load()):
		return DropMAMissing, errPolicyMA
	case ex.Client.LimitProxyState && ex.Attributes.Has(attr.ProxyState):
		return DropProxyState, errProxyState
	}
	return 0, nil
}

// trySecrets runs a check with the secret in use and then, unless that one is proven, with the client's other one.
func (ex *exchange) trySecrets(check func(secret []byte) error) error {
	err := check(ex.secret)
	if err == nil {
		ex.prove(ex.secret)
		return nil
	}
	if ex.proven || len(ex.Client.OldSecret) == 0 || errors.Is(err, ErrMAMissing) || errors.Is(err, ErrMAMultiple) {
		return err
	}
	other := ex.Client.OldSecret
	if same(ex.secret, other) {
		other = ex.Client.Secret
	}
	if check(other) == nil {
		ex.prove(other)
		return nil
	}
	return err
}

// status answers Status-Server (RFC 5997 §3): Access-Accept on the authentication port, Accounting-Response on the accounting port.
func (s *Server) status(ex *exchange) {
	if s.cfg.Ready != nil && !s.cfg.Ready() {
		s.discard(ex, DropNotReady, nil)
		return
	}
	code := CodeAccessAccept
	if ex.port.acct {
		code = CodeAccountingResponse
	}
	d := s.datagrams.Get().(*datagram)
	buf, err := AppendResponse(d.buf[:0], ex.packet, code, nil, ex.secret, false)
	d.buf = buf
	if err != nil {
		s.releaseDatagram(d)
		s.discard(ex, DropBadReply, err)
		return
	}
	s.send(ex, d, &ex.port.counters.status)
	s.releaseExchange(ex)
}

// reply builds, keeps and sends the handler's answer, and ends the exchange.
func (s *Server) reply(ex *exchange, code Code, attrs attr.List) error {
	if !code.answers(ex.Code) {
		s.abandon(ex, DropBadReply)
		return fmt.Errorf("%w: %v to %v", ErrReplyCode, code, ex.Code)
	}
	d := s.datagrams.Get().(*datagram)
	buf, err := AppendResponse(d.buf[:0], ex.packet, code, attrs, ex.secret, ex.Code == CodeAccessRequest)
	d.buf = buf
	if err != nil {
		s.releaseDatagram(d)
		s.abandon(ex, DropBadReply)
		return fmt.Errorf("build %v: %w", code, err)
	}
	now := time.Now()
	if !s.dup.finish(ex.key(), ex.serial, d.buf, now) {
		s.releaseDatagram(d)
		s.drop(ex.port, DropReplaced, ex.Source, nil)
		s.end(ex)
		return ErrReplaced
	}
	ex.port.observe(now.Sub(ex.Received))
	sent := s.send(ex, d, &ex.port.replies[code])
	s.end(ex)
	if !sent && s.closing.Load() {
		return ErrClosed
	}
	return nil
}

// answers reports whether the code is a reply to a request of that kind.
func (c Code) answers(request Code) bool {
	if request == CodeAccountingRequest {
		return c == CodeAccountingResponse
	}
	return c == CodeAccessAccept || c == CodeAccessReject || c == CodeAccessChallenge
}
