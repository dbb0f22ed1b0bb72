package radius

import (
	"fmt"
	"strings"
	"testing"
)

// A script of arrivals at a queue of 8 and what is shed: "a" Access-Request, "s" Start or Stop, "i" interim, numbered in order of arrival.
func TestShedding(t *testing.T) {
	for _, c := range []struct{ name, arrive, shed, left string }{
		{"room for all", "a s i", "", "a0 s1 i2"},
		{"interims stop at three quarters", "i i i i i i i", "i6", "i0 i1 i2 i3 i4 i5"},
		{"others fill the rest", "i i i i i i a s", "", "a6 s7 i0 i1 i2 i3 i4 i5"},
		{"then the oldest interim goes", "i i i i i i a s a s", "i0 i1", "a6 a8 s7 s9 i2 i3 i4 i5"},
		{"without interims the oldest login goes for a login", "a a a a s s s s a", "a0", "a1 a2 a3 a8 s4 s5 s6 s7"},
		{"a Stop does not push a login out", "a a a a s s s s s", "s8", "a0 a1 a2 a3 s4 s5 s6 s7"},
		{"a login does not push a Stop out", "s s s s s s s s a", "a8", "s0 s1 s2 s3 s4 s5 s6 s7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueue(8)
			var shed []string
			for n, letter := range strings.Fields(c.arrive) {
				ex := &exchange{class: class(strings.Index("asi", letter)), serial: uint64(n)}
				for _, out := range q.push([]*exchange{ex}, nil) {
					shed = append(shed, name(out))
				}
			}
			if got := strings.Join(shed, " "); got != c.shed {
				t.Errorf("shed %q, want %q", got, c.shed)
			}
			var left []string
			for k := range q.rings {
				for q.rings[k].n > 0 {
					left = append(left, name(q.rings[k].pop()))
				}
			}
			if got := strings.Join(left, " "); got != c.left {
				t.Errorf("left %q, want %q", got, c.left)
			}
		})
	}
}

func name(ex *exchange) string { return fmt.Sprintf("%c%d", "asi"[ex.class], ex.serial) }

func TestQueueServesAllClasses(t *testing.T) {
	q := newQueue(1024)
	for n := range 300 {
		q.push([]*exchange{{class: class(n % 3), serial: uint64(n)}}, nil)
	}
	var first [30]*exchange
	if n := q.pop(first[:]); n != len(first) {
		t.Fatalf("%d popped", n)
	}
	var count [numClasses]int
	for _, ex := range first {
		count[ex.class]++
	}
	if count[classInterim] == 0 || count[classAuth] < 2*count[classInterim] || count[classAcct] < 2*count[classInterim] {
		t.Errorf("auth, acct, interim served %v", count)
	}
	q.close()
	total := len(first)
	for n := q.pop(first[:]); n > 0; n = q.pop(first[:]) {
		total += n
	}
	if total != 300 {
		t.Errorf("%d came out, 300 went in", total)
	}
	if out := q.push([]*exchange{{}}, nil); len(out) != 1 {
		t.Error("a closed queue took a packet")
	}
}
