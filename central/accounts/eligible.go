package accounts

import (
	"slices"
	"strings"
	"time"

	"meridian/central/fault"
	"meridian/internal/tariff"
)

// eligible reports, under a field, why an offering may not be sold to an account at
// home in a region at an instant (Unix seconds): its regions, the dates of its
// sale, and that a company's own price is that company's. Segments, channels,
// customer types, and what has to be held or must not be, are not known here.
func eligible(c *fault.Collector, field string, o *tariff.Offering, account, home string, now int64) {
	e := &o.Eligibility
	date := func(at int64) string { return time.Unix(at, 0).UTC().Format(time.RFC3339) }
	c.Need(len(e.Regions) == 0 || slices.Contains(e.Regions, home), field, o.ID,
		"the offering is not sold in region "+home, "sell it in "+strings.Join(e.Regions, ", ")+", or choose another offering")
	c.Need(now >= e.From, field, o.ID, "the sale of the offering begins at "+date(e.From), "wait, or choose another offering")
	c.Need(e.Until == 0 || now < e.Until, field, o.ID, "the sale of the offering ended at "+date(e.Until), "choose another offering")
	c.Need(o.Company == "" || o.Company == account, field, o.ID, "the offering is the price of account "+o.Company+" alone", "choose offering "+o.PriceOf)
}
