package alerts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []struct {
			Alert       string            `yaml:"alert"`
			Expr        string            `yaml:"expr"`
			For         string            `yaml:"for"`
			Labels      map[string]string `yaml:"labels"`
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found
}

// TestPromtool has promtool check the rules and run their tests.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("%v: run ops/setup.sh, which installs it", err)
	}
	tests := glob(t, "*_test.yml")
	rules := slices.DeleteFunc(glob(t, "*.yml"), func(f string) bool { return slices.Contains(tests, f) })
	for _, args := range [][]string{append([]string{"check", "rules"}, rules...), append([]string{"test", "rules"}, tests...)} {
		if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

var (
	metric  = regexp.MustCompile(`\b(meridian_[a-z_]+|up)\b`)
	listed  = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")
	heading = regexp.MustCompile(`(?m)^## (.+)$`)
	name    = regexp.MustCompile(`Name: "([a-z_]+)", Severity`)
	series  = regexp.MustCompile(`_(bucket|sum|count)$`) // of a histogram
)

// TestAlertsAreWhole: every alert says how urgent it is, has a page, a test, and
// uses only metrics that a process exports.
func TestAlertsAreWhole(t *testing.T) {
	known := map[string]bool{"up": true}
	for _, m := range listed.FindAllStringSubmatch(read(t, "..", "METRICS.md"), -1) {
		known[m[1]] = true
	}
	pages := map[string]bool{} // that something names
	for _, part := range []string{"edge", "central"} {
		// The alarms of the processes; that each has a page is tested beside them.
		for _, m := range name.FindAllStringSubmatch(read(t, "..", "..", part, "alarms.go"), -1) {
			pages[m[1]] = true
		}
		var f ruleFile
		if err := yaml.Unmarshal([]byte(read(t, part+".yml")), &f); err != nil {
			t.Fatal(err)
		}
		tested := read(t, part+"_test.yml")
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if !strings.Contains(tested, "alertname: "+r.Alert+"\n") {
					t.Errorf("%s has no test", r.Alert)
				}
				if s := r.Labels["severity"]; s != "critical" && s != "warning" {
					t.Errorf("%s has the severity %q", r.Alert, s)
				}
				if r.Annotations["summary"] == "" {
					t.Errorf("%s has no summary", r.Alert)
				}
				for _, m := range metric.FindAllString(r.Expr, -1) {
					if !known[m] && !known[series.ReplaceAllString(m, "")] {
						t.Errorf("%s uses %s, which nothing exports", r.Alert, m)
					}
				}
				page := strings.TrimSuffix(strings.TrimPrefix(r.Annotations["runbook"], "ops/runbooks/"), ".md")
				if page == "{{ $labels.alarm }}" {
					continue
				}
				pages[page] = true
				if _, err := os.Stat(filepath.Join("..", "runbooks", page+".md")); err != nil {
					t.Errorf("%s: %v", r.Alert, err)
				}
			}
		}
	}
	for _, path := range glob(t, filepath.Join("..", "runbooks", "*.md")) {
		if page := strings.TrimSuffix(filepath.Base(path), ".md"); !pages[page] {
			t.Errorf("nothing names the page %s", page)
		}
	}
	checkPages(t, known)
}

// checkPages wants the four sections in each page, and only metrics that exist.
func checkPages(t *testing.T, known map[string]bool) {
	for _, path := range glob(t, filepath.Join("..", "runbooks", "*.md")) {
		text := read(t, path)
		var got []string
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, "|") != "What it means|What the subscriber notices|What to look at|What to do" {
			t.Errorf("%s has the sections %q", path, got)
		}
		for _, m := range metric.FindAllString(text, -1) {
			if m != "up" && !known[m] {
				t.Errorf("%s names %s, which nothing exports", path, m)
			}
		}
	}
}
