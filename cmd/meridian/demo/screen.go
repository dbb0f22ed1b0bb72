package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How often figures are shown: on a terminal in place, in a pipe as lines.
const (
	liveEvery  = 250 * time.Millisecond
	plainEvery = 2 * time.Second
)

// screen prints lines, and on a terminal one live line below them.
type screen struct {
	w        io.Writer
	terminal bool

	mu    sync.Mutex
	shown int // columns of the live line
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if f, ok := w.(*os.File); ok {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		s.terminal = err == nil
	}
	return s
}

// line prints one line.
func (s *screen) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.print(fmt.Sprintf(format, args...) + "\n")
}

// live replaces the live line; in a pipe it is a line like others.
func (s *screen) live(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		s.print(text + "\n")
		return
	}
	s.clear()
	s.print(text)
	s.shown = len(text)
}

func (s *screen) clear() {
	if s.shown > 0 {
		s.print("\r" + strings.Repeat(" ", s.shown) + "\r")
		s.shown = 0
	}
}

// print writes; nobody is left to be told that the screen is gone.
func (s *screen) print(text string) { _, _ = io.WriteString(s.w, text) }

// watch shows what text returns until stop is called.
func (s *screen) watch(text func() string) (stop func()) {
	every := plainEvery
	if s.terminal {
		every = liveEvery
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.live(text())
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}
