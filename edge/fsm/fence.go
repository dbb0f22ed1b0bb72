package fsm

import (
	"meridian/edge/command"
)

// applyFence ends all spending of a region whose ledger the centre has further than the
// region itself: it was restored from a backup, or lost what a majority had. What it
// would charge and grant now may be spent already. A ledger that has gone on since the
// hello that was refused was not behind: a leader that had not caught up had said it.
func (s *State) applyFence(c *command.Fence) command.Result {
	if c.Epoch != s.Epoch || s.Seq > c.LastSeq {
		return command.Result{Code: command.OutOfOrder}
	}
	s.Fenced = true
	return command.Result{}
}

// applyFenced is what a fenced region still does: it keeps its time, its mode, its
// policy and its level, and answers audits. Nothing is charged, cut, renewed, reserved
// or ordered, and no accounting is taken: there is no ledger that it could stand in.
func (s *State) applyFenced(c command.Command) command.Result {
	switch c := c.(type) {
	case *command.Tick:
		return s.moveTime(c)
	case *command.SetMode:
		return s.applySetMode(c)
	case *command.SetLevel:
		return s.applySetLevel(c)
	case *command.SetPolicy:
		return s.applySetPolicy(c)
	case *command.OpenEpoch:
		return s.applyOpenEpoch(c)
	case *command.Configure, *command.Fence:
		return command.Result{Code: command.Repeated}
	case *command.Audit:
		return command.Result{}
	}
	return command.Result{Code: command.NotConfigured}
}
