package rating

import (
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

func TestCharge(t *testing.T) {
	perGB := tariff.PerUnit(tariff.Bytes, 5*money.Micro, 1_000_000_000)
	perMin := tariff.PerUnit(tariff.Seconds, money.Micro, 60)
	for _, c := range []struct {
		name   string
		u      []tariff.Usage
		before State
		q      int64
		want   money.Amount
	}{
		{"nothing", perGB, State{}, 0, 0},
		{"199 octets round down to nothing", perGB, State{}, 199, 0},
		{"the 200th completes a micro-unit", perGB, State{Quantity: 199}, 1, 1},
		{"1 GB", perGB, State{}, 1_000_000_000, 5_000_000},
		{"five minutes", perMin, State{}, 300, 5_000_000},
		{"180 s at 0.10 a minute is 0.30, not 0.3001", tariff.PerUnit(tariff.Seconds, 100_000, 60), State{}, 180, 300_000},
	} {
		got, _, err := Charge(&c.u[0], c.before, c.q)
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	if _, _, err := Charge(&perGB[0], State{}, -1); err == nil {
		t.Error("a negative quantity was accepted")
	}
	if _, _, err := Charge(&tariff.PerUnit(tariff.Bytes, 1<<62, 1)[0], State{}, 4); err == nil {
		t.Error("overflow was accepted")
	}
}

func genUsage(t *rapid.T) *tariff.Usage {
	return &tariff.PerUnit(tariff.Bytes, money.Amount(rapid.Int64Range(0, 1e9).Draw(t, "price")), rapid.Int64Range(1, 1e10).Draw(t, "per"))[0]
}

// However usage is split into reports, the sum charged is the same.
func TestSplittingInvariance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t)
		parts := rapid.SliceOf(rapid.Int64Range(0, 1e10)).Draw(t, "parts")
		var s State
		var sum money.Amount
		var total int64
		for _, q := range parts {
			amount, next, err := Charge(u, s, q)
			if err != nil || amount < 0 {
				t.Fatal(amount, err)
			}
			s, sum, total = next, sum+amount, total+q
		}
		whole, _, err := Charge(u, State{}, total)
		if err != nil || whole != sum {
			t.Fatalf("in parts %d, whole %d, %v", sum, whole, err)
		}
	})
}

// Affordable is exact: that much fits, one more unit does not.
func TestAffordableIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t)
		_, s, err := Charge(u, State{}, rapid.Int64Range(0, 1e10).Draw(t, "before"))
		if err != nil {
			t.Fatal(err)
		}
		budget := money.Amount(rapid.Int64Range(0, 1e12).Draw(t, "budget"))
		q := Affordable(u, s, budget)
		if u.Rates[0].Price.Amount == 0 {
			return
		}
		if cost, _, err := Charge(u, s, q); err == nil && cost > budget {
			t.Fatalf("%d units cost %d of %d", q, cost, budget)
		}
		if cost, _, err := Charge(u, s, q+1); err == nil && cost <= budget {
			t.Fatalf("%d units cost only %d of %d", q+1, cost, budget)
		}
	})
}
