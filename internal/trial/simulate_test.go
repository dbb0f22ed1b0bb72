package trial

import (
	"fmt"
	"strings"
	"testing"

	"meridian/internal/money"
	"meridian/internal/why"
)

// ann pays less by the draft, ben more, cid the same, dan something for the first
// time: the sums and the histogram, by hand.
func TestSimulation(t *testing.T) {
	const usage = `subscription,usage,start,quantity,charged
ann,data,2026-03-02T10:00:00Z,1GB,2.50
ann,data,2026-03-03T10:00:00Z,1GB,2.50
ben,data,2026-03-02T10:00:00Z,2GB,3.80
cid,data,2026-03-02T10:00:00Z,3GB,6.00
dan,data,2026-03-02T10:00:00Z,1MB,0
`
	after := try(t, converged, usage, "", why.Language("")) // 2.00 per GB
	if len(after[0].Pieces) != 0 {
		t.Errorf("sentences were written that nobody asked for: %+v", after[0].Pieces)
	}
	in, err := ReadUsage("u", []byte(usage))
	if err != nil {
		t.Fatal(err)
	}
	before, err := Charged("u", in.Usage)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compare(before, after)
	if err != nil {
		t.Fatal(err)
	}
	var people, bars []string
	for _, c := range s.Customers {
		people = append(people, fmt.Sprintf("%s %s→%s %s", c.Subscription, c.BeforeText, c.AfterText, c.Change))
	}
	for _, b := range s.Histogram {
		if b.Customers > 0 {
			bars = append(bars, fmt.Sprintf("%s: %d", b.Change, b.Customers))
		}
	}
	got := fmt.Sprintf("%s→%s %s %s gain %d lose %d same %d; %s; %s", s.Before, s.After, s.Change, s.Currency, s.Gain, s.Lose, s.Same, strings.Join(people, ", "), strings.Join(bars, ", "))
	const want = "14.80→14.002 -0.798 EUR gain 1 lose 2 same 1; ann 5.00→4.00 -1.00, cid 6.00→6.00 0.00, dan 0.00→0.002 +0.002, ben 3.80→4.00 +0.20; " +
		"-50% to -20%: 1, the same: 1, +5% to +10%: 1, paid nothing before: 1"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSimulationFaults(t *testing.T) {
	if _, err := Charged("u", []Event{{Line: 7, Charged: "much"}}); err == nil || !strings.Contains(err.Error(), "u:7:1: charged") {
		t.Errorf("got %v, want the fault of line 7", err)
	}
	if _, err := Compare([]Rated{{Currency: "EUR"}}, []Rated{{Currency: "PLN", Line: 3}}); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v, want the two currencies named", err)
	}
	if _, err := Compare(nil, []Rated{{Cost: 1 << 62}, {Cost: 1 << 62}}); err == nil {
		t.Error("a sum that does not fit is taken")
	}
}

// A bar ends with its upper bound, which belongs to it; a part of a per cent counts
// as one.
func TestBars(t *testing.T) {
	for _, c := range []struct {
		before, change money.Amount
		want           int
	}{
		{100, -50, 0}, {100, -100, 0}, {100, -49, 1}, {100, -20, 1}, {100, -19, 2}, {100, -1, 4}, {1_000_000, -1, 4},
		{100, 1, 5}, {1_000_000, 1, 5}, {100, 5, 5}, {100, 6, 6}, {100, 50, 8}, {100, 51, 9}, {0, 1, 10}, {1, 1 << 60, 9},
	} {
		if got := bar(c.before, c.change); got != c.want {
			t.Errorf("%d of %d is in bar %d, want %d", c.change, c.before, got, c.want)
		}
	}
}
