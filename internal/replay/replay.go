package replay

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// ErrRecord is wrapped by every reason why a record cannot be priced by a version.
var ErrRecord = errors.New("the record cannot be priced again")

// Version is an offering version made ready.
type Version struct {
	*tariff.Offering
	Plan *rating.Plan
	hash [32]byte
}

// NewVersion compiles a published version.
func NewVersion(o *tariff.Offering) (*Version, error) {
	plan, err := rating.Compile(o, rating.Env{NoTables: true})
	if err != nil {
		return nil, fmt.Errorf("offering %s version %d: %w", o.ID, o.Version, err)
	}
	return &Version{o, plan, o.Hash()}, nil
}

// Hash is that of the version's content, as usage records name it.
func (v *Version) Hash() [32]byte { return v.hash }

// Paid is what a bucket paid of a cut, in its unit.
type Paid struct {
	Bucket string
	Unit   journal.Unit
	Amount int64
}

// State is where a component of a session, or of a period, stands.
type State struct {
	Tally rating.Tally
	Draws []charging.Draw
}

// Part is what one component of a record comes to.
type Part struct {
	Component     int
	Zone          string
	Before, After State
	Pieces        []rating.Priced // equal neighbours are one
	Slices        []journal.PaidSlice
}

// Amount is what money pays for of the part.
func (p *Part) Amount() money.Amount { return p.After.Tally.Charged - p.Before.Tally.Charged }

// Result is what a record comes to.
type Result struct {
	Parts []Part
	Paid  []Paid // what buckets that were given took
}

// Amount is what money pays for of the record.
func (r *Result) Amount() (sum money.Amount) {
	for i := range r.Parts {
		sum += r.Parts[i].Amount()
	}
	return sum
}

// Record prices a record as the edge did: by the version that it names, from the
// state that it names, with what the charges of its cut say was paid. Exact tells
// that the slices are those of the record, one by one.
func (v *Version) Record(start int64, u *journal.UsageRecord, paid []Paid) (r Result, exact bool, err error) {
	if len(u.Parts) == 0 {
		return v.plain(start, u)
	}
	for try := range 3 {
		list, err := v.jobs(u.Parts)
		if err != nil {
			return r, false, err
		}
		if try == 1 {
			r, err = v.follow(list, cashOf(u, paid), false)
		} else {
			r, err = v.run(list, v.wallet(u, paid, try == 0))
		}
		if err != nil && try != 1 {
			return r, false, err
		}
		if err == nil && r.same(u.Parts) {
			return r, true, nil
		}
	}
	return r, false, nil
}

// cashOf is what is paid by buckets that are no allowance of the record.
func cashOf(u *journal.UsageRecord, paid []Paid) (cash []Paid) {
	names := Allowances(u)
	for _, x := range paid {
		if x.Unit.IsMoney() && names[x.Bucket] == "" {
			cash = append(cash, x)
		}
	}
	return cash
}

// plain prices a record whose price follows from its quantity.
func (v *Version) plain(start int64, u *journal.UsageRecord) (r Result, exact bool, err error) {
	m := v.Metering()
	if m == nil {
		return r, len(u.Slices) == 0, nil
	}
	i := v.Plan.Component(m.Name)
	quantity := u.Seconds
	if m.Unit == tariff.Bytes {
		quantity = int64(u.InOctets + u.OutOctets)
	}
	ctx := rating.Context{Component: i, Start: start}
	if !v.Plan.Resumes(i) {
		return r, false, fmt.Errorf("%w: its price does not follow from its quantity alone", ErrRecord)
	}
	before, err := v.Plan.Resume(ctx, u.Before)
	if err != nil {
		return r, false, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	p := Part{Component: i, Before: State{Tally: before}, After: State{Tally: before}}
	p.Before.Tally.Charged = u.Before.Charged
	if quantity > 0 {
		if p.Pieces, p.After.Tally, err = v.Plan.Rate(nil, ctx, before, rating.Use{Quantity: quantity}); err != nil {
			return r, false, fmt.Errorf("%w: %w", ErrRecord, err)
		}
	}
	list := make([]rating.Slice, len(p.Pieces))
	for k := range p.Pieces {
		list[k] = p.Pieces[k].Slice()
	}
	return Result{Parts: []Part{p}}, slices.Equal(rating.Canonical(list), u.Slices), nil
}

// job is a component to be priced.
type job struct {
	component int
	zone      int
	start     int64
	before    State
	uses      []rating.Use
	slices    []journal.PaidSlice
}

func (v *Version) jobs(parts []journal.UsagePart) ([]job, error) {
	list := make([]job, 0, len(parts))
	for i := range parts {
		p := &parts[i]
		c := v.Plan.Component(p.Component)
		if c < 0 {
			return nil, fmt.Errorf("%w: version %d has no component %q", ErrRecord, v.Version, p.Component)
		}
		j := job{component: c, zone: v.Plan.ZoneNamed(c, p.Zone), start: p.Start, before: State{Tally: p.Before}, uses: p.Uses, slices: p.Slices}
		for _, d := range p.Draws {
			j.before.Draws = append(j.before.Draws, charging.Draw(d))
		}
		list = append(list, j)
	}
	return list, nil
}

// wallet holds what paid, no more: an allowance by its terms where the version has
// it, money without any. It is in the order of charging or, where money has paid
// before allowances, in that in which they first paid.
func (v *Version) wallet(u *journal.UsageRecord, paid []Paid, allowancesFirst bool) *charging.Wallet {
	w := &charging.Wallet{Overage: map[tariff.Unit]int64{}}
	names := Allowances(u)
	for i, x := range paid {
		b := &charging.Bucket{ID: x.Bucket, Name: tariff.MoneyBalance, Unit: tariff.Money, Priority: math.MaxInt, Value: x.Amount}
		if name := names[x.Bucket]; name != "" || !x.Unit.IsMoney() {
			a := v.allowance(name)
			if a == nil || a.Unit != tariff.Unit(x.Unit) {
				continue
			}
			b.Name, b.Unit, b.Priority, b.Terms = a.Name, a.Unit, a.Priority, charging.NewTerms(v.Offering, v.Plan, a)
		}
		if !allowancesFirst {
			b.Priority = i
		}
		w.Buckets = append(w.Buckets, b)
	}
	slices.SortStableFunc(w.Buckets, func(a, b *charging.Bucket) int { return a.Priority - b.Priority })
	return w
}

func (v *Version) allowance(name string) *tariff.Allowance {
	for i := range v.Allowances {
		if v.Allowances[i].Name == name {
			return &v.Allowances[i]
		}
	}
	return nil
}

// Allowances gives the names of the allowances that paid for a record, by bucket.
func Allowances(u *journal.UsageRecord) map[string]string {
	out := map[string]string{}
	for i := range u.Parts {
		for _, x := range u.Parts[i].Slices {
			if x.Kind == rating.KindCovered && x.Bucket != "" {
				out[x.Bucket] = x.Rule
			}
		}
	}
	return out
}

// run lets the jobs' reports be paid, report by report as the edge does.
func (v *Version) run(list []job, w *charging.Wallet) (Result, error) {
	out := Result{Parts: make([]Part, len(list))}
	most := 0
	for i := range list {
		j := &list[i]
		out.Parts[i] = Part{Component: j.component, Zone: v.Plan.ZoneName(j.component, j.zone), Before: j.before, After: j.before.clone()}
		most = max(most, len(j.uses))
	}
	var r charging.Result
	for n := range most {
		for i := range list {
			j, p := &list[i], &out.Parts[i]
			if n >= len(j.uses) {
				continue
			}
			s := charging.Session{Context: rating.Context{Component: j.component, Zone: j.zone, Start: j.start}, State: p.After.Tally, Draws: p.After.Draws}
			s.Owed = s.State.Charged // who bore it a record does not say; the price does not depend on it
			if err := charging.Debit(v.Plan, &s, w, j.uses[n], charging.Owe, &r); err != nil {
				return out, fmt.Errorf("%w: %w", ErrRecord, err)
			}
			p.After = State{s.State, s.Draws}
			p.note(r.Slices, w)
			for _, x := range r.Payments {
				out.pay(x)
			}
		}
	}
	return out, nil
}

func (r *Result) pay(x charging.Payment) {
	for i := range r.Paid {
		if r.Paid[i].Bucket == x.Bucket {
			r.Paid[i].Amount += x.Amount
			return
		}
	}
	r.Paid = append(r.Paid, Paid{x.Bucket, journal.Unit(x.Unit), x.Amount})
}

// note adds pieces, with the buckets of those that allowances pay for.
func (p *Part) note(priced []rating.Priced, w *charging.Wallet) {
	for i := range priced {
		bucket := ""
		for _, b := range w.Buckets {
			if priced[i].Kind == rating.KindCovered && b.Name == priced[i].Rule {
				bucket = b.ID
				break
			}
		}
		p.add(priced[i], bucket)
	}
}

// same tells whether a result's slices are those of a record's parts.
func (r *Result) same(parts []journal.UsagePart) bool {
	for i := range parts {
		if !slices.Equal(r.Parts[i].Slices, parts[i].Slices) {
			return false
		}
	}
	return true
}
