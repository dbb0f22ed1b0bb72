package edge

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
)

// lateBody is a request's body; before the first of it is read, something is done.
type lateBody struct {
	io.Reader
	once sync.Once
	do   func()
}

func (b *lateBody) Read(p []byte) (int, error) {
	b.once.Do(b.do)
	return b.Reader.Read(p)
}

// A policy that another call changed after this one has read it is not undone: the call
// is refused, and goes through when it is made again.
func TestPolicyThatAnotherCallChangedIsNotUndone(t *testing.T) {
	r := newRegion(t, 1)
	const token = "admins-token"
	r.do(&command.Feed{Rows: []feed.Row{operatorRow(t, []byte(token), "admin")}})
	n := r.leader()
	put := func(body string, meanwhile func()) (int, string) {
		req := httptest.NewRequest(http.MethodPut, "/v1/policy", &lateBody{Reader: strings.NewReader(body), do: meanwhile})
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		n.http.Handler.ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	inForce := func() (p command.Policy) {
		n.store.View(func(s *fsm.State) { p = s.Policy })
		return p
	}
	was := inForce()
	code, body := put(`{"CutAge":77}`, func() {
		if code, body := put(`{"MaxBacklogAge":7200}`, func() {}); code != http.StatusOK {
			t.Errorf("the call between: %d %s", code, body)
		}
	})
	if code != http.StatusConflict || !strings.Contains(body, `"policy_changed"`) || !strings.Contains(body, "GET /v1/policy") {
		t.Errorf("the call over a policy that changed: %d %s", code, body)
	}
	want := was
	want.MaxBacklogAge = 7200
	if got := inForce(); got != want {
		t.Errorf("in force is %+v, not that of the call between: %+v", got, want)
	}
	if code, body := put(`{"CutAge":77}`, func() {}); code != http.StatusOK {
		t.Errorf("made again: %d %s", code, body)
	}
	want.CutAge = 77
	if got := inForce(); got != want {
		t.Errorf("in force is %+v, want %+v", got, want)
	}
}
