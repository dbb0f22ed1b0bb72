package verify

import (
	"strings"
	"testing"

	"meridian/internal/journal"
)

// A session is given back no more than it paid, and forgiven no more than it owed,
// over all its cuts.
func TestNothingIsGivenBackThatWasNotPaid(t *testing.T) {
	charge, overrun, refund, reversed := journal.KindCharge, journal.KindOverrun, journal.KindRefund, journal.KindReversed
	type entry struct {
		kind   journal.Kind
		amount int64
	}
	for _, c := range []struct {
		name string
		list []entry
		want string // "" = all is well
	}{
		{"paid and given back", []entry{{charge, 9}, {refund, 4}, {charge, 1}, {refund, 6}}, ""},
		{"owed and forgiven", []entry{{charge, 4}, {overrun, 6}, {reversed, 5}, {reversed, 1}}, ""},
		{"more than was paid", []entry{{charge, 4}, {overrun, 6}, {refund, 5}}, "that leaves -1 paid and 6 owed"},
		{"more than was owed", []entry{{charge, 9}, {overrun, 1}, {reversed, 2}}, "that leaves 9 paid and -1 owed"},
	} {
		w := &walk{a: &audit{}, region: &Region{Name: "north"}, sessions: map[journal.SessionKey]*ledgerSession{}}
		w.group = group{open: true, cut: 1, covers: map[string]bool{}}
		for _, e := range c.list {
			w.charge(&journal.Entry{Kind: e.kind, Amount: e.amount, Unit: "EUR", Cut: 1})
		}
		got := w.a.v4.first
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || w.a.v2.faults > 0 {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
		var sum int64
		for _, e := range c.list {
			if e.kind == charge || e.kind == overrun {
				sum += e.amount
			} else {
				sum -= e.amount
			}
		}
		if w.group.paid != wideOf(sum) {
			t.Errorf("%s: the cut's entries come to %s, want %d", c.name, w.group.paid, sum)
		}
	}
}
