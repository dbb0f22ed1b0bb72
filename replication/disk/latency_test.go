package disk

import (
	"testing"
	"time"
)

// A time lies in the bucket whose bound it does not pass, and what is longer than
// every bound in the last.
func TestLatencies(t *testing.T) {
	b := Bounds()
	for i := 1; i < len(b); i++ {
		if b[i] <= b[i-1] {
			t.Fatalf("bound %d is %s after %s", i, b[i], b[i-1])
		}
	}
	var l Latencies
	var sum time.Duration
	for i, bound := range b {
		for range i + 1 {
			l.Add(bound)
			sum += bound
		}
	}
	l.Add(b[len(b)-1] + 1)
	sum += b[len(b)-1] + 1
	c := l.Read()
	for i := range b {
		if c.Counts[i] != uint64(i)+1 {
			t.Errorf("up to %s: %d", b[i], c.Counts[i])
		}
	}
	if n := len(b); c.Counts[n] != 1 || c.Sum != sum || c.Total() != uint64(n*(n+1)/2+1) {
		t.Errorf("%d above all bounds, %s of %s, %d in all", c.Counts[n], c.Sum, sum, c.Total())
	}
}
