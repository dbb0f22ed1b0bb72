package sim

import (
	"context"
	"errors"
	"fmt"
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
	errUnknown  = errors.New("sim: no majority answered, the outcome is unknown")
)

func isCrash(err error) bool {
	return errors.Is(err, errNoLeader) || errors.Is(err, errCrashed) || errors.Is(err, errUnknown)
}

// region is a cluster of nodes, its NAS, and its line to the centre.
type region struct {
	w       *World
	name    string
	nas     string // its only NAS
	nodes   []*replica
	leader  int             // the newest leader, −1 when it is gone
	lost    map[[2]int]bool // messages from a node to another that do not arrive
	cutTill time.Duration   // the link to the centre is cut until then

	epochs
	crashes, partitions, jumps, installs, stale int
}

// replica is one node: its log, its state machine and the ledger entries it
// keeps.
type replica struct {
	id        string
	up        bool
	term      uint64
	leads     bool
	ready     bool          // as a leader: it has applied all that leaders before it committed
	heard     time.Duration // when it last heard its leader, or reached a majority as one; 0 = never
	log       []record
	commit    int // entries that it knows to be committed
	applied   int
	state     *fsm.State
	entries   []verify.RawEntry // its segments, from the first kept on
	snapshot  []byte
	snapIndex int
	snapKept  []verify.RawEntry
	link      *stream
	skew      time.Duration // of its clock
	guard     fsm.TimeGuard
	booted    time.Duration
}

func newRegion(w *World, name string) *region {
	r := &region{w: w, name: name, nas: "nas-" + name, leader: -1}
	for i := range w.cfg.Nodes {
		r.nodes = append(r.nodes, &replica{id: fmt.Sprintf("%s-%d", name, i+1), up: true, state: fsm.New()})
	}
	return r
}

// lead is the region's newest leader, nil when there is none.
func (r *region) lead() *replica {
	if r.leader < 0 {
		return nil
	}
	return r.nodes[r.leader]
}

// ask hands a command to any node, which passes it to the leader that it hears, as
// edge/store does.
func (r *region) ask(c command.Command) (command.Result, error) {
	i := r.w.rng.IntN(len(r.nodes))
	if !r.nodes[i].up || r.leader < 0 {
		return command.Result{}, errNoLeader
	}
	to := r.leader
	if r.nodes[i].leads {
		to = i // also one that was deposed and does not know it
	}
	if to != i && (!r.hears(i) || !r.reach(i, to)) {
		return command.Result{}, errNoLeader
	}
	res, err := r.propose(to, c)
	if err == nil && to != i && !r.reach(to, i) {
		err = errUnknown
	}
	return res, err
}

// do proposes a command at the region's leader.
func (r *region) do(c command.Command) (command.Result, error) {
	if r.leader < 0 {
		return command.Result{}, errNoLeader
	}
	return r.propose(r.leader, c)
}

// propose appends a command to node i's log, and answers once a majority has it
// and it is applied.
func (r *region) propose(i int, c command.Command) (command.Result, error) {
	lead := r.nodes[i]
	if !lead.up || !lead.leads {
		return command.Result{}, errNoLeader
	}
	dies := r.w.chance(r.w.cfg.Faults.LeaderCrash)
	lead.log = append(lead.log, record{lead.term, command.EncodeBatch([][]byte{command.Encode(c)})})
	if dies && r.w.rng.IntN(2) == 0 {
		r.crash(i)
		return command.Result{}, errCrashed // before a majority had it
	}
	committed := r.replicate(i)
	if dies {
		r.crash(i)
		return command.Result{}, errCrashed // committed; nobody was told
	}
	if !committed {
		return command.Result{}, errUnknown // a majority may have it later
	}
	results := lead.catchUp()
	return results[len(results)-1], nil
}

// catchUp applies what is committed; it returns the results of the last entry.
func (n *replica) catchUp() []command.Result {
	var results []command.Result
	for n.applied < n.commit {
		results = results[:0]
		if raw := n.log[n.applied].raw; raw != nil {
			commands, err := command.DecodeBatch(raw)
			if err != nil {
				panic(fmt.Sprintf("sim: committed entry %d: %v", n.applied, err))
			}
			for _, c := range commands {
				results = append(results, n.state.Apply(c))
			}
		}
		n.applied++
		n.entries = append(n.entries, n.state.TakeEntries()...)
	}
	n.keep()
	return results
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
	r.misfortune()
	r.disaster()
	r.heartbeat()
	for _, n := range r.nodes {
		if n.up && (w.calm || w.rng.IntN(3) > 0) { // followers lag now and then
			n.catchUp()
		}
	}
	if w.rng.IntN(60) == 0 {
		r.compare()
	}
	r.early()
	lead := r.lead()
	if lead == nil || !lead.ready {
		return
	}
	if !lead.state.Configured {
		if _, err := r.do(&command.Configure{Region: r.name, Policy: policy()}); err != nil {
			return
		}
	}
	if !r.tick(lead) {
		return
	}
	r.effects()
	r.serves()
	if w.calm {
		r.level()
	}
}

// level lets every node that is up apply all that is committed.
func (r *region) level() {
	r.heartbeat()
	for _, n := range r.nodes {
		if n.up {
			n.catchUp()
		}
	}
}

// tick moves region time by the clocks that the leader can ask, as edge does. It
// tells whether the region still has that leader.
func (r *region) tick(lead *replica) bool {
	var clocks []int64
	for i, n := range r.nodes {
		if n == lead || r.reach(r.leader, i) && r.reach(i, r.leader) {
			clocks = append(clocks, r.w.clock().Add(n.skew).UnixMicro())
		}
	}
	if _, ok := lead.guard.Plausible(clocks, len(r.nodes), lead.state.Now, (r.w.now - lead.booted).Microseconds()); !ok {
		return true
	}
	_, err := r.do(&command.Tick{Clocks: clocks})
	return err == nil && r.leader >= 0
}

// early checks that no node's region time runs ahead of the true time, whatever
// single clocks say: what is due by time must not come early.
func (r *region) early() {
	for _, n := range r.nodes {
		if !n.up {
			continue
		}
		if ahead := n.state.Now - r.w.clock().UnixMicro(); ahead > 3_000_000 {
			r.w.audit.fail("region time of node %s is %d s early", n.id, ahead/1_000_000)
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
	lead := r.lead()
	if lead == nil || !lead.ready {
		return
	}
	for _, e := range lead.state.Effects(20) {
		r.w.send(func() {
			outcome := r.carryOut(e)
			r.w.send(func() {
				_, _ = r.do(&command.EffectsDone{Done: []command.EffectResult{{ID: e.ID, Outcome: outcome}}})
			})
		})
	}
}

// carryOut is the NAS: it does what it is asked to the session, if it has it.
func (r *region) carryOut(e fsm.Effect) command.EffectOutcome {
	for _, p := range r.people() {
		if outcome, mine := p.effect(e); mine {
			return outcome
		}
	}
	return command.EffectNoSession
}

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

// nodeLog is a node's replicated state as edge/uplink needs it.
type nodeLog struct {
	r *region
	i int
}

func (l nodeLog) node() *replica { return l.r.nodes[l.i] }

func (l nodeLog) Do(_ context.Context, c command.Command) (command.Result, error) {
	return l.r.propose(l.i, c)
}

func (l nodeLog) View(fn func(*fsm.State)) {
	if n := l.node(); n.up {
		fn(n.state)
	}
}

func (l nodeLog) Changed() <-chan struct{} { return nil }

func (l nodeLog) Entries(after uint64, afterHash journal.Hash, maxEntries, _ int) ([]verify.RawEntry, journal.Hash, error) {
	if !l.node().up {
		return nil, afterHash, errNoLeader
	}
	var out []verify.RawEntry
	head := afterHash
	for _, e := range l.node().entries {
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

func (l nodeLog) HashAt(seq uint64) (journal.Hash, error) {
	if !l.node().up {
		return journal.Hash{}, errNoLeader
	}
	s := l.node().state
	if seq == s.Acked {
		return s.AckedHash, nil
	}
	_, head, err := l.Entries(s.Acked, s.AckedHash, int(seq-s.Acked), 0)
	return head, err
}

var _ uplink.Log = nodeLog{}
