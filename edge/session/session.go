// Package session is the meter of a session: it turns the cumulative counters
// that a NAS reports into deltas, whatever is repeated, reordered or wrapped.
//
// It owns the rules of counters and of finding a session by its start. It does
// not price, charge or store anything.
package session

import "math"

// StartTolerance is how far two computed starts of one session may lie apart,
// in seconds: clocks of NAS and node, and delay before a packet was stamped.
const StartTolerance = 30

// MaxOctetsPerSecond bounds what a wrapped counter may imply where the line's
// speed is not known (10 Gbit/s).
const MaxOctetsPerSecond = 1_250_000_000

// Speed is the most octets a second that a session can carry, 0 = not known. In is
// from the subscriber, as in Report.
type Speed struct{ In, Out uint64 }

// MaxOctets is more than any session can carry; a counter above it is not taken.
const MaxOctets = 1 << 60

// Report is what one accounting packet says of a session. In and Out include
// Gigawords when Giga is set; otherwise they are the 32-bit attributes alone
// (RFC 2866 sections 5.3, 5.4; RFC 2869 sections 5.1, 5.2).
type Report struct {
	Event   int64 // Unix seconds
	Seconds int64 // Acct-Session-Time, −1 when absent
	In, Out uint64
	Giga    bool
}

// Start is when the session began by this report: event time − session time.
func (r Report) Start() int64 { return r.Event - max(r.Seconds, 0) }

// Meter is the newest state of a session's counters. They never go down.
type Meter struct {
	In, Out uint64
	Seconds int64
	Event   int64 // event time of the newest report
}

// Delta is what a report added, and how it was taken.
type Delta struct {
	In, Out uint64
	Seconds int64
	Outcome Outcome
}

// Outcome classifies a report.
type Outcome uint8

// Outcomes: counted as progress; a repetition or late report that adds nothing;
// counters that went down without a plausible wrap, which add nothing.
const (
	Counted Outcome = iota
	Repeated
	Implausible
)

// Advance takes a report of the session that began at start and returns what it
// adds. Late and repeated reports add nothing; a 32-bit counter that went down
// in a newer report is taken as wrapped if the line could have carried that much.
func (m *Meter) Advance(start int64, r Report, line Speed) Delta {
	seconds := r.Seconds
	if seconds < 0 {
		seconds = max(r.Event-start, 0)
	}
	newer := seconds > m.Seconds
	elapsed := max(seconds-m.Seconds, 0)
	late := seconds < m.Seconds
	in, okIn := counter(m.In, r.In, r.Giga, newer, late, carried(line.In, elapsed))
	out, okOut := counter(m.Out, r.Out, r.Giga, newer, late, carried(line.Out, elapsed))
	d := Delta{In: in - m.In, Out: out - m.Out, Seconds: elapsed}
	m.In, m.Out, m.Seconds = in, out, max(m.Seconds, seconds)
	m.Event = max(m.Event, r.Event)
	switch {
	case !okIn || !okOut:
		d.Outcome = Implausible
	case d.In == 0 && d.Out == 0 && !newer:
		d.Outcome = Repeated
	}
	return d
}

// carried is the most octets in so many seconds, with the tolerance of clocks.
func carried(perSecond uint64, elapsed int64) uint64 {
	if perSecond == 0 || perSecond > MaxOctetsPerSecond {
		perSecond = MaxOctetsPerSecond
	}
	return uint64(min(elapsed+StartTolerance, 1<<30)) * perSecond
}

// counter returns the new cumulative value of one direction, and false when the
// report contradicts the old one. most is what can have been added since.
func counter(old, reported uint64, giga, newer, late bool, most uint64) (uint64, bool) {
	if reported > MaxOctets {
		return old, false
	}
	if !giga && reported <= math.MaxUint32 && old > math.MaxUint32 {
		if late { // from before, perhaps from before a wrap: its high half is not known
			return old, true
		}
		reported |= old &^ math.MaxUint32
	}
	if reported >= old {
		return reported, true
	}
	if !newer {
		return old, true
	}
	if !giga {
		if wrapped := reported + 1<<32; wrapped-old <= most {
			return wrapped, true
		}
	}
	return old, false
}

// SameStart tells whether two computed starts belong to one session.
func SameStart(a, b int64) bool { return a-b <= StartTolerance && b-a <= StartTolerance }
