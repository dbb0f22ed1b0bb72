package verify

import (
	"testing"

	"meridian/internal/rating"
)

// The same version goes on exactly; another with all of the quantity, and with no more
// charged than was.
func TestWhereACountGoesOn(t *testing.T) {
	last := countedState{rating.State{Quantity: 100, Charged: 50}, 2}
	for _, c := range []struct {
		version uint32
		have    rating.State
		ok      bool
	}{
		{2, rating.State{Quantity: 100, Charged: 50}, true},
		{2, rating.State{Quantity: 100, Charged: 40}, false},
		{3, rating.State{Quantity: 100, Charged: 50}, true},
		{3, rating.State{Quantity: 100, Charged: 40}, true},
		{3, rating.State{Quantity: 100, Charged: 51}, false},
		{3, rating.State{Quantity: 99, Charged: 50}, false},
		{3, rating.State{}, false},
		{1, rating.State{Quantity: 100, Charged: 50}, true},
	} {
		if got := last.before(c.version, c.have) == c.have; got != c.ok {
			t.Errorf("version %d goes on from %+v: %v, want %v", c.version, c.have, got, c.ok)
		}
	}
}
