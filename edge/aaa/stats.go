package aaa

import (
	"sync/atomic"
	"time"

	"meridian/edge/command"
	"meridian/radius"
)

// Reject says why an Access-Request was refused.
type Reject uint8

// Reasons of rejecting.
const (
	RejectUnknown      Reject = iota // no such login
	RejectPassword                   // the password is another
	RejectNoUserName                 // no User-Name, or an empty one
	RejectNoCredential               // neither password nor response
	RejectMethod                     // a method that is not served, or more than one
	RejectNoHash                     // MS-CHAPv2, and the subscription has no NT hash
	RejectMalformed                  // a credential of an impossible length
	RejectTerminated
	RejectBarred
	RejectUnpaid
	RejectNoBalance
	RejectSessionLimit
	RejectBacklog
	RejectNoOffering
	RejectDestination
	RejectBarredZone
	RejectOther        // a reason of a later version
	NumRejects  = iota // how many there are
)

// String names the reason as a metric's label spells it.
func (r Reject) String() string {
	names := [NumRejects]string{
		"unknown", "password", "no_user_name", "no_credential", "method", "no_nt_hash", "malformed", "terminated", "barred", "unpaid",
		"no_balance", "session_limit", "backlog", "no_offering", "destination", "barred_zone", "other",
	}
	return names[min(int(r), NumRejects-1)]
}

// Message is the Reply-Message of a rejection: general words for the subscriber.
// A wrong login and a wrong password read the same.
func (r Reject) Message() string {
	switch r {
	case RejectUnknown, RejectPassword, RejectNoHash:
		return "Login or password is wrong."
	case RejectNoUserName:
		return "The request names no user."
	case RejectNoCredential:
		return "The request carries no password."
	case RejectMethod:
		return "This way of logging in is not supported: use PAP, CHAP or MS-CHAPv2."
	case RejectMalformed:
		return "The request's password is malformed."
	case RejectTerminated:
		return "This service has ended."
	case RejectBarred:
		return "This service is barred. Please contact your operator."
	case RejectUnpaid:
		return "The period is not paid. Please top up your account."
	case RejectNoBalance:
		return "The balance is used up. Please top up your account."
	case RejectSessionLimit:
		return "Too many sessions are open for this login."
	case RejectBacklog:
		return "No new sessions can be opened at the moment. Please try again later."
	case RejectNoOffering:
		return "No service is available for this login."
	case RejectDestination:
		return "This number cannot be called."
	case RejectBarredZone:
		return "Calls to this number are barred at present. Please check your balance."
	}
	return "The login is refused."
}

// rejectOf translates the state machine's reason.
func rejectOf(r command.Reason) Reject {
	switch r {
	case command.ReasonUnknown:
		return RejectUnknown
	case command.ReasonTerminated:
		return RejectTerminated
	case command.ReasonBarred:
		return RejectBarred
	case command.ReasonUnpaid:
		return RejectUnpaid
	case command.ReasonNoBalance:
		return RejectNoBalance
	case command.ReasonSessionLimit:
		return RejectSessionLimit
	case command.ReasonBacklog:
		return RejectBacklog
	case command.ReasonNoOffering:
		return RejectNoOffering
	case command.ReasonDestination:
		return RejectDestination
	case command.ReasonBarredZone:
		return RejectBarredZone
	}
	return RejectOther
}

// Drop says why a request got no answer from this package.
type Drop uint8

// Reasons of giving no answer.
const (
	DropStale         Drop   = iota // no leader heard, and the answer must be exact
	DropSealed                      // the password cannot be opened on this node
	DropLog                         // the log gave an error: outcome unknown, no leader, queue full
	DropOverload                    // the backlog bound
	DropNotConfigured               // the region is not founded, or has no epoch
	DropMalformed                   // accounting attributes out of shape, or no Acct-Status-Type
	DropNoSessionID                 // accounting of a session without Acct-Session-Id
	DropStatus                      // an Acct-Status-Type that no RFC names
	DropReply                       // the reply could not be built
	NumDrops          = iota        // how many there are
)

// String names the reason as a metric's label spells it.
func (d Drop) String() string {
	names := [NumDrops]string{
		"stale", "sealed", "log", "overload", "not_configured", "malformed", "no_session_id", "status", "reply",
	}
	return names[min(int(d), NumDrops-1)]
}

// radius is the server's counter for the drop.
func (d Drop) radius() radius.DropReason {
	switch d {
	case DropStale:
		return radius.DropPolicy
	case DropOverload:
		return radius.DropOverload
	case DropMalformed, DropNoSessionID, DropStatus:
		return radius.DropInvalid
	case DropReply:
		return radius.DropBadReply
	}
	return radius.DropUnavailable
}

// AcctKind is what an acknowledged Accounting-Request was about.
type AcctKind uint8

// Kinds of accounting. AcctOther: tunnel and failure statuses, which have no
// effect here.
const (
	AcctStart AcctKind = iota
	AcctStop
	AcctInterim
	AcctOn
	AcctOff
	AcctOther
	NumAcctKinds = iota // how many there are
)

// String names the kind as a metric's label spells it.
func (k AcctKind) String() string {
	names := [NumAcctKinds]string{"start", "stop", "interim", "on", "off", "other"}
	return names[min(int(k), NumAcctKinds-1)]
}

// latencyBoundsUS are upper bounds in microseconds; a last bucket holds the rest.
var latencyBoundsUS = [...]int64{50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000}

// LatencyBoundsUS returns the upper bounds of [Latency.Buckets], in microseconds;
// the last bucket, which has none, holds what took longer.
func LatencyBoundsUS() []int64 { return append([]int64(nil), latencyBoundsUS[:]...) }

// Latency counts replies by the time from the socket's read to the reply.
type Latency struct {
	Buckets [len(latencyBoundsUS) + 1]uint64
	SumUS   uint64
}

// Stats is a snapshot of a Handler's counters. Counters only grow; gauges say so.
type Stats struct {
	Accepts      uint64
	AcceptsStale uint64 // of these, by a node that heard no leader
	Rejects      [NumRejects]uint64
	AuthDropped  [NumDrops]uint64

	Reserves        uint64 // Accepts that had to wait for the log, and their like that were refused
	ReservesWaiting int64  // gauge

	AcctAcked       [NumAcctKinds]uint64
	AcctRepeated    uint64 // of these, counted before
	AcctQuarantined uint64 // of these, recorded without a charge
	AcctClockAhead  uint64 // events that a NAS dates in the future
	AcctClockUnset  uint64 // events of a NAS whose clock was never set, dated by arrival
	AcctDropped     [NumDrops]uint64
	AcctWaiting     int64 // gauge

	ReplyFailed uint64 // replies that the server could not send: replaced, closing

	// Of opened credentials, NT hashes as well as passwords.
	PasswordOpens, PasswordHits, PasswordFaults, PasswordEvictions uint64
	PasswordsCached                                                int // gauge

	NAS, NASUnusable int    // gauges: usable entries of the registry; those with a fault
	NASFaults        uint64 // faults of entries found, secrets that do not open among them
	Refreshes        uint64 // rebuilds of the snapshot

	Auth, Acct Latency
}

// EffectStats is a snapshot of the counters of Effects.
type EffectStats struct {
	Queued  int64 // gauge: effects seen at the last look, up to Window
	Sending int64 // gauge

	Sent       uint64 // requests, retransmissions not counted
	Acked      uint64
	NoSession  uint64 // the NAS knows no such session
	Retried    uint64 // refusals and silences that were or will be tried again
	Busy       uint64 // put off: no identifier towards the NAS was free
	Failed     uint64 // given up after Tries
	NoTarget   uint64 // given up at once: the NAS is unknown or takes no CoA
	Superseded uint64 // not sent, since a later effect of the session says more
	Committed  uint64 // outcomes that the log took
	NotTaken   uint64 // proposals of outcomes that the log did not take; they are repeated
}

// latency is the live form of Latency.
type latency struct {
	buckets [len(latencyBoundsUS) + 1]atomic.Uint64
	sumUS   atomic.Uint64
}

func (l *latency) observe(took time.Duration) {
	us := max(took.Microseconds(), 0)
	i := 0
	for i < len(latencyBoundsUS) && us > latencyBoundsUS[i] {
		i++
	}
	l.buckets[i].Add(1)
	l.sumUS.Add(uint64(us))
}

func (l *latency) snapshot() Latency {
	s := Latency{SumUS: l.sumUS.Load()}
	for i := range l.buckets {
		s.Buckets[i] = l.buckets[i].Load()
	}
	return s
}

// counters are the live form of Stats.
type counters struct {
	accepts, acceptsStale, reserves, replyFailed           atomic.Uint64
	acctRepeated, acctQuarantined                          atomic.Uint64
	acctClockAhead, acctClockUnset                         atomic.Uint64
	rejects                                                [NumRejects]atomic.Uint64
	authDropped, acctDropped                               [NumDrops]atomic.Uint64
	acctAcked                                              [NumAcctKinds]atomic.Uint64
	reservesWaiting, acctWaiting                           atomic.Int64
	passwordOpens, passwordHits, passwordFaults, evictions atomic.Uint64
	nasFaults, refreshes                                   atomic.Uint64
	auth, acct                                             latency
}

// Stats is a snapshot of the counters; single counters are exact.
func (h *Handler) Stats() Stats {
	c := &h.counters
	s := Stats{
		Accepts: c.accepts.Load(), AcceptsStale: c.acceptsStale.Load(), Reserves: c.reserves.Load(), ReservesWaiting: c.reservesWaiting.Load(),
		AcctRepeated: c.acctRepeated.Load(), AcctQuarantined: c.acctQuarantined.Load(), AcctClockAhead: c.acctClockAhead.Load(), AcctClockUnset: c.acctClockUnset.Load(),
		AcctWaiting: c.acctWaiting.Load(), ReplyFailed: c.replyFailed.Load(),
		PasswordOpens: c.passwordOpens.Load(), PasswordHits: c.passwordHits.Load(), PasswordFaults: c.passwordFaults.Load(),
		PasswordEvictions: c.evictions.Load(), PasswordsCached: h.credentials.len(),
		NASFaults: c.nasFaults.Load(), Refreshes: c.refreshes.Load(), Auth: c.auth.snapshot(), Acct: c.acct.snapshot(),
	}
	if snap := h.registry.snapshot(); snap != nil {
		s.NAS, s.NASUnusable = snap.usable, len(snap.byID)-snap.usable
	}
	for i := range c.rejects {
		s.Rejects[i] = c.rejects[i].Load()
	}
	for i := range c.authDropped {
		s.AuthDropped[i], s.AcctDropped[i] = c.authDropped[i].Load(), c.acctDropped[i].Load()
	}
	for i := range c.acctAcked {
		s.AcctAcked[i] = c.acctAcked[i].Load()
	}
	return s
}
