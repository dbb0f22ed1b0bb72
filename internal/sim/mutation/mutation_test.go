package mutation

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	search = flag.Uint64("search", 0, "look for the first seed up to this one that finds each mutation, beside the recorded one")
	update = flag.Bool("update", false, "with -search: write the seeds that were found into table.go")
)

// atOnce is how many mutants are built and run at a time: each build is a
// compiler and a linker of its own.
const atOnce = 2

// Every mutation is found by the run of its recorded seed, and by what should
// find it.
func TestMutations(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, atOnce)
	for _, m := range Table() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			run(t, root, &m)
		})
	}
}

func run(t *testing.T, root string, m *Mutation) {
	binary := build(t, root, m)
	if *search == 0 {
		if said, failed := play(t, binary, "-test.run=^TestSeed$", "-seed="+strconv.FormatUint(m.Seed, 10)); !failed || !strings.Contains(said, m.Caught) {
			t.Errorf("%s: the run of seed %d does not find it, or not by %q; look for another: go test ./internal/sim/mutation -run 'TestMutations/%s$' -search 500 -update\nit says: %s",
				m.Breaks, m.Seed, m.Caught, m.Name, said)
		}
		return
	}
	said, failed := play(t, binary, "-test.run=^TestSeeds$", "-seeds="+strconv.FormatUint(*search, 10), "-until="+m.Caught)
	found := regexp.MustCompile(`seed (\d+): `).FindStringSubmatch(said)
	if !failed || found == nil {
		t.Errorf("%s: no seed up to %d finds it by %q: the simulator is too weak there\n%s", m.Breaks, *search, m.Caught, said)
		return
	}
	t.Logf("seed %s: %s", found[1], firstLine(said))
	if seed, err := strconv.ParseUint(found[1], 10, 64); err != nil {
		t.Fatal(err)
	} else if *update {
		record(t, m.Name, seed)
	}
}

// build compiles the simulator's test binary with the mutation in it. What the
// mutation does not touch comes from the build cache.
func build(t *testing.T, root string, m *Mutation) string {
	t.Helper()
	files, err := m.Apply(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range files {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[filepath.Join(root, file)] = to
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sim.test")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-p=1", "-ldflags=-s -w", "-overlay", list, "-o", binary, "./internal/sim")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", m.Name, err, out)
	}
	return binary
}

// play runs the binary and tells what it said and whether it failed.
func play(t *testing.T, binary string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	cmd.Dir = filepath.Dir(binary)
	out, err := cmd.CombinedOutput()
	if len(out) > 3000 {
		out = out[:3000]
	}
	return string(out), err != nil
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if strings.Contains(line, "seed ") {
			return strings.TrimSpace(line)
		}
	}
	return s
}

// record writes a seed into the table.
func record(t *testing.T, name string, seed uint64) {
	tableLock <- struct{}{}
	defer func() { <-tableLock }()
	b, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(fmt.Sprintf(`(Name: %q,.* Seed: )\d+`, name))
	if !line.Match(b) {
		t.Fatalf("table.go has no line of %s with a seed", name)
	}
	b = line.ReplaceAll(b, fmt.Appendf(nil, "${1}%d", seed))
	if err := os.WriteFile("table.go", b, 0o600); err != nil {
		t.Fatal(err)
	}
}

var tableLock = make(chan struct{}, 1)

// An edit whose text is gone is refused by name: a mutation that changes nothing
// would prove nothing.
func TestAnEditThatDoesNotFitIsRefused(t *testing.T) {
	m := Mutation{Name: "stale", Edits: []Edit{{"go.mod", "no such text", ""}}}
	if _, err := m.Apply("../../.."); err == nil || !strings.Contains(err.Error(), "mutation stale") {
		t.Fatalf("got %v", err)
	}
}

// Every edit fits the rules as they are now; this takes no build.
func TestEveryEditFits(t *testing.T) {
	for _, m := range Table() {
		if _, err := m.Apply("../../.."); err != nil {
			t.Error(err)
		}
	}
}
