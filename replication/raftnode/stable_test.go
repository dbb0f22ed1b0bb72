package raftnode

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft-wal/metadb"
)

// Term and vote come back as they were stored; one that rotted, is missing, or is of a
// time before the log is refused with the remedy, as is a file that was cut off.
func TestTermAndVoteThatRotAreRefused(t *testing.T) {
	for _, e := range []Engine{EngineWAL, EngineBolt} {
		t.Run(string(e), func(t *testing.T) { stableRots(t, e) })
	}
}

func stableRots(t *testing.T, e Engine) {
	dir := t.TempDir()
	s := openTestEngine(t, dir, e)
	cand := []byte("LastVoteCand")
	err := errors.Join(s.SetUint64(keyCurrentTerm, 7), s.SetUint64([]byte("LastVoteTerm"), 7), s.Set(cand, []byte("n2:7001")), s.StoreLogs(entries(1, 10)))
	if err != nil {
		t.Fatal(err)
	}
	if term, err := s.GetUint64(keyCurrentTerm); err != nil || term != 7 {
		t.Fatalf("term %d, %v", term, err)
	}
	if got, err := s.Get(cand); err != nil || string(got) != "n2:7001" {
		t.Fatalf("vote %q, %v", got, err)
	}
	if err := s.check(0, 7); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrLogDamaged) || !strings.Contains(err.Error(), "empty this node's directory") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a term before the snapshot's", s.check(0, 8))
	for _, key := range [][]byte{keyCurrentTerm, []byte("LastVoteTerm"), cand} {
		kept, err := s.logEngine.Get(stableName(key))
		if err != nil {
			t.Fatal(err)
		}
		for i := range kept {
			bad := append([]byte{}, kept...)
			bad[i] ^= 1
			if err := s.logEngine.Set(stableName(key), bad); err != nil {
				t.Fatal(err)
			}
			refused(string(key), s.check(0, 7))
		}
		if err := s.logEngine.Set(stableName(key), kept); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.logEngine.Set(stableName(keyCurrentTerm), nil); err != nil {
		t.Fatal(err)
	}
	refused("no term", s.check(0, 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, logDir, map[Engine]string{EngineWAL: metadb.FileName, EngineBolt: boltFile}[e])
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 100, 5000, 3 * os.Getpagesize(), 3*os.Getpagesize() + 1} {
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(dir, e, 1<<16, testRing('r'), testDisk(t, dir, nil), discard(), &counters{})
		if err == nil {
			err = errors.Join(errors.New("it opens"), s.Close())
		}
		refused("cut off", err)
	}
}

// A directory whose term and vote were written without checksums goes on: they are read
// as they stand, and have a checksum from the next write on.
func TestTermAndVoteWithoutChecksumsAreRead(t *testing.T) {
	for _, e := range []Engine{EngineWAL, EngineBolt} {
		t.Run(string(e), func(t *testing.T) {
			dir := t.TempDir()
			s := openTestEngine(t, dir, e)
			voteTerm, cand := []byte("LastVoteTerm"), []byte("LastVoteCand")
			old := s.logEngine
			if err := errors.Join(old.SetUint64(keyCurrentTerm, 7), old.SetUint64(voteTerm, 6), old.Set(cand, []byte("n2:7001")), s.StoreLogs(entries(1, 10)), s.Close()); err != nil {
				t.Fatal(err)
			}
			s = openTestEngine(t, dir, e)
			is := func(term, voted uint64, whom string) {
				t.Helper()
				gotTerm, err1 := s.GetUint64(keyCurrentTerm)
				gotVoted, err2 := s.GetUint64(voteTerm)
				gotWhom, err3 := s.Get(cand)
				if err := errors.Join(err1, err2, err3, s.check(0, 7)); err != nil || gotTerm != term || gotVoted != voted || string(gotWhom) != whom {
					t.Fatalf("term %d, vote for %q in term %d, %v; want %d, %q, %d", gotTerm, gotWhom, gotVoted, err, term, whom, voted)
				}
			}
			is(7, 6, "n2:7001")
			if !s.termed.Load() {
				t.Error("a member with a term counts as one that never had any")
			}
			if err := s.check(0, 8); !errors.Is(err, ErrLogDamaged) {
				t.Errorf("a term before the snapshot's: %v", err)
			}
			if err := errors.Join(s.SetUint64(keyCurrentTerm, 9), s.SetUint64(voteTerm, 9), s.Set(cand, []byte("n3:7001")), s.Close()); err != nil {
				t.Fatal(err)
			}
			s = openTestEngine(t, dir, e)
			is(9, 9, "n3:7001")
			kept, err := s.logEngine.Get(stableName(cand))
			if err != nil || len(kept) == 0 {
				t.Fatalf("the vote has no checksum: %q, %v", kept, err)
			}
			kept = append([]byte{}, kept...)
			kept[0] ^= 1
			if err := s.logEngine.Set(stableName(cand), kept); err != nil {
				t.Fatal(err)
			}
			if err := s.check(0, 7); !errors.Is(err, ErrLogDamaged) { // not the older vote
				t.Errorf("a vote that rotted: %v", err)
			}
		})
	}
}

// Whatever page of the small database is overwritten: it opens with what was stored,
// or it is refused; the process does not die of it.
func TestPagesThatRotDoNotEndTheProcess(t *testing.T) {
	dir := t.TempDir()
	s := openTestEngine(t, dir, EngineWAL)
	if err := errors.Join(s.SetUint64(keyCurrentTerm, 7), s.StoreLogs(entries(1, 10)), s.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, logDir, metadb.FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	for at := 0; at+page <= len(whole); at += page {
		for _, fill := range []byte{0xff, 0x5a} {
			bad := append([]byte{}, whole...)
			for i := range page {
				bad[at+i] = fill
			}
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openStore(dir, EngineWAL, 1<<16, testRing('r'), testDisk(t, dir, nil), discard(), &counters{})
			if err != nil {
				if !errors.Is(err, ErrLogDamaged) || !strings.Contains(err.Error(), "empty this node's directory") {
					t.Errorf("page %d filled with %#x: %v", at/page, fill, err)
				}
				continue
			}
			if err := s.check(0, 0); err != nil && !errors.Is(err, ErrLogDamaged) {
				t.Errorf("page %d filled with %#x: %v", at/page, fill, err)
			} else if term, _ := s.GetUint64(keyCurrentTerm); err == nil && term != 7 {
				t.Errorf("page %d filled with %#x: it starts in term %d", at/page, fill, term)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
