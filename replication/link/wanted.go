package link

import "sync"

// wantedQueue holds wanted totals until the Sink takes them. A later total of a
// bucket and epoch replaces the earlier, so the queue is as long as there are
// buckets, at most limit.
type wantedQueue struct {
	limit int
	ready chan struct{} // has a token when there may be items

	mu    sync.Mutex
	at    map[wantedKey]int
	items []WantedItem
}

type wantedKey struct {
	bucket string
	epoch  uint64
}

func newWantedQueue(limit int) *wantedQueue {
	return &wantedQueue{limit: limit, ready: make(chan struct{}, 1), at: map[wantedKey]int{}}
}

// add returns false when the limit is reached.
func (q *wantedQueue) add(w Wanted) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range w.Items {
		key := wantedKey{it.Bucket, it.Epoch}
		if i, ok := q.at[key]; ok {
			q.items[i] = it
			continue
		}
		if len(q.items) >= q.limit {
			return false
		}
		q.at[key] = len(q.items)
		q.items = append(q.items, it)
	}
	wake(q.ready)
	return true
}

// take empties the queue.
func (q *wantedQueue) take() Wanted {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := Wanted{Items: q.items}
	q.items = nil
	clear(q.at)
	return w
}
