package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// client speaks to the APIs of centre and nodes as an operator's program does.
type client struct {
	token string
	http  *http.Client
}

// askTimeout is how long an answer is waited for.
const askTimeout = 3 * time.Second

func newClient(token string) *client {
	return &client{token: token, http: &http.Client{Timeout: askTimeout, Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, MaxIdleConnsPerHost: 8, IdleConnTimeout: 5 * time.Second,
	}}}
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.body) }

func (c *client) get(ctx context.Context, host, path string, out any) error {
	return c.do(ctx, http.MethodGet, host, path, "", nil, out)
}

func (c *client) do(ctx context.Context, method, host, path, key string, in, out any) error {
	var body io.Reader = http.NoBody
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %w", method, path, &refusal{resp.StatusCode, string(data[:min(len(data), 300)])})
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, out)
}

// nodeStatus is what is read of a node's status.
type nodeStatus struct {
	Node          string
	Role          string
	Term          uint64
	Applied       uint64 `json:"applied_index"`
	Seq, Acked    uint64
	Backlog       uint64
	FeedVersion   uint64 `json:"feed_version"`
	LinkConnected bool   `json:"link_connected"`
	LinkCause     string `json:"link_cause"`
	Parted        string
	Disk          struct{ Cause string }
}

func (w *world) status(ctx context.Context, n int) (s nodeStatus, err error) {
	return s, w.http.get(ctx, nodeAddr(n)+":8090", "/status", &s)
}

// leader is the number of the node that leads in the highest term, 0 when none
// says so.
func (w *world) leader(ctx context.Context) (leader int, at nodeStatus) {
	for n := 1; n <= nodes; n++ {
		if s, err := w.status(ctx, n); err == nil && s.Role == "leader" && s.Term > at.Term {
			leader, at = n, s
		}
	}
	return leader, at
}
