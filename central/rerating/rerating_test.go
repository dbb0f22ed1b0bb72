package rerating

import (
	"errors"
	"strings"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

const gb = int64(1e9)

func made(t *testing.T, number uint32, usage []tariff.Usage, allowances ...tariff.Allowance) *Version {
	t.Helper()
	v, err := NewVersion(&tariff.Offering{ID: "home", Version: number, Name: "Home", Currency: "EUR", Service: "internet", Services: []string{"sms"}, Overrun: tariff.Owed, Usage: usage, Allowances: allowances,
		Reservation: tariff.Reservation{Quota: 7200, TTLSeconds: 600}, Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// texts are priced, and leave sessions free.
func texts() tariff.Usage {
	return tariff.Usage{Name: "texts", Service: "sms", Unit: tariff.Events, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 1e5, Per: 1}}}}
}

func graduated(t *testing.T) *Version {
	t.Helper()
	return made(t, 2, []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Mode: tariff.Graduated,
		Tiers: []tariff.Tier{{UpTo: gb, Price: tariff.Price{Amount: 3e6, Per: gb}}, {Price: tariff.Price{Amount: 1e6, Per: gb}}}}}}})
}

// A record holds one quantity, and says nothing of allowances or of a second
// component: a version that has them is refused by name.
func TestVersionsThatNeedMore(t *testing.T) {
	data := tariff.Usage{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 1e6, Per: gb}}}}
	time := tariff.Usage{Name: "time", Unit: tariff.Seconds, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 60_000, Per: 60}}}}
	pack := tariff.Allowance{Name: "pack", Unit: tariff.Bytes, Amount: 5 * gb}
	free := made(t, 1, []tariff.Usage{texts()})
	for _, c := range []struct {
		name string
		v    *Version
		odd  string
		want money.Amount
	}{
		{"an allowance", made(t, 2, []tariff.Usage{data}, pack), "has allowances", 0},
		{"two components", made(t, 2, []tariff.Usage{data, time}), "more than one component", 0},
		{"one, and one of another service", made(t, 2, []tariff.Usage{data, texts()}), "", 1e6},
		{"an allowance where usage is free", made(t, 2, []tariff.Usage{texts()}, pack), "", 0},
	} {
		for _, old := range []*Version{free, made(t, 1, []tariff.Usage{data})} {
			p, err := c.v.PriceAfter(old, 1000, &journal.UsageRecord{InOctets: uint64(gb), Seconds: 600, CumulativeIn: uint64(gb), CumulativeSeconds: 600})
			if c.odd == "" && (err != nil || p.Amount != c.want) {
				t.Errorf("%s: %v, %v, want %v", c.name, p.Amount, err, c.want)
			}
			if c.odd != "" && (!errors.Is(err, ErrRecord) || !strings.Contains(err.Error(), c.odd) || !strings.Contains(c.v.odd, c.odd)) {
				t.Errorf("%s: %v, %v, want that it %s", c.name, p.Amount, err, c.odd)
			}
		}
	}
}

// By a version that did not meter every record begins at nothing; tiers go on all
// the same: 1 GB at 3.00, the next at 1.00.
func TestTiersGoOnAfterFreeUsage(t *testing.T) {
	free, tiers := made(t, 1, []tariff.Usage{texts()}), graduated(t)
	for i, want := range []money.Amount{3e6, 1e6} {
		p, err := tiers.PriceAfter(free, 1000, &journal.UsageRecord{InOctets: uint64(gb) / 2, OutOctets: uint64(gb) / 2,
			CumulativeIn: uint64(gb) / 2 * uint64(i+1), CumulativeOut: uint64(gb) / 2 * uint64(i+1)})
		if err != nil || p.Amount != want {
			t.Errorf("record %d costs %v, %v, want %v", i+1, p.Amount, err, want)
		}
	}
	if _, err := tiers.PriceAfter(free, 1000, &journal.UsageRecord{InOctets: uint64(gb)}); !errors.Is(err, ErrRecord) {
		t.Errorf("a record with more than its session has: %v", err)
	}
}
