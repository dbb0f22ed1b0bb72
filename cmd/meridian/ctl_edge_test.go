package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"meridian/edge"
)

// fakeRegion is two nodes' API: the first follows, the second leads. What is added
// votes after it was looked at twice; what was done is noted.
type fakeRegion struct {
	mu      sync.Mutex
	members edge.Membership
	looked  int
	done    []string
}

func (f *fakeRegion) serve(t *testing.T, leads bool) *httptest.Server {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, body any) {
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /v1/members", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i := range f.members.Members {
			if m := &f.members.Members[i]; !m.Voter {
				f.looked++
				m.Voter = f.looked > 2
			}
		}
		answer(w, 200, f.members)
	})
	change := func(what string, do func(id string)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if !leads {
				t.Errorf("%s was asked of a follower", what)
			}
			if r.Header.Get("Authorization") != "Bearer secret" {
				t.Errorf("%s without the token", what)
			}
			id := r.PathValue("id")
			if id == "" {
				var body struct{ ID string }
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					t.Error(err)
				}
				id = body.ID
			}
			if len(f.done) == 0 && what == "add" {
				f.done = append(f.done, "busy")
				answer(w, 409, map[string]string{"code": "busy", "message": "another is catching up"})
				return
			}
			if id == "north-2" && what == "remove" {
				answer(w, 409, map[string]string{"code": "quorum", "message": "the region would stop", "remedy": "start the nodes"})
				return
			}
			f.done = append(f.done, what+" "+id)
			do(id)
			answer(w, 200, f.members)
		}
	}
	mux.HandleFunc("POST /v1/members", change("add", func(id string) { f.members.Members = append(f.members.Members, edge.Member{ID: id}) }))
	mux.HandleFunc("DELETE /v1/members/{id}", change("remove", func(id string) {
		f.members.Members = slices.DeleteFunc(f.members.Members, func(m edge.Member) bool { return m.ID == id })
	}))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// Changes are made at the leader, whichever node is asked; what passes is waited
// for, and what does not is told with its remedy.
func TestMembersAreChangedAtTheLeader(t *testing.T) {
	f := &fakeRegion{}
	follower, leader := f.serve(t, false), f.serve(t, true)
	f.members = edge.Membership{Leader: "north-2", LeaderURL: leader.URL, Members: []edge.Member{{ID: "north-1", Voter: true}, {ID: "north-2", Voter: true}}}
	run := func(args ...string) (string, error) {
		cmd := ctlCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		cmd.SetArgs(append(append([]string{"edge"}, args...), "--url", follower.URL, "--token", "secret"))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("replace", "north-1", "north-4")
	if err != nil || !strings.Contains(out, "north-4") || strings.Contains(out, "north-1") {
		t.Fatalf("%v: %s", err, out)
	}
	if got := strings.Join(f.done, ", "); got != "busy, add north-4, remove north-1" {
		t.Errorf("done: %s", got)
	}
	if _, err := run("remove", "north-2"); err == nil || !strings.Contains(err.Error(), "start the nodes") {
		t.Errorf("a removal that would stop the region: %v", err)
	}
	if _, err := run("remove", "north-9"); err == nil || !strings.Contains(err.Error(), "no member") {
		t.Errorf("no member: %v", err)
	}
}
