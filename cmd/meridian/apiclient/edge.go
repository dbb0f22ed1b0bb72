package apiclient

import (
	"context"
	"net/url"

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

// StartAudit makes every replica note its totals at one point of the log.
func (c *Client) StartAudit(ctx context.Context) error {
	return c.do(ctx, "POST", "/v1/audit", "", "", nil, nil)
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
