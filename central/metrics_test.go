package central

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/ops/metrics"
)

var update = flag.Bool("update", false, "write ops/METRICS.md")

// TestMetricsAreDocumented: ops/METRICS.md says what is described. That this is what
// a running server exports, TestServer shows.
func TestMetricsAreDocumented(t *testing.T) {
	path := filepath.Join("..", "ops", "METRICS.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, table, after, err := metrics.Section(string(text), "meridian_central_")
	if err != nil {
		t.Fatal(err)
	}
	rows := metrics.Rows("meridian_central", nil, described())
	if want := metrics.Table(rows); *update {
		if err := os.WriteFile(path, []byte(before+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if table != want {
		t.Errorf("ops/METRICS.md is not what is described; run with -update. It should be:\n%s", want)
	}
	allowed := []string{"alarm", "cause", "class", "code", "node", "region", "severity", "state"}
	for _, r := range rows {
		for _, l := range r.Labels {
			if !slices.Contains(allowed, l) {
				t.Errorf("%s has the label %q: a label names a part of the system, never a subscriber", r.Name, l)
			}
		}
	}
}

// TestAlarmsHaveRunbooks wants a page for each alarm.
func TestAlarmsHaveRunbooks(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	if err := s.openAlarms(); err != nil {
		t.Fatal(err)
	}
	for _, a := range s.alarms.All() {
		if _, err := os.Stat(filepath.Join("..", "ops", "runbooks", a.Name+".md")); err != nil {
			t.Errorf("alarm %s has no runbook: %v", a.Name, err)
		}
	}
}

// TestCertificateExpiring tells when it is time for a new one.
func TestCertificateExpiring(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	for _, c := range []struct {
		left time.Duration
		want bool
	}{{15 * 24 * time.Hour, false}, {13 * 24 * time.Hour, true}, {-time.Hour, true}} {
		s.expires = time.Now().Add(c.left)
		err := s.certificateExpiring(t.Context())
		if (err != nil) != c.want || (err != nil && !strings.Contains(err.Error(), "issue a new one")) {
			t.Errorf("%s left: %v", c.left, err)
		}
	}
}
