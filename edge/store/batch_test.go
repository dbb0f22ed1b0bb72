package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/replication/forward"
)

// TestCloseUnderLoad: whatever raft's queues hold when the store is closed, every
// command ends, and ends once.
func TestCloseUnderLoad(t *testing.T) {
	c := newClusterOf(t, 1, func(cfg *Config) {
		cfg.Raft.Heartbeat, cfg.Raft.Election, cfg.Raft.LeaderLease = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	})
	m := c.members[0]
	for round := range 8 {
		c.leader()
		st := m.store
		var asked, answered, applied atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for over := false; !over; {
					once := make(chan error, 2)
					asked.Add(1)
					st.Propose(&command.Audit{}, func(_ command.Result, err error) {
						answered.Add(1)
						once <- err
					})
					switch err := <-once; {
					case err == nil:
						applied.Add(1)
					case errors.Is(err, ErrClosed):
						over = true
					default:
						t.Errorf("round %d: %v", round, err)
						over = true
					}
				}
			})
		}
		eventually(t, "the load is on", func() bool { return applied.Load() > 500 })
		m.stop()
		wg.Wait()
		if asked.Load() != answered.Load() {
			t.Fatalf("round %d: %d commands, %d answers", round, asked.Load(), answered.Load())
		}
		c.start(m)
	}
}

// closes is a store's context that ends between the first look at it and the next.
type closes struct {
	context.Context
	looks int
}

func (c *closes) Err() error {
	if c.looks++; c.looks > 1 {
		return context.Canceled
	}
	return nil
}

func TestCommandThatComesAsTheStoreClosesIsAnswered(t *testing.T) {
	s := &Store{cfg: DefaultConfig(), queue: make(chan *pending, 1), ctx: &closes{Context: t.Context()}}
	var got []error
	s.Propose(&command.Audit{}, func(_ command.Result, err error) { got = append(got, err) })
	if len(got) != 1 || got[0] != ErrClosed {
		t.Fatalf("answers: %v", got)
	}
}

func TestBatchIsBoundedByOctets(t *testing.T) {
	s := &Store{cfg: DefaultConfig(), queue: make(chan *pending, 10), slots: make(chan struct{}, 4), ctx: t.Context()}
	const half = batchBytes / 2
	sizes := []int{100, half, half - 100, 1, 2 * batchBytes, batchBytes, 7}
	for _, n := range sizes {
		s.enqueue(&pending{raw: make([]byte, n)})
	}
	var got [][]int
	for first := <-s.queue; first != nil; {
		items, rest := s.gather(first)
		var batch []int
		for _, p := range items {
			batch = append(batch, len(p.raw))
		}
		if first = rest; first == nil && len(s.queue) > 0 {
			first = <-s.queue
		}
		got = append(got, batch)
	}
	want := [][]int{{100, half, half - 100}, {1}, {2 * batchBytes}, {batchBytes}, {7}}
	if !slices.EqualFunc(got, want, slices.Equal[[]int]) {
		t.Fatalf("batches of %v, want %v", got, want)
	}
}

// strict refuses batches with a command of its liking, as a limit on messages does.
type strict struct {
	refuses []byte
	calls   int
	taken   [][]byte
}

func (f *strict) Propose(_ context.Context, _ string, cmds [][]byte) ([]forward.Result, error) {
	f.calls++
	for _, c := range cmds {
		if bytes.Equal(c, f.refuses) {
			return nil, fmt.Errorf("%w: %w", forward.ErrNotSent, forward.ErrInvalid)
		}
	}
	f.taken = append(f.taken, cmds...)
	out := forward.Same(len(cmds), forward.Result{Value: command.Result{}.Encode()})
	for i, c := range cmds {
		switch string(c) {
		case "unreadable":
			out[i] = forward.Result{Code: forward.CodeInvalid}
		case "busy":
			out[i] = forward.Result{Code: forward.CodeBusy}
		}
	}
	return out, nil
}

func TestOnlyTheCommandToBlameForARefusalFails(t *testing.T) {
	f := &strict{refuses: []byte("too long")}
	s := &Store{cfg: DefaultConfig(), forward: f}
	answers := map[string]error{}
	var items []*pending
	for _, raw := range []string{"a", "b", "too long", "c", "unreadable", "d", "busy"} {
		items = append(items, &pending{raw: []byte(raw), done: func(_ command.Result, err error) {
			if _, again := answers[raw]; again {
				t.Errorf("%s was answered twice", raw)
			}
			answers[raw] = err
		}})
	}
	if err := s.passTo(t.Context(), "leader", items); !errors.Is(err, forward.ErrBusy) {
		t.Fatalf("what is left: %v", err)
	}
	for raw, want := range map[string]error{"a": nil, "b": nil, "c": nil, "d": nil, "too long": forward.ErrInvalid, "unreadable": forward.ErrInvalid} {
		if got, ok := answers[raw]; !ok || !errors.Is(got, want) {
			t.Errorf("%s: answered %v with %v, want %v", raw, ok, got, want)
		}
	}
	if len(answers) != 6 || items[6].done == nil {
		t.Errorf("answers %v: only the one that is busy is to be tried again", answers)
	}
	if len(f.taken) != 6 {
		t.Errorf("the leader was asked for %q", f.taken)
	}
}

// TestFollowerDoesNotPassOnWhatCameFromAnother: two nodes that each take the other
// for the leader would send a command to and fro until its time is over.
func TestFollowerDoesNotPassOnWhatCameFromAnother(t *testing.T) {
	c := newCluster(t, 3)
	lead := c.leader()
	lead.found()
	var follower *member
	for _, m := range c.members {
		if m != lead {
			follower = m
		}
	}
	eventually(t, "the follower knows the leader", func() bool {
		id, _ := follower.store.Raft().Leader()
		return id == lead.id
	})
	var own, foreign error
	raw := command.Encode(&command.Audit{})
	follower.store.send([]*pending{
		{raw: raw, local: true, done: func(_ command.Result, err error) { foreign = err }},
		{raw: raw, done: func(_ command.Result, err error) { own = err }},
	})
	if own != nil || !errors.Is(foreign, forward.ErrNotLeader) {
		t.Fatalf("own: %v, from another node: %v", own, foreign)
	}
	unknown := errors.New("leadership lost while committing")
	follower.store.retry(&pending{local: true, deadline: time.Now().Add(time.Minute), done: func(_ command.Result, err error) { foreign = err }}, unknown)
	if toForward(command.Result{}, foreign).Code != forward.CodeOutcomeUnknown {
		t.Fatalf("its outcome is unknown, and it ended with %v", foreign)
	}
}

func TestTooLongCommandIsRefused(t *testing.T) {
	s := &Store{cfg: DefaultConfig(), queue: make(chan *pending, 1), ctx: t.Context()}
	var got error
	s.Propose(&command.Configure{Region: string(make([]byte, 17<<20))}, func(_ command.Result, err error) { got = err })
	if !errors.Is(got, forward.ErrInvalid) || len(s.queue) != 0 {
		t.Fatalf("got %v, %d in the queue", got, len(s.queue))
	}
}

// The wait for more follows what a batch takes, within its bound.
func TestLingerAdapts(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		commit  time.Duration
		batches int
		want    time.Duration
	}{
		{0, 4, 0}, {ms, 4, ms / 4}, {8 * ms, 4, 2 * ms}, {16 * ms, 4, 4 * ms}, {time.Second, 4, 4 * ms}, {3 * ms, 1, 3 * ms},
	} {
		if got := lingerFor(c.commit, c.batches, 4*ms); got != c.want {
			t.Errorf("%s a batch, %d at once: %s, want %s", c.commit, c.batches, got, c.want)
		}
	}
	s := &Store{}
	for range 100 {
		s.tookToCommit(10 * ms)
	}
	if got := time.Duration(s.commitTime.Load()); got < 9*ms || got > 10*ms {
		t.Errorf("the average of batches of 10 ms is %s", got)
	}
	for range 100 {
		s.tookToCommit(ms)
	}
	if got := time.Duration(s.commitTime.Load()); got < ms || got > 2*ms {
		t.Errorf("it follows to %s", got)
	}
}
