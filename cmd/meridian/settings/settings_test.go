package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantFaults(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no fault, want %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not named in:\n%v", part, err)
		}
	}
}

func TestEdgeFaultsComeTogether(t *testing.T) {
	path := write(t, "region: north\nradius_auth: here\npolicy:\n  cut_age: 1500ms\nlog:\n  level: loud\n")
	_, _, err := LoadEdge(path)
	wantFaults(t, err, path, "radius_auth", `"here"`, "radius_acct", "policy.cut_age", "1.5s", "identity", "data_ring_file", "region_ring_file", "gossip_key_file", `"loud"`)
}

func TestCentralFaultsComeTogether(t *testing.T) {
	path := write(t, "region_ring_files:\n  north: missing.ring\nbootstrap_token_file: missing.token\n")
	_, _, err := LoadCentral(path)
	wantFaults(t, err, path, "store_url", "identity", "region_ring_files.north", "missing.ring", "bootstrap_token_file")
	path = write(t, "store_url: a\nstore_url_file: b\n")
	_, _, err = LoadCentral(path)
	wantFaults(t, err, "keep one of them")
}

func TestUnknownFieldIsNamed(t *testing.T) {
	_, _, err := LoadEdge(write(t, "region: north\nnod: north-1\n"))
	wantFaults(t, err, "nod", "--print-defaults")
	_, _, err = LoadCentral(write(t, "http: [1, 2\n"))
	wantFaults(t, err, "--print-defaults")
	_, _, err = LoadEdge(filepath.Join(t.TempDir(), "none.yaml"))
	wantFaults(t, err, "none.yaml", "--config")
}

// TestDefaultsLoad reads what --print-defaults prints: every field is known, and
// only what has no default is a fault.
func TestDefaultsLoad(t *testing.T) {
	for name, c := range map[string]struct {
		defaults interface{ Describe() ([]byte, error) }
		load     func(string) error
	}{
		"central": {DefaultCentral(), func(p string) error { _, _, err := LoadCentral(p); return err }},
		"edge":    {DefaultEdge(), func(p string) error { _, _, err := LoadEdge(p); return err }},
	} {
		text, err := c.defaults.Describe()
		if err != nil {
			t.Fatal(err)
		}
		checkComments(t, name, string(text))
		err = c.load(write(t, string(text)))
		wantFaults(t, err, "identity")
		if strings.Contains(err.Error(), "unknown field") || strings.Contains(err.Error(), "policy") || strings.Contains(err.Error(), "log:") {
			t.Errorf("%s: the defaults are faulty: %v", name, err)
		}
	}
}

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for _, c := range []struct {
		text  string
		mode  os.FileMode
		want  string
		fault string
	}{
		{"hush\n", 0o600, "hush", ""},
		{"hush", 0o644, "", "chmod 600"},
		{"", 0o600, "", "one line"},
		{"a\nb\n", 0o600, "", "one line"},
		{strings.Repeat("a", 5000), 0o600, "", "5000"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := secret(path)
		if got != c.want || (err == nil) != (c.fault == "") || (err != nil && !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%.10q mode %o: %q, %v", c.text, c.mode, got, err)
		}
	}
}

// checkComments wants a comment above every field but those of identity and log,
// which theirs explains.
func checkComments(t *testing.T, name, text string) {
	t.Helper()
	explained, before := false, ""
	for line := range strings.Lines(text) {
		field := strings.TrimSpace(line)
		top := !strings.HasPrefix(line, " ")
		if top {
			explained = strings.HasPrefix(field, "identity:") || strings.HasPrefix(field, "log:")
		}
		if !strings.HasPrefix(field, "#") && !strings.HasPrefix(before, "#") && (top || !explained) {
			t.Errorf("%s: field %q has no comment", name, field)
		}
		before = field
	}
}
