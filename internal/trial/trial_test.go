package trial

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"meridian/internal/sheet"
	"meridian/internal/tariff"
	"meridian/internal/why"
	"meridian/internal/zones"
)

const converged = `id: family
name: Family
currency: EUR
zone: Europe/Berlin
service: internet
services: [voice, sms]
windows: [{name: night, from: "22:00", to: "06:00"}]
usage:
  - name: data
    unit: bytes
    rates: [{price: 2.00 per GB}, {window: night, price: 0.50 per GB}]
  - name: calls
    service: voice
    unit: seconds
    destinations: [{zone: home, prefixes: ["+49"]}, {zone: abroad, prefixes: ["+1", "+44"]}]
    rates:
      - {zone: home, fee: "0.05", price: 0.06 per minute, first: 60s, next: 1s}
      - {zone: abroad, price: 0.30 per minute, max_cost: "1.00", after_max: free after}
  - {name: messages, service: sms, unit: events, counted: period, free: {events: 1}, rates: [{price: "0.09"}]}
allowances:
  - {name: minutes, unit: seconds, amount: 2m, every: month, anchor: calendar, rollover: {max: 1m, add: true}, filter: {zones: [home]}}
profile: {session_limit: 1, interim: 60s}
profiles: [{name: stopped, service: voice, session_limit: 1, bar_zones: [abroad]}]
switches: [{when: [{kind: balance-zero}], profile: stopped}]
thresholds: [{name: half, on: minutes, metric: used-percent, value: 50%, recurring: true}]
reservation: {quota: 10MB, ttl: 180s}
overrun: owed
`

const events = `subscription,usage,session,start,end,quantity,destination
ann,calls,c1,2026-03-02T10:00:00Z,,65s,+491
ann,calls,c1,2026-03-02T10:01:05Z,,10s,+491
ann,calls,,2026-03-02T11:00:00Z,2026-03-02T11:01:00Z,,+491
ann,calls,,2026-03-02T12:00:00Z,,600s,+44
ann,messages,,2026-03-02T13:00:00Z,,,
ann,messages,,2026-03-02T13:00:01Z,,,
ann,data,d1,2026-03-02T20:00:00Z,2026-03-02T22:00:00Z,1GB,
ann,calls,,2026-04-01T10:00:00Z,,3m,+491
ann,calls,,2026-04-02T10:00:00Z,,10m,+1
ann,calls,,2026-04-02T11:00:00Z,,1m,+1
`

func try(t *testing.T, tariffs, usage, balances string, lang why.Language) []Rated {
	t.Helper()
	offerings, err := sheet.Read("t.yaml", []byte(tariffs), nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := New(offerings, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := ReadUsage("u.csv", []byte(usage))
	if err != nil {
		t.Fatal(err)
	}
	if balances != "" {
		if in.Balances, err = ReadBalances("b.csv", []byte(balances)); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Start("b.csv", in.Balances); err != nil {
		t.Fatal(err)
	}
	out, err := x.Rate("u.csv", in.Usage, lang)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// Each line's cost, balances and sentences, in the three languages. By hand: 2
// minutes are given each month. c1 takes 65 s and 10 s of them, the next call the
// 45 s that are left, and its 15 s the first step of 60 s: 0.06; 600 s
// abroad stop at 1.00; the second message costs 0.09; 1 GB from 21:00 to 23:00 in
// Berlin is half at 2.00 and half at 0.50: 1.25. In April 120 s are given anew, none
// had been left; 60 s of the 3 minutes cost 0.06. The allowance pays the first second and
// so takes over the fee. Of 2.50 then 0.04 is left: of the last call's 1.00 0.96 is
// owed, and without money calls abroad are barred.
func TestConverged(t *testing.T) {
	var b strings.Builder
	for _, lang := range why.Languages() {
		for _, r := range try(t, converged, events, "subscription,balance,value\nann,money,2.50\n", lang) {
			fmt.Fprintf(&b, "%s %s %s: %s, payable %s %v %s raised %v profile %q %s\n", r.Start, r.Usage, r.Quantity, r.CostText, r.Payable, r.Payments, r.Overrun, r.Raised, r.Profile, r.Barred)
			for _, p := range r.Pieces {
				fmt.Fprintf(&b, "    %s %s | %s\n", p.Rule, p.Kind, p.Why)
			}
		}
	}
	if *rewrite {
		if err := os.WriteFile("testdata/converged.golden", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/converged.golden")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("rewrite with -rewrite:\n%s", b.String())
	}
}

// The same events in JSON, with the balances in the same file, come to the same.
func TestJSON(t *testing.T) {
	const usage = `{"balances": [{"subscription": "ann", "balance": "money", "value": "2.50"}],
 "usage": [
  {"subscription": "ann", "usage": "calls", "start": "2026-03-02T12:00:00Z", "quantity": "65s", "destination": "+44"}
 ]}`
	got := try(t, converged, usage, "", why.English)
	if len(got) != 1 || got[0].CostText != "0.325" || got[0].Line != 3 || got[0].Payments[0].Amount != "0.325" {
		t.Errorf("got %+v", got)
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":   {"subscription,start\n", "no usage"},
		"column":  {"subscription,begin\na,b\n", `u:1:1: begin: is not a column`},
		"more":    {"start\na,b\n", `u:2:1: "b" has no column`},
		"quotes":  {"start\n\"a\n", "not CSV"},
		"field":   {"[{\"strt\": \"x\"}]", "u:1:1: usage[0]: unknown field"},
		"number":  {"[\n{\"quantity\": 5}]", "u:2:1: usage[0]"},
		"syntax":  {"[\n{]", "u:2:1: usage"},
		"nothing": {"", "no usage"},
	} {
		if _, err := ReadUsage("u", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	offerings, err := sheet.Read("t.yaml", []byte(converged), nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := New(offerings, nil)
	if err != nil {
		t.Fatal(err)
	}
	const bad = `offering,usage,service,start,end,quantity,destination,weight
nothing,,,2026-03-02T10:00:00Z,,,,
,,,2026-03-02T10:00:00Z,,1s,,
,tea,,2026-03-02T10:00:00Z,,1s,,
,,voice,yesterday,,1s,,
,,voice,2026-03-02T10:00:00Z,2026-03-02T09:00:00Z,,,
,,internet,2026-03-02T10:00:00Z,,65s,,
,,internet,2026-03-02T10:00:00Z,,,,
,,sms,2026-03-02T10:00:00Z,,,,x
,,voice,2026-03-02T10:00:00Z,,1s,+33,
,,sms,2026-03-02T10:00:00Z,,,,
`
	in, err := ReadUsage("u", []byte(bad))
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.Rate("u", in.Usage, why.English)
	list, _ := err.(sheet.Faults)
	if len(out) != 1 || len(list) != 9 {
		t.Fatalf("%d rated, want the last; faults:\n%v", len(out), err)
	}
	for i, f := range list {
		if f.Line != i+2 || f.Remedy == "" {
			t.Errorf("fault %d is %v, want line %d with a remedy", i, f, i+2)
		}
	}
	err = x.Start("b", []Balance{{2, "a", "tea", "1", ""}, {3, "a", "money", "x", ""}, {4, "a", "money", "1", "soon"}})
	if list, _ = err.(sheet.Faults); len(list) != 4 {
		t.Errorf("balances: got %v", err)
	}
}

func TestPeriods(t *testing.T) {
	berlin, err := zones.Load("", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		x, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, c := range []struct {
		unit                 tariff.PeriodUnit
		count                int
		anchor               tariff.Anchor
		began, t, from, upTo string
	}{
		{tariff.Month, 1, tariff.Calendar, "2026-01-31 10:00", "2026-02-10 00:00", "2026-02-01 00:00", "2026-03-01 00:00"},
		{tariff.Month, 1, "", "2026-01-31 10:00", "2026-02-28 10:00", "2026-02-28 10:00", "2026-03-31 10:00"},
		{tariff.Month, 1, "", "2026-01-31 10:00", "2026-02-28 09:59", "2026-01-31 10:00", "2026-02-28 10:00"},
		{tariff.Month, 3, tariff.Calendar, "2026-01-31 10:00", "2026-05-10 00:00", "2026-04-01 00:00", "2026-07-01 00:00"},
		{tariff.Week, 1, tariff.Calendar, "2026-01-31 10:00", "2026-03-29 12:00", "2026-03-23 00:00", "2026-03-30 00:00"},
		{tariff.Day, 1, tariff.Calendar, "2026-01-31 10:00", "2026-03-29 12:00", "2026-03-29 00:00", "2026-03-30 00:00"},
		{tariff.HalfMonth, 1, tariff.Calendar, "2026-01-31 10:00", "2026-02-15 23:59", "2026-02-01 00:00", "2026-02-16 00:00"},
		{tariff.HalfMonth, 1, tariff.Calendar, "2026-01-31 10:00", "2026-02-16 00:00", "2026-02-16 00:00", "2026-03-01 00:00"},
		{tariff.Year, 1, "", "2024-02-29 00:00", "2025-02-28 00:00", "2025-02-28 00:00", "2026-02-28 00:00"},
		{tariff.Day, 30, "", "2026-03-01 12:00", "2026-04-01 00:00", "2026-03-31 12:00", "2026-04-30 12:00"},
	} {
		from, until := within(tariff.Period{Unit: c.unit, Count: c.count}, c.anchor, at(c.began), at(c.t))
		if !from.Equal(at(c.from)) || !until.Equal(at(c.upTo)) {
			t.Errorf("%d %s %s from %s at %s: %s to %s", c.count, c.unit, c.anchor, c.began, c.t, from, until)
		}
	}
}

func FuzzReadUsage(f *testing.F) {
	f.Add(events)
	f.Add(`{"usage": [{"start": "2026-03-02T12:00:00Z"}], "balances": [{}]}`)
	offerings, err := sheet.Read("t.yaml", []byte(converged), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := ReadUsage("fuzz", []byte(text))
		if err != nil {
			return
		}
		x, err := New(offerings, nil)
		if err != nil {
			t.Fatal(err)
		}
		if x.Start("fuzz", in.Balances) != nil {
			return
		}
		out, err := x.Rate("fuzz", in.Usage, why.English)
		if err == nil && len(out) != len(in.Usage) {
			t.Errorf("%d of %d events rated without a fault", len(out), len(in.Usage))
		}
	})
}
