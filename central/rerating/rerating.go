// Package rerating prices usage a second time at the centre, by the version that
// priced it or by a corrected one, from nothing but usage records.
//
// It owns the arithmetic of a correction and what became of it. It never changes
// an entry: what an edge wrote stays, a correction names it.
package rerating

import (
	"errors"
	"fmt"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// ErrRecord is wrapped by every reason why a record cannot be priced again.
var ErrRecord = errors.New("the record cannot be priced again")

// Version is an offering version made ready for pricing records.
type Version struct {
	*tariff.Offering
	plan  *rating.Plan
	meter int // component that meters sessions, −1 = usage is free
	hash  [32]byte
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
	plan, err := rating.Compile(o, rating.Env{})
	if err != nil {
		return nil, fmt.Errorf("offering %s version %d: %w", o.ID, o.Version, err)
	}
	v := &Version{Offering: o, plan: plan, meter: -1, hash: o.Hash()}
	if u := o.Metering(); u != nil {
		v.meter = plan.Component(u.Name)
	}
	return v, nil
}

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
	if !v.plan.Resumes(v.meter) || len(u.Parts) > 0 {
		return Priced{}, fmt.Errorf("%w: by %s version %d its price does not follow from its quantity alone", ErrRecord, v.ID, v.Version)
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
