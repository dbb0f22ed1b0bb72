package catalog

import (
	"strings"
	"testing"
	"time"

	"meridian/central/fault"
	"meridian/internal/tariff"
)

const flat = `id: flat
name: Flat
currency: EUR
service: internet
recurring: [{name: fee, price: "19.90", every: 30 days}]
profile: {session_limit: 1, interim: 60s}
overrun: owed
`

func TestParse(t *testing.T) {
	got, err := Parse("request", []byte(flat))
	if err != nil || len(got) != 1 || got[0].Recurring[0].Price != 19_900_000 || got[0].Version != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if err := got[0].Live(); err != nil {
		t.Errorf("the plainest offering is not live: %v", err)
	}
	_, err = Parse("request", []byte(strings.Replace(flat, "overrun: owed", "overrun: nobody\ncolour: red", 1)))
	list := fault.List(err)
	if len(list) != 2 || list[0].Field != "request:7:10: overrun" || list[0].Value != "nobody" || list[1].Field != "request:8:1: colour" || list[1].Remedy == "" {
		t.Errorf("got %v, want a fault of overrun and one of colour, each with its place", err)
	}
	many := "[" + strings.Repeat(`{id: flat, name: F, currency: EUR, service: internet, recurring: [{name: fee, price: "1", every: day}],
profile: {session_limit: 1, interim: 60}, overrun: owed},`, maxOfferings+1) + "]"
	if _, err := Parse("request", []byte(many)); !fault.Is(err, fault.Invalid) {
		t.Errorf("%d offerings: got %v", maxOfferings+1, err)
	}
	volume, err := Parse("request", []byte(strings.Replace(flat, "overrun: owed", "overrun: owed\nusage: [{name: data, unit: bytes, rates: [{mode: volume, tiers: [{up_to: 1GB, price: 2 per GB}, {price: 1 per GB}]}]}]\nreservation: {quota: 10 MB, ttl: 300s}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := number(volume, map[string]tariff.Offering{}, nil, time.Unix(1, 0)); err != nil {
		t.Errorf("volume tiers: %v", err)
	}
	volume[0].Usage[0].Counted = tariff.ByPeriod
	if _, _, err := number(volume, map[string]tariff.Offering{}, nil, time.Unix(1, 0)); err == nil || !strings.Contains(err.Error(), "usage[0].rates[0].mode") {
		t.Errorf("volume tiers by period: got %v", err)
	}
	csv := strings.Replace(flat, "overrun: owed", "overrun: owed\nusage: [{name: calls, unit: seconds, prefixes_csv: zones.csv, rates: [{price: 0.1 per minute}]}]", 1)
	if _, err := Parse("request", []byte(csv)); err == nil || !strings.Contains(err.Error(), "prefixes_csv") {
		t.Errorf("a prefix file in a request: got %v", err)
	}
}
