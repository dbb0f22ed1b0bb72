package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"meridian/replication/identity"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// fakeLeader answers every command with itself in capitals.
type fakeLeader struct {
	gate   chan struct{} // when set, every batch takes one first
	inside atomic.Int64
	most   atomic.Int64
	short  atomic.Bool // one result too few
	code   atomic.Int64
}

func (f *fakeLeader) ProposeBatch(ctx context.Context, cmds [][]byte) []Result {
	n := f.inside.Add(1)
	defer f.inside.Add(-1)
	for m := f.most.Load(); n > m && !f.most.CompareAndSwap(m, n); m = f.most.Load() {
	}
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return Same(len(cmds), Result{Code: CodeOutcomeUnknown, Detail: ctx.Err().Error()})
		}
	}
	if c := Code(f.code.Load()); c != CodeOK {
		return Same(len(cmds), Result{Code: c, Detail: "as told"})
	}
	out := make([]Result, len(cmds))
	for i, c := range cmds {
		out[i].Value = []byte(strings.ToUpper(string(c)))
	}
	if f.short.Load() {
		out = out[1:]
	}
	return out
}

func testCA(t *testing.T) *identity.CA {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func testConfig(t *testing.T, ca *identity.CA, region, node string) Config {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Region, cfg.Logger = region, slog.New(slog.DiscardHandler)
	cfg.Probe, cfg.Silence = 50*time.Millisecond, 500*time.Millisecond
	b, err := ca.Issue(identity.Node(region, node), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.TLS, err = b.TLS(identity.NodesOf(region)); err != nil {
		t.Fatal(err)
	}
	return cfg
}

type served struct {
	*Server
	addr string
	stop func()
}

func serve(t *testing.T, cfg Config, p Proposer, addr string) *served {
	t.Helper()
	s, err := NewServer(cfg, p, func() Status {
		return someStatus()
	})
	if err != nil {
		t.Fatal(err)
	}
	return listen(t, cfg, s, addr)
}

func listen(t *testing.T, cfg Config, s *Server, addr string) *served {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	gs := grpc.NewServer(cfg.GRPCOptions()...)
	s.Register(gs)
	done := make(chan struct{})
	go func() { defer close(done); gs.Serve(ln) }()
	stop := sync.OnceFunc(func() { s.Close(); gs.Stop(); <-done })
	t.Cleanup(stop)
	return &served{Server: s, addr: ln.Addr().String(), stop: stop}
}

func pool(t *testing.T, cfg Config) *Pool {
	t.Helper()
	p, err := NewPool(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func cmds(s ...string) (out [][]byte) {
	for _, c := range s {
		out = append(out, []byte(c))
	}
	return out
}

func TestPropose(t *testing.T) {
	ca := testCA(t)
	srv := serve(t, testConfig(t, ca, "north", "n1"), &fakeLeader{}, "127.0.0.1:0")
	p := pool(t, testConfig(t, ca, "north", "n2"))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				a, b := fmt.Sprintf("a%d-%d", g, i), fmt.Sprintf("b%d-%d", g, i)
				rs, err := p.Propose(t.Context(), srv.addr, cmds(a, b))
				if err != nil || len(rs) != 2 || string(rs[0].Value) != strings.ToUpper(a) || string(rs[1].Value) != strings.ToUpper(b) {
					t.Errorf("%s: %v, %v", a, rs, err)
				}
			}
		})
	}
	wg.Wait()
	if st := p.Stats(); st.Opened != 1 || st.Open != 1 || st.Commands != 800 || st.Unknown != 0 {
		t.Errorf("pool %+v", st)
	}
	if st := srv.Stats(); st.Streams != 1 || st.Commands != 800 {
		t.Errorf("server %+v", st)
	}
	st, err := p.Status(t.Context(), srv.addr)
	if want := someStatus(); err != nil || !reflect.DeepEqual(st, want) {
		t.Errorf("status %+v, %v", st, err)
	}
}

func TestResultsKeepTheirCode(t *testing.T) {
	ca, leader := testCA(t), &fakeLeader{}
	srv := serve(t, testConfig(t, ca, "north", "n1"), leader, "127.0.0.1:0")
	p := pool(t, testConfig(t, ca, "north", "n2"))
	for code, want := range map[Code]error{
		CodeNotLeader: ErrNotLeader, CodeBusy: ErrBusy, CodeInvalid: ErrInvalid,
		CodeUnavailable: ErrUnavailable, CodeOutcomeUnknown: ErrOutcomeUnknown, Code(77): ErrOutcomeUnknown,
	} {
		leader.code.Store(int64(code))
		rs, err := p.Propose(t.Context(), srv.addr, cmds("x"))
		if err != nil || !errors.Is(rs[0].Err(), want) || !strings.Contains(rs[0].Err().Error(), "as told") {
			t.Errorf("code %d: %v, %v", code, rs, err)
		}
	}
	leader.code.Store(0)
	leader.short.Store(true)
	rs, err := p.Propose(t.Context(), srv.addr, cmds("x", "y"))
	if err != nil || !errors.Is(rs[0].Err(), ErrOutcomeUnknown) || !errors.Is(rs[1].Err(), ErrOutcomeUnknown) {
		t.Errorf("too few results: %v, %v", rs, err)
	}
}

func TestLeaderDiesAndReturns(t *testing.T) {
	ca, leader := testCA(t), &fakeLeader{gate: make(chan struct{})}
	cfg := testConfig(t, ca, "north", "n1")
	srv := serve(t, cfg, leader, "127.0.0.1:0")
	p := pool(t, testConfig(t, ca, "north", "n2"))
	got := make(chan error, 3)
	for range cap(got) {
		go func() {
			rs, err := p.Propose(t.Context(), srv.addr, cmds("x"))
			if err == nil {
				err = rs[0].Err()
			}
			got <- err
		}()
	}
	eventually(t, "all are at the leader", func() bool { return leader.inside.Load() == 3 })
	srv.stop()
	for range cap(got) {
		if err := <-got; !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("the leader died under a proposal: %v", err)
		}
	}
	if _, err := p.Propose(t.Context(), srv.addr, cmds("x")); !errors.Is(err, ErrNotSent) {
		t.Errorf("nobody is there: %v", err)
	}
	serve(t, cfg, &fakeLeader{}, srv.addr)
	eventually(t, "proposals go through again", func() bool {
		rs, err := p.Propose(t.Context(), srv.addr, cmds("x"))
		return err == nil && rs[0].Err() == nil
	})
}

// TestSilentLeader: connections stay open and nobody answers, as with a stopped
// process.
func TestSilentLeader(t *testing.T) {
	ca, leader := testCA(t), &fakeLeader{gate: make(chan struct{})}
	srv := serve(t, testConfig(t, ca, "north", "n1"), leader, "127.0.0.1:0")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var hole atomic.Bool
	var conns sync.WaitGroup
	t.Cleanup(conns.Wait)
	conns.Go(func() {
		for {
			a, err := ln.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", srv.addr)
			if err != nil {
				a.Close()
				continue
			}
			conns.Go(func() { defer b.Close(); io.Copy(b, holed{a, &hole}) })
			conns.Go(func() { defer a.Close(); io.Copy(a, holed{b, &hole}) })
		}
	})
	cfg := testConfig(t, ca, "north", "n2")
	cfg.ConnectTimeout = 500 * time.Millisecond
	p := pool(t, cfg)
	got := make(chan error, 1)
	go func() {
		_, err := p.Propose(t.Context(), ln.Addr().String(), cmds("x"))
		got <- err
	}()
	eventually(t, "the proposal is at the leader", func() bool { return leader.inside.Load() == 1 })
	// As long as probes are answered, a slow proposal is no reason to give up.
	enough := srv.Stats().Probes + 3*uint64(cfg.Silence/cfg.Probe)
	eventually(t, "probes for several silences", func() bool { return srv.Stats().Probes > enough })
	select {
	case err := <-got:
		t.Fatalf("a slow but living leader was given up: %v", err)
	default:
	}
	hole.Store(true)
	if err := <-got; !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, ErrSilent) {
		t.Fatalf("silent leader: %v", err)
	}
	if _, err := p.Propose(t.Context(), ln.Addr().String(), cmds("x")); !errors.Is(err, ErrNotSent) {
		t.Fatalf("a new connection to a silent leader: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := p.Status(ctx, ln.Addr().String()); err == nil {
		t.Fatal("status of a silent leader")
	}
	if p.Stats().Lost != 1 {
		t.Errorf("%+v", p.Stats())
	}
}

// holed reads from a connection; in the hole, what comes is swallowed.
type holed struct {
	net.Conn
	hole *atomic.Bool
}

func (h holed) Read(b []byte) (int, error) {
	for {
		n, err := h.Conn.Read(b)
		if err != nil || !h.hole.Load() {
			return n, err
		}
	}
}

func TestForeignNodes(t *testing.T) {
	ca := testCA(t)
	cfg := testConfig(t, ca, "north", "n1")
	srv := serve(t, cfg, &fakeLeader{}, "127.0.0.1:0")
	for name, c := range map[string]Config{
		"another region":    testConfig(t, ca, "south", "n2"),
		"another authority": testConfig(t, testCA(t), "north", "n2"),
	} {
		if _, err := pool(t, c).Propose(t.Context(), srv.addr, cmds("x")); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	// TLS settings that let everybody in do not open the service.
	loose := testConfig(t, ca, "south", "n2")
	b, err := ca.Issue(identity.Node("north", "n1"), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	open := cfg
	anyone := func(identity.ID) error { return nil }
	if open.TLS, err = b.TLS(anyone); err != nil {
		t.Fatal(err)
	}
	s2, err := ca.Issue(identity.Node("south", "n2"), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if loose.TLS, err = s2.TLS(anyone); err != nil {
		t.Fatal(err)
	}
	lax := serve(t, open, &fakeLeader{}, "127.0.0.1:0")
	if _, err := pool(t, loose).Propose(t.Context(), lax.addr, cmds("x")); !errors.Is(err, ErrOutcomeUnknown) && !errors.Is(err, ErrNotSent) {
		t.Errorf("foreign node behind loose TLS: %v", err)
	}
	if _, err := pool(t, loose).Status(t.Context(), lax.addr); err == nil {
		t.Error("status for a foreign node")
	}
	if lax.Stats().Refused == 0 || lax.Stats().Commands != 0 {
		t.Errorf("%+v", lax.Stats())
	}
}

func TestPoolGivesUpTheOldestAddress(t *testing.T) {
	ca := testCA(t)
	a := serve(t, testConfig(t, ca, "north", "n1"), &fakeLeader{}, "127.0.0.1:0")
	b := serve(t, testConfig(t, ca, "north", "n3"), &fakeLeader{}, "127.0.0.1:0")
	cfg := testConfig(t, ca, "north", "n2")
	cfg.MaxLeaders = 1
	p := pool(t, cfg)
	for _, addr := range []string{a.addr, b.addr, a.addr} {
		if _, err := p.Propose(t.Context(), addr, cmds("x")); err != nil {
			t.Fatal(err)
		}
	}
	if st := p.Stats(); st.Evicted != 2 || st.Open != 1 || st.Opened != 3 {
		t.Errorf("%+v", st)
	}
}

func TestIdleStreamIsClosed(t *testing.T) {
	ca := testCA(t)
	srv := serve(t, testConfig(t, ca, "north", "n1"), &fakeLeader{}, "127.0.0.1:0")
	cfg := testConfig(t, ca, "north", "n2")
	cfg.Idle = 50 * time.Millisecond
	p := pool(t, cfg)
	for range 2 {
		if _, err := p.Propose(t.Context(), srv.addr, cmds("x")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "closed", func() bool { return p.Stats().Open == 0 })
	}
	if st := p.Stats(); st.Lost != 0 || st.Opened != 2 {
		t.Errorf("%+v", st)
	}
}

func TestClosed(t *testing.T) {
	ca, leader := testCA(t), &fakeLeader{gate: make(chan struct{})}
	srv := serve(t, testConfig(t, ca, "north", "n1"), leader, "127.0.0.1:0")
	p := pool(t, testConfig(t, ca, "north", "n2"))
	got := make(chan error, 1)
	go func() { _, err := p.Propose(t.Context(), srv.addr, cmds("x")); got <- err }()
	eventually(t, "it is at the leader", func() bool { return leader.inside.Load() == 1 })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("%v", err)
	}
	if _, err := p.Propose(t.Context(), srv.addr, cmds("x")); !errors.Is(err, ErrNotSent) || !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

// Batches go on coming in while the server closes: none is proposed after Close
// has returned. The race detector saw the wait beside a first proposal.
func TestCloseAmongProposals(t *testing.T) {
	ca := testCA(t)
	theirs, ours := testConfig(t, ca, "north", "n1"), testConfig(t, ca, "north", "n2")
	for range 30 {
		leader := &fakeLeader{}
		srv := serve(t, theirs, leader, "127.0.0.1:0")
		p := pool(t, ours)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					if _, err := p.Propose(t.Context(), srv.addr, cmds("x")); err != nil {
						return
					}
				}
			})
		}
		eventually(t, "proposals run", func() bool { return srv.Stats().Commands > 10 })
		srv.Close()
		if n := leader.inside.Load(); n != 0 {
			t.Fatalf("%d proposals run after Close", n)
		}
		srv.stop()
		wg.Wait()
		p.Close()
	}
}

func TestConfigReportsEveryFault(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Silence, cfg.MaxInFlight = cfg.Probe, 0
	err := cfg.Validate()
	for _, want := range []string{"Region", "TLS", "Logger", "Silence", "MaxInFlight"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

// someStatus is what the nodes of the tests say of themselves.
func someStatus() Status {
	members := []Member{{Node: "n1", Raft: "127.0.0.1:1", Voter: true}, {Node: "n2", Raft: "127.0.0.1:2"}}
	return Status{
		Node: "n1", Clock: time.UnixMicro(1_700_000_000_000_001).UTC(), Term: 7, AppliedIndex: 42, Leader: true,
		Level: 3, Members: members, Birth: "b", Waiting: true, DataKeys: []string{"1:0011223344556677"}, Founders: []Member{{Node: "n1", Raft: "127.0.0.1:1", Voter: true, Birth: "b"}},
	}
}
