package fsm

import (
	"slices"

	"meridian/edge/command"
	"meridian/edge/session"
	"meridian/internal/journal"
)

// Terminate causes (RFC 2866 section 5.10) that the region itself finds.
const (
	causeLostService = 3
	causeNASReboot   = 11
)

// applyAccounting takes one report. Whatever is repeated, late or reordered, a
// session's usage is counted once: counters are cumulative.
func (s *State) applyAccounting(c *command.Accounting) command.Result {
	if s.BacklogUse() >= backlogReserve {
		return command.Result{Code: command.Overloaded}
	}
	nas := s.nas[c.NAS]
	if nas == nil {
		nas = &NAS{open: map[journal.SessionKey]*Session{}}
		nas.ID = c.NAS
		s.nas[c.NAS] = nas
	}
	if c.Status == command.On || c.Status == command.Off {
		return s.applyBoot(nas, c)
	}
	report := session.Report{Event: c.Event, Seconds: c.Seconds, In: c.In, Out: c.Out, Giga: c.Giga}
	if c.Status == command.Start {
		report.Seconds = 0
	}
	if s.Now != 0 && c.Event < s.seconds()-s.Policy.TombstoneLife {
		s.quarantine(c, "older than closed sessions are remembered")
		return command.Result{Code: command.Quarantined}
	}
	sess := s.findSession(c.NAS, c.SessionID, report)
	if sess != nil {
		return s.report(sess, nas, c, report)
	}
	if s.ofEndedEpoch(c, report) {
		s.quarantine(c, "the session began in an epoch that has ended")
		s.queue(&Effect{Kind: EffectDisconnect, Session: journal.SessionKey{NAS: c.NAS, ID: c.SessionID, Start: report.Start()}, Login: c.Login, FramedIP: c.FramedIP})
		return command.Result{Code: command.Quarantined}
	}
	if why := s.full(len(nas.open)); why != "" {
		s.quarantine(c, why)
		return command.Result{Code: command.Quarantined}
	}
	sess = s.openSession(nas, c, report.Start())
	s.report(sess, nas, c, report)
	s.enforceLimit(sess)
	return command.Result{}
}

// enforceLimit cuts off a new session for which there was no slot: several
// replicas may accept a login at the same moment.
func (s *State) enforceLimit(sess *Session) {
	sub := s.subscriptions.get(sess.Subscription)
	if sub == nil || !sess.Open {
		return
	}
	if o := s.inForce(sub, s.seconds()); o != nil && s.openCount(sub) > o.Profile.SessionLimit {
		s.disconnect(sess)
	}
}

// enforceStanding asks again for the end of a session that may not be online: its
// login was accepted just before, or the first Disconnect failed.
func (s *State) enforceStanding(sess *Session) {
	sub := s.subscriptions.get(sess.Subscription)
	if sub == nil {
		return
	}
	if sub.Terminated || sub.Barred || sub.Lapsed {
		s.disconnect(sess)
	}
}

// report counts, charges, and opens, closes or renews the session.
func (s *State) report(sess *Session, nas *NAS, c *command.Accounting, r session.Report) command.Result {
	s.beforeSession(sess)
	before := sess.Meter
	d := sess.Meter.Advance(sess.Key.Start, r, s.speed(sess))
	if d.Outcome == session.Implausible {
		s.Anomalies++
	}
	sess.Seen = max(sess.Seen, s.seconds())
	fill(&sess.FramedIP, c.FramedIP)
	fill(&sess.CallingStation, c.CallingStation)
	fill(&sess.NASPort, c.NASPort)
	if d.In != 0 || d.Out != 0 || d.Seconds != 0 {
		s.countNAS(nas, d)
		s.use(sess, before.Event, d)
	}
	if !sess.Open && !sess.Final && c.Status == command.Interim && d.Outcome == session.Counted && r.Event > before.Event && r.Start() >= nas.BootAt {
		s.reopen(sess)
	}
	switch {
	case c.Status == command.Stop && sess.Open:
		sess.Cause = c.Cause
		s.close(sess, c.Cause, true)
	case c.Status == command.Stop:
		sess.Final = true
		s.cut(sess)
	case sess.Open:
		s.renewHold(sess)
		s.enforceStanding(sess)
	default:
		s.cut(sess)
	}
	s.look(sess)
	s.wakeSession(sess, s.nextSessionDue(sess))
	if d.Outcome == session.Repeated {
		return command.Result{Code: command.Repeated}
	}
	return command.Result{}
}

// look sees what a report, or its usage, has changed for the subscriber: thresholds
// and the profile in force.
func (s *State) look(sess *Session) {
	sub := s.subscriptions.get(sess.Subscription)
	if sub == nil {
		return
	}
	if o := s.inForce(sub, s.seconds()); o != nil && len(o.Thresholds)+len(o.Switches) > 0 {
		s.notice(sub, o)
		s.switchProfile(sub, sess, o)
	}
}

// speed is what the session's line can carry: twice what its offering allows, for
// bursts.
func (s *State) speed(sess *Session) session.Speed {
	sub := s.subscriptions.get(sess.Subscription)
	if sub == nil {
		return session.Speed{}
	}
	o := s.inForce(sub, s.seconds())
	if o == nil {
		return session.Speed{}
	}
	return session.Speed{In: uint64(o.up) / 8 * 2, Out: uint64(o.down) / 8 * 2}
}

func fill(field *string, value string) {
	if value != "" {
		*field = value
	}
}

// findSession finds an open or closed session by its start, not by arrival order:
// the one whose start lies nearest within the tolerance.
func (s *State) findSession(nas, id string, r session.Report) *Session {
	var best *Session
	for _, sess := range s.bySessionID[nasSession{nas, id}] { // ascending by start
		start := sess.Key.Start
		if r.Seconds < 0 { // the report does not say when it began: the newest that began before it
			if start <= r.Event+session.StartTolerance {
				best = sess
			}
			continue
		}
		if session.SameStart(start, r.Start()) && (best == nil || abs(start-r.Start()) < abs(best.Key.Start-r.Start())) {
			best = sess
		}
	}
	return best
}

func abs(n int64) int64 { return max(n, -n) }

// openSession begins a session, whatever its first report is: a Start, or an
// Interim or Stop whose Start was lost.
func (s *State) openSession(nas *NAS, c *command.Accounting, start int64) *Session {
	sess := &Session{
		Key:   journal.SessionKey{NAS: c.NAS, ID: c.SessionID, Start: start},
		Login: c.Login, Open: true, Seen: s.seconds(), CallingStation: c.CallingStation, NASPort: c.NASPort,
	}
	sess.Meter.Event = start
	sess.CutMeter.Event = start
	if sub := s.logins.get(c.Login); sub != nil {
		sess.Subscription, sess.Account = sub.ID, sub.Account
		if o := s.inForce(sub, s.seconds()); o != nil {
			sess.Called = o.number(c.Called)
		}
	}
	s.share(sess)
	s.addSession(sess)
	s.startNASHour(nas)
	nas.Sessions++
	s.adopt(sess)
	s.wakeSession(sess, s.nextSessionDue(sess))
	return sess
}

// addSession puts a session into every index.
func (s *State) addSession(sess *Session) {
	s.beforeSession(sess)
	s.sessions[sess.Key] = sess
	k := nasSession{sess.Key.NAS, sess.Key.ID}
	list := append(s.bySessionID[k], sess)
	slices.SortFunc(list, func(a, b *Session) int { return compareSession(a.Key, b.Key) })
	s.bySessionID[k] = list
	if sess.Open {
		s.indexOpen(sess)
	}
}

func (s *State) indexOpen(sess *Session) {
	if n := s.nas[sess.Key.NAS]; n != nil {
		n.open[sess.Key] = sess
	}
	if sub := s.subscriptions.get(sess.Subscription); sub != nil {
		at, _ := slices.BinarySearchFunc(sub.open, sess, func(a, b *Session) int { return compareSession(a.Key, b.Key) })
		sub.open = slices.Insert(sub.open, at, sess)
	}
}

func (s *State) unindexOpen(sess *Session) {
	if n := s.nas[sess.Key.NAS]; n != nil {
		delete(n.open, sess.Key)
	}
	if sub := s.subscriptions.get(sess.Subscription); sub != nil {
		sub.open = slices.DeleteFunc(sub.open, func(o *Session) bool { return o == sess })
	}
}

// close ends a session: what is uncut is cut, what is held is released, and it
// stays as a tombstone. final says that the NAS itself ended it.
func (s *State) close(sess *Session, cause uint32, final bool) {
	s.beforeSession(sess)
	sess.Open, sess.Final, sess.Cause = false, final, cause
	s.unindexOpen(sess)
	s.cut(sess)
	s.releaseHold(&sess.Hold, sess.Account)
	s.wakeSession(sess, s.nextSessionDue(sess))
}

// reopen takes back a close that was only inferred: the session reports on.
func (s *State) reopen(sess *Session) {
	s.beforeSession(sess)
	sess.Open, sess.Cause, sess.Disconnect = true, 0, false
	s.indexOpen(sess)
	s.wakeSession(sess, s.nextSessionDue(sess))
}

// forget drops a tombstone at the end of its life.
func (s *State) forget(sess *Session) {
	s.beforeSession(sess)
	delete(s.sessions, sess.Key)
	k := nasSession{sess.Key.NAS, sess.Key.ID}
	list := slices.DeleteFunc(s.bySessionID[k], func(o *Session) bool { return o == sess })
	if len(list) == 0 {
		delete(s.bySessionID, k)
		return
	}
	s.bySessionID[k] = list
}

// applyBoot takes an Accounting-On or -Off: the NAS has no session left that
// began before. It costs the same for one session and for 20 000: they are closed
// by the following ticks.
func (s *State) applyBoot(nas *NAS, c *command.Accounting) command.Result {
	if c.Event <= nas.BootAt {
		return command.Result{Code: command.Repeated}
	}
	nas.BootAt = c.Event
	s.wakeNASBoot(nas, max(s.seconds(), 1))
	return command.Result{}
}

// bootSweep is how many sessions of a restarted NAS one due item closes.
const bootSweep = 500

func (s *State) sweepBoot(n *NAS) {
	keys := make([]journal.SessionKey, 0, len(n.open))
	for k := range n.open {
		if k.Start < n.BootAt {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareSession)
	for i, k := range keys {
		if i == bootSweep {
			s.wakeNASBoot(n, s.seconds())
			return
		}
		s.close(n.open[k], causeNASReboot, false)
	}
}

func (s *State) sessionKeys() []journal.SessionKey {
	keys := make([]journal.SessionKey, 0, len(s.sessions))
	for k := range s.sessions {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareSession)
	return keys
}
