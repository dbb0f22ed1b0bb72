package uplink

import (
	"context"

	"meridian/edge/fsm"
)

// Heads are the signed heads that this node keeps, of all nodes of the region.
type Heads interface {
	// Unsent returns heads that were added after a serial, oldest first, at most
	// limit, and the serial of the last of them; of those up to the acknowledged
	// seq each node's newest only.
	Unsent(after, acked uint64, limit int) (heads [][]byte, last uint64)
	// Changed returns a channel closed when the next head is added.
	Changed() <-chan struct{}
}

// CarryHeads has signed heads sent up; without it none are. Call it before the
// link runs.
func (u *Uplink) CarryHeads(h Heads) { u.heads = h }

// Heads implements link.Source.
func (u *Uplink) Heads(ctx context.Context, most int) ([][]byte, error) {
	if u.heads == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for {
		changed := u.heads.Changed()
		var acked uint64
		u.log.View(func(s *fsm.State) { acked = s.Acked })
		u.mu.Lock()
		heads, last := u.heads.Unsent(u.headsTold, acked, most)
		u.headsTold = max(u.headsTold, last)
		u.mu.Unlock()
		if len(heads) > 0 {
			return heads, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
