package verify

import (
	"fmt"
	"strings"
)

// Finding is the outcome of one check. OK is false when a record contradicts the
// invariant or could not be read. Detail names the first offending record, or
// says what was counted; it starts with "not checked:" when nothing could be.
type Finding struct {
	ID      string `json:"id"`
	OK      bool   `json:"ok"`
	Checked int64  `json:"checked"`
	Detail  string `json:"detail"`
}

// check collects what one invariant finds: the first fault in words, the others
// by number.
type check struct {
	id      string
	checked int64
	faults  int64
	first   string
	notes   []string
}

func (c *check) fail(format string, args ...any) {
	if c.faults == 0 {
		c.first = fmt.Sprintf(format, args...)
	}
	c.faults++
}

func (c *check) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func (c *check) finding() Finding {
	f := Finding{ID: c.id, OK: c.faults == 0, Checked: c.checked}
	notes := strings.Join(c.notes, "; ")
	switch {
	case c.faults > 1:
		f.Detail = fmt.Sprintf("%s (and %d more)", c.first, c.faults-1)
	case c.faults == 1:
		f.Detail = c.first
	case c.checked == 0:
		f.Detail = "not checked: " + notes
	default:
		f.Detail = notes
	}
	return f
}
