package raftnode

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// A leader whose process has ended is known to be gone long before a heartbeat is
// missed: its connections end, and its host says that nobody listens at its
// address. Then a follower stands for election at once, as it does when a leader
// hands over; the timeouts are for what only falls silent. One that stands in vain
// costs an election: who may lead is still decided by votes.
const (
	goneTries = 10 // a process closes its connections and its listener one after the other
	goneEach  = 50 * time.Millisecond
	// goneTurn is how long each voter leaves the one before it to be elected, so that
	// they do not all vote for themselves.
	goneTurn = 150 * time.Millisecond
	// goneSilence is the part of Heartbeat that it must have been silent for: raft's
	// leaders say something at least as often.
	goneSilence = 5
)

// lost is told that a connection from a member has ended. It never blocks.
func (n *Node) lost(member string) {
	select {
	case n.losses <- member:
	default:
	}
}

func (n *Node) watchLosses() {
	for {
		select {
		case member := <-n.losses:
			n.standIfGone(raft.ServerID(member))
		case <-n.stop:
			return
		}
	}
}

// standIfGone stands for election if a member leads and its process has ended.
func (n *Node) standIfGone(id raft.ServerID) {
	addr, leader := n.raft.LeaderWithID()
	turn := n.turnAfter(id)
	if leader != id || turn < 0 {
		return
	}
	for try := 0; !n.refused(string(addr)); try++ {
		if try == goneTries || !n.pause(goneEach) || !n.follows(id) {
			return
		}
	}
	// Only its listener may be out of reach from here, while it goes on to lead by
	// connections of its own.
	heard := n.raft.LastContact()
	if !n.pause(n.cfg.Heartbeat/goneSilence + time.Duration(turn)*goneTurn) {
		return
	}
	if turn > 0 && !n.refused(string(addr)) {
		return
	}
	if n.follows(id) && n.raft.LastContact().Equal(heard) {
		n.stand(leader)
	}
}

// pause returns false when the node stops meanwhile.
func (n *Node) pause(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-n.stop:
		return false
	}
}

// follows tells whether this node still takes a member for its leader.
func (n *Node) follows(id raft.ServerID) bool {
	_, now := n.raft.LeaderWithID()
	return now == id && n.raft.State() == raft.Follower
}

// turnAfter is this node's place among the voters beside a leader, −1 if it has no vote.
func (n *Node) turnAfter(leader raft.ServerID) int {
	var voters []raft.ServerID
	for _, s := range n.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter && s.ID != leader {
			voters = append(voters, s.ID)
		}
	}
	slices.Sort(voters)
	return slices.Index(voters, raft.ServerID(n.cfg.NodeID))
}

// refused tells whether a host says that nobody listens at an address. An address
// that does not answer is no such word.
func (n *Node) refused(addr string) bool {
	ctx, cancel := context.WithTimeout(n.layer.ctx, n.cfg.Heartbeat/2)
	defer cancel()
	conn, _, err := n.layer.dial(ctx, addr)
	if err == nil {
		conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// stand has this node stand for election now: it tells itself what a leader tells
// the one that it hands over to.
func (n *Node) stand(instead raft.ServerID) {
	own, id := n.trans.LocalAddr(), raft.ServerID(n.cfg.NodeID)
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: n.trans.EncodePeer(id, own)}
	n.cfg.Logger.Info("raft: the leader's process has ended; this node stands for election", "leader", string(instead))
	if err := n.trans.TimeoutNow(id, own, &raft.TimeoutNowRequest{RPCHeader: header}, &raft.TimeoutNowResponse{}); err != nil {
		n.cfg.Logger.Warn("raft: could not stand for election before the leader's time is over", "err", err)
	}
}
