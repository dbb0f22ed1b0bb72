package health

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func get(t *testing.T, h *Health, path string) (int, Status) {
	t.Helper()
	mux := http.NewServeMux()
	h.Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	var s Status
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		t.Fatalf("%s: %v: %s", path, err, w.Body)
	}
	return w.Code, s
}

func TestReadyFollowsItsChecks(t *testing.T) {
	var broken atomic.Bool
	h, err := New(time.Second, nil,
		Check{"raft", func(context.Context) error { return nil }},
		Check{"disk", func(context.Context) error {
			if broken.Load() {
				return errors.New("disk is full: free some space")
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if code, s := get(t, h, "/readyz"); code != http.StatusOK || !s.Ready || len(s.Checks) != 2 {
		t.Errorf("readyz = %d %+v, want 200 and two checks", code, s)
	}
	broken.Store(true)
	code, s := get(t, h, "/readyz")
	want := []Result{{"raft", true, ""}, {"disk", false, "disk is full: free some space"}}
	if code != http.StatusServiceUnavailable || s.Ready || s.Checks[0] != want[0] || s.Checks[1] != want[1] {
		t.Errorf("readyz = %d %+v, want 503 and %+v", code, s, want)
	}
	if code, _ := get(t, h, "/healthz"); code != http.StatusOK {
		t.Errorf("healthz = %d: a process that is not ready still lives", code)
	}
}

func TestSlowChecksRunSideBySideAndAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		h, err := New(3*time.Second, nil, Check{"a", hang}, Check{"b", hang})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		s := h.Status(t.Context())
		if took := time.Since(start); took != 3*time.Second || s.Ready {
			t.Errorf("took %s (ready %t), want 3s and not ready", took, s.Ready)
		}
	})
}

func TestNewReportsAllFaults(t *testing.T) {
	ok := func(context.Context) error { return nil }
	_, err := New(0, nil, Check{"a", ok}, Check{"a", ok}, Check{"", nil})
	for _, want := range []string{"timeout", `named "a"`, "check 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, does not name %q", err, want)
		}
	}
}
