package replay

import (
	"fmt"
	"reflect"
	"slices"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// Change compares two versions on the records of sessions that the first has rated,
// record after record. What allowances paid for stays paid by them: see NewChange.
type Change struct {
	old, new *Version
	stands   map[stand]pair
	last     map[journal.SessionKey]uint32 // the newest record that was compared
}

type stand struct {
	session   journal.SessionKey
	component string
}

type pair struct{ old, new State }

// NewChange begins a comparison. The error, which wraps ErrRecord, says why records
// in parts cannot be compared: the allowances of the two are not the same, so that
// other usage may have been paid by them, or the new version meters by a component
// of which the old one's records have no reports, or it sorts destinations otherwise.
func NewChange(old, new *Version) (*Change, error) {
	fail := func(format string, args ...any) (*Change, error) {
		return nil, fmt.Errorf("%w by %s version %d: %s", ErrRecord, new.ID, new.Version, fmt.Sprintf(format, args...))
	}
	for _, v := range [...]*Version{old, new} {
		for i := range v.Usage {
			if v.Usage[i].Meters(v.Offering) && v.Plan.Falls(i) { // a cut may have given back what another charged
				return fail("version %d prices all of a session's usage by the tier that it reaches", v.Version)
			}
		}
	}
	if !reflect.DeepEqual(old.Windows, new.Windows) && len(old.Allowances)+len(new.Allowances) > 0 {
		return fail("its allowances may pay in other windows")
	}
	for i := range new.Allowances {
		a := &new.Allowances[i]
		b := old.allowance(a.Name)
		if b == nil || !reflect.DeepEqual(*a, *b) {
			return fail("its allowance %s may have paid for other usage", a.Name)
		}
	}
	for i := range old.Allowances {
		if new.allowance(old.Allowances[i].Name) == nil {
			return fail("it has no allowance %s, which has paid for usage", old.Allowances[i].Name)
		}
	}
	for i := range new.Usage {
		u := &new.Usage[i]
		if !u.Meters(new.Offering) {
			continue
		}
		k := old.Plan.Component(u.Name)
		if k < 0 || !old.Usage[k].Meters(old.Offering) || old.Usage[k].Unit != u.Unit {
			return fail("the records have no reports of its component %s", u.Name)
		}
		if !sameZones(&old.Usage[k], u) { // a record names the zone that the old version's tables found, not what others find
			return fail("its component %s sorts destinations otherwise: correct the prices of a zone and the sorting by versions of their own", u.Name)
		}
	}
	return &Change{old: old, new: new, stands: map[stand]pair{}, last: map[journal.SessionKey]uint32{}}, nil
}

// sameZones tells whether two components find the same zone for every number.
func sameZones(a, b *tariff.Usage) bool {
	return (a.Table == "") == (b.Table == "") && a.TableHash == b.TableHash && slices.EqualFunc(a.Destinations, b.Destinations, func(x, y tariff.Destination) bool {
		return x.Zone == y.Zone && slices.Equal(x.Prefixes, y.Prefixes)
	})
}

// Record is by how much a record costs more by the new version than by the old one,
// each priced from the beginning of its session in the same way. Records of a session
// come in order, from its first by the old version on; one that does not is an error
// that wraps ErrRecord.
func (c *Change) Record(key journal.SessionKey, u *journal.UsageRecord) (more money.Amount, err error) {
	for i := range u.Parts {
		p := &u.Parts[i]
		if p.Period != 0 {
			return 0, fmt.Errorf("%w: component %s is counted by period", ErrRecord, p.Component)
		}
		if _, known := c.stands[stand{key, p.Component}]; !begins(p) && (!known || c.last[key]+1 != u.Number) {
			return 0, fmt.Errorf("%w: the records of its session before it are not at hand", ErrRecord)
		}
	}
	before, err := c.price(c.old, key, u, func(p *pair) *State { return &p.old })
	if err != nil {
		return 0, err
	}
	after, err := c.price(c.new, key, u, func(p *pair) *State { return &p.new })
	if err != nil {
		return 0, err
	}
	for i := range u.Parts {
		name := u.Parts[i].Component
		p := pair{old: before.state(c.old, name), new: after.state(c.new, name)}
		c.stands[stand{key, name}] = p
	}
	c.last[key] = u.Number
	return money.Sub(after.Amount(), before.Amount())
}

// begins tells whether a part is the first by its version of its session.
func begins(p *journal.UsagePart) bool { return p.Before == (rating.Tally{}) && len(p.Draws) == 0 }

// price prices a record by one side. What the side does not meter costs nothing.
func (c *Change) price(v *Version, key journal.SessionKey, u *journal.UsageRecord, side func(*pair) *State) (Result, error) {
	parts := slices.Clone(u.Parts)
	parts = slices.DeleteFunc(parts, func(p journal.UsagePart) bool {
		k := v.Plan.Component(p.Component)
		return v == c.new && (k < 0 || !v.Usage[k].Meters(v.Offering) && c.meters(p.Component))
	})
	list, err := v.jobs(parts)
	if err != nil {
		return Result{}, err
	}
	for i := range list {
		if name := v.Plan.ZoneName(list[i].component, list[i].zone); parts[i].Zone != "" && name != parts[i].Zone {
			return Result{}, fmt.Errorf("%w: version %d has no zone %s", ErrRecord, v.Version, parts[i].Zone)
		}
		list[i].before = State{}
		if at := (stand{key, parts[i].Component}); !begins(&parts[i]) {
			p := c.stands[at]
			list[i].before = side(&p).clone()
		}
	}
	return v.follow(list, nil, true)
}

// meters tells whether the old version meters sessions by a component.
func (c *Change) meters(component string) bool {
	k := c.old.Plan.Component(component)
	return k >= 0 && c.old.Usage[k].Meters(c.old.Offering)
}

func (r *Result) state(v *Version, component string) State {
	for i := range r.Parts {
		if v.Usage[r.Parts[i].Component].Name == component {
			return r.Parts[i].After
		}
	}
	return State{}
}
