package raftnode

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"

	"meridian/replication/disk"
)

// A boltdb log whose transaction or mark fails takes nothing more, and opened anew it
// has every entry that was stored.
func TestBoltLogSurvivesDiskErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		op     disk.Op
		suffix string
		err    error
		after  bool
	}{
		{"transaction", disk.Commit, boltFile, syscall.ENOSPC, false},
		{"transaction that came to the disk", disk.Commit, boltFile, syscall.EIO, true},
		{"mark", disk.Write, markFile, syscall.ENOSPC, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			f := &faults{}
			layer := testDisk(t, dir, f.hook)
			open := func() *store {
				t.Helper()
				s, err := openStore(dir, EngineBolt, 1<<16, testRing('r'), layer, discard(), &counters{})
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			s := open()
			const stored = 20
			if err := errors.Join(s.SetUint64(keyCurrentTerm, 2), s.StoreLogs(entries(1, stored))); err != nil {
				t.Fatal(err)
			}
			f.arm(c.op, c.suffix, c.err, c.after)
			var fault *disk.Error
			if err := s.StoreLogs(entries(stored+1, stored+1)); !errors.As(err, &fault) || !errors.Is(err, c.err) {
				t.Fatal(err)
			}
			f.heal()
			if err := s.StoreLogs(entries(stored+1, stored+1)); !errors.As(err, &fault) || f.hit() != 0 {
				t.Errorf("a failed log answered %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			layer.Reset()
			s = open()
			defer s.Close()
			last, err := s.LastIndex()
			if err != nil || last < stored || last > stored+1 || s.check(0, 0) != nil {
				t.Fatalf("the log ends at %d: %v, %v", last, err, s.check(0, 0))
			}
			if err := s.StoreLogs(entries(last+1, last+50)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A boltdb log in which an entry was damaged, or whose file is gone or empty, is
// refused with the remedy. Damage of bbolt's own pages is not tried: see DESIGN.md.
func TestDamagedBoltLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openTestEngine(t, dir, EngineBolt)
	if err := s.StoreLogs(entries(1, 100)); err != nil {
		t.Fatal(err)
	}
	var sealed raft.Log
	if err := s.logEngine.GetLog(50, &sealed); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, logDir, boltFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(whole, sealed.Data)
	if at < 0 {
		t.Fatal("the entry does not lie in the file as it was stored")
	}
	damaged := bytes.Clone(whole)
	damaged[at+len(sealed.Data)-1] ^= 1
	for name, b := range map[string][]byte{"an octet of an entry": damaged, "an empty file": {}} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(dir, EngineBolt, 1<<16, testRing('r'), testDisk(t, dir, nil), discard(), &counters{})
		if err == nil {
			err = errors.Join(s.check(0, 0), s.Close())
		}
		if !errors.Is(err, ErrLogDamaged) || !strings.Contains(err.Error(), "empty this node's directory") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A directory keeps the engine that it was begun with, and offline reading knows it.
func TestEngineOfADirectory(t *testing.T) {
	for _, e := range []Engine{EngineWAL, EngineBolt} {
		t.Run(string(e), func(t *testing.T) {
			c := newCluster(t, 3, func(cfg *Config) { cfg.Log, cfg.TrailingLogs = e, 5 })
			lead := c.leader()
			var want []string
			for i := range 40 {
				want = append(want, fmt.Sprint("command ", i))
				c.apply(lead, want[i])
			}
			if err := lead.Snapshot(t.Context()); err != nil { // cuts the log
				t.Fatal(err)
			}
			m := c.members[0]
			if m == lead {
				m = c.members[1]
			}
			c.stop(m)
			o, err := OpenOffline(m.cfg.Dir, testRing('r'))
			if err != nil || o.Damage() != nil {
				t.Fatal(err, o.Damage())
			}
			n := 0
			if err := o.Entries(0, func(_, _ uint64, _ []byte) error { n++; return nil }); err != nil || n == 0 {
				t.Errorf("%d entries: %v", n, err)
			}
			if err := o.Close(); err != nil {
				t.Fatal(err)
			}
			other := m.cfg
			if other.Log = EngineBolt; e == EngineBolt {
				other.Log = EngineWAL
			}
			if _, err := Open(other, &listFSM{}); !errors.Is(err, ErrWrongDir) || !strings.Contains(err.Error(), "set raft_log to "+string(e)) {
				t.Errorf("with the other engine: %v", err)
			}
			c.apply(lead, "while it was away")
			c.start(m)
			c.allHave(append(want, "while it was away"))
			c.stop(lead) // all of it is on a majority's disks
			c.leader()
			c.start(lead)
			c.allHave(append(want, "while it was away"))
		})
	}
}

// Every member reads back what the leader wrote; what differs is told, and what a new
// leader overruled is not taken for it.
func TestLogIsReadBackAndCompared(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.VerifyEach = 8 })
	lead := c.leader()
	for i := range 60 {
		c.apply(lead, fmt.Sprint(i))
	}
	for _, m := range c.members {
		eventually(t, m.cfg.NodeID+" has read its log back", func() bool { return m.Verification().Ranges >= 3 })
		if v := m.Verification(); v.Differ != 0 || v.Err != nil {
			t.Errorf("%s: %+v", m.cfg.NodeID, v)
		}
	}
}

func TestEntryOfAnotherLeaderIsFound(t *testing.T) {
	s := openTestEngine(t, t.TempDir(), EngineBolt)
	v := newVerified(s, 10)
	defer v.Close()
	store := func(from, to uint64) {
		t.Helper()
		if err := v.StoreLogs(entries(from, to)); err != nil {
			t.Fatal(err)
		}
	}
	looked := func() uint64 {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.ranges + v.differ + v.skipped
	}
	store(1, 10)
	eventually(t, "the first range", func() bool { return looked() == 1 })
	// An entry that opens, at its place, and is not what was written.
	store(11, 15)
	if err := s.StoreLogs([]*raft.Log{{Index: 12, Term: 2, Data: []byte("another")}}); err != nil {
		t.Fatal(err)
	}
	store(16, 20)
	eventually(t, "the second range", func() bool { return looked() == 2 })
	v.mu.Lock()
	if v.differ != 1 || !errors.Is(v.found, ErrLogDiffers) || !strings.Contains(v.found.Error(), "entries 10 to 19") {
		t.Errorf("%d differ: %v", v.differ, v.found)
	}
	v.mu.Unlock()
	// The end is taken back and written anew, with the checksum of who leads now.
	other := openTestEngine(t, t.TempDir(), EngineBolt)
	leader := newVerified(other, 10)
	defer leader.Close()
	for _, l := range [][2]uint64{{1, 10}, {11, 20}, {21, 23}} {
		if err := leader.StoreLogs(entries(l[0], l[1])); err != nil {
			t.Fatal(err)
		}
	}
	store(21, 25)
	if err := v.DeleteRange(24, 25); err != nil {
		t.Fatal(err)
	}
	logs := entries(24, 30)
	for _, l := range logs {
		l.Term = 3
	}
	if err := leader.StoreLogs(logs); err != nil { // makes the checksum
		t.Fatal(err)
	}
	if err := v.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the third range", func() bool { return looked() == 3 })
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.differ != 1 || v.skipped != 1 {
		t.Errorf("%d differ, %d skipped", v.differ, v.skipped)
	}
}
