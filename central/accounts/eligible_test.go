package accounts

import (
	"strings"
	"testing"

	"meridian/central/fault"
	"meridian/internal/tariff"
)

func TestEligible(t *testing.T) {
	asks := func(e tariff.Eligibility) tariff.Offering { return tariff.Offering{Eligibility: e} }
	for _, c := range []struct {
		name string
		o    tariff.Offering
		want string
	}{
		{"nothing is asked", tariff.Offering{}, ""},
		{"all fits", tariff.Offering{Company: "acme", PriceOf: "list", Requires: []string{"line"}, Excludes: []string{"other"},
			Eligibility: tariff.Eligibility{Regions: []string{"south", "north"}, CustomerTypes: []string{"company"}, Segments: []string{"gold", "silver"}, Channels: []string{"web"}, From: 100, Until: 101}}, ""},
		{"another region", asks(tariff.Eligibility{Regions: []string{"south", "east"}}), "is not sold in region north"},
		{"not yet", asks(tariff.Eligibility{From: 101}), "begins at 1970-01-01T00:01:41Z"},
		{"no longer", asks(tariff.Eligibility{Until: 100}), "ended at 1970-01-01T00:01:40Z"},
		{"another company's price", tariff.Offering{Company: "other", PriceOf: "list"}, "is the price of account other alone"},
		{"persons only", asks(tariff.Eligibility{CustomerTypes: []string{"person"}}), "is not sold to a customer of type company"},
		{"another segment", asks(tariff.Eligibility{Segments: []string{"silver"}}), "is not sold to customers of segment gold"},
		{"another channel", asks(tariff.Eligibility{Channels: []string{"shop", "phone"}}), "is not sold in channel web"},
		{"needs what is not held", tariff.Offering{Requires: []string{"line", "tv"}}, "needs offering tv"},
		{"excludes what is held", tariff.Offering{Excludes: []string{"line"}}, "cannot be held with offering line"},
		{"what is held excludes it", tariff.Offering{ID: "rival"}, "cannot be held with offering line"},
	} {
		var f fault.Collector
		if c.o.ID == "" {
			c.o.ID = "special"
		}
		Eligible(&f, "[1].offering", &c.o, &Buyer{Account: "acme", Kind: Company, Segment: "gold", Home: "north", Channel: "web", Holds: []tariff.Offering{{ID: "line", Excludes: []string{"rival"}}}}, 100)
		err := f.Err()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "[1].offering") || !strings.Contains(err.Error(), c.o.ID)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	var f fault.Collector
	Eligible(&f, "offering", &tariff.Offering{ID: "special", Eligibility: tariff.Eligibility{Segments: []string{"gold"}, Channels: []string{"web"}}}, &Buyer{Kind: Individual}, 100)
	if list := fault.List(f.Err()); len(list) != 2 || !strings.Contains(list[0].Message, "segment (none)") || !strings.Contains(list[1].Message, "channel (not said)") {
		t.Errorf("of nobody in particular: %v", f.Err())
	}
}
