// Package mutation proves that the simulator bites: a table of small mistakes in
// Meridian's own rules, each with the seed whose run finds it.
//
// It owns the table and the patching. A mutation is text put in the place of
// other text, compiled into the simulator by go build's -overlay:
// product code knows nothing of it. A mutation that no seed finds means that the
// simulator is too weak there; then the auditor or the faults get stronger, never
// the mutation weaker.
package mutation

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Edit puts New in the place of Old, which must stand exactly once in File (a
// path from the root of the repository).
type Edit struct{ File, Old, New string }

// Disks is the world in which regions lose their disks.
const Disks = "disks"

// Mutation is a mistake and what must find it.
type Mutation struct {
	Name   string
	Breaks string // the rule that does not hold any more
	Seed   uint64 // of the run that finds it
	Caught string // a part of what the run must say
	World  string // of the run: "" = sim.Default, Disks = sim.Calamities
	Edits  []Edit
}

// Apply returns the patched text of each file of the mutation, by its path.
// Errors: a file that cannot be read; an Old that does not stand there once.
func (m *Mutation) Apply(root string) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range m.Edits {
		text, ok := out[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, fmt.Errorf("mutation %s: %w", m.Name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("mutation %s: %q stands %d times in %s: rewrite the edit for the rule as it is now", m.Name, e.Old, n, e.File)
		}
		out[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return out, nil
}
