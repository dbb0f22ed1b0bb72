package forward

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	ca, leader := testCA(t), &fakeLeader{gate: make(chan struct{})}
	srvCfg := testConfig(t, ca, "north", "n1")
	srvCfg.MaxInFlight = 2
	srv := serve(t, srvCfg, leader, "127.0.0.1:0")

	// The pool's own limit: the third waits, and gives up with its context.
	cfg := testConfig(t, ca, "north", "n2")
	cfg.MaxInFlight, cfg.MaxCommands = 2, 3
	p := pool(t, cfg)
	got := make(chan error, 2)
	for range 2 {
		go func() { _, err := p.Propose(t.Context(), srv.addr, cmds("x")); got <- err }()
	}
	eventually(t, "two are at the leader", func() bool { return leader.inside.Load() == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Propose(ctx, srv.addr, cmds("x")); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beyond the pool's limit: %v", err)
	}
	if _, err := p.Propose(t.Context(), srv.addr, cmds("1", "2", "3", "4")); !errors.Is(err, ErrInvalid) {
		t.Errorf("too many commands: %v", err)
	}
	if _, err := p.Propose(t.Context(), srv.addr, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("no commands: %v", err)
	}
	leader.gate <- struct{}{}
	leader.gate <- struct{}{}
	for range 2 {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}

	// The leader's limit, against a node that is set to send more.
	cfg.MaxInFlight, cfg.MaxCommands = 10, 10
	p = pool(t, cfg)
	for range 2 {
		go func() { _, err := p.Propose(t.Context(), srv.addr, cmds("x")); got <- err }()
	}
	eventually(t, "two are at the leader again", func() bool { return leader.inside.Load() == 2 })
	rs, err := p.Propose(t.Context(), srv.addr, cmds("x"))
	if err != nil || !errors.Is(rs[0].Err(), ErrBusy) {
		t.Errorf("beyond the leader's limit: %v, %v", rs, err)
	}
	// A caller that gives up after the batch has left does not know the outcome.
	if srv.Stats().Busy != 1 || leader.most.Load() != 2 {
		t.Errorf("%+v, at most %d at once", srv.Stats(), leader.most.Load())
	}
	leader.gate <- struct{}{}
	leader.gate <- struct{}{}
	<-got
	<-got
}

func TestCallerGivesUp(t *testing.T) {
	ca, leader := testCA(t), &fakeLeader{gate: make(chan struct{})}
	srv := serve(t, testConfig(t, ca, "north", "n1"), leader, "127.0.0.1:0")
	p := pool(t, testConfig(t, ca, "north", "n2"))
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() { _, err := p.Propose(ctx, srv.addr, cmds("x")); got <- err }()
	eventually(t, "it is at the leader", func() bool { return leader.inside.Load() == 1 })
	cancel()
	if err := <-got; !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	leader.gate <- struct{}{} // the late answer disturbs nobody
	leader.gate = nil
	if rs, err := p.Propose(t.Context(), srv.addr, cmds("y")); err != nil || string(rs[0].Value) != "Y" {
		t.Fatalf("after it: %v, %v", rs, err)
	}
	if p.Stats().Opened != 1 {
		t.Error("the stream was given up with the caller")
	}
}
