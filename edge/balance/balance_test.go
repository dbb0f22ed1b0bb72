package balance

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// No sequence of operations creates or destroys value, against a naive model
// that only knows where each unit lies.
func TestNothingIsCreatedOrDestroyed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Bucket
		var free, held, charged, spent, returned, debt, granted int64
		amount := func() int64 { return rapid.Int64Range(0, 100).Draw(t, "amount") }
		t.Repeat(map[string]func(*rapid.T){
			"grant": func(*rapid.T) {
				granted += amount()
				reclaim := returned + amount()
				if err := b.Grant(granted, reclaim, 50); err != nil {
					t.Fatal(err)
				}
				free += granted - (free + held + charged + spent + returned - debt)
			},
			"old grant again": func(*rapid.T) {
				if err := b.Grant(max(granted-amount(), 0), 0, 50); err != nil {
					t.Fatal(err)
				}
			},
			"hold":    func(*rapid.T) { n := b.Hold(amount()); free, held = free-n, held+n },
			"release": func(*rapid.T) { n := min(amount(), held); b.Release(n); free, held = free+n, held-n },
			"capture": func(*rapid.T) { n := min(amount(), held); b.Capture(n); held, charged = held-n, charged+n },
			"charge":  func(*rapid.T) { n := b.Charge(amount()); free, charged = free-n, charged+n },
			"cut":     func(*rapid.T) { n := min(amount(), charged); b.Cut(n); charged, spent = charged-n, spent+n },
			"borrow":  func(*rapid.T) { n := b.Borrow(amount()); free, debt = free+n, debt+n },
			"repay":   func(*rapid.T) { n := b.Repay(); free, debt = free-n, debt-n },
			"return":  func(*rapid.T) { n := b.Return(); free, returned = free-n, returned+n },
			"": func(*rapid.T) {
				if b.Available() != free || b.H != held || b.U != charged || b.S != spent || b.X != returned || b.Debt() != debt || debt > 50 || debt < 0 || free < 0 {
					t.Fatalf("bucket %+v; free %d held %d charged %d spent %d returned %d debt %d", b, free, held, charged, spent, returned, debt)
				}
			},
		})
	})
}

func TestGrantRefusesNegativeTotals(t *testing.T) {
	var b Bucket
	if b.Grant(-1, 0, 0) == nil || b.Grant(0, -1, 0) == nil || b.Grant(0, 0, -1) == nil {
		t.Fatal("a negative total was accepted")
	}
}

func TestOrder(t *testing.T) {
	a := []*Bucket{{ID: "never"}, {ID: "b", Expires: 5}, {ID: "a", Expires: 5}, {ID: "first", Priority: -1}, {ID: "soon", Expires: 1}, {ID: "z", Made: &Made{Allowance: "minutes"}}}
	slices.SortFunc(a, Before)
	var got []string
	for _, b := range a {
		got = append(got, b.ID)
	}
	if want := []string{"first", "soon", "a", "b", "z", "never"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}
