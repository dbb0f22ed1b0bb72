package sheet

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a sheet: where, what was found, and what
// to do about it. Line and Column count from 1.
type Fault struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Path   string `json:"path"` // of the field: usage[0].rates[1].price; "" = the document
	Value  string `json:"value,omitempty"`
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// Where is file, line, column and path.
func (f *Fault) Where() string {
	at := fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	if f.Path != "" {
		at += ": " + f.Path
	}
	return at
}

// Error writes place, value, what is wrong and the remedy in one line.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.Where() + ": ")
	if f.Value != "" {
		fmt.Fprintf(&b, "%q ", f.Value)
	}
	b.WriteString(f.What + ": " + f.Remedy)
	return b.String()
}

// Faults is every fault of a sheet in the order of the file: the error of Read.
type Faults []*Fault

// Error writes a line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}

// maxFaults bounds what is reported of one sheet, maxValue what is repeated of a
// value.
const (
	maxFaults = 1000
	maxValue  = 80
)

// sink collects faults of one file.
type sink struct {
	file string
	list Faults
}

func (s *sink) add(line, col int, path, value, what, remedy string) {
	if len(s.list) >= maxFaults {
		return
	}
	if len(value) > maxValue {
		value = strings.ToValidUTF8(value[:maxValue], "") + "…"
	}
	s.list = append(s.list, &Fault{s.file, max(line, 1), max(col, 1), path, value, what, remedy})
}

func (s *sink) at(n *node, path, what, remedy string) {
	s.add(n.line, n.col, path, n.shown(), what, remedy)
}
