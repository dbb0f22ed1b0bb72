package sim

import (
	"fmt"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/journal"
)

// subscriber is a person, the line, and what the NAS counts for it.
type subscriber struct {
	w        *World
	region   *region
	id       string
	account  string
	login    string
	offering string
	honours  bool // the NAS ends the session at its limit
	serial   int

	online  bool
	ended   bool // no more sessions
	session journal.SessionKey
	in, out uint64
	limit   int64
	until   time.Duration
	unacked int
	spoke   time.Duration // when it last reported
}

func newSubscriber(w *World, i int) *subscriber {
	p := &subscriber{w: w, region: w.regions[i%len(w.regions)], id: fmt.Sprintf("sub-%02d", i), account: fmt.Sprintf("acc-%02d", i), login: fmt.Sprintf("user-%02d", i), offering: "volume", honours: w.rng.IntN(4) > 0}
	if w.rng.IntN(3) == 0 {
		p.offering = "flat"
	}
	if beside := i - len(w.regions); beside >= 0 && w.rng.IntN(4) == 0 { // two subscriptions of one account
		p.account = w.people[beside].account
	}
	return p
}

// staleAfter is how long a node that hears no leader answers as if it did: the
// default of edge/aaa.
const staleAfter = 10 * time.Second

// act is called whenever the subscriber has something to do next.
func (p *subscriber) act() {
	if p.ended && !p.online {
		return
	}
	if !p.online {
		p.dial()
		return
	}
	p.use()
}

func (p *subscriber) later(least, spread time.Duration) {
	wait := least + p.w.upTo(spread)
	if p.w.slow {
		wait *= 200
	}
	p.w.after(wait, p.act)
}

// dial asks to go online: by the replica of some node, or by the log.
func (p *subscriber) dial() {
	w, r := p.w, p.region
	p.serial++
	if p.serial == 1 || w.rng.IntN(10) > 0 { // sometimes a NAS uses an id again
		p.session.ID = fmt.Sprintf("%s-%d", p.login, p.serial)
	}
	id := p.session.ID
	node := r.nodes[w.rng.IntN(len(r.nodes))]
	if !node.up {
		p.later(3*time.Second, 5*time.Second)
		return
	}
	found := node.state.FindLogin(p.login)
	if stale := !node.leads && w.now-node.heard > w.paced(staleAfter); stale {
		// No answer but to who may go online without exactness.
		if found.Reason != command.ReasonNone || found.MustReserve {
			p.later(3*time.Second, 5*time.Second)
			return
		}
		r.stale++
	}
	if found.Reason != command.ReasonNone {
		p.later(10*time.Second, 30*time.Second)
		return
	}
	if !found.MustReserve {
		p.connect(0)
		return
	}
	answered := false
	w.send(func() {
		res, err := r.ask(&command.Reserve{NAS: p.region.nas, Key: fsm.ReserveKey(p.region.nas, id, "", "", p.login), SessionID: id, Login: p.login})
		if err != nil {
			return
		}
		w.send(func() {
			if answered {
				return
			}
			answered = true
			if res.Code == command.OK && !p.online && !p.ended && p.session.ID == id {
				p.connect(res.LimitUnits)
				return
			}
			p.later(10*time.Second, 30*time.Second)
		})
	})
	w.after(25*time.Second, func() {
		if !answered {
			answered = true
			p.later(time.Second, 5*time.Second)
		}
	})
}

func (p *subscriber) connect(limit int64) {
	p.session = journal.SessionKey{NAS: p.region.nas, ID: p.session.ID, Start: p.w.unix()}
	if p.w.audit.knows(p.session) { // the same id within the tolerance would be the same session
		p.later(40*time.Second, 10*time.Second)
		return
	}
	p.online, p.in, p.out, p.limit = true, 0, 0, limit
	p.until = p.w.now + p.w.upTo(6*time.Minute)
	p.w.audit.begin(p)
	p.report(command.Start)
	p.later(20*time.Second, 40*time.Second)
}

// use spends some time online and reports it.
func (p *subscriber) use() {
	seconds := p.w.unix() - p.session.Start
	grow := uint64(p.w.rng.Int64N(1 + min(seconds, 60)*2_000_000))
	up := grow / 5
	if left := p.limit - int64(p.in+p.out); p.limit > 0 && p.honours && int64(grow) >= left {
		grow = uint64(max(left, 0))
		up = min(up, grow)
		p.in, p.out = p.in+up, p.out+grow-up
		p.hangUp()
		return
	}
	p.in, p.out = p.in+up, p.out+grow-up
	switch {
	case p.w.chance(15):
		p.w.audit.abandon(p) // the NAS restarts: no Stop is ever sent
		p.online = false
		w := p.w
		p.persist(&command.Accounting{NAS: p.region.nas, Status: command.On, Event: w.unix()}, nil)
		for _, other := range p.region.people() {
			if other != p && other.online {
				w.audit.abandon(other)
				other.online = false
				other.later(5*time.Second, 10*time.Second)
			}
		}
		p.later(5*time.Second, 10*time.Second)
	case p.ended || p.w.now >= p.until:
		p.hangUp()
	default:
		p.report(command.Interim)
		p.later(20*time.Second, 40*time.Second)
	}
}

func (p *subscriber) hangUp() {
	p.online = false
	p.report(command.Stop)
	p.later(5*time.Second, 60*time.Second)
}

// finish ends the subscriber's part in the run, soon also if the next report was to
// come hours later.
func (p *subscriber) finish() {
	p.ended = true
	p.w.after(time.Second+p.w.upTo(time.Minute), p.act)
}

// report sends the counters as they are now, until a node acknowledges them; an
// interim is given up after a while, as NAS do.
func (p *subscriber) report(status command.Status) {
	w := p.w
	p.spoke = w.now
	c := &command.Accounting{
		NAS: p.region.nas, SessionID: p.session.ID, Login: p.login, Status: status, Event: w.unix(),
		Seconds: w.unix() - p.session.Start, In: p.in, Out: p.out, Giga: true,
	}
	p.persist(c, w.audit.sent(p.session, c))
}

// persist sends a report again and again. truth is what the auditor is told when
// it is acknowledged.
func (p *subscriber) persist(c *command.Accounting, truth *life) {
	w := p.w
	tries := 8
	if c.Status != command.Interim {
		tries = 1 << 30
	}
	acked := false
	answered := w.reporting(p, p.session, c)
	p.unacked++
	if w.chance(w.cfg.Faults.LateCopy) {
		w.after(w.upTo(10*24*time.Hour), func() {
			w.audit.late++
			_, _ = p.region.ask(c)
		})
	}
	var try func()
	try = func() {
		if acked || (truth != nil && truth.abandoned) || tries == 0 {
			p.unacked--
			return
		}
		tries--
		w.send(func() {
			res, err := p.region.ask(c)
			if err != nil || (res.Code != command.OK && res.Code != command.Repeated && res.Code != command.Quarantined) {
				return
			}
			w.send(func() {
				acked = true
				answered()
				w.audit.acked(truth, c)
			})
		})
		w.after(3*time.Second+w.upTo(4*time.Second), try)
	}
	try()
}

// effect takes a CoA or Disconnect, and says whether it was for this subscriber.
func (p *subscriber) effect(e fsm.Effect) (command.EffectOutcome, bool) {
	if e.Login != p.login {
		return 0, false
	}
	if !p.online || e.Session != p.session {
		return command.EffectNoSession, true
	}
	if e.Kind == fsm.EffectLimit {
		p.limit = max(p.limit, e.Limit)
		return command.EffectDone, true
	}
	p.hangUp()
	return command.EffectDone, true
}
