package edge

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"meridian/internal/feed"
	"meridian/ops/metrics"
	"meridian/replication/identity"
	"meridian/replication/seal"
)

// freeAddr finds a free address on a loopback IP of its own: neither what other
// processes connect from nor the next call can take its port meanwhile.
func freeAddr(t *testing.T, network string) string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d:0", 64+rand.N(128), rand.N(256), 1+rand.N(254))
	if network == "udp" {
		c, err := net.ListenPacket("udp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func testConfig(t *testing.T) Config {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), 365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := ca.Issue(identity.Node("north", "north-1"), time.Now(), 365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.NewRing([]seal.Key{{ID: 1, Bytes: [32]byte{1}}})
	if err != nil {
		t.Fatal(err)
	}
	reg, err := metrics.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Cluster = "test"
	c.Region, c.Node, c.Dir, c.Version = "north", "north-1", t.TempDir(), "test"
	c.RadiusAuth = netip.MustParseAddrPort(freeAddr(t, "udp"))
	c.RadiusAcct = netip.MustParseAddrPort(freeAddr(t, "udp"))
	c.HTTP, c.Raft, c.Forward, c.Gossip = freeAddr(t, "tcp"), freeAddr(t, "tcp"), freeAddr(t, "tcp"), freeAddr(t, "tcp")
	c.Peers = []Peer{{ID: "north-1", Raft: c.Raft, Forward: c.Forward, Gossip: c.Gossip}}
	c.Centre = []string{freeAddr(t, "tcp")} // nobody is there
	c.Identity, c.DataRing, c.Ring, c.GossipKey = bundle, ring, ring, make([]byte, 32)
	c.GossipKey[0] = 1
	c.Start = Found
	c.TickEach, c.IsolatedAfter = 20*time.Millisecond, 100*time.Millisecond
	c.Logger, c.Registry = slog.New(slog.DiscardHandler), reg
	return c
}

func get(t *testing.T, method, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// A node without a centre leads its region, says that it is isolated, and keeps
// what is not for everybody behind a token.
func TestNodeWithoutACentre(t *testing.T) {
	cfg := testConfig(t)
	cfg.DebugTokenHash = fmt.Sprintf("%x", sha256.Sum256([]byte("profiles")))
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
	base := "http://" + cfg.HTTP
	var s Status
	for deadline := time.Now().Add(20 * time.Second); s.Role != "leader" || s.Mode != "isolated" || s.RegionTime.IsZero() || s.RegionTime.Unix() == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("status is %+v", s)
		}
		code, body := get(t, "GET", base+"/status", "")
		if code != http.StatusOK || json.Unmarshal([]byte(body), &s) != nil {
			t.Fatalf("%d %s", code, body)
		}
		<-time.After(10 * time.Millisecond)
	}
	for deadline := time.Now().Add(20 * time.Second); len(s.Alarms) != 1; {
		if time.Now().After(deadline) {
			t.Fatalf("alarms are %+v", s.Alarms)
		}
		_, body := get(t, "GET", base+"/status", "")
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond)
	}
	if a := s.Alarms[0]; a.Name != "region_isolated" || a.Since == nil || !strings.Contains(a.Detail, "never reached") {
		t.Errorf("the alarm is %+v", a)
	}
	if code, body := get(t, "GET", base+"/readyz", ""); code != http.StatusOK {
		t.Errorf("ready: %d %s", code, body)
	}
	if code, body := get(t, "GET", base+"/metrics", ""); code != http.StatusOK || !strings.Contains(body, `meridian_edge_raft_leader{node="north-1",region="north"} 1`) {
		t.Errorf("metrics: %d %s", code, body)
	}
	for _, call := range []struct{ method, path string }{
		{"POST", "/v1/audit"}, {"GET", "/v1/audit"}, {"POST", "/v1/cut"}, {"POST", "/v1/events"}, {"GET", "/v1/accounts/a"}, {"GET", "/v1/subscriptions/s"},
		{"POST", "/v1/members"}, {"DELETE", "/v1/members/north-2"},
	} {
		for _, token := range []string{"", "guessed"} {
			if code, body := get(t, call.method, base+call.path, token); code != http.StatusUnauthorized || !strings.Contains(body, "remedy") {
				t.Errorf("%s %s with token %q: %d %s", call.method, call.path, token, code, body)
			}
		}
	}
	if code, _ := get(t, "GET", base+"/debug/pprof/", "guessed"); code != http.StatusUnauthorized {
		t.Errorf("profiles with a guessed token: %d", code)
	}
	if code, body := get(t, "GET", base+"/debug/pprof/", "profiles"); code != http.StatusOK || !strings.Contains(body, "goroutine") {
		t.Errorf("profiles: %d %s", code, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || resp.Header.Get("Content-Security-Policy") == "" ||
		!strings.Contains(string(page), "region_isolated") {
		t.Errorf("the page for a browser: %v, %v, %s", err, resp.Header, page)
	}
}

// A member that comes back without its disk would vote without what it had
// acknowledged: it is refused, with what to do.
func TestEmptyMemberIsRefused(t *testing.T) {
	cfg := testConfig(t)
	cfg.Start = Resume
	n, err := New(cfg)
	if !errors.Is(err, ErrNoState) || !strings.Contains(err.Error(), "--join") {
		t.Fatalf("node %v: %v", n, err)
	}
}

func TestImplausibleClocksDoNotMoveRegionTime(t *testing.T) {
	cfg := testConfig(t)
	cfg.Peers = append(cfg.Peers, Peer{ID: "north-2"}, Peer{ID: "north-3"})
	n := &Node{cfg: cfg, logger: cfg.Logger, started: time.Now()}
	now := time.Now().UnixMicro()
	const day = 86400 * 1_000_000
	for _, c := range []struct {
		name   string
		clocks []int64
		want   bool
	}{
		{"the leader alone", []int64{now}, false},
		{"a majority", []int64{now, now + 5}, true},
		{"one of three ahead", []int64{now + 1, now + 400*day, now + 2}, true},
		{"two of three ahead", []int64{now, now + 400*day, now + 400*day}, false},
		{"back", []int64{now - day, now - day, now}, true},
	} {
		if got := n.plausible(c.clocks, len(cfg.Peers), now); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	c := DefaultConfig()
	err := c.Validate()
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, want := range []string{"region", "dir", "radius_auth", "http", "raft", "peers", "centre", "identity", "logger"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in:\n%v", want, err)
		}
	}
	if good := testConfig(t); good.Validate() != nil {
		t.Error(good.Validate())
	}
}

// send makes a call with a body.
func send(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// operatorRow is the feed's first row: an operator with a token.
func operatorRow(t *testing.T, token []byte, role string) feed.Row {
	t.Helper()
	hash := sha256.Sum256(token)
	body, err := feed.Encode(&feed.Operator{ID: "op", Login: "op", Role: role, TokenHash: hash[:]})
	if err != nil {
		t.Fatal(err)
	}
	return feed.Row{Number: 1, Kind: feed.KindOperator, ID: "op", Version: 1, Body: body}
}
