package fsm

import "testing"

// One clock may be wrong in either direction, also while a leader begins; a jump of
// the median stops region time until it is taken back.
func TestTimeGuard(t *testing.T) {
	const (
		sec   = int64(1_000_000)
		day   = 86400 * sec
		right = t0 * sec
	)
	type look struct {
		what   string
		clocks []int64
		now    int64 // region time
		passed int64
		ok     bool
	}
	for _, c := range []struct {
		name    string
		members int
		looks   []look
	}{
		{"no majority", 3, []look{
			{"one of three", []int64{right}, right, 0, false},
			{"two of three", []int64{right, right + 1}, right, sec, true},
		}},
		{"a jump of the only clock, and back", 1, []look{
			{"begins", []int64{right}, right, 0, true},
			{"runs", []int64{right + 60*sec}, right, 60 * sec, true},
			{"jumps by 400 days", []int64{right + 400*day}, right, 61 * sec, false},
			{"is set right", []int64{right + 62*sec}, right, 62 * sec, true},
			{"is four minutes ahead", []int64{right + 303*sec}, right, 63 * sec, true},
		}},
		{"two of three, one a day behind when the leader begins", 3, []look{
			{"begins", []int64{right - day, right}, right, 0, true},
			{"the third is back: the median is right again", []int64{right - day, right + sec, right + sec}, right, sec, true},
		}},
		{"the first clock of a region was behind", 1, []look{
			{"begins without region time", []int64{right - day}, 0, 0, true},
			{"is set right: nobody can tell it from a jump", []int64{right}, right - day, sec, false},
		}},
		{"the whole region was down for three days", 1, []look{
			{"begins", []int64{right + 3*day}, right, 0, true},
			{"runs", []int64{right + 3*day + sec}, right + 3*day, sec, true},
		}},
	} {
		var g TimeGuard
		for _, l := range c.looks {
			ahead, ok := g.Plausible(l.clocks, c.members, l.now, l.passed)
			if ok != l.ok || (ahead > MaxAhead) != (ahead != 0) {
				t.Errorf("%s, %s: got %t, %d ahead", c.name, l.what, ok, ahead)
			}
		}
	}
}

// A node that followed and comes to lead knows the time that has passed: a jump of
// the clocks does not get through by killing the leader. Without having seen region
// time move it cannot tell a jump from a long outage.
func TestTimeGuardOfAFollower(t *testing.T) {
	const sec, day = int64(1_000_000), 86400 * int64(1_000_000)
	right := int64(t0) * sec
	var g TimeGuard
	g.Saw(right, 0)
	g.Saw(right+sec, sec)
	g.Saw(right+sec, 90*sec) // the leader refuses the clocks: region time stands still
	if _, ok := g.Plausible([]int64{right + 400*day}, 1, right+sec, 91*sec); ok {
		t.Error("a fail-over lets a jump through")
	}
	if _, ok := g.Plausible([]int64{right + 91*sec}, 1, right+sec, 91*sec); !ok {
		t.Error("the right time is refused after it")
	}
	var fresh TimeGuard
	fresh.Saw(right, 0)
	if _, ok := fresh.Plausible([]int64{right + 3*day}, 1, right, sec); !ok {
		t.Error("after an outage of the whole region time does not go on")
	}
}
