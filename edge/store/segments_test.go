package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"meridian/internal/canon"
	"meridian/internal/verify"
	"meridian/replication/seal"
)

func testRing(t testing.TB) *seal.Ring {
	t.Helper()
	ring, err := seal.NewRing([]seal.Key{{ID: 1, Bytes: [32]byte{7}}})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func rawEntries(from, to uint64) (out []verify.RawEntry) {
	for seq := from; seq <= to; seq++ {
		out = append(out, verify.RawEntry{Epoch: 1, Seq: seq, Raw: fmt.Appendf(nil, "entry %d says pw-user000001", seq)})
	}
	return out
}

func mustAppend(t testing.TB, s *segments, from, to uint64) {
	t.Helper()
	if err := s.append(rawEntries(from, to)); err != nil {
		t.Fatal(err)
	}
}

func readAll(t testing.TB, s *segments, from uint64) (seqs []uint64) {
	t.Helper()
	err := s.read(1, from, func(e verify.RawEntry) (bool, error) {
		if !bytes.Equal(e.Raw, rawEntries(e.Seq, e.Seq)[0].Raw) {
			t.Fatalf("entry %d is %q", e.Seq, e.Raw)
		}
		seqs = append(seqs, e.Seq)
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seqs
}

func TestSegmentsKeepRollTrimAndReopen(t *testing.T) {
	dir := t.TempDir()
	s, err := openTestSegments(t, dir, 500)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 40; seq += 4 {
		mustAppend(t, s, seq, seq+3)
	}
	if len(s.files) < 3 {
		t.Fatalf("%d files: the size limit does not roll", len(s.files))
	}
	mustAppend(t, s, 37, 42) // replay of 37–40, then new ones
	if err := s.trim(1, 20); err != nil {
		t.Fatal(err)
	}
	first, last := s.bounds()
	if first > 21 || first < 10 || last != 42 {
		t.Fatalf("after trim: %d to %d", first, last)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openTestSegments(t, dir, 500); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, s, 30); len(got) != 13 || got[0] != 30 || got[12] != 42 {
		t.Fatalf("read %v", got)
	}
	mustAppend(t, s, 43, 50)
	if err := s.append(rawEntries(52, 53)); !errors.Is(err, ErrSegments) {
		t.Fatalf("a gap was accepted: %v", err)
	}
	wrong := rawEntries(45, 46)
	wrong[1].Raw = []byte("something else")
	if err := s.append(wrong); !errors.Is(err, ErrSegments) {
		t.Fatalf("a replay that differs was accepted: %v", err)
	}
	defer s.close()
	for _, f := range s.files {
		if b, _ := os.ReadFile(f.path); bytes.Contains(b, []byte("pw-user")) {
			t.Fatal("clear text lies on disk")
		}
	}
}

// A crash may leave any part of the last frame: what is whole before it stays.
func TestSegmentsCutAtEveryOctet(t *testing.T) {
	dir := t.TempDir()
	s, err := openTestSegments(t, dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, 1, 3)
	whole := s.files[0].size
	mustAppend(t, s, 4, 5)
	path := s.files[0].path
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	full, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := len(full) - 1; n >= int(whole); n-- {
		if err := os.WriteFile(path, full[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openTestSegments(t, dir, 1<<20)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if _, last := s.bounds(); last != 3 {
			t.Fatalf("cut at %d: ends at %d", n, last)
		}
		mustAppend(t, s, 4, 5)
		if got := readAll(t, s, 1); len(got) != 5 {
			t.Fatalf("cut at %d, written again: %v", n, got)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSegmentsRefuseDamage(t *testing.T) {
	dir := t.TempDir()
	s, err := openTestSegments(t, dir, 150)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 20; seq += 2 {
		mustAppend(t, s, seq, seq+1)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-3] ^= 1
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openTestSegments(t, dir, 150); !errors.Is(err, ErrSegments) {
		t.Fatalf("a flipped bit in the first file: %v", err)
	}
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(names[1]); err != nil {
		t.Fatal(err)
	}
	if s, err = openTestSegments(t, dir, 150); err != nil {
		t.Fatalf("acknowledged files are gone, which is right: %v", err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(names[3]); err != nil {
		t.Fatal(err)
	}
	if _, err := openTestSegments(t, dir, 150); !errors.Is(err, ErrSegments) {
		t.Fatalf("a file missing in the middle: %v", err)
	}
}

// One append may hold a region's whole backlog: it lies in frames of bounded size,
// or the file could not be read again.
func TestSegmentsSplitWhatIsAppended(t *testing.T) {
	dir := t.TempDir()
	s, err := openTestSegments(t, dir, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[uint64]int{1: 3 << 20, 2: 10} // the first does not fit a frame: it goes alone
	var entries []verify.RawEntry
	for seq := uint64(1); seq <= 15_000; seq++ {
		n, ok := sizes[seq]
		if !ok && seq <= 5000 {
			n = 500
		}
		entries = append(entries, verify.RawEntry{Epoch: 1, Seq: seq, Raw: bytes.Repeat([]byte{byte(seq)}, n)})
	}
	if err := s.append(entries); err != nil {
		t.Fatal(err)
	}
	if err := s.append(entries[100:]); err != nil {
		t.Fatalf("the same again: %v", err)
	}
	if err := s.append([]verify.RawEntry{{Epoch: 1, Seq: 15_001, Raw: make([]byte, canon.MaxBytes+1)}}); !errors.Is(err, ErrSegments) {
		t.Fatalf("an entry that could not be read again: %v", err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openTestSegments(t, dir, 2<<20); err != nil {
		t.Fatal(err)
	}
	if len(s.files) < 3 {
		t.Errorf("%d files: one append does not roll", len(s.files))
	}
	for _, file := range s.files {
		for _, f := range file.frames {
			if f.count > frameEntries || f.count > 1 && f.length > frameBytes+4*frameEntries+seal.Overhead {
				t.Errorf("frame of %d entries, %d octets", f.count, f.length)
			}
		}
	}
	next := uint64(1)
	err = s.read(1, 1, func(e verify.RawEntry) (bool, error) {
		if e.Seq != next || !bytes.Equal(e.Raw, entries[next-1].Raw) {
			return false, fmt.Errorf("entry %d at the place of %d", e.Seq, next)
		}
		next++
		return true, nil
	})
	if err != nil || next != 15_001 {
		t.Fatalf("read up to %d: %v", next-1, err)
	}
}

// A reader is as slow as it likes: nothing waits for it, and what it reads stays.
func TestSegmentsReadStopsNobody(t *testing.T) {
	s, err := openTestSegments(t, t.TempDir(), 150)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	mustAppend(t, s, 1, 3)
	mustAppend(t, s, 4, 6)
	var seqs []uint64
	err = s.read(1, 1, func(e verify.RawEntry) (bool, error) {
		seqs = append(seqs, e.Seq)
		next := 6 + uint64(len(seqs))
		mustAppend(t, s, next, next)
		if err := s.trim(1, 6); err != nil {
			return false, err
		}
		return true, s.sync()
	})
	if err != nil || len(seqs) != 6 {
		t.Fatalf("read %v of what was there at the beginning: %v", seqs, err)
	}
	if first, last := s.bounds(); first != 1 || last != 12 {
		t.Fatalf("%d to %d: trimmed under the reader", first, last)
	}
	if err := s.trim(1, 6); err != nil {
		t.Fatal(err)
	}
	if first, _ := s.bounds(); first == 1 {
		t.Fatal("not trimmed after the reader")
	}
	if err := s.read(1, 1, func(verify.RawEntry) (bool, error) { return true, nil }); !errors.Is(err, ErrTrimmed) {
		t.Fatalf("read what is trimmed: %v", err)
	}
}

// A file that was begun and never written to is no reason to refuse the one before
// it for a torn end, neither now nor at the next start.
func TestSegmentsForgetAnUnfinishedFile(t *testing.T) {
	dir := t.TempDir()
	unfinished := filepath.Join(dir, fmt.Sprintf("%020d%s", 99, segmentSuffix))
	for _, content := range []string{"", segmentMagic[:3], segmentMagic} {
		s, err := openTestSegments(t, dir, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		_, last := s.bounds()
		mustAppend(t, s, last+1, last+3)
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(unfinished, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err = openTestSegments(t, dir, 1<<20); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(unfinished); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("a file of %q is still there: %v", content, err)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSegmentsReset(t *testing.T) {
	dir := t.TempDir()
	s, err := openTestSegments(t, dir, 150)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	mustAppend(t, s, 1, 3)
	mustAppend(t, s, 4, 6)
	mustAppend(t, s, 7, 9)
	// What a crash leaves that segments know nothing of must not survive either.
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%020d%s", 500, segmentSuffix)), []byte(segmentMagic), 0o600); err != nil {
		t.Fatal(err)
	}
	err = s.read(1, 1, func(e verify.RawEntry) (bool, error) {
		if e.Seq == 1 {
			return true, s.reset(100)
		}
		return true, nil
	})
	if !errors.Is(err, ErrTrimmed) {
		t.Fatalf("a reader of what is gone: %v", err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 0 {
		t.Fatalf("left: %v", names)
	}
	mustAppend(t, s, 101, 103)
	if got := readAll(t, s, 101); len(got) != 3 {
		t.Fatalf("read %v", got)
	}
	if err := s.read(1, 9, func(verify.RawEntry) (bool, error) { return true, nil }); !errors.Is(err, ErrTrimmed) {
		t.Fatalf("read what was dropped: %v", err)
	}
	if s.pins != 0 {
		t.Fatalf("%d pins", s.pins)
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte("MSEG\x01 not a frame"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if fr, err := parseFrame(b); err == nil && int(fr.length) > len(b) {
			t.Fatal("a frame longer than its octets")
		}
	})
}
