package sheet

import (
	"errors"
	"reflect"
	"strings"

	"meridian/internal/tariff"
)

// writing is how the values of a field are written: by which kinds of scalar, how
// they are read, and what to do about a wrong one.
type writing struct {
	kinds  []kind
	set    func(v reflect.Value, s string) error
	remedy string
}

func ints(parse func(string) (int64, error)) func(reflect.Value, string) error {
	return func(v reflect.Value, s string) error {
		n, err := parse(s)
		if err != nil {
			return err
		}
		if v.OverflowInt(n) {
			return errors.New("is too large")
		}
		v.SetInt(n)
		return nil
	}
}

// whole sets v from a parser of a struct.
func whole[T any](parse func(string) (T, error)) func(reflect.Value, string) error {
	return func(v reflect.Value, s string) error {
		x, err := parse(s)
		if err == nil {
			v.Set(reflect.ValueOf(x))
		}
		return err
	}
}

func setText(v reflect.Value, s string) error { v.SetString(s); return nil }

func setBool(v reflect.Value, s string) error { v.SetBool(strings.EqualFold(s, "true")); return nil }

func setDate(v reflect.Value, s string) error {
	if _, ok := tariff.Date(s).Days(); !ok {
		return errors.New("is not a day of the calendar")
	}
	v.SetString(s)
	return nil
}

// written says how a field is written while the measures around it have a unit.
func written(f *field, unit tariff.Unit, asPercent bool) writing {
	texts, both := []kind{text}, []kind{text, number}
	switch f.form {
	case choice:
		return writing{texts, func(v reflect.Value, s string) error {
			for _, c := range f.choices {
				if c == s {
					v.SetString(s)
					return nil
				}
			}
			return errors.New("is none of the choices")
		}, "write " + strings.Join(f.choices, ", ")}
	case count:
		return writing{[]kind{number}, ints(parseCount), "write a whole number"}
	case yesNo:
		return writing{[]kind{boolean}, setBool, "write true or false"}
	case amount:
		return writing{texts, ints(parseAmount), `write a decimal of at most six places in quotes, e.g. "5.00"`}
	case instant:
		return writing{texts, ints(parseInstant), "write an instant such as 2026-12-01T00:00:00Z"}
	case clock:
		return writing{texts, ints(parseTimeOfDay), `write a time of day such as "22:00" or "06:30:15"`}
	case span:
		return writing{both, ints(parseSeconds), "write a time such as 60s, 5m, 1h or 30d"}
	case speed:
		return writing{both, ints(parseSpeed), "write a speed such as 512kbit, 10Mbit or 1Gbit"}
	case percent:
		return writing{texts, ints(parsePercent), "write a percentage such as 12.5%"}
	case price:
		return writing{texts, whole(func(s string) (tariff.Price, error) { return parsePrice(s, unit) }), priceRemedy(unit)}
	case ratio:
		return writing{both, whole(parseRatio), `write a ratio such as 3/2, 2 or "0.5"`}
	case period:
		return writing{texts, whole(parsePeriod), "write a period such as month, 30 days, 2 weeks, half-month or year"}
	case date:
		return writing{texts, setDate, "write a date such as 2026-12-31"}
	case threshold, measure:
		if asPercent {
			return writing{texts, ints(parsePercent), "write a percentage such as 80%"}
		}
		return measured(unit)
	}
	return writing{texts, setText, "write a text; what looks like a number, or true and false, in quotes"}
}

func measured(unit tariff.Unit) writing {
	parse := ints(func(s string) (int64, error) { return quantity(s, unit) })
	switch unit {
	case tariff.Bytes:
		return writing{[]kind{text, number}, parse, "write a size such as 500MB, 10GB or 1GiB"}
	case tariff.Seconds:
		return writing{[]kind{text, number}, parse, "write a time such as 60s, 5m, 1h or 30d"}
	case tariff.Money:
		return writing{[]kind{text}, parse, `write a decimal in quotes, e.g. "5.00"`}
	case tariff.Units:
		return writing{[]kind{text, number}, parse, `write a number of units; decimals in quotes, e.g. "1.5"`}
	case tariff.Events:
		return writing{[]kind{number}, parse, "write a whole number of events"}
	}
	return writing{[]kind{text, number}, func(reflect.Value, string) error {
		return errors.New("cannot be read without its unit")
	}, "give the unit of what it belongs to: bytes, seconds, events, money or units"}
}

func priceRemedy(unit tariff.Unit) string {
	switch unit {
	case tariff.Seconds:
		return `write "0.10 per minute" or "0.01 per 6s"`
	case tariff.Events:
		return `write "0.05" for each, or "5.00 per 100"`
	case tariff.Money:
		return `write "1.3%", or "0.02 per 1.00"`
	case tariff.Units:
		return `write "0.30" for each unit, or "3.00 per 10"`
	}
	return `write "2.50 per GB" or "0.10 per 100MB"`
}
