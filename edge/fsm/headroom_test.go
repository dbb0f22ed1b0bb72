package fsm

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"meridian/internal/journal"
)

// headroomHolds compares the sums that are kept with a walk over all buckets.
func headroomHolds(s *State) error {
	want := map[journal.Unit]*big.Int{}
	for _, b := range s.buckets.sorted() {
		if want[b.Unit] == nil {
			want[b.Unit] = new(big.Int)
		}
		want[b.Unit].Add(want[b.Unit], big.NewInt(b.Available()))
	}
	got := s.Headroom()
	if len(got) != len(want) {
		return fmt.Errorf("headroom of %d units, there are %d", len(got), len(want))
	}
	for _, h := range got {
		if want[h.Unit] == nil || h.Amount.Cmp(want[h.Unit]) != 0 {
			return fmt.Errorf("headroom in %s is %s, the buckets have %s", h.Unit, h.Amount, want[h.Unit])
		}
	}
	return nil
}

// A replica that was restored shows the same headroom, though a dump does not hold it.
func TestHeadroomAfterLoad(t *testing.T) {
	r := newRegion(t, 7_000_000, perMinute())
	r.login("s1")
	held := r.available()
	if held == 7_000_000 {
		t.Fatal("nothing is held")
	}
	other, err := Load(r.s.Dump())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*State{r.s, other} {
		if got := s.Headroom(); len(got) != 1 || got[0].Unit != "EUR" || got[0].Amount.Int64() != int64(held) {
			t.Errorf("headroom %+v, available are %d", got, held)
		}
	}
}

// The sum of more than fits 64 bits is right, whatever is added and taken off.
func TestTotal128(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	edges := []int64{0, 1, -1, math.MaxInt64, math.MinInt64}
	var sum total128
	want := new(big.Int)
	for i := range 20_000 {
		n := rng.Int64()
		if i%3 == 0 {
			n = edges[rng.IntN(len(edges))]
		}
		if rng.IntN(3) > 0 {
			sum.add(n)
			want.Add(want, big.NewInt(n))
		} else {
			sum.subtract(n)
			want.Sub(want, big.NewInt(n))
		}
		if sum.big().Cmp(want) != 0 {
			t.Fatalf("after %d: %s, want %s", i, sum.big(), want)
		}
	}
	if want.CmpAbs(new(big.Int).Lsh(big.NewInt(1), 63)) < 0 || slices.Contains([]uint64{0, math.MaxUint64}, sum.high) {
		t.Errorf("the sum %s never needed more than 64 bits", want)
	}
}
