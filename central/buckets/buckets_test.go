package buckets

import (
	"errors"
	"math"
	"testing"

	"meridian/internal/money"
)

func TestGrant(t *testing.T) {
	for _, c := range []struct {
		name              string
		credited, debited int64
		leases            []Totals
		ask               int64
		granted, unleased int64 // after
	}{
		{"all that is there", 100, 0, nil, 100, 100, 0},
		{"no more than is there", 100, 30, nil, 100, 70, 0},
		{"part", 100, 0, nil, 40, 40, 60},
		{"what another holds is not there", 100, 0, []Totals{{G: 80}}, 50, 20, 0},
		{"what came back is there again", 100, 0, []Totals{{G: 100, X: 60}}, 100, 60, 0},
		{"taken in regions is never granted", 100, 0, []Totals{{G: 100, T: 500, S: 20, B: 7}}, 50, 0, 0},
		{"nothing asked", 100, 0, nil, 0, 0, 100},
		{"less than nothing asked", 100, 0, nil, -5, 0, 100},
		{"overdrawn", 10, 50, nil, 5, 0, -40},
		{"no more than a lease may be granted", MaxTotal, 0, []Totals{{G: MaxTotal, X: MaxTotal + 50}}, MaxTotal + 40, MaxTotal, 50},
	} {
		s := &State{Bucket: Bucket{ID: "b", Credited: c.credited, Debited: c.debited}}
		for i, l := range c.leases {
			s.Leases = append(s.Leases, Lease{Region: "other", Epoch: uint64(i + 1), Totals: l})
		}
		l, opened := s.Open("north", 1)
		got, err := s.Grant(l, c.ask)
		free, err2 := s.Unleased()
		if err := errors.Join(err, err2); err != nil || !opened || got != c.granted || l.Totals.G != c.granted || free != c.unleased {
			t.Errorf("%s: granted %d, unleased %d, %v; want %d, %d", c.name, got, free, err, c.granted, c.unleased)
		}
	}
}

func TestOverflowIsAnError(t *testing.T) {
	s := &State{Bucket: Bucket{ID: "b", Credited: MaxTotal - 5}}
	if err := errors.Join(s.Credit(4), s.Credit(1)); err != nil || s.Credited != MaxTotal {
		t.Errorf("credit to the limit: %v, %d", err, s.Credited)
	}
	if err := s.Credit(1); !errors.Is(err, ErrTooMuch) || s.Credited != MaxTotal {
		t.Errorf("credit: %v, %d", err, s.Credited)
	}
	full := Totals{S: math.MaxInt64}
	if got, err := full.Add(Totals{S: 1, T: 5}); !errors.Is(err, money.ErrOverflow) || got != full {
		t.Errorf("add: %+v, %v", got, err)
	}
	s = &State{Bucket: Bucket{ID: "b", Credited: math.MaxInt64}, Leases: []Lease{{Totals: Totals{X: 1}}}}
	if _, err := s.Unleased(); !errors.Is(err, money.ErrOverflow) {
		t.Errorf("unleased: %v", err)
	}
}
