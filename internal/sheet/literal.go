package sheet

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

type suffix struct {
	text   string
	factor int64
}

// Longer suffixes come first: the first that fits is taken.
func sizes() []suffix {
	return []suffix{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
	}
}

func times() []suffix {
	return []suffix{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"", 1}}
}

func speeds() []suffix {
	return []suffix{{"kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}, {"bit", 1}, {"", 1}}
}

func suffixed(s string, list []suffix, what string) (int64, error) {
	for _, x := range list {
		digits, ok := strings.CutSuffix(s, x.text)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || strings.HasPrefix(digits, "+") {
			return 0, errors.New("is not " + what)
		}
		v, err := money.MulDiv(n, x.factor, 1, money.Floor)
		if err != nil {
			return 0, errors.New("is too large")
		}
		return v, nil
	}
	return 0, errors.New("is not " + what)
}

func parseSize(s string) (int64, error)    { return suffixed(s, sizes(), "a size") }
func parseSeconds(s string) (int64, error) { return suffixed(s, times(), "a time") }
func parseSpeed(s string) (int64, error) {
	return suffixed(strings.TrimSuffix(s, "/s"), speeds(), "a speed")
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || strings.HasPrefix(s, "+") {
		return 0, errors.New("is not a whole number")
	}
	return n, nil
}

func parseAmount(s string) (int64, error) {
	a, err := money.Parse(s)
	return int64(a), err
}

func parseInstant(s string) (int64, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, errors.New("is not an instant")
	}
	return t.Unix(), nil
}

// parseTimeOfDay reads 22:00 or 06:30:15, up to 24:00, into seconds.
func parseTimeOfDay(s string) (int64, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, errors.New("is not a time of day")
	}
	total, factor := int64(0), int64(3600)
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil || len(p) != 2 || (i > 0 && n > 59) {
			return 0, errors.New("is not a time of day")
		}
		total, factor = total+int64(n)*factor, factor/60
	}
	if total > 86400 {
		return 0, errors.New("is not a time of day")
	}
	return total, nil
}

// parsePercent reads 12.5% into parts per million.
func parsePercent(s string) (int64, error) {
	digits, ok := strings.CutSuffix(s, "%")
	if !ok {
		return 0, errors.New("is not a percentage")
	}
	a, err := money.Parse(strings.TrimSpace(digits))
	if err != nil || a%100 != 0 || a < 0 {
		return 0, errors.New("is not a percentage of at most four decimal places")
	}
	return int64(a) / 100, nil
}

// quantity reads counts of a unit: sizes for bytes, times for seconds, decimals
// for money and other units, whole numbers for events.
func quantity(s string, u tariff.Unit) (int64, error) {
	switch u {
	case tariff.Bytes:
		return parseSize(s)
	case tariff.Seconds:
		return parseSeconds(s)
	case tariff.Money, tariff.Units:
		return parseAmount(s)
	}
	return parseCount(s)
}

// perWords are the units that a price may name without a number.
func perWord(s string) string {
	switch s {
	case "second":
		return "1s"
	case "minute":
		return "1m"
	case "hour":
		return "1h"
	case "day":
		return "1d"
	case "event", "message", "unit", "call", "item":
		return "1"
	case "KB", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB":
		return "1" + s
	}
	return s
}

// parsePrice reads "2.50 per 1GB", "0.10 per minute", "0.05" for events and other
// units, or "1.3%" of money.
func parsePrice(s string, u tariff.Unit) (tariff.Price, error) {
	if strings.HasSuffix(s, "%") {
		ppm, err := parsePercent(s)
		if err == nil && u != tariff.Money {
			err = errors.New("is a percentage, which is for the unit money")
		}
		if err != nil {
			return tariff.Price{}, err
		}
		p := tariff.Price{Amount: money.Amount(ppm), Per: int64(tariff.Hundred)}
		for p.Amount%10 == 0 && p.Per > 1 {
			p.Amount, p.Per = p.Amount/10, p.Per/10
		}
		return p, nil
	}
	digits, per, has := strings.Cut(s, " per ")
	a, err := money.Parse(strings.TrimSpace(digits))
	if err != nil {
		return tariff.Price{}, err
	}
	if !has {
		if (u == tariff.Bytes || u == tariff.Seconds || u == tariff.Money) && a != 0 {
			return tariff.Price{}, errors.New("does not say for how much")
		}
		return tariff.Price{Amount: a, Per: max(u.Scale(), 1)}, nil
	}
	n, err := quantity(perWord(strings.TrimSpace(per)), u)
	if err != nil {
		return tariff.Price{}, fmt.Errorf("%q %w", strings.TrimSpace(per), err)
	}
	if n <= 0 {
		return tariff.Price{}, errors.New("is a price for nothing")
	}
	return tariff.Price{Amount: a, Per: n}, nil
}

// parsePeriod reads "month", "1 month", "30 days" or "half-month".
func parsePeriod(s string) (tariff.Period, error) {
	count, unit, has := strings.Cut(strings.TrimSpace(s), " ")
	n := 1
	if has {
		var err error
		if n, err = strconv.Atoi(count); err != nil || n < 1 {
			return tariff.Period{}, errors.New("is not a period")
		}
	} else {
		unit = count
	}
	unit = strings.TrimSpace(unit)
	for _, u := range []tariff.PeriodUnit{tariff.Day, tariff.Week, tariff.HalfMonth, tariff.Month, tariff.Year} {
		if unit == string(u) || unit == string(u)+"s" {
			return tariff.Period{Unit: u, Count: n}, nil
		}
	}
	return tariff.Period{}, errors.New("is not a period")
}

// parseRatio reads "3/2", "2" or "1.5".
func parseRatio(s string) (tariff.Ratio, error) {
	if num, den, has := strings.Cut(s, "/"); has {
		n, err1 := parseCount(strings.TrimSpace(num))
		d, err2 := parseCount(strings.TrimSpace(den))
		if err1 != nil || err2 != nil || n <= 0 || d <= 0 {
			return tariff.Ratio{}, errors.New("is not a ratio")
		}
		return tariff.Ratio{Num: n, Den: d}, nil
	}
	a, err := money.Parse(s)
	if err != nil || a <= 0 {
		return tariff.Ratio{}, errors.New("is not a ratio")
	}
	r := tariff.Ratio{Num: int64(a), Den: money.Micro}
	for r.Num%10 == 0 && r.Den > 1 {
		r.Num, r.Den = r.Num/10, r.Den/10
	}
	return r, nil
}

// parseWeekdays reads "sat" or "mon-fri".
func parseWeekdays(s string) ([]tariff.Weekday, error) {
	from, to, has := strings.Cut(s, "-")
	if !has {
		to = from
	}
	week := tariff.Weekdays()
	first, last := -1, -1
	for i, d := range week {
		if string(d) == from {
			first = i
		}
		if string(d) == to {
			last = i
		}
	}
	if first < 0 || last < 0 {
		return nil, errors.New("is not a weekday")
	}
	var out []tariff.Weekday
	for i := first; ; i = (i + 1) % 7 {
		out = append(out, week[i])
		if i == last {
			return out, nil
		}
	}
}
