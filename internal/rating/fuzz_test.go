package rating

import (
	"encoding/json"
	"testing"

	"meridian/internal/tariff"
)

// every is an offering with all that a usage component can have.
func every() *tariff.Offering {
	o := offering(
		tariff.Usage{Name: "calls", Unit: tariff.Seconds, Free: tariff.Free{Units: 30}, MinEvent: 5, MaxEvent: 900_000_000, Destinations: []tariff.Destination{{Zone: "home", Prefixes: []string{"+49", "0"}}},
			Rates: []tariff.Rate{{Zone: "home", Fee: 7, First: 60, Next: 7, Price: tariff.Price{Amount: 100_000, Per: 60}}, {Zone: "home", Window: "day", Price: tariff.Price{Amount: 3, Per: 7}, MaxCost: 9_000, AfterMax: tariff.Disconnect}, {Price: tariff.Price{Amount: 1, Per: 1}}}},
		tariff.Usage{Name: "data", Unit: tariff.Bytes, Counted: tariff.ByPeriod, MaxPeriod: 77, Rates: []tariff.Rate{{Mode: tariff.Graduated, Tiers: []tariff.Tier{{UpTo: 1 << 20, Price: tariff.Price{Amount: 7, Per: 1 << 10}, Step: 1000, Flat: 3}, {Price: tariff.Price{Amount: 3, Per: 1 << 10}}}}, {Window: "night", Price: tariff.Price{Amount: 1, Per: 1 << 10}}}},
		tariff.Usage{Name: "texts", Unit: tariff.Events, Rates: []tariff.Rate{{Mode: tariff.Volume, Tiers: []tariff.Tier{{UpTo: 10, Price: tariff.Price{Amount: 9, Per: 1}}, {Price: tariff.Price{Amount: 5, Per: 1}}}}}},
		tariff.Usage{Name: "seats", Unit: tariff.Units, Counted: tariff.ByPeriod, WeightScale: 31, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 9, Per: 7}}}})
	o.Windows, o.Zone = windows(), "Europe/Berlin"
	return o
}

// Whatever is written as an offering is refused or rated: nothing loops, panics or
// rates to another quantity than was used.
func FuzzCompile(f *testing.F) {
	seed, err := json.Marshal(every())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, int64(1_795_000_000), int64(3700))
	f.Add(seed, int64(-1), int64(1<<62))
	env := Env{}
	f.Fuzz(func(t *testing.T, text []byte, start, quantity int64) {
		var o tariff.Offering
		if json.Unmarshal(text, &o) != nil {
			return
		}
		p, err := Compile(&o, env)
		if err != nil {
			return
		}
		for i := range o.Usage {
			c := Context{Component: i, Start: start}
			u := Use{Quantity: quantity, From: start, To: start + 7200, New: true, Weight: 1}
			list, s, err := p.Rate(nil, c, Tally{}, u)
			if err != nil {
				continue
			}
			var sum int64
			for _, x := range list {
				sum += x.Quantity
			}
			if sum != quantity || s.Quantity != quantity {
				t.Fatalf("%d used, slices of %d: %+v", quantity, sum, list)
			}
			if _, _, n, err := p.Fit(nil, c, Tally{}, u, s.Charged); err == nil && n > quantity {
				t.Fatalf("%d of %d fit", n, quantity)
			}
		}
	})
}

// A catalog of 2 000 offerings, each with four components and three windows.
func BenchmarkCompileCatalog(b *testing.B) {
	o := every()
	for b.Loop() {
		env := Env{Cache: &Cache{}}
		for range 2000 {
			compile(b, o, env)
		}
	}
}
