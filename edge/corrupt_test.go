package edge

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/journal"
	"meridian/replication/seal"
)

// newestOf is the newest file in a stopped node's directory that a pattern names.
func newestOf(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names[len(names)-1]
}

// rot changes a file of a stopped node in place.
func rot(t *testing.T, path string, change func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// written is where what was written into a preallocated file ends.
func written(b []byte) int { return len(bytes.TrimRight(b, "\x00")) }

// middle flips what lies at a share of what was written.
func middle(share float64) func([]byte) []byte {
	return func(b []byte) []byte {
		for at, n := int(float64(written(b))*share), 0; n < 8; n++ {
			b[at+n] ^= 0xa5
		}
		return b
	}
}

// A node one of whose files rots while it is stopped is refused at its start, with the
// file and what to do, while the two others serve; nothing is skipped over. Emptied,
// removed and added again it has everything that was acknowledged.
func TestNodeWithARottenFileIsRefusedAndReplaced(t *testing.T) {
	r := bareRegion(t, 3)
	for i := range r.cfgs {
		r.cfgs[i].SnapshotEntries = 50
	}
	r.begin()
	r.feedFlatRate()
	tr := r.traffic(4)
	const i = 2
	grown := func() bool {
		var last uint64
		r.nodes[i].store.View(func(s *fsm.State) { last = s.Seq })
		snapshots, err := filepath.Glob(filepath.Join(r.cfgs[i].Dir, "snapshots", "*", "state.bin"))
		return err == nil && last > 0 && len(snapshots) > 0 && r.nodes[i].store.Raft().LastIndex() > 100
	}
	r.goesOn(tr, "the start")
	r.reportStops(tr, 40)
	if err := r.nodes[i].store.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.until("snapshot, log and segments", grown)
	r.reportStops(tr, 5)
	r.stop(i)
	whole := r.cfgs[i].Dir
	const rejoin = "empty this node's directory"
	for _, c := range []struct {
		name, file string
		change     func([]byte) []byte
		says       []string
	}{
		{"middle of the log", "log/*.wal", middle(0.9), []string{"log", rejoin}},
		{"tail of the log", "log/*.wal", func(b []byte) []byte { clear(b[written(b)-200:]); return b }, []string{"log", rejoin}},
		{"log cut off", "log/*.wal", func(b []byte) []byte { return b[:written(b)-100] }, []string{"log", rejoin}},
		{"stable store", "log/wal-meta.db", func(b []byte) []byte { return b[:len(b)/2] }, []string{"log", rejoin}},
		{"stable store's pages", "log/wal-meta.db", func(b []byte) []byte { clear(b[:8192]); return b }, []string{"log", rejoin}},
		{"end mark", "log/end.mark", func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b }, nil},
		{"the newest segment's middle", "segments/*.seg", middle(0.4), nil}, // snapshot and log make it again
		{"node.json", "node.json", func(b []byte) []byte { return b[:len(b)/2] }, []string{"node.json", "restore the directory"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.cfgs[i].Dir = t.TempDir()
			if err := os.CopyFS(r.cfgs[i].Dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			rot(t, newestOf(t, r.cfgs[i].Dir, c.file), c.change)
			if c.says == nil {
				r.heals(i, tr)
				return
			}
			n, err := r.open(i)
			if err == nil {
				n.Close()
				t.Fatal("it starts")
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%v\ndoes not say %q", err, says)
				}
			}
		})
		r.goesOn(tr, c.name)
	}
	t.Run("every snapshot", func(t *testing.T) {
		r.cfgs[i].Dir = t.TempDir()
		if err := os.CopyFS(r.cfgs[i].Dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		names, err := filepath.Glob(filepath.Join(r.cfgs[i].Dir, "snapshots", "*", "state.bin"))
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		for _, name := range names {
			rot(t, name, func(b []byte) []byte { b[len(b)-seal.Overhead] ^= 1; return b })
		}
		n, err := r.open(i)
		if err == nil {
			n.Close()
			t.Fatal("it starts")
		}
		if !strings.Contains(err.Error(), "snapshot") || !strings.Contains(err.Error(), rejoin) {
			t.Error(err)
		}
	})
	r.goesOn(tr, "the snapshots rotted")

	r.cfgs[i].Dir = whole
	if err := os.RemoveAll(whole); err != nil {
		t.Fatal(err)
	}
	r.remove(i)
	r.cfgs[i].Start = Join
	r.start(i)
	r.add(i)
	r.goesOn(tr, "it was replaced")
	r.check(tr)
}

// heals starts a node and wants the ledger that all have on its disk, from the first
// entry that the centre lacks to the last.
func (r *region) heals(i int, tr *traffic) {
	r.t.Helper()
	r.start(i)
	defer r.stop(i)
	r.goesOn(tr, "it started")
	r.until("its ledger is whole", func() bool {
		var seq uint64
		var head journal.Hash
		r.nodes[i].store.View(func(s *fsm.State) { seq, head = s.Seq, s.Head })
		got, err := r.nodes[i].store.HashAt(seq)
		return err == nil && got == head && seq >= uint64(r.stopped)
	})
}

// reportStops has that many sessions of the flat rate's subscriber stopped, each of
// which writes entries.
func (r *region) reportStops(tr *traffic, n int) {
	r.t.Helper()
	for s := range n {
		r.do(&command.Accounting{Meta: r.leader().meta(), NAS: "nas", SessionID: fmt.Sprint("stopped ", r.stopped+s), Login: "u", Status: command.Stop,
			Event: time.Now().Unix(), Seconds: 1, Out: 1000, Giga: true})
	}
	r.stopped += n
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for s := range r.stopped {
		tr.acked[fmt.Sprint("stopped ", s)] = 1000
	}
}
