// Package alarm keeps what is wrong at this moment: named alarms, each with its
// reason and since when.
//
// It owns raising, holding and clearing, and logs each of these once. It does not
// know what is watched: a composition root defines the alarms, looks at the
// figures of its parts at short intervals, and tells the Board what it found. The
// parts themselves count in plain fields and know no alarms.
//
// Each alarm has a page of its name in ops/runbooks.
package alarm

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"
)

// Severity says how soon a person has to look.
type Severity string

// The severities.
const (
	Warning  Severity = "warning"  // within the day: something is lost of reserve or comfort
	Critical Severity = "critical" // now: subscribers or the books are touched, or soon will be
)

// Definition describes an alarm.
type Definition struct {
	Name     string // lower case with underscores; the runbook's and the metric label's name
	Severity Severity
	Means    string // one sentence for an operator
	// Hold keeps the alarm up for this long after its problem was last seen, so that
	// what comes and goes is one alarm and not many. The Board must be told of the
	// absence after that, or the alarm stays.
	Hold time.Duration
}

// Alarm is a defined alarm and its state.
type Alarm struct {
	Name     string     `json:"name"`
	Severity Severity   `json:"severity"`
	Means    string     `json:"means"`
	Active   bool       `json:"active"`
	Since    *time.Time `json:"since,omitempty"`  // when it was raised; nil while it is not active
	Detail   string     `json:"detail,omitempty"` // what was found last
	Raised   uint64     `json:"raised"`           // times since the process began
}

// Board holds the alarms of one process. Its methods may be called from several
// goroutines.
type Board struct {
	now func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	slots []slot // in the order of definition
	index map[string]int
}

type slot struct {
	def    Definition
	alarm  Alarm
	lastly time.Time // when the problem was last seen
}

var name = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// New returns a Board on which nothing is raised. It reports every fault of the
// definitions at once.
func New(now func() time.Time, log *slog.Logger, definitions ...Definition) (*Board, error) {
	b := &Board{now: now, log: log, index: make(map[string]int, len(definitions))}
	var faults []error
	for i, d := range definitions {
		if !name.MatchString(d.Name) || d.Means == "" || d.Hold < 0 {
			faults = append(faults, fmt.Errorf("alarm %d %q: give a name of a-z, 0-9 and _, its meaning, and a hold of zero or more", i, d.Name))
		}
		if d.Severity != Warning && d.Severity != Critical {
			faults = append(faults, fmt.Errorf("alarm %q: severity %q: use %q or %q", d.Name, d.Severity, Warning, Critical))
		}
		if _, twice := b.index[d.Name]; twice {
			faults = append(faults, fmt.Errorf("alarm %q is defined twice", d.Name))
		}
		b.index[d.Name] = i
		b.slots = append(b.slots, slot{def: d, alarm: Alarm{Name: d.Name, Severity: d.Severity, Means: d.Means}})
	}
	return b, errors.Join(faults...)
}

// Set tells what was found of an alarm's subject: a problem raises the alarm or
// renews its detail, nil clears it once its hold is over. The name must be a
// defined one. problem becomes public at the status page and in the log: it must
// hold no secret.
func (b *Board) Set(name string, problem error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := b.index[name]
	if !ok {
		panic(fmt.Sprintf("alarm: %q is set and was never defined", name))
	}
	s, now := &b.slots[i], b.now()
	if problem == nil {
		b.clear(s, now)
		return
	}
	s.lastly, s.alarm.Detail = now, problem.Error()
	if s.alarm.Active {
		return
	}
	since := now.UTC()
	s.alarm.Active, s.alarm.Since = true, &since
	s.alarm.Raised++
	say := b.log.Warn
	if s.def.Severity == Critical {
		say = b.log.Error
	}
	say("alarm raised", "alarm", s.def.Name, "severity", string(s.def.Severity), "means", s.def.Means, "detail", s.alarm.Detail)
}

func (b *Board) clear(s *slot, now time.Time) {
	if !s.alarm.Active || now.Sub(s.lastly) < s.def.Hold {
		return
	}
	b.log.Info("alarm cleared", "alarm", s.def.Name, "after", now.Sub(*s.alarm.Since).Round(time.Millisecond))
	s.alarm.Active, s.alarm.Since, s.alarm.Detail = false, nil, ""
}

// All returns every alarm in the order of definition.
func (b *Board) All() []Alarm {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Alarm, 0, len(b.slots))
	for _, s := range b.slots {
		out = append(out, s.alarm)
	}
	return out
}

// Active returns the raised alarms: critical ones first, else in the order of
// definition.
func (b *Board) Active() []Alarm {
	out := slices.DeleteFunc(b.All(), func(a Alarm) bool { return !a.Active })
	slices.SortStableFunc(out, func(x, y Alarm) int { return rank(x) - rank(y) })
	return out
}

func rank(a Alarm) int {
	if a.Severity == Critical {
		return 0
	}
	return 1
}
