package edge

import (
	"strings"
	"testing"

	"meridian/edge/command"
	"meridian/edge/fsm"
)

// level is the region's feature level as a node has it.
func (n *Node) regionLevel() (level uint64) {
	n.store.View(func(s *fsm.State) { level = s.Level })
	return level
}

// Nodes are upgraded one by one while accounting goes on: two versions run together
// at the level of the older, the level rises by itself when the last voter can do it,
// and a node that goes back to the old version stops by name, serves nothing, and
// goes on when it is upgraded again.
func TestVersionsRunTogetherUntilAllAreUpgraded(t *testing.T) {
	r := newRegion(t, 3)
	tr := r.traffic(2)
	const old, next = command.Level, command.Level + 1
	for i := range r.cfgs {
		r.goesOn(tr, "an upgrade")
		if got := r.leader().regionLevel(); got != old {
			t.Fatalf("with %d of 3 upgraded the level is %d", i, got)
		}
		r.stop(i)
		r.cfgs[i].level = next
		r.start(i)
	}
	r.until("the level rises", func() bool { return r.leader().regionLevel() == next })
	r.goesOn(tr, "the level rose")

	back := 0
	for i, n := range r.nodes {
		if !n.store.IsLeader() {
			back = i
		}
	}
	r.stop(back)
	r.cfgs[back].level = old
	r.start(back)
	n := r.nodes[back]
	r.until("the old version stops by name", func() bool {
		a, bad := raised(n, "version_too_old")
		return bad && strings.Contains(a.Detail, "upgrade this node") && n.Status().Role == "shutdown"
	})
	if a, bad := raised(n, "heads_differ"); bad {
		t.Errorf("it is no difference: %+v", a)
	}
	r.goesOn(tr, "one went back")
	r.stop(back)
	r.cfgs[back].level = next
	r.start(back)
	r.goesOn(tr, "it was upgraded again")
	r.check(tr)
}
