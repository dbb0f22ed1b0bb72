package verify

import "meridian/internal/journal"

// recorded is what ledger and live state hold of a client's session.
type recorded struct {
	found     bool
	most      Counters // of one session as the region has it
	total     Counters // over all that the region made of it
	open      bool     // one of them is still open
	tolerated Counters // quarantined
	keys      int
}

// keepRecords hands over what the region knows of the client's sessions: entries
// and the live state of the furthest node.
func (w *walk) keepRecords() {
	if w.a.witness == nil {
		return
	}
	for k := range w.sessions {
		w.a.began[k.NAS] = w.began
	}
	w.a.newest = max(w.a.newest, w.began)
	live := map[journal.SessionKey]*EdgeSession{}
	reached := len(w.reports) > 0 && w.reports[0].walked
	if reached {
		r := w.reports[0]
		for i := range r.Sessions {
			l := &r.Sessions[i]
			live[l.Key] = l
			w.a.reached[l.Key.NAS] = true
			if w.sessions[l.Key] == nil {
				w.a.keepRecord(w.a.witness.find(l.Key), Counters{In: l.In, Out: l.Out, Seconds: l.Seconds}, Counters{}, l.Open)
			}
		}
	}
	for k, s := range w.sessions {
		if reached {
			w.a.reached[k.NAS] = true
		}
		c := s.counters
		open := false
		if l := live[k]; l != nil {
			c.raise(Counters{In: l.In, Out: l.Out, Seconds: l.Seconds})
			open = l.Open
		}
		w.a.keepRecord(w.a.witness.find(k), c, s.quarantined, open)
	}
}

func (a *audit) keepRecord(s *WitnessSession, c, quarantined Counters, open bool) {
	if s == nil {
		a.stray++
		return
	}
	r := a.records[s]
	if r == nil {
		r = &recorded{}
		a.records[s] = r
	}
	r.found = true
	r.keys++
	r.most.raise(c)
	r.total.add(c)
	r.tolerated.raise(quarantined)
	r.open = r.open || open
}

// checkWitness holds what was recorded against what the client sent and was
// acknowledged.
func (a *audit) checkWitness() {
	if a.witness == nil {
		a.v3.note("no witness was given: only the client knows what was acknowledged to it")
		return
	}
	var newest int64 // region time
	for _, list := range a.reports {
		newest = max(newest, list[0].Now/1_000_000)
	}
	for _, s := range a.witness.Sessions {
		r := a.records[s]
		if r == nil {
			r = &recorded{}
		}
		a.chargedOnce(s, r)
		if s.Acks > 0 {
			a.notLost(s, r, newest)
		}
	}
	a.v3.note("%d sessions are in ledger or live state with all that was acknowledged of them", a.v3.checked)
	if a.unknown > 0 {
		a.v3.note("%d sessions could not be looked up: no node of their region was reached", a.unknown)
	}
	if a.stray > 0 {
		a.v3.note("%d sessions are not the witness's", a.stray)
	}
	if a.ended > 0 {
		a.v3.note("%d sessions of ended epochs lack what was acknowledged of them: their region's disks were lost", a.ended)
	}
	if a.forgotten > 0 {
		a.v3.note("%d sessions without usage are older than closed sessions are remembered", a.forgotten)
	}
}

// beganAt is when the newest epoch of a NAS's region did; of one that no ledger names,
// the newest of all.
func (a *audit) beganAt(nas string) int64 {
	if began, known := a.began[nas]; known {
		return began
	}
	return a.newest
}

// notLost checks that all that was acknowledged of a session is still there.
func (a *audit) notLost(s *WitnessSession, r *recorded, newest int64) {
	held := r.most
	held.raise(r.tolerated)
	less := held.In < s.Acked.In || held.Out < s.Acked.Out || held.Seconds < s.Acked.Seconds
	switch {
	case (less || !r.found) && a.blind > 0 && !a.reached[s.Key.NAS]:
		a.unknown++
		return
	case (less || !r.found) && s.Key.Start < a.beganAt(s.Key.NAS):
		a.ended++
		return
	case less:
		a.v3.fail("session %s: %d/%d octets and %d s were acknowledged, ledger and live state hold %d/%d and %d s: acknowledged usage is lost",
			s.Key, s.Acked.In, s.Acked.Out, s.Acked.Seconds, held.In, held.Out, held.Seconds)
	case !r.found && newest-s.LastAcked > a.opt.TombstoneSeconds:
		a.forgotten++
		return
	case !r.found:
		a.v3.fail("session %s: %d requests were acknowledged, neither ledger nor live state knows it: an acknowledged session is lost", s.Key, s.Acks)
	case s.Stopped && r.open:
		a.v3.fail("session %s: its Stop was acknowledged, and it is still open: an acknowledged Stop is lost", s.Key)
	}
	a.v3.checked++
}

// chargedOnce checks that no more was recorded of a session than its client sent.
func (a *audit) chargedOnce(s *WitnessSession, r *recorded) {
	if !r.found {
		return
	}
	a.v2.checked++
	most := r.total
	if most.In > s.Sent.In || most.Out > s.Sent.Out || most.Seconds > s.Sent.Seconds {
		a.v2.fail("session %s: its client sent %d/%d octets and %d s at most, %d/%d and %d s are recorded in %d sessions: usage is charged twice",
			s.Key, s.Sent.In, s.Sent.Out, s.Sent.Seconds, most.In, most.Out, most.Seconds, r.keys)
	}
	if q := r.tolerated; q.In > s.Sent.In || q.Out > s.Sent.Out || q.Seconds > s.Sent.Seconds {
		a.v2.fail("session %s: its client sent %d/%d octets and %d s at most, %d/%d and %d s are in quarantine", s.Key, s.Sent.In, s.Sent.Out, s.Sent.Seconds, q.In, q.Out, q.Seconds)
	}
}

// checkAutonomy judges the phases in which a region had no centre or lost its
// leader.
func (a *audit) checkAutonomy() {
	v := &a.v8
	if a.witness == nil {
		v.note("no witness was given: only the client knows what was answered to it")
		return
	}
	for _, name := range []string{PhaseLinkCut, PhaseCentreKilled} {
		p := a.witness.Phase(name)
		if p == nil {
			v.note("the witness has no phase %s", name)
			continue
		}
		v.checked += p.Accepts + p.Acked
		switch timeouts := p.AuthTimeouts + p.AcctTimeouts; {
		case p.Accepts == 0:
			v.fail("phase %s: no login was accepted (%d refused, %d timed out): the region does not live without the centre", name, p.Rejects, p.AuthTimeouts)
		case p.Acked == 0:
			v.fail("phase %s: no accounting request was acknowledged (%d timed out): the region does not live without the centre", name, p.AcctTimeouts)
		case timeouts > 0:
			v.fail("phase %s: %d logins and %d accounting requests timed out, beside %d accepted and %d acknowledged: the region noticed that the centre was away", name, p.AuthTimeouts, p.AcctTimeouts, p.Accepts, p.Acked)
		}
		v.note("%s: %d logins accepted, %d requests acknowledged, no timeout", name, p.Accepts, p.Acked)
	}
	p := a.witness.Phase(PhaseLeaderKilled)
	if p == nil {
		v.note("the witness has no phase %s", PhaseLeaderKilled)
		return
	}
	v.checked += p.Accepts + p.Acked
	if p.AckedSinceTimeout == 0 {
		v.fail("phase %s: no accounting request was acknowledged after the last of %d timeouts: no other node took over", p.Name, p.AuthTimeouts+p.AcctTimeouts)
	}
	v.note("%s: %d requests acknowledged, %d after the last of %d timeouts", p.Name, p.Acked, p.AckedSinceTimeout, p.AuthTimeouts+p.AcctTimeouts)
}
