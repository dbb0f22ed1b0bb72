package raftnode

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"meridian/replication/disk"
)

func testDisk(t testing.TB, dir string, hook disk.Hook) *disk.Layer {
	t.Helper()
	c := disk.DefaultConfig()
	c.Dir, c.Hook, c.StallAfter = dir, hook, 300*time.Millisecond
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := disk.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// faults fails operations of one kind on files of one kind while it is armed.
type faults struct {
	mu     sync.Mutex
	op     disk.Op
	suffix string // of the file's name
	err    error
	after  bool // the operation is done, and then said to have failed
	hits   int
}

func (f *faults) arm(op disk.Op, suffix string, err error, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.op, f.suffix, f.err, f.after, f.hits = op, suffix, err, after, 0
}

func (f *faults) heal() { f.arm(0, "", nil, false) }

func (f *faults) hit() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

func (f *faults) hook(op disk.Op, path string, do func() error) error {
	f.mu.Lock()
	fail, after := f.err, f.after
	if op != f.op || !strings.HasSuffix(path, f.suffix) {
		fail = nil
	} else if fail != nil {
		f.hits++
	}
	f.mu.Unlock()
	if fail == nil {
		return do()
	}
	if after {
		return errors.Join(do(), fail)
	}
	return fail
}

// A log whose disk fails anywhere takes nothing more, and when it is opened anew
// it has everything that was stored and goes on.
func TestLogSurvivesDiskErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		op     disk.Op
		suffix string
		err    error
		after  bool
	}{
		{"write of an entry", disk.Write, ".wal", syscall.EIO, false},
		{"sync of an entry", disk.Sync, ".wal", syscall.EIO, false},
		{"sync of an entry that came to the disk", disk.Sync, ".wal", syscall.EIO, true},
		{"mark", disk.Write, markFile, syscall.ENOSPC, false},
		{"metadata of a new file", disk.Commit, ".db", syscall.ENOSPC, false},
		{"metadata of a new file that came to the disk", disk.Commit, ".db", syscall.EIO, true},
		{"room for a new file", disk.Create, ".wal", syscall.ENOSPC, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			f := &faults{}
			layer := testDisk(t, dir, f.hook)
			s, err := openStore(dir, EngineWAL, 1<<16, testRing('r'), layer, discard(), &counters{})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SetUint64(keyCurrentTerm, 2); err != nil { // that of the entries
				t.Fatal(err)
			}
			const healthy = 100
			for i := uint64(1); i <= healthy; i++ {
				if err := s.StoreLogs(entries(i, i)); err != nil {
					t.Fatal(err)
				}
			}
			f.arm(c.op, c.suffix, c.err, c.after)
			stored := uint64(healthy)
			for ; stored < 10_000; stored++ {
				if err = s.StoreLogs(entries(stored+1, stored+1)); err != nil {
					break
				}
			}
			var fault *disk.Error
			if !errors.As(err, &fault) || !errors.Is(err, c.err) || fault.Cause() != layer.State().Cause {
				t.Fatalf("after entry %d: %v, state %+v", stored, err, layer.State())
			}
			hits := f.hit()
			f.heal()
			for range 3 { // healed or not: what is open is never tried again
				if err := s.StoreLogs(entries(stored+1, stored+1)); !errors.As(err, &fault) {
					t.Fatalf("a failed log answered %v", err)
				}
			}
			if f.hit() != 0 || hits != 1 || layer.Err() == nil {
				t.Errorf("%d and %d operations reached the disk, failure %v", hits, f.hit(), layer.Err())
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			layer.Reset()
			if s, err = openStore(dir, EngineWAL, 1<<16, testRing('r'), layer, discard(), &counters{}); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.check(0, 0); err != nil {
				t.Fatal(err)
			}
			last, err := s.LastIndex()
			if err != nil || last < stored || last > stored+1 {
				t.Fatalf("%d entries were stored, the log ends at %d: %v", stored, last, err)
			}
			for i := last + 1; i < last+1000; i++ { // over the end of more than one file
				if err := s.StoreLogs(entries(i, i)); err != nil {
					t.Fatalf("entry %d after healing: %v", i, err)
				}
			}
			var l raft.Log
			if err := s.GetLog(stored, &l); err != nil || string(l.Data) != fmt.Sprint("entry ", stored) {
				t.Fatalf("the last stored entry: %q, %v", l.Data, err)
			}
		})
	}
}

// The kernel may drop what it failed to write: the entries of that write are gone,
// those before it are not.
func TestLogSurvivesDroppedPages(t *testing.T) {
	dir := t.TempDir()
	good := map[string][]byte{}
	failing := false
	layer := testDisk(t, dir, func(op disk.Op, path string, do func() error) error {
		if op != disk.Sync || !strings.HasSuffix(path, ".wal") {
			return do()
		}
		if failing {
			return errors.Join(os.WriteFile(path, good[path], 0o600), syscall.EIO)
		}
		err := do()
		b, readErr := os.ReadFile(path)
		good[path] = b
		return errors.Join(err, readErr)
	})
	s, err := openStore(dir, EngineWAL, 1<<16, testRing('r'), layer, discard(), &counters{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SetUint64(keyCurrentTerm, 2), s.StoreLogs(entries(1, 50))); err != nil {
		t.Fatal(err)
	}
	failing = true
	if err := s.StoreLogs(entries(51, 60)); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	failing = false
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	layer.Reset()
	if s, err = openStore(dir, EngineWAL, 1<<16, testRing('r'), layer, discard(), &counters{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if last, err := s.LastIndex(); err != nil || last != 50 || s.check(0, 0) != nil {
		t.Fatalf("the log ends at %d: %v, %v", last, err, s.check(0, 0))
	}
	if err := s.StoreLogs(entries(51, 55)); err != nil {
		t.Fatal(err)
	}
}

// Below the reserve nothing is written, and nothing has to be opened anew.
func TestReserveRefusesEntries(t *testing.T) {
	dir := t.TempDir()
	c := disk.DefaultConfig()
	c.Dir, c.LowBytes, c.ReserveBytes = dir, 1<<62, 1<<62
	layer, err := disk.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openStore(dir, EngineWAL, 1<<16, testRing('r'), layer, discard(), &counters{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.StoreLogs(entries(1, 1))
	if !errors.Is(err, disk.ErrReserve) || !NotProposed(err) || layer.Err() != nil || layer.State().Cause != disk.Reserve {
		t.Fatalf("%v, %+v", err, layer.State())
	}
	if err := s.SetUint64(keyCurrentTerm, 7); err != nil { // raft itself goes on
		t.Fatal(err)
	}
}

// withFaults gives each node faults of its own.
func withFaults(t *testing.T) (map[string]*faults, func(*Config)) {
	t.Helper()
	all := map[string]*faults{}
	return all, func(c *Config) {
		if all[c.NodeID] == nil {
			all[c.NodeID] = &faults{}
		}
		c.Disk = testDisk(t, c.Dir, all[c.NodeID].hook)
	}
}

func TestLeaderWithAFailingDiskStepsDown(t *testing.T) {
	for _, c := range []struct {
		name   string
		op     disk.Op
		suffix string
	}{
		{"log", disk.Sync, ".wal"}, {"mark", disk.Write, markFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, change := withFaults(t)
			cl := newCluster(t, 3, change)
			sick := cl.leader()
			cl.apply(sick, "before")
			all[sick.cfg.NodeID].arm(c.op, c.suffix, syscall.EIO, false)
			if err := sick.Apply([]byte("lost"), time.Second).Error(); err == nil {
				t.Fatal("acknowledged without a disk")
			}
			var next *member
			eventually(t, "another leads", func() bool {
				for _, m := range cl.members {
					if m != sick && m.IsLeader() {
						next = m
					}
				}
				return next != nil && !sick.IsLeader()
			})
			cl.apply(next, "after")
			cl.stop(sick)
			all[sick.cfg.NodeID].heal()
			change(&sick.cfg)
			cl.start(sick)
			cl.allHave(next.fsm.list())
		})
	}
}

// Raft cannot store its term: the member ends, the process does not.
func TestTermThatCannotBeStored(t *testing.T) {
	all, change := withFaults(t)
	cl := newCluster(t, 3, change)
	lead := cl.leader()
	cl.apply(lead, "before")
	var sick *member
	for _, m := range cl.members {
		if m != lead {
			sick = m
		}
	}
	all[sick.cfg.NodeID].arm(disk.Commit, ".db", syscall.EIO, false)
	cl.stop(lead) // the others have to vote
	eventually(t, "the disk's failure is seen", func() bool { return sick.cfg.Disk.Err() != nil })
	cl.stop(sick)
	all[sick.cfg.NodeID].heal()
	change(&sick.cfg)
	cl.start(sick)
	cl.apply(cl.leader(), "after")
	cl.start(lead)
	cl.allHave([]string{"before", "after"})
}

// A leader whose disk hangs is silent, so that the others elect; nothing is
// acknowledged meanwhile, and afterwards it follows.
func TestLeaderWithAHangingDiskIsReplaced(t *testing.T) {
	var mu sync.Mutex
	hanging := map[string]chan struct{}{}
	cl := newCluster(t, 3, func(c *Config) {
		id := c.NodeID
		c.Disk = testDisk(t, c.Dir, func(op disk.Op, path string, do func() error) error {
			mu.Lock()
			wait := hanging[id]
			mu.Unlock()
			if wait != nil && op == disk.Sync {
				<-wait
			}
			return do()
		})
	})
	sick := cl.leader()
	cl.apply(sick, "before")
	release := make(chan struct{})
	mu.Lock()
	hanging[sick.cfg.NodeID] = release
	mu.Unlock()
	lost := sick.Apply([]byte("hangs"), time.Second)
	var next *member
	eventually(t, "another leads", func() bool {
		for _, m := range cl.members {
			if m != sick && m.IsLeader() {
				next = m
			}
		}
		return next != nil
	})
	if sick.IsLeader() || sick.cfg.Disk.State().Cause != disk.Stalled {
		t.Errorf("the stalled node leads: %t, its disk: %+v", sick.IsLeader(), sick.cfg.Disk.State())
	}
	cl.apply(next, "after")
	mu.Lock()
	delete(hanging, sick.cfg.NodeID)
	mu.Unlock()
	close(release)
	if err := lost.Error(); err == nil {
		t.Error("the stalled leader acknowledged")
	}
	cl.apply(cl.leader(), "healed")
	cl.allHave([]string{"before", "after", "healed"})
	if st := sick.cfg.Disk.Stats(); st.Stalls == 0 || sick.cfg.Disk.Err() != nil {
		t.Errorf("%+v, %v", st, sick.cfg.Disk.Err())
	}
}

// A snapshot that cannot be written leaves nothing behind and stops nothing.
func TestSnapshotThatCannotBeWritten(t *testing.T) {
	for _, op := range []disk.Op{disk.Create, disk.Write, disk.Sync} {
		t.Run(op.String(), func(t *testing.T) {
			all, change := withFaults(t)
			cl := newCluster(t, 1, change)
			m := cl.leader()
			cl.apply(m, "x")
			f := all[m.cfg.NodeID]
			suffix := unfinishedAs
			if op == disk.Create {
				suffix = snapshotDir
			}
			f.arm(op, suffix, syscall.ENOSPC, false)
			if err := m.Snapshot(t.Context()); err == nil || f.hit() == 0 {
				t.Fatalf("snapshot: %v, %d hits", err, f.hit())
			}
			if left, err := os.ReadDir(filepath.Join(m.cfg.Dir, snapshotDir)); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
			if st := m.cfg.Disk.Stats(); st.Tolerated == 0 || m.cfg.Disk.Err() != nil {
				t.Errorf("%+v, %v", st, m.cfg.Disk.Err())
			}
			cl.apply(m, "y")
			f.heal()
			if err := m.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
			cl.stop(m)
			cl.start(m)
			cl.allHave([]string{"x", "y"})
		})
	}
}
