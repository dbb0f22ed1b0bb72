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
