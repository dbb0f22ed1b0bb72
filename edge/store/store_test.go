package store

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/verify"
	"meridian/replication/forward"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
)

// member is one node's store with its forward server.
type member struct {
	t     testing.TB
	id    string
	dir   string
	raft  string
	fwd   string
	joins bool // waits to be added by the leader
	store *Store
	pool  *forward.Pool
	srv   *forward.Server
	grpc  *grpc.Server
}

// cluster is a region of real stores on loopback.
type cluster struct {
	t       testing.TB
	ca      *identity.CA
	members []*member
	change  func(*Config)
}

// freeAddr finds a free address on a loopback IP of its own: neither what other
// processes connect from nor the next call can take its port meanwhile.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 64+rand.N(128), rand.N(256), 1+rand.N(254)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newCluster(t testing.TB, n int) *cluster {
	t.Helper()
	return newClusterOf(t, n, func(*Config) {})
}

func newClusterOf(t testing.TB, n int, change func(*Config)) *cluster {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, ca: ca, change: change}
	for i := range n {
		c.members = append(c.members, &member{t: t, id: fmt.Sprintf("north-%d", i+1), dir: t.TempDir(), raft: freeAddr(t), fwd: freeAddr(t)})
	}
	for _, m := range c.members {
		c.start(m)
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			m.stop()
		}
	})
	return c
}

func (c *cluster) start(m *member) {
	c.t.Helper()
	if err := c.open(m); err != nil {
		c.t.Fatal(err)
	}
}

// open starts a member and returns the store's refusal.
func (c *cluster) open(m *member) error {
	c.t.Helper()
	bundle, err := c.ca.Issue(identity.Node("north", m.id), time.Now(), time.Hour)
	if err != nil {
		c.t.Fatal(err)
	}
	tlsConfig, err := bundle.TLS(identity.NodesOf("north"))
	if err != nil {
		c.t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	fc := forward.DefaultConfig()
	fc.Region, fc.TLS, fc.Logger = "north", tlsConfig, logger
	if m.pool, err = forward.NewPool(fc); err != nil {
		c.t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Raft.NodeID, cfg.Raft.Region, cfg.Raft.Dir, cfg.Raft.Bind = m.id, "north", m.dir, m.raft
	cfg.Raft.TLS, cfg.Raft.Logger, cfg.Ring, cfg.Logger = tlsConfig, logger, testRing(c.t), logger
	cfg.Found = !m.joins
	cfg.Raft.TrailingLogs, cfg.SegmentBytes = 10, 4096
	for _, p := range c.members {
		cfg.Peers = append(cfg.Peers, raftnode.Peer{ID: p.id, Addr: p.raft})
	}
	c.change(&cfg)
	m.store, err = Open(cfg, m.pool, func(id string) (string, bool) {
		for _, p := range c.members {
			if p.id == id {
				return p.fwd, true
			}
		}
		return "", false
	})
	if err != nil {
		m.pool.Close()
		return err
	}
	if m.srv, err = forward.NewServer(fc, m.store, func() forward.Status { return forward.Status{Node: m.id} }); err != nil {
		c.t.Fatal(err)
	}
	m.grpc = grpc.NewServer(fc.GRPCOptions()...)
	m.srv.Register(m.grpc)
	lis, err := net.Listen("tcp", m.fwd)
	if err != nil {
		c.t.Fatal(err)
	}
	go m.grpc.Serve(lis)
	return nil
}

func (m *member) stop() {
	if m.store == nil {
		return
	}
	if err := m.store.Close(); err != nil {
		m.t.Errorf("close %s: %v", m.id, err)
	}
	m.srv.Close()
	m.grpc.Stop()
	m.pool.Close()
	m.store = nil
}

func (c *cluster) leader() (lead *member) {
	c.t.Helper()
	eventually(c.t, "a leader", func() bool {
		for _, m := range c.members {
			if m.store != nil && m.store.IsLeader() {
				lead = m
			}
		}
		return lead != nil
	})
	return lead
}

// eventually polls a condition that other goroutines make true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func (m *member) do(c command.Command) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 15*time.Second)
	defer cancel()
	if r, err := m.store.Do(ctx, c); err != nil || (r.Code != command.OK && r.Code != command.Repeated) {
		m.t.Fatalf("%s: %T: %+v %v", m.id, c, r, err)
	}
}

// found brings the region to where it serves subscribers u, u1, u2 … of one
// account.
func (m *member) found(more ...string) {
	m.t.Helper()
	m.do(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	m.do(&command.OpenEpoch{Epoch: 1})
	m.do(&command.Tick{Clocks: []int64{time.Now().UnixMicro()}})
	offering := &tariff.Offering{ID: "o", Version: 1, Name: "o", Currency: "EUR", Service: "internet",
		Usage: tariff.PerUnit(tariff.Bytes, money.Micro, 1_000_000), Reservation: tariff.Reservation{Quota: 1000, TTLSeconds: 600},
		Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Overrun: tariff.Owed}
	rows := []feed.Row{}
	for i, e := range []struct {
		kind feed.Kind
		id   string
		body any
	}{
		{feed.KindOffering, "o@1", offering},
		{feed.KindSubscription, "s", &feed.Subscription{ID: "s", Account: "a", Login: "u", Offering: "o"}},
		{feed.KindLease, "b", &feed.Lease{Bucket: "b", Account: "a", Unit: "EUR", Epoch: 1, Granted: 1 << 50}},
	} {
		body, err := feed.Encode(e.body)
		if err != nil {
			m.t.Fatal(err)
		}
		rows = append(rows, feed.Row{Number: uint64(i + 1), Kind: e.kind, ID: e.id, Version: 1, Body: body})
	}
	for i, login := range more {
		body, err := feed.Encode(&feed.Subscription{ID: login, Account: "a", Login: login, Offering: "o"})
		if err != nil {
			m.t.Fatal(err)
		}
		rows = append(rows, feed.Row{Number: uint64(i + 4), Kind: feed.KindSubscription, ID: login, Version: 1, Body: body})
	}
	m.do(&command.Feed{Rows: rows})
}

func session(i int, status command.Status, octets uint64) *command.Accounting {
	return &command.Accounting{NAS: "nas", SessionID: fmt.Sprint("s", i), Login: "u", Status: status, Event: time.Now().Unix(), Seconds: 0, Out: octets, Giga: true}
}

func (m *member) state(fn func(*fsm.State)) { m.store.View(fn) }

func (m *member) spent() (spent, seq uint64) {
	m.state(func(s *fsm.State) {
		if v := s.Account("a"); len(v) > 0 {
			spent = uint64(v[0].Spent)
		}
		seq = s.Seq
	})
	return spent, seq
}

func TestOneNodeKeepsEverythingOverARestartFromSnapshotAndLog(t *testing.T) {
	c := newCluster(t, 1)
	m := c.leader()
	m.found()
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { m.do(session(i, command.Stop, 1000)) })
		if i == 100 {
			wg.Wait()
			if err := m.store.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
	spent, seq := m.spent()
	if spent != 200*1000 {
		t.Fatalf("spent %d", spent)
	}
	var hash [32]byte
	m.state(func(s *fsm.State) { hash = s.Hash() })
	m.stop()
	reports, err := OpenOffline([]string{m.dir}, testRing(t))
	if err != nil || len(reports) != 1 || reports[0].StateHash != hash || len(reports[0].Entries) != int(seq) {
		t.Fatalf("read offline: %v: %d reports", err, len(reports))
	}
	c.start(m)
	c.leader()
	m.do(&command.Audit{})
	if again, _ := m.spent(); again != spent {
		t.Fatalf("spent %d after the restart, %d before", again, spent)
	}
	m.state(func(s *fsm.State) {
		if s.Hash() != hash {
			t.Error("the state's hash is another after the restart")
		}
	})
	entries, head, err := m.store.Entries(0, [32]byte{}, 10_000, 1<<30)
	if err != nil || len(entries) != int(seq) {
		t.Fatalf("%d entries of %d: %v", len(entries), seq, err)
	}
	m.state(func(s *fsm.State) {
		if s.Head != head {
			t.Error("the segments' chain does not end at the state's head")
		}
	})
	m.do(&command.Acked{Epoch: 1, Seq: seq, Hash: head})
	if first, _ := m.store.live.Load().adapter.segments.bounds(); first < seq/2 {
		t.Fatalf("segments begin at %d although %d is acknowledged", first, seq)
	}
}

func TestThreeNodesAgreeForwardAndSurviveTheLeader(t *testing.T) {
	c := newCluster(t, 3)
	lead := c.leader()
	lead.found()
	for i := range 30 {
		c.members[i%3].do(session(i, command.Stop, 10))
	}
	dead := c.leader()
	dead.stop()
	for i := 30; i < 60; i++ {
		for _, m := range c.members {
			if m.store != nil {
				m.do(session(i, command.Stop, 10)) // the same packet at two nodes
			}
		}
	}
	c.start(dead)
	next := c.leader()
	asked, err := next.store.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var reports []verify.EdgeReport
	deadline := time.Now().Add(20 * time.Second)
	for _, m := range c.members {
		for {
			r, err := m.store.LastAudit()
			if err == nil && r.AskedBy == asked.Node && r.AskedAt == asked.At && r.Seq > 0 {
				reports = append(reports, r)
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s has no audit: %v", m.id, err)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	for _, r := range reports {
		if r.Index != reports[0].Index || r.StateHash != reports[0].StateHash || r.Head != reports[0].Head || len(r.Entries) != int(r.Seq) {
			t.Fatalf("replicas differ: %+v, %+v", r.Node, reports[0].Node)
		}
	}
	if spent, _ := next.spent(); spent != 600 {
		t.Fatalf("60 sessions of 10 octets cost %d", spent)
	}
}

func TestNoClearTextOnDisk(t *testing.T) {
	c := newCluster(t, 1)
	m := c.leader()
	m.found()
	a := session(1, command.Stop, 10)
	a.CallingStation = "pw-user000001"
	m.do(a)
	if err := m.store.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.stop()
	files := 0
	err := filepath.Walk(m.dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte("pw-user000001")) {
			t.Errorf("%s holds clear text", path)
		}
		return err
	})
	if err != nil || files < 4 {
		t.Fatalf("%d files: %v", files, err)
	}
}

func TestQueueLimitRefusesAtOnce(t *testing.T) {
	s := &Store{cfg: DefaultConfig(), queue: make(chan *pending, 1), ctx: t.Context()}
	s.Propose(&command.Audit{}, func(command.Result, error) { t.Error("the first was answered") })
	var got error
	s.Propose(&command.Audit{}, func(_ command.Result, err error) { got = err })
	if got != ErrBusy || s.Stats().Busy != 1 {
		t.Fatalf("got %v, %d counted", got, s.Stats().Busy)
	}
}

// BenchmarkAccounting commits interims on one node with many clients at once.
func BenchmarkAccounting(b *testing.B) {
	c := newCluster(b, 1)
	m := c.leader()
	const people = 10_000
	logins := make([]string, people)
	for i := range logins {
		logins[i] = fmt.Sprint("u", i)
	}
	m.found(logins...)
	b.ResetTimer()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4096)
	for i := range b.N {
		slots <- struct{}{}
		wg.Add(1)
		a := session(i%people, command.Interim, uint64(i))
		a.Login, a.Seconds = logins[i%people], int64(i/people)
		a.Event += a.Seconds
		m.store.Propose(a, func(_ command.Result, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
			wg.Done()
		})
	}
	wg.Wait()
	b.ReportMetric(float64(m.store.Stats().Commands)/float64(m.store.Stats().Batches), "commands/batch")
}
