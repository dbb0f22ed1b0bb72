// Package money is exact money: an int64 count of micro-units (10⁻⁶ of a
// currency's major unit) with its ISO 4217 code.
//
// Arithmetic is checked: overflow is an error, never a wrap, and products go
// through 128 bits. Every division names its rounding. Floats do not occur.
package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Micro is the number of micro-units in one major unit.
const Micro = 1_000_000

// ErrOverflow is returned when a result does not fit int64 micro-units.
var ErrOverflow = errors.New("amount overflows 64 bits of micro-units")

// Amount is a count of micro-units. Its currency stands beside it.
type Amount int64

// Currency is an ISO 4217 alphabetic code, e.g. "EUR".
type Currency string

// Validate reports a code that is not three upper-case letters.
func (c Currency) Validate() error {
	if len(c) == 3 && strings.IndexFunc(string(c), func(r rune) bool { return r < 'A' || r > 'Z' }) < 0 {
		return nil
	}
	return fmt.Errorf("currency %q is not an ISO 4217 code: write three upper-case letters, e.g. EUR", string(c))
}

// Rounding says which way a division goes when it is not exact.
type Rounding uint8

// Rounding modes. Floor goes towards minus infinity, Ceil towards plus infinity;
// HalfEven and HalfUp to the nearest, ties to the even neighbour or upwards.
const (
	Floor Rounding = iota
	Ceil
	HalfEven
	HalfUp
)

// Add returns a+b or ErrOverflow.
func Add(a, b Amount) (Amount, error) {
	s := a + b
	if (a > 0 && b > 0 && s < 0) || (a < 0 && b < 0 && s >= 0) {
		return 0, ErrOverflow
	}
	return s, nil
}

// Sub returns a−b or ErrOverflow.
func Sub(a, b Amount) (Amount, error) {
	d := a - b
	if (a >= 0 && b < 0 && d < 0) || (a < 0 && b > 0 && d >= 0) {
		return 0, ErrOverflow
	}
	return d, nil
}

// MulDiv returns n·m/d for n, m ≥ 0 and d > 0, through 128 bits, rounded as
// asked. It returns ErrOverflow when the quotient does not fit.
func MulDiv(n, m, d int64, mode Rounding) (int64, error) {
	if n < 0 || m < 0 || d <= 0 {
		return 0, fmt.Errorf("muldiv of %d·%d/%d: factors must be ≥ 0 and the divisor > 0", n, m, d)
	}
	hi, lo := bits.Mul64(uint64(n), uint64(m))
	if hi >= uint64(d) {
		return 0, ErrOverflow
	}
	q, rem := bits.Div64(hi, lo, uint64(d))
	switch mode {
	case Ceil:
		if rem > 0 {
			q++
		}
	case HalfEven:
		if rem > uint64(d)-rem || (rem == uint64(d)-rem && q&1 == 1) {
			q++
		}
	case HalfUp:
		if rem >= uint64(d)-rem {
			q++
		}
	}
	if q > math.MaxInt64 {
		return 0, ErrOverflow
	}
	return int64(q), nil
}

// Parse reads a decimal such as "12.5" or "-0.000001", at most six places.
func Parse(s string) (Amount, error) {
	fail := func(why string) (Amount, error) {
		return 0, fmt.Errorf("amount %q: %s; write a decimal with at most six places, e.g. 12.50", s, why)
	}
	body, neg := strings.CutPrefix(s, "-")
	whole, frac, dot := strings.Cut(body, ".")
	if whole == "" || (dot && frac == "") {
		return fail("digits are missing")
	}
	if len(frac) > 6 {
		return fail("more than six decimal places")
	}
	for _, c := range whole + frac {
		if c < '0' || c > '9' {
			return fail("not a decimal number")
		}
	}
	v, err := strconv.ParseInt(whole+frac+strings.Repeat("0", 6-len(frac)), 10, 64)
	if err != nil {
		return fail("out of range")
	}
	if neg {
		v = -v
	}
	return Amount(v), nil
}

// String writes the amount with two decimal places, more where they are needed.
func (a Amount) String() string {
	u, sign := uint64(a), ""
	if a < 0 {
		u, sign = -u, "-"
	}
	frac := strings.TrimRight(fmt.Sprintf("%06d", u%Micro), "0")
	for len(frac) < 2 {
		frac += "0"
	}
	return sign + strconv.FormatUint(u/Micro, 10) + "." + frac
}
