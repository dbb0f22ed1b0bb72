package fsm

import "slices"

// MaxAhead is how far the clocks may run ahead of the time that has passed before
// region time stops following them, in microseconds: five minutes.
const MaxAhead = 5 * 60 * 1_000_000

// TimeGuard decides at the leader whether the nodes' clocks may move region time.
// One wrong clock must not make sessions stale, tombstones forgotten or periods
// due, for region time never goes back. The zero value is ready; it belongs to one
// process and is not part of the state.
type TimeGuard struct {
	began bool
	base  int64 // region time or the clocks' median at the first look, the later of the two
	since int64 // what had passed then
	seen  int64 // region time as Saw knows it
}

// Saw tells a node that follows what region time is and what has passed here: when
// it comes to lead it knows how far region time may have come meanwhile. Otherwise a
// fail-over would take whatever the clocks say by then.
func (g *TimeGuard) Saw(now, passed int64) {
	if g.seen != 0 && now > g.seen {
		g.began, g.base, g.since = true, now, passed
	}
	g.seen = max(g.seen, now)
}

// Plausible tells whether a tick may carry clocks, in Unix microseconds: those of a
// majority of members, and their median not further ahead than time has passed
// here. now is region time, 0 when there is none; passed is this process's
// monotonic time, in microseconds. ahead is how far the median is beyond what is
// plausible, 0 when it is not.
//
// It begins at region time if the clocks are behind that: a node whose clock was
// wrong when it began to lead is then right again as soon as the clock is.
func (g *TimeGuard) Plausible(clocks []int64, members int, now, passed int64) (ahead int64, ok bool) {
	if 2*len(clocks) <= members {
		return 0, false
	}
	median := slices.Sorted(slices.Values(clocks))[(len(clocks)-1)/2]
	if !g.began {
		g.began, g.base, g.since = true, max(median, now), passed
		return 0, true
	}
	if ahead = median - g.base - (passed - g.since); ahead > MaxAhead {
		return ahead, false
	}
	return 0, true
}
