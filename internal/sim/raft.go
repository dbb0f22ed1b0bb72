package sim

import (
	"fmt"
	"slices"
	"time"

	"meridian/edge/fsm"
	"meridian/internal/verify"
)

// What follows is the log that a majority holds, as raft keeps it: terms, votes
// for logs that are not behind, entries that follow the leader's, a leader that
// steps down when it reaches no majority. How raft itself does it is tested with
// real raft in edge/store; here its promises are kept while nodes die, disks lose
// what was not synced, and messages get through one way only.

// electionTimeout is how long a follower bears not to hear a leader, and a leader
// not to reach a majority.
const electionTimeout = 2 * time.Second

// record is an entry of the raft log; raw nil is a new leader's first.
type record struct {
	term uint64
	raw  []byte
}

// reach tells whether a message gets from node i to node j.
func (r *region) reach(i, j int) bool {
	return r.nodes[i].up && r.nodes[j].up && !r.lost[[2]int{i, j}]
}

// hears tells whether node i has heard its leader lately.
func (r *region) hears(i int) bool {
	n := r.nodes[i]
	return n.leads || (n.heard != 0 && r.w.now-n.heard < r.w.paced(electionTimeout))
}

// replicate brings followers to the leader's log and commits what a majority has
// on disk. It tells whether one has it.
func (r *region) replicate(i int) bool {
	lead := r.nodes[i]
	acks := 1
	var slow []int
	for _, j := range r.w.rng.Perm(len(r.nodes)) {
		if j == i || !r.reach(i, j) {
			continue
		}
		if r.w.chance(200) {
			slow = append(slow, j)
			continue
		}
		if r.follow(i, j) {
			acks++
		}
	}
	for _, j := range slow { // a message that was late is not lost
		if 2*acks <= len(r.nodes) && r.follow(i, j) {
			acks++
		}
	}
	if !lead.up || !lead.leads || 2*acks <= len(r.nodes) {
		return false
	}
	lead.heard, lead.commit = r.w.now, len(lead.log)
	return true
}

// follow gives node j the leader's log, and tells whether the leader learns that
// it is on j's disk.
func (r *region) follow(i, j int) bool {
	lead, n := r.nodes[i], r.nodes[j]
	if n.term > lead.term {
		if r.reach(j, i) {
			r.resign(i)
		}
		return false
	}
	if n.leads {
		r.resign(j)
	}
	n.term, n.heard = lead.term, r.w.now
	if lead.snapIndex > n.applied+40 && r.w.chance(300) {
		r.install(lead, n)
	}
	same := min(len(n.log), len(lead.log))
	for same > 0 && n.log[same-1].term != lead.log[same-1].term {
		same--
	}
	if same < n.commit {
		panic(fmt.Sprintf("sim: node %s would lose entry %d, which is committed", n.id, n.commit))
	}
	if same < len(lead.log) && r.w.chance(r.w.cfg.Faults.DiskError) {
		r.crash(j) // the write failed: nothing of it is on the disk
		return false
	}
	if same < len(lead.log) || same < len(n.log) {
		n.log = append(n.log[:same], lead.log[same:]...)
	}
	n.commit = max(n.commit, min(lead.commit, len(n.log)))
	return r.reach(j, i)
}

// install gives a node that is far behind the leader's snapshot.
func (r *region) install(lead, n *replica) {
	state, err := fsm.Load(lead.snapshot)
	if err != nil {
		panic(fmt.Sprintf("sim: snapshot of %s: %v", lead.id, err))
	}
	n.state, n.applied, n.entries = state, lead.snapIndex, slices.Clone(lead.snapKept)
	n.snapshot, n.snapIndex, n.snapKept = lead.snapshot, lead.snapIndex, slices.Clone(lead.snapKept)
	n.log, n.commit = slices.Clone(lead.log[:lead.snapIndex]), lead.snapIndex
	r.installs++
}

// resign ends a node's leadership.
func (r *region) resign(i int) {
	n := r.nodes[i]
	n.leads, n.ready = false, false
	n.link.break_()
	if r.leader == i {
		r.leader = -1
		r.w.after(electionTimeout+r.w.upTo(time.Second), r.heartbeat)
	}
}

// elect lets nodes that hear no leader ask for votes.
func (r *region) elect() {
	for _, i := range r.w.rng.Perm(len(r.nodes)) {
		n := r.nodes[i]
		if !n.up || r.hears(i) {
			continue
		}
		votes, term := 1, n.term
		for j, v := range r.nodes {
			if j == i || !r.reach(i, j) || !r.reach(j, i) || r.hears(j) || behind(n, v) {
				continue
			}
			votes++
			term = max(term, v.term)
		}
		if 2*votes <= len(r.nodes) {
			continue
		}
		n.term, n.leads, n.heard, r.leader = term+1, true, r.w.now, i
		n.log = append(n.log, record{term: n.term})
		n.link = newStream(r, i)
		if r.replicate(i) {
			n.catchUp()
			n.ready = true
		}
		return
	}
}

// behind tells whether the log of n lacks something that v has.
func behind(n, v *replica) bool {
	last := func(x *replica) uint64 {
		if len(x.log) == 0 {
			return 0
		}
		return x.log[len(x.log)-1].term
	}
	a, b := last(n), last(v)
	return a < b || a == b && len(n.log) < len(v.log)
}

// heartbeat keeps leaders in touch with their followers; one that reaches no
// majority for too long steps down.
func (r *region) heartbeat() {
	for i, n := range r.nodes {
		switch {
		case !n.up || !n.leads:
		case r.replicate(i):
			if !n.ready {
				n.catchUp()
				n.ready = true
			}
		case n.leads && r.w.now-n.heard >= r.w.paced(electionTimeout):
			r.resign(i)
		}
	}
	if r.leader < 0 || !r.nodes[r.leader].leads {
		r.elect()
	}
}

// crash kills a node: what it had in memory is gone, and of its log what was not
// acknowledged to a majority may be.
func (r *region) crash(i int) {
	n := r.nodes[i]
	if !n.up {
		return
	}
	r.crashes++
	if n.leads {
		r.resign(i)
		n.log = n.log[:n.commit+r.w.rng.IntN(len(n.log)-n.commit+1)]
	}
	n.up, n.state, n.entries, n.heard = false, nil, nil, 0
	r.w.after(time.Second+r.w.upTo(30*time.Second), func() { r.restart(n) })
}

// restart brings a node back from its snapshot and its log.
func (r *region) restart(n *replica) {
	if n.up {
		return
	}
	n.up, n.state, n.applied, n.commit, n.entries = true, fsm.New(), 0, 0, nil
	n.guard, n.booted, n.skew = fsm.TimeGuard{}, r.w.now, 0
	if n.snapshot == nil {
		return
	}
	state, err := fsm.Load(n.snapshot)
	if err != nil {
		panic(fmt.Sprintf("sim: node %s: %v", n.id, err))
	}
	n.state, n.applied, n.commit, n.entries = state, n.snapIndex, n.snapIndex, slices.Clone(n.snapKept)
}

// misfortune is what befalls a region's nodes in a second.
func (r *region) misfortune() {
	w, f := r.w, &r.w.cfg.Faults
	for i, n := range r.nodes {
		switch {
		case !n.up:
		case w.chance(f.NodeCrash):
			r.crash(i)
		case w.chance(f.Snapshot):
			n.snapshot, n.snapIndex, n.snapKept = n.state.Dump(), n.applied, slices.Clone(n.entries)
		}
	}
	if w.chance(f.Partition) {
		r.partition()
	}
	if w.chance(f.ClockJump) {
		r.jump()
	}
}

// partition loses messages between nodes for a while: all of one node, those that
// it sends, those that it should hear, or those between two.
func (r *region) partition() {
	i, j := r.w.rng.IntN(len(r.nodes)), r.w.rng.IntN(len(r.nodes))
	kind := r.w.rng.IntN(4)
	cut := map[[2]int]bool{}
	for k := range r.nodes {
		if kind == 0 || kind == 1 {
			cut[[2]int{i, k}] = true
		}
		if kind == 0 || kind == 2 {
			cut[[2]int{k, i}] = true
		}
	}
	if kind == 3 {
		cut[[2]int{i, j}], cut[[2]int{j, i}] = true, true
	}
	delete(cut, [2]int{i, i})
	delete(cut, [2]int{j, j})
	r.lost = cut
	r.partitions++
	r.w.after(r.w.upTo(time.Minute), func() { r.lost = nil })
}

// jump sets one node's clock wrong for a while. A node alone in its region has
// nobody to compare with; its clock goes back or drifts only.
func (r *region) jump() {
	n := r.nodes[r.w.rng.IntN(len(r.nodes))]
	if lead := r.lead(); lead == nil || lead.state.Now == 0 {
		return // nobody can tell which clock of a region without time is wrong
	}
	for _, o := range r.nodes {
		if o.skew != 0 {
			return
		}
	}
	skews := []time.Duration{-24 * time.Hour, -2 * time.Second, 2 * time.Second, 400 * 24 * time.Hour}
	if len(r.nodes) == 1 {
		skews = skews[:3]
	}
	n.skew = skews[r.w.rng.IntN(len(skews))]
	r.jumps++
	r.w.after(r.w.upTo(4*time.Minute), func() { n.skew = 0 })
}

// heal brings all nodes back, mends the network and sets the clocks right.
func (r *region) heal() {
	r.lost = nil
	for _, n := range r.nodes {
		r.restart(n)
		n.skew = 0
	}
}

// keep drops the entries that the centre has acknowledged, and those of an ended epoch.
func (n *replica) keep() {
	k := slices.IndexFunc(n.entries, func(e verify.RawEntry) bool { return e.Epoch == n.state.Epoch && e.Seq > n.state.Acked })
	switch {
	case k > 0:
		n.entries = slices.Clone(n.entries[k:])
	case k < 0:
		n.entries = nil
	}
}
