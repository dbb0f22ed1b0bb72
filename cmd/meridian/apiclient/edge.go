package apiclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"meridian/edge"
	"meridian/edge/fsm"
	"meridian/internal/verify"
)

// Status is a node's view of itself and its region.
func (c *Client) Status(ctx context.Context) (edge.Status, error) {
	var s edge.Status
	return s, c.get(ctx, "/status", &s)
}

// Ready asks whether the server says that it is ready to serve.
func (c *Client) Ready(ctx context.Context) error { return c.get(ctx, "/readyz", nil) }

// StartAudit makes every replica note its totals at one point of the log, and says
// how to know the reports that come of it.
func (c *Client) StartAudit(ctx context.Context) (edge.Audited, error) {
	var a edge.Audited
	return a, c.do(ctx, "POST", "/v1/audit", "", "", nil, &a)
}

// Audit is the node's newest audit.
func (c *Client) Audit(ctx context.Context) (verify.EdgeReport, error) {
	var r verify.EdgeReport
	return r, c.get(ctx, "/v1/audit", &r)
}

// Cut asks the region to cut what was used and not cut yet.
func (c *Client) Cut(ctx context.Context) error {
	return c.do(ctx, "POST", "/v1/cut", "", "", nil, nil)
}

// EdgeAccount is what the region knows of an account.
func (c *Client) EdgeAccount(ctx context.Context, id string) ([]fsm.AccountView, error) {
	var v []fsm.AccountView
	return v, c.get(ctx, "/v1/accounts/"+url.PathEscape(id), &v)
}

// EdgeSubscription is a subscription's service state at its home.
func (c *Client) EdgeSubscription(ctx context.Context, id string) (fsm.SubscriptionView, error) {
	var v fsm.SubscriptionView
	return v, c.get(ctx, "/v1/subscriptions/"+url.PathEscape(id), &v)
}

// Members is who belongs to the node's region.
func (c *Client) Members(ctx context.Context) (edge.Membership, error) {
	var m edge.Membership
	return m, c.get(ctx, "/v1/members", &m)
}

// leader is a client of the node that leads the region, with this client's token.
func (c *Client) leader(ctx context.Context) (*Client, error) {
	m, err := c.Members(ctx)
	if err != nil || m.LeaderURL == "" || m.LeaderURL == c.base {
		return c, err
	}
	return &Client{base: m.LeaderURL, token: c.token, http: c.http}, nil
}

// AddMember adds a node that waits to join, at the leader.
func (c *Client) AddMember(ctx context.Context, id, raft string) error {
	l, err := c.leader(ctx)
	if err != nil {
		return err
	}
	return l.post(ctx, "/v1/members", "", map[string]string{"id": id, "raft": raft}, nil)
}

// RemoveMember takes a node out of the region, at the leader.
func (c *Client) RemoveMember(ctx context.Context, id string) error {
	l, err := c.leader(ctx)
	if err != nil {
		return err
	}
	return l.do(ctx, "DELETE", "/v1/members/"+url.PathEscape(id), "", "", nil, nil)
}

// Transfer hands leadership over, to a node or with "" to the one that has the most.
func (c *Client) Transfer(ctx context.Context, to string) error {
	l, err := c.leader(ctx)
	if err != nil {
		return err
	}
	return l.post(ctx, "/v1/transfer", "", map[string]string{"to": to}, nil)
}

// ConfirmTime has the leader take what the nodes' clocks say for region time.
func (c *Client) ConfirmTime(ctx context.Context) error {
	l, err := c.leader(ctx)
	if err != nil {
		return err
	}
	return l.do(ctx, "POST", "/v1/confirm-time", "", "", nil, nil)
}

// SetPolicy changes the fields of the region's policy that a JSON object names, and
// returns the whole as JSON.
func (c *Client) SetPolicy(ctx context.Context, fields []byte) (string, error) {
	var p json.RawMessage
	err := c.do(ctx, "PUT", "/v1/policy", "", "application/json", fields, &p)
	return string(p), err
}

// Node is a member's API.
type Node struct {
	ID string
	*Client
}

// Nodes are the APIs of all members, with this client's token. A member whose API the
// asked node does not know is an error: what is asked of all must reach all.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	m, err := c.Members(ctx)
	if err != nil {
		return nil, err
	}
	var out []Node
	var unseen []string
	for _, o := range m.Members {
		if o.URL == "" {
			unseen = append(unseen, o.ID)
		}
		out = append(out, Node{o.ID, &Client{base: o.URL, token: c.token, http: c.http}})
	}
	if len(unseen) > 0 {
		return nil, fmt.Errorf("the address of %s is not known: start it, or remove it from the region if it is lost", strings.Join(unseen, ", "))
	}
	return out, nil
}

// Keys are the asked node's data keys.
func (c *Client) Keys(ctx context.Context) (k edge.KeysView, err error) {
	err = c.get(ctx, "/v1/keys", &k)
	return k, err
}

// ReloadKeys has the asked node read its key file again.
func (c *Client) ReloadKeys(ctx context.Context) (k edge.KeysView, err error) {
	err = c.post(ctx, "/v1/keys/reload", "", struct{}{}, &k)
	return k, err
}

// RotateKey has the asked node seal with its newest key.
func (c *Client) RotateKey(ctx context.Context) (k edge.KeysView, err error) {
	err = c.post(ctx, "/v1/keys/rotate", "", struct{}{}, &k)
	return k, err
}
