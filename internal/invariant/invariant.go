// Package invariant checks what only a programmer's error can break.
//
// It owns one thing: a check that is always on and panics. It does not judge
// input: bad input is returned as an error by whoever reads it.
package invariant

import "fmt"

// Check panics with the formatted message when cond is false.
func Check(cond bool, format string, args ...any) {
	if !cond {
		panic("invariant broken: " + fmt.Sprintf(format, args...))
	}
}
