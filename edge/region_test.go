package edge

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/ops/metrics"
	"meridian/replication/identity"
	"meridian/replication/seal"
)

// region is some nodes of one region in this process, without a centre.
type region struct {
	t     *testing.T
	ca    *identity.CA
	cfgs  []Config
	mu    sync.Mutex // of nodes, where other goroutines read them
	nodes []*Node    // nil while stopped
	// stopped counts what reportStops reported.
	stopped int
}

func newRegion(t *testing.T, n int) *region {
	t.Helper()
	r := bareRegion(t, n)
	r.begin()
	return r
}

// begin starts all nodes and waits until the region is founded and has an epoch.
func (r *region) begin() {
	r.t.Helper()
	for i := range r.cfgs {
		r.start(i)
	}
	lead := r.leader()
	r.until("the region is founded", func() bool {
		ok := false
		lead.store.View(func(s *fsm.State) { ok = s.Configured })
		return ok
	})
	r.until("region time moves", func() bool {
		var now int64
		r.leader().store.View(func(s *fsm.State) { now = s.Now })
		return now != 0
	})
	r.do(&command.OpenEpoch{Meta: lead.meta(), Epoch: 1})
}

// bareRegion is a region of n nodes none of which was started.
func bareRegion(t *testing.T, n int) *region {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r := &region{t: t, ca: ca, nodes: make([]*Node, n)}
	var peers []Peer
	for i := range n {
		c := testConfig(t)
		c.Node, c.SignEach, c.HeadsEach = fmt.Sprint("north-", i+1), 50*time.Millisecond, 20*time.Millisecond
		c.Identity = r.issue(c.Node)
		peers = append(peers, Peer{ID: c.Node, Raft: c.Raft, Forward: c.Forward, Gossip: c.Gossip})
		r.cfgs = append(r.cfgs, c)
	}
	for i := range r.cfgs {
		r.cfgs[i].Peers = peers
	}
	t.Cleanup(func() {
		for i := range r.nodes {
			r.stop(i)
		}
	})
	return r
}

func (r *region) issue(node string) *identity.Bundle {
	r.t.Helper()
	b, err := r.ca.Issue(identity.Node("north", node), time.Now(), time.Hour)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *region) open(i int) (*Node, error) {
	reg, err := metrics.NewRegistry()
	if err != nil {
		r.t.Fatal(err)
	}
	r.cfgs[i].Registry, r.cfgs[i].Logger = reg, slog.New(slog.DiscardHandler)
	return New(r.cfgs[i])
}

func (r *region) start(i int) {
	r.t.Helper()
	n, err := r.open(i)
	if err == nil {
		err = n.Start(context.Background())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes[i] = n
	r.cfgs[i].Start = Resume
}

func (r *region) stop(i int) {
	r.t.Helper()
	r.mu.Lock()
	n := r.nodes[i]
	r.nodes[i] = nil
	r.mu.Unlock()
	if n == nil {
		return
	}
	if err := n.Close(); err != nil {
		r.t.Errorf("close node %d: %v", i, err)
	}
}

// until polls a condition that other goroutines make true.
func (r *region) until(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, n := range r.nodes {
				if n != nil {
					r.t.Logf("%s: %+v", n.cfg.Node, n.Status())
				}
			}
			r.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func (r *region) leader() (lead *Node) {
	r.t.Helper()
	r.until("a leader", func() bool {
		for _, n := range r.running() {
			if n.partedFrom() == nil && n.store.IsLeader() {
				lead = n
			}
		}
		return lead != nil
	})
	return lead
}

// followers are the nodes that serve and do not lead.
func (r *region) followers() (out []*Node) {
	lead := r.leader()
	for _, n := range r.nodes {
		if n != nil && n != lead && n.partedFrom() == nil {
			out = append(out, n)
		}
	}
	return out
}

// do has a command applied, whoever leads.
func (r *region) do(c command.Command) {
	r.t.Helper()
	r.until("the command is applied", func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
		defer cancel()
		res, err := r.leader().store.Do(ctx, c)
		return err == nil && (res.Code == command.OK || res.Code == command.Repeated)
	})
}

// later moves region time to the next turn of the state hash.
func (r *region) later() {
	r.t.Helper()
	n := r.leader()
	var now int64
	n.store.View(func(s *fsm.State) { now = s.Now })
	r.do(&command.Tick{Meta: n.meta(), Clocks: []int64{now + fsm.StateHashEach}})
}

// signedByAll waits until each running node keeps heads of all, up to the same log
// index or later. What was just done lies below the leader's CommitIndex: raft sets
// AppliedIndex only after it has answered.
func (r *region) signedByAll(index uint64) {
	r.t.Helper()
	r.until("every node keeps a head of every node", func() bool {
		for _, keeper := range r.nodes {
			for _, signer := range r.nodes {
				if keeper == nil || signer == nil {
					continue
				}
				if k, ok := keeper.heads.book.Newest(signer.cfg.Node); !ok || k.Index < index {
					return false
				}
			}
		}
		return true
	})
}

// copyDir copies a stopped node's directory.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// replaceDir puts a copy in the place of a stopped node's directory.
func replaceDir(t *testing.T, dir, with string) {
	t.Helper()
	old := filepath.Join(t.TempDir(), "old")
	if err := os.Rename(dir, old); err != nil {
		t.Fatal(err)
	}
	if with != "" {
		copyDir(t, with, dir)
	}
}

// overwrite copies a file over another.
func overwrite(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func otherRing(t *testing.T) *seal.Ring {
	t.Helper()
	ring, err := seal.NewRing([]seal.Key{{ID: 1, Bytes: [32]byte{9}}})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}
