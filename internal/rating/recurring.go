package rating

import (
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Cycle is one charge of a recurring component: the days From to To (day numbers,
// exclusive), which are Days of the Of days that the whole price is for.
type Cycle struct {
	From, To int64
	Days, Of int64
}

// Whole tells whether the cycle is a full period.
func (c *Cycle) Whole() bool { return c.Days == c.Of }

// Amount is the cycle's part of a price, to the nearest micro-unit.
func (c *Cycle) Amount(price money.Amount) (money.Amount, error) {
	n, err := money.MulDiv(int64(price), c.Days, c.Of, money.HalfEven)
	return money.Amount(n), err
}

// MaxCycles bounds what one call of Cycles returns.
const MaxCycles = 1200

// Cycles lists the charges of a recurring component that are due by a day: in
// advance those whose cycle begins on it or before, in arrears those that end so.
// Calendar periods of months begin on billDay, or on a shorter month's last day;
// those of weeks on Monday, of years on 1 January. start is the first day, end
// the day on which the subscription ends (0 = it goes on). What lies before the
// first period's begin, and what end cuts off, is a part.
func Cycles(r *tariff.Recurring, billDay int64, start, end, by int64) []Cycle {
	g := grid{every: r.Every, start: start, billDay: billDay, calendar: r.Anchor == tariff.Calendar}
	var out []Cycle
	for from := start; (end == 0 || from < end) && len(out) < MaxCycles; {
		begin, next := g.around(from)
		to := next
		if end != 0 && end < to {
			to = end
		}
		if r.Due == tariff.Arrears && to > by || r.Due != tariff.Arrears && from > by {
			break
		}
		out = append(out, part(r.Proration, from, to, begin, next))
		from = to
	}
	return out
}

func part(p tariff.Proration, from, to, begin, next int64) Cycle {
	c := Cycle{From: from, To: to, Days: to - from, Of: next - begin}
	switch p {
	case tariff.Fixed30:
		c.Days, c.Of = days30(from, to), days30(begin, next)
		if c.Days >= c.Of || from == begin && to == next {
			c.Days = c.Of
		}
	case tariff.ActualDays:
	default:
		c.Days = c.Of
	}
	return c
}

// days30 counts days by months of thirty.
func days30(from, to int64) int64 {
	y, m, d := tariff.Civil(from)
	y2, m2, d2 := tariff.Civil(to)
	return (y2-y)*360 + (m2-m)*30 + min(d2, 30) - min(d, 30)
}

// Credit is what is given back of a cycle that was paid in advance when the
// subscription ends on a day within it.
func Credit(r *tariff.Recurring, c Cycle, paid money.Amount, day int64) (money.Amount, error) {
	if day >= c.To {
		return 0, nil
	}
	switch r.Cancel {
	case tariff.FullCredit:
		return paid, nil
	case tariff.PartCredit:
		used, whole := max(day-c.From, 0), c.To-c.From
		if r.Proration == tariff.Fixed30 {
			used, whole = min(days30(c.From, max(day, c.From)), days30(c.From, c.To)), max(days30(c.From, c.To), 1)
		}
		n, err := money.MulDiv(int64(paid), whole-used, whole, money.HalfEven)
		return money.Amount(n), err
	}
	return 0, nil
}

// grid is the days on which periods begin.
type grid struct {
	every    tariff.Period
	start    int64
	billDay  int64
	calendar bool
	fixed    bool // calendar months are counted from the year 0, not from start
}

// around gives the period's begin at or before a day, and the next one.
func (g *grid) around(day int64) (begin, next int64) {
	count := int64(max(g.every.Count, 1))
	switch g.every.Unit {
	case tariff.Day, tariff.Week:
		if g.every.Unit == tariff.Week {
			count *= 7
		}
		origin := g.start
		if g.calendar {
			origin = 4 // 1970-01-05, a Monday
		}
		begin = day - mod(day-origin, count)
		return begin, begin + count
	case tariff.HalfMonth:
		y, m, d := tariff.Civil(day)
		if d < 16 {
			return tariff.DayNumber(y, m, 1), tariff.DayNumber(y, m, 16)
		}
		return tariff.DayNumber(y, m, 16), monthDay(y*12+m, 1)
	}
	return g.months(day, count)
}

// months are periods of months, which begin on one day of the month. The period
// before a begin that a short month has brought forward is as long as if it had
// begun on that day of the month.
func (g *grid) months(day, count int64) (begin, next int64) {
	anchor := g.billDay
	y, m, d := tariff.Civil(g.start)
	origin := y*12 + m - 1
	if g.every.Unit == tariff.Year {
		count *= 12
		if g.calendar {
			origin, anchor = y*12, 1
		}
	}
	if !g.calendar {
		anchor = d
	}
	if g.fixed {
		origin = 0
	}
	if anchor < 1 {
		anchor = 1
	}
	y, m, _ = tariff.Civil(day)
	month := y*12 + m - 1
	month -= mod(month-origin, count)
	if monthDay(month, anchor) > day {
		month -= count
	} else if monthDay(month+count, anchor) <= day {
		month += count
	}
	begin, next = monthDay(month, anchor), monthDay(month+count, anchor)
	if begin < g.start && day == g.start && !g.fixed { // the lead-in
		_, _, d := tariff.Civil(next)
		begin = monthDay(month, d)
	}
	return begin, next
}

// monthDay is a day of a month (year·12 + month − 1), or the month's last.
func monthDay(month, day int64) int64 {
	y, m := month/12, month%12+1
	return tariff.DayNumber(y, m, min(day, tariff.DaysIn(y, m)))
}

func mod(a, b int64) int64 { return (a%b + b) % b }
