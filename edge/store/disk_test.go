package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/replication/disk"
)

func testDisk(t testing.TB, dir string) *disk.Layer {
	t.Helper()
	c := disk.DefaultConfig()
	c.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := disk.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openTestSegments(t testing.TB, dir string, maxSize int64) (*segments, error) {
	t.Helper()
	return openSegments(dir, testRing(t), maxSize, testDisk(t, dir))
}

// tally does sessions and knows which were acknowledged.
type tally struct {
	c     *cluster
	next  int
	acked []int
}

const sessionOctets = 10

// try reports one more session at a node; false: it was not acknowledged.
func (b *tally) try(m *member, wait time.Duration) bool {
	b.c.t.Helper()
	ctx, cancel := context.WithTimeout(b.c.t.Context(), wait)
	defer cancel()
	i := b.next
	b.next++
	r, err := m.store.Do(ctx, session(i, command.Stop, sessionOctets))
	if err != nil {
		return false
	}
	if r.Code != command.OK && r.Code != command.Repeated {
		b.c.t.Fatalf("session %d: %+v", i, r)
	}
	b.acked = append(b.acked, i)
	return true
}

// settle reports everything once more, as NAS do: what was acknowledged is known,
// what was not is charged now, and every replica ends with the same.
func (b *tally) settle() {
	t := b.c.t
	t.Helper()
	lead := b.c.leader()
	known := map[int]bool{}
	for i := range b.next {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		r, err := lead.store.Do(ctx, session(i, command.Stop, sessionOctets))
		cancel()
		if err != nil {
			t.Fatalf("session %d after healing: %v", i, err)
		}
		known[i] = r.Code == command.Repeated
	}
	for _, i := range b.acked {
		if !known[i] {
			t.Errorf("session %d was acknowledged and is lost", i)
		}
	}
	var hash [32]byte
	lead.state(func(s *fsm.State) { hash = s.Hash() })
	for _, m := range b.c.members {
		eventually(t, m.id+" has the leader's state", func() (same bool) {
			m.state(func(s *fsm.State) { same = s.Hash() == hash })
			return same
		})
		if spent, seq := m.spent(); spent != uint64(b.next*sessionOctets) {
			t.Errorf("%s: %d sessions of %d octets cost %d", m.id, b.next, sessionOctets, spent)
		} else if entries, _, err := m.store.Entries(0, [32]byte{}, 1<<20, 1<<30); err != nil || len(entries) != int(seq) {
			t.Errorf("%s: %d entries of %d: %v", m.id, len(entries), seq, err)
		}
		if st, _ := m.store.Disk(); st.Cause != disk.None {
			t.Errorf("%s: disk %+v", m.id, st)
		}
	}
}

// small gives each node a file system of 8 MiB of its own.
func small(t *testing.T) func(*Config) {
	mounted := map[string]bool{}
	return func(c *Config) {
		c.Raft.SegmentBytes = 1 << 18
		c.Disk.LowBytes, c.Disk.ReserveBytes = 0, 0
		if mounted[c.Raft.Dir] {
			return
		}
		mounted[c.Raft.Dir] = true
		dir := c.Raft.Dir
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
			t.Fatalf("mount a small file system: %v: run the tests as root, in a container with CAP_SYS_ADMIN", err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
}

// fillUp leaves nothing of a node's file system free; the returned function frees it.
func fillUp(t *testing.T, m *member) (free func()) {
	t.Helper()
	path := filepath.Join(m.dir, "of-somebody-else")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 1<<16); err == nil; {
		_, err = f.Write(b)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

func (m *member) cause() disk.Cause {
	s, _ := m.store.Disk()
	return s.Cause
}

// A full disk of one node, whether it leads or follows: the region goes on, the
// node says so, and it comes back when there is room.
func TestFullDiskOfOneNode(t *testing.T) {
	for _, role := range []string{"follower", "leader"} {
		t.Run(role, func(t *testing.T) {
			c := newClusterOf(t, 3, small(t))
			lead := c.leader()
			lead.found()
			b := &tally{c: c}
			for range 20 {
				if !b.try(lead, 15*time.Second) {
					t.Fatal("a healthy region does not acknowledge")
				}
			}
			sick, other := lead, c.members[0]
			for _, m := range c.members {
				if m != lead {
					other = m
				}
			}
			if role == "follower" {
				sick, other = other, lead
			}
			free := fillUp(t, sick)
			for sick.cause() != disk.Full {
				if b.next > 5000 {
					t.Fatalf("%d sessions fit on a full disk: %v", b.next, sick.cause())
				}
				b.try(other, 15*time.Second)
			}
			eventually(t, "the region acknowledges without the full node", func() bool {
				return c.leader() != sick && b.try(other, 15*time.Second)
			})
			if sick.store.IsLeader() {
				t.Error("the full node leads")
			}
			if _, err := sick.store.Do(t.Context(), session(0, command.Stop, 0)); !errors.Is(err, ErrDisk) || !strings.Contains(err.Error(), "free space") {
				t.Errorf("the full node answered %v", err)
			}
			free()
			eventually(t, "the node goes on", func() bool { return sick.cause() == disk.None })
			b.settle()
			if _, st := sick.store.Disk(); st.FullErrors == 0 || st.Reopened == 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// All disks full: nothing is acknowledged, and everything that was is there when
// there is room again.
func TestFullDisksOfAllNodes(t *testing.T) {
	c := newClusterOf(t, 3, small(t))
	c.leader().found()
	b := &tally{c: c}
	for range 20 {
		b.try(c.leader(), 15*time.Second)
	}
	var free []func()
	for _, m := range c.members {
		free = append(free, fillUp(t, m))
	}
	full := func() (n int) {
		for _, m := range c.members {
			if m.cause() == disk.Full {
				n++
			}
		}
		return n
	}
	for full() < 2 { // without a majority nothing grows any more
		if b.next > 5000 {
			t.Fatalf("%d sessions fit on full disks", b.next)
		}
		b.try(c.members[b.next%3], 200*time.Millisecond)
	}
	for _, m := range c.members {
		if b.try(m, 200*time.Millisecond) {
			t.Error(m.id + " acknowledged although a majority's disks are full")
		}
	}
	for _, f := range free {
		f()
	}
	eventually(t, "all go on", func() bool { return full() == 0 })
	b.settle()
}

// faults fails operations of one kind on one node's files while it is armed.
type faults struct {
	mu   sync.Mutex
	node string // its directory
	op   disk.Op
	name string // is part of the path
	err  error
	hits int
}

func (f *faults) arm(node string, op disk.Op, name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.node, f.op, f.name, f.err, f.hits = node, op, name, err, 0
}

func (f *faults) hook(op disk.Op, path string, do func() error) error {
	f.mu.Lock()
	hit := f.err != nil && op == f.op && strings.HasPrefix(path, f.node) && strings.Contains(path, f.name)
	if hit {
		f.hits++
	}
	err := f.err
	f.mu.Unlock()
	if hit {
		return err
	}
	return do()
}

func (f *faults) hit() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

// The leader's disk fails at each place that matters: it stops, another leads,
// nothing acknowledged is lost, and it comes back by itself.
func TestDiskErrorsOfTheLeader(t *testing.T) {
	for _, at := range []struct {
		name string
		op   disk.Op
		path string
	}{
		{"log append", disk.Write, ".wal"},
		{"log sync", disk.Sync, ".wal"},
		{"log's mark", disk.Write, "end.mark"},
		{"segment append", disk.Write, "/segments/"},
		{"segment sync", disk.Sync, "/segments/"},
		{"segment file", disk.Create, "/segments/"},
	} {
		t.Run(at.name, func(t *testing.T) {
			f := &faults{}
			c := newClusterOf(t, 3, func(cfg *Config) { cfg.Disk.Hook = f.hook })
			sick := c.leader()
			sick.found()
			b := &tally{c: c}
			for range 20 {
				b.try(sick, 15*time.Second)
			}
			f.arm(sick.dir, at.op, at.path, syscall.EIO)
			other := c.members[0]
			if other == sick {
				other = c.members[1]
			}
			for sick.cause() != disk.Failed {
				if b.next > 5000 {
					t.Fatalf("%d sessions, %d faults, disk %v", b.next, f.hit(), sick.cause())
				}
				b.try(other, 15*time.Second)
			}
			eventually(t, "another acknowledges", func() bool { return c.leader() != sick && b.try(other, 15*time.Second) })
			f.arm("", 0, "", nil)
			eventually(t, "the node goes on", func() bool { return sick.cause() == disk.None })
			b.settle()
		})
	}
}

// The leader's disk hangs: nothing is acknowledged there, another leads within
// seconds, and the node follows when the disk answers, without opening anything
// anew.
func TestHangingDiskOfTheLeader(t *testing.T) {
	var mu sync.Mutex
	var sickDir string
	hang := make(chan struct{})
	c := newClusterOf(t, 3, func(cfg *Config) {
		cfg.Disk.StallAfter = 300 * time.Millisecond
		cfg.Disk.Hook = func(op disk.Op, path string, do func() error) error {
			mu.Lock()
			wait := op == disk.Sync && sickDir != "" && strings.HasPrefix(path, sickDir)
			mu.Unlock()
			if wait {
				<-hang
			}
			return do()
		}
	})
	sick := c.leader()
	sick.found()
	b := &tally{c: c}
	for range 20 {
		b.try(sick, 15*time.Second)
	}
	mu.Lock()
	sickDir = sick.dir
	mu.Unlock()
	if b.try(sick, 100*time.Millisecond) {
		t.Error("acknowledged without a disk")
	}
	eventually(t, "the stall is seen", func() bool { return sick.cause() == disk.Stalled })
	other := c.members[0]
	if other == sick {
		other = c.members[1]
	}
	eventually(t, "another acknowledges", func() bool { return c.leader() != sick && b.try(other, 15*time.Second) })
	mu.Lock()
	sickDir = ""
	mu.Unlock()
	close(hang)
	eventually(t, "the node goes on", func() bool { return sick.cause() == disk.None })
	b.settle()
	if _, st := sick.store.Disk(); st.Stalls == 0 || st.Reopened != 0 {
		t.Errorf("%+v", st)
	}
}

// A snapshot that cannot be written is written later; the node serves meanwhile.
func TestSnapshotOnAFailingDisk(t *testing.T) {
	f := &faults{}
	c := newClusterOf(t, 1, func(cfg *Config) { cfg.Disk.Hook = f.hook })
	m := c.leader()
	m.found()
	b := &tally{c: c}
	for _, op := range []disk.Op{disk.Create, disk.Write, disk.Sync} {
		f.arm(m.dir, op, "/snapshots", syscall.ENOSPC)
		if err := m.store.Snapshot(t.Context()); !errors.Is(err, syscall.ENOSPC) && !strings.Contains(fmt.Sprint(err), "no space") {
			t.Errorf("%s: %v", op, err)
		}
		if !b.try(m, 15*time.Second) {
			t.Errorf("%s: the node does not acknowledge", op)
		}
	}
	f.arm("", 0, "", nil)
	if err := m.store.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st, n := m.store.Disk(); st.Cause != disk.None || n.Tolerated != 3 {
		t.Errorf("%+v %+v", st, n)
	}
	m.stop()
	c.start(m)
	b.settle()
}

// A leader with little room gives leadership up; with little room everywhere new
// work is refused, and what frees room is taken.
func TestLowDisk(t *testing.T) {
	c := newClusterOf(t, 1, func(cfg *Config) { cfg.Disk.LowBytes = 1 << 62 })
	m := c.leader()
	eventually(t, "the disk is seen to be low", func() bool { return disk.Cause(m.store.cause.Load()) == disk.Low })
	for _, keeps := range []command.Command{&command.Tick{}, &command.Acked{}, &command.SetMode{}, &command.EffectsDone{}, &command.Audit{}} {
		if _, err := m.store.Do(t.Context(), keeps); err != nil {
			t.Errorf("%T on a low disk: %v", keeps, err)
		}
	}
	if _, err := m.store.Do(t.Context(), session(1, command.Stop, 1)); !errors.Is(err, ErrDiskLow) || !strings.Contains(err.Error(), "free space") {
		t.Errorf("new work on a low disk: %v", err)
	}

	low := ""
	c = newClusterOf(t, 3, func(cfg *Config) {
		if low == "" {
			low = cfg.Raft.NodeID
			cfg.Disk.LowBytes = 1 << 62
		}
	})
	eventually(t, "a node with room leads", func() bool { return c.leader().id != low })
	c.leader().found()
	for _, m := range c.members {
		m.do(session(1, command.Stop, 10)) // also at the node with little room: the others have it
	}
}
