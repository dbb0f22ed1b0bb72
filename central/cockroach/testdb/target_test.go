package testdb

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCockroachTargetSaysWhatIsMissing: without a binary the target does not pass,
// and does not pretend to have tested anything.
func TestCockroachTargetSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("#!/bin/sh\nexit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, binary, says string }{
		{"not set", "", "COCKROACH_BINARY is not set"},
		{"no such file", "/no/such/cockroach", "/no/such/cockroach is not an executable file"},
		{"a directory", dir, "is not an executable file"},
		{"not executable", text, "is not an executable file"},
		{"another program", other, "does not answer 'version'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command("../../../ops/test-cockroach.sh")
			for _, v := range os.Environ() {
				if !strings.HasPrefix(v, "COCKROACH_BINARY=") {
					cmd.Env = append(cmd.Env, v)
				}
			}
			if c.binary != "" {
				cmd.Env = append(cmd.Env, "COCKROACH_BINARY="+c.binary)
			}
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 3 {
				t.Errorf("ended with %v, want exit status 3", err)
			}
			for _, want := range []string{c.says, "make test-cockroach COCKROACH_BINARY="} {
				if !strings.Contains(string(out), want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
		})
	}
}
