package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/edge/uplink"
	"meridian/internal/journal"
	"meridian/internal/verify"
)

var (
	errNoLeader = errors.New("sim: no leader")
	errCrashed  = errors.New("sim: the leader died, the outcome is unknown")
)

// region is a log that a majority holds, and the replicas that apply it. How the
// majority comes about is raft's business and is tested with real raft; here a
// leader may die before or after an entry is committed, and replicas lag, die,
// and come back from a snapshot and the log.
type region struct {
	w       *World
	name    string
	nas     string   // its only NAS
	log     [][]byte // committed entries, each an encoded batch
	nodes   []*replica
	leader  int // index, −1 when there is none
	term    uint64
	link    *stream
	cutTill time.Duration // the link is cut until then
	changed chan struct{}

	crashes int
}

// replica is one node: its state machine and the ledger entries it keeps.
type replica struct {
	id        string
	up        bool
	state     *fsm.State
	applied   int
	entries   []verify.RawEntry // its segments, from first kept on
	snapshot  []byte
	snapIndex int
	snapKept  []verify.RawEntry
}

func newRegion(w *World, name string) *region {
	r := &region{w: w, name: name, nas: "nas-" + name, leader: -1, changed: make(chan struct{})}
	for i := range w.cfg.Nodes {
		r.nodes = append(r.nodes, &replica{id: fmt.Sprintf("%s-%d", name, i+1), up: true, state: fsm.New()})
	}
	return r
}

// do proposes a command at the leader and applies it there at once.
func (r *region) do(c command.Command) (command.Result, error) {
	if r.leader < 0 {
		return command.Result{}, errNoLeader
	}
	lead := r.nodes[r.leader]
	dies := r.w.chance(r.w.cfg.Faults.LeaderCrash)
	if dies && r.w.rng.IntN(2) == 0 {
		r.crash(r.leader)
		return command.Result{}, errCrashed // before a majority had it
	}
	r.log = append(r.log, command.EncodeBatch([][]byte{command.Encode(c)}))
	if dies {
		r.crash(r.leader)
		return command.Result{}, errCrashed // committed; nobody was told
	}
	results := lead.catchUp(r.log)
	return results[len(results)-1], nil
}

// catchUp applies what is committed; it returns the results of the last entry.
func (n *replica) catchUp(log [][]byte) []command.Result {
	var results []command.Result
	for n.applied < len(log) {
		commands, err := command.DecodeBatch(log[n.applied])
		if err != nil {
			panic(fmt.Sprintf("sim: committed entry %d: %v", n.applied, err))
		}
		results = results[:0]
		for _, c := range commands {
			results = append(results, n.state.Apply(c))
		}
		n.applied++
		n.entries = append(n.entries, n.state.TakeEntries()...)
	}
	if k := slices.IndexFunc(n.entries, func(e verify.RawEntry) bool { return e.Seq > n.state.Acked }); k > 0 {
		n.entries = slices.Clone(n.entries[k:])
	} else if k < 0 {
		n.entries = nil
	}
	return results
}

// crash kills a node: what it had in memory is gone.
func (r *region) crash(i int) {
	n := r.nodes[i]
	if !n.up {
		return
	}
	r.crashes++
	n.up, n.state, n.entries = false, nil, nil
	if i == r.leader {
		r.leader = -1
		r.link.break_()
		r.w.after(time.Second+r.w.upTo(2*time.Second), r.elect)
	}
	r.w.after(time.Second+r.w.upTo(30*time.Second), func() { r.restart(n) })
}

// restart brings a node back from its snapshot; the log does the rest.
func (r *region) restart(n *replica) {
	if n.up {
		return
	}
	n.up, n.state, n.applied, n.entries = true, fsm.New(), 0, nil
	if n.snapshot != nil {
		state, err := fsm.Load(n.snapshot)
		if err != nil {
			panic(fmt.Sprintf("sim: node %s: %v", n.id, err))
		}
		n.state, n.applied, n.entries = state, n.snapIndex, slices.Clone(n.snapKept)
	}
	if r.leader < 0 {
		r.elect()
	}
}

// elect picks a leader among the nodes that are up, if they are a majority.
func (r *region) elect() {
	if r.leader >= 0 {
		return
	}
	var up []int
	for i, n := range r.nodes {
		if n.up {
			up = append(up, i)
		}
	}
	if 2*len(up) <= len(r.nodes) {
		return
	}
	r.term++
	r.leader = up[r.w.rng.IntN(len(up))]
	r.nodes[r.leader].catchUp(r.log)
	r.link = newStream(r)
}

// heal brings all nodes back.
func (r *region) heal() {
	for _, n := range r.nodes {
		r.restart(n)
	}
	r.elect()
}

// policy is a region's with short times, so that a run meets all of them.
func policy() command.Policy {
	p := command.DefaultPolicy()
	p.CutAge, p.StaleAfter = 120, 900
	return p
}

// second is the region's periodic work and misfortune.
func (r *region) second() {
	w := r.w
	for i, n := range r.nodes {
		switch {
		case !n.up:
		case w.chance(w.cfg.Faults.NodeCrash):
			r.crash(i)
		case w.chance(w.cfg.Faults.Snapshot):
			n.snapshot, n.snapIndex, n.snapKept = n.state.Dump(), n.applied, slices.Clone(n.entries)
		case i == r.leader || w.rng.IntN(3) > 0: // followers lag now and then
			n.catchUp(r.log)
		}
	}
	if w.rng.IntN(30) == 0 {
		r.compare()
	}
	if r.leader < 0 {
		return
	}
	var clocks []int64
	for i, n := range r.nodes {
		if n.up {
			clocks = append(clocks, w.clock().UnixMicro()+int64(i)*1000)
		}
	}
	if !r.nodes[r.leader].state.Configured {
		if _, err := r.do(&command.Configure{Region: r.name, Policy: policy()}); err != nil {
			return
		}
	}
	if _, err := r.do(&command.Tick{Clocks: clocks}); err != nil {
		return
	}
	r.effects()
	for _, n := range r.nodes {
		if w.calm && n.up {
			n.catchUp(r.log)
		}
	}
}

// compare holds the states of nodes that applied equally much against each other.
func (r *region) compare() {
	var first *replica
	for _, n := range r.nodes {
		switch {
		case !n.up:
		case first == nil:
			first = n
		case n.applied == first.applied && n.state.Hash() != first.state.Hash():
			r.w.audit.fail("V6: nodes %s and %s have applied %d entries and differ", first.id, n.id, n.applied)
		}
	}
}

// effects sends what the leader finds queued, as edge/aaa does.
func (r *region) effects() {
	if r.leader < 0 {
		return
	}
	for _, e := range r.nodes[r.leader].state.Effects(20) {
		w := r.w
		w.send(func() {
			for _, p := range r.people() {
				if outcome, mine := p.effect(e); mine {
					w.send(func() {
						_, _ = r.do(&command.EffectsDone{Done: []command.EffectResult{{ID: e.ID, Outcome: outcome}}})
					})
					return
				}
			}
		})
	}
}

// leaderLog is the leader's replicated state as edge/uplink needs it.
type leaderLog struct{ r *region }

func (l leaderLog) Do(_ context.Context, c command.Command) (command.Result, error) { return l.r.do(c) }

func (l leaderLog) View(fn func(*fsm.State)) {
	if l.r.leader >= 0 {
		fn(l.r.nodes[l.r.leader].state)
	}
}

func (l leaderLog) Changed() <-chan struct{} { return l.r.changed }

func (l leaderLog) Entries(after uint64, afterHash journal.Hash, maxEntries, _ int) ([]verify.RawEntry, journal.Hash, error) {
	if l.r.leader < 0 {
		return nil, afterHash, errNoLeader
	}
	var out []verify.RawEntry
	head := afterHash
	for _, e := range l.r.nodes[l.r.leader].entries {
		if e.Seq > after && len(out) < maxEntries {
			out = append(out, e)
			head = journal.Chain(head, e.Raw)
		}
	}
	if len(out) > 0 && out[0].Seq != after+1 {
		return nil, head, fmt.Errorf("sim: entries after %d begin at %d", after, out[0].Seq)
	}
	return out, head, nil
}

func (l leaderLog) HashAt(seq uint64) (journal.Hash, error) {
	if l.r.leader < 0 {
		return journal.Hash{}, errNoLeader
	}
	s := l.r.nodes[l.r.leader].state
	if seq == s.Acked {
		return s.AckedHash, nil
	}
	_, head, err := l.Entries(s.Acked, s.AckedHash, int(seq-s.Acked), 0)
	return head, err
}

var _ uplink.Log = leaderLog{}

// people are the subscribers that are at home in the region.
func (r *region) people() []*subscriber {
	var out []*subscriber
	for _, p := range r.w.people {
		if p.region == r {
			out = append(out, p)
		}
	}
	return out
}
