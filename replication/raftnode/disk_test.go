package raftnode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"meridian/replication/seal"
)

// stopped is the directory of a single node that applied n commands and was
// stopped.
func stopped(t *testing.T, n int) (*cluster, *member, []string) {
	t.Helper()
	c := newCluster(t, 1, nil)
	m := c.leader()
	var want []string
	for i := range n {
		cmd := fmt.Sprintf("command %d %s", i, strings.Repeat("x", 100))
		c.apply(m, cmd)
		want = append(want, cmd)
	}
	c.stop(m)
	return c, m, want
}

func TestRestartRestoresEverything(t *testing.T) {
	c, m, want := stopped(t, 50)
	c.start(m)
	c.leader()
	c.allHave(want)
	if err := m.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Snapshot(t.Context()); err != nil {
		t.Fatalf("nothing new to snapshot: %v", err)
	}
	c.apply(m, "after")
	c.stop(m)
	c.start(m)
	c.leader()
	c.allHave(append(want, "after"))
}

func TestDirectoryBelongsToOneNode(t *testing.T) {
	c, m, _ := stopped(t, 3)
	other, err := testConfig(c.ca, "north", "n2", m.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other, &listFSM{}); !errors.Is(err, ErrWrongDir) || !strings.Contains(err.Error(), `"n1"`) {
		t.Errorf("another node: %v", err)
	}
	wrong := m.cfg
	wrong.Ring = testRing('w')
	if _, err := Open(wrong, &listFSM{}); !errors.Is(err, ErrWrongKeys) || !strings.Contains(err.Error(), "key file") {
		t.Errorf("wrong ring: %v", err)
	}
	if _, err := OpenOffline(m.cfg.Dir, testRing('w')); !errors.Is(err, ErrWrongKeys) {
		t.Errorf("wrong ring, offline: %v", err)
	}
	c.start(m)
	if _, err := Open(m.cfg, &listFSM{}); !errors.Is(err, ErrInUse) {
		t.Errorf("second process: %v", err)
	}
	if _, err := OpenOffline(m.cfg.Dir, m.cfg.Ring); !errors.Is(err, ErrInUse) {
		t.Errorf("offline beside a running node: %v", err)
	}
	if _, err := OpenOffline(t.TempDir(), m.cfg.Ring); !errors.Is(err, ErrWrongDir) {
		t.Errorf("offline, empty directory: %v", err)
	}
	c.stop(m)
	if err := os.Remove(filepath.Join(m.cfg.Dir, nodeFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(m.cfg, &listFSM{}); !errors.Is(err, ErrWrongDir) {
		t.Errorf("log without %s: %v", nodeFile, err)
	}
}

func TestRetiredKey(t *testing.T) {
	c, m, want := stopped(t, 3)
	k1, k2 := seal.Key{ID: 1}, seal.Key{ID: 2}
	copy(k1.Bytes[:], bytes.Repeat([]byte{'r'}, seal.KeyBytes))
	copy(k2.Bytes[:], bytes.Repeat([]byte{'s'}, seal.KeyBytes))
	both, err := seal.NewRing([]seal.Key{k1, k2})
	if err != nil {
		t.Fatal(err)
	}
	m.cfg.Ring = both
	c.start(m)
	c.leader()
	c.allHave(want)
	c.stop(m)
	onlyNew, err := seal.NewRing([]seal.Key{k2})
	if err != nil {
		t.Fatal(err)
	}
	m.cfg.Ring = onlyNew // too early: the log still has entries of key 1
	if _, err := Open(m.cfg, &listFSM{}); !errors.Is(err, ErrWrongKeys) || !strings.Contains(err.Error(), "key id 1") {
		t.Fatalf("retired too early: %v", err)
	}
	m.cfg.Ring = both
	c.start(m)
}

func TestOffline(t *testing.T) {
	c, m, want := stopped(t, 5)
	c.start(m)
	c.leader()
	c.allHave(want)
	if err := m.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	covered := m.AppliedIndex()
	c.apply(m, "after")
	c.stop(m)

	o, err := OpenOffline(m.cfg.Dir, m.cfg.Ring)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Region() != "north" || o.NodeID() != "n1" || o.Damage() != nil {
		t.Fatalf("%s %s %v", o.Region(), o.NodeID(), o.Damage())
	}
	index, rc, ok := o.Snapshot()
	if !ok || index > covered || index == 0 {
		t.Fatalf("snapshot %d, %v; applied were %d", index, ok, covered)
	}
	defer rc.Close()
	if data, err := io.ReadAll(rc); err != nil || !bytes.Contains(data, []byte("command 4")) {
		t.Fatalf("snapshot's content: %s, %v", data, err)
	}
	var got []string
	var last uint64
	err = o.Entries(0, func(i, term uint64, data []byte) error {
		if i <= last || term == 0 {
			t.Errorf("entry %d of term %d after %d", i, term, last)
		}
		if e, ok, err := o.At(i); err != nil || !ok || e != (LogEntry{Term: term, Command: true}) {
			t.Errorf("entry %d: %+v, %v, %v", i, e, ok, err)
		}
		last, got = i, append(got, string(data))
		return nil
	})
	if err != nil || !slices.Equal(got, append(want, "after")) {
		t.Fatalf("entries %q, %v", got, err)
	}
	if end, err := o.LastIndex(); err != nil || end < last {
		t.Fatalf("last index %d, %v", end, err)
	}
	stop := errors.New("stop")
	if err := o.Entries(last, func(uint64, uint64, []byte) error { return stop }); err != stop {
		t.Fatalf("fn's error came back as %v", err)
	}
	for _, none := range []uint64{0, last + 100} {
		if e, ok, err := o.At(none); ok || err != nil {
			t.Errorf("entry %d, which is not there: %+v, %v", none, e, err)
		}
	}
	if first, err := o.FirstIndex(); err != nil || first != 1 {
		t.Errorf("first index %d, %v", first, err)
	}
	if e, ok, err := o.At(1); err != nil || !ok || e.Command {
		t.Errorf("the entry that founded the region: %+v, %v, %v", e, ok, err)
	}
	if e, ok, err := o.At(o.SnapshotIndex()); o.SnapshotIndex() != index || err != nil || !ok || e.Term == 0 {
		t.Errorf("the snapshot's last entry: %+v, %v, %v", e, ok, err)
	}
}

// tail is the newest segment of a log and where its content ends; segments are
// preallocated with zeros.
func tail(t *testing.T, dir string) (path string, data []byte, end int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, logDir, "*.wal"))
	if err != nil || len(files) == 0 {
		t.Fatalf("segments: %v, %v", files, err)
	}
	slices.Sort(files)
	path = files[len(files)-1]
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, data, len(bytes.TrimRight(data, "\x00"))
}

func TestTornWriteIsDropped(t *testing.T) {
	c, m, want := stopped(t, 20)
	path, data, end := tail(t, m.cfg.Dir)
	// A write that was cut off by the crash: never synced, never acknowledged.
	copy(data[end+8:], bytes.Repeat([]byte{0xAB}, 300))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c.start(m)
	c.leader()
	c.allHave(want)
}

func TestLostEntriesAreRefused(t *testing.T) {
	for name, damage := range map[string]func(data []byte, end int) []byte{
		"end overwritten": func(d []byte, end int) []byte { clear(d[end-200 : end]); return d },
		"file cut":        func(d []byte, end int) []byte { return d[:end-200] },
		"bit in an entry": func(d []byte, end int) []byte { d[end/2] ^= 4; return d },
	} {
		t.Run(name, func(t *testing.T) {
			_, m, _ := stopped(t, 20)
			path, data, end := tail(t, m.cfg.Dir)
			if err := os.WriteFile(path, damage(data, end), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(m.cfg, &listFSM{})
			if !errors.Is(err, ErrLogDamaged) || !strings.Contains(err.Error(), "join anew") {
				t.Fatalf("node took up a log that lost entries: %v", err)
			}
			o, err := OpenOffline(m.cfg.Dir, m.cfg.Ring)
			if err != nil {
				t.Fatalf("offline: %v", err)
			}
			if o.Damage() == nil {
				t.Error("offline does not report the damage")
			}
			if err := o.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDamagedSnapshot(t *testing.T) {
	c, m, want := stopped(t, 5)
	c.start(m)
	c.leader()
	for _, more := range []string{"b", "c"} {
		c.apply(m, more)
		want = append(want, more)
		if err := m.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.stop(m)
	states, err := filepath.Glob(filepath.Join(m.cfg.Dir, "snapshots", "*", "state.bin"))
	if err != nil || len(states) != 2 {
		t.Fatalf("snapshots %v, %v", states, err)
	}
	slices.Sort(states)
	spoil := func(path string) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spoil(states[1])
	c.start(m) // from the one before, and the log
	c.leader()
	c.allHave(want)
	c.stop(m)
	spoil(states[0])
	if _, err := Open(m.cfg, &listFSM{}); !errors.Is(err, ErrLogDamaged) {
		t.Fatalf("no whole snapshot left: %v", err)
	}
}

func TestNothingLiesInClear(t *testing.T) {
	_, m, _ := stopped(t, 5)
	err := filepath.WalkDir(m.cfg.Dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("command 3")) {
			t.Errorf("%s holds a command in clear", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func openTestStore(t *testing.T, dir string) *store { return openTestEngine(t, dir, EngineWAL) }

func openTestEngine(t *testing.T, dir string, e Engine) *store {
	t.Helper()
	s, err := openStore(dir, e, 1<<16, testRing('r'), testDisk(t, dir, nil), discard(), &counters{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func entries(from, to uint64) []*raft.Log {
	var out []*raft.Log
	for i := from; i <= to; i++ {
		out = append(out, &raft.Log{Index: i, Term: 2, Data: fmt.Append(nil, "entry ", i)})
	}
	return out
}

func TestStoreBindsEntriesToTheirPlace(t *testing.T) {
	for _, e := range []Engine{EngineWAL, EngineBolt} {
		t.Run(string(e), func(t *testing.T) {
			s := openTestEngine(t, t.TempDir(), e)
			bindsEntries(t, s)
			if s.IsMonotonic() != (e == EngineWAL) {
				t.Error("raft must know whether the log takes gaps")
			}
		})
	}
}

func bindsEntries(t *testing.T, s *store) {
	in := entries(1, 5)
	if err := s.StoreLogs(in); err != nil {
		t.Fatal(err)
	}
	if string(in[0].Data) != "entry 1" {
		t.Fatal("the caller's entry was changed")
	}
	var l raft.Log
	if err := s.GetLog(3, &l); err != nil || string(l.Data) != "entry 3" || l.Term != 2 {
		t.Fatalf("entry 3: %+v, %v", l, err)
	}
	if err := s.GetLog(9, &l); err != raft.ErrLogNotFound {
		t.Fatalf("raft compares this error: %v", err)
	}
	// Somebody with access to the disk, but not to the keys, moves an entry.
	var moved raft.Log
	if err := s.logEngine.GetLog(3, &moved); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*raft.Log){
		"index": func(l *raft.Log) { l.Index = 6 },
		"term":  func(l *raft.Log) { l.Index, l.Term = 6, 3 },
		"type":  func(l *raft.Log) { l.Index, l.Type = 6, raft.LogNoop },
	} {
		bad := moved
		change(&bad)
		if err := s.logEngine.StoreLogs([]*raft.Log{&bad}); err != nil {
			t.Fatal(err)
		}
		if err := s.GetLog(6, &l); !errors.Is(err, seal.ErrCorrupt) {
			t.Errorf("%s: moved entry opens: %v", name, err)
		}
		if err := s.DeleteRange(6, 6); err != nil {
			t.Fatal(err)
		}
	}
	if s.counters.openFailures.Load() != 3 {
		t.Errorf("counted %d failures, want 3", s.counters.openFailures.Load())
	}
}

func TestMarkFollowsTheLog(t *testing.T) {
	for _, e := range []Engine{EngineWAL, EngineBolt} {
		t.Run(string(e), func(t *testing.T) { markFollows(t, openTestEngine(t, t.TempDir(), e)) })
	}
}

func markFollows(t *testing.T, s *store) {
	is := func(want uint64) {
		t.Helper()
		if got, err := s.mark.read(); err != nil || got != want {
			t.Fatalf("mark %d, %v; want %d", got, err, want)
		}
		if err := s.check(0, 0); want > 0 && err != nil {
			t.Fatal(err)
		}
	}
	is(0)
	if err := errors.Join(s.SetUint64(keyCurrentTerm, 2), s.StoreLogs(entries(1, 10))); err != nil {
		t.Fatal(err)
	}
	is(10)
	if err := s.DeleteRange(8, 10); err != nil { // a new leader overrules the end
		t.Fatal(err)
	}
	is(7)
	if err := s.StoreLogs(entries(8, 9)); err != nil {
		t.Fatal(err)
	}
	is(9)
	if err := s.DeleteRange(1, 4); err != nil { // cut behind a snapshot
		t.Fatal(err)
	}
	if got, _ := s.mark.read(); got != 9 {
		t.Fatalf("mark %d after the start was cut", got)
	}
	if err := s.check(4, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.check(3, 0); !errors.Is(err, ErrLogDamaged) {
		t.Fatalf("entry 4 is in neither log nor snapshot: %v", err)
	}
	if err := s.DeleteRange(5, 9); err != nil { // a snapshot came from the leader
		t.Fatal(err)
	}
	is(0)
	if err := s.StoreLogs(entries(101, 102)); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.mark.read(); got != 102 {
		t.Fatalf("mark %d", got)
	}
}

func TestSnapshotWaitsNoLongerThanAsked(t *testing.T) {
	c := newCluster(t, 1, nil)
	m := c.leader()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Barrier(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("barrier with an ended context: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := m.Barrier(ctx); err != nil {
		t.Fatal(err)
	}
}
