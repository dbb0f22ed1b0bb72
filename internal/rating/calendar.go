package rating

import (
	"fmt"
	"math"
	"slices"
	"time"

	"meridian/internal/tariff"
)

// firstYear and lastYear bound the zone changes that a plan knows; beyond them the
// nearest offset holds.
const firstYear, lastYear = 2000, 2100

// lastInstant is the end of 2100, Unix seconds.
const lastInstant = 4_133_980_800

// shift is a change of a zone's offset from UTC.
type shift struct{ at, offset int64 }

// zone is a zone's offsets, ascending; the first holds before it too.
type zone []shift

// newZone reads the changes of a location.
func newZone(l *time.Location) zone {
	t := time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC).In(l)
	end := time.Date(lastYear, 1, 1, 0, 0, 0, 0, time.UTC)
	var z zone
	for t.Before(end) {
		_, offset := t.Zone()
		if n := len(z); n == 0 || z[n-1].offset != int64(offset) {
			z = append(z, shift{t.Unix(), int64(offset)})
		}
		_, next := t.ZoneBounds()
		if next.IsZero() {
			break
		}
		if !next.After(t) { // by a zone's rule a year's end may be its own bound
			next = t.Add(time.Hour)
		}
		t = next
	}
	return z
}

// at gives the offset in force and when the next one begins.
func (z zone) at(t int64) (offset, until int64) {
	lo, hi := 0, len(z)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; z[mid].at <= t {
			lo = mid
		} else {
			hi = mid
		}
	}
	if hi < len(z) {
		return z[lo].offset, z[hi].at
	}
	return z[lo].offset, math.MaxInt64
}

// window is a tariff.Window made ready: sets are bit masks, empty ones are full.
type window struct {
	days, months, monthDays uint64
	dates                   []int64 // day numbers, sorted; nil = any
	from, to                int64   // seconds of the day; to ≤ from runs over midnight
	weight                  int
	dated                   bool // asks for more than the weekday
}

func newWindow(w *tariff.Window, holidays []int64) window {
	out := window{days: 0x7f, months: math.MaxUint64, monthDays: math.MaxUint64, from: int64(w.From), to: int64(w.To), weight: w.Weight}
	if out.to == 0 {
		out.to = 86400
	}
	if len(w.Days) > 0 {
		out.days = 0
		for _, d := range w.Days {
			out.days |= 1 << slices.Index(tariff.Weekdays(), d)
		}
	}
	mask := func(list []int) uint64 {
		m := uint64(0)
		for _, n := range list {
			m |= 1 << n
		}
		return m
	}
	if len(w.Months) > 0 {
		out.months = mask(w.Months)
	}
	if len(w.MonthDays) > 0 {
		out.monthDays = mask(w.MonthDays)
	}
	if len(w.Dates) > 0 {
		out.dates = dayNumbers(w.Dates)
	}
	if w.Holidays {
		if out.dates == nil {
			out.dates = holidays
		} else {
			out.dates = slices.DeleteFunc(out.dates, func(d int64) bool { return !slices.Contains(holidays, d) })
		}
	}
	out.dated = len(w.Months) > 0 || len(w.MonthDays) > 0 || out.dates != nil
	return out
}

func dayNumbers(dates []tariff.Date) []int64 {
	out := make([]int64, 0, len(dates))
	for _, d := range dates {
		n, _ := d.Days() // validated
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// onDay tells whether the window may begin on a day.
func (w *window) onDay(day int64) bool {
	weekday := (day%7 + 10) % 7 // 1970-01-01 was a Thursday; 0 = Monday
	if w.days&(1<<weekday) == 0 {
		return false
	}
	if !w.dated {
		return true
	}
	_, month, monthDay := tariff.Civil(day)
	if w.months&(1<<month) == 0 || w.monthDays&(1<<monthDay) == 0 {
		return false
	}
	if w.dates == nil {
		return true
	}
	_, found := slices.BinarySearch(w.dates, day)
	return found
}

// in tells whether the window is in force at a local time.
func (w *window) in(day, second int64) bool {
	if w.to > w.from {
		return second >= w.from && second < w.to && w.onDay(day)
	}
	return second >= w.from && w.onDay(day) || second < w.to && w.onDay(day-1)
}

// local splits an instant into the day number and the second of the day of the
// plan's zone, and says until when the offset holds.
func (p *Plan) local(t int64) (day, second, until int64) {
	offset, until := p.zone.at(t)
	l := t + offset
	day = l / 86400
	if l < 0 && l%86400 != 0 {
		day--
	}
	return day, l - day*86400, until
}

// rateAt finds the rate of a zone at t, and until when it surely holds.
func (p *Plan) rateAt(z *zoneRates, t int64) (*rate, int64) {
	if len(z.windowed) == 0 {
		return z.always, math.MaxInt64
	}
	day, second, until := p.local(t)
	best, bestWindow := z.always, (*window)(nil)
	next := int64(86400)
	for i := range z.windowed {
		r := z.windowed[i]
		w := &p.windows[r.window]
		if w.from > second {
			next = min(next, w.from)
		}
		if w.to > second {
			next = min(next, w.to)
		}
		if !w.in(day, second) {
			continue
		}
		if bestWindow == nil || w.weight > bestWindow.weight || w.weight == bestWindow.weight && w.from > bestWindow.from {
			best, bestWindow = r, w
		}
	}
	return best, min(until, t+next-second)
}

// WindowAt names the window that is in force at t (Unix seconds): the heaviest,
// then the one with the later start, then the first; "" = none.
func (p *Plan) WindowAt(t int64) string {
	day, second, _ := p.local(t)
	best := -1
	for i := range p.windows {
		w := &p.windows[i]
		if !w.in(day, second) {
			continue
		}
		if best < 0 || w.weight > p.windows[best].weight || w.weight == p.windows[best].weight && w.from > p.windows[best].from {
			best = i
		}
	}
	if best < 0 {
		return ""
	}
	return p.windowNames[best]
}

// InWindow tells whether the i-th window of the offering is in force at t, and
// until when that is sure.
func (p *Plan) InWindow(i int, t int64) (bool, int64) {
	day, second, until := p.local(t)
	w := &p.windows[i]
	next := int64(86400)
	if w.from > second {
		next = min(next, w.from)
	}
	if w.to > second {
		next = min(next, w.to)
	}
	return w.in(day, second), min(until, t+next-second)
}

// Window finds a window of the offering by name, −1 when there is none.
func (p *Plan) Window(name string) int { return slices.Index(p.windowNames, name) }

// uncovered finds a time of an ordinary week at which no rate is in force: each
// weekday's windows must meet, without those that ask for a date.
func (p *Plan) uncovered(z *zoneRates) string {
	if z.always != nil {
		return ""
	}
	edges := []int64{0}
	for _, r := range z.windowed {
		w := &p.windows[r.window]
		edges = append(edges, w.from, w.to%86400)
	}
	const monday = 4 // day number of 1970-01-05
	for d := int64(0); d < 7; d++ {
		for _, second := range edges {
			if !slices.ContainsFunc(z.windowed, func(r *rate) bool {
				w := &p.windows[r.window]
				return !w.dated && w.in(monday+d, second)
			}) {
				return fmt.Sprintf("%s %02d:%02d:%02d", tariff.Weekdays()[d], second/3600, second/60%60, second%60)
			}
		}
	}
	return ""
}
