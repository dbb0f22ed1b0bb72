package link

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// slowLine passes TCP at a rate and with a delay in each direction.
type slowLine struct {
	ln    net.Listener
	to    string
	rate  int // bytes a second
	delay time.Duration
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
}

func startSlowLine(t *testing.T, to string, rate int, delay time.Duration) *slowLine {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &slowLine{ln: ln, to: to, rate: rate, delay: delay}
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		ln.Close()
		l.mu.Lock()
		for _, c := range l.conns {
			c.Close()
		}
		l.mu.Unlock()
		l.wg.Wait()
	})
	return l
}

func (l *slowLine) accept() {
	for {
		a, err := l.ln.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", l.to)
		if err != nil {
			a.Close()
			continue
		}
		l.mu.Lock()
		l.conns = append(l.conns, a, b)
		l.mu.Unlock()
		l.way(a, b)
		l.way(b, a)
	}
}

type flight struct {
	due  time.Time
	data []byte
}

// way carries one direction; 64 pieces may be on the line.
func (l *slowLine) way(from, to net.Conn) {
	line := make(chan flight, 64)
	l.wg.Go(func() {
		defer close(line)
		for {
			buf := make([]byte, 512)
			n, err := from.Read(buf)
			if n > 0 {
				line <- flight{time.Now().Add(l.delay), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	})
	l.wg.Go(func() {
		defer to.Close()
		for f := range line {
			time.Sleep(time.Until(f.due))
			time.Sleep(time.Duration(len(f.data)) * time.Second / time.Duration(l.rate))
			if _, err := to.Write(f.data); err != nil {
				io.Copy(io.Discard, from)
				for range line { // until it is closed
				}
				return
			}
		}
	})
}

// A line of 256 kbit/s and 800 ms round trip carries a backlog of which one full batch
// takes longer than the silence after which a stream is given up: on one stream, all of
// it, once.
func TestSlowLineCarriesTheBacklog(t *testing.T) {
	const rate = 256_000 / 8
	ca, sink, l := testCA(t), newBooks(), newLedger(0)
	long := func(d *time.Duration) { *d = 10 * time.Second }
	srv := startCentre(t, ca, sink, func(c *ServerConfig) {
		c.Heartbeat, c.Silence = 300*time.Millisecond, 1500*time.Millisecond
		long(&c.HelloTimeout)
	})
	line := startSlowLine(t, srv.addr, rate, 400*time.Millisecond)
	cfg := quickClient(t, ca, "north", "n1", line.ln.Addr().String())
	cfg.Heartbeat, cfg.Silence, cfg.LineRate = 300*time.Millisecond, 1500*time.Millisecond, rate
	long(&cfg.ConnectTimeout)
	l.pad = 100
	l.add(600)
	c, _ := runClient(t, cfg, l)
	eventually(t, "all of the backlog acknowledged", func() bool { return l.ackedSeq() == 600 })
	sink.check(t, 600)
	if st := c.Stats(); st.Connects != 1 || st.Losses != 0 {
		t.Errorf("it took %d streams, %d were lost", st.Connects, st.Losses)
	}
}

func TestBatchesFitTheLine(t *testing.T) {
	for _, c := range []struct{ rate, most int }{{0, 1 << 20}, {32_000, 24_000}, {1000, 750}, {1 << 30, 1 << 20}} {
		cfg := DefaultClientConfig()
		cfg.LineRate = c.rate
		if got := cfg.batchBytes(); got != c.most {
			t.Errorf("line of %d bytes a second: batches of %d, want %d", c.rate, got, c.most)
		}
	}
}
