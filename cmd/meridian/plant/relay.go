package plant

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// maxRelayed bounds the connections of a relay; more are not accepted.
const maxRelayed = 64

// Relay stands between edges and centre. Cut makes it a black hole: nothing is
// copied, nothing new accepted, and what is open stays open, as when a line
// dies without a word.
type Relay struct {
	listener net.Listener
	target   string
	slots    chan struct{}
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu   sync.Mutex
	open chan struct{} // closed while the line is open
	cut  bool

	Copied atomic.Uint64 // octets, both directions
}

// NewRelay listens and relays to target until Close.
func NewRelay(ctx context.Context, listen, target string) (*Relay, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("relay of the link: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &Relay{listener: l, target: target, slots: make(chan struct{}, maxRelayed), cancel: cancel, open: make(chan struct{})}
	close(r.open)
	r.wg.Go(func() { r.accept(ctx) })
	return r, nil
}

// Cut makes the line a black hole; Restore ends that.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.cut {
		r.cut, r.open = true, make(chan struct{})
	}
}

// Restore lets octets pass again.
func (r *Relay) Restore() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		r.cut = false
		close(r.open)
	}
}

// Close ends the relay and its connections.
func (r *Relay) Close() error {
	r.cancel()
	err := r.listener.Close()
	r.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// pass waits until the line is open; false when the relay ends.
func (r *Relay) pass(ctx context.Context) bool {
	r.mu.Lock()
	open := r.open
	r.mu.Unlock()
	select {
	case <-open:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *Relay) accept(ctx context.Context) {
	for {
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !r.pass(ctx) {
			return
		}
		conn, err := r.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			<-r.slots
			continue
		}
		r.wg.Go(func() {
			defer func() { <-r.slots }()
			r.relay(ctx, conn)
		})
	}
}

func (r *Relay) relay(ctx context.Context, down net.Conn) {
	defer down.Close()
	if !r.pass(ctx) { // accepted just before the line was cut
		return
	}
	up, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", r.target)
	if err != nil {
		return // the edge sees its connection end, as when nobody listens
	}
	defer up.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		down.Close()
		up.Close()
	})
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { r.copy(ctx, up, down); cancel() })
	both.Go(func() { r.copy(ctx, down, up); cancel() })
	both.Wait()
}

// copy moves octets one way. An end of the stream, too, passes only while the
// line is open.
func (r *Relay) copy(ctx context.Context, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !r.pass(ctx) {
			return
		}
		if n > 0 {
			r.Copied.Add(uint64(n)) // first: whoever has the octets finds them counted
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
