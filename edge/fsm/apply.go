package fsm

import (
	"cmp"
	"slices"

	"meridian/edge/command"
	"meridian/internal/invariant"
)

// Apply executes one command. The same commands in the same order give the same
// state, entries and results on every replica. A command that cannot be executed
// says so by its result and changes nothing else.
func (s *State) Apply(c command.Command) command.Result {
	res := s.execute(c)
	s.countTouched()
	return res
}

func (s *State) execute(c command.Command) command.Result {
	if _, founding := c.(*command.Configure); !founding && !s.Configured {
		return command.Result{Code: command.NotConfigured}
	}
	if s.Fenced {
		return s.applyFenced(c)
	}
	if s.Gathering {
		return s.applyGathering(c)
	}
	switch c := c.(type) {
	case *command.Fence:
		return s.applyFence(c)
	case *command.Accounting:
		if !s.serving() {
			return command.Result{Code: command.NotConfigured}
		}
		return s.applyAccounting(c)
	case *command.Reserve:
		if !s.serving() {
			return command.Result{Code: command.NotConfigured}
		}
		return s.applyReserve(c)
	case *command.Event:
		if !s.serving() {
			return command.Result{Code: command.NotConfigured}
		}
		return s.applyEvent(c)
	case *command.Feed:
		return s.applyFeed(c)
	case *command.Tick:
		return s.applyTick(c)
	case *command.Configure:
		return s.applyConfigure(c)
	case *command.OpenEpoch:
		return s.applyOpenEpoch(c)
	case *command.Acked:
		return s.applyAcked(c)
	case *command.SetMode:
		return s.applySetMode(c)
	case *command.EffectsDone:
		return s.applyEffectsDone(c)
	case *command.CutAll:
		return s.applyCutAll(c)
	case *command.Audit:
		return command.Result{}
	case *command.SetLevel:
		return s.applySetLevel(c)
	case *command.SetPolicy:
		return s.applySetPolicy(c)
	}
	invariant.Check(false, "command %T has no place in Apply", c)
	return command.Result{}
}

// serving tells whether there is a ledger to write to (the centre issued an epoch)
// and a time to write it by.
func (s *State) serving() bool { return s.Epoch != 0 && s.Now != 0 }

// applyConfigure founds the region; a second founding changes nothing.
func (s *State) applyConfigure(c *command.Configure) command.Result {
	if s.Configured {
		return command.Result{Code: command.Repeated}
	}
	s.Region, s.Policy, s.Level, s.Configured = c.Region, c.Policy, command.FirstLevel, true
	return command.Result{}
}

// applySetLevel raises the feature level; it is never lowered.
func (s *State) applySetLevel(c *command.SetLevel) command.Result {
	if c.Level <= s.Level {
		return command.Result{Code: command.Repeated}
	}
	s.Level = c.Level
	return command.Result{}
}

// applySetPolicy replaces the policy. What is due already stays due at its time and
// is looked at by the new policy then.
func (s *State) applySetPolicy(c *command.SetPolicy) command.Result {
	if c.Policy.Validate() != nil {
		return command.Result{Code: command.OutOfOrder}
	}
	if c.Policy == s.Policy {
		return command.Result{Code: command.Repeated}
	}
	if c.Before != nil && *c.Before != s.Policy {
		return command.Result{Code: command.OutOfOrder}
	}
	if c.Policy.RenewalsPerHour > s.Policy.RenewalsPerHour { // a person has looked
		s.RenewalsHeld = false
	}
	s.Policy = c.Policy
	return command.Result{}
}

func (s *State) applyAcked(c *command.Acked) command.Result {
	if c.Epoch != s.Epoch || c.Seq > s.Seq {
		return command.Result{Code: command.OutOfOrder}
	}
	if c.Seq <= s.Acked {
		return command.Result{Code: command.Repeated}
	}
	s.Acked, s.AckedHash = c.Seq, c.Hash
	s.trimStretches()
	return command.Result{}
}

// applySetMode changes the mode. When the link returns, what is uncut is cut by
// the following ticks, so that the centre sees it soon but not all at once.
func (s *State) applySetMode(c *command.SetMode) command.Result {
	if c.Mode == s.Mode {
		return command.Result{Code: command.Repeated}
	}
	s.Mode, s.ModeSince = c.Mode, s.Now
	return command.Result{}
}

// applyTick moves region time to the median of the nodes' clocks, never
// backwards, and handles what is due, at most Policy.DuePerTick items in order.
func (s *State) applyTick(c *command.Tick) command.Result {
	if res := s.moveTime(c); res.Code != command.OK {
		return res
	}
	// Timers that moved are not counted: a replica restored from a snapshot does
	// not have them, and must handle the same items in the same tick.
	for handled := int64(0); handled < s.Policy.DuePerTick; {
		t, ok := s.timers.due(s.seconds())
		if !ok {
			break
		}
		if s.handleTimer(t) {
			handled++
		}
	}
	s.flushNASHours()
	return command.Result{}
}

func (s *State) moveTime(c *command.Tick) command.Result {
	if len(c.Clocks) == 0 {
		return command.Result{Code: command.OutOfOrder}
	}
	clocks := slices.Clone(c.Clocks)
	slices.Sort(clocks)
	s.Now = max(s.Now, clocks[(len(clocks)-1)/2])
	return command.Result{}
}

// applyCutAll cuts the sessions that have uncut usage, the oldest first.
func (s *State) applyCutAll(c *command.CutAll) command.Result {
	var uncut []*Session
	for _, key := range s.sessionKeys() {
		if sess := s.sessions[key]; sess.Uncut != 0 {
			uncut = append(uncut, sess)
		}
	}
	slices.SortStableFunc(uncut, func(a, b *Session) int { return cmp.Compare(a.Uncut, b.Uncut) })
	for _, sess := range uncut[:min(max(c.Limit, 0), len(uncut))] {
		s.cut(sess)
	}
	return command.Result{}
}

func (s *State) applyEffectsDone(c *command.EffectsDone) command.Result {
	for _, d := range c.Done {
		e := s.effects[d.ID]
		if e == nil {
			continue
		}
		s.beforeEffect(d.ID)
		delete(s.effects, d.ID)
		sess := s.sessions[e.Session]
		if sess == nil || !sess.Open || e.Kind == EffectLimit {
			continue
		}
		if e.Kind == EffectProfile {
			if d.Outcome == command.EffectFailed && sess.profile == e.Profile { // the next report tries again
				s.beforeSession(sess)
				sess.profile = unsure
			}
			continue
		}
		switch d.Outcome {
		case command.EffectNoSession:
			s.close(sess, causeLostService, false)
		case command.EffectFailed:
			s.beforeSession(sess)
			sess.Disconnect = false
		}
	}
	return command.Result{}
}
