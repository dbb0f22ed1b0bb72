package edge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/replication/forward"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
)

// Membership is who belongs to the region, as GET /v1/members tells.
type Membership struct {
	Leader    string   `json:"leader"`
	LeaderURL string   `json:"leader_url,omitempty"` // members are changed there
	Level     uint64   `json:"level"`                // the region's feature level
	Tolerates int      `json:"tolerates"`            // voters that may still fail; below 0 nothing is acknowledged
	Members   []Member `json:"members"`
}

// Member is a member as the asked node sees it.
type Member struct {
	ID       string `json:"id"`
	Raft     string `json:"raft"`
	URL      string `json:"url,omitempty"`
	Voter    bool   `json:"voter"`
	Leader   bool   `json:"leader"`
	Answers  bool   `json:"answers"`
	Applied  uint64 `json:"applied_index"`
	Level    uint64 `json:"level"` // the highest feature level that it can do
	Software string `json:"version,omitempty"`
}

// quorum is how many of so many voters are a majority.
func quorum(voters int) int { return voters/2 + 1 }

// sight is what a member answered, and how far its clock is from this one's.
type sight struct {
	forward.Status
	skew time.Duration
}

// see asks members for their status; who does not answer at once is left out.
func (n *Node) see(ctx context.Context, members []raftnode.Server) map[string]sight {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	out := map[string]sight{n.cfg.Node: {Status: n.status()}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, m := range members {
		addr, ok := n.forwardAddress(m.ID)
		if m.ID == n.cfg.Node || !ok {
			continue
		}
		wg.Go(func() {
			asked := time.Now()
			s, err := n.pool.Status(ctx, addr)
			if err != nil || s.Node != m.ID {
				return
			}
			// The answer was given between the question and now.
			skew := s.Clock.Sub(n.shifted(asked.Add(time.Since(asked) / 2)))
			mu.Lock()
			defer mu.Unlock()
			out[m.ID] = sight{s, skew}
		})
	}
	wg.Wait()
	return out
}

// tend does the leader's part for the members: who has caught up gets its vote, and
// the feature level follows what all voters can do. caughtUp is the log index up to
// which a member must have come.
func (n *Node) tend(ctx context.Context, members []raftnode.Server, seen map[string]sight, caughtUp uint64) {
	var level uint64
	n.store.View(func(s *fsm.State) { level = s.Level })
	for _, m := range members {
		st, answers := seen[m.ID]
		if m.Voter || !answers || st.AppliedIndex < caughtUp || st.Level < level || n.quorumWith(members, seen, m.ID) != nil {
			continue
		}
		if err := n.store.Raft().AddVoter(ctx, m.Peer); err != nil {
			n.logger.Warn("give a member its vote", "member", m.ID, "error", err)
		} else {
			n.logger.Info("member has caught up and votes", "member", m.ID, "applied_index", st.AppliedIndex)
		}
		return // one change at a time
	}
	can, all := n.cfg.level, true
	for _, m := range members {
		st, answers := seen[m.ID]
		if m.Voter {
			all, can = all && answers, min(can, st.Level)
		}
	}
	if !all || level == 0 || can <= level {
		return
	}
	if _, err := n.store.Do(ctx, &command.SetLevel{Meta: n.meta(), Level: can}); err != nil && ctx.Err() == nil {
		n.logger.Warn("raise the feature level", "from", level, "to", can, "error", err)
	} else if err == nil {
		n.logger.Info("feature level raised: every voter can do it", "from", level, "to", can)
	}
}

// quorumWith tells why the voters that would be left, with one more or without one,
// could not go on.
func (n *Node) quorumWith(members []raftnode.Server, seen map[string]sight, changed string) error {
	voters, alive := 0, 0
	for _, m := range members {
		if m.Voter == (m.ID == changed) { // neither a voter that goes nor one that comes
			continue
		}
		voters++
		if _, answers := seen[m.ID]; answers {
			alive++
		}
	}
	if voters == 0 || alive < quorum(voters) {
		return fmt.Errorf("of the %d voters that would be left %d answer, and %d are needed", voters, alive, quorum(voters))
	}
	return nil
}

// Membership asks all members how they are.
func (n *Node) Membership(ctx context.Context) (Membership, error) {
	members, err := n.store.Raft().Servers()
	if err != nil {
		return Membership{}, err
	}
	seen := n.see(ctx, members)
	var out Membership
	out.Leader, _ = n.store.Raft().Leader()
	out.LeaderURL = n.urlOf(out.Leader)
	n.store.View(func(s *fsm.State) { out.Level = s.Level })
	voters, alive := 0, 0
	for _, m := range members {
		st, answers := seen[m.ID]
		if m.Voter {
			voters++
		}
		if m.Voter && answers {
			alive++
		}
		g, _ := n.gossip.Member(m.ID)
		out.Members = append(out.Members, Member{
			ID: m.ID, Raft: m.Addr, URL: n.urlOf(m.ID), Voter: m.Voter, Leader: m.ID == out.Leader, Answers: answers,
			Applied: st.AppliedIndex, Level: st.Level, Software: g.Software,
		})
	}
	out.Tolerates = alive - quorum(voters)
	return out, nil
}

// urlOf is where a node's API is served, "" when that is not known.
func (n *Node) urlOf(id string) string {
	m, ok := n.gossip.Member(id)
	switch {
	case !ok || m.HTTPAddr == "":
		return ""
	case m.HTTPS:
		return "https://" + m.HTTPAddr
	}
	return "http://" + m.HTTPAddr
}

// refusal is why a change of members is not made.
type refusal struct {
	status  int
	code    string
	message string
	remedy  string
}

// Error implements error.
func (r *refusal) Error() string { return r.message + ": " + r.remedy }

func conflict(code, remedy, format string, args ...any) error {
	return &refusal{409, code, fmt.Sprintf(format, args...), remedy}
}

var errNotLeader = errors.New("edge: members are changed by the leader")

// oneAtATime refuses a change while another is under way.
func oneAtATime(members []raftnode.Server, but string) error {
	for _, m := range members {
		if !m.Voter && m.ID != but {
			return conflict("busy", "wait until it votes, or remove it", "member %s is still catching up", m.ID)
		}
	}
	return nil
}

// AddMember has a node that waits to join get the log; tend gives it its vote when
// it has caught up. addr may be "" when gossip knows the node.
func (n *Node) AddMember(ctx context.Context, id, addr string) error {
	if !identity.ValidName(id) {
		return &refusal{400, "invalid", fmt.Sprintf("%q is no name of a node", id), "give 1 to 63 of a-z, 0-9 and hyphen"}
	}
	if !n.store.IsLeader() {
		return errNotLeader
	}
	members, err := n.store.Raft().Servers()
	if err != nil {
		return err
	}
	for _, m := range members {
		switch {
		case m.ID == id && m.Voter:
			return conflict("is_member", "nothing is to be done; if its disk was lost, remove it first, then add it", "node %s is a voter already", id)
		case m.ID == id:
			return nil
		}
	}
	if err := oneAtATime(members, id); err != nil {
		return err
	}
	if g, ok := n.gossip.Member(id); ok && addr == "" {
		addr = g.RaftAddr
	}
	if addr == "" {
		return &refusal{404, "not_found", "no node " + id + " is seen", "start it, with one of this region's nodes among its peers, or give its raft address"}
	}
	return n.store.Raft().AddNonvoter(ctx, raftnode.Peer{ID: id, Addr: addr})
}

// RemoveMember takes a node out of the region, unless the others could not go on
// without it.
func (n *Node) RemoveMember(ctx context.Context, id string) error {
	if !n.store.IsLeader() {
		return errNotLeader
	}
	members, err := n.store.Raft().Servers()
	if err != nil {
		return err
	}
	voter, found := false, false
	for _, m := range members {
		if m.ID == id {
			voter, found = m.Voter, true
		}
	}
	if !found {
		return &refusal{404, "not_found", "node " + id + " is no member", "see GET /v1/members"}
	}
	if err := oneAtATime(members, id); err != nil {
		return err
	}
	if voter {
		if err := n.quorumWith(members, n.see(ctx, members), id); err != nil {
			return conflict("quorum", "start the nodes that do not answer, or remove those first", "without %s the region would stop: %s", id, err)
		}
	}
	if id == n.cfg.Node {
		if err := n.store.Raft().TransferLeadership(ctx); err != nil {
			return err
		}
		return errNotLeader
	}
	if err := n.store.Raft().RemoveServer(ctx, id); err != nil {
		return err
	}
	n.logger.Info("member removed", "member", id)
	return nil
}

// Transfer hands leadership to a voter, or with "" to the one that has the most.
func (n *Node) Transfer(ctx context.Context, to string) error {
	if !n.store.IsLeader() {
		return errNotLeader
	}
	if to == "" {
		return n.store.Raft().TransferLeadership(ctx)
	}
	voters, err := n.store.Raft().Peers()
	if err != nil {
		return err
	}
	for _, v := range voters {
		switch {
		case v.ID == to && to == n.cfg.Node:
			return nil
		case v.ID == to:
			return n.store.Raft().TransferTo(ctx, v)
		}
	}
	return &refusal{404, "not_found", "node " + to + " is no voter", "see GET /v1/members"}
}
