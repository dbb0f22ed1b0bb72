package link

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestOrderOfStreams(t *testing.T) {
	type hello struct {
		epoch, term uint64
		node        string
	}
	for _, c := range []struct {
		name         string
		first, later hello
		want         Code // CodeUnspecified: takes over
	}{
		{"higher term", hello{1, 5, "n1"}, hello{1, 6, "n2"}, CodeUnspecified},
		{"higher epoch, lower term", hello{1, 5, "n1"}, hello{2, 1, "n2"}, CodeUnspecified},
		{"the same leader again", hello{1, 5, "n1"}, hello{1, 5, "n1"}, CodeUnspecified},
		{"lower term", hello{1, 5, "n1"}, hello{1, 4, "n2"}, CodeStaleTerm},
		{"lower epoch, higher term", hello{2, 5, "n1"}, hello{1, 9, "n2"}, CodeStaleEpoch},
		{"two nodes, one term", hello{1, 5, "n1"}, hello{1, 5, "n2"}, CodeStaleTerm},
	} {
		t.Run(c.name, func(t *testing.T) {
			ca, sink := testCA(t), newBooks()
			srv := startCentre(t, ca, sink, nil)
			say := func(h hello) *raw {
				s := openRaw(t, ca, "north", h.node, srv.addr)
				s.hello(Hello{Region: "north", Node: h.node, Epoch: h.epoch, Term: h.term, ProtocolVersion: ProtocolVersion})
				return s
			}
			first := say(c.first)
			first.welcome()
			defer first.beat()()
			later := say(c.later)
			if c.want == CodeUnspecified {
				later.welcome()
				for {
					if _, err := first.stream.Recv(); err != nil {
						if status.Code(err) != codes.Aborted {
							t.Errorf("the stream before ended with %v", err)
						}
						break
					}
				}
				if s := srv.Sessions(); len(s) != 1 || s[0].Node != c.later.node {
					t.Errorf("live: %+v", s)
				}
				if srv.Stats().Takeovers != 1 {
					t.Errorf("takeovers %d", srv.Stats().Takeovers)
				}
				return
			}
			if r := later.next().GetRefused(); Code(r.GetCode()) != c.want || r.GetRemedy() == "" {
				t.Errorf("answered %v, want %s", r, c.want)
			}
			if s := srv.Sessions(); len(s) != 1 || s[0].Node != c.first.node {
				t.Errorf("live: %+v", s)
			}
		})
	}
}

// TestFormerLeaderStaysOut: when no stream is live the Sink, which remembers terms, keeps
// it out.
func TestFormerLeaderStaysOut(t *testing.T) {
	ca, sink := testCA(t), newBooks()
	srv := startCentre(t, ca, sink, nil)
	l := newLedger(3)
	l.hello.Term = 7
	_, stop := runClient(t, quickClient(t, ca, "north", "n2", srv.addr), l)
	eventually(t, "acknowledged", func() bool { return l.ackedSeq() == 3 })
	stop()
	eventually(t, "the session ends", func() bool { return len(srv.Sessions()) == 0 })
	old := newLedger(5)
	old.hello.Term = 6
	_, _ = runClient(t, quickClient(t, ca, "north", "n1", srv.addr), old)
	eventually(t, "refused", func() bool { return old.refusedWith(CodeStaleTerm) })
	sink.check(t, 3)
}

// TestEndedEpochIsTheSinksToJudge: what was connected before is no reason to turn away
// a region that is founded anew, or one that was restored from an ended epoch: the Sink
// knows which of them it gave the present epoch to, and its words reach the region.
func TestEndedEpochIsTheSinksToJudge(t *testing.T) {
	for _, c := range []struct {
		name         string
		first, later Hello
	}{
		{"founded anew", Hello{Epoch: 1, Term: 7}, Hello{Epoch: 0, Term: 2}},
		{"restored from epoch 1", Hello{Epoch: 2, Term: 9}, Hello{Epoch: 1, Term: 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ca, sink := testCA(t), newBooks()
			srv := startCentre(t, ca, sink, nil)
			say := func(h Hello) *raw {
				h.Region, h.Node, h.ProtocolVersion = "north", "n1", ProtocolVersion
				s := openRaw(t, ca, "north", "n1", srv.addr)
				s.hello(h)
				return s
			}
			first := say(c.first)
			first.welcome()
			if r := say(c.later).next().GetRefused(); Code(r.GetCode()) != CodeStaleEpoch || !strings.Contains(r.GetDetail(), "this ledger ends at") {
				t.Errorf("while the other is connected: %v", r)
			}
			if err := first.stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the session ends", func() bool { return len(srv.Sessions()) == 0 })
			sink.mu.Lock()
			sink.refuse = &Refused{Code: CodeStaleEpoch, Detail: "epoch 3 was given to another", Remedy: "look at it"}
			sink.mu.Unlock()
			if r := say(c.later).next().GetRefused(); r.GetDetail() != "epoch 3 was given to another" {
				t.Errorf("answered %v, want the Sink's words", r)
			}
			sink.mu.Lock()
			sink.refuse = nil
			sink.mu.Unlock()
			say(c.later).welcome()
		})
	}
}

// TestDeposedLeaderDoesNotKeepTheTerm: a leader that was just deposed said hello
// with the term of its successor. It is kept apart from that one while it is
// connected, and no longer.
func TestDeposedLeaderDoesNotKeepTheTerm(t *testing.T) {
	ca, sink := testCA(t), newBooks()
	srv := startCentre(t, ca, sink, nil)
	old, next := newLedger(20), newLedger(20)
	old.hello.Term, next.hello.Term = 7, 7
	_, stop := runClient(t, quickClient(t, ca, "north", "n1", srv.addr), old)
	eventually(t, "the deposed one is in", func() bool { return old.ackedSeq() == 20 })
	_, _ = runClient(t, quickClient(t, ca, "north", "n2", srv.addr), next)
	eventually(t, "its successor is refused", func() bool { return next.refusedWith(CodeStaleTerm) })
	if s := srv.Sessions(); len(s) != 1 || s[0].Node != "n1" {
		t.Errorf("live: %+v", s)
	}
	stop()
	eventually(t, "the successor is in", func() bool { return next.ackedSeq() == 20 })
	if s := srv.Sessions(); len(s) != 1 || s[0].Node != "n2" {
		t.Errorf("live: %+v", s)
	}
	again := newLedger(20)
	again.hello.Term = 7
	_, _ = runClient(t, quickClient(t, ca, "north", "n1", srv.addr), again)
	eventually(t, "the deposed one stays out", func() bool { return again.refusedWith(CodeStaleTerm) })
	sink.check(t, 20)
}

// TestTakeoverWaitsForTheSink: the new leader is welcomed only after the batch
// of the one before has left the Sink, whatever became of it.
func TestTakeoverWaitsForTheSink(t *testing.T) {
	ca, sink := testCA(t), newBooks()
	sink.gate = make(chan struct{})
	srv := startCentre(t, ca, sink, nil)
	l := newLedger(100)
	a, _ := runClient(t, quickClient(t, ca, "north", "n1", srv.addr), l)
	eventually(t, "a batch is in the sink", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return sink.inside == 1
	})
	next := newLedger(100)
	next.hello.Term = 2
	b, _ := runClient(t, quickClient(t, ca, "north", "n2", srv.addr), next)
	eventually(t, "the new leader is in", func() bool { return b.State().Connected && !a.State().Connected })
	close(sink.gate)
	eventually(t, "taken in from the new leader", func() bool {
		n, _, _ := sink.state()
		return n == 100
	})
	sink.check(t, 100)
}

// TestTwoLeaders: both try for a while; only the higher gets in.
func TestTwoLeaders(t *testing.T) {
	ca, sink := testCA(t), newBooks()
	srv := startCentre(t, ca, sink, nil)
	low, high := newLedger(500), newLedger(500)
	low.hello.Term, high.hello.Term = 3, 4
	cfg := quickClient(t, ca, "north", "n1", srv.addr)
	cfg.MaxEntries = 5
	_, _ = runClient(t, cfg, low)
	cfg = quickClient(t, ca, "north", "n2", srv.addr)
	cfg.MaxEntries = 5
	c, _ := runClient(t, cfg, high)
	eventually(t, "the higher is acknowledged", func() bool { return high.ackedSeq() == 500 })
	eventually(t, "the lower is refused again and again", func() bool { return srv.Stats().Refusals[CodeStaleTerm] >= 3 })
	if st := c.Stats(); st.Losses != 0 {
		t.Errorf("the higher lost its stream %d times", st.Losses)
	}
	sink.check(t, 500)
}

func TestRegionsDoNotDisturbEachOther(t *testing.T) {
	ca := testCA(t)
	sink := &perRegion{north: newBooks(), south: newBooks()}
	sink.north.gate = make(chan struct{}) // north stands still
	srv := startCentre(t, ca, sink, nil)
	north, south := newLedger(50), newLedger(50)
	_, _ = runClient(t, quickClient(t, ca, "north", "n1", srv.addr), north)
	_, _ = runClient(t, quickClient(t, ca, "south", "n1", srv.addr), south)
	eventually(t, "south goes on", func() bool { return south.ackedSeq() == 50 })
	if north.ackedSeq() != 0 {
		t.Error("north moved")
	}
	close(sink.north.gate)
	eventually(t, "north follows", func() bool { return north.ackedSeq() == 50 })
}

func TestServerLimits(t *testing.T) {
	ca, sink := testCA(t), newBooks()
	srv := startCentre(t, ca, sink, func(c *ServerConfig) { c.MaxRegions = 1 })
	_, _ = runClient(t, quickClient(t, ca, "north", "n1", srv.addr), newLedger(0))
	eventually(t, "the first is in", func() bool { return len(srv.Sessions()) == 1 })
	s := openRaw(t, ca, "south", "n1", srv.addr)
	s.hello(Hello{Region: "south", Node: "n1", Epoch: 1, Term: 1, ProtocolVersion: ProtocolVersion})
	if _, err := s.stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("beyond MaxRegions: %v", err)
	}
}

func TestWantedQueue(t *testing.T) {
	q := newWantedQueue(2)
	item := func(b string, total int64) Wanted { return Wanted{Items: []WantedItem{{Bucket: b, Total: total}}} }
	if !q.add(item("a", 1)) || !q.add(item("b", 1)) || !q.add(item("a", 2)) {
		t.Fatal("within the limit")
	}
	if q.add(item("c", 1)) {
		t.Fatal("beyond the limit")
	}
	w := q.take()
	if len(w.Items) != 2 || w.Items[0] != (WantedItem{Bucket: "a", Total: 2}) {
		t.Fatalf("%+v", w)
	}
	if !q.add(item("c", 1)) || len(q.take().Items) != 1 || len(q.take().Items) != 0 {
		t.Fatal("after it was emptied")
	}
}

func TestConfigs(t *testing.T) {
	if err := (ClientConfig{}).Validate(); err == nil {
		t.Error("an empty client configuration passes")
	}
	if err := (ServerConfig{}).Validate(); err == nil {
		t.Error("an empty server configuration passes")
	}
	c := quickServer()
	c.Silence = c.Heartbeat
	if err := c.Validate(); err == nil {
		t.Error("silence as short as a heartbeat passes")
	}
	d := quickClient(t, testCA(t), "north", "n1", "127.0.0.1:1")
	d.BackoffMax = time.Nanosecond
	if _, err := NewClient(d, newLedger(0), newLedger(0)); err == nil {
		t.Error("a backoff that shrinks passes")
	}
}
