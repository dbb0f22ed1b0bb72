package fsm

import (
	"sync"
	"testing"

	"meridian/edge/command"
)

// pausing is a guard that, once it was given back so many times, is not taken again
// before the other side went on. What is read meanwhile is read beside the change, and
// the race detector sees it.
type pausing struct {
	sync.Mutex
	left          int
	reached, goOn chan struct{}
}

func (p *pausing) Lock() {
	if p.left == 0 {
		<-p.goOn
	}
	p.Mutex.Lock()
}

func (p *pausing) Unlock() {
	p.Mutex.Unlock()
	if p.left--; p.left == 0 {
		close(p.reached)
	}
}

// The region leaves its epoch while a snapshot is being written, at any point of it: it
// is the state of before, and nothing of it is read beside the change.
func TestFrozenOutlivesItsEpoch(t *testing.T) {
	for pause := 1; ; pause++ {
		r := newRegion(t, 50*eur, flat())
		want := r.s.Freeze().Hash(&sync.Mutex{})
		f, guard := r.s.Freeze(), &pausing{left: pause, reached: make(chan struct{}), goOn: make(chan struct{})}
		var got [32]byte
		written := make(chan struct{})
		go func() { defer close(written); got = f.Hash(guard) }()
		select {
		case <-guard.reached:
		case <-written:
			if pause < 5 {
				t.Fatalf("a dump takes the guard %d times", pause-1)
			}
			return
		}
		guard.Mutex.Lock()
		for _, c := range []command.Command{&command.Fence{Epoch: 1, LastSeq: r.s.Seq}, &command.OpenEpoch{Epoch: 2}} {
			if res := r.s.Apply(c); res.Code != command.OK {
				t.Fatalf("%T: %v", c, res)
			}
		}
		guard.Mutex.Unlock()
		close(guard.goOn)
		<-written
		if got != want {
			t.Fatalf("pause %d: hash %x, before the epoch it was %x", pause, got, want)
		}
	}
}
