package edge

import (
	"context"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/replication/raftnode"
)

// clockTimeout is how long a peer may take to tell its clock.
const clockTimeout = 300 * time.Millisecond

// tick moves region time, keeps the mode and spreads cuts after an outage, while
// this node leads.
func (n *Node) tick(ctx context.Context) {
	t := time.NewTicker(n.cfg.TickEach)
	defer t.Stop()
	var caughtUp uint64 // what was committed at the look before
	for {
		var now int64
		n.store.View(func(s *fsm.State) { now = s.Now })
		members, err := n.store.Raft().Servers()
		if err == nil {
			committed := n.store.Raft().CommitIndex()
			seen := n.see(ctx, members)
			if clocks, voters := n.clocks(members, seen); n.plausible(clocks, voters, now) {
				c := &command.Tick{Meta: n.meta(), Clocks: clocks}
				if _, err := n.store.Do(ctx, c); err != nil && ctx.Err() == nil {
					n.logger.Warn("tick", "error", err)
				}
			}
			if caughtUp > 0 {
				n.tend(ctx, members, seen, caughtUp)
			}
			caughtUp = committed
		}
		n.keepMode(ctx)
		n.cutAfterOutage(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// plausible tells whether the clocks of so many voters may move region time, which
// is now (Unix microseconds), and keeps how far they are beyond it.
func (n *Node) plausible(clocks []int64, voters int, now int64) bool {
	n.mu.Lock()
	ahead, ok := n.clock.Plausible(clocks, voters, now, time.Since(n.started).Microseconds())
	n.jumped = time.Duration(ahead) * time.Microsecond
	n.mu.Unlock()
	return ok
}

// sawTime keeps, while another node leads, how far region time has come.
func (n *Node) sawTime() {
	if n.store.IsLeader() {
		return
	}
	var now int64
	n.store.View(func(s *fsm.State) { now = s.Now })
	n.mu.Lock()
	defer n.mu.Unlock()
	n.jumped = 0
	n.clock.Saw(now, time.Since(n.started).Microseconds())
}

// ConfirmTime has the leader take what the clocks of a majority say, however far
// ahead it is: a person has looked at them.
func (n *Node) ConfirmTime() error {
	if !n.store.IsLeader() {
		return errNotLeader
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock = fsm.TimeGuard{}
	n.logger.Warn("region time follows the nodes' clocks: confirmed by a person", "ahead", n.jumped)
	return nil
}

// clocks are those of the voters that answered;
// their median is taken by the state machine.
func (n *Node) clocks(members []raftnode.Server, seen map[string]sight) (clocks []int64, voters int) {
	skews := map[string]time.Duration{}
	for _, m := range members {
		if !m.Voter {
			continue
		}
		voters++
		if st, answers := seen[m.ID]; answers {
			clocks = append(clocks, st.Clock.UnixMicro())
			if m.ID != n.cfg.Node {
				skews[m.ID] = st.skew
			}
		}
	}
	n.mu.Lock()
	n.skews = skews
	n.mu.Unlock()
	return clocks, voters
}

// greatestSkew is how far another node's clock is from this leader's.
func (n *Node) greatestSkew() (most time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, skew := range n.skews {
		most = max(most, skew.Abs())
	}
	return most
}

// keepMode follows the link: connected is said by the Welcome, degraded as soon
// as the link is lost, isolated after IsolatedAfter.
func (n *Node) keepMode(ctx context.Context) {
	if err := n.uplink.Fence(ctx); err != nil && ctx.Err() == nil {
		n.logger.Warn("a region that is behind the centre could not be fenced yet", "error", err)
	}
	connected := n.link.State().Connected
	n.mu.Lock()
	switch {
	case connected && !n.linkLost.IsZero():
		n.linkLost, n.cutUntil = time.Time{}, time.Now()
	case !connected && n.linkLost.IsZero():
		n.linkLost = time.Now()
	}
	lost := n.linkLost
	n.mu.Unlock()
	mode := command.Degraded
	switch {
	case connected:
		mode = command.Connected
	case time.Since(lost) >= n.cfg.IsolatedAfter:
		mode = command.Isolated
	}
	var now command.Mode
	n.store.View(func(s *fsm.State) { now = s.Mode })
	if mode == now || (mode == command.Degraded && now == command.Isolated) {
		return
	}
	if err := n.uplink.SetMode(ctx, mode); err != nil && ctx.Err() == nil {
		n.logger.Warn("set mode", "mode", mode.String(), "error", err)
	}
}

// cutAfterOutage cuts what was used while the link was away, some sessions at
// each tick, so that the centre sees it soon but not all at once.
func (n *Node) cutAfterOutage(ctx context.Context) {
	n.mu.Lock()
	until := n.cutUntil
	n.mu.Unlock()
	if until.IsZero() {
		return
	}
	var left bool
	n.store.View(func(s *fsm.State) { left = s.UncutBefore(until.Unix()) })
	if !left {
		n.mu.Lock()
		n.cutUntil = time.Time{}
		n.mu.Unlock()
		return
	}
	if _, err := n.store.Do(ctx, &command.CutAll{Meta: n.meta(), Limit: n.cfg.CutPerTick}); err != nil && ctx.Err() == nil {
		n.logger.Warn("cut after the outage", "error", err)
	}
}
