package radtest

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
)

// Usage is what a session's counters read, cumulative since its start. In is what the subscriber sent (upload), Out what it received; octets.
type Usage struct {
	SessionS   uint32 // seconds
	In, Out    uint64
	InPackets  uint32
	OutPackets uint32
}

// Total is both directions together, in octets.
func (u Usage) Total() uint64 { return u.In + u.Out }

// Event is one accounting event: a session's, or the NAS's own when Session is nil (On, Off).
type Event struct {
	Session *Session
	Status  attr.AcctStatus
	At      time.Time // Event-Timestamp, whole seconds; the zero time leaves the attribute out
	Usage   Usage
	Cause   attr.TerminateCause // of a Stop
}

// Record is an event as a witness writes it down. Server and Tries are set once it is acknowledged.
type Record struct {
	NAS, SessionID, User string
	Status               attr.AcctStatus
	At                   time.Time
	Usage                Usage
	Cause                attr.TerminateCause
	Server               netip.AddrPort
	Tries                int
}

// Delivery is how an event is sent beyond the ordinary.
type Delivery struct {
	Duplicates int  // further copies of the same octets, at once: what a network does
	Everywhere bool // after the first answer, to every other server too as a packet of its own: what a NAS with a lost answer does
}

// Start reports the session's beginning.
func (s *Session) Start(ctx context.Context, at time.Time) error {
	return s.nas.Send(ctx, Event{Session: s, Status: attr.AcctStart, At: at}, Delivery{})
}

// Interim reports the counters of a running session.
func (s *Session) Interim(ctx context.Context, at time.Time, u Usage) error {
	return s.nas.Send(ctx, Event{Session: s, Status: attr.AcctInterim, At: at, Usage: u}, Delivery{})
}

// Stop reports the session's end; the NAS forgets it once that is acknowledged.
func (s *Session) Stop(ctx context.Context, at time.Time, u Usage, cause attr.TerminateCause) error {
	return s.nas.Send(ctx, Event{Session: s, Status: attr.AcctStop, At: at, Usage: u, Cause: cause}, Delivery{})
}

// Report sends an interim; on a NAS that honours limits it sends a Stop in its place when a limit has been reached, with the counters exactly at
// the limit and the time when they were there. ended tells that the session is over. Limits lie on the straight line from what was reported last.
func (s *Session) Report(ctx context.Context, at time.Time, u Usage) (ended bool, err error) {
	if s.nas.cfg.HonourLimits {
		if cut, cause, over := s.Limit(u); over {
			at = at.Add(-time.Duration(u.SessionS-cut.SessionS) * time.Second)
			return true, s.Stop(ctx, at, cut, cause)
		}
	}
	return false, s.Interim(ctx, at, u)
}

// Limit says what the counters read when the first of the session's limits was reached; over is false, and u comes back, when none has been.
func (s *Session) Limit(u Usage) (at Usage, cause attr.TerminateCause, over bool) {
	from := s.last
	if u.SessionS < from.SessionS || u.In < from.In || u.Out < from.Out {
		from = Usage{} // the counters began anew
	}
	if t := s.Profile.SessionTimeoutS; t > 0 && int64(u.SessionS) >= t {
		part, whole := uint64(max(0, t-int64(from.SessionS))), uint64(u.SessionS-from.SessionS)
		u = Usage{
			SessionS: uint32(t), In: from.In + share(u.In-from.In, part, whole), Out: from.Out + share(u.Out-from.Out, part, whole),
			InPackets: u.InPackets, OutPackets: u.OutPackets,
		}
		cause, over = attr.CauseSessionTimeout, true
	}
	if v := s.Profile.VolumeLimitBytes; v > 0 && u.Total() >= uint64(v) {
		part, whole := uint64(max(0, v-int64(from.Total()))), u.Total()-from.Total()
		in := from.In + share(u.In-from.In, part, whole)
		u = Usage{
			SessionS: from.SessionS + uint32(share(uint64(u.SessionS-from.SessionS), part, whole)), In: in, Out: max(uint64(v), from.Total()) - in,
			InPackets: u.InPackets, OutPackets: u.OutPackets,
		}
		cause, over = attr.CauseNASRequest, true
	}
	return u, cause, over
}

// share is amount × part / whole, rounded down; all of it when part is whole or more.
func share(amount, part, whole uint64) uint64 {
	if part >= whole {
		return amount
	}
	high, low := bits.Mul64(amount, part)
	q, _ := bits.Div64(high, low, whole)
	return q
}

// AccountingOn reports that the NAS has come up and has no session of before.
func (n *NAS) AccountingOn(ctx context.Context, at time.Time) error {
	return n.Send(ctx, Event{Status: attr.AcctOn, At: at}, Delivery{})
}

// AccountingOff reports that the NAS goes down with all its sessions; it forgets them.
func (n *NAS) AccountingOff(ctx context.Context, at time.Time) error {
	err := n.Send(ctx, Event{Status: attr.AcctOff, At: at}, Delivery{})
	if err == nil {
		n.mu.Lock()
		clear(n.sessions)
		n.mu.Unlock()
	}
	return err
}

// Send delivers one event: each server gets Tries copies with the same octets, then the next server a new packet with a grown Acct-Delay-Time
// (RFC 2866 §5.2). It returns when the event is acknowledged. Events can be sent again, late or in any order: the NAS keeps no order.
// The error wraps ErrTimeout or the context's.
func (n *NAS) Send(ctx context.Context, ev Event, d Delivery) error {
	rec := n.record(ev)
	if n.cfg.OnSent != nil {
		n.cfg.OnSent(rec)
	}
	began := time.Now()
	r, server, err := n.ask(ctx, n.cfg.Acct, &n.acctServer, func(packet int) Exchange {
		e := n.exchange(ev, uint32(time.Since(began).Seconds()))
		if packet == 0 {
			e.Duplicates = d.Duplicates
		}
		return e
	})
	if err != nil {
		if errors.Is(err, ErrTimeout) {
			n.acctTimeouts.Add(1)
		}
		return fmt.Errorf("%v of session %q: %w", ev.Status, rec.SessionID, err)
	}
	n.acctAcked.Add(1)
	rec.Server, rec.Tries = server, r.Tries
	n.settle(ev)
	if n.cfg.OnAcked != nil {
		n.cfg.OnAcked(rec)
	}
	if d.Everywhere {
		return n.sendElsewhere(ctx, ev, server, uint32(time.Since(began).Seconds()))
	}
	return nil
}

// SendShuffled sends the events one after the other in an order that rng chooses, and returns the first error.
func (n *NAS) SendShuffled(ctx context.Context, rng *rand.Rand, events []Event) error {
	for _, i := range rng.Perm(len(events)) {
		if err := n.Send(ctx, events[i], Delivery{}); err != nil {
			return err
		}
	}
	return nil
}

// sendElsewhere repeats an acknowledged event to the other servers. One that does not answer is no fault: the event is acknowledged.
func (n *NAS) sendElsewhere(ctx context.Context, ev Event, acked netip.AddrPort, delayS uint32) error {
	for _, server := range n.cfg.Acct {
		if server == acked {
			continue
		}
		e := n.exchange(ev, delayS)
		e.To = server
		if _, err := n.x.Do(ctx, e); err != nil && !errors.Is(err, ErrTimeout) {
			return fmt.Errorf("repeat %v to %v: %w", ev.Status, server, err)
		}
	}
	return nil
}

// settle takes note of an acknowledged event.
func (n *NAS) settle(ev Event) {
	s := ev.Session
	switch {
	case s == nil:
	case ev.Status == attr.AcctStop:
		n.remove(s)
	case ev.Usage.SessionS >= s.last.SessionS && ev.Usage.In >= s.last.In && ev.Usage.Out >= s.last.Out:
		s.last = ev.Usage
	}
}

func (n *NAS) record(ev Event) Record {
	r := Record{NAS: n.cfg.Identifier, Status: ev.Status, At: ev.At, Usage: ev.Usage, Cause: ev.Cause}
	if ev.Session != nil {
		r.SessionID, r.User = ev.Session.ID, ev.Session.User
	}
	return r
}

func (n *NAS) exchange(ev Event, delayS uint32) Exchange {
	return Exchange{Code: radius.CodeAccountingRequest, Secret: n.cfg.Secret, Fill: func(b *attr.Builder, _ [16]byte) { n.fillEvent(b, ev, delayS) }}
}

func (n *NAS) fillEvent(b *attr.Builder, ev Event, delayS uint32) {
	b.Uint32(attr.AcctStatusType, uint32(ev.Status))
	n.identify(b)
	if !ev.At.IsZero() {
		b.Time(attr.EventTimestamp, ev.At)
	}
	b.Uint32(attr.AcctDelayTime, delayS)
	s := ev.Session
	if s == nil {
		return
	}
	b.String(attr.AcctSessionID, s.ID)
	b.String(attr.UserName, s.User)
	b.Uint32(attr.NASPort, s.Port)
	b.Uint32(attr.NASPortType, attr.PortEthernet)
	b.Uint32(attr.AcctAuthentic, attr.AuthenticRADIUS)
	if s.CallingStation != "" {
		b.String(attr.CallingStationID, s.CallingStation)
	}
	if s.Profile.FramedIP.IsValid() {
		b.Addr(attr.FramedIPAddress, s.Profile.FramedIP)
	}
	for _, class := range s.Classes {
		b.Bytes(attr.Class, class)
	}
	if ev.Status == attr.AcctStart {
		return
	}
	u := ev.Usage
	b.Uint32(attr.AcctSessionTime, u.SessionS)
	b.Octets64(attr.AcctInputOctets, attr.AcctInputGigawords, u.In, false)
	b.Octets64(attr.AcctOutputOctets, attr.AcctOutputGigawords, u.Out, false)
	b.Uint32(attr.AcctInputPackets, u.InPackets)
	b.Uint32(attr.AcctOutputPackets, u.OutPackets)
	if ev.Status == attr.AcctStop && ev.Cause != attr.CauseNone {
		b.Uint32(attr.AcctTerminateCause, uint32(ev.Cause))
	}
}
