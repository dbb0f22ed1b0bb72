package raftnode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"meridian/replication/identity"
	"meridian/replication/seal"
)

// TestMain finds goroutines that outlive what started them. It also runs the
// process that TestKilledProcess kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RAFTNODE_CHILD_DIR"); dir != "" {
		os.Exit(childMain(dir))
	}
	goleak.VerifyTestMain(m)
}

// listFSM keeps every command that it was given, in order.
type listFSM struct {
	mu   sync.Mutex
	cmds []string
}

func (f *listFSM) Apply(l *raft.Log) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cmds = append(f.cmds, string(l.Data))
	return len(f.cmds)
}

func (f *listFSM) Snapshot() (raft.FSMSnapshot, error) { return listSnapshot(f.list()), nil }

func (f *listFSM) Restore(rc io.ReadCloser) error {
	defer rc.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cmds = nil
	return json.NewDecoder(rc).Decode(&f.cmds)
}

func (f *listFSM) list() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.cmds)
}

type listSnapshot []string

func (s listSnapshot) Persist(sink raft.SnapshotSink) error {
	if err := json.NewEncoder(sink).Encode([]string(s)); err != nil {
		return err
	}
	return sink.Close()
}

func (listSnapshot) Release() {}

func testRing(fill byte) *seal.Ring {
	k := seal.Key{ID: 1}
	copy(k.Bytes[:], bytes.Repeat([]byte{fill}, seal.KeyBytes))
	r, err := seal.NewRing([]seal.Key{k})
	if err != nil {
		panic(err)
	}
	return r
}

func testConfig(ca *identity.CA, region, node, dir string) (Config, error) {
	bundle, err := ca.Issue(identity.Node(region, node), time.Now(), time.Hour)
	if err != nil {
		return Config{}, err
	}
	cfg := DefaultConfig()
	cfg.NodeID, cfg.Region, cfg.Dir, cfg.Bind = node, region, dir, "127.0.0.1:0"
	cfg.Ring, cfg.Logger = testRing('r'), slog.New(slog.DiscardHandler)
	cfg.SegmentBytes = 1 << 16
	cfg.Heartbeat, cfg.Election, cfg.LeaderLease = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	cfg.Handover = 2 * time.Second
	cfg.TLS, err = bundle.TLS(identity.NodesOf(region))
	return cfg, err
}

type member struct {
	*Node
	cfg Config
	fsm *listFSM
}

type cluster struct {
	t       *testing.T
	ca      *identity.CA
	members []*member
}

func newCluster(t *testing.T, n int, change func(*Config)) *cluster {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, ca: ca}
	root := t.TempDir()
	t.Cleanup(func() {
		for _, m := range c.members {
			if m.Node != nil {
				if err := m.Close(); err != nil {
					t.Errorf("close %s: %v", m.cfg.NodeID, err)
				}
			}
		}
	})
	var peers []Peer
	for i := range n {
		id := fmt.Sprintf("n%d", i+1)
		cfg, err := testConfig(ca, "north", id, filepath.Join(root, id))
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(&cfg)
		}
		m := &member{cfg: cfg}
		c.members = append(c.members, m)
		c.start(m)
		m.cfg.Bind = m.Addr() // the others know it: keep it over restarts
		peers = append(peers, Peer{ID: id, Addr: m.Addr()})
	}
	for _, m := range c.members {
		if err := m.Bootstrap(peers); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *cluster) start(m *member) {
	c.t.Helper()
	m.fsm = &listFSM{}
	var err error
	if m.Node, err = Open(m.cfg, m.fsm); err != nil {
		c.t.Fatalf("open %s: %v", m.cfg.NodeID, err)
	}
}

// stop ends a member without handing over, as a crash would for the others.
func (c *cluster) stop(m *member) {
	c.t.Helper()
	m.Node.cfg.Handover = 0
	if err := m.Close(); err != nil {
		c.t.Fatalf("close %s: %v", m.cfg.NodeID, err)
	}
	m.Node = nil
}

func (c *cluster) leader() *member {
	c.t.Helper()
	var found *member
	eventually(c.t, "one leader that all others follow", func() bool {
		found = nil
		for _, m := range c.members {
			if m.Node != nil && m.IsLeader() {
				found = m
			}
		}
		if found == nil {
			return false
		}
		for _, m := range c.members {
			if m.Node != nil {
				if id, addr := m.Leader(); id != found.cfg.NodeID || addr != found.Addr() {
					return false
				}
			}
		}
		return true
	})
	return found
}

func (c *cluster) apply(m *member, cmd string) {
	c.t.Helper()
	if err := m.Apply([]byte(cmd), 5*time.Second).Error(); err != nil {
		c.t.Fatalf("apply %q: %v", cmd, err)
	}
}

func (c *cluster) allHave(want []string) {
	c.t.Helper()
	for _, m := range c.members {
		if m.Node != nil {
			eventually(c.t, m.cfg.NodeID+" has every command", func() bool { return slices.Equal(m.fsm.list(), want) })
		}
	}
}

// eventually polls a condition that other goroutines make true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
