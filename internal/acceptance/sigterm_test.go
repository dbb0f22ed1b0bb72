package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/central/embedded"
)

// promised is within what a process ends after SIGTERM; its own shutdown_timeout
// is shorter.
const promised = 10 * time.Second

// TestSIGTERM ends three leaders in turn in the midst of traffic, then the centre
// in the midst of deposits. Each lets others take over or finishes what it began,
// ends by itself, and loses nothing that it acknowledged. All log at level debug:
// at the end no secret is in what they printed.
func TestSIGTERM(t *testing.T) {
	net, dir := network(3), t.TempDir()
	setUp := start(t, "demo", "--once", "--no-story", "--dir", dir, "--network", net, "--subscribers", "200")
	if code := setUp.wait(t, 2*time.Minute); code != 0 {
		t.Fatalf("set-up ended with status %d", code)
	}
	talkative(t, dir)
	store := runStore(t, dir)
	s := &stopped{t: t, net: net, dir: dir, witness: filepath.Join(dir, "witness.jsonl"), token: readFile(t, dir, "keys", "admin.token")}
	s.startCentre()
	copy(s.region[:], startRegion(t, net, dir))
	s.all = append(s.all, s.region[:]...)
	load := start(t, "load", "--dir", dir, "--witness", s.witness, "--seconds", "0", "--sessions", "48")
	s.all = append(s.all, load)
	acks := &ackCounter{path: s.witness}
	for range nodes {
		s.goesOn(acks)
		s.stopLeader(acks)
	}
	s.goesOn(acks)
	load.stop(t, time.Minute)
	s.stopCentre()
	s.misuse()
	for _, p := range append(s.region[:], s.centre) {
		p.stop(t, promised)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for id, f := range findings(t, 0, "--dir", dir, "--witness", s.witness) {
		if !f.OK || f.Checked == 0 && id != "V8" { // V8 is about money that the centre returned
			t.Errorf("%s: ok %v, checked %d: %s", id, f.OK, f.Checked, f.Detail)
		}
	}
	s.noSecrets()
}

// stopped is the region and its centre, and every process that ever was of them.
type stopped struct {
	t                        *testing.T
	net, dir, witness, token string
	region                   [nodes]*process
	centre                   *process
	all                      []*process
}

// talkative has all processes log at level debug, gives them a token for
// /debug/pprof/, and has the nodes dial the centre without the demo's relay.
func talkative(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "keys", "debug.token"), []byte(debugToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"centre", "north-1", "north-2", "north-3"} {
		file := filepath.Join(dir, name+".yaml")
		text := readFile(t, file)
		for _, change := range [][2]string{{"level: info", "level: debug"}, {`debug_token_file: ""`, "debug_token_file: keys/debug.token"}, {".0.1:7100", ".0.1:7000"}} {
			if !strings.Contains(text, change[0]) && !(name == "centre" && strings.HasPrefix(change[0], ".0.1")) {
				t.Fatalf("%s has no %q:\n%s", file, change[0], text)
			}
			text = strings.ReplaceAll(text, change[0], change[1])
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// runStore starts the demo's database and tells the centre where it is.
func runStore(t *testing.T, dir string) *embedded.Store {
	t.Helper()
	cfg := embedded.DefaultConfig()
	cfg.Dir = filepath.Join(dir, "store")
	store, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() }) // for a test that failed; it was closed otherwise
	if err := os.WriteFile(filepath.Join(dir, "keys", "store.url"), []byte(store.URL()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return store
}

func (s *stopped) startCentre() {
	s.t.Helper()
	s.centre = start(s.t, "central", "--config", filepath.Join(s.dir, "centre.yaml"))
	s.all = append(s.all, s.centre)
	eventually(s.t, 30*time.Second, func() error {
		status, err := ask(s.t, http.MethodGet, s.url("/readyz"), "", "", nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
}

func (s *stopped) url(path string) string { return "http://" + s.net + ".0.1:8080" + path }

// goesOn waits until a hundred packets more are acknowledged.
func (s *stopped) goesOn(acks *ackCounter) {
	s.t.Helper()
	want := acks.count(s.t) + 100
	eventually(s.t, 30*time.Second, func() error {
		if got := acks.count(s.t); got < want {
			return fmt.Errorf("%d of %d acknowledgements", got, want)
		}
		return nil
	})
}

// view is what the test reads of a node's status.
type view struct {
	Role, Leader string
	Term         uint64
	Applied      uint64 `json:"applied_index"`
}

func (s *stopped) view(n int) (v view, err error) {
	status, err := ask(s.t, http.MethodGet, fmt.Sprintf("http://%s.1.%d:8090/status", s.net, n), "", "", &v)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return v, err
}

// leader is the number of the node that leads, from 1.
func (s *stopped) leader() (n int, v view) {
	s.t.Helper()
	eventually(s.t, 30*time.Second, func() error {
		for n = 1; n <= nodes; n++ {
			var err error
			if v, err = s.view(n); err == nil && v.Role == "leader" {
				return nil
			}
		}
		return errors.New("no node leads")
	})
	return n, v
}

// stopLeader ends the leader, wants that it names its successor before it has
// ended, and brings it back.
func (s *stopped) stopLeader(acks *ackCounter) {
	t := s.t
	t.Helper()
	old, before := s.leader()
	p := s.region[old-1]
	p.stop(t, promised)
	next, after := s.leader()
	// The stopped node wrote this while it ran, having heard from who leads in that
	// term, and it took packets until then.
	printed := p.output()
	over := strings.Index(printed, fmt.Sprintf(`msg="raft: leadership handed over" region=north node=north-%d to=north-%d term=%d`, old, next, after.Term))
	if next == old || after.Term <= before.Term || over < 0 || strings.Index(printed, `msg="RADIUS closed"`) < over {
		t.Errorf("north-%d led in term %d and was stopped, north-%d leads in term %d: want that the former printed that it handed over to the latter, then that RADIUS was closed",
			old, before.Term, next, after.Term)
	}
	s.goesOn(acks)
	reached, err := s.view(next)
	if err != nil {
		t.Fatal(err)
	}
	s.region[old-1] = start(t, "edge", "--config", filepath.Join(s.dir, fmt.Sprintf("north-%d.yaml", old)))
	s.all = append(s.all, s.region[old-1])
	eventually(t, 30*time.Second, func() error {
		v, err := s.view(old)
		if err == nil && v.Applied < reached.Applied {
			err = fmt.Errorf("north-%d came back and applied %d of %d", old, v.Applied, reached.Applied)
		}
		return err
	})
}

// stopCentre ends the centre while clerks pay money in; what it said it took is
// there when it is back.
func (s *stopped) stopCentre() {
	t := s.t
	t.Helper()
	const account = "/v1/accounts/acc000001/statement"
	var before, after statement
	if status, err := ask(t, http.MethodGet, s.url(account), s.token, "", &before); err != nil || status != http.StatusOK {
		t.Fatalf("statement: %d, %v", status, err)
	}
	var taken, open atomic.Int64
	var clerks sync.WaitGroup
	for clerk := range 4 {
		clerks.Go(func() {
			for n := 0; ; n++ {
				status, err := deposit(s.url("/v1/deposits"), s.token, fmt.Sprintf("clerk-%d-%d", clerk, n))
				switch {
				case err == nil && status == http.StatusCreated:
					taken.Add(1)
				case err != nil:
					open.Add(1) // its outcome is unknown, or the centre was gone
					return
				default:
					t.Errorf("deposit: status %d: a request that was begun is answered", status)
					return
				}
			}
		})
	}
	eventually(t, 30*time.Second, func() error {
		if n := taken.Load(); n < 20 {
			return fmt.Errorf("%d deposits", n)
		}
		return nil
	})
	s.centre.stop(t, promised)
	clerks.Wait()
	s.startCentre()
	if status, err := ask(t, http.MethodGet, s.url(account), s.token, "", &after); err != nil || status != http.StatusOK {
		t.Fatalf("statement: %d, %v", status, err)
	}
	if got := int64(len(after.Lines) - len(before.Lines)); got < taken.Load() || got > taken.Load()+open.Load() {
		t.Errorf("%d deposits were acknowledged, %d have an unknown outcome: the statement has %d lines more", taken.Load(), open.Load(), got)
	}
}

// deposit pays 0.01 in and returns the status; it is called beside the test's
// goroutine.
func deposit(url, token, key string) (int, error) {
	body, err := json.Marshal(map[string]string{"account": "acc000001", "amount": "0.01", "currency": "EUR", "method": "bank"})
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Idempotency-Key", key)
	resp, err := (&http.Client{Timeout: promised}).Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
