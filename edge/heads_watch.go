package edge

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"meridian/edge/fsm"
	"meridian/edge/heads"
	"meridian/edge/store"
	"meridian/ops/metrics"
)

// partedFrom is why this node stopped serving, nil while it serves.
func (n *Node) partedFrom() error {
	n.heads.mu.Lock()
	defer n.heads.mu.Unlock()
	if n.heads.outdated != nil {
		return n.heads.outdated
	}
	if n.heads.parted == "" {
		return nil
	}
	return fmt.Errorf("%w: %s: %s", ErrParted, n.heads.parted, n.heads.remedy)
}

// headsDiffer is the problem that this node parted, or sees others differ.
func (n *Node) headsDiffer() error {
	if err := n.partedFrom(); err != nil {
		return except(err, store.ErrTooOld)
	}
	n.heads.mu.Lock()
	defer n.heads.mu.Unlock()
	if v := n.heads.verdict; v.Finding != heads.Agreed {
		return fmt.Errorf("%s: %s", findingText(v), v.Detail)
	}
	for _, node := range slices.Sorted(maps.Keys(n.heads.wrong)) {
		return n.heads.wrong[node]
	}
	return n.heads.twice
}

// headsMissing is the problem that a member's signed heads do not come, or cannot
// be kept.
func (n *Node) headsMissing() error {
	var now int64
	var epoch uint64
	n.store.View(func(s *fsm.State) { now, epoch = s.Now, s.Epoch })
	c := &n.heads
	c.mu.Lock()
	if epoch != 0 && c.since.IsZero() {
		c.since = time.Now()
	}
	problem, since := c.bookErr, c.since
	c.mu.Unlock()
	members, err := n.store.Raft().Peers()
	if since.IsZero() || time.Since(since) < headsSilent || err != nil || n.partedFrom() != nil {
		return problem
	}
	var silent []string
	for _, p := range members {
		if k, ok := c.book.Newest(p.ID); !ok || now-k.At > headsSilent.Microseconds() {
			silent = append(silent, p.ID)
		}
	}
	if len(silent) > 0 {
		problem = errors.Join(problem, fmt.Errorf("no signed head of node %s for %s of region time: what it would contradict is not found", heads.List(silent), headsSilent))
	}
	return problem
}

func headsMetrics() []metrics.Metric {
	return []metrics.Metric{
		{Name: "heads_signed_total", Help: "Heads of ledger and state that this node signed."},
		{Name: "heads_taken_total", Help: "Heads that other nodes signed and this node keeps."},
		{Name: "heads_compared_total", Help: "Comparisons with the other nodes' heads."},
		{Name: "heads_refused_total", Help: "Answers with heads that their node could not have."},
		{Name: "heads_kept", Help: "Signed heads on this node's disk.", Kind: metrics.Gauge},
		{Name: "heads_differ", Help: "1 when heads of the region's nodes differ, by who differs.", Kind: metrics.Gauge, Labels: []string{"who"}},
		{Name: "state_hashes_total", Help: "Parts of the state that were hashed."},
		{Name: "state_hash_seconds_total", Help: "Time that commands waited for it."},
	}
}

func (n *Node) headsSamples(add func(name string, v float64, labels ...string)) {
	c := &n.heads
	add("heads_signed_total", float64(c.signed.Load()))
	add("heads_taken_total", float64(c.taken.Load()))
	add("heads_compared_total", float64(c.compared.Load()))
	add("heads_refused_total", float64(c.refused.Load()))
	add("heads_kept", float64(c.book.Count()))
	c.mu.Lock()
	v, parted := c.verdict.Finding, c.parted != ""
	c.mu.Unlock()
	add("heads_differ", flag(parted), "this_node")
	add("heads_differ", flag(v == heads.OtherParted && !parted), "other_node")
	add("heads_differ", flag(v == heads.NoMajority && !parted), "no_majority")
	hashes, spent := n.store.StateHashes()
	add("state_hashes_total", float64(hashes))
	add("state_hash_seconds_total", spent.Seconds())
}

// except is nil instead of an error of one kind, which another alarm tells.
func except(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

// versionTooOld is the problem that this node waits to be upgraded.
func (n *Node) versionTooOld() error {
	n.heads.mu.Lock()
	defer n.heads.mu.Unlock()
	return n.heads.outdated
}

// logDiffers is the problem that the log read back is not what the leader wrote.
func (n *Node) logDiffers() error { return n.store.Raft().Verification().Err }

// sessionsFull is the problem that new sessions are only recorded.
func (n *Node) sessionsFull() (err error) {
	n.store.View(func(s *fsm.State) {
		if why := s.SessionsFull(); s.Configured && why != "" {
			err = errors.New(why)
		}
	})
	return err
}
