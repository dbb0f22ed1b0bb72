package gossip

import (
	"context"
	"fmt"
	"sync"
)

// Kind says what happened to a member.
type Kind int

// The kinds.
const (
	Joined  Kind = iota + 1
	Updated      // it describes itself differently
	Gone         // it left, or stopped answering
)

// String is the kind as it is written in logs.
func (k Kind) String() string {
	switch k {
	case Joined:
		return "joined"
	case Updated:
		return "updated"
	case Gone:
		return "gone"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Event is a change of one member. For Gone, Member is what it last said.
type Event struct {
	Kind   Kind
	Member Member
}

// eventQueue holds the newest unread event of each node, in the order in which
// the nodes first had one, for at most limit nodes.
type eventQueue struct {
	limit int
	out   chan Event
	ready chan struct{} // has a token when there may be events

	mu                sync.Mutex
	order             []string
	latest            map[string]Event
	replaced, dropped uint64
}

func newEventQueue(limit int) *eventQueue {
	return &eventQueue{limit: limit, out: make(chan Event), ready: make(chan struct{}, 1), latest: map[string]Event{}}
}

func (q *eventQueue) put(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	id := e.Member.ID
	if _, ok := q.latest[id]; ok {
		q.replaced++
	} else {
		if len(q.order) >= q.limit {
			q.dropped++
			return
		}
		q.order = append(q.order, id)
	}
	q.latest[id] = e
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *eventQueue) take() (Event, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return Event{}, false
	}
	id := q.order[0]
	q.order = q.order[1:]
	e := q.latest[id]
	delete(q.latest, id)
	return e, true
}

func (q *eventQueue) lost() (replaced, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.replaced, q.dropped
}

func (q *eventQueue) pump(ctx context.Context) {
	defer close(q.out)
	for {
		e, ok := q.take()
		if !ok {
			select {
			case <-q.ready:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case q.out <- e:
		case <-ctx.Done():
			return
		}
	}
}
