package fsm

import (
	"slices"

	"meridian/internal/charging"
	"meridian/internal/invariant"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// version is an offering version with its plan. The plan is made of the offering
// alone, so that it is the same on every replica and is not part of the dump.
type version struct {
	*tariff.Offering
	plan   *rating.Plan
	meters []int            // components that meter sessions; what is held ahead is sized by the first
	terms  []charging.Terms // by allowance
	named  map[string]*tariff.Profile
	up     int64 // greatest speeds of any profile, bits per second; 0 = no limit
	down   int64
	resume bool // its tally follows from the quantity and the charge: see plain
	zoned  bool // what it costs depends on the number that is called
}

// newVersion compiles an offering that feed.Row.Decode, or the dump's writer, has
// compiled before, and whose tables are there.
func newVersion(o *tariff.Offering, env rating.Env) *version {
	plan, err := rating.Compile(o, env)
	invariant.Check(err == nil, "offering %s version %d: %v", o.ID, o.Version, err)
	v := &version{Offering: o, plan: plan}
	for i := range o.Usage {
		if o.Usage[i].Meters(o) {
			v.meters = append(v.meters, i)
		}
	}
	for i := range o.Allowances {
		v.terms = append(v.terms, charging.NewTerms(o, plan, &o.Allowances[i]))
	}
	v.profiles()
	v.resume = len(v.meters) <= 1 && len(o.Allowances) == 0
	for _, i := range v.meters {
		v.zoned = v.zoned || plan.Zoned(i)
		rates := o.Usage[i].Rates
		windowed := slices.ContainsFunc(rates, func(r tariff.Rate) bool { return r.Window != "" })
		v.resume = v.resume && plan.Resumes(i) && !windowed && rates[0].Mode != tariff.Volume
	}
	v.resume = v.resume && !v.zoned
	return v
}

// plain tells whether two numbers are all that rating a session needs: one
// component, priced by the quantity alone, that money pays for.
func (v *version) plain() bool { return v.resume }

// metersIn tells whether what is held ahead is counted in unit.
func (v *version) metersIn(unit tariff.Unit) bool {
	return len(v.meters) > 0 && v.plan.Unit(v.meters[0]) == unit
}

// windowed tells whether it matters when within a stretch something was used.
func (v *version) windowed() bool { return len(v.Windows) > 0 }

// price is what quantity units of a session cost from where it stands.
func (v *version) price(c *charging.Session, start, quantity int64) (money.Amount, error) {
	var few [8]rating.Priced
	_, tally, err := v.plan.Rate(few[:0], c.Context, c.State, rating.Use{Quantity: quantity, From: start, To: start})
	return tally.Charged - c.State.Charged, err
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
	seconds := interim + interim/5 + secondsToDisconnect
	var sum int64
	for _, i := range v.meters {
		units := seconds
		if v.plan.Unit(i) == tariff.Bytes {
			if v.up == 0 || v.down == 0 {
				return -1
			}
			units *= (v.up + v.down) / 8
		}
		amount, err := v.plan.Dearest(i, units)
		if err != nil {
			return -1
		}
		sum += int64(amount)
	}
	return sum
}
