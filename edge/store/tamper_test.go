package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/journal"
	"meridian/internal/verify"
)

// forgery is a ledger that somebody who holds the node's data key wrote in place of
// the node's own: sealed again, with every number and checksum made right.
type forgery struct {
	name    string
	entries []verify.RawEntry
	says    []string // besides the file, the remedy and that it is damaged
}

// forgeries alter a ledger at the first entry of some amount.
func forgeries(t *testing.T, whole []verify.RawEntry) []forgery {
	t.Helper()
	at := slices.IndexFunc(whole, func(e verify.RawEntry) bool {
		entry, err := journal.DecodeEntry(e.Raw)
		return err == nil && entry.Amount > 1
	})
	number := func(list []verify.RawEntry) []verify.RawEntry {
		out := slices.Clone(list)
		for i := range out {
			out[i].Seq = uint64(i) + 1
			entry, err := journal.DecodeEntry(out[i].Raw)
			if err != nil {
				t.Fatal(err)
			}
			entry.Seq = out[i].Seq
			out[i].Raw = entry.Encode()
		}
		return out
	}
	changed := slices.Clone(whole)
	entry, err := journal.DecodeEntry(whole[at].Raw)
	if err != nil {
		t.Fatal(err)
	}
	amount := entry.Amount
	entry.Amount--
	changed[at].Raw = entry.Encode()
	seq := whole[at].Seq
	return []forgery{
		{"amount changed", changed, []string{fmt.Sprintf("entry %d is not what the log makes: Amount is %d instead of %d", seq, amount-1, amount)}},
		{"entry dropped", number(slices.Delete(slices.Clone(whole), at, at+1)), []string{fmt.Sprintf("entry %d ", seq)}},
		{"entry doubled", number(slices.Insert(slices.Clone(whole), at, whole[at])), []string{fmt.Sprintf("entry %d ", seq+1)}},
		{"entry inserted", number(slices.Insert(slices.Clone(whole), at, changed[at])), []string{fmt.Sprintf("entry %d ", seq), "Amount"}},
	}
}

// ledger reads the segments of a stopped node.
func ledger(t *testing.T, dir string) (whole []verify.RawEntry) {
	t.Helper()
	seg, _, err := readEpoch(dir, 1, testRing(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := seg.read(1, 1, func(e verify.RawEntry) (bool, error) { whole = append(whole, e); return true, nil }); err != nil {
		t.Fatal(err)
	}
	return whole
}

// forge writes entries as the segments of a stopped node, a few to a frame.
func forge(t *testing.T, dir string, list []verify.RawEntry) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	seg, err := openTestSegments(t, dir, 4096)
	if err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(list, 3) {
		if err := seg.append(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := seg.close(); err != nil {
		t.Fatal(err)
	}
}

// refusedLive starts a node on a forged ledger and returns why it does not serve: it
// does not open, or stops at replay; it never acknowledges anything.
func (c *cluster) refusedLive(m *member) error {
	c.t.Helper()
	err := c.open(m)
	if err != nil {
		return err
	}
	defer m.stop()
	eventually(c.t, "the forgery is found", func() bool { return m.store.Damage() != nil })
	_, err = m.store.Do(c.t.Context(), &command.Tick{Clocks: []int64{time.Now().UnixMicro()}})
	if !errors.Is(err, ErrDisk) || !errors.Is(err, m.store.Damage()) {
		c.t.Errorf("a command was answered: %v", err)
	}
	if err := m.store.Snapshot(c.t.Context()); err == nil {
		c.t.Error("a snapshot was made of what contradicts the disk")
	}
	return m.store.Damage()
}

func checkRefusal(t *testing.T, name string, err error, says ...string) {
	t.Helper()
	for _, want := range append(says, segmentSuffix, "let it join again") {
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v: it does not say %q", name, err, want)
		}
	}
}

// TestTamperedSegmentsAreRefused: the ledger's segments are rewritten. A node that is
// started on them, and what meridian verify reads of the stopped directory, refuse
// them by file, entry and what differs, since snapshot and log say otherwise.
func TestTamperedSegmentsAreRefused(t *testing.T) {
	for name, snapshot := range map[string]bool{"by the log": false, "by the snapshot": true} {
		t.Run(name, func(t *testing.T) {
			c := newClusterOf(t, 1, func(cfg *Config) { cfg.Raft.TrailingLogs = 1000 })
			m := c.leader()
			m.found()
			for i := range 12 {
				m.do(session(i, command.Stop, 1_000_000))
			}
			if snapshot {
				if err := m.store.Snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			m.stop()
			dir := filepath.Join(m.dir, "segments")
			whole := ledger(t, dir)
			for _, f := range forgeries(t, whole) {
				forge(t, dir, f.entries)
				_, err := OpenOffline([]string{m.dir}, testRing(t))
				checkRefusal(t, f.name+", the stopped directory", err, f.says...)
				checkRefusal(t, f.name+", a started node", c.refusedLive(m), f.says...)
			}
			for _, f := range []struct {
				name string
				cut  func(frames [][]byte) [][]byte
				says string
			}{
				{"frame dropped", func(f [][]byte) [][]byte { return slices.Delete(f, 1, 2) }, "begins with entry 7 after 3"},
				{"frame doubled", func(f [][]byte) [][]byte { return slices.Insert(f, 1, f[1]) }, "begins with entry 4 after 6"},
			} {
				forge(t, dir, whole)
				reframe(t, dir, f.cut)
				checkRefusal(t, f.name, c.open(m), f.says)
			}
			forge(t, dir, whole)
			if _, err := OpenOffline([]string{m.dir}, testRing(t)); err != nil {
				t.Errorf("as it was: %v", err)
			}
			c.start(m)
			eventually(t, "as it was, it serves", func() bool { return m.store.IsLeader() })
			m.do(session(100, command.Stop, 1_000_000))
			m.state(func(s *fsm.State) {
				if s.Seq <= uint64(len(whole)) {
					t.Errorf("the ledger ends at %d, it had %d entries", s.Seq, len(whole))
				}
			})
		})
	}
}

// reframe takes the first segment apart and puts it together again.
func reframe(t *testing.T, dir string, cut func([][]byte) [][]byte) {
	t.Helper()
	names, err := segmentFiles(dir)
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	seg, err := scanSegment(names[0], true)
	if err != nil || len(seg.frames) < 3 {
		t.Fatalf("%d frames: %v", len(seg.frames), err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	for _, f := range seg.frames {
		frames = append(frames, b[f.offset:f.offset+frameHeader+int64(f.length)])
	}
	out := []byte(segmentMagic)
	for _, f := range cut(frames) {
		out = append(out, f...)
	}
	if err := os.WriteFile(names[0], out, 0o600); err != nil {
		t.Fatal(err)
	}
}
