package raftnode

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/replication/identity"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// childMain is the process that is killed: a single node that applies commands
// from several goroutines and says so, one line each, after each is
// acknowledged.
func childMain(dir string) int {
	ca, err := identity.NewCA("child", time.Now(), time.Hour)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cfg, err := testConfig(ca, "north", "n1", dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cfg.Log = Engine(os.Getenv("RAFTNODE_CHILD_LOG"))
	cfg.SnapshotThreshold, cfg.SnapshotInterval, cfg.TrailingLogs = 50, 20*time.Millisecond, 100_000
	n, err := Open(cfg, &listFSM{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := n.Bootstrap([]Peer{{ID: "n1", Addr: n.Addr()}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for v := range n.Leadership() {
		if v {
			break
		}
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	run := os.Getenv("RAFTNODE_CHILD_RUN")
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				cmd := fmt.Sprintf("%s.%d.%d", run, g, i)
				if err := n.Apply([]byte(cmd), time.Second).Error(); err != nil {
					continue
				}
				out.Lock()
				fmt.Println(cmd)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	return 0
}

// TestKilledProcess kills a node with SIGKILL at random points, again and again
// on one directory, and finds every acknowledged command in the log.
func TestKilledProcess(t *testing.T) {
	for engine, runs := range map[Engine]int{EngineWAL: 6, EngineBolt: 4} {
		t.Run(string(engine), func(t *testing.T) { killed(t, engine, runs) })
	}
}

func killed(t *testing.T, engine Engine, runs int) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	acked := map[string]bool{}
	for run := range runs {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "RAFTNODE_CHILD_DIR="+dir, "RAFTNODE_CHILD_LOG="+string(engine), fmt.Sprint("RAFTNODE_CHILD_RUN=", run))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(pipe)
		for range 1 + rand.N(150) {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("run %d ended by itself: %v: %s", run, err, stderr.String())
			}
			acked[strings.TrimSpace(line)] = true
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(lines) // acknowledged before the signal arrived
		if whole := strings.LastIndexByte(string(rest), '\n'); whole >= 0 {
			for line := range strings.Lines(string(rest[:whole+1])) {
				acked[strings.TrimSpace(line)] = true
			}
		}
		cmd.Wait() // it was killed: the error says so

		o, err := OpenOffline(dir, testRing('r'))
		if err != nil {
			t.Fatal(err)
		}
		if o.Damage() != nil {
			t.Fatalf("after run %d: %v", run, o.Damage())
		}
		have := map[string]bool{}
		if err := o.Entries(0, func(_, _ uint64, data []byte) error { have[string(data)] = true; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		for a := range acked {
			if !have[a] {
				t.Fatalf("after run %d: acknowledged command %s is lost (%d acknowledged, %d in the log)", run, a, len(acked), len(have))
			}
		}
	}
	t.Logf("%d acknowledged commands over %d kills", len(acked), runs)
}
