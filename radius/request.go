package radius

import (
	"net/netip"
	"sync/atomic"
	"time"

	"meridian/radius/attr"
)

// Handler decides about requests. ServeRADIUS is called from the server's workers, several at once, and must not block: what takes
// long goes on elsewhere and answers later. Every call must lead to exactly one [Responder.Reply] or [Responder.Drop], from any goroutine;
// one that never comes holds a place of MaxInFlight for ever.
type Handler interface {
	ServeRADIUS(req *Request, w *Responder)
}

// HandlerFunc is a function that is a [Handler].
type HandlerFunc func(req *Request, w *Responder)

// ServeRADIUS implements [Handler].
func (f HandlerFunc) ServeRADIUS(req *Request, w *Responder) { f(req, w) }

// Request is an Access-Request or an Accounting-Request whose form, authenticators and client's policy have been checked. It and all
// its bytes are valid until its Responder is used.
type Request struct {
	Code          Code
	Identifier    byte
	Authenticator [16]byte
	Attributes    attr.List
	Client        *Client
	Source        netip.AddrPort
	Local         netip.Addr // the address that was asked
	Received      time.Time

	packet Packet
	secret []byte       // replies are made with it
	proven bool         // the packet showed that secret is the client's
	state  *clientState // what is remembered of the client
}

// Secret is the client's secret that the packet was made with; while a secret is being changed and an Access-Request proves neither, the one
// that the client used last.
func (r *Request) Secret() []byte { return r.secret }

// CheckPAP reveals User-Password and asks verify about it, once for each secret that the client may be using: where the packet does not
// prove which (no Message-Authenticator, a secret being changed) the one that verifies is used for the reply. The password is valid during
// verify only. Errors as of [attr.List.AppendUserPassword].
func (r *Request) CheckPAP(verify func(password []byte) bool) (bool, error) {
	var space [128]byte
	password, err := r.Attributes.AppendUserPassword(space[:0], r.secret, r.Authenticator)
	if err != nil {
		return false, err
	}
	if verify(password) {
		r.prove(r.secret)
		return true, nil
	}
	other := r.Client.Secret
	if same(other, r.secret) {
		other = r.Client.OldSecret
	}
	if r.proven || len(other) == 0 {
		return false, nil
	}
	password, err = r.Attributes.AppendUserPassword(space[:0], other, r.Authenticator)
	if err != nil || !verify(password) {
		return false, err
	}
	r.prove(other)
	return true, nil
}

// CheckCHAP reports whether CHAP-Password answers for the password. Errors as of [attr.List.VerifyCHAP].
func (r *Request) CheckCHAP(password []byte) (bool, error) {
	return r.Attributes.VerifyCHAP(password, r.Authenticator)
}

// prove fixes the secret of the reply and remembers it for requests that prove none.
func (r *Request) prove(secret []byte) {
	r.secret, r.proven = secret, true
	r.state.usesOld.Store(len(r.Client.OldSecret) != 0 && same(secret, r.Client.OldSecret))
}

// same reports whether both are one slice, not only equal.
func same(a, b []byte) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

// Responder answers one request, once. It may be kept and used from any goroutine.
type Responder struct{ ex atomic.Pointer[exchange] }

// Reply sends the answer: Access-Accept, -Reject or -Challenge to an Access-Request, Accounting-Response to an Accounting-Request. attrs are
// copied; Message-Authenticator (always, and first, in answers to Access-Requests) and the request's Proxy-State are added. The answer is kept for
// retransmissions. After any call the request is over, also when an error is returned: ErrAnswered at a second call, ErrReplyCode,
// ErrAttributesOwned, ErrAttributesLong or attr.ErrMalformed when no reply can be made of it, ErrReplaced when the NAS has
// reused the identifier meanwhile, ErrClosed.
func (w *Responder) Reply(code Code, attrs attr.List) error {
	ex := w.ex.Swap(nil)
	switch {
	case ex == nil:
		return ErrAnswered
	case ex.direct != nil:
		return ex.answerDirectly(code, attrs)
	}
	return ex.server.reply(ex, code, attrs)
}

// Drop ends the request without an answer and counts the reason; a retransmission of it will be a new request. A second call does nothing.
func (w *Responder) Drop(reason DropReason) {
	switch ex := w.ex.Swap(nil); {
	case ex == nil:
	case ex.direct != nil:
		ex.direct(Answer{Dropped: true, Reason: reason})
	default:
		ex.server.abandon(ex, reason)
	}
}

// exchange is a request on its way through the server; the memory is pooled.
type exchange struct {
	Request
	server *Server
	port   *port
	class  class
	serial uint64 // tells it from another request with its key
	buf    []byte
	direct func(Answer) // instead of a server; see Direct
}

// keepBuffer is the largest buffer that a pooled exchange keeps, in octets.
const keepBuffer = 1024
