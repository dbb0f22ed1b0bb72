package accounts

import (
	"strings"
	"testing"

	"meridian/central/fault"
	"meridian/internal/tariff"
)

func TestEligible(t *testing.T) {
	for _, c := range []struct {
		name string
		o    tariff.Offering
		want string
	}{
		{"nothing is asked", tariff.Offering{}, ""},
		{"all fits", tariff.Offering{Company: "acme", PriceOf: "list", Eligibility: tariff.Eligibility{Regions: []string{"south", "north"}, From: 100, Until: 101}}, ""},
		{"another region", tariff.Offering{Eligibility: tariff.Eligibility{Regions: []string{"south", "east"}}}, "is not sold in region north"},
		{"not yet", tariff.Offering{Eligibility: tariff.Eligibility{From: 101}}, "begins at 1970-01-01T00:01:41Z"},
		{"no longer", tariff.Offering{Eligibility: tariff.Eligibility{Until: 100}}, "ended at 1970-01-01T00:01:40Z"},
		{"another company's price", tariff.Offering{Company: "other", PriceOf: "list"}, "is the price of account other alone"},
	} {
		var f fault.Collector
		c.o.ID = "special"
		eligible(&f, "[1].offering", &c.o, "acme", "north", 100)
		err := f.Err()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "[1].offering") || !strings.Contains(err.Error(), "special")) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
