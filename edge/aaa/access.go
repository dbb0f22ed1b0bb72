package aaa

import (
	"crypto/subtle"
	"log/slog"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/tariff"
	"meridian/radius"
	"meridian/radius/attr"
)

// access decides about an Access-Request: the form first, then the password, then
// what the replica knows of the subscriber, and last, where it must be exact, what
// the log says.
func (h *Handler) access(req *radius.Request, w *radius.Responder) {
	kind := req.Attributes.Credential()
	name := req.Attributes.Bytes(attr.UserName)
	switch {
	case kind == attr.CredentialEAP:
		h.rejectEAP(req, w)
		return
	case kind == attr.CredentialNone:
		h.reject(req, w, RejectNoCredential)
		return
	case kind != attr.CredentialPAP && kind != attr.CredentialCHAP && kind != attr.CredentialMSCHAP2:
		h.reject(req, w, RejectMethod)
		return
	case len(name) == 0:
		h.reject(req, w, RejectNoUserName)
		return
	}
	stale := h.stale(req.Received)
	v := candidate{user: text(name)}
	h.log.View(func(s *fsm.State) { v.found = s.FindLogin(v.user) })
	if v.found.Subscription == "" {
		h.refuse(req, w, RejectUnknown, stale)
		return
	}
	why, err := h.verify(req, kind, &v)
	switch {
	case err != nil:
		h.notOpened(w, err)
	case why == RejectMalformed:
		h.reject(req, w, why)
	case why != verified:
		h.refuse(req, w, why, stale)
	case v.found.Reason != command.ReasonNone:
		h.refuse(req, w, rejectOf(v.found.Reason), stale)
	case stale && (v.found.MustReserve || !h.cfg.AcceptWhenStale):
		h.dropAuth(w, DropStale)
	case v.found.MustReserve:
		h.reserve(req, w, v)
	default:
		if stale {
			h.counters.acceptsStale.Add(1)
		}
		h.accept(req, w, &v, command.Result{})
	}
}

// candidate is a login whose subscription is known.
type candidate struct {
	user  string
	found fsm.Login
	proof *proof // of MS-CHAPv2
}

// verified is no reason to reject.
const verified Reject = NumRejects

// verify compares the credential with the subscription's, in constant time: verified
// or why it is rejected. A subscription without a password matches nothing. An
// error says that the credential cannot be opened on this node.
func (h *Handler) verify(req *radius.Request, kind attr.CredentialKind, v *candidate) (Reject, error) {
	if kind == attr.CredentialMSCHAP2 {
		return h.verifyMSCHAP2(req, v)
	}
	clear, err := h.credentials.passwords.open(v.found.Subscription, v.found.Password)
	if err != nil {
		return 0, err
	}
	if len(clear) == 0 {
		return RejectPassword, nil
	}
	var match bool
	if kind == attr.CredentialCHAP {
		match, err = req.CheckCHAP(clear)
	} else {
		match, err = req.CheckPAP(func(given []byte) bool { return subtle.ConstantTimeCompare(given, clear) == 1 })
	}
	switch {
	case err != nil:
		return RejectMalformed, nil
	case !match:
		return RejectPassword, nil
	}
	return verified, nil
}

// notOpened gives no answer: another node may be able to open the credential.
func (h *Handler) notOpened(w *radius.Responder, err error) {
	if h.sealed.allow() {
		h.logger.Error("login not answered", slog.String("error", err.Error()), slog.Uint64("faults", h.counters.passwordFaults.Load()))
	}
	h.dropAuth(w, DropSealed)
}

// reserve asks the log for a session slot and, for a metered subscription, a hold;
// the reply waits for it. The key makes a repeated request get the first answer.
func (h *Handler) reserve(req *radius.Request, w *radius.Responder, v candidate) {
	l := req.Attributes
	session, station, port := text(l.Bytes(attr.AcctSessionID)), text(l.Bytes(attr.CallingStationID)), portOf(l)
	c := &command.Reserve{
		Meta: h.meta(req.Received),
		NAS:  req.Client.ID, Key: fsm.ReserveKey(req.Client.ID, session, station, port, v.user),
		SessionID: session, Login: v.user, CallingStation: station, NASPort: port, Called: number(l.Bytes(attr.CalledStationID)),
	}
	h.counters.reserves.Add(1)
	h.counters.reservesWaiting.Add(1)
	h.log.Propose(c, func(res command.Result, err error) {
		h.counters.reservesWaiting.Add(-1)
		if err != nil {
			h.dropAuth(w, DropLog)
			return
		}
		switch res.Code {
		case command.OK, command.Repeated:
			h.accept(req, w, &v, res)
		case command.Refused:
			h.reject(req, w, rejectOf(res.Reason))
		case command.Overloaded:
			h.dropAuth(w, DropOverload)
		default:
			h.dropAuth(w, DropNotConfigured)
		}
	})
}

// refuse rejects; a node that hears no leader gives no answer, since another may
// know of a payment or a new password.
func (h *Handler) refuse(req *radius.Request, w *radius.Responder, why Reject, stale bool) {
	if stale {
		h.dropAuth(w, DropStale)
		return
	}
	h.reject(req, w, why)
}

func (h *Handler) dropAuth(w *radius.Responder, why Drop) {
	h.counters.authDropped[why].Add(1)
	w.Drop(why.radius())
}

// meta says who proposes, and when by this node's clock; at is the machine's.
func (h *Handler) meta(at time.Time) command.Meta {
	return command.Meta{At: h.clock(at).UnixMicro(), Node: h.cfg.Node}
}

func (h *Handler) clock(at time.Time) time.Time {
	if h.cfg.Clock == nil {
		return at
	}
	return h.cfg.Clock(at)
}

// interimOf is the offering's interim interval with a share of up to a fifth on
// top, by login: after a power cut the interims of a region do not come all at
// once.
func interimOf(o *tariff.Offering, login string) int64 {
	interim := int64(o.Profile.InterimSeconds)
	return interim + int64(fnv32(login))%(interim/5+1)
}
