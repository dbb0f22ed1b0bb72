package verify

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestWideAgreesWithBigIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum, want := wide{}, new(big.Int)
		for _, n := range rapid.SliceOf(rapid.Int64()).Draw(t, "amounts") {
			if rapid.Bool().Draw(t, "minus") {
				sum = sum.minus(wideOf(n))
				want.Sub(want, big.NewInt(n))
			} else {
				sum = sum.plus(n)
				want.Add(want, big.NewInt(n))
			}
			if sum.String() != want.String() || sum.negative() != (want.Sign() < 0) || sum.isZero() != (want.Sign() == 0) {
				t.Fatalf("%s, want %s", sum, want)
			}
		}
	})
}

func TestAddAmountStopsAtTheEnd(t *testing.T) {
	total := int64(math.MaxInt64 - 1)
	if !addAmount(&total, 1) || addAmount(&total, 1) || total != math.MaxInt64 {
		t.Fatalf("total is %d", total)
	}
}
