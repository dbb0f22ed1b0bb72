package raftnode

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"meridian/replication/identity"
)

// virtualCluster is three nodes with their logs on disk and a network in
// memory, inside a synctest bubble: elections take no real time.
type virtualCluster struct {
	nodes []*Node
	fsms  []*listFSM
	trans []*raft.InmemTransport
}

func newVirtualCluster(t *testing.T) *virtualCluster {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), 24*365*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	v := &virtualCluster{}
	root := t.TempDir()
	var peers []Peer
	for i := range 3 {
		id := fmt.Sprintf("n%d", i+1)
		cfg, err := testConfig(ca, "north", id, filepath.Join(root, id))
		if err != nil {
			t.Fatal(err)
		}
		addr, tr := raft.NewInmemTransportWithTimeout(raft.ServerAddress(id), 100*time.Millisecond)
		fsm := &listFSM{}
		n, err := open(cfg, fsm, func(*counters) (raft.Transport, error) { return tr, nil })
		if err != nil {
			t.Fatal(err)
		}
		v.nodes, v.fsms, v.trans = append(v.nodes, n), append(v.fsms, fsm), append(v.trans, tr)
		peers = append(peers, Peer{ID: id, Addr: string(addr)})
	}
	for i := range v.nodes {
		v.heal(i)
		if err := v.nodes[i].Bootstrap(peers); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func (v *virtualCluster) cut(i int) {
	for j := range v.trans {
		if j != i {
			v.trans[i].Disconnect(v.trans[j].LocalAddr())
			v.trans[j].Disconnect(v.trans[i].LocalAddr())
		}
	}
}

func (v *virtualCluster) heal(i int) {
	for j := range v.trans {
		if j != i {
			v.trans[i].Connect(v.trans[j].LocalAddr(), v.trans[j])
			v.trans[j].Connect(v.trans[i].LocalAddr(), v.trans[i])
		}
	}
}

// leader waits, in virtual time, for one among the given nodes and returns how
// long it took.
func (v *virtualCluster) leader(t *testing.T, among ...int) (int, time.Duration) {
	t.Helper()
	start := time.Now()
	for time.Since(start) < time.Minute {
		for _, i := range among {
			if v.nodes[i].IsLeader() {
				return i, time.Since(start)
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no leader in a minute")
	return 0, 0
}

func TestPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVirtualCluster(t)
		var want []string
		lead, _ := v.leader(t, 0, 1, 2)
		for round := range 10 {
			cmd := fmt.Sprint("round ", round)
			if err := v.nodes[lead].Apply([]byte(cmd), time.Second).Error(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			want = append(want, cmd)

			v.cut(lead)
			lost := v.nodes[lead].Apply([]byte("from the minority"), time.Second)
			others := slices.DeleteFunc([]int{0, 1, 2}, func(i int) bool { return i == lead })
			next, took := v.leader(t, others...)
			if took > 10*v.nodes[0].cfg.Election {
				t.Errorf("round %d: took %s to elect", round, took)
			}
			if err := lost.Error(); err == nil || NotProposed(err) {
				t.Errorf("round %d: a leader without majority answered %v; the outcome is open", round, err)
			}
			if v.nodes[lead].IsLeader() {
				t.Errorf("round %d: two leaders beyond the lease", round)
			}
			if err := v.nodes[next].Apply([]byte(cmd+" majority"), time.Second).Error(); err != nil {
				t.Fatalf("round %d: majority: %v", round, err)
			}
			want = append(want, cmd+" majority")

			term := v.nodes[next].Term()
			time.Sleep(30 * time.Second) // the one that is cut off asks for votes in vain
			if since := time.Since(v.nodes[lead].LastContact()); since < 20*time.Second {
				t.Errorf("round %d: a node that was cut off for 30 s claims contact %s ago", round, since)
			}
			v.heal(lead)
			time.Sleep(5 * time.Second)
			if !v.nodes[next].IsLeader() || v.nodes[next].Term() != term {
				t.Errorf("round %d: the returning node deposed the leader (term %d, was %d)", round, v.nodes[next].Term(), term)
			}
			lead, _ = v.leader(t, 0, 1, 2)
		}
		for i, f := range v.fsms {
			if got := f.list(); !slices.Equal(got, want) {
				t.Errorf("n%d has %q, want %q", i+1, got, want)
			}
		}
		for _, n := range v.nodes {
			n.cfg.Handover = 0
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
