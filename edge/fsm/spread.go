package fsm

import "meridian/internal/contract"

// Renewals of many subscriptions fall due at one instant, the first of a month. A
// tick handles a bounded number; the policy spreads them over a window as well, by
// the subscription's id, and bounds how many an hour of region time may see.
// Beyond that bound a person is asked: nothing renews any more, nobody lapses and
// all are served, until the policy is set again with a higher bound. A wrong time
// or a wrong tariff then takes an hour's renewals, and no more.

// postponed tells whether a renewal that is due has to wait, and has it looked at
// again. What an activation or a change brings is never postponed.
func (s *State) postponed(sub *Subscription, p *contract.Plan, now int64) bool {
	due, ok := p.Due(&sub.Contract)
	if !ok || due > now || due == sub.Contract.Bought {
		return false
	}
	if window := s.Policy.RenewalSpread; window > 0 {
		if at := due + int64(spread(sub.ID))%window; at > now {
			s.wakeRenewal(sub, at)
			return true
		}
	}
	if hour := now / 3600; s.RenewalHour != hour {
		s.RenewalHour, s.Renewals = hour, 0
	}
	if s.RenewalsHeld || s.Renewals >= s.Policy.RenewalsPerHour {
		s.RenewalsHeld = true
		s.wakeRenewal(sub, now+600+int64(spread(sub.ID))%heldSpread)
		return true
	}
	s.Renewals++
	return false
}

// heldSpread is over how many seconds what is held is looked at again.
const heldSpread = 3000
