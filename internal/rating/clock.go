package rating

import "meridian/internal/tariff"

// Local splits an instant (Unix seconds) into the day number and the second of the
// day in the offering's zone.
func (p *Plan) Local(t int64) (day, second int64) {
	day, second, _ = p.local(t)
	return day, second
}

// Instant is when the offering's zone shows a second of a day: the first of two
// when the clocks are put back, and as long after the change as it would have been
// when they are put forward.
func (p *Plan) Instant(day, second int64) int64 {
	want := day*86400 + second
	before, _ := p.zone.at(want - 2*86400)
	t := want - before
	if now, _ := p.zone.at(t); now == before {
		return t
	}
	after, _ := p.zone.at(t)
	if now, _ := p.zone.at(want - after); now == after {
		return want - after
	}
	return t
}

// Period is the period that holds a day: the day numbers on which it begins and on
// which the next one does. Calendar periods of several months or years are
// counted from the year 0, others from the day of start.
func Period(every tariff.Period, calendar bool, start, day int64) (begin, next int64) {
	g := grid{every: every, start: start, billDay: 1, calendar: calendar, fixed: calendar}
	return g.around(day)
}

// Days counts the days from one to another day by a proration rule.
func Days(p tariff.Proration, from, to int64) int64 {
	if p == tariff.Fixed30 {
		return days30(from, to)
	}
	return to - from
}
