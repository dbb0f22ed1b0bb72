// Package exitcode carries a command's exit status on its error: 0 done, 1 a
// check failed, 2 wrong use, 3 something could not be reached or installed.
//
// It owns the numbers and their meaning. Printing the error is main's work.
package exitcode

import (
	"errors"
	"fmt"
)

// Exit statuses of every command.
const (
	Done        = 0
	Failed      = 1 // a check failed
	Usage       = 2 // wrong flags, arguments or configuration
	Unreachable = 3 // could not reach or install something
)

// Error is an error with an exit status.
type Error struct {
	Code int
	Err  error
}

// Error is the wrapped error's text.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *Error) Unwrap() error { return e.Err }

// Check says that a check failed.
func Check(format string, args ...any) error { return &Error{Failed, fmt.Errorf(format, args...)} }

// Misuse says that the command was used wrongly.
func Misuse(format string, args ...any) error { return &Error{Usage, fmt.Errorf(format, args...)} }

// Missing says that something could not be reached or installed.
func Missing(format string, args ...any) error {
	return &Error{Unreachable, fmt.Errorf(format, args...)}
}

// Of returns the exit status of an error: Usage for one without a status, since
// only the parsing of flags returns such.
func Of(err error) int {
	var e *Error
	switch {
	case err == nil:
		return Done
	case errors.As(err, &e):
		return e.Code
	}
	return Usage
}
