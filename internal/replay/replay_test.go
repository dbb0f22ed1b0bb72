package replay

import (
	"errors"
	"strings"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

const mb = int64(1e6)

func version(t *testing.T, edit func(*tariff.Offering)) *Version {
	t.Helper()
	o := &tariff.Offering{ID: "home", Version: 1, Name: "Home", Currency: "EUR", Service: "internet", Overrun: tariff.Owed,
		Windows: []tariff.Window{{Name: "night", From: 22 * 3600, To: 6 * 3600}},
		Usage: []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{
			{Window: "night", Price: tariff.Price{Amount: 1e5, Per: 100 * mb}}, {Price: tariff.Price{Amount: 1e6, Per: 100 * mb}}}}},
		Allowances:  []tariff.Allowance{{Name: "pack", Unit: tariff.Bytes, Amount: 50 * mb}},
		Reservation: tariff.Reservation{Quota: mb, TTLSeconds: 600}, Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}}
	if edit != nil {
		edit(o)
	}
	v, err := NewVersion(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// By hand: from 21:59:00 to 22:01:00 100 MB are used, evenly. An allowance has 20 MB
// at first and pays until 21:59:24; then money pays at the day's price, 0.01 a MB,
// for the 30 MB until 22:00, and at the night's, 0.001 a MB, for the 50 MB after:
// 0.35. A record that says otherwise is not exact.
func TestRecordByHand(t *testing.T) {
	const at = 1_800_000_000 - 1_800_000_000%86400 + 22*3600
	v := version(t, nil)
	day, night := "home@1/data/any", "home@1/data/night"
	r, _, err := v.Record(at, &journal.UsageRecord{Parts: []journal.UsagePart{{Component: "data", Start: at, Uses: []rating.Use{{Quantity: 100 * mb, From: at - 60, To: at + 60}}}}}, nil)
	if err != nil || len(r.Parts[0].Slices) != 2 {
		t.Fatalf("%v %+v", err, r)
	}
	day, night = r.Parts[0].Slices[0].Rule, r.Parts[0].Slices[1].Rule
	u := &journal.UsageRecord{Parts: []journal.UsagePart{{Component: "data", Start: at, Uses: []rating.Use{{Quantity: 100 * mb, From: at - 60, To: at + 60}},
		Slices: []journal.PaidSlice{
			{Rule: "pack", Kind: rating.KindCovered, Quantity: 20 * mb, Charged: 20 * mb, Bucket: "north/1/2"},
			{Rule: day, Quantity: 30 * mb, Charged: 30 * mb, Amount: 300_000},
			{Rule: night, Quantity: 50 * mb, Charged: 50 * mb, Amount: 50_000}}}}}
	paid := []Paid{{"north/1/2", "bytes", 20 * mb}, {"a/cash", "EUR", 350_000}}
	r, exact, err := v.Record(at, u, paid)
	if err != nil || !exact || r.Amount() != 350_000 {
		t.Errorf("%v, exact %t: %s\n%+v", err, exact, r.Amount(), r.Parts)
	}
	u.Parts[0].Slices[2].Amount++
	if _, exact, err := v.Record(at, u, paid); err != nil || exact {
		t.Errorf("a record with another price is exact: %v", err)
	}
	u.Parts[0].Component = "voice"
	if _, _, err := v.Record(at, u, paid); !errors.Is(err, ErrRecord) {
		t.Errorf("a component that the version lacks: %v", err)
	}
}

// Records of a session are compared from its first on; versions whose allowances or
// components are not the same are refused by name.
func TestChangeRefuses(t *testing.T) {
	old := version(t, nil)
	c, err := NewChange(old, version(t, func(o *tariff.Offering) { o.Version = 2 }))
	if err != nil {
		t.Fatal(err)
	}
	key := journal.SessionKey{NAS: "n", ID: "x"}
	u := func(number uint32, before int64) *journal.UsageRecord {
		return &journal.UsageRecord{Number: number, Parts: []journal.UsagePart{{Component: "data", Before: rating.Tally{State: rating.State{Quantity: before}},
			Uses: []rating.Use{{Quantity: mb}}, Slices: []journal.PaidSlice{{Quantity: mb}}}}}
	}
	if _, err := c.Record(key, u(2, mb)); !errors.Is(err, ErrRecord) {
		t.Errorf("a record without those before it: %v", err)
	}
	for n, before := range []int64{0, mb} {
		if more, err := c.Record(key, u(uint32(n+1), before)); more != 0 || err != nil {
			t.Errorf("record %d by the same prices: %s, %v", n+1, more, err)
		}
	}
	if _, err := c.Record(key, u(4, 3*mb)); !errors.Is(err, ErrRecord) {
		t.Errorf("a record after a gap: %v", err)
	}
	counted := u(1, 0)
	counted.Parts[0].Period = 5
	if _, err := c.Record(key, counted); !errors.Is(err, ErrRecord) {
		t.Errorf("a record counted by period: %v", err)
	}
	volume := func(o *tariff.Offering) {
		o.Allowances = nil
		o.Usage[0].Rates = []tariff.Rate{{Mode: tariff.Volume, Tiers: []tariff.Tier{{UpTo: mb, Price: tariff.Price{Amount: 2, Per: 1}}, {Price: tariff.Price{Amount: 1, Per: 1}}}}}
	}
	for _, pair := range [][2]*Version{{version(t, volume), old}, {old, version(t, volume)}} {
		if _, err := NewChange(pair[0], pair[1]); !errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), "tier that it reaches") {
			t.Errorf("volume tiers: %v", err)
		}
	}
	for what, edit := range map[string]func(*tariff.Offering){
		"a larger allowance": func(o *tariff.Offering) { o.Allowances[0].Amount++ },
		"another allowance":  func(o *tariff.Offering) { o.Allowances[0].Name = "bundle" },
		"no allowance":       func(o *tariff.Offering) { o.Allowances = nil },
		"other windows":      func(o *tariff.Offering) { o.Windows[0].To = 7 * 3600 },
		"other destinations": func(o *tariff.Offering) {
			o.Usage[0].Destinations = []tariff.Destination{{Zone: "home", Prefixes: []string{"+49"}}}
		},
		"a component without": func(o *tariff.Offering) { o.Usage[0].Name = "octets" },
	} {
		if _, err := NewChange(old, version(t, edit)); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A number that the corrected version sorts into another zone: v2 takes +491 and 01
// into home, so that 120 s to +49151 cost 0.12 instead of 0.26. The record names the
// zone that v1 found; by its name nothing would come back, and the record would count
// as corrected. Such a version is refused, whether its own prefixes or a table sort.
func TestChangeRefusesAnotherSorting(t *testing.T) {
	calls := func(home []string, table, hash string) *Version {
		return version(t, func(o *tariff.Offering) {
			o.Allowances, o.Windows = nil, nil
			price := func(zone string, n money.Amount) tariff.Rate {
				return tariff.Rate{Zone: zone, Price: tariff.Price{Amount: n, Per: 60}}
			}
			o.Usage = []tariff.Usage{{Name: "calls", Unit: tariff.Seconds, Rates: []tariff.Rate{price("home", 60_000), price("mobile", 130_000)}}}
			if table != "" {
				o.Usage[0].Table, o.Usage[0].TableVersion, o.Usage[0].TableHash = table, 1, hash
				return
			}
			o.Usage[0].Destinations = []tariff.Destination{{Zone: "home", Prefixes: home}, {Zone: "mobile", Prefixes: []string{"+4915"}}}
		})
	}
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	v1 := calls([]string{"+49", "0"}, "", "")
	for _, c := range []struct {
		name     string
		old, new *Version
		refused  bool
	}{
		{"the same prefixes", v1, calls([]string{"+49", "0"}, "", ""), false},
		{"other prefixes", v1, calls([]string{"+49", "0", "+491", "01"}, "", ""), true},
		{"a table instead", v1, calls(nil, "world", one), true},
		{"the same table", calls(nil, "world", one), calls(nil, "world", one), false},
		{"a corrected table", calls(nil, "world", one), calls(nil, "world", two), true},
	} {
		_, err := NewChange(c.old, c.new)
		if refused := errors.Is(err, ErrRecord) && strings.Contains(err.Error(), "component calls sorts destinations otherwise"); refused != c.refused || !refused && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
