package disk

import (
	"sync/atomic"
	"time"
)

// Bounds are the upper bounds of Counted.Counts; a last count is of what took longer.
func Bounds() []time.Duration { return append([]time.Duration(nil), bounds[:]...) }

var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Latencies counts how long things took, by Bounds. The zero value is ready; its
// methods are safe for concurrent use.
type Latencies struct {
	counts [len(bounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

// Counted is what a Latencies counted.
type Counted struct {
	Counts [len(bounds) + 1]uint64
	Sum    time.Duration
}

// Add counts one.
func (l *Latencies) Add(took time.Duration) {
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	l.counts[i].Add(1)
	l.sum.Add(int64(took))
}

// Read returns the counts at this moment.
func (l *Latencies) Read() (c Counted) {
	for i := range l.counts {
		c.Counts[i] = l.counts[i].Load()
	}
	c.Sum = time.Duration(l.sum.Load())
	return c
}

// Total is how many were counted.
func (c Counted) Total() (n uint64) {
	for _, k := range c.Counts {
		n += k
	}
	return n
}
