package edge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/replication/forward"
	"meridian/replication/raftnode"
)

// join starts one node more, which waits to be added, and returns its place.
func (r *region) join() int {
	r.t.Helper()
	i := len(r.cfgs)
	r.configure(i)
	r.cfgs[i].Start = Join
	if i%2 == 1 { // both engines in one region
		r.cfgs[i].RaftLog = raftnode.EngineBolt
	}
	r.start(i)
	return i
}

// configure makes the configuration of one node more, with all before as peers.
func (r *region) configure(i int) {
	r.t.Helper()
	c := testConfig(r.t)
	c.Node, c.SignEach, c.HeadsEach = fmt.Sprint("north-", i+1), 50*time.Millisecond, 20*time.Millisecond
	c.Identity = r.issue(c.Node)
	c.Peers = nil
	for _, o := range r.cfgs {
		c.Peers = append(c.Peers, Peer{ID: o.Node, Raft: o.Raft, Forward: o.Forward, Gossip: o.Gossip})
	}
	c.Peers = append(c.Peers, Peer{ID: c.Node, Raft: c.Raft, Forward: c.Forward, Gossip: c.Gossip})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfgs, r.nodes = append(r.cfgs, c), append(r.nodes, nil)
}

// atLeader makes a change at whoever leads until it is made or refused for good.
func (r *region) atLeader(what string, change func(ctx context.Context, lead *Node) error) {
	r.t.Helper()
	var last error
	r.until(what, func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Second)
		defer cancel()
		last = change(ctx, r.leader())
		var no *refusal
		if errors.As(last, &no) && no.code != "busy" && no.code != "not_found" && no.code != "quorum" {
			r.t.Fatalf("%s: %v", what, last)
		}
		return last == nil
	})
}

func (r *region) add(i int) {
	r.t.Helper()
	id := r.cfgs[i].Node
	r.atLeader("add "+id, func(ctx context.Context, lead *Node) error { return lead.AddMember(ctx, id, "") })
	r.until(id+" votes", func() bool { return r.votes(id) })
}

func (r *region) votes(id string) bool {
	servers, err := r.leader().store.Raft().Servers()
	for _, s := range servers {
		if err == nil && s.ID == id {
			return s.Voter
		}
	}
	return false
}

func (r *region) remove(i int) {
	r.t.Helper()
	id := r.cfgs[i].Node
	r.atLeader("remove "+id, func(ctx context.Context, lead *Node) error {
		err := lead.RemoveMember(ctx, id)
		var no *refusal
		if errors.As(err, &no) && no.code == "not_found" {
			return nil // the try before it did it
		}
		return err
	})
	r.stop(i)
}

// traffic reports usage of a session in a loop, at every node by turns, and notes
// what was acknowledged.
type traffic struct {
	mu    sync.Mutex
	acked map[string]uint64 // octets, by session
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

func (r *region) traffic(sessions int) *traffic {
	ctx, cancel := context.WithCancel(r.t.Context())
	tr := &traffic{acked: map[string]uint64{}, stop: cancel}
	start := time.Now().Unix()
	for s := range sessions {
		tr.wg.Go(func() {
			id := fmt.Sprint("s", s)
			for octets := uint64(1000); ctx.Err() == nil; octets += 1000 {
				c := &command.Accounting{NAS: "nas", SessionID: id, Login: "u", Status: command.Interim, Event: start + 1, Seconds: 1, Out: octets, Giga: true}
				for _, n := range r.running() {
					c.Meta = n.meta()
					try, done := context.WithTimeout(ctx, 2*time.Second)
					_, err := n.store.Do(try, c)
					done()
					if err == nil {
						tr.mu.Lock()
						tr.acked[id] = octets
						tr.mu.Unlock()
						break
					}
				}
			}
		})
	}
	r.t.Cleanup(func() { cancel(); tr.wg.Wait() })
	return tr
}

// sum is how much was acknowledged so far.
func (tr *traffic) sum() (n uint64) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, o := range tr.acked {
		n += o
	}
	return n
}

// goesOn waits until more is acknowledged.
func (r *region) goesOn(tr *traffic, after string) {
	r.t.Helper()
	before := tr.sum()
	r.until("accounting is acknowledged after "+after, func() bool { return tr.sum() > before })
}

// check ends the traffic and holds every replica against what was acknowledged.
func (r *region) check(tr *traffic) {
	r.t.Helper()
	tr.stop()
	tr.wg.Wait()
	r.do(&command.Audit{Meta: r.leader().meta()})
	hashes := map[journal.Hash]bool{}
	for _, n := range r.running() {
		var last uint64
		r.until(n.cfg.Node+" has the audit", func() bool {
			report, err := n.store.LastAudit()
			if err != nil {
				return false
			}
			last = report.Index
			lead, err := r.leader().store.LastAudit()
			return err == nil && last == lead.Index
		})
		report, err := n.store.LastAudit()
		if err != nil {
			r.t.Fatal(err)
		}
		hashes[report.StateHash] = true
		for _, s := range report.Sessions {
			if s.Out < tr.acked[s.Key.ID] {
				r.t.Errorf("%s: session %s has %d octets, %d were acknowledged", n.cfg.Node, s.Key.ID, s.Out, tr.acked[s.Key.ID])
			}
		}
		if len(report.Sessions) != len(tr.acked) {
			r.t.Errorf("%s has %d sessions of %d", n.cfg.Node, len(report.Sessions), len(tr.acked))
		}
	}
	if len(hashes) != 1 {
		r.t.Errorf("%d different states on %d replicas", len(hashes), len(r.running()))
	}
}

// A region grows from one node to five and shrinks back to one while accounting goes
// on; a dead node is replaced. Nothing acknowledged is lost, every replica is equal,
// and what would stop the region is refused.
func TestRegionGrowsIsRepairedAndShrinksUnderTraffic(t *testing.T) {
	r := newRegion(t, 1)
	tr := r.traffic(4)
	r.goesOn(tr, "founding")
	for range 4 {
		r.add(r.join())
		r.goesOn(tr, "a member came")
	}
	r.until("all five answer", func() bool { // one that is busy is left out of what the leader sees
		m, err := r.leader().Membership(t.Context())
		return err == nil && len(m.Members) == 5 && m.Tolerates == 2 && m.LeaderURL != ""
	})

	// A node dies for good and another takes its place.
	dead := 0
	for i, n := range r.nodes {
		if n != nil && !n.store.IsLeader() {
			dead = i
		}
	}
	r.stop(dead)
	r.add(r.join())
	r.remove(dead)
	r.goesOn(tr, "a dead member was replaced")
	r.until("all five answer", func() bool {
		m, err := r.leader().Membership(t.Context())
		return err == nil && len(m.Members) == 5 && m.Tolerates == 2
	})

	// Shrink to three, the leader among those that go.
	for range 2 {
		lead := r.leader()
		for i, n := range r.nodes {
			if n == lead {
				r.remove(i)
			}
		}
		r.goesOn(tr, "the leader was removed")
	}
	// With one of three dead no living one may go: the region would stop.
	var down int
	for i, n := range r.nodes {
		if n != nil && !n.store.IsLeader() {
			down = i
		}
	}
	r.stop(down)
	for _, n := range r.running() {
		lead := r.leader()
		if n == lead {
			continue
		}
		r.until("removing "+n.cfg.Node+" is refused", func() bool {
			err := r.leader().RemoveMember(t.Context(), n.cfg.Node)
			var no *refusal
			if err == nil {
				t.Fatalf("%s was removed, and one of the two left is dead", n.cfg.Node)
			}
			return errors.As(err, &no) && no.code == "quorum" && strings.Contains(no.remedy, "start the nodes")
		})
	}
	r.start(down)
	r.goesOn(tr, "the third came back")
	for len(r.running()) > 1 {
		for i, n := range r.nodes {
			if n != nil && !n.store.IsLeader() {
				r.remove(i)
				break
			}
		}
		r.goesOn(tr, "a member went")
	}
	lead := r.leader()
	var no *refusal
	if err := lead.RemoveMember(t.Context(), lead.cfg.Node); !errors.As(err, &no) || no.code != "quorum" {
		t.Errorf("the last member: %v", err)
	}
	r.add(r.join())
	r.add(r.join())
	r.goesOn(tr, "two more")
	r.check(tr)
}

// running are the nodes that run.
func (r *region) running() (out []*Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.nodes {
		if n != nil {
			out = append(out, n)
		}
	}
	return out
}

// settle starts a node as its one command line does: without being told anything.
func (r *region) settle(ctx context.Context, i int) error {
	c, err := Settle(ctx, r.cfgs[i])
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.cfgs[i].Start = c.Start
	r.mu.Unlock()
	r.start(i)
	return nil
}

// unfounded is a region of n nodes none of which was started.
func unfounded(t *testing.T, n int) *region {
	r := bareRegion(t, n)
	for i := range r.cfgs {
		r.cfgs[i].Start = Resume
	}
	return r
}

// Nodes started alike, one after the other, found their region once all are there;
// one more, started alike, joins; one that lost its disk is refused until it was
// removed, and then joins.
func TestNodesStartedAlikeFoundJoinAndAreRefused(t *testing.T) {
	r := unfounded(t, 3)
	var wg sync.WaitGroup
	errs := make([]error, 3)
	settled := make(chan int, 3)
	begin := func(i int) {
		wg.Go(func() {
			errs[i] = r.settle(t.Context(), i)
			settled <- i
		})
	}
	begin(0)
	begin(1)
	// Two of three wait: with the third they might be an old region that lost disks.
	fc, err := r.cfgs[2].forwardConfig()
	if err != nil {
		t.Fatal(err)
	}
	asker, err := forward.NewPool(fc)
	if err != nil {
		t.Fatal(err)
	}
	r.until("both wait for the third", func() bool {
		for _, c := range r.cfgs[:2] {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if st, err := asker.Status(ctx, c.Forward); err != nil || !st.Waiting {
				return false
			}
		}
		return true
	})
	if err := asker.Close(); err != nil {
		t.Fatal(err)
	}
	begin(2)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	r.settledRegion()
	for _, n := range r.running() {
		if peers, err := n.store.Raft().Peers(); err != nil || len(peers) != 3 || len(n.founders) != 3 {
			t.Errorf("%s knows %v, founders %v: %v", n.cfg.Node, peers, n.founders, err)
		}
	}
	tr := r.traffic(2)
	r.goesOn(tr, "founding")

	// One more.
	r.configure(3)
	r.cfgs[3].Start = Resume
	if err := r.settle(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if r.votes("north-4") {
		t.Fatal("it votes before it was added")
	}
	r.add(3)

	// A restart with its disk needs nothing.
	r.stop(3)
	if err := r.settle(t.Context(), 3); err != nil {
		t.Fatal(err)
	}

	// A lost disk.
	lost := 0
	for i, n := range r.nodes {
		if n != nil && !n.store.IsLeader() {
			lost = i
		}
	}
	r.stop(lost)
	if err := os.RemoveAll(r.cfgs[lost].Dir); err != nil {
		t.Fatal(err)
	}
	r.cfgs[lost].Start = Resume
	err = r.settle(t.Context(), lost)
	if !errors.Is(err, ErrStillMember) || !strings.Contains(err.Error(), "meridian ctl edge remove "+r.cfgs[lost].Node) {
		t.Fatalf("an empty member: %v", err)
	}
	r.remove(lost)
	if err := r.settle(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	r.add(lost)
	r.goesOn(tr, "a lost disk was replaced")
	r.check(tr)
}

// settledRegion gives a region that its nodes settled an epoch.
func (r *region) settledRegion() {
	r.t.Helper()
	r.until("the region is founded and its time moves", func() bool {
		ok := false
		r.leader().store.View(func(s *fsm.State) { ok = s.Configured && s.Now != 0 })
		return ok
	})
	r.do(&command.OpenEpoch{Meta: r.leader().meta(), Epoch: 1})
}

// Who crashed after it founded, before the others did, is met in its place; who has
// another list of peers is waited for by name.
func TestSettlingJudges(t *testing.T) {
	r := unfounded(t, 3)
	w := &waiting{cfg: r.cfgs[0], birth: "own"}
	own := w.status()
	other := func(i int, change func(*waiting)) (string, *waiting) {
		o := &waiting{cfg: r.cfgs[i], birth: fmt.Sprint("life of ", i)}
		change(o)
		return o.cfg.Node, o
	}
	_, two := other(1, func(*waiting) {})
	_, three := other(2, func(*waiting) {})
	_, odd := other(2, func(w *waiting) { w.cfg.Peers = w.cfg.Peers[1:] })
	founded := two.status()
	founded.Waiting, founded.Founders = false, w.peers(map[string]string{"north-1": "own", "north-2": "life of 1", "north-3": "life of 2"})
	before := founded
	before.Founders = w.peers(map[string]string{"north-1": "another life"})
	led := before
	led.Leader, led.Members = true, []forward.Member{{Node: "north-1"}, {Node: "north-2"}}
	without := led
	without.Members = []forward.Member{{Node: "north-2"}}
	for name, c := range map[string]struct {
		seen  []forward.Status
		start Start
		says  string
	}{
		"alone":                          {[]forward.Status{own}, Resume, "north-2, north-3 do not answer"},
		"all there":                      {[]forward.Status{own, two.status(), three.status()}, Found, ""},
		"other peers":                    {[]forward.Status{own, two.status(), odd.status()}, Resume, "same peers in the configuration of north-3"},
		"another founded with this life": {[]forward.Status{own, founded}, Found, ""},
		"with another life, no leader":   {[]forward.Status{own, before, three.status()}, Resume, "a leader of the region"},
		"with another life, a leader counts on it": {[]forward.Status{own, led}, Resume, "remove it from the region"},
		"a leader does not":                        {[]forward.Status{own, without}, Join, ""},
	} {
		seen := map[string]forward.Status{}
		for _, s := range c.seen {
			seen[s.Node] = s
		}
		start, founders, why, err := w.judge(seen)
		if err != nil {
			why = err.Error()
		}
		if start != c.start || !strings.Contains(why, c.says) || (start == Found) != (len(founders) == 3) {
			t.Errorf("%s: %d, %v, %q", name, start, founders, why)
		}
	}
}

// A policy is changed on a running region, and every replica has it.
func TestPolicyIsChangedAtARunningRegion(t *testing.T) {
	r := newRegion(t, 3)
	token := []byte("admins-token")
	r.do(&command.Feed{Rows: []feed.Row{operatorRow(t, token, "admin")}})
	n := r.followers()[0]
	for _, c := range []struct {
		body string
		code int
		says string
	}{
		{`{"CutAge":77,"MaxBacklogAge":7200}`, 200, `"CutAge":77`},
		{`{"CutAge":0}`, 400, "cut_age is 0"},
		{`{"Cutage2":1}`, 400, "unknown field"},
	} {
		r.until("the policy is answered", func() bool {
			code, body := send(t, "PUT", "http://"+n.cfg.HTTP+"/v1/policy", string(token), c.body)
			if code == 401 {
				return false // the feed's row is not here yet
			}
			if code != c.code || !strings.Contains(body, c.says) {
				t.Fatalf("%s: %d %s", c.body, code, body)
			}
			return true
		})
	}
	for _, n := range r.running() {
		r.until(n.cfg.Node+" has the policy", func() bool {
			var p command.Policy
			n.store.View(func(s *fsm.State) { p = s.Policy })
			return p.CutAge == 77 && p.MaxBacklogAge == 7200 && p.DuePerTick == command.DefaultPolicy().DuePerTick
		})
	}
}
