package settings

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	File  string // empty when the value came from the environment
	Line  int    // in File, from 1; 0 when the field is not there
	Field string // its path: policy.cut_age, peers[1].raft; or the variable's name
	Value string // as written, empty when there is none or it may be a secret
	// Problem says what is wrong and what to do.
	Problem string

	path string // of the field, when Field names a variable
}

// Error implements error: edge.yaml:12: policy.cut_age: "1500ms": write whole seconds.
func (f *Fault) Error() string {
	var b strings.Builder
	switch {
	case f.File == "":
		b.WriteString("environment: ")
	case f.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	default:
		b.WriteString(f.File + ": ")
	}
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	if f.Value != "" {
		fmt.Fprintf(&b, "%q: ", shorten(f.Value))
	}
	return b.String() + f.Problem
}

// shorten keeps one faulty value from filling the screen.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// maxFaults bounds what is told of one file: a person who has mended so many runs
// it again.
const maxFaults = 100

// faults gathers what is wrong with one configuration.
type faults struct {
	file  string
	found []*Fault
}

func (fs *faults) add(f Fault) { fs.found = append(fs.found, &f) }

// err is all faults in the order of the file, nil when there are none.
func (fs *faults) err() error {
	line := func(f *Fault) int {
		if f.Line == 0 {
			return math.MaxInt // what is missing comes last
		}
		return f.Line
	}
	slices.SortStableFunc(fs.found, func(a, b *Fault) int { return cmp.Compare(line(a), line(b)) })
	var out []error
	for i, f := range fs.found {
		if i == maxFaults {
			out = append(out, fmt.Errorf("%s: %d faults more", fs.file, len(fs.found)-i))
			break
		}
		out = append(out, f)
	}
	return errors.Join(out...)
}

// nearest finds the name that was probably meant, empty when none is near.
func nearest(name string, names []string) string {
	best, at := "", max(len(name)/3, 1)+1
	for _, n := range names {
		if d := distance(name, n); d < at {
			best, at = n, d
		}
	}
	return best
}

// distance counts the single letters to change, add or drop (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
