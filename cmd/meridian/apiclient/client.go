// Package apiclient speaks to the HTTP APIs of the centre and of edge nodes.
//
// It owns requests, bounds, tokens and idempotency keys. It keeps no state and
// repeats nothing by itself but what is safe to repeat.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// maxBody bounds an answer: an audit of a large region is the largest.
const maxBody = 1 << 30

// APIError is a refusal, as the API words it.
type APIError struct {
	Method, URL string
	Status      int
	Code        string `json:"code"`
	Message     string `json:"message"`
	Field       string `json:"field"`
	Value       string `json:"value"`
	Remedy      string `json:"remedy"`
}

// Error says what was refused, why, and what to do.
func (e *APIError) Error() string {
	text := fmt.Sprintf("%s %s: %d %s: %s", e.Method, e.URL, e.Status, e.Code, e.Message)
	if e.Field != "" {
		text += fmt.Sprintf(" (%s %q)", e.Field, e.Value)
	}
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New makes a client of a server at host:port, or at a URL. What an https URL names
// must have a certificate of an authority that the system trusts, or of those in the
// file that the variable SSL_CERT_FILE names. token may be empty.
func New(addr, token string) *Client {
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	return &Client{base: strings.TrimSuffix(addr, "/"), token: token, http: &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
		},
	}}
}

// Addr is the server's base URL.
func (c *Client) Addr() string { return c.base }

// Close gives idle connections up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// get asks and decodes the answer into out, unless that is nil.
func (c *Client) get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, "", "", nil, out)
}

// post sends a JSON body under an idempotency key.
func (c *Client) post(ctx context.Context, path, key string, body, out any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	return c.do(ctx, http.MethodPost, path, key, "application/json", data, out)
}

func (c *Client) do(ctx context.Context, method, path, key, contentType string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		e := &APIError{Method: method, URL: c.base + path, Status: resp.StatusCode}
		if json.Unmarshal(data, e) != nil || e.Message == "" {
			e.Message = strings.TrimSpace(string(data[:min(len(data), 300)]))
		}
		return e
	}
	if out == nil || len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: answer is not understood: %w", method, path, err)
	}
	return nil
}

// Refused tells whether err is a refusal with this status.
func Refused(err error, status int) bool {
	var e *APIError
	return errors.As(err, &e) && e.Status == status
}

// Await calls try until it returns nil, every 50 ms, and returns its last error
// together with the context's when that ends first.
func Await(ctx context.Context, try func(context.Context) error) error {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}
