package trial

import (
	"time"

	"meridian/internal/tariff"
)

// within is the period that holds t: of the calendar in t's zone, or counted from
// the activation.
func within(p tariff.Period, anchor tariff.Anchor, activation, t time.Time) (from, until time.Time) {
	if anchor == tariff.Calendar {
		from = floor(p, t)
		if p.Unit == tariff.HalfMonth {
			if from.Day() == 1 {
				return from, from.AddDate(0, 0, 15)
			}
			return from, time.Date(from.Year(), from.Month()+1, 1, 0, 0, 0, 0, from.Location())
		}
		return from, plus(from, p, 1)
	}
	for n := 0; ; n++ {
		from, until = plus(activation, p, n), plus(activation, p, n+1)
		if t.Before(until) {
			return from, until
		}
	}
}

// floor is the start of the calendar's period.
func floor(p tariff.Period, t time.Time) time.Time {
	y, m, d := t.Date()
	switch p.Unit {
	case tariff.Day:
	case tariff.Week:
		d -= (int(t.Weekday()) + 6) % 7
	case tariff.HalfMonth:
		if d < 16 {
			d = 1
		} else {
			d = 16
		}
	case tariff.Month:
		months := y*12 + int(m) - 1
		months -= months % p.Count
		y, m, d = months/12, time.Month(months%12+1), 1
	default:
		y, m, d = y-y%p.Count, 1, 1
	}
	return time.Date(y, m, d, 0, 0, 0, 0, t.Location())
}

// plus is n periods after base; a day that the month lacks is its last.
func plus(base time.Time, p tariff.Period, n int) time.Time {
	n *= p.Count
	switch p.Unit {
	case tariff.Day:
		return base.AddDate(0, 0, n)
	case tariff.Week:
		return base.AddDate(0, 0, 7*n)
	case tariff.Year:
		n *= 12
	}
	y, m, d := base.Date()
	months := y*12 + int(m) - 1 + n
	last := int(tariff.DaysIn(int64(months/12), int64(months%12+1)))
	hour, minute, second := base.Clock()
	return time.Date(months/12, time.Month(months%12+1), min(d, last), hour, minute, second, 0, base.Location())
}
