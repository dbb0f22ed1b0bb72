package sim

import (
	"math/rand/v2"
	"strings"
	"testing"

	"meridian/edge/command"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/replay"
	"meridian/internal/tariff"
)

// The same reports are rated by two regions: one by the prices that were wrong, one
// by those that are right. The centre, from the first one's ledger alone, tells for
// each session what the second one has charged. Subscribers who ran out of money are
// left out: at other prices allowances would have paid for other usage, and what they
// have paid for stays paid.
func TestCorrectedPricesComeToWhatTheEdgeWouldHaveCharged(t *testing.T) {
	side := func(wrong bool) (*x4Edge, []journal.Entry) {
		e := newX4Edge(t, 24, 240, func(_ int, rng *rand.Rand, o *tariff.Offering) {
			if x4Rich(rng, o); !wrong {
				x4Reprice(o)
			}
		})
		for range 400 {
			e.round()
		}
		e.do(&command.CutAll{Limit: 1 << 20})
		var out []journal.Entry
		for _, raw := range e.state.TakeEntries() {
			x, err := journal.DecodeEntry(raw.Raw)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, x)
		}
		return e, out
	}
	edge, ledger := side(true)
	other, truth := side(false)
	wrong, right := newX4Centre(t, edge.bodies).parts, newX4Centre(t, other.bodies).parts
	changes, got, want := map[string]*replay.Change{}, map[journal.SessionKey]money.Amount{}, map[journal.SessionKey]money.Amount{}
	records, differ := 0, 0
	for i := range ledger {
		e := &ledger[i]
		if e.Kind != journal.KindUsage || len(e.Usage.Parts) == 0 || strings.HasSuffix(e.Account, "0") {
			continue
		}
		id := e.Usage.Offering
		if changes[id] == nil {
			var err error
			if changes[id], err = replay.NewChange(wrong[id], right[id]); err != nil {
				t.Fatal(err)
			}
		}
		more, err := changes[id].Record(e.Session, e.Usage)
		if err != nil {
			t.Fatalf("record %d of %s: %v", e.Usage.Number, e.Session, err)
		}
		got[e.Session] += sumOf(e.Usage) + more
		if records++; more != 0 {
			differ++
		}
	}
	for i := range truth {
		if e := &truth[i]; e.Kind == journal.KindUsage {
			want[e.Session] += sumOf(e.Usage)
		}
	}
	off := 0
	for key, sum := range got {
		if sum != want[key] {
			off++
			t.Errorf("session %s comes to %s, the edge would have charged %s", key, sum, want[key])
		}
	}
	if records < 1000 || differ < records/2 {
		t.Errorf("%d records, %d of them at another price: there were to be more", records, differ)
	}
	t.Logf("%d sessions, %d records, %d at another price, %d differ", len(got), records, differ, off)
}

func sumOf(u *journal.UsageRecord) (sum money.Amount) {
	for i := range u.Parts {
		for _, x := range u.Parts[i].Slices {
			sum += x.Amount
		}
	}
	return sum
}

// x4Reprice changes what an offering's usage costs, and nothing else.
func x4Reprice(o *tariff.Offering) {
	for i := range o.Usage {
		u := &o.Usage[i]
		u.MinEvent /= 2
		u.MaxEvent *= 3
		for k := range u.Rates {
			r := &u.Rates[k]
			if r.Fee *= 2; len(r.Tiers) == 0 {
				r.Price.Amount = r.Price.Amount*3/2 + 17
			}
			for n := range r.Tiers {
				r.Tiers[n].Price.Amount = r.Tiers[n].Price.Amount/2 + 5
				r.Tiers[n].Flat *= 2
			}
		}
	}
}
