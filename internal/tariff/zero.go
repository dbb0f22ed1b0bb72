package tariff

import "fmt"

// Costless lists what of an offering is had for nothing: components whose price is
// zero throughout, by path, or "the offering" when it has no component at all.
// What is free up to a quantity, in a window or in an allowance that is paid for
// is none of it.
func (o *Offering) Costless() []string {
	var out []string
	for i := range o.OneTime {
		if o.OneTime[i].Price == 0 {
			out = append(out, fmt.Sprintf("one_time[%d] %s", i, o.OneTime[i].Name))
		}
	}
	for i := range o.Recurring {
		if o.Recurring[i].Price == 0 {
			out = append(out, fmt.Sprintf("recurring[%d] %s", i, o.Recurring[i].Name))
		}
	}
	for i := range o.Usage {
		if u := &o.Usage[i]; !u.Priced() {
			out = append(out, fmt.Sprintf("usage[%d] %s", i, u.Name))
		}
	}
	if len(o.OneTime)+len(o.Recurring)+len(o.Usage) == 0 {
		out = append(out, "the offering")
	}
	return out
}
