package rating

import (
	"math"
	"math/bits"

	"meridian/internal/money"
)

// add raises the exact price of the event by n · num/den. It tells whether the
// sum fits.
func (s *Tally) add(n, num, den uint64) bool {
	hi, lo := bits.Mul64(n, num)
	var q, rem uint64
	if den == 1 {
		if hi != 0 {
			return false
		}
		q = lo
	} else {
		if hi >= den {
			return false
		}
		q, rem = bits.Div64(hi, lo, den)
		s.Rem += rem
		if s.Rem >= den {
			s.Rem -= den
			q++
		}
	}
	if q > math.MaxInt64-uint64(max(s.Whole, 0)) {
		return false
	}
	s.Whole += money.Amount(q)
	return true
}

// sub lowers it.
func (s *Tally) sub(n, num, den uint64) bool {
	hi, lo := bits.Mul64(n, num)
	if hi >= den {
		return false
	}
	q, rem := bits.Div64(hi, lo, den)
	if s.Rem < rem {
		s.Rem += den
		q++
	}
	s.Rem -= rem
	if q > math.MaxInt64/2 || s.Whole < math.MinInt64/2 {
		return false
	}
	s.Whole -= money.Amount(q)
	return true
}

// exact is the total of the state, bounded, in micro-units and a remainder in
// parts of the component's denominator.
func (s *Tally) exact(c *component) (money.Amount, uint64) {
	whole, rem := s.Whole, s.Rem
	if s.HasUsage && whole < c.minEvent {
		whole, rem = c.minEvent, 0
	}
	return s.bounded(c, whole, rem)
}

// plain is the total without minima.
func (s *Tally) plain(c *component) money.Amount {
	whole, _ := s.bounded(c, s.Whole, s.Rem)
	return whole
}

func (s *Tally) bounded(c *component, whole money.Amount, rem uint64) (money.Amount, uint64) {
	if whole >= c.maxEvent {
		whole, rem = c.maxEvent, 0
	}
	whole, rem = whole+s.Done, rem+s.DoneRem
	if rem >= c.den {
		whole, rem = whole+1, rem-c.den
	}
	if whole >= c.maxPeriod {
		whole, rem = c.maxPeriod, 0
	}
	return whole, rem
}

// steps is the largest n for which the price stays below end when n steps of
// num/den are added to whole + rem/den.
func steps(whole money.Amount, rem uint64, end money.Amount, num, den uint64) uint64 {
	if num == 0 {
		return math.MaxUint64
	}
	if end <= whole {
		return 0
	}
	// n·num < (end − whole)·den − rem
	hi, lo := bits.Mul64(uint64(end-whole), den)
	lo, borrow := bits.Sub64(lo, rem, 0)
	hi -= borrow
	lo, borrow = bits.Sub64(lo, 1, 0)
	hi -= borrow
	if hi >= num {
		return math.MaxUint64
	}
	n, _ := bits.Div64(hi, lo, num)
	return n
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
