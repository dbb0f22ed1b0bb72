package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/verify"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
	"meridian/replication/seal"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("STORE_CHILD_DIR"); dir != "" {
		fmt.Fprintln(os.Stderr, rotatingChild(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// ringOf is a ring of keys by their ids, the same for the same ids.
func ringOf(ids ...uint32) *seal.Ring {
	var keys []seal.Key
	for _, id := range ids {
		k := seal.Key{ID: id}
		for i := range k.Bytes {
			k.Bytes[i] = byte(id) + byte(i)*3
		}
		keys = append(keys, k)
	}
	ring, err := seal.NewRing(keys)
	if err != nil {
		panic(err) // distinct ids above 0 make a ring
	}
	return ring
}

// childKeys is how many keys the child goes through in a life.
const childKeys = 10

// childRing is the key file: every id up to the newest that may have sealed.
func childRing(newest uint32) *seal.Ring {
	var ids []uint32
	for id := uint32(1); id <= newest; id++ {
		ids = append(ids, id)
	}
	return ringOf(ids...)
}

func childConfig(dir string, ring *seal.Ring) (Config, error) {
	ca, err := identity.NewCA("child", time.Now(), time.Hour)
	if err != nil {
		return Config{}, err
	}
	bundle, err := ca.Issue(identity.Node("north", "north-1"), time.Now(), time.Hour)
	if err != nil {
		return Config{}, err
	}
	cfg := DefaultConfig()
	cfg.Raft.NodeID, cfg.Raft.Region, cfg.Raft.Dir, cfg.Raft.Bind = "north-1", "north", dir, "127.0.0.1:0"
	cfg.Raft.SnapshotThreshold, cfg.Raft.SnapshotInterval, cfg.Raft.TrailingLogs = 40, 20*time.Millisecond, 30
	if cfg.Raft.TLS, err = bundle.TLS(identity.NodesOf("north")); err != nil {
		return Config{}, err
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Raft.Logger, cfg.Ring, cfg.SegmentBytes, cfg.ResealEach = cfg.Logger, ring, 4096, time.Millisecond
	return cfg, nil
}

func openChild(dir string, ring *seal.Ring, found bool) (*Store, error) {
	cfg, err := childConfig(dir, ring)
	if err != nil {
		return nil, err
	}
	s, err := Open(cfg, nil, func(string) (string, bool) { return "", false })
	if err == nil && found {
		err = s.Raft().Bootstrap([]raftnode.Peer{{ID: "north-1", Addr: s.Raft().Addr()}})
	}
	return s, err
}

// rotatingChild is the process that is killed: traffic in several goroutines, each
// acknowledged session told in a line, while key after key becomes the one that seals.
func rotatingChild(dir string) error {
	newest := uint32(1)
	if _, err := fmt.Sscan(os.Getenv("STORE_CHILD_KEY"), &newest); err != nil {
		return err
	}
	s, err := openChild(dir, childRing(newest), newest == 1)
	if err != nil {
		return err
	}
	run := os.Getenv("STORE_CHILD_RUN")
	var out sync.Mutex
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				c := session(0, command.Stop, 1)
				c.SessionID = fmt.Sprint(run, ".", g, ".", i)
				if r, err := s.Do(context.Background(), c); err == nil && r.Code == command.OK {
					out.Lock()
					fmt.Println(c.SessionID)
					out.Unlock()
				}
			}
		}()
	}
	for next := newest + 1; next < newest+childKeys; next++ {
		time.Sleep(30 * time.Millisecond)
		out.Lock()
		fmt.Println("key", next) // the key file holds it from here on
		out.Unlock()
		if err := s.LearnKeys(childRing(next)); err != nil {
			return err
		}
		if _, err := s.RotateKey(); err != nil {
			return err
		}
	}
	select {}
}

// Keys rotate while traffic runs and the process is killed at random points: every
// acknowledged session is there, with the key file as it was when the process died.
// Afterwards the data comes to lie under the newest key alone.
func TestRotationSurvivesKills(t *testing.T) {
	dir, exe := t.TempDir(), must(os.Executable())(t)
	s := must(openChild(dir, childRing(1), true))(t)
	eventually(t, "a leader", s.IsLeader)
	(&member{t: t, id: "north-1", store: s}).found()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	acked, key := map[string]bool{}, uint32(1)
	for run := range 3 {
		key = killedRotation(t, exe, dir, run, key, acked)
		reports, err := OpenOffline([]string{dir}, childRing(key))
		if err != nil {
			t.Fatalf("run %d, keys up to %d: %v", run, key, err)
		}
		var spent int64
		for _, b := range reports[0].Buckets {
			spent += b.S
		}
		if spent < int64(len(acked)) {
			t.Fatalf("run %d: %d sessions of one octet were acknowledged, %d are charged", run, len(acked), spent)
		}
	}
	t.Logf("%d acknowledged sessions, %d keys", len(acked), key)
	s = must(openChild(dir, childRing(key), false))(t)
	m := &member{t: t, id: "north-1", store: s}
	eventually(t, "a leader", s.IsLeader)
	i := 0
	eventually(t, "all data under the newest key", func() bool {
		i++
		m.do(session(i, command.Stop, 1))
		k := must(s.Keys())(t)
		return k.Oldest == key && k.Log == key && k.Segments == key && k.Snapshots == key && k.Directory == key
	})
	if err := s.LearnKeys(ringOf(key)); err != nil {
		t.Fatalf("the old keys cannot go: %v", err)
	}
	var hash [32]byte
	s.View(func(st *fsm.State) { hash = st.Hash() })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	reports, err := OpenOffline([]string{dir}, ringOf(key))
	if err != nil || reports[0].StateHash != hash {
		t.Fatalf("with the newest key alone: %v", err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// killedRotation runs the child until it has said some lines, kills it, and returns
// the newest key that its key file had.
func killedRotation(t *testing.T, exe, dir string, run int, key uint32, acked map[string]bool) uint32 {
	t.Helper()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "STORE_CHILD_DIR="+dir, fmt.Sprint("STORE_CHILD_KEY=", key), fmt.Sprint("STORE_CHILD_RUN=", run))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	pipe := must(cmd.StdoutPipe())(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	note := func(line string) {
		if _, err := fmt.Sscanf(line, "key %d", &key); err != nil {
			acked[strings.TrimSpace(line)] = true
		}
	}
	lines := bufio.NewReader(pipe)
	for range 100 + rand.N(400) {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("run %d ended by itself: %v: %s", run, err, stderr.String())
		}
		note(line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines) // said before the signal arrived
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rest)) {
		if strings.HasSuffix(line, "\n") {
			note(line)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return key
}

// A key that something still needs cannot go, neither while the node runs nor at a
// start: it is named, with where it is needed and what to do.
func TestKeyRemovedTooEarlyIsRefusedByName(t *testing.T) {
	ring := ringOf(1)
	c := newClusterOf(t, 1, func(cfg *Config) { cfg.Ring, cfg.ResealEach = ring, time.Hour })
	m := c.leader()
	m.found()
	m.do(session(1, command.Stop, 10))
	if err := m.store.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.store.LearnKeys(ringOf(1, 2)); err != nil {
		t.Fatal(err)
	}
	if err := m.store.LearnKeys(ringOf(2)); !errors.Is(err, ErrKeyNeeded) || !strings.Contains(err.Error(), "key id 1") {
		t.Fatalf("the key that seals was taken away: %v", err)
	}
	if id, err := m.store.RotateKey(); err != nil || id != 2 {
		t.Fatalf("%d, %v", id, err)
	}
	m.do(session(2, command.Stop, 10))
	other := must(seal.NewRing([]seal.Key{{ID: 1, Bytes: [32]byte{9}}, {ID: 2, Bytes: [32]byte{9}}}))(t)
	if err := m.store.LearnKeys(other); !errors.Is(err, seal.ErrOtherKey) {
		t.Fatalf("other keys by the same ids: %v", err)
	}
	// By now the background may have sealed anew what it could; the log still has
	// entries of key 1, for no snapshot follows.
	if k := must(m.store.Keys())(t); k.Log != 1 || k.Oldest != 1 || k.Sealing != 2 {
		t.Fatalf("%+v", k)
	}
	if err := m.store.LearnKeys(ringOf(2)); !errors.Is(err, ErrKeyNeeded) || !strings.Contains(err.Error(), "the log needs key id 1") {
		t.Fatalf("%v", err)
	}
	m.stop()
	ring = ringOf(2)
	err := c.open(m)
	if !errors.Is(err, raftnode.ErrWrongKeys) || !strings.Contains(err.Error(), "key id 1") || !strings.Contains(err.Error(), "key file") {
		t.Fatalf("a start without a key that is needed: %v", err)
	}
	ring = ringOf(1, 2)
	c.start(m)
	if got := c.leader().store; got == nil {
		t.Fatal("with the key again")
	}
}

// Sealing a file anew changes neither what is read from it nor where; one that cannot
// be opened is damage and stays as it is.
func TestSegmentsAreSealedAnew(t *testing.T) {
	dir, ring := t.TempDir(), ringOf(1)
	layer := testDisk(t, dir)
	s := must(openSegments(dir, ring, 4096, layer))(t)
	ended := rawEntries(1, 60)
	for i := range ended {
		ended[i].Epoch = 1
	}
	if err := s.append(ended); err != nil {
		t.Fatal(err)
	}
	next := func(from, to uint64) []verify.RawEntry {
		out := rawEntries(from, to)
		for i := range out {
			out[i].Epoch = 2
		}
		return out
	}
	want := next(1, 400)
	for i := 0; i < len(want); i += 50 {
		if err := s.append(want[i : i+50]); err != nil {
			t.Fatal(err)
		}
	}
	if k := must(s.oldestKey())(t); len(s.files) < 3 || k != 1 {
		t.Fatalf("%d files, key %d", len(s.files), k)
	}
	if err := errors.Join(ring.Learn(ringOf(2)), ring.SealWith(2), s.reseal(t.Context())); err != nil {
		t.Fatal(err)
	}
	if k := must(s.oldestKey())(t); k != 2 {
		t.Fatalf("key %d is left", k)
	}
	if err := s.append(next(401, 420)); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(epochDir(dir, 2), "00000000000000000001"+segmentSuffix+resealSuffix)
	if err := os.WriteFile(left, []byte("a crash left it"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = must(openSegments(dir, ringOf(2), 4096, layer))(t)
	for epoch, n := range map[uint64]int{1: 60, 2: 420} {
		read := 0
		err := s.read(epoch, 1, func(e verify.RawEntry) (bool, error) {
			read++
			if !bytes.Equal(e.Raw, rawEntries(e.Seq, e.Seq)[0].Raw) {
				t.Fatalf("epoch %d, entry %d is %q", epoch, e.Seq, e.Raw)
			}
			return true, nil
		})
		if err != nil || read != n {
			t.Fatalf("epoch %d: %d of %d entries are read: %v", epoch, read, n, err)
		}
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("what a crash left is still there")
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openSegments(dir, ringOf(3), 4096, layer); !errors.Is(err, raftnode.ErrWrongKeys) || !strings.Contains(err.Error(), "key id 2") {
		t.Fatalf("with another key: %v", err)
	}
}
