package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"meridian/internal/feed"
)

// busySteps bounds the commands that come during one dump.
const busySteps = 100

// busy is the guard of a replica to which commands come whenever it is given up.
type busy struct {
	w     *twins
	steps int // taken so far
	err   error
	held  bool
}

func (g *busy) Lock() { g.held = true }

func (g *busy) Unlock() {
	g.held = false
	for range g.w.rng.IntN(4) {
		if g.err == nil && g.steps < busySteps {
			g.steps++
			g.err = g.w.step(1_000_000 + g.steps)
		}
	}
}

// freezeAndCompare dumps a frozen replica while commands go on.
func freezeAndCompare(w *twins) error {
	want := w.a.Dump()
	f := w.a.Freeze()
	f.step = step{items: 1 + w.rng.IntN(3), keys: 1 + w.rng.IntN(3)}
	g := &busy{w: w}
	var got []byte
	err := f.Dump(g, func(b []byte) error {
		if g.held {
			return errors.New("the guard is held while a piece is given out")
		}
		got = append(got, b...)
		return nil
	})
	f.Thaw()
	if err = errors.Join(err, g.err); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("after %d commands the frozen state has %d octets, it had %d", g.steps, len(got), len(want))
	}
	if len(w.a.frozen) != 0 || g.steps == 0 {
		return fmt.Errorf("%d are frozen, %d commands came meanwhile", len(w.a.frozen), g.steps)
	}
	return nil
}

// A snapshot that is written while commands are applied is the state at its
// index, octet by octet, whatever they do meanwhile.
func TestFrozenIsTheStateAtItsIndex(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		w, err := newTwins(seed, seed%2 == 0)
		for i := 0; err == nil && i < 400; i++ {
			if err = w.step(i); err == nil && i%20 == 19 {
				err = freezeAndCompare(w)
			}
		}
		if err != nil {
			t.Fatalf("seed %d, %T: %v", seed, w.last, err)
		}
	}
}

// Two may be frozen at a time, each at its own moment, and an error of the
// receiver ends a dump.
func TestFrozenTwice(t *testing.T) {
	w, err := newTwins(7, false)
	if err != nil {
		t.Fatal(err)
	}
	walk := func(from int) {
		for i := range 300 {
			if err := w.step(from + i); err != nil {
				t.Fatal(err)
			}
		}
	}
	var frozen []*Frozen
	var want [][]byte
	for i := range 2 {
		walk(1000 * i)
		want = append(want, w.a.Dump())
		frozen = append(frozen, w.a.Freeze())
	}
	walk(9000)
	for i, f := range frozen {
		var got []byte
		if err := f.Dump(alone{}, func(b []byte) error { got = append(got, b...); return nil }); err != nil || !bytes.Equal(got, want[i]) {
			t.Errorf("state %d differs: %v", i, err)
		}
		f.Thaw()
		f.Thaw()
	}
	full := errors.New("full")
	f := w.a.Freeze()
	defer f.Thaw()
	calls := 0
	if err := f.Dump(alone{}, func([]byte) error { calls++; return full }); err != full || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

// A login that goes over to another subscription was the first one's when the
// state was frozen.
func TestFrozenKeepsWhoHadALogin(t *testing.T) {
	r := newRegion(t, 0, flat())
	want := r.s.Dump()
	f := r.s.Freeze()
	defer f.Thaw()
	r.feed(feed.KindSubscription, "other", &feed.Subscription{ID: "other", Account: "b", Login: "u", Offering: "flat"})
	var got []byte
	if err := f.Dump(alone{}, func(b []byte) error { got = append(got, b...); return nil }); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the frozen state changed: %v", err)
	}
}
