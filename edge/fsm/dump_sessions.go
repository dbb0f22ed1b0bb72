package fsm

import (
	"meridian/internal/canon"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
)

func (s *State) appendSession(w *canon.Writer, k journal.SessionKey) {
	sess := s.sessions[k]
	k.Append(w)
	for _, v := range [...]string{sess.Login, sess.Subscription, sess.Account, sess.FramedIP, sess.CallingStation, sess.NASPort, sess.Offering, sess.ReserveKey} {
		w.String(v)
	}
	for _, v := range [...]bool{sess.Open, sess.Final, sess.Disconnect} {
		w.Bool(v)
	}
	appendMeter(w, sess.Meter)
	appendMeter(w, sess.CutMeter)
	journal.AppendState(w, sess.Rating)
	journal.AppendState(w, sess.CutBefore)
	journal.AppendSlices(w, sess.Slices)
	journal.AppendSlices(w, sess.Overruns)
	appendParts(w, sess.Pending)
	appendParts(w, sess.Hold)
	for _, v := range [...]uint32{sess.Cause, sess.Version, sess.Cuts} {
		w.Uvarint(uint64(v))
	}
	for _, v := range [...]int64{sess.Seen, sess.Uncut, sess.HoldUntil, sess.Limit, int64(sess.OverrunTotal), sess.wake} {
		w.Varint(v)
	}
	w.String(sess.profile)
	w.String(sess.Called)
	appendRated(w, sess.rated)
}

func (s *State) appendReservation(w *canon.Writer, key string) {
	x := s.reservations[key]
	for _, v := range [...]string{x.Key, x.NAS, x.SessionID, x.CallingStation, x.NASPort, x.Subscription, x.Called} {
		w.String(v)
	}
	appendParts(w, x.Hold)
	for _, v := range [...]int64{x.Until, x.Limit, x.wake} {
		w.Varint(v)
	}
}

func (s *State) loadSessions(r *canon.Reader, t *texts, format byte) {
	n := r.Count(30)
	s.sessions, s.bySessionID = make(map[journal.SessionKey]*Session, n), make(map[nasSession][]*Session, n)
	for ; n > 0; n-- {
		sess := &Session{Key: journal.ReadSessionKey(r)}
		for _, p := range []*string{&sess.Login, &sess.Subscription, &sess.Account, &sess.FramedIP, &sess.CallingStation, &sess.NASPort, &sess.Offering, &sess.ReserveKey} {
			*p = r.String()
		}
		for _, p := range []*bool{&sess.Open, &sess.Final, &sess.Disconnect} {
			*p = r.Bool()
		}
		sess.Meter, sess.CutMeter = readMeter(r), readMeter(r)
		sess.Rating, sess.CutBefore = journal.ReadState(r), journal.ReadState(r)
		sess.Slices = journal.ReadSlices(r)
		sess.Overruns = journal.ReadSlices(r)
		if format < 4 && len(sess.Overruns) == 1 && sess.Overruns[0].Amount == 0 { // it was there, empty
			sess.Overruns = nil
		}
		sess.Pending, sess.Hold = readParts(r), readParts(r)
		for _, p := range []*uint32{&sess.Cause, &sess.Version, &sess.Cuts} {
			*p = uint32(r.Uvarint())
		}
		for _, p := range []*int64{&sess.Seen, &sess.Uncut, &sess.HoldUntil, &sess.Limit} {
			*p = r.Varint()
		}
		sess.OverrunTotal = money.Amount(r.Varint())
		wake := r.Varint()
		if format >= 4 {
			sess.profile, sess.Called = t.one(r.String()), r.String()
			sess.rated = readRated(r, t)
			s.resolveZones(sess)
		}
		if r.Err() != nil {
			return
		}
		s.share(sess)
		s.addSession(sess)
		if wake != 0 {
			s.wakeSession(sess, wake)
		}
	}
	for n := r.Count(10); n > 0; n-- {
		x := &Reservation{}
		for _, p := range []*string{&x.Key, &x.NAS, &x.SessionID, &x.CallingStation, &x.NASPort, &x.Subscription} {
			*p = r.String()
		}
		if format >= 4 {
			x.Called = r.String()
		}
		x.Hold = readParts(r)
		x.Until, x.Limit = r.Varint(), r.Varint()
		wake := r.Varint()
		if r.Err() != nil {
			return
		}
		s.reservations[x.Key] = x
		if sub := s.subscriptions.get(x.Subscription); sub != nil {
			sub.reserved++
		}
		s.wakeReservation(x, wake)
	}
}

func (s *State) appendEffect(w *canon.Writer, id uint64) {
	e := s.effects[id]
	w.Uvarint(e.ID)
	w.Byte(byte(e.Kind))
	e.Session.Append(w)
	w.String(e.Login)
	w.String(e.FramedIP)
	w.Varint(e.Limit)
	w.Bool(e.Seconds)
	w.String(e.Profile)
	w.Varint(e.UpBps)
	w.Varint(e.DownBps)
}

func (s *State) appendOrder(w *canon.Writer, id string) {
	o := s.waiting[id]
	for _, v := range [...]string{o.ID, o.Subscription, string(o.Action), o.Offering, o.Bucket, o.Reason} {
		w.String(v)
	}
	for _, v := range [...]int64{o.NotBefore, o.Expires, int64(o.IfVersion), int64(o.Amount)} {
		w.Varint(v)
	}
}

func (s *State) loadQueues(r *canon.Reader, format byte) {
	for n := r.Count(9); n > 0; n-- {
		e := &Effect{ID: r.Uvarint(), Kind: EffectKind(r.Byte()), Session: journal.ReadSessionKey(r), Login: r.String(), FramedIP: r.String(), Limit: r.Varint(), Seconds: r.Bool()}
		if format >= 4 {
			e.Profile, e.UpBps, e.DownBps = r.String(), r.Varint(), r.Varint()
		}
		s.effects[e.ID] = e
	}
	for n := r.Count(1); n > 0; n-- {
		s.remember(r.String())
	}
	for n := r.Count(10); n > 0; n-- {
		o := feed.Order{ID: r.String(), Subscription: r.String(), Action: feed.Action(r.String()), Offering: r.String(), Bucket: r.String(), Reason: r.String()}
		o.NotBefore, o.Expires = r.Varint(), r.Varint()
		o.IfVersion, o.Amount = uint64(r.Varint()), money.Amount(r.Varint())
		s.waiting[o.ID] = o
		s.wakeOrder(o.ID, o.NotBefore)
	}
}
