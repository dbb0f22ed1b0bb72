package fsm

import (
	"slices"

	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// number is what a version keeps of the number that a session says it calls:
// nothing, where its prices ask for none.
func (v *version) number(called string) string {
	if !v.zoned {
		return ""
	}
	return called
}

// reaches tells whether a number can be called: each component that meters the call
// has a rate for its zone.
func (v *version) reaches(called string) bool {
	for _, i := range v.meters {
		if _, ok := v.plan.Zone(i, called); !ok {
			return false
		}
	}
	return true
}

// bars tells whether the profile in force bars calls to a number.
func (s *State) bars(sub *Subscription, o *version, called string) bool {
	if !o.zoned {
		return false
	}
	_, p := s.profile(sub, o)
	for _, i := range o.meters {
		if zone, _ := o.plan.Zone(i, called); len(p.BarZones) > 0 && slices.Contains(p.BarZones, o.plan.ZoneName(i, zone)) {
			return true
		}
	}
	return false
}

// context is how the component that sizes what is held ahead rates a session that
// begins at start.
func (v *version) context(called string, start int64) rating.Context {
	zone, _ := v.plan.Zone(v.meters[0], called)
	return rating.Context{Component: v.meters[0], Zone: zone, Start: start}
}

// nowhere stands for the version of a session that nothing prices: what it used is
// recorded and not charged.
func nowhere() *version { return &version{Offering: &tariff.Offering{}, resume: true} }

// unrated says why what a session used has no price.
func (sess *Session) unrated() string {
	if sess.Subscription != "" && sess.Called != "" {
		return "no rate for calls to " + sess.Called
	}
	return "no subscription or offering for login " + sess.Login
}

// resolveZones finds the zones of a session that was loaded by their names.
func (s *State) resolveZones(sess *Session) {
	o := s.offeringVersion(sess.Offering, sess.Version)
	if o == nil || sess.rated == nil {
		return
	}
	for i := range sess.rated.parts {
		p := &sess.rated.parts[i]
		if c := o.plan.Component(p.component); c >= 0 {
			p.zone = o.plan.ZoneNamed(c, p.zoneName)
		}
	}
}
