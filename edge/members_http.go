package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
)

// maxMemberBody bounds a request about members or policy.
const maxMemberBody = 4096

// member is the body of POST /v1/members. Raft may be left out when gossip knows the
// node.
type member struct {
	ID   string `json:"id"`
	Raft string `json:"raft"` // host:port
}

func (n *Node) getMembers(w http.ResponseWriter, r *http.Request) {
	m, err := n.Membership(r.Context())
	if err != nil {
		n.refuse(w, http.StatusServiceUnavailable, httpError{"unavailable", err.Error(), "look at GET /status of the nodes and try again"})
		return
	}
	n.answer(w, m)
}

// readBody decodes a small JSON body, which may be empty when nothing is needed.
func (n *Node) readBody(w http.ResponseWriter, r *http.Request, into any, example string) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMemberBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		n.refuse(w, http.StatusBadRequest, httpError{"invalid", "the body is not understood: " + err.Error(), "send " + example})
		return false
	}
	return true
}

// postMember adds a node that waits to join.
func (n *Node) postMember(w http.ResponseWriter, r *http.Request) {
	var m member
	if n.readBody(w, r, &m, `{"id":"north-4"}, with "raft":"host:port" if gossip does not know it`) {
		n.changeMembers(w, r, m, func(ctx context.Context) error { return n.AddMember(ctx, m.ID, m.Raft) })
	}
}

func (n *Node) deleteMember(w http.ResponseWriter, r *http.Request) {
	n.changeMembers(w, r, r.PathValue("id"), func(ctx context.Context) error { return n.RemoveMember(ctx, r.PathValue("id")) })
}

// postTransfer hands leadership over.
func (n *Node) postTransfer(w http.ResponseWriter, r *http.Request) {
	var to struct {
		To string `json:"to"`
	}
	if n.readBody(w, r, &to, `{"to":"north-2"}, or {} for the node that has the most`) {
		n.changeMembers(w, r, to, func(ctx context.Context) error { return n.Transfer(ctx, to.To) })
	}
}

// postConfirmTime lets region time follow the nodes' clocks.
func (n *Node) postConfirmTime(w http.ResponseWriter, r *http.Request) {
	n.changeMembers(w, r, "region time", func(context.Context) error { return n.ConfirmTime() })
}

func (n *Node) changeMembers(w http.ResponseWriter, r *http.Request, asked any, change func(context.Context) error) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	before := n.standing()
	err := change(ctx)
	n.audit(r, err, "asked", asked, "before", before)
	var no *refusal
	switch {
	case err == nil:
		n.getMembers(w, r)
	case errors.Is(err, errNotLeader):
		leader, _ := n.store.Raft().Leader()
		n.refuse(w, http.StatusConflict, httpError{"not_leader", "members are changed by the leader", "ask node " + leader})
	case errors.As(err, &no):
		n.refuse(w, no.status, httpError{no.code, no.message, no.remedy})
	default:
		n.refuse(w, http.StatusServiceUnavailable, httpError{"unavailable", err.Error(), "look at GET /status of the nodes and try again"})
	}
}

var errPolicyChanged = errors.New("the policy in force is not the one that this node had: another call changed it, or the node is behind")

func (n *Node) getPolicy(w http.ResponseWriter, _ *http.Request) {
	var p command.Policy
	n.store.View(func(s *fsm.State) { p = s.Policy })
	n.answer(w, p)
}

// putPolicy replaces fields of the region's policy; those that are not named stay. It
// takes effect only over the policy that this node has: what another call changed
// meanwhile is not undone.
func (n *Node) putPolicy(w http.ResponseWriter, r *http.Request) {
	var p, before command.Policy
	n.store.View(func(s *fsm.State) { before = s.Policy })
	p = before
	if !n.readBody(w, r, &p, `fields of GET /v1/policy, such as {"CutAge":3600}`) {
		return
	}
	if err := p.Validate(); err != nil {
		n.refuse(w, http.StatusBadRequest, httpError{"invalid", err.Error(), "correct the fields that are named"})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	res, err := n.store.Do(ctx, &command.SetPolicy{Meta: n.meta(), Policy: p, Before: &before})
	if err == nil && res.Code == command.OutOfOrder {
		n.audit(r, errPolicyChanged, "before", before, "after", p)
		n.refuse(w, http.StatusConflict, httpError{"policy_changed", errPolicyChanged.Error(), "look at GET /v1/policy and send the fields again"})
		return
	}
	n.audit(r, err, "before", before, "after", p)
	if err != nil {
		n.refuse(w, http.StatusServiceUnavailable, httpError{"unavailable", err.Error(), "try again when the region has a leader"})
		return
	}
	n.answer(w, p)
}
