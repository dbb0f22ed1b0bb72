package chaos

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestProductHasNoControl: what makes a clock wrong and a disk fail is in the build
// with the tag alone.
func TestProductHasNoControl(t *testing.T) {
	for name, want := range map[string]bool{"meridian": false, "meridian-chaos": true} {
		binary, err := os.ReadFile(filepath.Join(os.Getenv(binaryVar), name))
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range []string{"CHAOS_CONTROL_SOCKET", "main.(*testFaults).hook", "main.(*testFaults).serve"} {
			if got := bytes.Contains(binary, []byte(mark)); got != want {
				t.Errorf("%s holds %q: %v, want %v", name, mark, got, want)
			}
		}
	}
}
