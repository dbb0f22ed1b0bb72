package store

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/canon"
	"meridian/internal/verify"
)

// writeSnapshot is a snapshot of an empty state and the entries up to last.
func writeSnapshot(t *testing.T, s *segments, last uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	var mu sync.RWMutex
	snap := &snapshot{state: fsm.New().Freeze(), guard: &mu, held: &holdMeter{guard: mu.RLocker(), most: new(atomic.Int64)}, last: last, segments: s, release: s.pin(), failed: func(err error) { t.Error(err) }}
	defer snap.Release()
	if err := snap.write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Entries come in pieces of bounded count and size, whatever the backlog.
func TestSnapshotGivesEntriesInPieces(t *testing.T) {
	s, err := openTestSegments(t, t.TempDir(), 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	mustAppend(t, s, 1, 1200)
	for seq := uint64(1201); seq <= 1206; seq++ {
		if err := s.append([]verify.RawEntry{{Epoch: 1, Seq: seq, Raw: make([]byte, 700<<10)}}); err != nil {
			t.Fatal(err)
		}
	}
	b := writeSnapshot(t, s, 1206)
	snap, err := openSnapshot(bytes.NewReader(b), testRing(t))
	if err != nil {
		t.Fatal(err)
	}
	next, pieces := uint64(1), 0
	err = snap.entries(func(piece []verify.RawEntry) error {
		pieces++
		size := 0
		for _, e := range piece {
			if e.Seq != next {
				t.Fatalf("entry %d at the place of %d", e.Seq, next)
			}
			next++
			size += len(e.Raw)
		}
		if len(piece) > entriesPiece || size > snapshotPiece+700<<10 {
			t.Errorf("piece of %d entries, %d octets", len(piece), size)
		}
		return nil
	})
	if err != nil || next != 1207 || pieces < 5 {
		t.Fatalf("%d entries in %d pieces: %v", next-1, pieces, err)
	}
	refused := errors.New("refused")
	if snap, err = openSnapshot(bytes.NewReader(b), testRing(t)); err != nil {
		t.Fatal(err)
	}
	if err := snap.entries(func([]verify.RawEntry) error { return refused }); err != refused {
		t.Fatalf("the caller's error came back as %v", err)
	}
}

// A snapshot that does not end where it says is refused, wherever it is cut off.
func TestSnapshotCutOffIsRefused(t *testing.T) {
	s, err := openTestSegments(t, t.TempDir(), 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	mustAppend(t, s, 1, 20)
	b := writeSnapshot(t, s, 20)
	drop := func([]verify.RawEntry) error { return nil }
	for n := range b {
		snap, err := openSnapshot(bytes.NewReader(b[:n]), testRing(t))
		if err == nil {
			err = snap.entries(drop)
		}
		if err == nil {
			t.Fatalf("cut off at octet %d of %d and not refused", n, len(b))
		}
	}
	twice := append(bytes.Clone(b), b[len(b)-60:]...)
	snap, err := openSnapshot(bytes.NewReader(twice), testRing(t))
	if err == nil {
		err = snap.entries(drop)
	}
	if !errors.Is(err, errSnapshot) {
		t.Fatalf("with more behind its end: %v", err)
	}
}

// A snapshot of the first version says how long its dump is.
func TestSnapshotOfTheFirstVersionIsRead(t *testing.T) {
	s, err := openTestSegments(t, t.TempDir(), 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	state := fsm.New()
	state.Apply(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	dump := state.Dump()
	var b bytes.Buffer
	b.WriteString(snapshotFirst)
	w := recordWriter{to: &b, ring: s.ring}
	var h, e canon.Writer
	h.Uvarint(uint64(len(dump)))
	h.Uvarint(1)
	w.record(h.B)
	w.record(dump[:10])
	w.record(dump[10:])
	e.Uvarint(1)
	e.Bytes([]byte("entry"))
	w.record(e.B)
	snap, err := openSnapshot(&b, testRing(t))
	if err != nil {
		t.Fatal(err)
	}
	var got []verify.RawEntry
	err = snap.entries(func(piece []verify.RawEntry) error { got = append(got, piece...); return nil })
	if err != nil || snap.state.Hash() != state.Hash() || len(got) != 1 || string(got[0].Raw) != "entry" {
		t.Fatalf("%d entries, %v", len(got), err)
	}
}
