package raftnode

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestCloseAnswersEveryRequest: whatever lies in raft's queues when a node is
// closed has an end. TestMain finds the goroutines of those that have none.
func TestCloseAnswersEveryRequest(t *testing.T) {
	for range 5 {
		c := newCluster(t, 1, nil)
		m := c.leader()
		var wg sync.WaitGroup
		full := make(chan struct{})
		for range 64 {
			wg.Go(func() {
				for i := 0; ; i++ {
					err := m.Apply([]byte("x"), time.Second).Error()
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil && !errors.Is(err, raft.ErrRaftShutdown) {
						t.Errorf("apply: %v", err)
						return
					}
					if i == 1 {
						full <- struct{}{}
					}
				}
			})
		}
		for range 64 {
			<-full
		}
		for range 100 {
			m.Apply([]byte("nobody asks what became of it"), time.Second)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := m.Barrier(t.Context()); !errors.Is(err, ErrClosed) {
			t.Fatalf("barrier on a closed node: %v", err)
		}
		if err := m.Apply([]byte("x"), 0).Error(); !NotProposed(err) {
			t.Fatalf("apply on a closed node: %v", err)
		}
	}
}

// TestRequestsBeyondTheLimit: a request that raft does not answer holds Close up
// for the limit, and its caller no longer than that.
func TestRequestsBeyondTheLimit(t *testing.T) {
	r := requests{down: make(chan struct{})}
	if !r.begin() {
		t.Fatal("an open node refuses")
	}
	a := &applied{done: make(chan struct{}), down: r.down}
	got := make(chan error, 1)
	go func() { got <- a.Error() }()
	if r.drain(time.Millisecond) {
		t.Fatal("an open request counts as answered")
	}
	if r.begin() {
		t.Fatal("a closing node takes requests")
	}
	close(r.down)
	if err := <-got; err != raft.ErrRaftShutdown || a.Response() != nil || a.Index() != 0 {
		t.Fatalf("%v, %v, %d", err, a.Response(), a.Index())
	}
	r.end()
	if !r.drain(time.Minute) {
		t.Fatal("no request is open")
	}
}
