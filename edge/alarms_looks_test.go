package edge

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/replication/disk"
	"meridian/replication/link"
)

// look does the look of an alarm.
func look(n *Node, name string) error {
	for _, w := range n.watching {
		if w.Name == name {
			return w.find()
		}
	}
	return errors.New("no such alarm")
}

// Each look finds its problem, names the cause, and finds nothing once it is over. The
// node is not started: nobody else looks.
func TestLooksFindTheirProblemAndItsEnd(t *testing.T) {
	var failing atomic.Bool
	cfg := testConfig(t)
	cfg.Disk.Hook = func(op disk.Op, path string, do func() error) error {
		if failing.Load() && op == disk.Create && strings.Contains(path, "/snapshots") {
			return syscall.ENOSPC
		}
		return do()
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	for deadline := time.Now().Add(20 * time.Second); !n.store.IsLeader(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the node does not lead")
		}
	}
	n.found(t.Context())
	do := func(c command.Command) {
		t.Helper()
		if r, err := n.store.Do(t.Context(), c); err != nil || r.Code != command.OK && r.Code != command.Repeated {
			t.Fatalf("%T: %+v %v", c, r, err)
		}
	}
	do(&command.OpenEpoch{Meta: n.meta(), Epoch: 1})
	var entries int64
	n.store.View(func(s *fsm.State) { entries = int64(s.Backlog()) })
	if entries == 0 {
		t.Fatal("no entry waits")
	}
	bound := func(entries int64) func() {
		return func() {
			p := cfg.Policy
			p.MaxBacklogEntries = entries
			do(&command.SetPolicy{Meta: n.meta(), Policy: p})
		}
	}
	clocks := func(jumped, skew time.Duration) func() {
		return func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.jumped, n.skews = jumped, map[string]time.Duration{"north-2": skew}
		}
	}
	ends := func(in time.Duration) func() { return func() { n.expires = time.Now().Add(in) } }
	for name, c := range map[string]struct {
		good, bad func()
		says      string
	}{
		"clock_jump":           {clocks(0, 0), clocks(time.Hour, 0), "1h0m0s ahead"},
		"clock_skew":           {clocks(0, -mostSkew), clocks(0, -mostSkew-time.Millisecond), "2.001s from this one's"},
		"certificate_expiring": {ends(expiryWarning + time.Minute), ends(expiryWarning - time.Minute), "issue a new one and restart"},
		"backlog_high":         {bound(1000), bound(2 * entries), "entries of"},
		"backlog_full":         {bound(2 * entries), bound(entries), "the bounds are"},
		"heads_missing":        {func() { n.heads.bookErr = nil }, func() { n.heads.bookErr = syscall.EIO }, "input/output error"},
		"feed_blocked": {func() {
			if err := n.uplink.Welcome(t.Context(), link.Welcome{Epoch: 1}); err != nil {
				t.Fatal(err)
			}
		}, func() {
			if err := n.uplink.Feed(t.Context(), []link.Row{{Number: 1, EntityKind: "later", EntityID: "x", EntityVersion: 1}}); err != nil {
				t.Fatal(err)
			}
		}, "later"},
		"snapshots_failing": {func() {}, func() {
			failing.Store(true)
			defer failing.Store(false)
			if err := n.store.Snapshot(t.Context()); err == nil {
				t.Fatal("a snapshot was written")
			}
		}, "make room for three of them"},
		"no_leader": {func() { n.cfg.StaleAfter = time.Hour }, func() { n.cfg.StaleAfter = -time.Hour }, "no leader was heard"},
	} {
		for _, step := range []struct {
			make func()
			says string
		}{{c.good, ""}, {c.bad, c.says}, {c.good, ""}} {
			step.make()
			if err := look(n, name); (err != nil) != (step.says != "") || err != nil && !strings.Contains(err.Error(), step.says) {
				t.Errorf("%s: %v, want %q", name, err, step.says)
			}
		}
	}
}
