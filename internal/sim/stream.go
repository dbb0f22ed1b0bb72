package sim

import (
	"context"
	"log/slog"
	"time"

	"meridian/edge/command"
	"meridian/edge/uplink"
	"meridian/replication/link"
)

// stream is one connection between the region's leader and the centre. Messages
// on it come in order; when it breaks, what is on the way in either direction may
// or may not have arrived.
type stream struct {
	w        *World
	region   *region
	node     *replica
	up       *uplink.Uplink
	hello    link.Hello
	calling  bool // a Hello is on its way
	welcomed bool
	dead     bool
	gapped   bool   // feed rows went missing on it
	sent     uint64 // last entry sent up
	fed      uint64 // last feed row sent down
	upFree   time.Duration
	downFree time.Duration
	lostAt   time.Duration
}

func newStream(r *region, i int) *stream {
	w, n := r.w, r.nodes[i]
	term := n.term
	return &stream{
		w: w, region: r, node: n, lostAt: w.now,
		up: uplink.New(r.name, n.id, "sim", nodeLog{r, i}, func() uint64 { return term }, w.clock, slog.New(slog.DiscardHandler)),
	}
}

// break_ ends the stream: events still on the way find it dead.
func (s *stream) break_() {
	if s != nil {
		s.dead = true
	}
}

// carry runs fn at the other end after a delay, in order, unless the stream broke.
func (s *stream) carry(free *time.Duration, fn func()) {
	*free = max(*free, s.w.now) + time.Millisecond
	if !s.w.calm {
		*free += s.w.upTo(300 * time.Millisecond)
	}
	s.w.after(*free-s.w.now, func() {
		if !s.dead {
			fn()
		}
	})
}

// done is a context that has ended: what would block returns instead.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// reachable tells whether the link could be up.
func (r *region) reachable() bool { return r.w.calm || r.w.now >= max(r.cutTill, r.w.office.deadTill) }

// cut takes the link away for a while.
func (r *region) cut(d time.Duration) {
	r.w.office.cuts++
	r.cutTill = r.w.now + d
}

// step is the link's work, some times a second, at every node that takes itself
// for the leader.
func (r *region) step() {
	for i, n := range r.nodes {
		if n.up && n.leads && n.ready && n.state.Configured {
			r.serve(i)
		}
	}
}

func (r *region) serve(i int) {
	w, n := r.w, r.nodes[i]
	if n.link.dead {
		n.link = newStream(r, i)
	}
	s := n.link
	if w.chance(w.cfg.Faults.LinkCut / 4) {
		s.break_()
		r.cut(w.upTo(w.cfg.Faults.LinkAway))
		return
	}
	if !r.reachable() {
		s.keepMode()
		return
	}
	switch {
	case s.welcomed:
		s.pump()
	case !s.calling:
		s.connect()
	}
}

func (s *stream) keepMode() {
	mode := command.Degraded
	if s.w.now-s.lostAt > 10*time.Second {
		mode = command.Isolated
	}
	_ = s.up.SetMode(context.Background(), mode)
}

func (s *stream) connect() {
	w := s.w
	h := s.up.Hello()
	h.ProtocolVersion = link.ProtocolVersion
	s.calling, s.hello = true, h
	s.carry(&s.upFree, func() {
		welcome, refused, err := w.office.sink.Hello(context.Background(), s.region.name, h)
		if err != nil || refused != nil || !w.office.survives() {
			s.break_()
			if refused != nil && !s.region.refused(s, refused) && !s.deposed(refused) {
				w.audit.fail("the centre refused a hello: %v", refused)
			}
			return
		}
		s.carry(&s.downFree, func() {
			if err := s.up.Welcome(context.Background(), welcome); err != nil {
				s.fault("welcome", err)
				s.region.fence(s)
				return
			}
			s.sent, s.fed, s.welcomed = welcome.CursorSeq, s.up.Hello().FeedVersion, true
		})
	})
}

// deposed tells whether the centre refused a leader because a later one has been
// there, and that is so.
func (s *stream) deposed(refused *link.Refused) bool {
	if refused == nil || refused.Code != link.CodeStaleTerm && refused.Code != link.CodeStaleEpoch {
		return false
	}
	for _, n := range s.region.nodes {
		if n.term > s.hello.Term {
			return true
		}
	}
	return false
}

// fault breaks the stream; an error that no crash explains is a finding.
func (s *stream) fault(what string, err error) {
	s.break_()
	if !isCrash(err) && !s.gapped && !s.region.lostDisks {
		s.w.audit.fail("%s: %v", what, err)
	}
}

func (s *stream) pump() {
	w := s.w
	if w.calm && s.gapped {
		s.break_()
		return
	}
	from := s.sent
	if w.chance(w.cfg.Faults.Overlap) {
		acked := s.node.state.Acked
		from -= min(uint64(w.rng.IntN(5)), from-min(acked, from))
	}
	if b, err := s.up.Entries(done(), from, 1+w.rng.IntN(60), 1<<20); err == nil {
		s.sent, b.Term, b.Node = max(s.sent, b.LastSeq()), s.hello.Term, s.hello.Node
		s.carry(&s.upFree, func() { s.ingest(b) })
		if w.chance(20) { // an older copy of it arrives by a stream that nobody closed
			w.after(w.upTo(30*time.Second), func() { w.office.stale(s.region.name, b) })
		}
	} else if isCrash(err) {
		s.break_()
		return
	}
	if want, err := s.up.Wanted(done()); err == nil {
		s.carry(&s.upFree, func() { _ = w.office.sink.Wanted(context.Background(), s.region.name, want) })
	}
	rows, err := w.office.sink.Feed(context.Background(), s.region.name, s.fed, 1+w.rng.IntN(50))
	if err == nil && len(rows) > 0 {
		s.fed = rows[len(rows)-1].Number
		gapped := s.gapped
		if w.chance(w.cfg.Faults.FeedGap) {
			s.gapped = true // the rows after these must be refused
			return
		}
		s.carry(&s.downFree, func() {
			if err := s.up.Feed(context.Background(), rows); err != nil {
				s.fault("feed", err)
			} else if gapped && s.up.Hello().FeedVersion >= rows[0].Number {
				w.audit.fail("feed rows from %d were taken although rows before them were lost", rows[0].Number)
			}
		})
	}
}

func (s *stream) ingest(b link.Batch) {
	w := s.w
	ack, refused, err := w.office.sink.Ingest(context.Background(), s.region.name, b)
	switch {
	case err != nil:
		s.fault("ingest", err)
	case s.deposed(refused):
		s.break_()
	case refused != nil:
		if !s.region.refused(s, refused) {
			s.fault("ingest", refused)
		}
		s.break_()
	case !w.office.survives(): // committed, but nobody hears of it
		s.break_()
	default:
		s.carry(&s.downFree, func() {
			if err := s.up.Acked(context.Background(), ack); err != nil {
				s.fault("ack", err)
			}
		})
	}
}
