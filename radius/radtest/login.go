package radtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"

	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/vendor"
)

// Method is how a login proves its password.
type Method uint8

// Methods.
const (
	PAP Method = iota
	CHAP
	MSCHAP2
)

// NumMethods is how many methods there are.
const NumMethods = 3

// String names the method.
func (m Method) String() string {
	switch m {
	case CHAP:
		return "chap"
	case MSCHAP2:
		return "mschap2"
	}
	return "pap"
}

// Login is one attempt of a subscriber.
type Login struct {
	User, Password string
	Method         Method
	SessionID      string // Acct-Session-Id; "" lets the NAS make one
	HideSessionID  bool   // leave Acct-Session-Id out of the Access-Request, as some NAS do
	CallingStation string
	Port           uint32
}

// Session is a subscriber's session at a NAS, from its Access-Accept on. The exported fields do not change.
type Session struct {
	ID, User       string
	CallingStation string
	Port           uint32
	Profile        vendor.Profile // what the server granted, as this NAS understands it
	Classes        [][]byte       // every Class of the Accept, echoed in accounting
	Server         netip.AddrPort // who accepted

	nas          *NAS
	last         Usage // what was reported last; limits are found between it and the next
	disconnected atomic.Bool
}

// Disconnected reports whether the server has asked to end the session.
func (s *Session) Disconnected() bool { return s.disconnected.Load() }

// Login asks for access. The error is a *RejectError when the server said no, or wraps ErrTimeout, the context's error, ErrTooManySessions or,
// after MS-CHAPv2, ErrMSCHAP.
func (n *NAS) Login(ctx context.Context, l Login) (*Session, error) {
	if l.SessionID == "" {
		l.SessionID = fmt.Sprintf("%s-%08x", n.cfg.Identifier, n.serial.Add(1))
	}
	var proof *peer
	if l.Method == MSCHAP2 {
		var err error
		if proof, err = newPeer(l.User, l.Password); err != nil {
			return nil, fmt.Errorf("log %s in: %w", l.User, err)
		}
	}
	r, server, err := n.ask(ctx, n.cfg.Auth, &n.authServer, func(int) Exchange {
		return Exchange{Code: radius.CodeAccessRequest, Secret: n.cfg.Secret, MA: n.cfg.MA,
			Fill: func(b *attr.Builder, authenticator [16]byte) { n.fillLogin(b, l, proof, authenticator) }}
	})
	if err != nil {
		if errors.Is(err, ErrTimeout) {
			n.authTimeouts.Add(1)
		}
		return nil, fmt.Errorf("log %s in: %w", l.User, err)
	}
	if r.Code != radius.CodeAccessAccept {
		return nil, n.rejected(r, proof)
	}
	if proof != nil {
		if err := proof.accepted(r.Attributes, n.cfg.Secret); err != nil {
			return nil, fmt.Errorf("log %s in: %w", l.User, err)
		}
	}
	n.accepts.Add(1)
	s := &Session{ID: l.SessionID, User: l.User, CallingStation: l.CallingStation, Port: l.Port, Server: server, nas: n}
	if s.Profile, err = vendor.Decode(n.cfg.Vendor, r.Attributes); err != nil {
		return nil, err
	}
	for class := range r.Attributes.Values(attr.Class) {
		s.Classes = append(s.Classes, class)
	}
	return s, n.add(s)
}

// rejected makes the error of a refusal.
func (n *NAS) rejected(r Reply, proof *peer) error {
	n.rejects.Add(1)
	p, err := vendor.Decode(n.cfg.Vendor, r.Attributes)
	if err != nil {
		return err
	}
	refusal := &RejectError{Message: p.ReplyMessage}
	if proof != nil {
		refusal.MSCHAP = proof.refused(r.Attributes)
	}
	return refusal
}

func (n *NAS) fillLogin(b *attr.Builder, l Login, proof *peer, authenticator [16]byte) {
	b.String(attr.UserName, l.User)
	switch l.Method {
	case MSCHAP2:
		proof.fill(b, authenticator)
	case CHAP:
		b.CHAP(authenticator[0], []byte(l.Password), authenticator[:], authenticator)
	default:
		b.UserPassword([]byte(l.Password), n.cfg.Secret, authenticator)
	}
	n.identify(b)
	b.Uint32(attr.NASPort, l.Port)
	b.Uint32(attr.NASPortType, attr.PortEthernet)
	b.Uint32(attr.ServiceType, attr.ServiceFramed)
	b.Uint32(attr.FramedProtocol, attr.ProtocolPPP)
	if !l.HideSessionID {
		b.String(attr.AcctSessionID, l.SessionID)
	}
	if l.CallingStation != "" {
		b.String(attr.CallingStationID, l.CallingStation)
	}
}

// Adopt makes a session known without a login, for a NAS that was up before the test began.
func (n *NAS) Adopt(id, user string, profile vendor.Profile) (*Session, error) {
	s := &Session{ID: id, User: user, Profile: profile, nas: n}
	if len(profile.Class) > 0 {
		s.Classes = [][]byte{profile.Class}
	}
	return s, n.add(s)
}
