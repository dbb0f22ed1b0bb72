package sheet

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"meridian/internal/tariff"
)

const everything = `id: all
name: Everything
currency: EUR
valid_from: 2026-01-01T00:00:00Z
valid_until: 2027-01-01T00:00:00+01:00
grandfathered: true
service: internet
services: [voice, tv]
zone: Europe/Berlin
rounding: {mode: half-up, places: 3}
holidays: [2026-12-25, 2026-12-26]
windows:
  - {name: night, days: [fri-mon], from: "22:00", to: 06:30, weight: 10}
  - {name: feast, holidays: true, months: [12], month_days: [24, 25]}
one_time: [{name: activation, price: "9.99", tax: STD}]
recurring:
  - {name: fee, price: "20.00", every: month, anchor: calendar, due: arrears, proration: actual-days, cancel: unused, shares: [{partner: tv-co, percent: 12.5%}]}
usage:
  - name: data
    unit: bytes
    free: {units: 1GiB}
    rates: [{price: 2.50 per GB, next: 100kB}, {window: night, price: "0 per GB"}]
  - name: calls
    service: voice
    unit: seconds
    counted: period
    every: 2 weeks
    min_event: "0.01"
    max_period: "50"
    partial: true
    destinations: [{zone: home, prefixes: ["+49", "0"]}]
    prefixes_csv: zones.csv
    rates:
      - {zone: home, fee: "0.05", price: 0.10 per minute, next: 60, max_cost: "5", after_max: free after}
      - zone: abroad
        mode: graduated
        tiers: [{up_to: 1h, flat: "1", price: 0.02 per 6s}, {price: 0.01 per 6s, step: 1m}]
  - {name: ticket, service: tv, unit: money, rates: [{price: 1.3%}]}
allowances:
  - {name: minutes, unit: seconds, amount: 100m, priority: -1, every: month, rollover: {max: 2h, add: true}, factor: 3/2, step: 60s, filter: {zones: [home]}}
  - {name: seats, unit: units, amount: "1.5", valid_for: 30 days, shared: {pool: family, per_child: 1}}
  - {name: gift, unit: money, amount: "5.00", blocking: true}
profile: {session_limit: 2, interim: 1m, up: 10Mbit, down: 1Gbit/s, pool: main}
profiles: [{name: slow, up: 64kbit, bar_zones: [abroad]}]
switches: [{when: [{kind: balance-zero}, {kind: overdue, days: 5}], profile: slow}]
thresholds:
  - {name: most, on: minutes, metric: used-percent, value: 80%, recurring: true}
  - {name: low, on: money, metric: left, value: "1.00", actions: [{do: credit, balance: minutes, amount: 10m}]}
promotions: [{id: x, name: X, kind: loyalty, tenure: [{months: 12, percent: 5%}], order: 2, exclusive: true}]
eligibility: {regions: [north], customer_types: [person]}
reservation: {quota: 10MB, ttl: 180s}
overrun: absorbed
offline_allowance: "0.000001"
`

func beside() fstest.MapFS {
	return fstest.MapFS{"zones.csv": {Data: []byte("zone,prefix\nabroad,+1\nabroad,+44\nhome,+4900\n")}}
}

func TestReadEverything(t *testing.T) {
	got, err := Read("all.yaml", []byte(everything), beside())
	if err != nil {
		t.Fatal(err)
	}
	o := got[0]
	calls := o.Usage[1]
	for _, c := range []struct{ name, got, want string }{
		{"validity", fmt.Sprint(o.ValidFrom, o.ValidUntil), "1767225600 1798758000"},
		{"night", fmt.Sprintf("%+v", o.Windows[0]), "{Name:night Days:[fri sat sun mon] Months:[] MonthDays:[] Dates:[] Holidays:false From:79200 To:23400 Weight:10}"},
		{"fee", fmt.Sprintf("%+v", o.Recurring[0]), "{Name:fee Price:20.00 Every:{Unit:month Count:1} Anchor:calendar Due:arrears Proration:actual-days Cancel:unused Tax: Shares:[{Partner:tv-co Percent:125000}]}"},
		{"data", fmt.Sprint(o.Usage[0].Free, o.Usage[0].Rates[0].Price, o.Usage[0].Rates[0].Next), "{1073741824 0} {2.50 1000000000} 100000"},
		{"destinations", fmt.Sprint(calls.Destinations), "[{home [+49 0 +4900]} {abroad [+1 +44]}]"},
		{"call", fmt.Sprint(calls.Every, calls.Rates[0].Price, calls.Rates[0].Next, calls.Rates[0].AfterMax), "&{week 2} {0.10 60} 60free after"},
		{"tiers", fmt.Sprint(calls.Rates[1].Tiers), "[{3600 1.00 {0.02 6} 0} {0 0.00 {0.01 6} 60}]"},
		{"percent", fmt.Sprintf("%d/%d", o.Usage[2].Rates[0].Price.Amount, o.Usage[2].Rates[0].Price.Per), "13/1000"},
		{"minutes", fmt.Sprint(o.Allowances[0].Amount, *o.Allowances[0].Rollover, o.Allowances[0].Factor, o.Allowances[0].Step), "6000 {0 7200 true} {3 2} 60"},
		{"seats", fmt.Sprint(o.Allowances[1].Amount, o.Allowances[1].Shared.PerChild), "1500000 1000000"},
		{"thresholds", fmt.Sprint(o.Thresholds[0].Value, o.Thresholds[1].Value, o.Thresholds[1].Actions[0].Amount), "800000 1000000 600"},
		{"profile", fmt.Sprint(o.Profile.DownBps, o.Profile.InterimSeconds, o.Profiles[0].UpBps, o.OfflineAllowance), "1000000000 60 64000 0.000001"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %s, want %s", c.name, c.got, c.want)
		}
	}
	// The same in JSON, as an entry of a list.
	var v any
	if err := yaml.Unmarshal([]byte(everything), &v); err != nil {
		t.Fatal(err)
	}
	data, err := yaml.MarshalWithOptions([]any{v}, yaml.JSON())
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read("all.json", data, beside())
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("in JSON: %v\n%+v\nwant\n%+v", err, again, got)
	}
}

// Every fault of all documents comes at once, each with its place and a remedy.
func TestFaults(t *testing.T) {
	const bad = `id: x
name: 17
currency: eur
service: internet
usage:
  - {name: data, unit: bytes, rates: [{price: 1.5}, {prise: 2 per GB, window: noon}]}
  - name: calls
    unit: seconds
    rates:
      - {price: 0.10 per GB, first: 100MB}
    free: 3
    prefixes_csv: ../etc/passwd
colour: red
overrun: nobody
overrun: owed
profile: {session_limit: 1, interim: 10s}
version: 3
windows: [{name: night, days: mon, from: 25:00}]
recurring: {price: "1"}
allowances: [{name: a, unit: bytes, amount: 10m}]
holidays: [2026-02-30]
requires: [*nothing]
zone: Europe/Berlim
---
a: [
---
- id: y
  name:
`
	_, err := Read("f.yaml", []byte(bad), beside())
	list, ok := err.(Faults)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var lines []string
	for _, f := range list {
		if f.Remedy == "" || f.What == "" {
			t.Errorf("%+v says too little", f)
		}
		lines = append(lines, f.Error())
	}
	golden(t, "testdata/faults.golden", strings.Join(lines, "\n")+"\n")
}

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files and deploy/catalog/schema.json")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not current, rewrite with -rewrite:\n%s", file, got)
	}
}

// What would take the machine instead of an offering is refused.
func TestBombs(t *testing.T) {
	bomb := "id: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"aliases":   {bomb, "too many values"},
		"merges":    {strings.ReplaceAll(bomb, "[x, x, x, x, x, x, x, x, x, x]", "{n: 1}") + "<<: *j\n", "too many values"},
		"itself":    {"id: &a [*a]\n", "refers to itself"},
		"brackets":  {"id: " + strings.Repeat("[", 100_000), "nested too deeply"},
		"dashes":    {strings.Repeat("- ", 100_000) + "x", "nested too deeply"},
		"depth":     {"id: " + strings.Repeat("{a: ", maxDepth+2) + "1" + strings.Repeat("}", maxDepth+2), "nested too deeply"},
		"tag":       {"id: !!binary aGVsbG8=\n", "no place in a sheet"},
		"empty":     {"# nothing\n", "no offering"},
		"a word":    {"hello", "not an offering"},
		"offerings": {"[" + strings.Repeat("{},", MaxOfferings+1) + "]", "too many offerings"},
	} {
		_, err := Read(name, []byte(c.text), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %.300v, want %q", name, err, c.want)
		}
	}
}

// Anchors and merges serve a marketer who repeats something.
func TestAnchors(t *testing.T) {
	const sheet = `id: a
name: A
currency: EUR
service: internet
recurring: [&fee {name: fee, price: "1.00", every: month}, {<<: *fee, name: option, price: "2.00"}]
profile: {session_limit: 1, interim: 60s}
overrun: owed
`
	got, err := Read("a.yaml", []byte(sheet), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := got[0].Recurring; r[1].Name != "option" || r[1].Price != 2_000_000 || r[1].Every.Unit != tariff.Month {
		t.Errorf("the merged charge is %+v", r[1])
	}
}

func TestPrefixFaults(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"columns": {"a,b\n1,2\n", "name the columns"},
		"none":    {"prefix,zone\n", "no prefix"},
		"letters": {"prefix,zone\n+4x,home\n", "t.csv:2:1: prefix"},
		"zone":    {"prefix,zone\n+49,\n", "t.csv:2:1: zone"},
		"twice":   {"prefix,zone\n+49,a\n+49,b\n", "stands in line 2"},
		"quotes":  {"prefix,zone\n\"+49,a\n", "not CSV"},
		"short":   {"prefix,zone\n+49\n", "too few columns"},
	} {
		if _, faults := ReadPrefixes("t.csv", []byte(c.text)); len(faults) == 0 || !strings.Contains(faults.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, faults, c.want)
		}
	}
}

// The table names exactly the fields that the vocabulary's types have, so that
// nothing of the vocabulary is left out of reader and schema.
func TestTableIsComplete(t *testing.T) {
	tables := map[string]table{}
	for _, x := range language() {
		tables[x.name] = x
	}
	elem := func(x reflect.Type) reflect.Type {
		for x.Kind() == reflect.Pointer || x.Kind() == reflect.Slice {
			x = x.Elem()
		}
		return x
	}
	seen := map[string]bool{}
	var look func(name string, typ reflect.Type)
	look = func(name string, typ reflect.Type) {
		if seen[name] {
			return
		}
		seen[name] = true
		tab, ok := tables[name]
		if !ok {
			t.Fatalf("record %s is not in the table", name)
		}
		index := jsonFields(typ)
		if name == "offering" { // set by publishing
			delete(index, "version")
			delete(index, "tzdata")
		}
		if name == "usage" { // set by publishing, of a table that offerings share
			delete(index, "table_version")
			delete(index, "table_hash")
		}
		for i := range tab.fields {
			f := &tab.fields[i]
			if f.doc == "" || f.noun == "" {
				t.Errorf("%s.%s has no description", name, f.name)
			}
			if f.form == csvFile {
				continue
			}
			at, ok := index[f.name]
			if !ok {
				t.Errorf("%s.%s is no field of %s", name, f.name, typ)
				continue
			}
			delete(index, f.name)
			if f.form == record {
				look(f.of, elem(typ.FieldByIndex(at).Type))
			}
		}
		for missing := range index {
			t.Errorf("%s.%s of the vocabulary is not in the table", name, missing)
		}
	}
	look("offering", reflect.TypeFor[tariff.Offering]())
	for name := range tables {
		if !seen[name] {
			t.Errorf("record %s is not used", name)
		}
	}
}

// The published schema is current, and takes and refuses what the reader does.
func TestSchema(t *testing.T) {
	golden(t, "../../deploy/catalog/schema.json", string(Schema()))
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sheet.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sheet.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) error {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		data, err := yaml.MarshalWithOptions(v, yaml.JSON())
		if err != nil {
			t.Fatal(err)
		}
		if v, err = jsonschema.UnmarshalJSON(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	if err := check(everything); err != nil {
		t.Errorf("the schema refuses what the reader takes: %v", err)
	}
	for old, wrong := range map[string]string{"price: 2.50 per GB": "price: 2.50", `price: "20.00"`: "price: 20.00", "every: month,": "every: moon,",
		"unit: money": "unit: cash", "overrun: absorbed": "overran: absorbed", `from: "22:00"`: "from: 22", "value: 80%": "value: most"} {
		text := strings.Replace(everything, old, wrong, 1)
		if text == everything {
			t.Errorf("%q is not in the sheet", old)
		}
		if check(text) == nil {
			t.Errorf("the schema takes %q", wrong)
		}
		if _, err := Read("x", []byte(text), beside()); err == nil {
			t.Errorf("the reader takes %q", wrong)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(everything)
	f.Add("a: &a [*a]\n---\n- <<: *b\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Read("fuzz", []byte(text), beside())
		if err != nil {
			if list, ok := err.(Faults); !ok || len(list) == 0 {
				t.Errorf("the error is %v, not a list of faults", err)
			}
			return
		}
		for _, o := range got {
			o.Version = 1
			if err := o.Validate(); err != nil {
				t.Errorf("accepted %+v: %v", o, err)
			}
		}
	})
}

func FuzzReadPrefixes(f *testing.F) {
	f.Add("prefix,zone\n+49,home\n\"+1\",abroad # c\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, faults := ReadPrefixes("fuzz", []byte(text))
		if (len(rows) == 0) != (len(faults) > 0) {
			t.Errorf("%d rows, faults %v", len(rows), faults)
		}
	})
}

// BenchmarkCatalog reads a catalog of 2 000 offerings: YAML with positions and
// validation.
func BenchmarkCatalog(b *testing.B) {
	var sheet strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&sheet, "---\n%s", strings.Replace(everything, "id: all", fmt.Sprintf("id: all-%d", i), 1))
	}
	data := []byte(sheet.String())
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		got, err := Read("catalog.yaml", data, beside())
		if err != nil || len(got) != 2000 {
			b.Fatal(len(got), err)
		}
	}
}
