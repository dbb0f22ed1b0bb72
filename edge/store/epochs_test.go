package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"meridian/internal/verify"
)

func entriesOf(epoch, from, to uint64) []verify.RawEntry {
	out := rawEntries(from, to)
	for i := range out {
		out[i].Epoch = epoch
		out[i].Raw = append([]byte{byte(epoch)}, out[i].Raw...)
	}
	return out
}

// Entries are kept by (epoch, seq): a new epoch begins at 1 and what the one before
// has stays, so that replay is compared with it and it can be read when it is
// reconciled.
func TestSegmentsAreKeyedByEpoch(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "segments")
	s, err := openTestSegments(t, root, 500)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.append(append(entriesOf(1, 1, 30), entriesOf(3, 1, 20)...)); err != nil {
		t.Fatal(err)
	}
	count := func(s *segments, epoch, from uint64) (n int) {
		t.Helper()
		err := s.read(epoch, from, func(e verify.RawEntry) (bool, error) {
			if want := entriesOf(epoch, e.Seq, e.Seq)[0]; e.Epoch != epoch || string(e.Raw) != string(want.Raw) {
				t.Errorf("entry %d/%d is %q", e.Epoch, e.Seq, e.Raw)
			}
			n++
			return true, nil
		})
		if err != nil {
			t.Error(err)
		}
		return n
	}
	check := func(s *segments) {
		t.Helper()
		if a, b, c := count(s, 1, 11), count(s, 3, 1), count(s, 4, 1); a != 20 || b != 20 || c != 0 {
			t.Errorf("%d, %d and %d entries", a, b, c)
		}
		if err := s.append(append(entriesOf(1, 25, 30), entriesOf(3, 1, 20)...)); err != nil {
			t.Errorf("replay: %v", err)
		}
		forged := entriesOf(1, 29, 29)
		forged[0].Raw = []byte("another")
		if err := s.append(forged); !errors.Is(err, ErrDamaged) {
			t.Errorf("replay makes another entry of the ended epoch: %v", err)
		}
	}
	check(s)
	if err := errors.Join(s.trim(1, 30), s.goOnAfter(1, 30), s.goOnAfter(3, 7)); err != nil || count(s, 3, 1) != 20 {
		t.Errorf("a replayed acknowledgement or snapshot of an ended epoch: %v", err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openTestSegments(t, root, 500); err != nil {
		t.Fatal(err)
	}
	check(s)
	late := 0
	if err := ReadEnded(dir, testRing(t), 1, func(verify.RawEntry) error { late++; return nil }); err != nil || late != 30 {
		t.Errorf("%d entries of the ended epoch, %v", late, err)
	}
	if err := ReadEnded(dir, testRing(t), 2, nil); !errors.Is(err, ErrNoEpoch) {
		t.Errorf("an epoch of which nothing is there: %v", err)
	}
	if err := s.goOnAfter(5, 9); err != nil {
		t.Fatal(err)
	}
	if epoch, last := s.end(); epoch != 5 || last != 9 {
		t.Errorf("after a snapshot of a later epoch: %d/%d", epoch, last)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// A frame is sealed with its epoch: it is not read from another one's place.
func TestFrameOfAnotherEpochIsRefused(t *testing.T) {
	root := t.TempDir()
	s, err := openTestSegments(t, root, 5000)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.append(entriesOf(2, 1, 5)), s.append(entriesOf(3, 1, 5)), s.close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(epochDir(root, 3), "00000000000000000001.seg")
	if err := os.Rename(filepath.Join(epochDir(root, 2), filepath.Base(file)), file); err != nil {
		t.Fatal(err)
	}
	if s, _, err = readEpoch(root, 3, testRing(t)); err != nil {
		t.Fatal(err)
	}
	err = s.read(3, 1, func(verify.RawEntry) (bool, error) { return true, nil })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("moved frame: %v", err)
	}
}
