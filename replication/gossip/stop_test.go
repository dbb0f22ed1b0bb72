package gossip

import (
	"testing"
	"time"
)

// The farewell has what is left of the time to stop, and never more than its own limit.
func TestStopByBoundsTheFarewell(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	var g Gossip
	if got := g.within(time.Second, now); got != time.Second {
		t.Errorf("without a deadline: %s", got)
	}
	for left, want := range map[time.Duration]time.Duration{time.Hour: time.Second, 300 * time.Millisecond: 300 * time.Millisecond, -time.Second: 0} {
		g.StopBy(now.Add(left))
		if got := g.within(time.Second, now); got != want {
			t.Errorf("%s before the end: %s, want %s", left, got, want)
		}
	}
}
