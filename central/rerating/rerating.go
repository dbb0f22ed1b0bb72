// Package rerating prices usage a second time at the centre, by the version that
// priced it or by a corrected one, from nothing but usage records.
//
// It owns the arithmetic of a correction and what became of it. It never changes
// an entry: what an edge wrote stays, a correction names it.
package rerating

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"meridian/central/buckets"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/replay"
	"meridian/internal/tariff"
)

// ErrRecord is wrapped by every reason why a record cannot be priced again.
var ErrRecord = errors.New("the record cannot be priced again")

// Version is an offering version made ready for pricing records.
type Version struct {
	*tariff.Offering
	plan  *rating.Plan
	parts *replay.Version
	meter int // component that meters sessions, −1 = usage is free
	hash  [32]byte
	odd   string // why no record follows from its quantity by this version, "" = it may
}

// paidByRenewed is why a record is left as it is of which money would go back to a
// bonus: what one period's had paid is nobody's once the next is given, and the
// centre does not know which of them it was.
const paidByRenewed = "a bonus that is given anew each period has paid for it"

// renewedBonus tells whether a refund may be of money that is given each period.
func (v *Version) renewedBonus(account string, refunds []Refund) bool {
	made := func(r Refund) bool { return r.Bucket != buckets.CashID(account) }
	return slices.ContainsFunc(v.Allowances, func(a tariff.Allowance) bool { return a.Unit == tariff.Money && a.Every != nil }) && slices.ContainsFunc(refunds, made)
}

// unit is what the version meters sessions in, "" when usage is free.
func (v *Version) unit() tariff.Unit {
	if v.meter < 0 {
		return ""
	}
	return v.plan.Unit(v.meter)
}

// NewVersion compiles a published version.
func NewVersion(o *tariff.Offering) (*Version, error) {
	parts, err := replay.NewVersion(o)
	if err != nil {
		return nil, err
	}
	plan := parts.Plan
	v := &Version{Offering: o, parts: parts, plan: plan, meter: -1, hash: parts.Hash()}
	if u := o.Metering(); u != nil {
		v.meter = plan.Component(u.Name)
	}
	meters := 0
	for i := range o.Usage {
		if o.Usage[i].Meters(o) {
			meters++
		}
	}
	switch {
	case meters == 0: // whatever else it has, usage costs nothing
	case meters > 1:
		v.odd = "the corrected version meters it by more than one component"
	case plan.Falls(v.meter):
		v.odd = "the corrected version prices all usage by the tier that it reaches"
	case len(o.Allowances) > 0:
		v.odd = "the corrected version has allowances"
	case plan.Zoned(v.meter):
		v.odd = "the corrected version prices by destination"
	case !plan.Resumes(v.meter):
		v.odd = notByQuantity
	}
	return v, nil
}

// notByQuantity is why records with parts, or with prices by the time of use, are
// left as they are.
const notByQuantity = "its price does not follow from its quantity alone"

// Priced is what a record comes to.
type Priced struct {
	Slices []rating.Slice // canonical
	After  rating.State   // of the session, as the next record names it
	Amount money.Amount   // of this record
}

// Price prices all that a usage record counted, on top of what its session had
// used before by then. By the version that the record names it gives what the edge
// came to, to the last octet.
func (v *Version) Price(start int64, u *journal.UsageRecord) (Priced, error) {
	if v.meter < 0 {
		return Priced{After: u.Before}, nil
	}
	if v.odd != "" || len(u.Parts) > 0 {
		return Priced{}, fmt.Errorf("%w by %s version %d: %s", ErrRecord, v.ID, v.Version, cmp.Or(v.odd, notByQuantity))
	}
	quantity := u.Seconds
	if v.plan.Unit(v.meter) == tariff.Bytes {
		quantity = int64(u.InOctets + u.OutOctets)
	}
	ctx := rating.Context{Component: v.meter, Start: start}
	before, err := v.plan.Resume(ctx, u.Before)
	if err != nil {
		return Priced{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if quantity == 0 {
		return Priced{After: before.State}, nil
	}
	var few [16]rating.Priced
	pieces, after, err := v.plan.Rate(few[:0], ctx, before, rating.Use{Quantity: quantity})
	if err != nil {
		return Priced{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	list := make([]rating.Slice, len(pieces))
	for i := range pieces {
		list[i] = pieces[i].Slice()
	}
	return Priced{Slices: rating.Canonical(list), After: after.State, Amount: after.Charged - before.Charged}, nil
}

// PriceAfter prices a record that another version rated. Where that one did not
// meter, the record does not say what its session had used before it: that is then
// what the session had counted in all, without the record's own.
func (v *Version) PriceAfter(old *Version, start int64, u *journal.UsageRecord) (Priced, error) {
	if old.meter >= 0 || v.meter < 0 {
		return v.Price(start, u)
	}
	again := *u
	total, own := v.quantity(u.CumulativeIn+u.CumulativeOut, u.CumulativeSeconds), v.quantity(u.InOctets+u.OutOctets, u.Seconds)
	if again.Before = (rating.State{Quantity: total - own}); total < own {
		return Priced{}, fmt.Errorf("%w: its session had counted %d in all, and it has %d of them", ErrRecord, total, own)
	}
	return v.Price(start, &again)
}

// quantity is what the version meters of a session's counters.
func (v *Version) quantity(octets uint64, seconds int64) int64 {
	if v.unit() == tariff.Bytes {
		return int64(octets)
	}
	return seconds
}

// between prices a session's usage from one cumulative quantity to another.
func (v *Version) between(start, from, to int64) (Priced, error) {
	u := &journal.UsageRecord{Before: rating.State{Quantity: from}, InOctets: uint64(to - from), Seconds: to - from}
	return v.Price(start, u)
}
