package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"meridian/cmd/meridian/exitcode"
	"meridian/edge"
	"meridian/edge/store"
)

// The commands about key files show ids and who wraps, never a key.
func TestKeysCommand(t *testing.T) {
	dir := t.TempDir()
	data, kek := filepath.Join(dir, "data.ring"), filepath.Join(dir, "kek.ring")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"new --file " + kek, exitcode.Done, "keys [1]"},
		{"new --file " + data, exitcode.Done, "keys [1]"},
		{"new --file " + data, exitcode.Failed, "exists"},
		{"rewrap --file " + data, exitcode.Usage, "say who wraps"},
		{"rewrap --file " + data + " --kms-keyring " + kek, exitcode.Done, "keys [1]"},
		{"add --file " + data, exitcode.Failed, "no key management is configured"},
		{"add --file " + data + " --kms-keyring " + kek, exitcode.Done, "keys [1 2]"},
		{"list --file " + data, exitcode.Done, "2\tkeyring/1"},
		{"list --file " + kek, exitcode.Done, "1\tclear text"},
		{"drop --file " + data + " 7", exitcode.Failed, "no key id 7"},
		{"drop --file " + data + " 1", exitcode.Done, ""},
		{"list", exitcode.Usage, "--file"},
		{"add --file " + data + " --kms-socket " + dir + "/none --kms-keyring " + kek, exitcode.Usage, "kms-socket"},
		{"add --file " + data + " --kms-socket " + dir + "/none", exitcode.Failed, "see that the key management service answers"},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"keys"}, strings.Fields(c.args)...), &out, &errs)
		all := out.String() + errs.String()
		if code != c.code || !strings.Contains(all, c.says) {
			t.Errorf("keys %s: status %d, want %d with %q: %s", c.args, code, c.code, c.says, all)
		}
		if regexp.MustCompile(`[0-9a-f]{32}`).MatchString(all) {
			t.Errorf("keys %s: prints what may be a key: %s", c.args, all)
		}
	}
	if text, err := os.ReadFile(data); err != nil || !regexp.MustCompile(`(?m)^2 wrapped keyring/1 \S+\n\z`).Match(text) {
		t.Errorf("%v: %s", err, text)
	}
}

// fakeKeys is a node whose API tells and changes its data keys.
type fakeKeys struct {
	id     string
	held   []uint32
	seals  uint32
	done   *[]string
	refuse bool
}

func (f *fakeKeys) handler(t *testing.T, members func() edge.Membership) http.Handler {
	answer := func(w http.ResponseWriter, status int, body any) {
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}
	view := func() edge.KeysView {
		return edge.KeysView{Node: f.id, Keys: store.Keys{Sealing: f.seals, Held: f.held}}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/members", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, members()) })
	mux.HandleFunc("GET /v1/keys", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, view()) })
	mux.HandleFunc("POST /v1/keys/reload", func(w http.ResponseWriter, _ *http.Request) {
		if f.refuse {
			answer(w, 409, map[string]string{"code": "bad_key_file", "message": "line 2", "remedy": "correct the file"})
			return
		}
		*f.done = append(*f.done, "reload "+f.id)
		f.held = []uint32{1, 2}
		answer(w, 200, view())
	})
	mux.HandleFunc("POST /v1/keys/rotate", func(w http.ResponseWriter, _ *http.Request) {
		*f.done = append(*f.done, "rotate "+f.id)
		f.seals = 2
		answer(w, 200, view())
	})
	return mux
}

// All nodes read the file before any seals with the new key; one that refuses keeps
// all from it, and what was done before is not done again.
func TestRotateKeyReachesAllNodes(t *testing.T) {
	var done []string
	var m edge.Membership
	var nodes []*fakeKeys
	for _, id := range []string{"north-1", "north-2"} {
		f := &fakeKeys{id: id, held: []uint32{1}, seals: 1, done: &done}
		s := httptest.NewServer(f.handler(t, func() edge.Membership { return m }))
		t.Cleanup(s.Close)
		m.Members, nodes = append(m.Members, edge.Member{ID: id, URL: s.URL}), append(nodes, f)
	}
	rotate := func() (string, error) {
		cmd := ctlCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		cmd.SetArgs([]string{"edge", "rotate-key", "--url", m.Members[1].URL})
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	nodes[1].refuse = true
	if _, err := rotate(); exitcode.Of(err) != exitcode.Failed || !strings.Contains(err.Error(), "node north-2") {
		t.Fatalf("%v", err)
	}
	nodes[1].refuse, nodes[0].seals = false, 2
	out, err := rotate()
	if err != nil || strings.Count(out, `"sealing": 2`) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	if got := strings.Join(done, ", "); got != "reload north-1, reload north-1, reload north-2, rotate north-2" {
		t.Fatalf("done: %s", got)
	}
	m.Members[0].URL = ""
	if _, err := rotate(); exitcode.Of(err) != exitcode.Unreachable || !strings.Contains(err.Error(), "north-1 is not known") {
		t.Fatalf("a node that is not seen: %v", err)
	}
}
