package sheet

import (
	"strings"
	"testing"
)

// What a marketer changes comes back in words.
func TestCompare(t *testing.T) {
	before, err := Read("a.yaml", []byte(everything+"---\n"+strings.Replace(everything, "id: all", "id: old", 1)), beside())
	if err != nil {
		t.Fatal(err)
	}
	changed := everything
	for _, c := range [][2]string{
		{"price: 2.50 per GB", "price: 2.00 per GB"},
		{"to: 06:30", "to: 06:00"},
		{"days: [fri-mon]", "days: [fri-tue]"},
		{`price: "20.00"`, `price: "21.50"`},
		{"every: month, anchor: calendar", "every: 30 days"},
		{"proration: actual-days, ", ""},
		{`fee: "0.05", price: 0.10 per minute`, "price: 0.01 per 6s"},
		{"{price: 0.02 per 6s}", "{price: 0.03 per 6s}"},
		{"price: 0.02 per 6s", "price: 0.03 per 6s"},
		{"up_to: 1h", "up_to: 2h"},
		{"prefixes: [\"+49\", \"0\"]", `prefixes: ["+49"]`},
		{"amount: 100m, priority: -1", "amount: 2h, priority: -1"},
		{"rollover: {max: 2h, add: true}, ", ""},
		{"value: 80%", "value: 90%"},
		{`metric: left, value: "1.00"`, `metric: left, value: "2.00"`},
		{"down: 1Gbit/s", "down: 500Mbit"},
		{"percent: 5%", "percent: 7.5%"},
		{"percent: 12.5%", "percent: 10%"},
		{"rates: [{price: 1.3%}]", "rates: [{price: 1.25%}]"},
		{"  - {name: gift, unit: money, amount: \"5.00\", blocking: true}\n", "  - {name: extra, unit: bytes, amount: 5GB}\n"},
		{"valid_until: 2027-01-01T00:00:00+01:00\n", ""},
		{"zone: Europe/Berlin", "zone: Europe/Vienna"},
		{"grandfathered: true\n", ""},
	} {
		changed = strings.Replace(changed, c[0], c[1], 1)
	}
	after, err := Read("b.yaml", []byte(changed+"---\n"+strings.NewReplacer("id: all", "id: new", "name: Everything", "name: Brand new").Replace(everything)), beside())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range Compare(before, after) {
		lines = append(lines, c.Offering+" "+c.Path+" | "+c.Says)
	}
	golden(t, "testdata/compare.golden", strings.Join(lines, "\n")+"\n")
	if same := Compare(before, before); len(same) > 0 {
		t.Errorf("a sheet differs from itself: %+v", same)
	}
}
