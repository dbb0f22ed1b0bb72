package sheet

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Quantity writes counts of a unit as the language does: 2GB, 90s, 1h, 3, 1.50.
// Money stands without its currency.
func Quantity(n int64, u tariff.Unit) string {
	switch u {
	case tariff.Bytes:
		return largest(n, []suffix{{"TB", 1e12}, {"TiB", 1 << 40}, {"GB", 1e9}, {"GiB", 1 << 30}, {"MB", 1e6}, {"MiB", 1 << 20}, {"kB", 1e3}, {"KiB", 1 << 10}}, "B")
	case tariff.Seconds:
		return largest(n, []suffix{{"d", 86400}, {"h", 3600}, {"m", 60}}, "s")
	case tariff.Money:
		return money.Amount(n).String()
	case tariff.Units:
		return strings.TrimSuffix(money.Amount(n).String(), ".00")
	}
	return strconv.FormatInt(n, 10)
}

func largest(n int64, list []suffix, smallest string) string {
	for _, x := range list {
		if n != 0 && n%x.factor == 0 {
			return strconv.FormatInt(n/x.factor, 10) + x.text
		}
	}
	return strconv.FormatInt(n, 10) + smallest
}

// one is a quantity in words where it is one of something.
func one(n int64, u tariff.Unit) string {
	text := Quantity(n, u)
	switch text {
	case "1TB":
		return "a terabyte"
	case "1GB":
		return "a gigabyte"
	case "1GiB":
		return "a gibibyte"
	case "1MB":
		return "a megabyte"
	case "1s":
		return "a second"
	case "1m":
		return "a minute"
	case "1h":
		return "an hour"
	case "1d":
		return "a day"
	case "1":
		if u == tariff.Events {
			return "an event"
		}
		return "a unit"
	}
	return text
}

// PriceText writes a price: "2.50 EUR per 1GB", "1.3%".
func PriceText(p tariff.Price, u tariff.Unit, c money.Currency) string {
	if p.Per <= 0 {
		return "none"
	}
	if u == tariff.Money {
		if ppm, err := money.MulDiv(int64(p.Amount), int64(tariff.Hundred), p.Per, money.Floor); err == nil {
			return percentText(ppm)
		}
	}
	return fmt.Sprintf("%s %s per %s", p.Amount, c, Quantity(p.Per, u))
}

func percentText(ppm int64) string {
	s := money.Amount(ppm * 100).String()
	return strings.TrimSuffix(strings.TrimSuffix(s, "0"), ".0") + "%"
}

func clockText(n int64) string {
	if n%60 != 0 {
		return fmt.Sprintf("%02d:%02d:%02d", n/3600, n/60%60, n%60)
	}
	return fmt.Sprintf("%02d:%02d", n/3600, n/60%60)
}

func periodText(p tariff.Period) string {
	if p.Count == 1 {
		return string(p.Unit)
	}
	return fmt.Sprintf("%d %ss", p.Count, p.Unit)
}

// valueText writes a field's value; "" when it is absent.
func valueText(f *field, v reflect.Value, u tariff.Unit, asPercent bool, c money.Currency) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if v.IsZero() && !f.required {
		return f.absent
	}
	switch f.form {
	case count:
		return strconv.FormatInt(v.Int(), 10)
	case yesNo:
		return "yes"
	case amount:
		return fmt.Sprintf("%s %s", money.Amount(v.Int()), c)
	case instant:
		return time.Unix(v.Int(), 0).UTC().Format(time.RFC3339)
	case clock:
		return clockText(v.Int())
	case span:
		return Quantity(v.Int(), tariff.Seconds)
	case speed:
		return largest(v.Int(), []suffix{{" Gbit/s", 1e9}, {" Mbit/s", 1e6}, {" kbit/s", 1e3}}, " bit/s")
	case percent:
		return percentText(v.Int())
	case price:
		return PriceText(v.Interface().(tariff.Price), u, c)
	case ratio:
		r := v.Interface().(tariff.Ratio)
		return fmt.Sprintf("%d/%d", r.Num, r.Den)
	case period:
		return periodText(v.Interface().(tariff.Period))
	case threshold, measure:
		if asPercent {
			return percentText(v.Int())
		}
		text := Quantity(v.Int(), u)
		if u == tariff.Money {
			text += " " + string(c)
		}
		return text
	}
	return v.String()
}
