package tariff

import "meridian/internal/money"

// Unit is what usage and allowances count. Every quantity is an int64 of Scale
// parts of the unit.
type Unit string

// Units. Units stands for whatever else is measured (kWh, points, weighted
// seats): six decimal places.
const (
	Bytes   Unit = "bytes"   // octets, both directions together
	Seconds Unit = "seconds" // of time
	Events  Unit = "events"  // messages, tickets, calls to a service
	Money   Unit = "money"   // micro-units of the offering's currency
	Units   Unit = "units"   // anything else, in millionths
)

// Scale is how many counts make one unit: 1, or 1 000 000 for money and units;
// 0 for a unit that is not known.
func (u Unit) Scale() int64 {
	switch u {
	case Bytes, Seconds, Events:
		return 1
	case Money, Units:
		return money.Micro
	}
	return 0
}

// most is the quantity of one session or period that must be payable.
func (u Unit) most() int64 {
	switch u {
	case Bytes:
		return 1 << 50
	case Money, Units:
		return 1 << 47
	}
	return 1 << 33
}

// Price is Amount for each Per counts of a unit: exact, however fine. 1.3 % of
// an amount is Amount 13 per 1000.
type Price struct {
	Amount money.Amount `json:"amount"`
	Per    int64        `json:"per"`
}

// Ratio is an exact fraction. The zero value stands for 1.
type Ratio struct {
	Num int64 `json:"num"`
	Den int64 `json:"den"`
}

// Percent counts parts per million: 1.5 % is 15 000.
type Percent int64

// Hundred is 100 %.
const Hundred Percent = 1_000_000

// PeriodUnit is a unit of calendar time.
type PeriodUnit string

// Units of a period. A half month runs from the 1st to the 15th and from the
// 16th to the month's end.
const (
	Day       PeriodUnit = "day"
	Week      PeriodUnit = "week"
	HalfMonth PeriodUnit = "half-month"
	Month     PeriodUnit = "month"
	Year      PeriodUnit = "year"
)

// Period is Count units of calendar time in the offering's zone.
type Period struct {
	Unit  PeriodUnit `json:"unit"`
	Count int        `json:"count"`
}

// longest is how many of a unit a period may have.
func (u PeriodUnit) longest() int {
	switch u {
	case Day:
		return 366
	case Week:
		return 53
	case HalfMonth:
		return 1
	case Month:
		return 36
	case Year:
		return 5
	}
	return 0
}

// Date is a calendar day, "2026-12-31".
type Date string

// Days counts from 1970-01-01, and tells whether the date is one.
func (d Date) Days() (int64, bool) {
	if len(d) != 10 || d[4] != '-' || d[7] != '-' {
		return 0, false
	}
	number := func(s Date) (n int64) {
		for _, c := range s {
			if c < '0' || c > '9' {
				return -1
			}
			n = n*10 + int64(c-'0')
		}
		return n
	}
	y, m, day := number(d[:4]), number(d[5:7]), number(d[8:])
	if y < 1970 || m < 1 || m > 12 || day < 1 || day > DaysIn(y, m) {
		return 0, false
	}
	return DayNumber(y, m, day), true
}

// DayNumber counts the days from 1970-01-01 to a day of the Gregorian calendar.
func DayNumber(year, month, day int64) int64 {
	if month <= 2 { // the year begins in March, so that February's end is its last
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}

// DaysIn is the length of a month.
func DaysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// Civil is the date of a day number.
func Civil(days int64) (year, month, day int64) {
	z := days + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	if month > 12 {
		month -= 12
	}
	year = yoe + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}
