package raftnode

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Older snapshots that are put back in the place of newer ones leave a gap before
// the log. A member that started from them would lack what lies in it.
func TestSnapshotPutBackIsRefused(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) { cfg.TrailingLogs = 1 })
	m := c.leader()
	snapshots := filepath.Join(m.cfg.Dir, "snapshots")
	c.apply(m, "a")
	if err := m.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(snapshots)); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []string{"b", "c", "d"} {
		c.apply(m, cmd)
	}
	if err := m.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.apply(m, "e")
	c.stop(m)
	newer := snapshots + ".newer"
	if err := errors.Join(os.Rename(snapshots, newer), os.CopyFS(snapshots, os.DirFS(older))); err != nil {
		t.Fatal(err)
	}
	_, err := Open(m.cfg, &listFSM{})
	if !errors.Is(err, ErrLogDamaged) || !strings.Contains(err.Error(), "entries between are missing") {
		t.Fatalf("a member started from an older snapshot: %v", err)
	}
	o, err := OpenOffline(m.cfg.Dir, m.cfg.Ring)
	if err != nil {
		t.Fatal(err)
	}
	if o.Damage() == nil {
		t.Error("offline does not report the gap")
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
	if err := errors.Join(os.RemoveAll(snapshots), os.Rename(newer, snapshots)); err != nil {
		t.Fatal(err)
	}
	c.start(m) // its own snapshots are taken up
	c.leader()
	c.allHave([]string{"a", "b", "c", "d", "e"})
}
