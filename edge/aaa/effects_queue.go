package aaa

import (
	"log/slog"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/journal"
)

// look reads the queue anew. A node that does not lead forgets what it has not
// begun and only hands in the outcomes that it still has.
func (e *Effects) look() {
	e.handler.Refresh()
	e.looks++
	e.leading = e.log.IsLeader()
	var list []fsm.Effect
	if e.leading {
		e.log.View(func(s *fsm.State) {
			if s.EffectsQueued() > 0 {
				list = s.Effects(e.cfg.Window)
			}
		})
	}
	e.stats.queued.Store(int64(len(list)))
	kept := make([]*item, 0, len(list))
	if !e.leading {
		for _, it := range e.order {
			if it.phase != waiting {
				kept = append(kept, it)
			}
		}
	}
	for i := range list {
		it := e.items[list[i].ID]
		if it == nil {
			it = &item{effect: list[i]}
			e.items[it.effect.ID] = it
		}
		it.seen = e.looks
		kept = append(kept, it)
	}
	e.order = kept
	for id, it := range e.items {
		if it.seen != e.looks && it.phase != inFlight && (e.leading || it.phase == waiting) {
			delete(e.items, id)
		}
	}
	e.line()
}

// line puts the effects of one session behind each other. A limit, or a profile,
// that waits while a later one or a Disconnect of the session is queued says nothing
// new: it is taken off unsent.
// A limit behind a Disconnect waits for it, should the Disconnect fail.
func (e *Effects) line() {
	last := make(map[journal.SessionKey]*item, len(e.order))
	for _, it := range e.order {
		it.after = nil
		if it.phase == finished || it.phase == reported {
			continue
		}
		before := last[it.effect.Session]
		for before != nil && before.phase == waiting && before.effect.Kind != fsm.EffectDisconnect && (before.effect.Kind == it.effect.Kind || it.effect.Kind == fsm.EffectDisconnect) {
			before.finish(command.EffectDone)
			e.stats.superseded.Add(1)
			before = before.after
		}
		it.after = before
		last[it.effect.Session] = it
	}
}

func (it *item) finish(outcome command.EffectOutcome) { it.phase, it.outcome = finished, outcome }

// blocked tells whether an earlier effect of the session is not yet settled.
func (it *item) blocked() bool {
	return it.after != nil && (it.after.phase == waiting || it.after.phase == inFlight)
}

// pause is how long to wait after so many tries.
func (c *EffectsConfig) pause(tries int) time.Duration {
	p := c.RetryPause
	for range tries - 1 {
		if p *= 2; p >= c.RetryPauseMax {
			return c.RetryPauseMax
		}
	}
	return min(p, c.RetryPauseMax)
}

// propose hands outcomes to the log, one command at a time.
func (e *Effects) propose(now time.Time) {
	if len(e.proposed) > 0 || now.Before(e.proposeAt) {
		return
	}
	c := &command.EffectsDone{Meta: e.handler.meta(now)}
	for _, it := range e.order {
		if it.phase != finished {
			continue
		}
		it.phase = reported
		e.proposed = append(e.proposed, it)
		c.Done = append(c.Done, command.EffectResult{ID: it.effect.ID, Outcome: it.outcome})
		if len(c.Done) == e.cfg.Batch {
			break
		}
	}
	if len(c.Done) > 0 {
		// The channel has room for the one proposal that is out.
		e.log.Propose(c, func(_ command.Result, err error) { e.committed <- err })
	}
}

// taken notes what became of the proposal. After an error it is repeated: taking an
// effect off twice changes nothing.
func (e *Effects) taken(err error) {
	if err != nil {
		for _, it := range e.proposed {
			it.phase = finished
		}
		e.stats.notTaken.Add(1)
		e.proposeAt = time.Now().Add(e.cfg.Every)
		if e.warned.allow() {
			e.logger.Warn("outcomes of effects not taken by the log", slog.Int("outcomes", len(e.proposed)), slog.String("error", err.Error()))
		}
	} else {
		e.stats.commits.Add(uint64(len(e.proposed)))
	}
	e.proposed = e.proposed[:0]
}
