package store

import (
	"errors"
	"fmt"
)

// Cause is why the database cannot do what it is asked, by a name for metrics,
// status and the regions.
type Cause string

// The causes.
const (
	Down       Cause = "down"       // not reachable, starting, stopping, or its disk fails
	ReadOnly   Cause = "read_only"  // it answers, but takes no writes
	Full       Cause = "full"       // no space is left on its disk
	Overloaded Cause = "overloaded" // out of connections or memory, or a statement took too long
	Contended  Cause = "contended"  // others held the same rows for too long
)

// Causes lists all, so that each has its series before it happens.
func Causes() []Cause { return []Cause{Down, ReadOnly, Full, Overloaded, Contended} }

// UnavailableError is ErrUnavailable with its cause. Nothing of the transaction
// took effect: it may be repeated.
type UnavailableError struct {
	Cause Cause
	Err   error
}

// Error names the cause.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%v (%s): %v", ErrUnavailable, e.Cause, e.Err)
}

// Unwrap gives what the database said.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Is makes it ErrUnavailable.
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// CauseOf is the cause of an error that is ErrUnavailable, "" of any other.
func CauseOf(err error) Cause {
	var u *UnavailableError
	switch {
	case errors.As(err, &u):
		return u.Cause
	case errors.Is(err, ErrUnavailable):
		return Down
	}
	return ""
}
