package rerating

import (
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/replay"
)

// compare begins with an account's records in parts.
func (x *run) compare() {
	var err error
	if x.change, err = replay.NewChange(x.old.parts, x.new.parts); err != nil {
		x.oddParts = err.Error()
	}
}

// parts prices a record in parts by both versions, and tells by how much it costs
// more by the corrected one, or why that cannot be told.
func (x *run) parts(rec *Record) (inParts bool, more money.Amount, odd string) {
	e := rec.Entry
	u := e.Usage
	if e.Kind != journal.KindUsage || len(u.Parts) == 0 || u.Offering != x.Offering || u.OfferingVersion != x.Version || u.TariffHash != x.old.hash {
		return false, 0, ""
	}
	if x.change == nil {
		return true, 0, x.oddParts
	}
	more, err := x.change.Record(e.Session, u)
	if err != nil {
		return true, 0, err.Error()
	}
	if _, exact, err := x.old.parts.Record(e.Session.Start, u, rec.Paid); err != nil || !exact {
		return true, 0, "it does not come to what its own version's prices make of it"
	}
	return true, more, ""
}

// charges is what money pays for of a record in parts.
func charges(u *journal.UsageRecord) (sum money.Amount) {
	for i := range u.Parts {
		for _, x := range u.Parts[i].Slices {
			sum += x.Amount
		}
	}
	return sum
}
