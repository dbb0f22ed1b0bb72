package rating

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Volume between two reports lies evenly over their time: each window has its
// part, and nothing is lost at the edges.
func TestVolumeIsSplitAtWindows(t *testing.T) {
	o := offering(tariff.Usage{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 1, Per: 1}}, {Window: "day", Price: tariff.Price{Amount: 10, Per: 1}}}})
	o.Windows, o.Zone = windows(), "Europe/Berlin"
	p := compile(t, o, Env{})
	at := time.Date(2026, 11, 25, 18, 0, 0, 0, berlin(t)).Unix()
	list, s, err := p.Rate(nil, Context{}, Tally{}, Use{Quantity: 1001, From: at, To: at + 2*3600})
	if err != nil || len(list) != 2 || list[0].Rule != "x@1/data/day" || list[0].Quantity != 500 || list[1].Quantity != 501 || s.Charged != 5501 {
		t.Fatalf("%+v %+v %v", list, s, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t, tariff.Bytes)
		for i := range u.Rates { // so that 2^50 octets can be paid
			r := &u.Rates[i]
			r.Price.Per *= 1000
			for j := range r.Tiers {
				r.Tiers[j].Price.Per *= 1000
			}
		}
		o := offering(u)
		o.Windows, o.Zone = windows(), "Europe/Berlin"
		p := compile(t, o, Env{})
		var s Tally
		from := int64(1774738800)
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 5000), 1, 4).Draw(t, "reports") {
			to := from + rapid.Int64Range(0, 90_000).Draw(t, "time")
			list, next, err := p.Rate(nil, Context{}, s, Use{Quantity: n, From: from, To: to})
			if err != nil {
				t.Fatal(err)
			}
			var q int64
			var sum money.Amount
			for _, x := range list {
				q, sum = q+x.Quantity, sum+x.Amount
			}
			if q != n || sum != next.Charged-s.Charged || sum < 0 {
				t.Fatalf("%d octets: slices of %d for %s, charged %s", n, q, sum, next.Charged-s.Charged)
			}
			s, from = next, to
		}
	})
}

// A component that is counted by period keeps its books over events: what is free,
// what is priced, and the exact sum.
func TestPeriodsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := tariff.Usage{Name: "pay", Unit: tariff.Money, Counted: tariff.ByPeriod, Free: tariff.Free{Events: rapid.Int64Range(0, 2).Draw(t, "free events"), Units: rapid.Int64Range(0, 1).Draw(t, "free units") * 5000},
			MinEvent: money.Amount(rapid.Int64Range(0, 1).Draw(t, "min") * 100), MaxEvent: money.Amount(rapid.Int64Range(0, 1).Draw(t, "max") * 3000),
			MaxPeriod: money.Amount(rapid.Int64Range(0, 1).Draw(t, "max period") * 9000),
			Rates:     []tariff.Rate{{Fee: 7, Price: tariff.Price{Amount: 13, Per: 1000}}}}
		p := compile(t, offering(u), Env{})
		var s Tally
		var sum money.Amount
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 400_000), 1, 6).Draw(t, "events") {
			list, next, err := p.Rate(nil, Context{}, s, Use{Quantity: n, New: true})
			if err != nil || next.Charged < s.Charged {
				t.Fatalf("%+v, %v", next, err)
			}
			var q int64
			for _, x := range list {
				q, sum = q+x.Quantity, sum+x.Amount
			}
			if q != n {
				t.Fatalf("%d: slices of %d: %+v", n, q, list)
			}
			if _, _, fits, err := p.Fit(nil, Context{}, s, Use{Quantity: n, New: true}, next.Charged-s.Charged); err != nil || fits != n {
				t.Fatalf("%d of %d fit into what they cost: %v", fits, n, err)
			}
			s = next
		}
		if sum != s.Charged || u.MaxPeriod > 0 && s.Charged > u.MaxPeriod {
			t.Fatalf("slices sum to %s, charged %s", sum, s.Charged)
		}
	})
}

// A volume tier may make all usage cheaper; the fall is charged as a negative
// amount, and the total is the price of the whole.
func TestVolumeTiersMayFall(t *testing.T) {
	u := tariff.Usage{Name: "texts", Unit: tariff.Events, Rates: []tariff.Rate{{Fee: 5, Mode: tariff.Volume, Tiers: []tariff.Tier{{UpTo: 100, Price: tariff.Price{Amount: 9, Per: 1}}, {Price: tariff.Price{Amount: 5, Per: 1}}}}}}
	p := compile(t, offering(u), Env{})
	_, s, err := p.Rate(nil, Context{}, Tally{}, Use{Quantity: 100})
	if err != nil || s.Charged != 905 {
		t.Fatal(s, err)
	}
	list, s, err := p.Rate(nil, Context{}, s, Use{Quantity: 20})
	if err != nil || s.Charged != 605 || list[0].Amount != -300 || list[0].Rule != "x@1/texts/2" {
		t.Fatalf("%+v %+v %v", list, s, err)
	}
	if _, _, n, err := p.Fit(nil, Context{}, Tally{}, Use{Quantity: 120}, 605); err != nil || n != 66 {
		t.Fatalf("%d fit, want the 66 that do not pass 6.05 on the way: %v", n, err)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, c := range []struct {
		path string
		o    func() *tariff.Offering
	}{
		{"zone", func() *tariff.Offering {
			o := offering(tariff.PerUnit(tariff.Seconds, 1, 1)...)
			o.Windows, o.Zone = windows(), "Mars/Base"
			return o
		}},
		{"usage[0].rates[1]", func() *tariff.Offering { // three denominators that share nothing
			return offering(tariff.Usage{Name: "u", Unit: tariff.Bytes, Rates: []tariff.Rate{{Mode: tariff.Graduated, Tiers: []tariff.Tier{{UpTo: 9, Price: tariff.Price{Amount: 1, Per: 1<<53 - 1}}, {Price: tariff.Price{Amount: 1, Per: 1<<53 - 3}}}}, {Zone: "z", Price: tariff.Price{Amount: 1, Per: 7}}}, Destinations: []tariff.Destination{{Zone: "z", Prefixes: []string{"1"}}}})
		}},
		{"usage[0].rates", func() *tariff.Offering {
			o := offering(tariff.Usage{Name: "u", Unit: tariff.Seconds, Rates: []tariff.Rate{{Window: "day", Price: tariff.Price{Amount: 1, Per: 1}}}})
			o.Windows = windows()
			return o
		}},
		{"usage[0].table", func() *tariff.Offering {
			return offering(tariff.Usage{Name: "u", Unit: tariff.Seconds, Table: "world", Rates: []tariff.Rate{{Price: tariff.Price{Amount: 1, Per: 1}}}})
		}},
		{"usage[0].name", func() *tariff.Offering { return offering(tariff.Usage{Unit: tariff.Seconds}) }},
	} {
		_, err := Compile(c.o(), Env{})
		found := false
		for _, f := range tariff.Faults(err) {
			found = found || strings.HasPrefix(f.Path, strings.TrimSuffix(c.path, "[1]")) && f.Remedy != ""
		}
		if !found {
			t.Errorf("%s is not refused: %v", c.path, err)
		}
	}
}

func TestRateRefuses(t *testing.T) {
	o := offering(tariff.Usage{Name: "u", Unit: tariff.Seconds, Partial: true, Rates: []tariff.Rate{{Window: "day", Price: tariff.Price{Amount: 1, Per: 1}}}})
	o.Windows = windows()
	p := compile(t, o, Env{})
	for _, c := range []struct {
		start, quantity int64
		want            error
	}{{0, -1, ErrQuantity}, {0, MaxSpanSeconds + 1, ErrSpan}, {-1, 1, ErrSpan}, {3 * 3600, 1, ErrNoRate}} {
		s := Tally{State: State{Quantity: 7}}
		if _, got, err := p.Rate(nil, Context{Start: c.start}, s, Use{Quantity: c.quantity}); !errors.Is(err, c.want) || got != s {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// The longest prefix is what trying every length finds.
func TestLongestPrefixAgainstTrying(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := map[string]string{}
		var lines []PrefixZone
		for _, p := range rapid.SliceOfN(rapid.StringMatching(`\+?[0-3]{1,7}`), 0, 60).Draw(t, "prefixes") {
			if known[p] == "" {
				known[p] = fmt.Sprintf("z%d", len(p)%3)
				lines = append(lines, PrefixZone{p, known[p]})
			}
		}
		table, err := NewPrefixes(lines)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			number := rapid.StringMatching(`\+?[0-3]{0,18}`).Draw(t, "number")
			want := ""
			for n := range len(number) + 1 {
				if z := known[number[:n]]; z != "" {
					want = z
				}
			}
			got := ""
			if z, _ := table.Longest(number); z >= 0 {
				got = table.Zones[z]
			}
			if got != want {
				t.Fatalf("%s: zone %q, want %q of %v", number, got, want, known)
			}
		}
	})
	if _, err := NewPrefixes([]PrefixZone{{"12", "a"}, {"12", "b"}}); err == nil {
		t.Error("one prefix in two zones was accepted")
	}
	if _, err := NewPrefixes([]PrefixZone{{"1x", "a"}}); err == nil {
		t.Error("a letter was accepted")
	}
	table := millionPrefixes(t)
	if per := table.Octets() / table.Len(); per > 64 {
		t.Errorf("%d octets a prefix, at most 64", per)
	}
}

// Rating allocates nothing when the buffer suffices.
func TestRateDoesNotAllocate(t *testing.T) {
	p := compile(t, offering(tariff.Usage{Name: "calls", Unit: tariff.Seconds, Rates: []tariff.Rate{{Fee: 1, First: 60, Next: 1, Price: tariff.Price{Amount: 100_000, Per: 60}}}}), Env{})
	var buf [8]Priced
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := p.Rate(buf[:0], Context{}, Tally{}, Use{Quantity: 65}); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A million random events: two plans of the same version, made apart, agree to the
// last octet, as centre and edge must.
func TestTwoPlansAgreeOnAMillionEvents(t *testing.T) {
	o := offering(
		tariff.Usage{Name: "calls", Unit: tariff.Seconds, Rates: []tariff.Rate{{Fee: 10_000, First: 60, Next: 7, Price: tariff.Price{Amount: 100_000, Per: 60}}, {Window: "day", Next: 11, Price: tariff.Price{Amount: 213_331, Per: 60}, MaxCost: 9_000_000, AfterMax: tariff.FreeAfter}}},
		tariff.Usage{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Mode: tariff.Graduated, Tiers: []tariff.Tier{{UpTo: 1 << 20, Price: tariff.Price{Amount: 7, Per: 1 << 10}}, {Price: tariff.Price{Amount: 3, Per: 1 << 10}}}}, {Window: "night", Price: tariff.Price{Amount: 1, Per: 1 << 10}}}})
	o.Windows, o.Zone = windows(), "Europe/Berlin"
	env := Env{}
	a, b := compile(t, o, env), compile(t, o, env)
	rng := rand.New(rand.NewPCG(1, 2))
	var bufA, bufB [64]Priced
	for range 1_000_000 {
		c := Context{Component: rng.IntN(2), Start: 1_774_000_000 + rng.Int64N(30_000_000)}
		u := Use{Quantity: rng.Int64N(5000), From: c.Start}
		u.To = u.From + rng.Int64N(5000)
		if c.Component == 1 {
			u.Quantity <<= 12
		}
		x, s, errA := a.Rate(bufA[:0], c, Tally{}, u)
		y, r, errB := b.Rate(bufB[:0], c, Tally{}, u)
		if errA != nil || errB != nil || s != r || len(x) != len(y) {
			t.Fatalf("%+v: %+v %v, %+v %v", u, s, errA, r, errB)
		}
		for i := range x {
			if x[i] != y[i] {
				t.Fatalf("%+v: %+v and %+v", u, x[i], y[i])
			}
		}
	}
	if a.Hash != b.Hash {
		t.Error("hashes differ")
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ list, want []Slice }{
		{nil, nil},
		{[]Slice{{"a", 0, 0}}, nil},
		{[]Slice{{"b", 1, 2}, {"a", 3, 4}, {"b", 5, 6}}, []Slice{{"a", 3, 4}, {"b", 6, 8}}},
		{[]Slice{{"a", 0, 20}, {"b", 7, 5}, {"a", 0, -20}}, []Slice{{"b", 7, 5}}},
	} {
		given := slices.Clone(c.list)
		if got := Canonical(c.list); !slices.Equal(got, c.want) || !slices.Equal(given, c.list) {
			t.Errorf("%v: %v, want %v", given, got, c.want)
		}
	}
}

// A minimum is due for usage that a rate prices, at price 0 too: it is what the
// event costs at least. Free units are no such usage.
func TestMinimumIsDueAtPriceZeroAndNotForFreeUnits(t *testing.T) {
	o := offering(tariff.Usage{Name: "calls", Unit: tariff.Seconds, Free: tariff.Free{Units: 60}, MinEvent: 50_000,
		Rates: []tariff.Rate{{Price: tariff.Price{Per: 60}}}})
	p := compile(t, o, Env{})
	for _, c := range []struct {
		seconds int64
		charged money.Amount
	}{{0, 0}, {60, 0}, {61, 50_000}, {600, 50_000}} {
		_, after, err := p.Rate(nil, Context{}, Tally{}, Use{Quantity: c.seconds})
		if err != nil || after.Charged != c.charged {
			t.Errorf("%d s cost %s, %v; want %s", c.seconds, after.Charged, err, c.charged)
		}
	}
}
