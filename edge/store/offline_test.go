package store

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/internal/verify"
	"meridian/replication/raftnode"
)

func (c *cluster) followers(lead *member) (out []*member) {
	for _, m := range c.members {
		if m != lead {
			out = append(out, m)
		}
	}
	return out
}

// sameApplied waits until all members have applied all that any of them has in its
// log. Raft answers a barrier before it moves the leader's applied index, so equal
// applied indexes alone may all be one short.
func sameApplied(t *testing.T, members ...*member) {
	t.Helper()
	eventually(t, "all applied the same", func() bool {
		var last uint64
		for _, m := range members {
			last = max(last, m.store.Raft().LastIndex())
		}
		for _, m := range members {
			if m.store.Raft().AppliedIndex() != last {
				return false
			}
		}
		return true
	})
}

func (c *cluster) offline() map[string]verify.EdgeReport {
	c.t.Helper()
	var dirs []string
	for _, m := range c.members {
		dirs = append(dirs, m.dir)
	}
	reports, err := OpenOffline(dirs, testRing(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	out := map[string]verify.EdgeReport{}
	for _, r := range reports {
		out[r.Node] = r
	}
	return out
}

// offlineEnd is where a stopped node's newest snapshot and its log end.
func (m *member) offlineEnd() (snapshot, last uint64) {
	m.t.Helper()
	o, err := raftnode.OpenOffline(m.dir, testRing(m.t))
	if err != nil {
		m.t.Fatal(err)
	}
	defer o.Close()
	if last, err = o.LastIndex(); err != nil {
		m.t.Fatal(err)
	}
	return o.SnapshotIndex(), last
}

// leaveTail stops the followers under load, then the leader, until the leader's log
// is longer than any other: whether it still writes when it is alone is a race.
func (c *cluster) leaveTail() (old *member, others []*member) {
	c.t.Helper()
	for range 10 {
		old = c.leader()
		others = c.followers(old)
		var load sync.WaitGroup
		for i := range 8 {
			load.Go(func() {
				for n := 0; ; n++ {
					batch := command.EncodeBatch([][]byte{command.Encode(session(1000*(i+1)+n, command.Stop, 77))})
					if old.store.Raft().Apply(batch, time.Second).Error() != nil {
						return
					}
				}
			})
		}
		for _, m := range others {
			m.stop()
		}
		load.Wait() // the leader gave up
		old.stop()
		_, last := old.offlineEnd()
		_, first := others[0].offlineEnd()
		_, second := others[1].offlineEnd()
		if last > max(first, second) {
			return old, others
		}
		for _, m := range c.members {
			c.start(m)
		}
	}
	c.t.Fatal("in ten tries the leader never wrote alone")
	return nil, nil
}

// A leader that lost the others goes on writing to its own log for a moment. What
// it wrote then was never acknowledged, and the others go on without it.
func TestOfflineLeavesOutTheTailOfAnOldTerm(t *testing.T) {
	c := newCluster(t, 3)
	c.leader().found()
	old, others := c.leaveTail()
	for _, m := range others {
		c.start(m)
	}
	next := c.leader()
	for i := range 5 {
		next.do(session(i, command.Stop, 5))
	}
	sameApplied(t, others...)
	for _, m := range others {
		m.stop()
	}
	reports := c.offline()
	parted, a, b := reports[old.id], reports[others[0].id], reports[others[1].id]
	if a.Index != b.Index || a.StateHash != b.StateHash || a.Seq == 0 {
		t.Errorf("the majority: %d and %d, hash %x and %x", a.Index, b.Index, a.StateHash[:4], b.StateHash[:4])
	}
	if _, last := old.offlineEnd(); parted.Index >= last {
		t.Errorf("reported at %d, the log with its tail ends at %d", parted.Index, last)
	}
	if parted.Index >= a.Index || parted.Seq == 0 || parted.Seq > a.Seq {
		t.Errorf("the old leader is at %d, entry %d; the majority at %d, entry %d", parted.Index, parted.Seq, a.Index, a.Seq)
	}
	for i, e := range parted.Entries {
		if i >= len(a.Entries) || !bytes.Equal(e.Raw, a.Entries[i].Raw) {
			t.Fatalf("entry %d of the old leader was never the region's", e.Seq)
		}
	}
}

// What raft writes for itself changes no state: a snapshot that ends with it is of
// the same state as the log before it.
func TestOfflineGivesEqualStatesEqualIndexes(t *testing.T) {
	for name, trailing := range map[string]uint64{"the log says what the last entry is": 10, "the log is gone": 1} {
		t.Run(name, func(t *testing.T) {
			c := newClusterOf(t, 3, func(cfg *Config) { cfg.Raft.TrailingLogs = trailing })
			lead := c.leader()
			lead.found()
			lead.do(session(1, command.Stop, 10))
			if err := lead.store.Raft().Barrier(t.Context()); err != nil {
				t.Fatal(err)
			}
			sameApplied(t, c.members...)
			behind, third := c.followers(lead)[0], c.followers(lead)[1]
			behind.stop()
			for range 3 {
				if err := lead.store.Raft().Barrier(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			sameApplied(t, lead, third)
			last := lead.store.Raft().AppliedIndex()
			for _, m := range []*member{lead, third} {
				if err := m.store.Snapshot(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for _, m := range c.members {
				m.stop()
			}
			if snapshot, _ := lead.offlineEnd(); snapshot != last {
				t.Fatalf("the snapshot ends at %d, not at raft's own entry %d", snapshot, last)
			}
			reports := c.offline()
			want := reports[lead.id]
			if want.Seq == 0 || want.Index == 0 || want.Index >= last && trailing > 1 {
				t.Fatalf("index %d, entry %d", want.Index, want.Seq)
			}
			for id, r := range reports {
				if r.StateHash != want.StateHash || r.Index != want.Index || r.Seq != want.Seq {
					t.Errorf("%s: index %d, entry %d, hash %x; %s: %d, %d, %x", id, r.Index, r.Seq, r.StateHash[:4],
						lead.id, want.Index, want.Seq, want.StateHash[:4])
				}
			}
		})
	}
}
