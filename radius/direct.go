package radius

import (
	"fmt"
	"net/netip"
	"time"
)

// Answer is what became of a datagram given to [Direct].
type Answer struct {
	Dropped bool
	Reason  DropReason // when dropped
	Packet  []byte     // the whole reply otherwise; its Code is the first octet
}

// Direct hands a datagram to a handler as a [Server] does once it has found the client, without sockets, queues, duplicates and their limits:
// for tests and measurements of what lies behind the wire. done is called once, from any goroutine. A packet that never reaches the handler is dropped
// at once. The client's habits are not remembered from one call to the next.
func Direct(h Handler, client *Client, acct bool, source netip.AddrPort, datagram []byte, received time.Time, done func(Answer)) {
	drop := func(reason DropReason) { done(Answer{Dropped: true, Reason: reason}) }
	packet, err := Parse(datagram)
	if err != nil {
		drop(DropMalformed)
		return
	}
	if _, ok := classify(acct, packet); !ok {
		drop(DropCode)
		return
	}
	ex := &exchange{direct: done, Request: Request{
		Code: packet.Code(), Identifier: packet.Identifier(), Authenticator: packet.Authenticator(), Attributes: packet.Attributes(),
		Client: client, Source: source, Received: received, packet: packet, state: &clientState{},
	}}
	if reason, err := ex.verify(); err != nil {
		drop(reason)
		return
	}
	w := new(Responder)
	w.ex.Store(ex)
	h.ServeRADIUS(&ex.Request, w)
}

// answerDirectly is Server.reply for Direct.
func (ex *exchange) answerDirectly(code Code, attrs []byte) error {
	if !code.answers(ex.Code) {
		ex.direct(Answer{Dropped: true, Reason: DropBadReply})
		return fmt.Errorf("%w: %v to %v", ErrReplyCode, code, ex.Code)
	}
	buf, err := AppendResponse(nil, ex.packet, code, attrs, ex.secret, ex.Code == CodeAccessRequest)
	if err != nil {
		ex.direct(Answer{Dropped: true, Reason: DropBadReply})
		return fmt.Errorf("build %v: %w", code, err)
	}
	ex.direct(Answer{Packet: buf})
	return nil
}
