package raftnode

import "sync"

// leadership tells every subscriber whether this node leads. Each has room for
// one value, and a newer value replaces one that was not yet taken: the newest
// is never lost, and nobody is waited for.
type leadership struct {
	mu      sync.Mutex
	leading bool
	closed  bool
	subs    []chan bool
}

func (l *leadership) subscribe() <-chan bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ch := make(chan bool, 1)
	ch <- l.leading
	if l.closed {
		close(ch)
		return ch
	}
	l.subs = append(l.subs, ch)
	return ch
}

func (l *leadership) set(leading bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leading = leading
	for _, ch := range l.subs {
		offer(ch, leading)
	}
}

func (l *leadership) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leading, l.closed = false, true
	for _, ch := range l.subs {
		offer(ch, false)
		close(ch)
	}
	l.subs = nil
}

// offer is called with the lock held, so that nobody else sends.
func offer(ch chan bool, v bool) {
	select {
	case <-ch:
	default:
	}
	ch <- v
}
