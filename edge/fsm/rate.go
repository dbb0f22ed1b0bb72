package fsm

import (
	"math"

	"meridian/internal/invariant"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// version is an offering version with its plan. The plan is made of the offering
// alone, so that it is the same on every replica and is not part of the dump.
type version struct {
	*tariff.Offering
	plan  *rating.Plan
	meter int // component that meters sessions, −1 = none
}

// newVersion compiles an offering that feed.Row.Decode, or the dump's writer, has
// compiled before.
func newVersion(o *tariff.Offering) *version {
	plan, err := rating.Compile(o, rating.Env{})
	invariant.Check(err == nil, "offering %s version %d: %v", o.ID, o.Version, err)
	v := &version{Offering: o, plan: plan, meter: -1}
	if u := o.Metering(); u != nil {
		v.meter = plan.Component(u.Name)
	}
	return v
}

// meters tells whether the offering's sessions are metered in unit.
func (v *version) meters(unit tariff.Unit) bool { return v.meter >= 0 && v.plan.Unit(v.meter) == unit }

// charge prices quantity more units of a session that began at start, on top of
// state. Slices go into buf.
func (v *version) charge(buf []rating.Priced, start int64, state rating.State, quantity int64) ([]rating.Priced, rating.State, error) {
	ctx := rating.Context{Component: v.meter, Start: start}
	tally, err := v.plan.Resume(ctx, state)
	if err != nil {
		return buf, state, err
	}
	buf, tally, err = v.plan.Rate(buf, ctx, tally, rating.Use{Quantity: quantity})
	return buf, tally.State, err
}

// price is what quantity more units would cost.
func (v *version) price(start int64, state rating.State, quantity int64) (money.Amount, error) {
	var few [8]rating.Priced
	_, next, err := v.charge(few[:0], start, state, quantity)
	return next.Charged - state.Charged, err
}

// affordable is the largest further quantity that amount pays for.
func (v *version) affordable(start int64, state rating.State, amount money.Amount) int64 {
	ctx := rating.Context{Component: v.meter, Start: start}
	tally, err := v.plan.Resume(ctx, state)
	if err != nil {
		return 0
	}
	var few [8]rating.Priced
	_, _, n, err := v.plan.Fit(few[:0], ctx, tally, rating.Use{Quantity: math.MaxInt64/8 - state.Quantity}, amount)
	if err != nil {
		return 0
	}
	return n
}

// secondsToDisconnect is how long after the report that spends the last unit a
// session may live on: the Disconnect is sent at once and repeated.
const secondsToDisconnect = 10

// overrunBound is what one session of a metered offering can overrun at most:
// its speed (or time) for the longest interim interval that a NAS is told (the
// offering's and a fifth, by which intervals are spread) and the time to
// disconnect, at the dearest price. It is −1 when the offering names no speed.
func (v *version) overrunBound() int64 {
	if !v.Metered() {
		return 0
	}
	interim := int64(v.Profile.InterimSeconds)
	units := interim + interim/5 + secondsToDisconnect
	if v.meters(tariff.Bytes) {
		if v.Profile.UpBps == 0 || v.Profile.DownBps == 0 {
			return -1
		}
		units *= (v.Profile.UpBps + v.Profile.DownBps) / 8
	}
	amount, err := v.plan.Dearest(v.meter, units)
	if err != nil {
		return -1
	}
	return int64(amount)
}
