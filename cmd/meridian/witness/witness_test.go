package witness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"meridian/internal/verify"
)

func acked(id string) verify.WitnessRecord {
	return verify.WitnessRecord{Acked: &verify.WitnessAcct{NAS: "nas-1", ID: id, Start: 1000, Status: verify.StatusInterim, Event: 1010, Seconds: 10, In: 1, Out: 2}}
}

func read(t *testing.T, path string) *verify.Witness {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := verify.ReadWitness(f)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWhatIsRecordedIsOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness.jsonl")
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 16, 25
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for k := range each {
				w.Note(verify.WitnessRecord{Auth: &verify.WitnessAuth{Login: "user", Result: verify.AuthAccept}})
				if err := w.Record(acked(fmt.Sprintf("%d-%d", i, k))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// Recorded means on disk, before Close.
	got := read(t, path)
	if len(got.Sessions) != writers*each || got.Torn {
		t.Errorf("%d sessions, torn %v, want %d", len(got.Sessions), got.Torn, writers*each)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Record(acked("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("record after close: %v", err)
	}
	w.Note(acked("late"))
	if err := w.Close(); err != nil {
		t.Errorf("close twice: %v", err)
	}
	if p := read(t, path).Phase(""); p == nil || p.Accepts != writers*each {
		t.Errorf("notes %+v", p)
	}
}

func TestTornLineIsCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness.jsonl")
	whole := verify.AppendRecord(nil, acked("one"))
	if err := os.WriteFile(path, append(whole, `{"acked":{"nas":"na`...), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Record(acked("two")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); len(got.Sessions) != 2 || got.Lines != 2 {
		t.Errorf("%d sessions in %d lines, want 2 in 2", len(got.Sessions), got.Lines)
	}
}

func TestOnlyATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness.jsonl")
	if err := os.WriteFile(path, []byte(`{"acked"`), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("%v, %v: want an empty file", info, err)
	}
}

func TestFailureIsReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness.jsonl")
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.file.Close(); err != nil { // the disk is gone
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Record(acked("x")); err == nil {
			t.Error("a record that cannot be written is said to be on disk")
		}
	}
	if err := w.Close(); err == nil {
		t.Error("close hides the failure")
	}
}
