package edge

import (
	"context"
	"sync"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
)

// clockTimeout is how long a peer may take to tell its clock.
const clockTimeout = 300 * time.Millisecond

// tick moves region time, keeps the mode and spreads cuts after an outage, while
// this node leads.
func (n *Node) tick(ctx context.Context) {
	t := time.NewTicker(n.cfg.TickEach)
	defer t.Stop()
	for {
		var now int64
		n.store.View(func(s *fsm.State) { now = s.Now })
		if clocks := n.clocks(ctx); n.plausible(clocks, now) {
			c := &command.Tick{Meta: n.meta(), Clocks: clocks}
			if _, err := n.store.Do(ctx, c); err != nil && ctx.Err() == nil {
				n.logger.Warn("tick", "error", err)
			}
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

// plausible tells whether the clocks may move region time, which is now (Unix
// microseconds), and keeps how far they are beyond it.
func (n *Node) plausible(clocks []int64, now int64) bool {
	ahead, ok := n.clock.Plausible(clocks, len(n.cfg.Peers), now, time.Since(n.started).Microseconds())
	n.mu.Lock()
	n.jumped = time.Duration(ahead) * time.Microsecond
	n.mu.Unlock()
	return ok
}

// clocks asks the members for their clocks; those that do not answer are left
// out, their median is taken by the state machine.
func (n *Node) clocks(ctx context.Context) []int64 {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	var mu sync.Mutex
	var out []int64
	skews := map[string]time.Duration{}
	var wg sync.WaitGroup
	for _, p := range n.cfg.Peers {
		if p.ID == n.cfg.Node {
			continue
		}
		addr, ok := n.forwardAddress(p.ID)
		if !ok {
			continue
		}
		wg.Go(func() {
			asked := time.Now()
			s, err := n.pool.Status(ctx, addr)
			if err != nil {
				return
			}
			// The answer was given between the question and now.
			skew := s.Clock.Sub(asked.Add(time.Since(asked) / 2))
			mu.Lock()
			out = append(out, s.Clock.UnixMicro())
			skews[p.ID] = skew
			mu.Unlock()
		})
	}
	wg.Wait()
	n.mu.Lock()
	n.skews = skews
	n.mu.Unlock()
	return append(out, time.Now().UnixMicro())
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
