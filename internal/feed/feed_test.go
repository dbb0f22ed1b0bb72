package feed

import (
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"meridian/internal/tariff"
	"meridian/internal/zones"
)

func TestDecodeGivesTheEntityBack(t *testing.T) {
	offering := &tariff.Offering{ID: "flat", Version: 1, Name: "Flat", Currency: "EUR", Service: "internet",
		Recurring: tariff.EachDays(1, 30), Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Overrun: tariff.Owed}
	for _, c := range []struct {
		kind   Kind
		id     string
		entity any
	}{
		{KindOffering, "flat@1", offering},
		{KindTable, "world@2", &tariff.Table{ID: "world", Version: 2, Destinations: []tariff.Destination{{Zone: "home", Prefixes: []string{"+49"}}}}},
		{KindNAS, "n", &NAS{ID: "n", Address: "127.0.2.1", Vendor: "generic", Secret: []byte{1}}},
		{KindSubscription, "s", &Subscription{ID: "s", Account: "a", Login: "u", Offering: "flat"}},
		{KindLease, "b", &Lease{Bucket: "b", Account: "a", Unit: "EUR", Epoch: 1, Granted: 5}},
		{KindOrder, "o", &Order{ID: "o", Subscription: "s", Action: ActionBar}},
		{KindOperator, "p", &Operator{ID: "p", Role: "admin"}},
	} {
		body, err := Encode(c.entity)
		if err != nil {
			t.Fatal(err)
		}
		row := Row{Number: 1, Kind: c.kind, ID: c.id, Version: 1, Body: body}
		got, err := row.Decode()
		if err != nil || !reflect.DeepEqual(got, c.entity) {
			t.Errorf("%s: %v, got %+v", c.kind, err, got)
		}
		row.ID = "other"
		if _, err := row.Decode(); !errors.Is(err, ErrRow) {
			t.Errorf("%s: a body of another entity was accepted: %v", c.kind, err)
		}
	}
}

func encoded(entity any) []byte {
	b, err := Encode(entity)
	if err != nil {
		panic(err)
	}
	return b
}

// unpinned names a table, and not which version of it.
func unpinned() *tariff.Offering {
	return &tariff.Offering{ID: "v", Version: 1, Name: "V", Currency: "EUR", Service: "voice", Overrun: tariff.Owed,
		Usage:       []tariff.Usage{{Name: "calls", Unit: tariff.Seconds, Table: "world", Rates: []tariff.Rate{{Price: tariff.Price{Amount: 1, Per: 1}}}}},
		Reservation: tariff.Reservation{Quota: 60, TTLSeconds: 300}, Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}}
}

func TestDecodeRefuses(t *testing.T) {
	for name, row := range map[string]Row{
		"unknown kind":     {Number: 1, Kind: "weather", ID: "x", Body: []byte("{}")},
		"broken JSON":      {Number: 1, Kind: KindNAS, ID: "x", Body: []byte("{")},
		"negative total":   {Number: 1, Kind: KindLease, ID: "b", Body: []byte(`{"bucket":"b","account":"a","unit":"EUR","epoch":1,"granted":2000,"reclaim_to":-1}`)},
		"total too large":  {Number: 1, Kind: KindLease, ID: "b", Body: []byte(`{"bucket":"b","account":"a","unit":"EUR","epoch":1,"granted":9223372036854775807}`)},
		"lease of nobody":  {Number: 1, Kind: KindLease, ID: "b", Body: []byte(`{"bucket":"b","epoch":1}`)},
		"negative debit":   {Number: 1, Kind: KindOrder, ID: "o", Body: []byte(`{"id":"o","action":"debit","amount_micro":-5}`)},
		"table unhashed":   {Number: 1, Kind: KindTable, ID: "w@1", Body: []byte(`{"id":"w","version":1,"destinations":[{"zone":"a","prefixes":["1"]}]}`)},
		"table changed":    {Number: 1, Kind: KindTable, ID: "w@1", Body: []byte(strings.Replace(string(encoded(&tariff.Table{ID: "w", Version: 1, Destinations: []tariff.Destination{{Zone: "a", Prefixes: []string{"1"}}}})), `"1"]`, `"2"]`, 1))},
		"invalid table":    {Number: 1, Kind: KindTable, ID: "w@1", Body: encoded(&tariff.Table{ID: "w", Version: 1})},
		"offering by name": {Number: 1, Kind: KindOffering, ID: "v@1", Body: encoded(unpinned())},
		"invalid offering": {Number: 1, Kind: KindOffering, ID: "x@1", Body: []byte(`{"id":"x","version":1}`)},
	} {
		if _, err := row.Decode(); !errors.Is(err, ErrRow) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What this version would rate otherwise than the centre is refused by name: fields
// that it does not know, zone data that it does not have.
func TestDecodeRefusesWhatItWouldRateOtherwise(t *testing.T) {
	o := tariff.Offering{ID: "flat", Version: 3, Name: "Flat", Currency: "EUR", Service: "internet", Zone: "Europe/Berlin", TZData: zones.Latest,
		Recurring: tariff.EachDays(1, 30), Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Overrun: tariff.Owed}
	row := func(o tariff.Offering) Row {
		body, err := Encode(&o)
		if err != nil {
			t.Fatal(err)
		}
		return Row{Number: 9, Kind: KindOffering, ID: "flat@3", Version: 1, Body: body}
	}
	good := row(o)
	if _, err := good.Decode(); err != nil {
		t.Fatal(err)
	}
	plain := good
	plain.Body = regexp.MustCompile(`,"content":"[0-9a-f]{64}"`).ReplaceAll(good.Body, nil)
	if _, err := plain.Decode(); err != nil || len(plain.Body) == len(good.Body) {
		t.Errorf("a row from before rows had hashes: %v", err)
	}
	newer := good
	newer.Body = []byte(strings.Replace(string(good.Body), `"overrun":`, `"surcharge":5,"overrun":`, 1))
	// A centre that knows the field has it in the hash.
	newer.Body = regexp.MustCompile(`"content":"..`).ReplaceAll(newer.Body, []byte(`"content":"xx`))
	later, none := o, o
	later.TZData, none.TZData = "2031a", ""
	for _, c := range []struct {
		row  Row
		says string
	}{
		{newer, "row 9 (offering flat@3): its content hashes to"},
		{row(later), "tzdata: 2031a: zone data of this version is not in this binary"},
		{row(none), "name the version of the zone data"},
	} {
		if _, err := c.row.Decode(); !errors.Is(err, ErrRow) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want it to say %q", err, c.says)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("lease", "b", []byte(`{"bucket":"b"}`))
	f.Fuzz(func(t *testing.T, kind, id string, body []byte) {
		row := Row{Number: 1, Kind: Kind(kind), ID: id, Body: body}
		if entity, err := row.Decode(); err == nil && entity == nil {
			t.Fatal("no entity and no error")
		}
	})
}
