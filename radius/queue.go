package radius

import "sync"

// class is a packet's place in the order of shedding.
type class uint8

const (
	classAuth    class = iota // Access-Request, Status-Server
	classAcct                 // Start, Stop, On, Off and whatever is not an interim
	classInterim              // Interim-Update: the next one says it again
	numClasses
)

// shedReason is the counter of a class that is shed.
func (c class) shedReason() DropReason {
	switch c {
	case classInterim:
		return DropShedInterim
	case classAcct:
		return DropShedAcct
	}
	return DropShedAuth
}

// queue holds packets between the sockets' readers and the workers, at most limit of them. Shedding, in this order: an interim is refused when
// three quarters are taken; a packet of another class that finds the queue full pushes the oldest interim out; without interims an
// Access-Request pushes the oldest Access-Request out, for its NAS has retransmitted it or given up; anything else is refused.
type queue struct {
	limit  int
	mu     sync.Mutex
	wake   sync.Cond
	rings  [numClasses]ring
	size   int
	turn   int
	closed bool
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit}
	q.wake.L = &q.mu
	return q
}

// push enters the packets and appends those that are shed to shed.
func (q *queue) push(in, shed []*exchange) []*exchange {
	if len(in) == 0 {
		return shed
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, ex := range in {
		if out := q.admit(ex); out != nil {
			shed = append(shed, out)
		}
	}
	if len(in) == 1 {
		q.wake.Signal()
	} else {
		q.wake.Broadcast()
	}
	return shed
}

// admit enters one packet and returns the one that is shed for it, which may be itself.
func (q *queue) admit(ex *exchange) *exchange {
	if q.closed || (ex.class == classInterim && q.size >= q.limit/4*3) {
		return ex
	}
	var out *exchange
	if q.size >= q.limit {
		switch {
		case q.rings[classInterim].n > 0:
			out = q.rings[classInterim].pop()
		case ex.class == classAuth && q.rings[classAuth].n > 0:
			out = q.rings[classAuth].pop()
		default:
			return ex
		}
		q.size--
	}
	q.rings[ex.class].push(ex)
	q.size++
	return out
}

// interimEvery is the share of interims while other packets wait: one in so many, so that they are slow but not starved.
const interimEvery = 8

// pop waits for packets and moves up to len(dst) of them to dst; 0 when the queue is closed and empty.
func (q *queue) pop(dst []*exchange) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.size == 0 {
		if q.closed {
			return 0
		}
		q.wake.Wait()
	}
	n := 0
	for n < len(dst) && q.size > 0 {
		dst[n] = q.rings[q.choose()].pop()
		n++
		q.size--
	}
	return n
}

// choose picks the class to serve: auth and accounting in turn, an interim now and then, whatever there is otherwise.
func (q *queue) choose() class {
	q.turn++
	first, second := classAuth, classAcct
	if q.turn%2 == 0 {
		first, second = second, first
	}
	switch {
	case q.turn%interimEvery == 0 && q.rings[classInterim].n > 0:
		return classInterim
	case q.rings[first].n > 0:
		return first
	case q.rings[second].n > 0:
		return second
	}
	return classInterim
}

// close refuses further packets and lets the workers finish what is there.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake.Broadcast()
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size
}

// ring is a first-in first-out list that keeps its memory; the queue's limit bounds it.
type ring struct {
	slots   []*exchange
	head, n int
}

func (r *ring) push(ex *exchange) {
	if r.n == len(r.slots) {
		grown := make([]*exchange, max(64, 2*len(r.slots)))
		for i := range r.n {
			grown[i] = r.slots[(r.head+i)%len(r.slots)]
		}
		r.slots, r.head = grown, 0
	}
	r.slots[(r.head+r.n)%len(r.slots)] = ex
	r.n++
}

func (r *ring) pop() *exchange {
	ex := r.slots[r.head]
	r.slots[r.head] = nil
	r.head = (r.head + 1) % len(r.slots)
	r.n--
	return ex
}
