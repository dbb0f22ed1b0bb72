package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/edge/fsm"
	"meridian/edge/heads"
	"meridian/ops/alarm"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
)

func raised(n *Node, name string) (alarm.Alarm, bool) {
	list := n.alarms.Active()
	i := slices.IndexFunc(list, func(a alarm.Alarm) bool { return a.Name == name })
	if i < 0 {
		return alarm.Alarm{}, false
	}
	return list[i], true
}

// Nodes sign where they stand, keep what the others sign, and one whose state or
// ledger is not the majority's stops serving by itself while the region goes on.
func TestNodeThatDiffersFromTheMajorityStopsServing(t *testing.T) {
	r := newRegion(t, 3)
	r.later()
	r.signedByAll(r.leader().store.Raft().CommitIndex())
	for _, n := range r.nodes {
		if a, bad := raised(n, "heads_differ"); bad {
			t.Errorf("%s raises %+v", n.cfg.Node, a)
		}
	}
	// Somebody writes into the leader's memory, as a faulty module or a debugger does.
	odd := r.leader()
	odd.store.View(func(s *fsm.State) { s.OverrunSum++ })
	r.later()
	r.until("the odd node stops serving", func() bool { return odd.partedFrom() != nil })
	for _, want := range []string{"node " + odd.cfg.Node, "part 0 of 1 of the state has hash", "at log index"} {
		if got := odd.Status().Parted; !strings.Contains(got, want) {
			t.Errorf("status says %q, not %q", got, want)
		}
	}
	r.until("it leads no more", func() bool { return !odd.store.IsLeader() && odd.Status().Role == "shutdown" })
	if code, body := get(t, http.MethodGet, "http://"+odd.cfg.HTTP+"/readyz", ""); code != http.StatusServiceUnavailable || !strings.Contains(body, "heads") {
		t.Errorf("ready: %d %s", code, body)
	}
	var s Status
	if code, body := get(t, http.MethodGet, "http://"+odd.cfg.HTTP+"/status", ""); code != http.StatusOK || json.Unmarshal([]byte(body), &s) != nil || s.Parted == "" {
		t.Errorf("status: %d %s", code, body)
	}
	if code, body := get(t, http.MethodGet, "http://"+odd.cfg.HTTP+"/metrics", ""); code != http.StatusOK || !strings.Contains(body, `who="this_node"} 1`) {
		t.Errorf("metrics: %d %s", code, body)
	}
	r.later() // the region goes on without it
	for _, n := range r.followers() {
		r.until("the others raise the alarm by name", func() bool {
			a, bad := raised(n, "heads_differ")
			return bad && strings.Contains(a.Detail, odd.cfg.Node)
		})
		if n.partedFrom() != nil {
			t.Errorf("%s stopped too: %v", n.cfg.Node, n.partedFrom())
		}
	}
	i := slices.Index(r.nodes, odd)
	r.stop(i)
	if _, err := r.open(i); !errors.Is(err, ErrParted) || !strings.Contains(err.Error(), "--join") {
		t.Errorf("it starts again: %v", err)
	}
	// Of the two that are left one differs: nobody can say which, so both go on and say so.
	second := r.followers()[0]
	second.store.View(func(s *fsm.State) { s.Head[0] ^= 1 })
	r.until("both say that no majority stands together", func() bool {
		n := 0
		for _, m := range r.nodes {
			if m == nil {
				continue
			}
			if a, bad := raised(m, "heads_differ"); bad && strings.Contains(a.Detail, "no majority stands together") && m.partedFrom() == nil {
				n++
			}
		}
		return n == 2
	})
}

// A directory that is an older copy of itself is refused, by what this node had
// signed: the others keep it.
func TestRolledBackDirectoryIsRefused(t *testing.T) {
	r := newRegion(t, 3)
	r.signedByAll(1)
	const i = 2
	r.stop(i)
	old := filepath.Join(t.TempDir(), "copy")
	copyDir(t, r.cfgs[i].Dir, old)
	r.start(i)
	r.later()
	reached := r.leader().store.Raft().CommitIndex()
	r.signedByAll(reached)
	r.stop(i)
	fresh := filepath.Join(t.TempDir(), "fresh")
	copyDir(t, r.cfgs[i].Dir, fresh)
	replaceDir(t, r.cfgs[i].Dir, old)
	_, err := r.open(i)
	if !errors.Is(err, raftnode.ErrRolledBack) || !strings.Contains(err.Error(), "node north-3 had applied index") {
		t.Fatalf("the old directory: %v", err)
	}
	replaceDir(t, r.cfgs[i].Dir, fresh)
	r.start(i)
	r.later()
	r.signedByAll(reached + 1)
	if n := r.nodes[i]; n.partedFrom() != nil {
		t.Error(n.partedFrom())
	}
}

// Only the log is rolled back, and nobody else is there to tell: the node's own
// book does.
func TestLogBehindTheBookIsRefused(t *testing.T) {
	r := newRegion(t, 1)
	r.signedByAll(1)
	r.stop(0)
	old := filepath.Join(t.TempDir(), "copy")
	copyDir(t, r.cfgs[0].Dir, old)
	r.start(0)
	r.later()
	r.signedByAll(r.leader().store.Raft().CommitIndex())
	r.stop(0)
	book := filepath.Join(t.TempDir(), "book")
	copyDir(t, r.cfgs[0].Dir, book)
	replaceDir(t, r.cfgs[0].Dir, old)
	raws, err := heads.ReadBook(filepath.Join(book, heads.File))
	if err != nil || len(raws) == 0 {
		t.Fatal(err)
	}
	overwrite(t, filepath.Join(book, heads.File), filepath.Join(r.cfgs[0].Dir, heads.File))
	if _, err := r.open(0); !errors.Is(err, raftnode.ErrRolledBack) {
		t.Errorf("%v", err)
	}
}

// A rolled-back member that met nobody when it started is found once it meets the
// others, before the next comparison has passed.
func TestRolledBackMemberIsFoundWhenItMeetsTheOthers(t *testing.T) {
	r := newRegion(t, 3)
	r.signedByAll(1)
	n := r.nodes[0]
	head, ok := r.nodes[1].heads.book.Newest(n.cfg.Node)
	if !ok {
		t.Fatal("north-2 keeps no head of north-1")
	}
	future := head.SignedHead
	future.Index = 1 << 40 // what it will have signed, in a past that its directory does not know
	var err error
	if future.Signature, err = n.heads.signer.Sign(future.Message()); err != nil {
		t.Fatal(err)
	}
	if err := r.nodes[1].heads.book.Add(future); err != nil {
		t.Fatal(err)
	}
	r.until("north-1 stops serving", func() bool { return n.partedFrom() != nil })
	if got := n.Status().Parted; !strings.Contains(got, "node north-2 keeps a head that this node signed at log index 1099511627776") {
		t.Error(got)
	}
}

// A member that begins anew with an empty directory is not taken for one that was
// rolled back, although the others keep what it signed before.
func TestMemberThatJoinsAnewServes(t *testing.T) {
	r := newRegion(t, 3)
	r.later()
	r.signedByAll(r.leader().store.Raft().CommitIndex())
	i := slices.Index(r.nodes, r.followers()[0])
	r.stop(i)
	id := r.cfgs[i].Node
	change := func(fn func(ctx context.Context, raft *raftnode.Node) error) {
		r.until("the members are changed", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			return fn(ctx, r.leader().store.Raft()) == nil
		})
	}
	change(func(ctx context.Context, raft *raftnode.Node) error { return raft.RemoveServer(ctx, id) })
	replaceDir(t, r.cfgs[i].Dir, "")
	r.cfgs[i].Start = Join
	r.start(i)
	change(func(ctx context.Context, raft *raftnode.Node) error {
		return raft.AddVoter(ctx, raftnode.Peer{ID: id, Addr: r.cfgs[i].Raft})
	})
	r.later()
	r.signedByAll(r.leader().store.Raft().CommitIndex())
	if n := r.nodes[i]; n.partedFrom() != nil {
		t.Error(n.partedFrom())
	}
}

// A directory that was copied to a second cluster is refused there, whatever of
// names and keys is the same.
func TestDirectoryOfAnotherClusterIsRefused(t *testing.T) {
	r := newRegion(t, 1)
	r.signedByAll(1)
	r.stop(0)
	other, err := identity.NewCA("second cluster", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	bundle := func(ca *identity.CA, region, node string) *identity.Bundle {
		b, err := ca.Issue(identity.Node(region, node), time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ring := testConfig(t).DataRing
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   error
	}{
		{"another node's name", func(c *Config) { c.Node, c.Identity = "north-9", bundle(r.ca, "north", "north-9") }, raftnode.ErrWrongDir},
		{"another region's name", func(c *Config) { c.Region, c.Identity = "south", bundle(r.ca, "south", "north-1") }, raftnode.ErrWrongDir},
		{"same names, keys and authority, another cluster", func(c *Config) { c.Cluster = "second" }, raftnode.ErrWrongDir},
		{"another data key", func(c *Config) { c.DataRing = otherRing(t) }, raftnode.ErrWrongKeys},
		{"same names and keys, another authority", func(c *Config) { c.Identity, c.DataRing = bundle(other, "north", "north-1"), ring }, ErrForeign},
	} {
		before := r.cfgs[0]
		c.change(&r.cfgs[0])
		peer := r.cfgs[0].Peers[0]
		peer.ID = r.cfgs[0].Node
		r.cfgs[0].Peers = []Peer{peer}
		if n, err := r.open(0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
			if err == nil {
				n.Close()
			}
		}
		r.cfgs[0] = before
	}
	r.start(0) // and in its own it starts
}
