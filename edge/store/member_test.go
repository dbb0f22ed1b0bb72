package store

import (
	"context"
	"os"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/replication/raftnode"
)

// A member whose disk was lost is removed at the leader, starts empty without
// founding anything, and is added again: it gets state and ledger from its peers.
func TestLostDiskIsReplacedThroughTheLeader(t *testing.T) {
	c := newCluster(t, 3)
	lead := c.leader()
	lead.found()
	for i := range 20 {
		lead.do(session(i, command.Stop, 10))
	}
	lead = c.leader()
	var lost *member
	for _, m := range c.members {
		if m != lead {
			lost = m
		}
	}
	lost.stop()
	if err := os.RemoveAll(lost.dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := lead.store.Raft().RemoveServer(ctx, lost.id); err != nil {
		t.Fatal(err)
	}
	lost.joins = true
	c.start(lost)
	lead.do(session(20, command.Stop, 10)) // the region goes on without it
	if err := lead.store.Raft().AddVoter(ctx, raftnode.Peer{ID: lost.id, Addr: lost.raft}); err != nil {
		t.Fatal(err)
	}
	lost.do(session(21, command.Stop, 10))
	var want uint64
	lead.state(func(s *fsm.State) { want = s.Seq })
	for {
		spent, seq := lost.spent()
		if seq == want && spent == 220 {
			break
		}
		select {
		case <-lost.store.Changed():
		case <-time.After(10 * time.Millisecond):
		}
		if ctx.Err() != nil {
			t.Fatalf("the new member is at entry %d of %d, spent %d", seq, want, spent)
		}
	}
	entries, head, err := lost.store.Entries(0, [32]byte{}, 10_000, 1<<30)
	lead.state(func(s *fsm.State) {
		if err != nil || uint64(len(entries)) != want || head != s.Head {
			t.Errorf("it has %d of %d entries: %v", len(entries), want, err)
		}
	})
}
