package gossip

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/replication/identity"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func testConfig(region, node string, key byte, join ...string) Config {
	cfg := DefaultConfig()
	cfg.NodeID, cfg.Region, cfg.Bind = node, region, "127.0.0.1:0"
	cfg.Key, cfg.Join = bytes.Repeat([]byte{key}, KeyBytes), join
	cfg.RaftAddr, cfg.ForwardAddr, cfg.HTTPAddr, cfg.Software = "10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3", "v1"
	cfg.HTTPS = true
	cfg.JoinInterval, cfg.ProbeInterval, cfg.ProbeTimeout = 50*time.Millisecond, 200*time.Millisecond, 150*time.Millisecond
	cfg.Logger = slog.New(slog.DiscardHandler)
	return cfg
}

func start(t *testing.T, cfg Config) *Gossip {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func ids(g *Gossip) string {
	var s []string
	for _, m := range g.Members() {
		s = append(s, m.ID)
	}
	return strings.Join(s, " ")
}

// freeAddr is an address where nobody listens yet.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestNodesFindEachOther(t *testing.T) {
	first := freeAddr(t)
	b := start(t, testConfig("north", "n2", 'k', first)) // joins somebody who is not there yet
	eventually(t, "attempts to join fail", func() bool { return b.Stats().JoinFailures > 0 })
	cfg := testConfig("north", "n1", 'k')
	cfg.Bind = first
	a := start(t, cfg)
	c := start(t, testConfig("north", "n3", 'k', first))
	for _, g := range []*Gossip{a, b, c} {
		eventually(t, g.cfg.NodeID+" sees all", func() bool { return ids(g) == "n1 n2 n3" })
	}
	m, ok := c.Member("n2")
	want := Member{
		ID: "n2", Region: "north", GossipAddr: b.Addr(), Software: "v1", Party: identity.Party{Software: "v1"},
		RaftAddr: "10.0.0.1:1", ForwardAddr: "10.0.0.1:2", HTTPAddr: "10.0.0.1:3", HTTPS: true,
	}
	if !ok || m != want {
		t.Errorf("n2 as n3 sees it: %+v", m)
	}

	// A farewell, then a return at another address.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the farewell is heard", func() bool { return ids(a) == "n1 n3" && ids(c) == "n1 n3" })
	b = start(t, testConfig("north", "n2", 'k', first))
	eventually(t, "it is back", func() bool { m, _ := c.Member("n2"); return m.GossipAddr == b.Addr() })
	if _, ok := c.Member("n9"); ok {
		t.Error("a member that was never there")
	}
}

func TestDeadNodeIsNoticed(t *testing.T) {
	a := start(t, testConfig("north", "n1", 'k'))
	b := start(t, testConfig("north", "n2", 'k', a.Addr()))
	eventually(t, "both are there", func() bool { return ids(a) == "n1 n2" })
	b.once.Do(func() { // what Close does, without the farewell
		b.cancel()
		b.wg.Wait()
		b.err = b.list.Shutdown()
	})
	eventually(t, "its death is noticed", func() bool { return ids(a) == "n1" })
	var last Event
	eventually(t, "and told", func() bool {
		select {
		case e := <-a.Events():
			last = e
		default:
		}
		return last.Kind == Gone && last.Member.ID == "n2" && last.Member.RaftAddr == "10.0.0.1:1"
	})
}

// TestOtherPartiesStayOutside: nodes of another installation or version, with the
// region's key, are no members on either side; it is said once and counted.
func TestOtherPartiesStayOutside(t *testing.T) {
	var log syncBuffer
	cfg := testConfig("north", "n1", 'k')
	cfg.Party = identity.Party{Cluster: "acme", Min: 2, Max: 3}
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	a := start(t, cfg)
	cfg = testConfig("north", "n2", 'k', a.Addr())
	cfg.Party = identity.Party{Cluster: "test", Min: 2, Max: 3}
	b := start(t, cfg)
	cfg = testConfig("north", "n3", 'k', a.Addr())
	cfg.Party = identity.Party{Cluster: "acme", Min: 1, Max: 1}
	c := start(t, cfg)
	cfg = testConfig("north", "n4", 'k', a.Addr())
	cfg.Party = identity.Party{Cluster: "acme", Min: 3, Max: 4}
	d := start(t, cfg)
	eventually(t, "both are refused again and again, the one that fits is in", func() bool {
		s := a.Stats()
		return s.OtherCluster > 2 && s.OtherVersion > 2 && ids(a) == "n1 n4" && ids(d) == "n1 n4"
	})
	if ids(b) != "n2" || ids(c) != "n3" {
		t.Errorf("members: %s; %s", ids(b), ids(c))
	}
	said := log.String()
	for _, want := range []string{`\"test\", this process to \"acme\"`, "versions 1 to 1 (software v1), this process 2 to 3"} {
		if n := strings.Count(said, want); n != 1 {
			t.Errorf("%s is said %d times in\n%s", want, n, said)
		}
	}
}

// syncBuffer is written by several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestForeignAndKeylessNodes(t *testing.T) {
	a := start(t, testConfig("north", "n1", 'k'))
	south := start(t, testConfig("south", "s1", 'k', a.Addr()))
	eventually(t, "the other region is counted", func() bool { return a.Stats().Foreign > 0 })
	keyless := start(t, testConfig("north", "n2", 'x', a.Addr()))
	eventually(t, "without the key it cannot join", func() bool { return keyless.Stats().JoinFailures > 2 })
	if ids(a) != "n1" || ids(south) != "s1" || ids(keyless) != "n2" {
		t.Errorf("n1 sees %q, s1 sees %q, n2 sees %q", ids(a), ids(south), ids(keyless))
	}
}

func TestMemberLimit(t *testing.T) {
	cfg := testConfig("north", "n1", 'k')
	cfg.MaxMembers = 2
	a := start(t, cfg)
	start(t, testConfig("north", "n2", 'k', a.Addr()))
	eventually(t, "the second is in", func() bool { return ids(a) == "n1 n2" })
	start(t, testConfig("north", "n3", 'k', a.Addr()))
	eventually(t, "the third is counted", func() bool { return a.Stats().OverLimit > 0 })
	if a.Stats().Members != 2 {
		t.Errorf("%+v", a.Stats())
	}
}

func TestEventsKeepTheNewest(t *testing.T) {
	q := newEventQueue(2)
	ev := func(k Kind, id, addr string) Event { return Event{Kind: k, Member: Member{ID: id, RaftAddr: addr}} }
	q.put(ev(Joined, "a", "1"))
	q.put(ev(Joined, "b", "1"))
	q.put(ev(Gone, "a", "2"))
	q.put(ev(Joined, "c", "1")) // beyond the limit
	if e, _ := q.take(); e != ev(Gone, "a", "2") {
		t.Errorf("%+v", e)
	}
	if e, _ := q.take(); e != ev(Joined, "b", "1") {
		t.Errorf("%+v", e)
	}
	if _, ok := q.take(); ok {
		t.Error("more than was put")
	}
	if r, d := q.lost(); r != 1 || d != 1 {
		t.Errorf("replaced %d, dropped %d", r, d)
	}
}

func TestEventsEndWithClose(t *testing.T) {
	g := start(t, testConfig("north", "n1", 'k'))
	if e := <-g.Events(); e.Kind != Joined || e.Member.ID != "n1" || e.Kind.String() != "joined" {
		t.Errorf("first event %+v", e)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, open := <-g.Events(); open {
		t.Error("events go on after Close")
	}
	if err := g.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	cfg := testConfig("north", "n1", 'k', "no-port")
	cfg.NodeID, cfg.Bind, cfg.Key, cfg.MaxMembers = "", "host:x", nil, 0
	cfg.Software = strings.Repeat("v", 600)
	_, err := New(cfg)
	for _, want := range []string{"NodeID", "Bind", "Key", "Join[0]", "MaxMembers", "512"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gossip.key")
	key, err := GenerateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := LoadKey(path); err != nil || !bytes.Equal(got, key) || len(got) != KeyBytes {
		t.Fatalf("%x, %v", got, err)
	}
	if _, err := GenerateKey(path); err == nil {
		t.Error("a key was replaced")
	}
	if _, err := LoadKey(path + "x"); err == nil {
		t.Error("loaded a file that is not there")
	}
}

func TestLinesOfTheList(t *testing.T) {
	var b bytes.Buffer
	l := lineLogger{slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	fmt.Fprintln(l, "[ERR] memberlist: x")
	fmt.Fprintln(l, "[WARN] memberlist: y")
	fmt.Fprintln(l, "z")
	for _, want := range []string{"level=WARN msg=\"memberlist: x\"", "level=INFO msg=\"memberlist: y\"", "level=DEBUG msg=z"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s lacks %s", b.String(), want)
		}
	}
}
