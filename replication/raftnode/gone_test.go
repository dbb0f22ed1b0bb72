package raftnode

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// The timeouts here are longer than the test waits: only a node that learns that its
// leader's process has ended can lead in time.
func TestLeaderThatIsGoneIsReplacedAtOnce(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.Heartbeat, cfg.Election, cfg.LeaderLease = 25*time.Second, 25*time.Second, 25*time.Second
	})
	c.members[0].stand("")
	old := c.leader()
	c.apply(old, "a")
	c.stop(old)
	next := c.leader()
	if next == old {
		t.Fatal("the stopped node leads")
	}
	c.apply(next, "b")
	c.allHave([]string{"a", "b"})
}

// A connection that ends does not say that the leader is gone: it still listens.
func TestLostConnectionsDeposeNobody(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) {
		cfg.Heartbeat, cfg.Election, cfg.LeaderLease = time.Minute, time.Minute, time.Minute
	})
	c.members[0].stand("")
	lead := c.leader()
	term := lead.Term()
	for i := range 3 {
		for _, m := range c.members {
			m.layer.mu.Lock()
			for conn := range m.layer.live {
				conn.NetConn().Close()
			}
			m.layer.mu.Unlock()
		}
		c.apply(lead, string(rune('a'+i)))
	}
	for _, m := range c.members {
		m.standIfGone("n1")
		m.standIfGone("n2")
	}
	if now := c.leader(); now != lead || now.Term() != term {
		t.Errorf("%s leads in term %d, before %s in term %d", now.cfg.NodeID, now.Term(), lead.cfg.NodeID, term)
	}
}

// A leader whose listener is out of reach goes on to lead by its own connections.
func TestLeaderBehindAClosedDoorIsNotDeposed(t *testing.T) {
	c := newCluster(t, 3, nil)
	lead := c.leader()
	term := lead.Term()
	lead.layer.listener.Close()
	for _, m := range c.members {
		m.standIfGone(raft.ServerID(lead.cfg.NodeID))
	}
	c.apply(lead, "a")
	if now := c.leader(); now != lead || now.Term() != term {
		t.Errorf("%s leads in term %d, before %s in term %d", now.cfg.NodeID, now.Term(), lead.cfg.NodeID, term)
	}
}
