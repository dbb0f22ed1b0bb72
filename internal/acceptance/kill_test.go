package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const (
	kills = 20
	nodes = 3
)

// TestKillAllNodes20 kills all nodes at once in the midst of traffic, again and
// again, with no centre to help: what was acknowledged is there afterwards.
func TestKillAllNodes20(t *testing.T) {
	const seed = 20
	rng := rand.New(rand.NewPCG(seed, seed))
	net, dir := network(2), t.TempDir()
	witness := filepath.Join(dir, "witness.jsonl")
	setUp := start(t, "demo", "--once", "--no-story", "--dir", dir, "--network", net, "--subscribers", "200")
	if code := setUp.wait(t, 2*time.Minute); code != 0 {
		t.Fatalf("set-up ended with status %d", code)
	}
	region := startRegion(t, net, dir)
	load := start(t, "load", "--dir", dir, "--witness", witness, "--seconds", "0", "--sessions", "48", "--seed", fmt.Sprint(seed))
	acks := &ackCounter{path: witness}
	for n := range kills {
		// Some packets, or some hundred, are acknowledged between two kills.
		want := acks.count(t) + 1 + rng.IntN(300)
		eventually(t, 30*time.Second, func() error {
			if got := acks.count(t); got < want {
				return fmt.Errorf("kill %d (seed %d): %d of %d acknowledgements", n, seed, got, want)
			}
			return nil
		})
		for _, p := range region {
			p.signal(syscall.SIGKILL)
		}
		for _, p := range region {
			p.wait(t, 10*time.Second)
		}
		region = startRegion(t, net, dir)
	}
	want := acks.count(t) + 100
	eventually(t, 30*time.Second, func() error {
		if got := acks.count(t); got < want {
			return fmt.Errorf("after the last kill: %d of %d acknowledgements", got, want)
		}
		return nil
	})
	load.stop(t, 60*time.Second)
	for _, p := range region {
		p.signal(syscall.SIGTERM)
	}
	for _, p := range region {
		p.wait(t, 20*time.Second)
	}
	found := findings(t, 0, "--dir", dir, "--witness", witness)
	for _, id := range []string{"V1", "V2", "V3", "V4", "V5", "V6", "V7", "V9"} {
		if f := found[id]; !f.OK || f.Checked == 0 {
			t.Errorf("%s after %d kills (seed %d): ok %v, checked %d: %s", id, kills, seed, f.OK, f.Checked, f.Detail)
		}
	}
	t.Logf("%d acknowledgements over %d kills; %s", acks.count(t), kills, found["V3"].Detail)
}

// startRegion starts the nodes from the files that the demo wrote and waits for a
// leader.
func startRegion(t *testing.T, net, dir string) []*process {
	t.Helper()
	var out []*process
	for n := 1; n <= nodes; n++ {
		out = append(out, start(t, "edge", "--config", filepath.Join(dir, fmt.Sprintf("north-%d.yaml", n))))
	}
	eventually(t, 30*time.Second, func() error {
		for n := 1; n <= nodes; n++ {
			var s struct{ Role string }
			status, err := ask(t, http.MethodGet, fmt.Sprintf("http://%s.1.%d:8090/status", net, n), "", "", &s)
			if err == nil && status == http.StatusOK && s.Role == "leader" {
				return nil
			}
		}
		return errors.New("no node leads")
	})
	return out
}

// ackCounter counts acknowledgements in a witness that grows.
type ackCounter struct {
	path string
	read int64
	n    int
}

func (a *ackCounter) count(t *testing.T) int {
	t.Helper()
	f, err := os.Open(a.path)
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, a.read, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	a.read += int64(whole)
	a.n += bytes.Count(data[:whole], []byte(`{"acked":`))
	return a.n
}
