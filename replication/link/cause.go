package link

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Cause is why there is no stream, or why one ended. Its name is what metrics,
// status and alarms show; a refusal's Code and an Unavailable's Reason say more.
type Cause int

// The causes. Names are part of the metrics; the numbers are not.
const (
	CauseNone        Cause = iota // nothing is wrong, or it was ended on purpose
	CauseUnreachable              // no connection to any server of the centre
	CauseIdentity                 // a certificate was not accepted, by us or by them
	CauseLost                     // the connection broke without a word
	CauseSilent                   // the connection stands, but nothing was heard for too long
	CauseTimeout                  // no Welcome in time
	CauseTakenOver                // a newer stream of the region took the place
	CauseStopping                 // the centre's server was stopped
	CauseUnavailable              // the centre cannot take in or read for now
	CauseRefused                  // the centre refused; the Code says why
	CauseProtocol                 // the other side sent what may not come
	CauseDiverged                 // the centre's ledger of the region is not the region's
	CauseSource                   // the region cannot read its own ledger
	CauseApplier                  // the region cannot record what came down
	causes
)

// String is the cause as it is written in metrics and status.
func (c Cause) String() string {
	names := [causes]string{
		"none", "unreachable", "identity", "lost", "silent", "timeout", "taken_over", "stopping",
		"unavailable", "refused", "protocol", "diverged", "source", "applier",
	}
	if c < 0 || c >= causes {
		return fmt.Sprintf("cause_%d", int(c))
	}
	return names[c]
}

// Causes lists all, so that each has its series before it happens.
func Causes() []Cause {
	out := make([]Cause, 0, causes-1)
	for c := CauseNone + 1; c < causes; c++ {
		out = append(out, c)
	}
	return out
}

// causeNamed is the reverse of String, CauseNone for what this version does not know.
func causeNamed(name string) Cause {
	for _, c := range Causes() {
		if c.String() == name {
			return c
		}
	}
	return CauseNone
}

// Trailers that tell the region why the centre ended its stream. They only grow:
// an older region reads the status alone.
const (
	trailerCause  = "meridian-cause"
	trailerReason = "meridian-reason"
)

// ended is the server's judgement of how a stream ended.
func ended(err error) (c Cause, reason string) {
	var refused *Refused
	var unavailable *Unavailable
	switch {
	case err == nil:
		return CauseNone, ""
	case errors.As(err, &refused):
		return CauseRefused, refused.Code.String()
	case errors.As(err, &unavailable):
		return CauseUnavailable, unavailable.Reason
	case errors.Is(err, ErrTakenOver):
		return CauseTakenOver, ""
	case errors.Is(err, ErrSilent):
		return CauseSilent, ""
	case errors.Is(err, ErrClosed):
		return CauseStopping, ""
	case errors.Is(err, ErrProtocol):
		return CauseProtocol, ""
	case errors.Is(err, context.DeadlineExceeded):
		return CauseTimeout, ""
	case errors.Is(err, errTransport), errors.Is(err, context.Canceled):
		return CauseLost, ""
	}
	return CauseUnavailable, "internal"
}

// trailer is what a region is told besides the status.
func trailer(c Cause, reason string) metadata.MD {
	md := metadata.Pairs(trailerCause, c.String())
	if reason != "" {
		md.Append(trailerReason, reason)
	}
	return md
}

// lost is the client's judgement of why it has no stream; told is the trailer of
// the stream that ended, nil when there was none.
func lost(err error, told metadata.MD) (c Cause, reason string) {
	var refused *Refused
	switch {
	case err == nil, errors.Is(err, context.Canceled) && status.Code(err) == codes.Unknown:
		return CauseNone, ""
	case errors.As(err, &refused):
		return CauseRefused, refused.Code.String()
	case errors.Is(err, ErrDiverged):
		return CauseDiverged, ""
	case errors.Is(err, ErrSilent):
		return CauseSilent, ""
	case errors.Is(err, ErrSource):
		return CauseSource, ""
	case errors.Is(err, errApply):
		return CauseApplier, ""
	case errors.Is(err, ErrProtocol):
		return CauseProtocol, ""
	case errors.Is(err, context.DeadlineExceeded):
		return CauseTimeout, ""
	}
	if names := told.Get(trailerCause); len(names) > 0 {
		if c := causeNamed(names[0]); c != CauseNone {
			return c, strings.Join(told.Get(trailerReason), " ")
		}
	}
	// gRPC keeps the text of a transport's failure only.
	text := err.Error()
	switch {
	case strings.Contains(text, "tls: "), strings.Contains(text, "x509: "), status.Code(err) == codes.Unauthenticated:
		return CauseIdentity, ""
	case strings.Contains(text, "Error while dialing"):
		return CauseUnreachable, ""
	case status.Code(err) == codes.DeadlineExceeded:
		return CauseTimeout, ""
	}
	return CauseLost, ""
}
