// Package invariant panics on a programmer's error.
package invariant

// Check panics unless cond holds.
func Check(cond bool, what string) {
	if !cond {
		panic(what)
	}
}
