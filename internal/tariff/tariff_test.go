package tariff

import (
	"reflect"
	"strings"
	"testing"

	"meridian/internal/canon"
)

func sample() *Offering {
	return &Offering{
		ID: "prepaid", Version: 2, Name: "Prepaid", Currency: "EUR", ValidFrom: 1_700_000_000, Service: "internet",
		Usage: &Usage{Unit: Bytes, Price: 5_000_000, Per: 1_000_000_000}, Recurring: &Recurring{Price: 1, Days: 30},
		Profile: Profile{UpBps: 1, DownBps: 2, Pool: "p", SessionLimit: 1, InterimSeconds: 60}, Reservation: Reservation{Quota: 1, TTLSeconds: 200},
		Overrun: Owed, OfflineAllowance: 3,
	}
}

func TestCanonicalRoundTrip(t *testing.T) {
	want := sample()
	var w canon.Writer
	want.AppendCanonical(&w)
	r := canon.NewReader(w.B)
	got := ReadOffering(r)
	if err := r.Close(); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v: got %+v", err, got)
	}
	changed := sample()
	changed.OfflineAllowance++
	if changed.Hash() == want.Hash() {
		t.Fatal("a change left the hash as it was")
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	if err := sample().Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Offering){
		"reservation.ttl: 140": func(o *Offering) { o.Reservation.TTLSeconds = 140 }, // 2.4 × 60 = 144
		"usage.price: ":        func(o *Offering) { o.Usage.Price, o.Usage.Per = 1<<40, 1 },
		"recurring.price: ":    func(o *Offering) { o.Recurring.Price = MaxPrice + 1 },
		"offline_allowance: ":  func(o *Offering) { o.OfflineAllowance = -1 },
	} {
		o := sample()
		change(o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
	err := (&Offering{Usage: &Usage{Price: 1}}).Validate()
	if err == nil {
		t.Fatal("an empty offering was accepted")
	}
	for _, field := range []string{"id:", "version:", "name:", "service:", "currency:", "usage.unit:", "usage.per:", "reservation.quota:", "profile.session_limit:", "profile.interim:", "overrun:"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not reported in:\n%v", field, err)
		}
	}
}
