package store

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"meridian/replication/disk"
)

// A disk that does not give what lies on it says nothing of the entries: the files are
// opened anew, also when it was replay that compared, and the node goes on with all it
// acknowledged.
func TestReadErrorIsTheDisksAndNotDamage(t *testing.T) {
	for name, fault := range map[string]error{"input/output error": syscall.EIO, "no file left to open": syscall.EMFILE} {
		t.Run(name, func(t *testing.T) {
			f := &faults{}
			c := newClusterOf(t, 1, func(cfg *Config) { cfg.Disk.Hook, cfg.Raft.TrailingLogs = f.hook, 1000 })
			m := c.leader()
			m.found()
			b := &tally{c: c}
			for range 20 {
				if !b.try(m, 15*time.Second) {
					t.Fatal("not acknowledged")
				}
			}
			reopened := func() uint64 { _, st := m.store.Disk(); return st.Reopened }
			heals := func(what string, before uint64) {
				t.Helper()
				eventually(t, what+": the disk has failed", func() bool { return f.hit() > 0 && m.cause() == disk.Failed })
				if err := m.store.Damage(); err != nil {
					t.Fatalf("%s: it counts as damage: %v", what, err)
				}
				f.arm("", 0, "", nil)
				eventually(t, what+": it goes on", func() bool { return reopened() > before && m.cause() == disk.None && b.try(m, 15*time.Second) })
			}

			before := reopened()
			f.arm(m.dir, disk.Read, "/segments/", fault)
			if _, _, err := m.store.Entries(0, [32]byte{}, 1000, 1<<20); !errors.Is(err, fault) || errors.Is(err, ErrDamaged) {
				t.Fatalf("Entries: %v", err)
			}
			heals("entries are read for the centre", before)

			m.stop()
			f.arm(m.dir, disk.Read, "/segments/", fault)
			if err := c.open(m); err == nil {
				heals("replay compares", 0)
			} else {
				t.Fatalf("the start is refused: %v", err)
			}
			b.settle()
		})
	}
}
