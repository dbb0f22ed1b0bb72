package tariff

import (
	"errors"
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with an offering: where, what was found, and
// what to do about it.
type Fault struct {
	Path   string // of the field, as in a file: usage[0].rates[1].price.per
	Value  string
	Remedy string
}

// Error writes path, value and remedy.
func (f *Fault) Error() string { return f.Path + ": " + f.Value + ": " + f.Remedy }

// Faults lists what is wrong, from an error of Validate or of a part that refused
// an offering.
func Faults(err error) []*Fault {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*Fault
		for _, e := range joined.Unwrap() {
			out = append(out, Faults(e)...)
		}
		return out
	}
	var f *Fault
	if errors.As(err, &f) {
		return []*Fault{f}
	}
	return nil
}

// maxFaults bounds what is reported of one offering.
const maxFaults = 100

// check collects faults; at is the path of what is being looked at.
type check struct {
	faults *[]error
	at     string
}

func (c check) in(format string, args ...any) check {
	path := fmt.Sprintf(format, args...)
	if c.at != "" && !strings.HasPrefix(path, "[") {
		path = "." + path
	}
	return check{c.faults, c.at + path}
}

// need reports field with its value when ok is false. An empty field is the
// place itself.
func (c check) need(ok bool, field string, value any, format string, args ...any) {
	if ok || len(*c.faults) >= maxFaults {
		return
	}
	at := c
	if field != "" {
		at = c.in("%s", field)
	}
	*c.faults = append(*c.faults, &Fault{at.at, fmt.Sprint(value), fmt.Sprintf(format, args...)})
}

func oneOf[T comparable](v T, choices ...T) bool {
	for _, c := range choices {
		if v == c {
			return true
		}
	}
	return false
}
