package store

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"meridian/edge/command"
	"meridian/internal/journal"
	"meridian/internal/verify"
)

// TestTamperedSegmentsAreRefused: somebody who holds the node's data key rewrites
// the ledger's segments, seals them again and makes every checksum right. What
// meridian verify reads of the stopped directory is refused by the entry's number,
// since snapshot and log say otherwise.
func TestTamperedSegmentsAreRefused(t *testing.T) {
	c := newCluster(t, 1)
	m := c.leader()
	m.found()
	for i := range 5 {
		m.do(session(i, command.Stop, 1_000_000))
	}
	if err := m.store.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.stop()
	dir := filepath.Join(m.dir, "segments")
	seg, _, err := readSegments(dir, testRing(t))
	if err != nil {
		t.Fatal(err)
	}
	var whole []verify.RawEntry
	if err := seg.read(1, func(e verify.RawEntry) (bool, error) { whole = append(whole, e); return true, nil }); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(whole, func(e verify.RawEntry) bool {
		entry, err := journal.DecodeEntry(e.Raw)
		return err == nil && entry.Amount > 1
	})
	number := func(list []verify.RawEntry) []verify.RawEntry {
		out := slices.Clone(list)
		for i := range out {
			out[i].Seq = uint64(i) + 1
		}
		return out
	}
	changed := slices.Clone(whole)
	entry, err := journal.DecodeEntry(whole[at].Raw)
	if err != nil {
		t.Fatal(err)
	}
	entry.Amount--
	changed[at].Raw = entry.Encode()
	for name, list := range map[string][]verify.RawEntry{
		"amount changed": changed,
		"entry dropped":  number(slices.Delete(slices.Clone(whole), at, at+1)),
		"entry doubled":  number(slices.Insert(slices.Clone(whole), at, whole[at])),
		"entry inserted": number(slices.Insert(slices.Clone(whole), at, changed[at])),
	} {
		forged, err := openTestSegments(t, dir, 4096)
		if err != nil {
			t.Fatal(err)
		}
		if err := forged.reset(0); err != nil {
			t.Fatal(err)
		}
		if err := forged.append(list); err != nil {
			t.Fatal(err)
		}
		if err := forged.close(); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenOffline([]string{m.dir}, testRing(t)); err == nil || !strings.Contains(err.Error(), "entry ") {
			t.Errorf("%s: the stopped directory: %v", name, err)
		}
	}
	restored, err := openTestSegments(t, dir, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if err := restored.reset(0); err != nil {
		t.Fatal(err)
	}
	if err := restored.append(whole); err != nil {
		t.Fatal(err)
	}
	if err := restored.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenOffline([]string{m.dir}, testRing(t)); err != nil {
		t.Errorf("as it was: %v", err)
	}
}
