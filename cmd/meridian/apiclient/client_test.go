package apiclient

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRequestCarriesTokenAndKey(t *testing.T) {
	var seen *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Clone(context.Background())
		_, _ = w.Write([]byte(`{"offerings":[{"id":"a","version":7}]}`))
	}))
	defer s.Close()
	c := New(s.URL, "token-1")
	defer c.Close()
	version, err := c.Publish(t.Context(), "key-1", "id: a\n")
	if err != nil || version != 7 {
		t.Fatalf("%d, %v", version, err)
	}
	if seen.Header.Get("Authorization") != "Bearer token-1" || seen.Header.Get("Idempotency-Key") != "key-1" || seen.Method != http.MethodPost || seen.URL.Path != "/v1/offerings" {
		t.Errorf("%s %s %v", seen.Method, seen.URL, seen.Header)
	}
}

func TestRefusalIsToldInFull(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusConflict)
		if r.URL.Path == "/status" {
			_, _ = w.Write([]byte("plain words"))
			return
		}
		_, _ = w.Write([]byte(`{"code":"conflict","message":"the key was used","field":"Idempotency-Key","value":"k","remedy":"use a new key"}`))
	}))
	defer s.Close()
	c := New(s.URL, "")
	err := c.Deposit(t.Context(), "k", Deposit{})
	if !Refused(err, http.StatusConflict) || Refused(err, http.StatusNotFound) {
		t.Errorf("%v", err)
	}
	for _, part := range []string{"409", "conflict", "the key was used", "Idempotency-Key", "use a new key", "/v1/deposits"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "plain words") {
		t.Errorf("an answer that is no JSON: %v", err)
	}
}

func TestAwait(t *testing.T) {
	n := 0
	if err := Await(t.Context(), func(context.Context) error {
		if n++; n < 3 {
			return errors.New("not yet")
		}
		return nil
	}); err != nil || n != 3 {
		t.Errorf("%d tries, %v", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := Await(ctx, func(context.Context) error { return errors.New("the reason") })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the reason") {
		t.Errorf("%v: want the last reason and the context's", err)
	}
}

func TestStatementAddsUp(t *testing.T) {
	lines := []StatementLine{{Kind: "payment", Amount: "10.00"}, {Kind: "usage"}, {Kind: "charge", Amount: "-2.50"}, {Kind: "overrun", Owed: "1.00"}}
	for _, c := range []struct {
		name string
		s    Statement
		ok   bool
	}{
		{"right", Statement{Opening: "1.00", Credits: "10.00", Charges: "2.50", Closing: "8.50", Lines: lines}, true},
		{"wrong closing", Statement{Opening: "1.00", Credits: "10.00", Charges: "2.50", Closing: "8.51", Lines: lines}, false},
		{"wrong totals", Statement{Opening: "1.00", Credits: "11.00", Charges: "2.50", Closing: "8.50", Lines: lines}, false},
		{"line missing", Statement{Opening: "1.00", Credits: "10.00", Charges: "2.50", Closing: "8.50", Lines: lines[:2]}, false},
		{"no number", Statement{Opening: "x", Credits: "10.00", Charges: "2.50", Closing: "7.50", Lines: lines}, false},
	} {
		if err := c.s.AddsUp(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
