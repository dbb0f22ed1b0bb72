// Package fault is the centre's one vocabulary for errors that a caller can do
// something about: a code, the field and value at fault, and the remedy.
//
// Domain packages return faults; the API turns them into its error body and
// shows nothing else to a client. The package does not log and knows no HTTP.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code classes a fault. Values are part of the API.
type Code string

// Codes.
const (
	Invalid         Code = "invalid"         // the request's content; do not repeat unchanged
	Unauthenticated Code = "unauthenticated" // no token, or one that is not known
	Forbidden       Code = "forbidden"       // the role may not do this
	NotFound        Code = "not_found"       // something that the request names does not exist
	Exists          Code = "exists"          // the id or login is taken
	Conflict        Code = "conflict"        // the idempotency key was used with another body, or a state forbids it
	TooLarge        Code = "too_large"       // the body or batch is beyond its limit
	Unavailable     Code = "unavailable"     // the store cannot be reached or the outcome is unknown; repeat with the same key
	Internal        Code = "internal"        // a defect here
)

// Error is one fault.
type Error struct {
	Code    Code
	Message string
	Field   string // path in the request, "" when none is at fault
	Value   string // the value found, never a secret
	Remedy  string // what the caller can do
}

// Error writes message, field, value and remedy in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Field != "" {
		fmt.Fprintf(&b, " (%s", e.Field)
		if e.Value != "" {
			fmt.Fprintf(&b, " is %q", e.Value)
		}
		b.WriteByte(')')
	}
	if e.Remedy != "" {
		b.WriteString(": " + e.Remedy)
	}
	return b.String()
}

// maxValue bounds how much of a faulty value is repeated to its sender.
const maxValue = 120

// New builds a fault.
func New(code Code, field, value, message, remedy string) *Error {
	if len(value) > maxValue {
		value = strings.ToValidUTF8(value[:maxValue], "") + "…"
	}
	return &Error{Code: code, Message: message, Field: field, Value: value, Remedy: remedy}
}

// Bad is a fault of the request's content.
func Bad(field, value, message, remedy string) error {
	return New(Invalid, field, value, message, remedy)
}

// Missing is a fault about a thing that does not exist.
func Missing(field, value, what, remedy string) error {
	return New(NotFound, field, value, what+" does not exist", remedy)
}

// List flattens err into its faults, in order; what is no fault is left out.
// Joined errors are walked in full.
func List(err error) []*Error {
	if err == nil {
		return nil
	}
	if f, ok := err.(*Error); ok {
		return []*Error{f}
	}
	switch u := err.(type) {
	case interface{ Unwrap() []error }:
		var out []*Error
		for _, e := range u.Unwrap() {
			out = append(out, List(e)...)
		}
		return out
	case interface{ Unwrap() error }:
		return List(u.Unwrap())
	}
	return nil
}

// Is tells whether err holds a fault of the code.
func Is(err error, code Code) bool {
	for _, f := range List(err) {
		if f.Code == code {
			return true
		}
	}
	return false
}

// Collector gathers every fault of one request, so that a caller sees all of
// them at once.
type Collector struct{ faults []error }

// Need records a fault of the request's content unless ok.
func (c *Collector) Need(ok bool, field, value, message, remedy string) {
	if !ok {
		c.faults = append(c.faults, Bad(field, value, message, remedy))
	}
}

// Add records err when it is not nil.
func (c *Collector) Add(err error) {
	if err != nil {
		c.faults = append(c.faults, err)
	}
}

// Err joins what was recorded; nil when there is none.
func (c *Collector) Err() error { return errors.Join(c.faults...) }
