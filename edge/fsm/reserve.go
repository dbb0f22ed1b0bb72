package fsm

import (
	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/internal/charging"
	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// applyReserve grants a session slot and, for a metered subscription, a hold.
func (s *State) applyReserve(c *command.Reserve) command.Result {
	refuse := func(r command.Reason) command.Result {
		return command.Result{Code: command.Refused, Reason: r}
	}
	sub, o, reason := s.admit(c.Login)
	if reason != command.ReasonNone {
		return refuse(reason)
	}
	inSeconds := o.metersIn(tariff.Seconds)
	called := o.number(c.Called)
	if !o.reaches(called) {
		return refuse(command.ReasonDestination)
	}
	if s.bars(sub, o, called) {
		return refuse(command.ReasonBarredZone)
	}
	if r := s.reservations[c.Key]; r != nil && r.Subscription == sub.ID && r.Called == called {
		return command.Result{LimitUnits: r.Limit, Seconds: inSeconds}
	}
	if sess := s.sameSession(sub, c); sess != nil {
		return command.Result{LimitUnits: sess.Limit, Seconds: inSeconds}
	}
	if r := s.reservations[c.Key]; r != nil { // the login was another subscription's, or the call goes elsewhere
		s.dropReservation(r)
	}
	if !o.zoned || s.openCount(sub)+int(sub.reserved) >= o.Profile.SessionLimit { // a line may have calls beside each other
		s.takeOver(sub, c)
	}
	if s.openCount(sub)+int(sub.reserved) >= o.Profile.SessionLimit {
		return refuse(command.ReasonSessionLimit)
	}
	r := &Reservation{
		Key: c.Key, NAS: c.NAS, SessionID: c.SessionID, CallingStation: c.CallingStation, NASPort: c.NASPort, Called: called,
		Subscription: sub.ID, Until: s.seconds() + s.Policy.ReservationTTL,
	}
	if o.Metered() {
		c := charging.Session{Context: o.context(called, s.seconds())}
		s.foresee(&c, sub, o, false)
		if r.Limit = s.hold(sub, o, &c, &r.Hold); r.Limit == 0 {
			s.releaseHold(&r.Hold, sub.Account)
			s.want(sub, called, o)
			return refuse(command.ReasonNoBalance)
		}
	}
	sub.reserved++
	s.beforeReservation(r)
	s.reservations[r.Key] = r
	s.wakeReservation(r, r.Until)
	return command.Result{LimitUnits: r.Limit, Seconds: inSeconds}
}

// admit finds the subscription of a login and the offering in force, and says why
// it may not go online.
func (s *State) admit(login string) (*Subscription, *version, command.Reason) {
	return s.admitted(s.logins.get(login))
}

func (s *State) admitted(sub *Subscription) (*Subscription, *version, command.Reason) {
	switch {
	case s.Fenced || s.Gathering:
		return nil, nil, command.ReasonFenced
	case sub == nil:
		return nil, nil, command.ReasonUnknown
	case sub.Terminated:
		return sub, nil, command.ReasonTerminated
	case sub.Barred:
		return sub, nil, command.ReasonBarred
	case s.BacklogUse() >= backlogFull:
		return sub, nil, command.ReasonBacklog
	}
	o := s.inForce(sub, s.seconds())
	switch {
	case o == nil:
		return sub, nil, command.ReasonNoOffering
	case sub.unpaid(o):
		return sub, o, command.ReasonUnpaid
	}
	if len(o.Switches) > 0 {
		if _, p := s.profile(sub, o); p.BarService {
			return sub, o, command.ReasonNoBalance
		}
	}
	return sub, o, command.ReasonNone
}

// sameSession finds the open session that this very request had reserved: a
// request that arrives again after its Start gets the first answer.
func (s *State) sameSession(sub *Subscription, c *command.Reserve) *Session {
	for _, sess := range sub.open {
		if sess.ReserveKey == c.Key && c.SessionID != "" && sess.Key.ID == c.SessionID {
			return sess
		}
	}
	return nil
}

// takeOver closes a session of the same line: the subscriber's equipment logs in
// again there, so its Stop was lost. Usage that is reported later still counts.
func (s *State) takeOver(sub *Subscription, c *command.Reserve) {
	if c.CallingStation == "" && c.NASPort == "" {
		return
	}
	for i := len(sub.open) - 1; i >= 0; i-- {
		sess := sub.open[i]
		if sess.Key.NAS == c.NAS && sess.CallingStation == c.CallingStation && sess.NASPort == c.NASPort {
			s.close(sess, causeLostService, false)
		}
	}
}

// openCount counts open sessions, leaving out those that their NAS forgot when it
// restarted.
func (s *State) openCount(sub *Subscription) int {
	n := 0
	for _, sess := range sub.open {
		if nas := s.nas[sess.Key.NAS]; nas == nil || sess.Key.Start >= nas.BootAt {
			n++
		}
	}
	return n
}

// want asks the centre for the part of a quota that the region lacks.
func (s *State) want(sub *Subscription, called string, o *version) {
	c := charging.Session{Context: o.context(called, s.seconds())}
	s.foresee(&c, sub, o, false)
	need, err := o.price(&c, s.seconds(), o.Reservation.Quota)
	if err != nil {
		return
	}
	for _, b := range s.usable(sub.Account, journal.Unit(o.Currency)) {
		if total := b.G + int64(need); total > b.Wanted && total > b.G {
			s.beforeBucket(b)
			b.Wanted = total
			s.wanting[b.ID] = true
			s.wantedSerial++
		}
		return
	}
}

// adopt gives a session the reservation that its login made.
func (s *State) adopt(sess *Session) {
	var r *Reservation
	for _, key := range []string{
		ReserveKey(sess.Key.NAS, sess.Key.ID, "", "", sess.Login),
		ReserveKey(sess.Key.NAS, "", sess.CallingStation, sess.NASPort, sess.Login),
	} {
		if r = s.reservations[key]; r != nil && r.Subscription == sess.Subscription {
			break
		}
		r = nil
	}
	if r == nil {
		return
	}
	s.beforeReservation(r)
	delete(s.reservations, r.Key)
	sub := s.subscriptions.get(r.Subscription)
	sub.reserved--
	sess.ReserveKey, sess.Hold, sess.Limit = r.Key, r.Hold, r.Limit
	if sess.Called == "" {
		sess.Called = r.Called
	}
	if o := s.inForce(sub, s.seconds()); o != nil {
		sess.HoldUntil = s.seconds() + max(o.Reservation.TTLSeconds, s.Policy.ReservationTTL)
	}
}

// ReserveKey builds the key of a reservation: NAS and Acct-Session-Id, or without
// one the line (Calling-Station-Id, NAS-Port-Id), and the login.
func ReserveKey(nas, sessionID, callingStation, nasPort, login string) string {
	if sessionID != "" {
		return nas + "\x00s\x00" + sessionID + "\x00" + login
	}
	return nas + "\x00l\x00" + callingStation + "\x00" + nasPort + "\x00" + login
}

// renewHold keeps a metered session's hold alive and ahead of its usage. A
// session that has nothing left and can get nothing is cut off by a Disconnect.
func (s *State) renewHold(sess *Session) {
	sub := s.subscriptions.get(sess.Subscription)
	if sub == nil {
		return
	}
	o := s.inForce(sub, s.seconds())
	if o == nil || !o.Metered() {
		return
	}
	s.beforeSession(sess)
	lapsed := sess.HoldUntil == 0
	sess.HoldUntil = s.seconds() + max(o.Reservation.TTLSeconds, s.Policy.ReservationTTL)
	used := sess.Meter.Seconds
	if o.metersIn(tariff.Bytes) {
		used = int64(sess.Meter.In + sess.Meter.Out)
	}
	if !o.reaches(sess.Called) {
		s.disconnect(sess)
		return
	}
	if sess.Disconnect || !lapsed && sess.Limit-used >= (o.Reservation.Quota+1)/2 {
		return
	}
	c := &charging.Session{Context: o.context(sess.Called, s.seconds())}
	if sess.Offering == o.ID && sess.Version == o.Version {
		var err error
		if c, err = s.sitting(sess, o, 0); err != nil {
			return
		}
	}
	s.foresee(c, sub, o, sess.begun(o))
	more := s.hold(sub, o, c, &sess.Hold)
	if more == 0 {
		s.want(sub, sess.Called, o)
		s.disconnect(sess)
		return
	}
	if limit := used + more; limit > sess.Limit {
		sess.Limit = limit
		s.queue(&Effect{Kind: EffectLimit, Session: sess.Key, Login: sess.Login, FramedIP: sess.FramedIP, Limit: limit, Seconds: o.metersIn(tariff.Seconds)})
	}
}

func (s *State) disconnect(sess *Session) {
	if !sess.Disconnect {
		s.beforeSession(sess)
		sess.Disconnect = s.queue(&Effect{Kind: EffectDisconnect, Session: sess.Key, Login: sess.Login, FramedIP: sess.FramedIP})
	}
}

// queue adds an effect and tells whether there was room.
func (s *State) queue(e *Effect) bool {
	if len(s.effects) >= MaxEffects {
		return false
	}
	s.nextEffect++
	e.ID = s.nextEffect
	s.beforeEffect(e.ID)
	s.effects[e.ID] = e
	return true
}

func (s *State) dropReservation(r *Reservation) {
	s.beforeReservation(r)
	delete(s.reservations, r.Key)
	if sub := s.subscriptions.get(r.Subscription); sub != nil {
		sub.reserved--
		s.releaseHold(&r.Hold, sub.Account)
	}
}

// releaseHold gives back what is held; then what the region owes (borrowed, asked
// back by the centre) is served first.
func (s *State) releaseHold(hold *[]verify.Part, account string) {
	for _, p := range *hold {
		b := s.buckets.get(p.Bucket)
		s.beforeBucket(b)
		b.Release(p.Amount)
	}
	*hold = nil
	s.freed(account)
}

// freed lets an account's money that has become free serve what is owed first, then
// what lapsed.
func (s *State) freed(account string) {
	for _, b := range s.bucketsOf(account) {
		s.settle(b)
	}
	for _, sub := range s.subscriptionsOf(account) { // what is free now may pay a period that lapsed
		if sub.Lapsed {
			s.renewSoon(sub)
		}
	}
}

// settle repays what was borrowed and returns what the centre asks back.
func (s *State) settle(b *balance.Bucket) {
	s.beforeBucket(b)
	if n := b.Repay(); n > 0 {
		s.emit(journal.Entry{Kind: journal.KindRepaid, Account: b.Account, Bucket: b.ID, Unit: b.Unit, Amount: n})
	}
	if n := b.Return(); n > 0 {
		s.emit(journal.Entry{Kind: journal.KindReturned, Account: b.Account, Bucket: b.ID, Unit: b.Unit, Amount: n})
	}
}
