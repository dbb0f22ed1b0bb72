package verify

import (
	"math/big"
	"math/bits"
)

// wide is a signed 128-bit sum: totals over many accounts do not fit 64 bits.
// 2^64 amounts of 63 bits do not overflow it.
type wide struct {
	hi int64
	lo uint64
}

func wideOf(n int64) wide { return wide{hi: n >> 63, lo: uint64(n)} }

func (w wide) plus(n int64) wide { return w.sum(wideOf(n)) }

func (w wide) sum(o wide) wide {
	lo, carry := bits.Add64(w.lo, o.lo, 0)
	return wide{hi: w.hi + o.hi + int64(carry), lo: lo}
}

func (w wide) minus(o wide) wide {
	lo, borrow := bits.Sub64(w.lo, o.lo, 0)
	return wide{hi: w.hi - o.hi - int64(borrow), lo: lo}
}

func (w wide) isZero() bool { return w == wide{} }

func (w wide) negative() bool { return w.hi < 0 }

// String writes the sum in decimal.
func (w wide) String() string {
	n := new(big.Int).Lsh(big.NewInt(w.hi), 64)
	return n.Add(n, new(big.Int).SetUint64(w.lo)).String()
}

// addAmount adds n ≥ 0 to a total and tells whether it fits 64 bits; a total that
// would not fit stays as it is.
func addAmount(total *int64, n int64) bool {
	sum := *total + n
	if sum < *total {
		return false
	}
	*total = sum
	return true
}
