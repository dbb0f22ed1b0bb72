package link

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// relay passes TCP, and can cut connections or swallow everything.
type relay struct {
	ln   net.Listener
	to   string
	mu   sync.Mutex
	hole bool
	cuts func() int // bytes after which a connection is cut; 0: never
	live map[net.Conn]bool
	wg   sync.WaitGroup
}

func startRelay(t *testing.T, to string, cuts func() int) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{ln: ln, to: to, live: map[net.Conn]bool{}, cuts: cuts}
	r.wg.Go(r.accept)
	t.Cleanup(func() { ln.Close(); r.cut(); r.wg.Wait() })
	return r
}

func (r *relay) addr() string { return r.ln.Addr().String() }

func (r *relay) accept() {
	for {
		a, err := r.ln.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", r.to)
		if err != nil {
			a.Close()
			continue
		}
		r.mu.Lock()
		r.live[a], r.live[b] = true, true
		limit := r.cuts()
		r.mu.Unlock()
		left := limit
		var once sync.Once
		closeBoth := func() { once.Do(func() { a.Close(); b.Close() }) }
		var mu sync.Mutex
		spend := func(n int) bool {
			if limit == 0 {
				return true
			}
			mu.Lock()
			defer mu.Unlock()
			left -= n
			return left > 0
		}
		way := func(from, to net.Conn) {
			if r.pass(from, to, spend) {
				closeBoth()
			}
		}
		r.wg.Go(func() { way(a, b) })
		r.wg.Go(func() { way(b, a) })
	}
}

// pass returns whether the other side may learn that it ended.
func (r *relay) pass(from, to net.Conn, spend func(int) bool) (tell bool) {
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf[:1+rand.N(len(buf)-1)])
		if err != nil {
			return !r.holed()
		}
		if r.holed() {
			io.Copy(io.Discard, from) // until it is closed: nothing goes on, nobody is told
			return false
		}
		if !spend(n) {
			to.Write(buf[:rand.N(n+1)])
			return true
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return true
		}
	}
}

func (r *relay) holed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hole
}

func (r *relay) blackHole(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hole = on
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.live {
		c.Close()
		delete(r.live, c)
	}
}
