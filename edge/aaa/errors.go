package aaa

import "errors"

// Faults of the use of a [Handler] or of [Effects].
var (
	ErrStarted = errors.New("was already started")
	ErrClosed  = errors.New("is closed")
)
