package charging

import (
	"math"
	"testing"

	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// Counts near the end of int64, as an absurd quota asks for, never wrap: what an
// allowance gives stays within what it has, with and without a factor.
func TestCountsNearTheEndOfInt64DoNotWrap(t *testing.T) {
	p := volumePlan(t, func(u *tariff.Usage) { u.Rates = []tariff.Rate{{Price: tariff.Price{Amount: 1, Per: 1 << 40}}} })
	for _, factor := range []tariff.Ratio{{}, {Num: 1, Den: 2}, {Num: 3, Den: 1}} {
		for _, step := range []int64{1, 340, math.MaxInt64} {
			for _, quantity := range []int64{math.MaxInt64, math.MaxInt64 - 1, 1 << 62} {
				w := NewWallet(0, &Bucket{ID: "pack", Name: "pack", Unit: tariff.Bytes, Value: 5000, Terms: Terms{Factor: factor, Step: step}})
				var s Session
				var r Result
				Debit(p, &s, w, rating.Use{Quantity: quantity}, Part, &r)
				if left := w.Bucket("pack").Available(); left < 0 || left > 5000 {
					t.Errorf("factor %v, step %d, %d asked: %d left of 5000", factor, step, quantity, left)
				}
			}
		}
	}
}
