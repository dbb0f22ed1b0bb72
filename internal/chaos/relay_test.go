package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// relay carries octets or datagrams between machines, later and fewer of them if
// it is told to. Its faults can be changed at any time.
type relay struct {
	delay atomic.Int64 // nanoseconds, each way
	loss  atomic.Int64 // datagrams lost of a thousand, each way
	twice atomic.Int64 // datagrams doubled of a thousand
	black atomic.Bool  // nothing passes, and nothing is said of it
	over  atomic.Bool  // it is being closed

	mu     sync.Mutex
	rng    *rand.Rand
	closed []func() error
	wg     sync.WaitGroup
}

func newRelay(seed uint64) *relay { return &relay{rng: rand.New(rand.NewPCG(seed, 77))} }

func (r *relay) reset() {
	r.delay.Store(0)
	r.loss.Store(0)
	r.twice.Store(0)
	r.black.Store(false)
}

// of tells whether a thing happens that happens so many times of a thousand.
func (r *relay) of(thousandths int64) bool {
	if thousandths == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rng.Int64N(1000) < thousandths
}

func (r *relay) onClose(f func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = append(r.closed, f)
}

func (r *relay) close() error {
	r.over.Store(true)
	r.mu.Lock()
	list := r.closed
	r.mu.Unlock()
	var err error
	for _, f := range list {
		if e := f(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	r.wg.Wait()
	return err
}

// tcp listens and carries every connection to the target.
func (r *relay) tcp(listen, target string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	r.onClose(l.Close)
	r.wg.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			r.onClose(down.Close)
			r.wg.Go(func() {
				defer down.Close()
				up, err := net.DialTimeout("tcp", target, 2*time.Second)
				if err != nil {
					return
				}
				r.onClose(up.Close)
				r.wg.Go(func() { r.pipe(down, up) })
				r.pipe(up, down)
			})
		}
	})
	return nil
}

// chunk is what was read at an instant.
type chunk struct {
	at   time.Time
	data []byte
}

// pipe carries one direction: reading goes on while what was read waits.
func (r *relay) pipe(to, from net.Conn) {
	defer to.Close()
	queue := make(chan chunk, 64)
	r.wg.Go(func() {
		defer close(queue)
		for {
			b := make([]byte, 16<<10)
			n, err := from.Read(b)
			if n > 0 {
				queue <- chunk{time.Now(), b[:n]}
			}
			if err != nil {
				return
			}
		}
	})
	dead := false
	for c := range queue { // to the end, so that the reader ends too
		if dead {
			continue
		}
		time.Sleep(time.Until(c.at.Add(time.Duration(r.delay.Load()))))
		for r.black.Load() && !dead { // a line that is dead says nothing; its end shows when it lives again
			dead = r.over.Load()
			time.Sleep(20 * time.Millisecond)
		}
		if _, err := to.Write(c.data); err != nil {
			dead = true
			_ = from.Close()
		}
	}
}

// udp listens and carries every datagram to the target, from an address of the
// client's own, and answers back.
func (r *relay) udp(ctx context.Context, listen, from, target netip.AddrPort) error {
	down, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(listen))
	if err != nil {
		return err
	}
	r.onClose(down.Close)
	r.wg.Go(func() {
		flows := map[netip.AddrPort]*net.UDPConn{}
		for {
			b := make([]byte, 4096)
			n, client, err := down.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			up := flows[client]
			if up == nil {
				if up, err = net.DialUDP("udp4", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(target)); err != nil {
					continue
				}
				r.onClose(up.Close)
				flows[client] = up
				r.wg.Go(func() { r.back(ctx, up, down, client) })
			}
			r.pass(ctx, b[:n], func(b []byte) { _, _ = up.Write(b) }) // what cannot be sent is lost, as datagrams are
		}
	})
	return nil
}

func (r *relay) back(ctx context.Context, up, down *net.UDPConn, client netip.AddrPort) {
	for {
		b := make([]byte, 4096)
		n, err := up.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // nobody listens there now
		}
		r.pass(ctx, b[:n], func(b []byte) { _, _ = down.WriteToUDPAddrPort(b, client) })
	}
}

// pass sends a datagram now, later, twice or never.
func (r *relay) pass(ctx context.Context, b []byte, send func([]byte)) {
	if r.black.Load() || r.of(r.loss.Load()) {
		return
	}
	copies := 1
	if r.of(r.twice.Load()) {
		copies = 2
	}
	d := time.Duration(r.delay.Load())
	for range copies {
		if d == 0 {
			send(b)
			continue
		}
		r.mu.Lock()
		wait := d + time.Duration(r.rng.Int64N(int64(d))) // which reorders them too
		r.mu.Unlock()
		time.AfterFunc(wait, func() {
			if ctx.Err() == nil {
				send(b)
			}
		})
	}
}
