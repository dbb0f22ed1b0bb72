package edge

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"meridian/edge/heads"
	"meridian/replication/disk"
)

// failingOn is a disk that has no room, or cannot sync, for one file while it is told so.
func failingOn(file string, op disk.Op, bad *atomic.Bool) disk.Hook {
	return func(o disk.Op, path string, do func() error) error {
		if bad.Load() && o == op && strings.HasPrefix(filepath.Base(path), file) {
			return syscall.ENOSPC
		}
		return do()
	}
}

// The small files that say whose directory it is (birth, founders, born, node.json) are
// there whole before the node goes on: on a disk that is full, or fails to sync, it is
// refused with the file's name and leaves nothing half written; the next start works.
func TestSmallFilesOnAFailingDisk(t *testing.T) {
	for _, file := range []string{birthFile, foundersFile, bornFile, "node.json"} {
		for _, op := range []disk.Op{disk.Create, disk.Write, disk.Sync, disk.Rename} {
			t.Run(file+" "+op.String(), func(t *testing.T) {
				var bad atomic.Bool
				bad.Store(true)
				cfg := testConfig(t)
				cfg.Start = Resume
				cfg.Disk.Hook = failingOn(file, op, &bad)
				begin := func() (*Node, error) {
					settled, err := Settle(context.WithoutCancel(t.Context()), cfg)
					if err != nil {
						return nil, err
					}
					return New(settled)
				}
				n, err := begin()
				if err == nil {
					n.Close()
					t.Fatal("it starts")
				}
				if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), file) {
					t.Fatalf("%v does not name %s", err, file)
				}
				if op != disk.Rename { // what lies there was never put in its place
					if _, err := os.Stat(filepath.Join(cfg.Dir, file)); !errors.Is(err, os.ErrNotExist) {
						t.Fatalf("%s is there: %v", file, err)
					}
				}
				bad.Store(false)
				cfg.Registry = nil
				n, err = begin()
				if err != nil {
					t.Fatalf("once there is room: %v", err)
				}
				if err := n.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A book of signed heads that cannot be written stops nothing: the node leads and
// ticks on, says so by its alarm, and the book is whole once the disk works.
func TestBookOfHeadsOnAFailingDisk(t *testing.T) {
	for _, op := range []disk.Op{disk.Write, disk.Sync} {
		t.Run(op.String(), func(t *testing.T) {
			r := bareRegion(t, 1)
			var bad atomic.Bool
			r.cfgs[0].Disk.Hook = failingOn(heads.File, op, &bad)
			r.begin()
			n := r.nodes[0]
			fault := func() error {
				n.heads.mu.Lock()
				defer n.heads.mu.Unlock()
				return n.heads.bookErr
			}
			bad.Store(true)
			r.later()
			r.until("the fault is known", func() bool { return errors.Is(fault(), syscall.ENOSPC) })
			r.later()
			if !n.store.IsLeader() {
				t.Error("the node does not lead any more")
			}
			bad.Store(false)
			r.until("the book is written again", func() bool { return fault() == nil })
			r.stop(0)
			raw, err := heads.ReadBook(filepath.Join(r.cfgs[0].Dir, heads.File))
			if err != nil || len(raw) == 0 {
				t.Fatalf("%d heads: %v", len(raw), err)
			}
		})
	}
}
