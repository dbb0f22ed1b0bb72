package edge

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
)

// logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// call is the newest line about an operator's call.
func (l *logBuffer) call(t *testing.T) (line map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range strings.Lines(l.b.String()) {
		if !strings.Contains(text, `"operator call"`) {
			continue
		}
		line = nil
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
	}
	return line
}

// Who changes something at a node's API is logged with address, outcome and what was
// before, and never with the token.
func TestOperatorCallsAreLogged(t *testing.T) {
	cfg := testConfig(t)
	var log logBuffer
	cfg.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const token = "admins-token"
	ready := func() (ok bool) {
		n.store.View(func(s *fsm.State) { ok = s.Configured && s.Now != 0 })
		return ok && n.store.IsLeader()
	}
	for deadline := time.Now().Add(20 * time.Second); !ready(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the region is not founded")
		}
	}
	for _, c := range []command.Command{&command.OpenEpoch{Meta: n.meta(), Epoch: 1}, &command.Feed{Rows: []feed.Row{operatorRow(t, []byte(token), "admin")}}} {
		if _, err := n.store.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		method, path, body string
		code               int
		says               []string // of the line, as JSON
	}{
		{"PUT", "/v1/policy", `{"CutAge":77}`, http.StatusOK, []string{`"outcome":"done"`, `"CutAge":77`, `"before":{`}},
		{"PUT", "/v1/policy", `{"CutAge":78}`, http.StatusOK, []string{`"before":{`, `"CutAge":77`, `"CutAge":78`}},
		{"POST", "/v1/members", `{"id":"north-9","raft":""}`, http.StatusNotFound, []string{"no node north-9 is seen", `"id":"north-9"`, cfg.Node + " (voter)"}},
		{"DELETE", "/v1/members/north-8", "", http.StatusNotFound, []string{`"asked":"north-8"`, "is no member"}},
		{"POST", "/v1/transfer", `{"to":"north-7"}`, http.StatusNotFound, []string{"is no voter", `"to":"north-7"`}},
		{"POST", "/v1/audit", "", http.StatusOK, []string{`"outcome":"done"`}},
		{"POST", "/v1/cut", "", http.StatusNoContent, []string{`"limit":`}},
		{"POST", "/v1/events", `{"id": "e1", "subscription": "s1", "usage": "sms", "at": "2026-11-25T12:00:00Z"}`, http.StatusUnprocessableEntity, []string{`"event":"e1"`, `"quantity":1`, `"outcome":"refused: unknown subscriber"`}},
	} {
		if code, body := send(t, c.method, "http://"+cfg.HTTP+c.path, token, c.body); code != c.code {
			t.Errorf("%s %s: %d %s", c.method, c.path, code, body)
		}
		line, err := json.Marshal(log.call(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range append(c.says, `"operator":"op"`, `"role":"admin"`, `"from":"127.`, `"call":"`+c.method+" "+c.path+`"`) {
			if !strings.Contains(string(line), want) {
				t.Errorf("%s %s is logged as %s: it does not say %s", c.method, c.path, line, want)
			}
		}
		if strings.Contains(string(line), token) {
			t.Errorf("the token is logged: %s", line)
		}
	}
}

// The steps of a stop come one after the other within the whole.
func TestSharesOfTheTimeToStop(t *testing.T) {
	now := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	for _, all := range []time.Duration{8 * time.Second, 100 * time.Millisecond} {
		d, last := shares(now, all), now
		for _, by := range []time.Time{d.radius, d.http, d.store, d.gossip, now.Add(all)} {
			if !by.After(last) {
				t.Errorf("of %s a step ends at %s, the one before at %s", all, by.Sub(now), last.Sub(now))
			}
			last = by
		}
	}
}
