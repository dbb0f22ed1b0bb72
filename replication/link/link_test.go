package link

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "meridian/proto/meridian/v1"
	"meridian/replication/identity"
)

func TestEverythingFlows(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(2500)
	sink.publish(700, []byte("row"))
	srv := startCentre(t, ca, sink, nil)
	l.want("b1", 10)
	c, stop := runClient(t, quickClient(t, ca, "north", "n1", srv.addr), l)

	eventually(t, "all entries acknowledged", func() bool { return l.ackedSeq() == 2500 })
	eventually(t, "the feed applied", func() bool { return l.feedLen() == 700 })
	l.add(5)
	sink.publish(3, nil)
	l.want("b1", 20)
	l.want("b2", 7)
	eventually(t, "new entries acknowledged", func() bool { return l.ackedSeq() == 2505 })
	eventually(t, "new rows applied", func() bool { return l.feedLen() == 703 })
	eventually(t, "wanted totals arrive", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return sink.wanted["b1"] == 20 && sink.wanted["b2"] == 7
	})
	eventually(t, "health arrives", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return sink.health.Mode == "connected" && sink.health.BacklogEntries == 0 && sink.health.ClockUnixMicros > 0
	})
	st := c.State()
	if !st.Connected || st.LastError != nil || time.Since(st.LastContact) > time.Minute || st.Address != srv.addr || st.Credit != 8 {
		t.Errorf("state %+v", st)
	}
	if st.ClockSkew.Abs() > time.Second {
		t.Errorf("clock skew %s on one machine", st.ClockSkew)
	}
	if s := srv.Sessions(); len(s) != 1 || s[0].Region != "north" || s[0].Node != "n1" {
		t.Errorf("sessions %+v", s)
	}
	if st := srv.Stats(); st.Entries != 2505 || st.Rows != 703 {
		t.Errorf("server %+v", st)
	}
	stop()
	if c.State().Connected {
		t.Error("connected after Run ended")
	}
	eventually(t, "the session ends", func() bool { return len(srv.Sessions()) == 0 })
	sink.check(t, 2505)
	// What was named before is named again on the next stream.
	sink.mu.Lock()
	clear(sink.wanted)
	sink.mu.Unlock()
	runClient(t, quickClient(t, ca, "north", "n1", srv.addr), l)
	eventually(t, "wanted totals again", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return sink.wanted["b1"] == 20 && sink.wanted["b2"] == 7
	})
}

// TestExactlyOnceThroughCuts cuts every connection after a random number of
// bytes, anywhere in the exchange, and finds everything once.
func TestExactlyOnceThroughCuts(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(0)
	// Messages are small, so that every connection lives for some of them.
	srv := startCentre(t, ca, sink, func(c *ServerConfig) { c.MaxRows = 20 })
	// A handshake takes some 3000 bytes.
	r := startRelay(t, srv.addr, func() int { return 3000 + rand.N(12_000) })
	cfg := quickClient(t, ca, "north", "n1", r.addr())
	cfg.MaxEntries = 20
	c, _ := runClient(t, cfg, l)
	const total = 4000
	for range total / 100 {
		l.add(100)
		sink.publish(10, []byte(strings.Repeat("r", 50)))
	}
	eventually(t, "all entries acknowledged", func() bool { return l.ackedSeq() == total })
	eventually(t, "the feed applied", func() bool { return l.feedLen() == total/10 })
	sink.check(t, total)
	if st := c.Stats(); st.Losses < 5 {
		t.Errorf("only %d streams were lost: the test did not cut", st.Losses)
	}
}

// TestLostAcknowledgement: the centre took the batch in, but the region never
// heard so.
func TestLostAcknowledgement(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(0)
	srv := startCentre(t, ca, sink, nil)
	sink.fail = errors.New("connection lost at commit")
	_, _ = runClient(t, quickClient(t, ca, "north", "n1", srv.addr), l)
	l.add(10)
	eventually(t, "acknowledged in the end", func() bool { return l.ackedSeq() == 10 })
	sink.check(t, 10)
}

func TestDuplicateBatchesAreAcknowledgedAgain(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(10)
	srv := startCentre(t, ca, sink, nil)
	s := openRaw(t, ca, "north", "n1", srv.addr)
	s.hello(Hello{Region: "north", Node: "n1", Epoch: 1, Term: 1, ProtocolVersion: ProtocolVersion})
	s.welcome()
	b, err := l.Entries(t.Context(), 0, 10, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.send(&pb.Up{Message: &pb.Up_Batch{Batch: batchToWire(b)}})
		if a := s.next().GetAck(); a.GetSeq() != 10 {
			t.Fatalf("acknowledged %v", a)
		}
	}
	sink.check(t, 10)
	if _, given, _ := sink.state(); given != 30 {
		t.Fatalf("the sink was given %d entries, sent were 30", given)
	}
	if sink.lastTerm != 1 {
		t.Fatalf("the sink was told term %d", sink.lastTerm)
	}
}

func TestSilenceIsNoticedByBothSides(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(5)
	srv := startCentre(t, ca, sink, nil)
	r := startRelay(t, srv.addr, func() int { return 0 })
	c, _ := runClient(t, quickClient(t, ca, "north", "n1", r.addr()), l)
	eventually(t, "connected", func() bool { return c.State().Connected && l.ackedSeq() == 5 })
	r.blackHole(true)
	eventually(t, "the region gives up", func() bool { return !c.State().Connected })
	if !errors.Is(c.State().LastError, ErrSilent) {
		t.Errorf("gave up for %v, want silence", c.State().LastError)
	}
	eventually(t, "the centre gives up", func() bool { return len(srv.Sessions()) == 0 })
	eventually(t, "the centre counts it", func() bool { return srv.Stats().Silent > 0 }) // a starved machine may have lost it once before
	l.add(5)
	r.blackHole(false)
	r.cut()
	eventually(t, "back, and caught up", func() bool { return c.State().Connected && l.ackedSeq() == 10 })
	sink.check(t, 10)
}

func TestQuietLinkStaysUp(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(1)
	srv := startCentre(t, ca, sink, nil)
	cfg := quickClient(t, ca, "north", "n1", srv.addr)
	c, _ := runClient(t, cfg, l)
	eventually(t, "connected", func() bool { return c.State().Connected })
	start := time.Now()
	eventually(t, "heartbeats for several silences", func() bool {
		return c.State().LastContact.Sub(start) > 3*cfg.Silence
	})
	if st := c.Stats(); st.Losses != 0 || st.Connects != 1 {
		t.Fatalf("a quiet link was lost: %+v", st)
	}
}

// TestSlowCentre: the Sink sets the pace; no more than the credit is ever on
// the way, and the stream lives.
func TestSlowCentre(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(1000)
	gate := make(chan struct{})
	sink.gate = gate
	srv := startCentre(t, ca, sink, func(c *ServerConfig) { c.Credit = 3 })
	cfg := quickClient(t, ca, "north", "n1", srv.addr)
	cfg.MaxEntries = 10
	c, _ := runClient(t, cfg, l)
	eventually(t, "the credit is used up", func() bool { return c.State().InFlight == 3 })
	mark := time.Now()
	eventually(t, "heartbeats go on", func() bool { return c.State().LastContact.Sub(mark) > 2*cfg.Silence })
	if st := c.Stats(); st.Batches != 3 || st.Losses != 0 {
		t.Fatalf("with credit 3 and a sink that stands still: %+v", st)
	}
	for range 100 {
		gate <- struct{}{}
		if n := c.State().InFlight; n > 3 {
			t.Fatalf("%d batches on the way with credit 3", n)
		}
	}
	eventually(t, "all acknowledged", func() bool { return l.ackedSeq() == 1000 })
	sink.check(t, 1000)
	if st := c.Stats(); st.Losses != 0 || st.Batches != 100 {
		t.Errorf("%+v", st)
	}
}

// TestSlowRegion: rows are applied slowly; the stream is neither lost nor does
// it gather rows without bound.
func TestSlowRegion(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(0)
	l.applying = make(chan struct{})
	sink.publish(3000, make([]byte, 20_000)) // 60 MB, far beyond every window
	srv := startCentre(t, ca, sink, func(c *ServerConfig) { c.MaxBytes = 1 << 20 })
	cfg := quickClient(t, ca, "north", "n1", srv.addr)
	cfg.ApplyQueue = 2
	c, _ := runClient(t, cfg, l)
	eventually(t, "connected", func() bool { return c.State().Connected })
	since := time.Now()
	eventually(t, "the centre hears the region while it does not read", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return time.UnixMicro(sink.health.ClockUnixMicros).Sub(since) > 2*cfg.Silence
	})
	if n := srv.Stats().Rows; n == 3000 {
		t.Fatalf("all %d rows were pushed at a region that applies none", n)
	}
	close(l.applying)
	eventually(t, "all applied", func() bool { return l.feedLen() == 3000 })
	if st := c.Stats(); st.Losses != 0 {
		t.Errorf("the stream was lost %d times", st.Losses)
	}
}

func TestServerLeavesAndReturns(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(5)
	a, b := startCentre(t, ca, sink, nil), startCentre(t, ca, sink, nil)
	cfg := quickClient(t, ca, "north", "n1", a.addr)
	cfg.Addresses = []string{a.addr, b.addr}
	c, _ := runClient(t, cfg, l)
	eventually(t, "acknowledged by the first", func() bool { return l.ackedSeq() == 5 })
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	l.add(5)
	eventually(t, "acknowledged by the second", func() bool { return l.ackedSeq() == 10 })
	if st := c.State(); st.Address != b.addr {
		t.Errorf("address %s", st.Address)
	}
	sink.check(t, 10)
}

func TestWrongPeers(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(1)
	srv := startCentre(t, ca, sink, nil)

	// The hello names another region than the certificate.
	cfg := quickClient(t, ca, "north", "n1", srv.addr)
	cfg.Region = "south"
	_, stop := runClient(t, cfg, l)
	eventually(t, "refused for its region", func() bool { return l.refusedWith(CodeRegionMismatch) })
	stop()

	// Another node than the certificate.
	cfg = quickClient(t, ca, "north", "n1", srv.addr)
	cfg.Node = "n2"
	l = newLedger(1)
	_, stop = runClient(t, cfg, l)
	eventually(t, "refused for its node", func() bool { return l.refusedWith(CodeRegionMismatch) })
	stop()

	// Another authority: no stream at all.
	l = newLedger(1)
	c, stop := runClient(t, quickClient(t, testCA(t), "north", "n1", srv.addr), l)
	eventually(t, "attempts fail", func() bool { return c.Stats().Attempts > 2 })
	stop()
	if c.Stats().Connects != 0 || len(l.welcomes) != 0 {
		t.Error("connected with a certificate of another authority")
	}
	sink.check(t, 0)
	if srv.Stats().Refusals[CodeRegionMismatch] < 2 {
		t.Errorf("refusals %v", srv.Stats().Refusals)
	}
}

func TestSinkRefuses(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(3)
	sink.refuse = &Refused{Code: CodeRevoked, Detail: "region north was revoked", Remedy: "ask the centre"}
	srv := startCentre(t, ca, sink, nil)
	c, _ := runClient(t, quickClient(t, ca, "north", "n1", srv.addr), l)
	eventually(t, "told so", func() bool { return l.refusedWith(CodeRevoked) })
	var r *Refused
	eventually(t, "in the state too", func() bool { return errors.As(c.State().LastError, &r) })
	if r.Code != CodeRevoked || r.Remedy != "ask the centre" {
		t.Errorf("%+v", r)
	}
	sink.mu.Lock()
	sink.refuse = nil
	sink.mu.Unlock()
	eventually(t, "in again after that was lifted", func() bool { return l.ackedSeq() == 3 })
}

func TestGapAndBadHashAreRefused(t *testing.T) {
	ca, sink, l := testCA(t), newBooks(), newLedger(10)
	srv := startCentre(t, ca, sink, nil)
	for name, c := range map[string]struct {
		change func(*Batch)
		want   Code
	}{
		"gap":      {func(b *Batch) { b.FirstSeq = 5 }, CodeGap},
		"bad hash": {func(b *Batch) { b.HeadHash = []byte("x") }, CodeBadHash},
		"empty":    {func(b *Batch) { b.Entries = nil }, CodeProtocol},
	} {
		b, err := l.Entries(t.Context(), 0, 3, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		c.change(&b)
		s := openRaw(t, ca, "north", "n1", srv.addr)
		s.hello(Hello{Region: "north", Node: "n1", Epoch: 1, Term: 1, ProtocolVersion: ProtocolVersion})
		s.welcome()
		s.send(&pb.Up{Message: &pb.Up_Batch{Batch: batchToWire(b)}})
		if r := s.next().GetRefused(); r == nil || Code(r.GetCode()) != c.want {
			t.Errorf("%s: answered %v, want %s", name, r, c.want)
		}
		sink.mu.Lock()
		sink.entries, sink.hash = nil, nil
		sink.mu.Unlock()
	}
}

func TestProtocolRules(t *testing.T) {
	ca, sink := testCA(t), newBooks()
	srv := startCentre(t, ca, sink, func(c *ServerConfig) { c.Credit = 2; c.MaxWanted = 2; c.HelloTimeout = 300 * time.Millisecond })
	good := Hello{Region: "north", Node: "n1", Epoch: 1, Term: 1, ProtocolVersion: ProtocolVersion}

	s := openRaw(t, ca, "north", "n1", srv.addr)
	s.send(&pb.Up{Message: &pb.Up_Health{Health: &pb.Health{}}})
	if r := s.next().GetRefused(); Code(r.GetCode()) != CodeProtocol {
		t.Errorf("health before hello: %v", r)
	}

	future := good
	future.ProtocolVersion = 99
	s = openRaw(t, ca, "north", "n1", srv.addr)
	s.hello(future)
	if r := s.next().GetRefused(); Code(r.GetCode()) != CodeVersion || !strings.Contains(r.GetDetail(), "99") {
		t.Errorf("unknown version: %v", r)
	}

	spans := good // both versions: 0 to 99 holds ours
	spans.ProtocolVersion, spans.MinProtocolVersion = 99, 1
	s = openRaw(t, ca, "north", "n1", srv.addr)
	s.hello(spans)
	if m := s.next(); m.GetWelcome() == nil {
		t.Errorf("versions 1 to 99: %v", m)
	}

	foreign := good
	foreign.Cluster = "test"
	s = openRaw(t, ca, "north", "n1", srv.addr)
	s.hello(foreign)
	if r := s.next().GetRefused(); Code(r.GetCode()) != CodeCluster || !strings.Contains(r.GetDetail(), `"test", this centre to ""`) || r.GetRemedy() == "" {
		t.Errorf("another cluster: %v", r)
	}
	if n := srv.Stats().Refusals; n[CodeCluster] != 1 || n[CodeVersion] != 1 {
		t.Errorf("refusals are counted as %v", n)
	}

	s = openRaw(t, ca, "north", "n1", srv.addr)
	if _, err := s.stream.Recv(); err == nil {
		t.Error("a stream without hello was answered")
	}

	gate := make(chan struct{})
	sink.gate = gate
	s = openRaw(t, ca, "north", "n1", srv.addr)
	s.hello(good)
	s.welcome()
	one := &pb.Up{Message: &pb.Up_Batch{Batch: &pb.Batch{Epoch: 1, FirstSeq: 1, Entries: [][]byte{{1}}}}}
	for range 4 { // one in the sink, two in the queue, and one too many
		s.send(one)
	}
	if r := s.next().GetRefused(); Code(r.GetCode()) != CodeProtocol || !strings.Contains(r.GetDetail(), "unacknowledged") {
		t.Errorf("beyond the credit: %v", r)
	}
	close(gate)
}

// raw is a region that says what it likes.
type raw struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[pb.Up, pb.Down]
}

func openRaw(t *testing.T, ca *identity.CA, region, node, addr string) *raw {
	t.Helper()
	cfg := quickClient(t, ca, region, node, addr)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(cfg.TLS)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	stream, err := pb.NewLinkClient(conn).Sync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); conn.Close() })
	return &raw{t, stream}
}

func (r *raw) send(up *pb.Up) {
	r.t.Helper()
	if err := r.stream.Send(up); err != nil {
		r.t.Fatalf("send %T: %v", up.GetMessage(), err)
	}
}

func (r *raw) hello(h Hello) {
	r.t.Helper()
	r.send(&pb.Up{Message: &pb.Up_Hello{Hello: helloToWire(h)}})
}

// next is the next message that is no heartbeat.
func (r *raw) next() *pb.Down {
	r.t.Helper()
	for {
		d, err := r.stream.Recv()
		if err != nil {
			r.t.Fatalf("receive: %v", err)
		}
		if d.GetCredit() == nil {
			return d
		}
	}
}

func (r *raw) welcome() {
	r.t.Helper()
	if d := r.next(); d.GetWelcome() == nil {
		r.t.Fatalf("no welcome but %v", d)
	}
}

// beat keeps the stream from being silent until the returned function is called.
func (r *raw) beat() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
				_ = r.stream.Send(&pb.Up{Message: &pb.Up_Health{Health: &pb.Health{}}}) // it may have ended
			}
		}
	}()
	return func() { cancel(); <-done }
}
