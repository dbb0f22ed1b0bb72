package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
)

// try proposes a command once, for a moment.
func (m *member) try(c command.Command) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Second)
	defer cancel()
	_, err := m.store.Do(ctx, c)
	return err
}

// until polls what other goroutines make true.
func (m *member) until(what string, ok func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("%s: not within 30 s: %s", m.id, what)
		}
	}
}

// A command that this version does not know stops the node: nothing of it is applied,
// the reason names log index and remedy, and a restart finds the same.
func TestUnknownCommandStopsTheNodeByName(t *testing.T) {
	c := newCluster(t, 1)
	m := c.leader()
	m.found()
	m.do(session(1, command.Stop, 10))
	var before [32]byte
	m.state(func(s *fsm.State) { before = s.Hash() })
	future := m.store.Raft().Apply(command.EncodeBatch([][]byte{command.Encode(&command.Audit{}), {99}}), time.Second)
	if err := future.Error(); err != nil {
		t.Fatal(err)
	}
	if err, is := future.Response().(error); !is || !errors.Is(err, ErrTooOld) {
		t.Fatalf("applied: %v", future.Response())
	}
	for again := range 2 {
		m.until("the reason is told", func() bool { return m.store.Damage() != nil })
		damage := m.store.Damage()
		if !errors.Is(damage, ErrTooOld) || !errors.Is(damage, command.ErrUnknown) || !strings.Contains(damage.Error(), "log index") || !strings.Contains(damage.Error(), "upgrade this node") {
			t.Fatalf("damage is %v", damage)
		}
		if err := m.try(session(2, command.Stop, 10)); !errors.Is(err, ErrTooOld) {
			t.Errorf("a command after it: %v", err)
		}
		m.state(func(s *fsm.State) {
			if s.Hash() != before {
				t.Error("something was applied")
			}
		})
		if err := m.store.Snapshot(t.Context()); err == nil {
			t.Error("a snapshot was taken behind what was not applied")
		}
		if again == 0 {
			m.stop()
			c.start(m)
		}
	}
}

// What needs a level is not proposed below it.
func TestCommandsAboveTheLevelAreNotProposed(t *testing.T) {
	c := newClusterOf(t, 1, func(cfg *Config) {
		cfg.Level = command.Level + 1
		cfg.levelOf = func(c command.Command) uint64 {
			if _, is := c.(*command.CutAll); is {
				return command.Level + 1
			}
			return command.LevelOf(c)
		}
	})
	m := c.leader()
	m.found()
	if err := m.try(&command.CutAll{Limit: 1}); !errors.Is(err, ErrLevel) || !strings.Contains(err.Error(), "upgrade every node") {
		t.Fatalf("below the level: %v", err)
	}
	m.do(&command.SetLevel{Level: command.Level + 1})
	if err := m.try(&command.CutAll{Limit: 1}); err != nil {
		t.Fatalf("at the level: %v", err)
	}
}

// A node of the version before stops when the level is raised, by log or by
// snapshot; the others go on, and it follows again once it is upgraded.
func TestNodeOfAnOlderVersionStopsAndFollowsOnceUpgraded(t *testing.T) {
	c := newClusterOf(t, 3, func(cfg *Config) { cfg.Level = command.Level + 1 })
	lead := c.leader()
	lead.found()
	lead.do(session(1, command.Stop, 10))
	var old *member
	for _, m := range c.members {
		if m != c.leader() {
			old = m
		}
	}
	upgraded := c.change
	downgrade := func() { c.change = func(cfg *Config) { cfg.Level = command.Level } }
	old.stop()
	downgrade()
	c.start(old)
	old.until("it follows", func() bool { spent, _ := old.spent(); return spent == 10 })
	c.leader().do(&command.SetLevel{Level: command.Level + 1})
	old.until("it stops by name", func() bool { return errors.Is(old.store.Damage(), ErrTooOld) })
	c.leader().do(session(2, command.Stop, 10))
	if spent, _ := old.spent(); spent != 10 {
		t.Errorf("it applied %d after it stopped", spent)
	}
	old.stop()
	c.change = upgraded
	c.start(old)
	old.until("it follows again", func() bool { spent, _ := old.spent(); return spent == 20 })
	if err := old.store.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	old.stop()
	downgrade()
	if err := c.open(old); !errors.Is(err, ErrTooOld) || !strings.Contains(err.Error(), "the snapshot") {
		t.Errorf("a snapshot of a higher level: %v", err)
	}
	c.change = upgraded
	c.start(old)
	var want [32]byte
	var at uint64
	c.leader().state(func(s *fsm.State) { want, at = s.Hash(), s.Seq })
	old.until("the replicas are equal", func() (equal bool) {
		old.state(func(s *fsm.State) { equal = s.Seq == at && s.Hash() == want })
		return equal
	})
}
