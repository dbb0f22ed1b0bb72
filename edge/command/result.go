package command

import "meridian/internal/canon"

// Code is the outcome of a command, stable on the wire.
type Code uint8

// Codes of results. A code other than OK changed nothing but what it says.
const (
	OK            Code = iota
	Repeated           // counted before; nothing changed
	Quarantined        // acknowledged and recorded, not charged
	Overloaded         // backlog bound: not taken, do not acknowledge
	Refused            // an authorization was refused; Reason says why
	OutOfOrder         // a feed row, epoch or acknowledgement that does not follow
	NotConfigured      // the region has no policy yet
)

// Reason says why an authorization was refused.
type Reason uint8

// Reasons.
const (
	ReasonNone Reason = iota
	ReasonUnknown
	ReasonTerminated
	ReasonBarred
	ReasonUnpaid
	ReasonNoBalance
	ReasonSessionLimit
	ReasonBacklog
	ReasonNoOffering
	ReasonFenced
	ReasonDestination
	ReasonBarredZone
	ReasonEventTime
	ReasonEventsFull
)

// String returns the reason in words that may be logged.
func (r Reason) String() string {
	names := [...]string{"", "unknown subscriber", "terminated", "barred", "period not paid", "balance used up",
		"session limit reached", "region's backlog is full", "no valid offering", "region waits for a new epoch", "destination cannot be called", "calls to the destination are barred", "event is too old, in the future, or may have been sold in the epoch before", "region remembers as many sales as it may"}
	return names[min(int(r), len(names)-1)]
}

// Result is what Apply answers to any command; the fields that a command does
// not use are zero. LimitUnits is what a session may use in all: octets or
// seconds by Seconds.
type Result struct {
	Code       Code
	Reason     Reason
	LimitUnits int64
	Seconds    bool
}

// Encode returns the result's canonical bytes.
func (r Result) Encode() []byte {
	var w canon.Writer
	w.Byte(byte(r.Code))
	w.Byte(byte(r.Reason))
	w.Varint(r.LimitUnits)
	w.Bool(r.Seconds)
	return w.B
}

// DecodeResult reads what Encode wrote.
func DecodeResult(b []byte) (Result, error) {
	r := canon.NewReader(b)
	res := Result{Code: Code(r.Byte()), Reason: Reason(r.Byte()), LimitUnits: r.Varint(), Seconds: r.Bool()}
	return res, r.Close()
}
