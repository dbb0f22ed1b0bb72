package session

import (
	"testing"

	"pgregory.net/rapid"
)

func TestAdvance(t *testing.T) {
	const start = 1000
	rep := func(seconds int64, in, out uint64) Report {
		return Report{Event: start + seconds, Seconds: seconds, In: in, Out: out}
	}
	giga := func(r Report) Report { r.Giga = true; return r }
	for _, c := range []struct {
		name    string
		reports []Report
		in, out uint64
		last    Outcome
	}{
		{"growth", []Report{rep(60, 10, 20), rep(120, 30, 50)}, 30, 50, Counted},
		{"retransmission", []Report{rep(60, 10, 20), rep(60, 10, 20)}, 10, 20, Repeated},
		{"late interim after a newer one", []Report{rep(120, 30, 50), rep(60, 10, 20)}, 30, 50, Repeated},
		{"late stop with one octet does not erase 12 GB", []Report{giga(rep(600, 0, 12_590_000_000)), rep(0, 0, 1)}, 0, 12_590_000_000, Repeated},
		{"newer but equal counters", []Report{rep(60, 10, 20), rep(120, 10, 20)}, 10, 20, Counted},
		{"wrap without gigawords", []Report{rep(60, 0, 1<<32-100), rep(120, 0, 50)}, 0, 1<<32 + 50, Counted},
		{"second wrap without gigawords", []Report{rep(60, 0, 1<<32-100), rep(120, 0, 50), rep(180, 0, 1<<31), rep(240, 0, 7)}, 0, 2<<32 + 7, Counted},
		{"above 4 GiB without gigawords, no wrap", []Report{rep(60, 0, 1<<32-100), rep(120, 0, 50), rep(180, 0, 90)}, 0, 1<<32 + 90, Counted},
		{"down by more than a wrap can explain", []Report{rep(60, 0, 1<<31), rep(61, 0, 5)}, 0, 1<<32 + 5, Counted},
		{"down with gigawords", []Report{giga(rep(60, 0, 1<<33)), giga(rep(120, 0, 5))}, 0, 1 << 33, Implausible},
		{"no session time", []Report{{Event: start + 60, Seconds: -1, In: 5}, {Event: start + 90, Seconds: -1, In: 9}}, 9, 0, Counted},
	} {
		var m Meter
		var d Delta
		var in, out uint64
		for _, r := range c.reports {
			d = m.Advance(start, r, Speed{})
			in, out = in+d.In, out+d.Out
		}
		if m.In != c.in || m.Out != c.out || d.Outcome != c.last || in != c.in || out != c.out {
			t.Errorf("%s: meter %d/%d, deltas %d/%d, outcome %d; want %d/%d, outcome %d", c.name, m.In, m.Out, in, out, d.Outcome, c.in, c.out, c.last)
		}
	}
	m := Meter{Out: 1<<32 - 1<<30, Seconds: 60}
	if d := m.Advance(0, Report{Event: 61, Seconds: 61, Out: 1 << 31}, Speed{}); d.Outcome != Counted || d.Out != 3<<30 {
		t.Errorf("3 GiB within 31 s of 10 Gbit/s: %+v", d)
	}
	m = Meter{Out: 1 << 30, Seconds: 60}
	if d := m.Advance(0, Report{Event: 61, Seconds: 61, Out: 1<<30 - 1}, Speed{}); d.Outcome != Counted || d.Out != 1<<32-1 {
		t.Errorf("a full wrap in 31 s is possible at 10 Gbit/s: %+v", d)
	}
}

// A counter that starts again is no wrap where the line could not have carried
// the rest of it.
func TestLineSpeedTellsAWrapFromARestart(t *testing.T) {
	line := Speed{In: 1_250_000, Out: 5_000_000}
	m := Meter{Out: 3 << 30, Seconds: 600}
	if d := m.Advance(0, Report{Event: 660, Seconds: 660, Out: 1000}, line); d.Outcome != Implausible || m.Out != 3<<30 {
		t.Errorf("a restarted counter: %+v, meter %d", d, m.Out)
	}
	m = Meter{Out: 1<<32 - 1000, Seconds: 600}
	if d := m.Advance(0, Report{Event: 660, Seconds: 660, Out: 200_000_000}, line); d.Outcome != Counted || d.Out != 200_001_000 {
		t.Errorf("a wrap: %+v", d)
	}
}

// Without Gigawords a report from before the last wrap cannot be placed: it is late
// and adds nothing.
func TestLateReportWithoutGigawordsAddsNothing(t *testing.T) {
	var m Meter
	for _, r := range []Report{
		{Event: 600, Seconds: 600, Out: 3 << 30}, {Event: 1200, Seconds: 1200, Out: 5 << 30, Giga: true}, {Event: 600, Seconds: 600, Out: 3 << 30},
	} {
		m.Advance(0, r, Speed{})
	}
	if m.Out != 5<<30 {
		t.Fatalf("meter is at %d", m.Out)
	}
}

// In whatever order and however often true reports arrive, the meter ends at the
// largest and the deltas sum to it.
func TestAnyOrderEndsAtTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		truth := make([]Report, n)
		var in, out uint64
		for i := range truth {
			in += rapid.Uint64Range(0, 1<<34).Draw(t, "in")
			out += rapid.Uint64Range(0, 1<<34).Draw(t, "out")
			truth[i] = Report{Event: int64(i+1) * 60, Seconds: int64(i+1) * 60, In: in, Out: out, Giga: true}
		}
		order := rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 60).Draw(t, "order")
		order = append(order, n-1)
		var m Meter
		var sumIn, sumOut uint64
		for _, i := range order {
			d := m.Advance(0, truth[i], Speed{})
			sumIn, sumOut = sumIn+d.In, sumOut+d.Out
		}
		if m.In != in || m.Out != out || sumIn != in || sumOut != out {
			t.Fatalf("meter %d/%d, deltas %d/%d, truth %d/%d", m.In, m.Out, sumIn, sumOut, in, out)
		}
	})
}
