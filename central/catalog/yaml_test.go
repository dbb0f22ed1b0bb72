package catalog

import (
	"reflect"
	"strings"
	"testing"

	"meridian/central/fault"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

const twoOfferings = `# What the demo sells.
id: prepaid
name: Prepaid by volume
currency: EUR
valid_from: 2026-01-01T00:00:00Z
service: internet
usage:
  unit: bytes
  price: "2.50"
  per: 1GiB
profile: {session_limit: 2, interim: 1m, up: 10Mbit, down: 1Gbit/s, pool: main}
reservation: {quota: 10MB, ttl: 180s}
overrun: absorbed
offline_allowance: "0.000001"
---
{"id": "flat", "name": "Flat", "currency": "EUR", "service": "internet",
 "recurring": {"price": "19.90", "days": 30}, "profile": {"session_limit": 1, "interim": 300}, "overrun": "owed"}
`

func TestParse(t *testing.T) {
	got, err := Parse("demo.yaml", []byte(twoOfferings))
	if err != nil {
		t.Fatal(err)
	}
	want := []tariff.Offering{
		{ID: "prepaid", Name: "Prepaid by volume", Currency: "EUR", ValidFrom: 1767225600, Service: "internet",
			Usage:       tariff.PerUnit(tariff.Bytes, 2_500_000, 1<<30),
			Profile:     tariff.Profile{SessionLimit: 2, InterimSeconds: 60, UpBps: 10e6, DownBps: 1e9, Pool: "main"},
			Reservation: tariff.Reservation{Quota: 10e6, TTLSeconds: 180}, Overrun: tariff.Absorbed, OfflineAllowance: 1},
		{ID: "flat", Name: "Flat", Currency: "EUR", Service: "internet", Recurring: tariff.EachDays(19_900_000, 30),
			Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 300}, Overrun: tariff.Owed},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// All faults of all documents come at once, each with its line.
func TestParseFaults(t *testing.T) {
	const bad = `id: x
name: X
currency: EUR
service: internet
usage: {unit: bytes, price: 1.0000001, per: ten}
colour: red
profile: {session_limit: 1, interim: 60s}
reservation: {quota: 1MB, ttl: 10s}
overrun: nobody
recurring: [1, 2]
---
id: y
name:
`
	_, err := Parse("f.yaml", []byte(bad))
	list := fault.List(err)
	for _, want := range []string{"f.yaml:5: usage.price", "f.yaml:5: usage.per", "f.yaml:6: colour", "f.yaml:9: overrun",
		"f.yaml:10: recurring", "f.yaml:13: name", "f.yaml:12: currency"} {
		found := false
		for _, f := range list {
			found = found || f.Field == want && f.Remedy != ""
		}
		if !found {
			t.Errorf("no fault at %q in\n%v", want, err)
		}
	}
	for name, text := range map[string]string{"empty": "", "syntax": "a: [", "only a comment": "# nothing\n", "a word": "hello",
		"many": strings.Repeat("id: x\n---\n", maxDocuments+1)} {
		if _, err := Parse(name, []byte(text)); len(fault.List(err)) == 0 {
			t.Errorf("%s: got %v, want faults", name, err)
		}
	}
}

func TestQuantities(t *testing.T) {
	for _, c := range []struct {
		parse func(string) (int64, error)
		in    string
		want  int64
	}{
		{parseSize, "1GB", 1e9}, {parseSize, "3 MiB", 3 << 20}, {parseSize, "7", 7}, {parseSize, "7B", 7}, {parseSize, "x", -1},
		{parseSize, "-1GB", -1}, {parseSize, "9999999999TB", -1}, {parseSize, "1.5GB", -1},
		{parseSeconds, "90", 90}, {parseSeconds, "2h", 7200}, {parseSeconds, "1d", 86400}, {parseSeconds, "1w", -1},
		{parseSpeed, "10Mbit/s", 10e6}, {parseSpeed, "64kbit", 64000}, {parseSpeed, "5 apples", -1},
	} {
		got, err := c.parse(c.in)
		if (err != nil) != (c.want < 0) || (err == nil && got != c.want) {
			t.Errorf("%q is %d, %v; want %d", c.in, got, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(twoOfferings)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse("fuzz", []byte(text))
		if err != nil {
			return
		}
		for _, o := range got {
			o.Version = 1
			if err := o.Validate(); err != nil || o.OfflineAllowance > money.Amount(1<<63-1) {
				t.Errorf("accepted %+v: %v", o, err)
			}
		}
	})
}
