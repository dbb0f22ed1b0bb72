package buckets

import (
	"testing"
)

// Claims are served first, the oldest first; what they lack is asked back; only then
// is anything leased, and then all of it.
func TestRebalance(t *testing.T) {
	type claim struct{ amount, served int64 }
	for _, c := range []struct {
		name     string
		credited int64
		debited  int64
		lease    Totals
		reclaim  int64 // before
		claims   []claim

		debit, g, to int64   // after
		served       []int64 // after
		told         int     // leases that are told
	}{
		{"all of it is the home's", 100, 0, Totals{}, 0, nil, 0, 100, 0, nil, 1},
		{"nothing changed, nothing is told", 100, 0, Totals{G: 100}, 0, nil, 0, 100, 0, nil, 0},
		{"what came back is the home's again", 100, 0, Totals{G: 100, X: 30}, 30, nil, 0, 130, 30, nil, 1},
		{"unleased money serves a claim", 100, 0, Totals{G: 60}, 0, []claim{{40, 0}}, 40, 60, 0, []int64{40}, 0},
		{"and the home gets the rest", 100, 0, Totals{G: 50}, 0, []claim{{40, 0}}, 40, 60, 0, []int64{40}, 1},
		{"what lacks is asked back", 100, 0, Totals{G: 90}, 0, []claim{{40, 0}}, 10, 90, 30, []int64{10}, 1},
		{"no more than the region has", 100, 0, Totals{G: 100, S: 80}, 0, []claim{{40, 0}}, 0, 100, 20, []int64{0}, 1},
		{"nothing, if all is spent", 100, 0, Totals{G: 100, S: 100}, 0, []claim{{40, 0}}, 0, 100, 0, []int64{0}, 0},
		{"what came back serves it", 100, 0, Totals{G: 100, X: 25}, 40, []claim{{40, 0}}, 25, 100, 40, []int64{25}, 0},
		{"the oldest is served first", 100, 0, Totals{G: 70}, 0, []claim{{20, 0}, {30, 0}}, 30, 70, 20, []int64{20, 10}, 1},
		{"new credit serves it, and the request is taken back", 140, 0, Totals{G: 100, X: 5}, 40, []claim{{40, 0}}, 40, 105, 5, []int64{40}, 1},
		{"with money that a region took in", 0, 0, Totals{T: 50, X: 50}, 50, []claim{{40, 0}}, 40, 10, 50, []int64{40}, 1},
	} {
		s := &State{Bucket: Bucket{ID: "b", Account: "a", Unit: "EUR", Home: "north", Credited: c.credited, Debited: c.debited},
			Leases: []Lease{{Bucket: "b", Region: "north", Epoch: 1, Totals: c.lease, ReclaimTo: c.reclaim}}}
		for i, x := range c.claims {
			s.Claims = append(s.Claims, Claim{ID: string(rune('z' - i)), Bucket: "b", Account: "a", Unit: "EUR", At: int64(i), Amount: x.amount, Served: x.served})
		}
		out, err := s.Rebalance(1, 7)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		l := s.Lease("north", 1)
		if s.Debited != c.debit || l.Totals.G != c.g || l.ReclaimTo != c.to || len(out.Rows) != c.told || len(out.Leases) != c.told {
			t.Errorf("%s: debited %d, granted %d, reclaim to %d, %d told; want %d, %d, %d, %d",
				c.name, s.Debited, l.Totals.G, l.ReclaimTo, len(out.Rows), c.debit, c.g, c.to, c.told)
		}
		var instalments int64
		for i, want := range c.served {
			if s.Claims[i].Served != want {
				t.Errorf("%s: claim %d is served %d, want %d", c.name, i, s.Claims[i].Served, want)
			}
		}
		for _, j := range out.Journals {
			if err := j.Balanced(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			instalments += j.Postings[0].Amount
		}
		if instalments != s.Debited-c.debited {
			t.Errorf("%s: the journals debit %d, the bucket %d", c.name, instalments, s.Debited-c.debited)
		}
		if again, err := s.Rebalance(1, 8); err != nil || len(again.Rows)+len(again.Journals)+len(again.Claims) != 0 {
			t.Errorf("%s: done again it changes %+v, %v", c.name, again, err)
		}
	}
}

// What comes back of an allowance goes to the epoch that gave it, whose region knows
// when it ends; where that epoch has ended it lapses, and is never leased as money
// without an end. By hand: 1.00 comes back of 10.00 of which 3.00 are used.
func TestOfAnAllowanceOfAnEndedEpochNothingIsLeased(t *testing.T) {
	for _, c := range []struct {
		name           string
		epoch          uint64
		debit, g, told int64
	}{
		{"its own epoch", 1, 0, 1_000_000, 1},
		{"the next epoch", 2, 1_000_000, 0, 0},
		{"a region that is closed", 0, 1_000_000, 0, 0},
	} {
		s := &State{Bucket: Bucket{ID: "north/1/2", Account: "a", Unit: "EUR", Home: "north", Given: true},
			Leases: []Lease{{Bucket: "north/1/2", Region: "north", Epoch: 1, Totals: Totals{T: 10_000_000, S: 3_000_000}}}}
		if err := s.Credit(1_000_000); err != nil {
			t.Fatal(err)
		}
		out, err := s.Rebalance(c.epoch, 7)
		if err != nil {
			t.Fatal(err)
		}
		if g := s.Lease("north", 1).Totals.G; s.Debited != c.debit || g != c.g || int64(len(out.Rows)) != c.told || len(s.Leases) != 1 {
			t.Errorf("%s: debited %d, granted %d, %d told, leases %+v; want %d, %d, %d", c.name, s.Debited, g, len(out.Rows), s.Leases, c.debit, c.g, c.told)
		}
		var lapsed int64
		for _, j := range out.Journals {
			if err := j.Balanced(); err != nil || j.Kind != "expired" {
				t.Errorf("%s: %+v, %v", c.name, j, err)
			}
			lapsed += j.Postings[0].Amount
		}
		if lapsed != c.debit {
			t.Errorf("%s: journals expire %d, want %d", c.name, lapsed, c.debit)
		}
		if again, err := s.Rebalance(c.epoch, 8); err != nil || len(again.Rows)+len(again.Journals) != 0 {
			t.Errorf("%s: done again it changes %+v, %v", c.name, again, err)
		}
	}
}

func TestNothingIsGrantedWhereThereIsNoHome(t *testing.T) {
	for _, c := range []struct {
		home  string
		epoch uint64
	}{{"", 0}, {"north", 0}} {
		s := &State{Bucket: Bucket{ID: "b", Home: c.home, Credited: 10}}
		if out, err := s.Rebalance(c.epoch, 1); err != nil || len(out.Rows) != 0 || len(s.Leases) != 0 {
			t.Errorf("%+v: %+v, %v", c, out, err)
		}
	}
}
