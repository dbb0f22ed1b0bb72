package fsm

// inForce is the version by which a subscription is served and charged at t (Unix
// seconds): the newest valid one, unless the version that it holds, or one that came
// to it since, is grandfathered: those who have that keep it. A newer one is had by
// an order that changes the offering, be it to the same.
func (s *State) inForce(sub *Subscription, t int64) *version {
	versions := s.offerings[sub.Offering]
	var have *version
	for _, v := range versions {
		switch {
		case v.Version == sub.Held && v.ValidFrom <= t:
			have = v
		case have == nil || v.ValidFrom > t:
		case have.Grandfathered:
			return have
		default:
			have = v
		}
	}
	if have == nil {
		return s.offeringAt(sub.Offering, t)
	}
	return have
}

// before is the version that a session's usage of before the offering was changed is
// priced by.
func (s *State) before(sub *Subscription, sess *Session, t int64) *version {
	if v := s.offeringVersion(sess.Offering, sess.Version); v != nil && v.ID == sub.Previous && v.Grandfathered {
		return v
	}
	return s.offeringAt(sub.Previous, t)
}

// bought notes which version a subscription has bought, once its region knows one.
func (s *State) bought(sub *Subscription, now int64) {
	if sub.Held != 0 {
		return
	}
	if sub.Contract.Bought != 0 {
		now = sub.Contract.Bought
	}
	if o := s.offeringAt(sub.Offering, now); o != nil {
		sub.Held = o.Version
	}
}
