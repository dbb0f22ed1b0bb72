package fsm

import (
	"meridian/internal/tariff"
)

// unsure stands for the profile of a session of which the NAS may have another than
// it was to have: no profile has this name.
const unsure = "/"

// profile finds the profile in force for a subscription: of the switches whose
// conditions all hold the first, or else the offering's own ("").
func (s *State) profile(sub *Subscription, o *version) (name string, p *tariff.Profile) {
	for i := range o.Switches {
		holds := true
		for _, c := range o.Switches[i].When {
			holds = holds && s.holds(sub, o, c)
		}
		if holds {
			name = o.Switches[i].Profile
			return name, o.named[name]
		}
	}
	return "", &o.Profile
}

// holds tells whether a condition holds now.
func (s *State) holds(sub *Subscription, o *version, c tariff.Condition) bool {
	switch c.Kind {
	case tariff.AllowanceUsed:
		a := o.allowance(c.Allowance)
		if a == nil {
			return false
		}
		b := s.allowanceBucket(sub, a)
		return b == nil || b.Available()+b.H == 0
	case tariff.BalanceZero:
		return s.moneyLeft(sub, o) <= 0
	case tariff.BalanceNegative:
		return s.moneyLeft(sub, o) < 0
	case tariff.InWindow:
		in, _ := o.plan.InWindow(o.plan.Window(c.Window), s.seconds())
		return in
	}
	return false
}

// switchProfile tells the NAS of a session when another profile has come into force
// than it was told, and ends a call to a zone that is barred now. One whose service is
// barred takes no new sessions; those that run go on.
func (s *State) switchProfile(sub *Subscription, sess *Session, o *version) {
	if len(o.Switches) == 0 || !sess.Open {
		return
	}
	if o.zoned { // a call has no speed
		if s.bars(sub, o, sess.Called) {
			s.disconnect(sess)
		}
		return
	}
	name, p := s.profile(sub, o)
	if name == sess.profile {
		return
	}
	e := &Effect{Kind: EffectProfile, Session: sess.Key, Login: sess.Login, FramedIP: sess.FramedIP, UpBps: p.UpBps, DownBps: p.DownBps, Profile: name}
	if s.queue(e) {
		s.beforeSession(sess)
		sess.profile = name
	}
}

// profiles makes the named profiles whole: what one leaves out is the offering's
// own. Speeds are its own, none is no limit.
func (v *version) profiles() {
	v.up, v.down = v.Profile.UpBps, v.Profile.DownBps
	v.named = map[string]*tariff.Profile{}
	for i := range v.Profiles {
		p := v.Profiles[i].Profile
		if p.SessionLimit == 0 {
			p.SessionLimit = v.Profile.SessionLimit
		}
		if p.InterimSeconds == 0 {
			p.InterimSeconds = v.Profile.InterimSeconds
		}
		if p.Pool == "" {
			p.Pool = v.Profile.Pool
		}
		v.named[v.Profiles[i].Name] = &p
		v.up, v.down = fastest(v.up, p.UpBps), fastest(v.down, p.DownBps)
	}
}

// fastest is the greater of two speeds; 0 is no limit.
func fastest(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}
