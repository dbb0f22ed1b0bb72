package aaa

import (
	"time"

	"meridian/edge/command"
	"meridian/radius"
	"meridian/radius/attr"
)

// clockAhead is how far in the future an event may be dated; it is the window that
// RFC 5176 section 6.3 gives clocks.
const clockAhead = 300 * time.Second

// clockUnset is the start of 2025 in Unix seconds: no NAS served anybody here
// before.
const clockUnset = 1_735_689_600

// lastKnownStatus is the highest Acct-Status-Type that RFC 2866 and RFC 2867 name.
const lastKnownStatus = 15

// accounting hands a report to the log and answers once it is durable. There is no
// other answer in RFC 2866: what cannot be recorded gets none, and the NAS tries
// again.
func (h *Handler) accounting(req *radius.Request, w *radius.Responder) {
	a, err := req.Attributes.Accounting()
	if err != nil {
		h.dropAcct(w, DropMalformed)
		return
	}
	kind, ok := kindOf(a.Status)
	switch {
	case !ok:
		h.dropAcct(w, DropStatus)
		return
	case kind == AcctOther:
		h.ack(req, w, kind)
		return
	case len(a.SessionID) == 0 && kind != AcctOn && kind != AcctOff:
		h.dropAcct(w, DropNoSessionID)
		return
	}
	c := h.report(req, &a)
	h.counters.acctWaiting.Add(1)
	h.log.Propose(c, func(res command.Result, err error) {
		h.counters.acctWaiting.Add(-1)
		h.recorded(req, w, kind, res, err)
	})
}

// recorded answers by what became of the command.
func (h *Handler) recorded(req *radius.Request, w *radius.Responder, kind AcctKind, res command.Result, err error) {
	if err != nil {
		h.dropAcct(w, DropLog)
		return
	}
	switch res.Code {
	case command.OK:
	case command.Repeated:
		h.counters.acctRepeated.Add(1)
	case command.Quarantined:
		h.counters.acctQuarantined.Add(1)
	case command.Overloaded:
		h.dropAcct(w, DropOverload)
		return
	default:
		h.dropAcct(w, DropNotConfigured)
		return
	}
	h.ack(req, w, kind)
}

func (h *Handler) ack(req *radius.Request, w *radius.Responder, kind AcctKind) {
	h.counters.acctAcked[kind].Add(1)
	h.answer(req, w, radius.CodeAccountingResponse, nil)
}

func (h *Handler) dropAcct(w *radius.Responder, why Drop) {
	h.counters.acctDropped[why].Add(1)
	w.Drop(why.radius())
}

// kindOf sorts Acct-Status-Type; false for one that no RFC names.
func kindOf(s attr.AcctStatus) (AcctKind, bool) {
	switch s {
	case attr.AcctStart:
		return AcctStart, true
	case attr.AcctStop:
		return AcctStop, true
	case attr.AcctInterim:
		return AcctInterim, true
	case attr.AcctOn:
		return AcctOn, true
	case attr.AcctOff:
		return AcctOff, true
	}
	return AcctOther, s > 0 && s <= lastKnownStatus
}

// report makes the command of a request. The NAS is the one that the source
// address belongs to: what the packet says of itself is not proven.
func (h *Handler) report(req *radius.Request, a *attr.Accounting) *command.Accounting {
	c := &command.Accounting{
		Meta: h.meta(req.Received),
		NAS:  req.Client.ID, SessionID: text(a.SessionID), Login: text(a.UserName), Status: command.Status(a.Status),
		Event: h.eventTime(h.clock(req.Received), a), Seconds: -1,
		In: a.InputOctets, Out: a.OutputOctets, Giga: a.HasInputGigawords || a.HasOutputGigawords,
		CallingStation: text(a.CallingStation), NASPort: portText(a.NASPortID, a.NASPort, a.HasNASPort),
		Cause: uint32(a.TerminateCause), Called: number(a.CalledStation),
	}
	if a.HasSessionTime {
		c.Seconds = int64(a.SessionTimeS)
	}
	if a.FramedAddr.IsValid() {
		c.FramedIP = a.FramedAddr.String()
	}
	return c
}

// eventTime is when it happened by the NAS, or else by arrival and delay, in Unix
// seconds. A restart dated in the future by a wrong clock would pass every session
// until then for forgotten, so that date is not believed. A session's reports keep
// theirs: their start follows from it, and a changed one would be another session.
// A clock that was never set dates everything to its epoch; then arrival counts,
// for all reports of the session alike.
func (h *Handler) eventTime(received time.Time, a *attr.Accounting) int64 {
	at := a.When(received)
	if at.Unix() < clockUnset {
		h.counters.acctClockUnset.Add(1)
		return received.Add(-time.Duration(a.DelayS) * time.Second).Unix()
	}
	if at.Sub(received) <= clockAhead {
		return at.Unix()
	}
	h.counters.acctClockAhead.Add(1)
	if a.Status == attr.AcctOn || a.Status == attr.AcctOff {
		return received.Add(-time.Duration(a.DelayS) * time.Second).Unix()
	}
	return at.Unix()
}
