package mutation

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	first, last := m.Seed, m.Seed
	if *search > 0 {
		first, last = 1, *search
	}
	said, found := play(t, binary, first, last, m.Caught, m.World)
	if !found {
		t.Errorf("%s: no seed from %d to %d finds it by %q; look for one: go test ./internal/sim/mutation -run 'TestMutations/%s$' -search 500 -update\n%s",
			m.Breaks, first, last, m.Caught, m.Name, said)
		return
	}
	t.Log(strings.SplitN(said, "\n", 2)[0])
	if *update && *search > 0 {
		seed := regexp.MustCompile(`^seed (\d+): `).FindStringSubmatch(said)
		if seed == nil {
			t.Fatalf("no seed in %q", said)
		}
		record(t, m.Name, seed[1])
	}
}

// build compiles the simulator with the mutation in it. What the
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
	list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "play")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-p=1", "-ldflags=-s -w", "-overlay", list, "-o", binary, "./internal/sim/mutation/play")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", m.Name, err, out)
	}
	return binary
}

// play runs seeds with the mistake in, and tells what the first that fails by these
// words says.
func play(t *testing.T, binary string, first, last uint64, words, world string) (said string, found bool) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, fmt.Sprint(first), fmt.Sprint(last), words, world).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("%s: %v\n%s", binary, err, out)
	}
	return string(out[:min(len(out), 3000)]), err != nil
}

// record writes a seed into the table.
func record(t *testing.T, name, seed string) {
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
	b = line.ReplaceAll(b, []byte("${1}"+seed))
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
