package money

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestParseAndString(t *testing.T) {
	for _, c := range []struct {
		in, out string
		micro   Amount
	}{
		{"0", "0.00", 0}, {"12.5", "12.50", 12_500_000}, {"-0.000001", "-0.000001", -1},
		{"9223372036854.775807", "9223372036854.775807", math.MaxInt64},
	} {
		got, err := Parse(c.in)
		if err != nil || got != c.micro || got.String() != c.out {
			t.Errorf("%s: got %d %q %v", c.in, got, got, err)
		}
	}
	for _, bad := range []string{"", ".", "1.", ".5", "1e3", "1.0000001", "9223372036854.775808", "--1", "1 "} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if got := Amount(math.MinInt64).String(); got != "-9223372036854.775808" {
		t.Error(got)
	}
}

func TestCheckedArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		sum := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		got, err := Add(Amount(a), Amount(b))
		if sum.IsInt64() != (err == nil) || (err == nil && int64(got) != sum.Int64()) {
			t.Fatalf("%d+%d = %d, %v", a, b, got, err)
		}
		dif := new(big.Int).Sub(big.NewInt(a), big.NewInt(b))
		got, err = Sub(Amount(a), Amount(b))
		if dif.IsInt64() != (err == nil) || (err == nil && int64(got) != dif.Int64()) {
			t.Fatalf("%d-%d = %d, %v", a, b, got, err)
		}
	})
}

func TestMulDivAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.Int64Min(0).Draw(t, "n"), rapid.Int64Min(0).Draw(t, "m")
		d := rapid.Int64Min(1).Draw(t, "d")
		p := new(big.Int).Mul(big.NewInt(n), big.NewInt(m))
		q, rem := new(big.Int).QuoRem(p, big.NewInt(d), new(big.Int))
		twice := new(big.Int).Lsh(rem, 1).Cmp(big.NewInt(d))
		for mode, up := range map[Rounding]bool{
			Floor: false, Ceil: rem.Sign() > 0, HalfEven: twice > 0 || (twice == 0 && q.Bit(0) == 1),
			HalfUp: twice >= 0,
		} {
			want := new(big.Int).Set(q)
			if up {
				want.Add(want, big.NewInt(1))
			}
			got, err := MulDiv(n, m, d, mode)
			if want.IsInt64() != (err == nil) || (err == nil && got != want.Int64()) {
				t.Fatalf("%d·%d/%d mode %d = %d, %v; want %v", n, m, d, mode, got, err, want)
			}
		}
	})
	if _, err := MulDiv(math.MaxInt64, 2, 1, Floor); !errors.Is(err, ErrOverflow) {
		t.Fatal(err)
	}
	if _, err := MulDiv(-1, 2, 1, Floor); err == nil {
		t.Fatal("a negative factor was accepted")
	}
}
