package link

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"meridian/replication/identity"
	"meridian/replication/memnet"
)

// virtual is a centre in a network in memory, for tests in virtual time.
type virtual struct {
	t   *testing.T
	net *memnet.Network
	ca  *identity.CA
	srv *Server
}

func startVirtual(t *testing.T, sink Sink) *virtual {
	t.Helper()
	v := &virtual{t: t, net: memnet.New(), ca: testCA(t)}
	cfg := DefaultServerConfig()
	cfg.Logger = slog.New(slog.DiscardHandler)
	srv, err := NewServer(cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	v.srv = srv
	b, err := v.ca.Issue(identity.Centre(), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tc, err := b.TLS(identity.AnyRegion())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := v.net.Listen("centre:1")
	if err != nil {
		t.Fatal(err)
	}
	gs := grpc.NewServer(cfg.GRPCOptions(tc)...)
	srv.Register(gs)
	done := make(chan struct{})
	go func() { defer close(done); gs.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); gs.Stop(); <-done })
	return v
}

// leader runs a node's client with the times of production.
func (v *virtual) leader(node string, l *ledger) (c *Client, stop func()) {
	v.t.Helper()
	cfg := DefaultClientConfig()
	cfg.Region, cfg.Node, cfg.Addresses, cfg.Dial = "north", node, []string{"centre:1"}, v.net.Dial
	cfg.Logger = slog.New(slog.DiscardHandler)
	b, err := v.ca.Issue(identity.Node("north", node), time.Now(), time.Hour)
	if err != nil {
		v.t.Fatal(err)
	}
	if cfg.TLS, err = b.TLS(identity.TheCentre()); err != nil {
		v.t.Fatal(err)
	}
	return runClient(v.t, cfg, l)
}

// within lets virtual time pass until a condition holds, and fails the test when
// that takes longer than a limit of that time.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		synctest.Wait()
		if ok() {
			return
		}
		if time.Since(start) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// TestLegitimateLeaderGetsThrough: whatever became of the one before it, the
// region's true leader is welcomed within 3 s, by the link's own clock.
func TestLegitimateLeaderGetsThrough(t *testing.T) {
	const bound = 3 * time.Second
	for _, c := range []struct {
		name         string
		oldTerm      uint64
		freeze, live bool // what the former leader's process does: stopped with its connection open, or alive
		cause        Cause
	}{
		{"a newer term, the former is stopped", 6, true, false, CauseTakenOver},
		{"a newer term, the former goes on", 6, false, true, CauseTakenOver},
		{"the same term, the former is stopped", 7, true, false, CauseSilent},
		{"the same term, the former has ended", 7, false, false, CauseLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sink := newBooks()
				v := startVirtual(t, sink)
				var first *memnet.Conn
				v.net.OnDial(func(conn *memnet.Conn) {
					if first == nil {
						first = conn
					}
				})
				old, next := newLedger(10), newLedger(20)
				old.hello.Term, next.hello.Term = c.oldTerm, 7
				_, stop := v.leader("n1", old)
				within(t, bound, "the former leader is in", func() bool { return old.ackedSeq() == 10 })
				if c.freeze {
					first.Freeze()
				}
				if !c.freeze && !c.live {
					stop()
				}
				client, _ := v.leader("n2", next)
				within(t, bound, "the true leader is acknowledged", func() bool { return next.ackedSeq() == 20 })
				if s := v.srv.Sessions(); len(s) != 1 || s[0].Node != "n2" {
					t.Errorf("live: %+v", s)
				}
				if v.srv.Stats().Causes[c.cause] == 0 {
					t.Errorf("causes at the centre %v, want %s", v.srv.Stats().Causes, c.cause)
				}
				// The one before never gets back in, and the true one keeps its stream.
				time.Sleep(time.Minute)
				if st := client.Stats(); st.Losses != 0 || !client.State().Connected || client.State().Cause != CauseNone {
					t.Errorf("the true leader lost its stream: %+v", client.State())
				}
				if c.live && !old.refusedWith(CodeStaleTerm) {
					t.Errorf("the former was refused with %v", old.refusals)
				}
				sink.check(t, 20)
			})
		})
	}
}

// TestLivingRivalKeepsItsPlace: of two that claim one term the one that is heard
// stays, however often the other asks.
func TestLivingRivalKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newBooks()
		v := startVirtual(t, sink)
		one, two := newLedger(10), newLedger(10)
		a, _ := v.leader("n1", one)
		within(t, time.Second, "the first is in", func() bool { return a.State().Connected })
		b, _ := v.leader("n2", two)
		time.Sleep(time.Minute)
		if a.Stats().Losses != 0 || b.Stats().Connects != 0 || !two.refusedWith(CodeStaleTerm) {
			t.Errorf("the first lost %d, the second connected %d times", a.Stats().Losses, b.Stats().Connects)
		}
		if st := b.State(); st.Cause != CauseRefused || st.Reason != "STALE_TERM" || b.Stats().RefusedBy[CodeStaleTerm] < 20 {
			t.Errorf("the second says %s %s, refused by %v", st.Cause, st.Reason, b.Stats().RefusedBy)
		}
		if e := v.srv.Ends(); len(e) != 1 || e[0].Node != "n2" || e[0].Cause != CauseRefused || e[0].Reason != "STALE_TERM" || e[0].Detail == "" {
			t.Errorf("the centre says %+v", e)
		}
	})
}

// TestStoppedCentreIsLeft: the server that stops without closing its connection
// is given up after Silence, and the next one is asked.
func TestStoppedCentreIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newBooks()
		v := startVirtual(t, sink)
		var conns []*memnet.Conn
		v.net.OnDial(func(c *memnet.Conn) { conns = append(conns, c) })
		l := newLedger(1)
		c, _ := v.leader("n1", l)
		within(t, time.Second, "in", func() bool { return l.ackedSeq() == 1 })
		conns[0].Freeze()
		l.add(1)
		within(t, 4*time.Second, "in again", func() bool { return l.ackedSeq() == 2 })
		if c.Stats().Causes[CauseSilent] != 1 || v.srv.Stats().Takeovers+v.srv.Stats().Silent != 1 {
			t.Errorf("region %v, centre %+v", c.Stats().Causes, v.srv.Stats())
		}
		sink.check(t, 2)
	})
}

// unwell is a Sink that cannot work for a reason.
type unwell struct {
	*books
	err error
}

func (u *unwell) Hello(context.Context, string, Hello) (Welcome, *Refused, error) {
	return Welcome{}, nil, u.err
}

// TestCausesHaveNames: what is wrong is told by name on both sides.
func TestCausesHaveNames(t *testing.T) {
	full := &Unavailable{Reason: "database_full", Err: errors.New("no space left at 10.1.2.3")}
	for _, c := range []struct {
		name           string
		sink           func(*books) Sink
		change         func(*ledger, *ClientConfig)
		region, centre Cause
		reason         string
	}{
		{"nobody listens", nil, func(_ *ledger, c *ClientConfig) { c.Addresses = []string{"127.0.0.1:1"} }, CauseUnreachable, CauseNone, ""},
		{"another authority", nil, func(_ *ledger, c *ClientConfig) {
			c.TLS = quickClient(t, testCA(t), "north", "n1", "127.0.0.1:1").TLS
		}, CauseIdentity, CauseNone, ""},
		{"database full", func(b *books) Sink { return &unwell{b, full} }, nil, CauseUnavailable, CauseUnavailable, "database_full"},
		{"some other failure", func(b *books) Sink { return &unwell{b, errors.New("defect at 10.1.2.3")} }, nil, CauseUnavailable, CauseUnavailable, "internal"},
		{"revoked", func(b *books) Sink { b.refuse = &Refused{Code: CodeRevoked, Detail: "d", Remedy: "r"}; return b }, nil, CauseRefused, CauseRefused, "REVOKED"},
		{"ledgers differ", nil, func(l *ledger, _ *ClientConfig) { l.differs = true }, CauseDiverged, CauseLost, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ca, b := testCA(t), newBooks()
			var sink Sink = b
			if c.sink != nil {
				sink = c.sink(b)
			}
			srv := startCentre(t, ca, sink, nil)
			l := newLedger(1)
			cfg := quickClient(t, ca, "north", "n1", srv.addr)
			if c.change != nil {
				c.change(l, &cfg)
			}
			client, _ := runClient(t, cfg, l)
			eventually(t, "told at the region", func() bool { return client.Stats().Causes[c.region] > 1 })
			eventually(t, "in its state", func() bool { st := client.State(); return st.Cause == c.region && st.Reason == c.reason })
			if strings.Contains(client.State().LastError.Error(), "10.1.2.3") {
				t.Errorf("the inside of the centre is told: %v", client.State().LastError)
			}
			if c.centre == CauseNone {
				return
			}
			eventually(t, "told at the centre", func() bool {
				e := srv.Ends()
				return srv.Stats().Causes[c.centre] > 1 && len(e) == 1 && e[0].Cause == c.centre && e[0].Reason == c.reason && e[0].Region == "north"
			})
		})
	}
	seen := map[string]bool{"none": true}
	for _, c := range Causes() {
		if seen[c.String()] || causeNamed(c.String()) != c {
			t.Errorf("%d has no name of its own: %s", int(c), c)
		}
		seen[c.String()] = true
	}
}
