package raftnode

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// drainLimit is how long Close waits for raft to answer what was asked of it.
// Raft answers within a leader lease or an election; only a disk or a state
// machine that stands still takes longer.
const drainLimit = 5 * time.Second

// requests counts what was asked of raft and is not answered yet. Raft never
// answers what lies in its queues when it stops, so Close first takes no more
// requests and waits for these.
type requests struct {
	mu     sync.Mutex
	closed bool
	open   sync.WaitGroup
	down   chan struct{} // closed when raft has stopped
}

// begin counts a request, until end; false: the node is closing.
func (r *requests) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.open.Add(1)
	return true
}

func (r *requests) end() { r.open.Done() }

// drain refuses new requests and waits for those that are open; false: some were
// not answered within the limit.
func (r *requests) drain(limit time.Duration) bool {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	answered := make(chan struct{})
	go func() {
		r.open.Wait()
		close(answered)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-answered:
		return true
	case <-timer.C:
		return false
	}
}

// applied is a raft.ApplyFuture that also ends when raft stops without an
// answer. It may be asked by many at once.
type applied struct {
	done   chan struct{}
	down   <-chan struct{}
	future raft.ApplyFuture // set with done, nil when it was not proposed
	err    error            // set with done
}

// Error implements raft.Future.
func (a *applied) Error() error {
	select {
	case <-a.done:
		return a.err
	case <-a.down:
	}
	select {
	case <-a.done:
		return a.err
	default:
		return raft.ErrRaftShutdown
	}
}

// Response implements raft.ApplyFuture: nil unless Error returned nil.
func (a *applied) Response() any {
	if f := a.answer(); f != nil {
		return f.Response()
	}
	return nil
}

// Index implements raft.IndexFuture: 0 unless Error returned nil.
func (a *applied) Index() uint64 {
	if f := a.answer(); f != nil {
		return f.Index()
	}
	return 0
}

func (a *applied) answer() raft.ApplyFuture {
	select {
	case <-a.done:
		return a.future
	default:
		return nil
	}
}

// Apply proposes one entry; only the leader can. The future resolves after a
// majority has the entry on disk and this node's state machine has applied it,
// or when the node is closed. timeout bounds the wait for a place in the queue
// only. See NotProposed.
func (n *Node) Apply(data []byte, timeout time.Duration) raft.ApplyFuture {
	a := &applied{done: make(chan struct{}), down: n.requests.down}
	if !n.requests.begin() {
		a.err = ErrClosed
		close(a.done)
		return a
	}
	f := n.raft.Apply(data, timeout)
	go func() {
		defer n.requests.end()
		if a.err = f.Error(); a.err == nil {
			a.future = f
		}
		close(a.done)
	}()
	return a
}

// ask waits for raft's answer, the context or the end of raft. Raft futures
// cannot be cancelled, so what was asked for may still happen after the context
// ended.
func (n *Node) ask(ctx context.Context, what string, request func() raft.Future) error {
	if !n.requests.begin() {
		return fmt.Errorf("raftnode: %s: %w", what, ErrClosed)
	}
	done := make(chan error, 1)
	go func() {
		defer n.requests.end()
		done <- request().Error()
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	case <-n.requests.down:
		err = ErrClosed
	}
	if err != nil {
		return fmt.Errorf("raftnode: %s: %w", what, err)
	}
	return nil
}
