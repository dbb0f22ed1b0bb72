package alarm

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func board(t *testing.T) (*Board, *time.Time, *bytes.Buffer) {
	t.Helper()
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	b, err := New(func() time.Time { return now }, slog.New(slog.NewTextHandler(&out, nil)),
		Definition{Name: "slow_disk", Severity: Warning, Means: "The disk is slow.", Hold: 10 * time.Second},
		Definition{Name: "no_leader", Severity: Critical, Means: "Nobody leads."})
	if err != nil {
		t.Fatal(err)
	}
	return b, &now, &out
}

func TestRaisedHeldCleared(t *testing.T) {
	b, now, out := board(t)
	raised := *now
	for i, step := range []struct {
		after   time.Duration
		problem error
		active  bool
		detail  string
		lines   int // of the log so far
	}{
		{0, nil, false, "", 0},
		{0, errors.New("fsync took 3 s"), true, "fsync took 3 s", 1},
		{5 * time.Second, errors.New("fsync took 4 s"), true, "fsync took 4 s", 1},
		{9 * time.Second, nil, true, "fsync took 4 s", 1},
		{time.Second, nil, false, "", 2},
		{time.Second, nil, false, "", 2},
		{time.Second, errors.New("again"), true, "again", 3},
	} {
		*now = now.Add(step.after)
		b.Set("slow_disk", step.problem)
		a := b.All()[0]
		if a.Active != step.active || a.Detail != step.detail || (a.Since != nil) != step.active {
			t.Fatalf("step %d: %+v", i, a)
		}
		if i == 3 && !a.Since.Equal(raised) {
			t.Errorf("raised at %s, since is %s", raised, a.Since)
		}
		if lines := strings.Count(out.String(), "\n"); lines != step.lines {
			t.Errorf("step %d: %d lines are logged, want %d:\n%s", i, lines, step.lines, out)
		}
	}
	if a := b.All()[0]; a.Raised != 2 {
		t.Errorf("raised %d times, want 2", a.Raised)
	}
}

func TestActiveNamesTheCriticalFirst(t *testing.T) {
	b, _, out := board(t)
	b.Set("slow_disk", errors.New("slow"))
	b.Set("no_leader", errors.New("silence"))
	active := b.Active()
	if len(active) != 2 || active[0].Name != "no_leader" || active[1].Name != "slow_disk" {
		t.Errorf("active: %+v", active)
	}
	if !strings.Contains(out.String(), "level=ERROR msg=\"alarm raised\" alarm=no_leader") || !strings.Contains(out.String(), "level=WARN") {
		t.Errorf("logged:\n%s", out)
	}
	b.Set("no_leader", nil)
	if active = b.Active(); len(active) != 1 {
		t.Errorf("active: %+v", active)
	}
}

func TestFaultyDefinitionsAreNamed(t *testing.T) {
	_, err := New(time.Now, slog.New(slog.DiscardHandler),
		Definition{Name: "Loud", Severity: Warning, Means: "x"}, Definition{Name: "a", Severity: "mild", Means: "x"},
		Definition{Name: "a", Severity: Warning, Means: "x", Hold: -1})
	for _, want := range []string{`"Loud"`, `"mild"`, "twice", "hold"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, does not say %q", err, want)
		}
	}
}

func TestRise(t *testing.T) {
	var r Rise
	for i, step := range []struct {
		name  string
		value uint64
		want  uint64
	}{{"a", 0, 0}, {"b", 3, 3}, {"a", 2, 2}, {"b", 3, 0}, {"a", 1, 1}, {"a", 5, 4}} {
		if got := r.By(step.name, step.value); got != step.want {
			t.Errorf("step %d: %s rose by %d, want %d", i, step.name, got, step.want)
		}
	}
}
