// Package memnet is a network in memory, for tests: connections with buffers
// that can be cut after an exact number of bytes, or that fall silent while they
// stay open. It works in virtual time (testing/synctest), where sockets do not.
//
// It owns bytes on their way. It knows nothing of what they mean.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// ErrReset: the connection was cut.
var ErrReset = errors.New("memnet: connection reset")

// Network joins listeners and those who dial them. The zero value is not usable.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	dialled   func(*Conn)
}

// New returns a network in which nobody listens.
func New() *Network { return &Network{listeners: map[string]*listener{}} }

// OnDial has fn called with the dialling side of each connection before anybody
// uses it.
func (n *Network) OnDial(fn func(*Conn)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dialled = fn
}

// Listen takes an address, any text. It is free again when the listener is closed.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, fmt.Errorf("memnet: %s is taken", addr)
	}
	l := &listener{net: n, name: addr, queue: make(chan *Conn, 64), closed: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// Dial connects to a listener. Its type suits link.ClientConfig.Dial.
func (n *Network) Dial(ctx context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	l, hook := n.listeners[addr], n.dialled
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("memnet: nobody listens on %s", addr)
	}
	near, far := pair(addr)
	if hook != nil {
		hook(near)
	}
	select {
	case l.queue <- far:
		return near, nil
	case <-l.closed:
		return nil, fmt.Errorf("memnet: nobody listens on %s", addr)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type listener struct {
	net    *Network
	name   string
	queue  chan *Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.name)
		l.net.mu.Unlock()
		close(l.closed)
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return address(l.name) }

type address string

func (address) Network() string  { return "mem" }
func (a address) String() string { return string(a) }

// Conn is one side of a connection.
type Conn struct {
	name     string
	out, in  *half
	readEnd  deadline
	writeEnd deadline
}

func pair(name string) (near, far *Conn) {
	up, down := newHalf(), newHalf()
	return &Conn{name: name, out: up, in: down}, &Conn{name: name, out: down, in: up}
}

// CutAfter breaks the connection when this side has sent, or received, so many
// bytes: the other side of that direction gets these and no more, and whatever is
// on its way in the opposite direction is lost. A negative number is no limit.
func (c *Conn) CutAfter(sent, received int64) {
	c.out.limitTo(sent, c.in)
	c.in.limitTo(received, c.out)
}

// Freeze lets nothing through any more, in either direction, while the connection
// stays open: as if the process at one end were stopped.
func (c *Conn) Freeze() {
	c.out.freeze()
	c.in.freeze()
}

// Cut breaks the connection now.
func (c *Conn) Cut() {
	c.out.reset()
	c.in.reset()
}

// Passed is how many bytes this side has sent and received so far.
func (c *Conn) Passed() (sent, received int64) { return c.out.passedBytes(), c.in.passedBytes() }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) { return c.in.read(p, &c.readEnd) }

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) { return c.out.write(p, &c.writeEnd) }

// Close implements net.Conn: the other side reads what was sent, and then the end.
func (c *Conn) Close() error {
	c.out.end()
	c.in.reset()
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return address(c.name) }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return address(c.name) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.readEnd.set(t)
	c.in.wake()
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.writeEnd.set(t)
	c.out.wake()
	return nil
}

type deadline struct {
	mu sync.Mutex
	at time.Time
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
}

// wait waits for news or the deadline.
func (d *deadline) wait(news <-chan struct{}) error {
	d.mu.Lock()
	at := d.at
	d.mu.Unlock()
	if at.IsZero() {
		<-news
		return nil
	}
	left := time.Until(at)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-news:
		return nil
	case <-t.C:
		return os.ErrDeadlineExceeded
	}
}

// maxBuffer bounds what lies between writer and reader; then the writer waits.
const maxBuffer = 1 << 20

// half is one direction.
type half struct {
	mu     sync.Mutex
	buf    []byte
	passed int64
	limit  int64
	back   *half // reset when the limit is reached
	frozen bool
	ended  bool // the writer has closed
	broken bool
	news   chan struct{} // closed and replaced at every change
}

func newHalf() *half { return &half{limit: -1, news: make(chan struct{})} }

func (h *half) changed() {
	close(h.news)
	h.news = make(chan struct{})
}

func (h *half) wake() { h.with(func() {}) }

func (h *half) with(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
	h.changed()
}

func (h *half) limitTo(n int64, back *half) { h.with(func() { h.limit, h.back = n, back }) }
func (h *half) freeze()                     { h.with(func() { h.frozen = true }) }
func (h *half) reset()                      { h.with(func() { h.broken, h.buf = true, nil }) }
func (h *half) end()                        { h.with(func() { h.ended = true }) }

func (h *half) passedBytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.passed
}

func (h *half) read(p []byte, d *deadline) (int, error) {
	for {
		h.mu.Lock()
		switch {
		case len(h.buf) > 0 && !h.frozen:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			h.changed()
			h.mu.Unlock()
			return n, nil
		case h.broken:
			h.mu.Unlock()
			return 0, ErrReset
		case h.ended && !h.frozen:
			h.mu.Unlock()
			return 0, io.EOF
		case len(p) == 0:
			h.mu.Unlock()
			return 0, nil
		}
		news := h.news
		h.mu.Unlock()
		if err := d.wait(news); err != nil {
			return 0, err
		}
	}
}

func (h *half) write(p []byte, d *deadline) (int, error) {
	for {
		h.mu.Lock()
		switch {
		case h.broken || h.ended:
			h.mu.Unlock()
			return 0, ErrReset
		case len(h.buf) < maxBuffer:
			n, back := h.put(p)
			h.mu.Unlock()
			if back != nil {
				back.reset()
				return n, ErrReset
			}
			return n, nil
		}
		news := h.news
		h.mu.Unlock()
		if err := d.wait(news); err != nil {
			return 0, err
		}
	}
}

// put takes as much as may pass; back is not nil when that was the last. What
// passed before the cut can still be read.
func (h *half) put(p []byte) (n int, back *half) {
	n = len(p)
	if h.limit >= 0 && h.passed+int64(n) > h.limit {
		n, h.broken, back = int(h.limit-h.passed), true, h.back
	}
	h.buf = append(h.buf, p[:n]...)
	h.passed += int64(n)
	h.changed()
	return n, back
}
