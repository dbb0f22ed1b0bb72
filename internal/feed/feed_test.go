package feed

import (
	"errors"
	"reflect"
	"testing"

	"meridian/internal/tariff"
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

func TestDecodeRefuses(t *testing.T) {
	for name, row := range map[string]Row{
		"unknown kind":     {Number: 1, Kind: "weather", ID: "x", Body: []byte("{}")},
		"broken JSON":      {Number: 1, Kind: KindNAS, ID: "x", Body: []byte("{")},
		"negative total":   {Number: 1, Kind: KindLease, ID: "b", Body: []byte(`{"bucket":"b","account":"a","unit":"EUR","epoch":1,"granted":2000,"reclaim_to":-1}`)},
		"total too large":  {Number: 1, Kind: KindLease, ID: "b", Body: []byte(`{"bucket":"b","account":"a","unit":"EUR","epoch":1,"granted":9223372036854775807}`)},
		"lease of nobody":  {Number: 1, Kind: KindLease, ID: "b", Body: []byte(`{"bucket":"b","epoch":1}`)},
		"negative debit":   {Number: 1, Kind: KindOrder, ID: "o", Body: []byte(`{"id":"o","action":"debit","amount_micro":-5}`)},
		"invalid offering": {Number: 1, Kind: KindOffering, ID: "x@1", Body: []byte(`{"id":"x","version":1}`)},
	} {
		if _, err := row.Decode(); !errors.Is(err, ErrRow) {
			t.Errorf("%s: got %v", name, err)
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
