package raftnode

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"meridian/replication/identity"
)

func TestThreeNodesFailover(t *testing.T) {
	c := newCluster(t, 3, nil)
	var want []string
	say := func(m *member, s string) { c.apply(m, s); want = append(want, s) }

	first := c.leader()
	for i := range 20 {
		say(first, fmt.Sprint("a", i))
	}
	c.allHave(want)
	if got := first.Apply([]byte("z"), time.Second); got.Error() != nil || got.Response() != 21 {
		t.Fatalf("the state machine's answer: %v, %v", got.Response(), got.Error())
	}
	want = append(want, "z")

	term := first.Term()
	c.stop(first)
	second := c.leader()
	if second.Term() <= term {
		t.Fatalf("the new leader's term %d is not above %d", second.Term(), term)
	}
	say(second, "b")
	c.start(first)
	if err := first.Bootstrap([]Peer{{ID: "nx", Addr: "127.0.0.1:1"}, {ID: first.cfg.NodeID, Addr: first.Addr()}}); err != nil {
		t.Fatalf("bootstrap of a node with state: %v", err) // and it changes nothing:
	}
	c.leader()
	c.allHave(want)
	if peers, err := first.Peers(); err != nil || len(peers) != 3 {
		t.Fatalf("peers after rejoin: %v, %v", peers, err)
	}
	for _, m := range c.members { // raft moves the index only after the state machine has the entries
		eventually(t, m.cfg.NodeID+" says what it applied and that it heard the leader", func() bool {
			return m.AppliedIndex() > 0 && !m.LastContact().IsZero() && time.Since(m.LastContact()) < 5*time.Second
		})
	}
}

func TestFollowerRefusesProposals(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	for _, m := range c.members {
		if m == lead {
			continue
		}
		if err := m.Apply([]byte("x"), time.Second).Error(); !NotProposed(err) {
			t.Errorf("follower's answer %v does not count as not proposed", err)
		}
	}
	if NotProposed(raft.ErrLeadershipLost) || NotProposed(nil) {
		t.Error("an open outcome, or success, counts as not proposed")
	}
}

func TestCloseHandsOver(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	c.apply(lead, "x")
	c.allHave([]string{"x"})
	for _, m := range c.members { // from here on nobody stands for election by itself
		rc := m.raft.ReloadableConfig()
		rc.HeartbeatTimeout, rc.ElectionTimeout = time.Hour, time.Hour
		if err := m.raft.ReloadConfig(rc); err != nil {
			t.Fatal(err)
		}
	}
	if err := lead.Close(); err != nil {
		t.Fatal(err)
	}
	lead.Node = nil
	c.apply(c.leader(), "y")
	c.allHave([]string{"x", "y"})
}

// TestHandOverNamesTheSuccessor: a node that handed over still runs and knows who
// leads.
func TestHandOverNamesTheSuccessor(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	lead.HandOver()
	if id, _ := lead.Leader(); id == "" || id == lead.cfg.NodeID || lead.IsLeader() {
		t.Fatalf("%s handed over, leads %t and follows %q", lead.cfg.NodeID, lead.IsLeader(), id)
	}
	next := c.leader()
	c.apply(next, "x")
	c.allHave([]string{"x"})
	if next == lead {
		t.Fatalf("%s leads again", lead.cfg.NodeID)
	}
}

// TestHandOverIsTriedWithAnotherFollower: the follower that raft picks has just
// died; within the same budget another one is asked, and leads.
func TestHandOverIsTriedWithAnotherFollower(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	c.apply(lead, "x")
	c.allHave([]string{"x"})
	var dead, next *member
	for _, m := range c.members { // raft picks the first of those with the longest log
		switch {
		case m == lead:
		case dead == nil:
			dead = m
		default:
			next = m
		}
	}
	rc := next.raft.ReloadableConfig() // from here on it does not stand for election by itself
	rc.HeartbeatTimeout, rc.ElectionTimeout = time.Hour, time.Hour
	if err := next.raft.ReloadConfig(rc); err != nil {
		t.Fatal(err)
	}
	c.stop(dead)
	lead.HandOver()
	if id, _ := lead.Leader(); id != next.cfg.NodeID || lead.IsLeader() {
		t.Fatalf("%s handed over, leads %t and follows %q, %s is alive", lead.cfg.NodeID, lead.IsLeader(), id, next.cfg.NodeID)
	}
	c.apply(next, "y")
	c.allHave([]string{"x", "y"})
}

// TestStopByBoundsTheWaits: what waits for others when a node is stopped shares one
// deadline; after it nothing is waited for.
func TestStopByBoundsTheWaits(t *testing.T) {
	n := &Node{}
	if got := n.within(drainLimit); got != drainLimit {
		t.Errorf("without a deadline: %s", got)
	}
	n.StopBy(time.Now().Add(time.Hour))
	if got := n.within(drainLimit); got != drainLimit {
		t.Errorf("an hour before it: %s", got)
	}
	n.StopBy(time.Now().Add(2 * time.Second))
	if got := n.within(drainLimit); got > 2*time.Second {
		t.Errorf("two seconds before it: %s", got)
	}
	n.StopBy(time.Now().Add(-time.Second))
	if got := n.within(drainLimit); got != 0 {
		t.Errorf("after it: %s", got)
	}
	c := newCluster(t, 3, nil)
	lead := c.leader()
	lead.StopBy(time.Now().Add(-time.Second))
	lead.HandOver()
	if !lead.IsLeader() {
		t.Error("it handed over although its time was over")
	}
	if err := lead.Close(); err != nil {
		t.Error(err)
	}
	lead.Node = nil
}

func TestMembership(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cfg, err := testConfig(c.ca, "north", "n4", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c.apply(lead, "x")
	m := &member{cfg: cfg}
	c.start(m)
	c.members = append(c.members, m)
	if err := lead.AddVoter(ctx, Peer{ID: "n4", Addr: m.Addr()}); err != nil {
		t.Fatal(err)
	}
	c.allHave([]string{"x"})
	if err := lead.RemoveServer(ctx, "n4"); err != nil {
		t.Fatal(err)
	}
	if peers, err := lead.Peers(); err != nil || len(peers) != 3 {
		t.Fatalf("peers after removal: %v, %v", peers, err)
	}
	if err := lead.Barrier(ctx); err != nil {
		t.Fatal(err)
	}
	if err := lead.VerifyLeader(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestForeignNodesAreRefused(t *testing.T) {
	c := newCluster(t, 1, nil)
	target := c.leader()
	stranger, err := identity.NewCA("stranger", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	settings := func(ca *identity.CA, id identity.ID) *tls.Config {
		b, err := ca.Issue(id, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		conf, err := b.TLS(func(identity.ID) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		conf.NextProtos = []string{"meridian-raft/1/"}
		return conf
	}
	otherCluster := settings(c.ca, identity.Node("north", "n2"))
	otherCluster.NextProtos = []string{"meridian-raft/1/other"}
	otherVersion := settings(c.ca, identity.Node("north", "n2"))
	otherVersion.NextProtos = []string{"meridian-raft/2/"}
	refused := target.Stats().PeersRefused
	for name, conf := range map[string]*tls.Config{
		"another region":    settings(c.ca, identity.Node("south", "n1")),
		"another cluster":   otherCluster,
		"another version":   otherVersion,
		"the centre":        settings(c.ca, identity.Centre()),
		"another authority": settings(stranger, identity.Node("north", "n2")),
	} {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", target.Addr(), conf)
		if err == nil {
			// With TLS 1.3 the server's verdict arrives with the first read.
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			_, err = conn.Read(make([]byte, 1))
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				t.Errorf("%s: connection was left open", name)
			}
			conn.Close()
		}
		if err == nil {
			t.Errorf("%s: was let in", name)
		}
		refused++
		eventually(t, name+" is counted", func() bool { return target.Stats().PeersRefused == refused })
	}
}

func TestNodeOfAnotherRegionCannotJoin(t *testing.T) {
	c := newCluster(t, 1, nil)
	lead := c.leader()
	cfg, err := testConfig(c.ca, "south", "s1", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	fsm := &listFSM{}
	south, err := Open(cfg, fsm)
	if err != nil {
		t.Fatal(err)
	}
	defer south.Close()
	c.apply(lead, "secret of the north")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := lead.AddVoter(ctx, Peer{ID: "s1", Addr: south.Addr()}); !errors.Is(err, identity.ErrWrongPeer) {
		t.Fatalf("add a node of another region: %v", err)
	}
	if err := lead.AddVoter(ctx, Peer{ID: "n2", Addr: lead.Addr()}); !errors.Is(err, identity.ErrWrongPeer) {
		t.Fatalf("add a node at the address of another: %v", err)
	}
	if err := lead.AddVoter(ctx, Peer{ID: "n2", Addr: "127.0.0.1:1"}); err == nil {
		t.Fatal("a node that does not run was added")
	}
	c.apply(lead, "still able to commit")
	eventually(t, "the foreign leader is refused", func() bool { return south.Stats().PeersRefused > 0 })
	if south.LastIndex() != 0 || len(fsm.list()) != 0 {
		t.Fatalf("the foreign node has entries up to %d", south.LastIndex())
	}
}

func TestLeadershipKeepsTheNewest(t *testing.T) {
	var l leadership
	a := l.subscribe()
	if <-a {
		t.Fatal("leads from the start")
	}
	for range 5 { // nobody reads meanwhile, and nobody is waited for
		l.set(true)
		l.set(false)
		l.set(true)
	}
	if !<-a {
		t.Fatal("the newest value was lost")
	}
	if b := l.subscribe(); !<-b {
		t.Fatal("a late subscriber does not get the present value")
	}
	l.close()
	if v, open := <-a; v || !open {
		t.Fatalf("at the end: %v, %v; want false, then closed", v, open)
	}
	if _, open := <-a; open {
		t.Fatal("not closed")
	}
	if v, open := <-l.subscribe(); v || !open {
		t.Fatal("subscribing after the end")
	}
}

func TestLeadershipOfANode(t *testing.T) {
	c := newCluster(t, 1, nil)
	ch := c.members[0].Leadership()
	for v := range ch {
		if v {
			break
		}
	}
	c.stop(c.members[0])
	last := true
	for v := range ch {
		last = v
	}
	if last {
		t.Fatal("the last value before the channel closed was true")
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	cfg := DefaultConfig()
	cfg.NodeID, cfg.Region, cfg.Bind = "N1", "", "0.0.0.0:1"
	cfg.Election, cfg.LeaderLease, cfg.MaxAppendEntries = time.Millisecond, time.Hour, 5000
	err := cfg.Validate()
	for _, want := range []string{"NodeID", "Dir", "Advertise", "TLS", "Ring", "Logger", "Election", "LeaderLease", "MaxAppendEntries"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if _, err := Open(cfg, &listFSM{}); err == nil {
		t.Error("opened with a bad configuration")
	}
}

func TestCertificateOfAnotherNode(t *testing.T) {
	c := newCluster(t, 1, nil)
	cfg, err := testConfig(c.ca, "north", "n2", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLS = c.members[0].cfg.TLS
	if _, err := Open(cfg, &listFSM{}); err == nil || !strings.Contains(err.Error(), "meridian://region/north/node/n2") {
		t.Fatalf("certificate of n1 on n2: %v", err)
	}
}
