package link

import "errors"

var (
	// ErrSilent: nothing was heard from the other side for too long.
	ErrSilent = errors.New("link: the other side is silent")
	// ErrTakenOver: a newer stream of the same region took this one's place.
	ErrTakenOver = errors.New("link: taken over by a newer stream")
	// ErrProtocol: the other side sent what may not come here.
	ErrProtocol = errors.New("link: protocol violation")
	// ErrSource: the Source broke its contract.
	ErrSource = errors.New("link: source")
	// ErrClosed: the server was closed.
	ErrClosed = errors.New("link: closed")

	// ErrDiverged is what an Applier wraps when the Welcome contradicts its ledger.
	ErrDiverged = errors.New("link: the two ledgers differ")

	errTransport = errors.New("link: transport")
	errApply     = errors.New("link: apply")
)

// Unavailable is a Sink's word that it cannot take in or read for now. Reason is
// a short name that goes to metrics and to the region, such as database_full.
type Unavailable struct {
	Reason string
	Err    error
}

// Error implements error.
func (u *Unavailable) Error() string {
	return "link: the centre cannot take this now: " + u.Reason + ": " + u.Err.Error()
}

// Unwrap gives the cause.
func (u *Unavailable) Unwrap() error { return u.Err }
