package aaa

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/coa"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

// bras is a NAS's side of RFC 5176 that answers as told.
type bras struct {
	*coa.Server
	mu   sync.Mutex
	got  []string // "code session" in order of arrival
	last attr.List
	say  func(n int) coa.Answer // n counts from 1
}

func newBRAS(t *testing.T, say func(n int) coa.Answer) *bras {
	t.Helper()
	b := &bras{say: say}
	srv, err := coa.NewServer(coa.ServerConfig{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Secret: []byte(secret), EventWindow: 5 * time.Minute}, b.handle, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.Server = srv
	t.Cleanup(func() { srv.Close() })
	return b
}

func (b *bras) handle(r coa.Request) coa.Answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, fmt.Sprintf("%v %s", r.Code, r.Attributes.Text(attr.AcctSessionID)))
	b.last = append(attr.List(nil), r.Attributes...)
	return b.say(len(b.got))
}

func (b *bras) requests() ([]string, attr.List) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got...), b.last
}

func say(a coa.Answer) func(int) coa.Answer { return func(int) coa.Answer { return a } }

func ack(int) coa.Answer { return coa.Answer{ACK: true} }

func fastEffects(r *region) EffectsConfig {
	cfg := DefaultEffectsConfig()
	cfg.Changed = r.changed
	cfg.Every, cfg.Rest = 5*time.Millisecond, time.Millisecond
	cfg.Tries, cfg.RetryPause, cfg.RetryPauseMax = 3, 10*time.Millisecond, 20*time.Millisecond
	return cfg
}

// newSender is the real client with short patience.
func newSender(t *testing.T) *coa.Client {
	t.Helper()
	cfg := coa.DefaultConfig()
	cfg.Local, cfg.Timeout, cfg.Tries = netip.MustParseAddrPort("127.0.0.1:0"), 50*time.Millisecond, 2
	c, err := coa.New(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newEffects(t *testing.T, r *region, cfg EffectsConfig, s Sender) *Effects {
	t.Helper()
	e, err := NewEffects(cfg, r, newHandler(t, r, testConfig()), s, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// online opens a flat-rate session for the login, by the log alone.
func (r *region) online(nas, login, session string) {
	r.tb.Helper()
	res := r.apply(&command.Accounting{NAS: nas, SessionID: session, Login: login, Status: command.Start, Event: epoch1, FramedIP: "10.1.2.3"})
	if res.Code != command.OK {
		r.tb.Fatalf("start %s: %+v", session, res)
	}
}

func (r *region) bar(login string) {
	r.tb.Helper()
	r.feed(&feed.Order{ID: fmt.Sprintf("bar-%s-%d", login, r.row), Subscription: "sub-" + login, Action: feed.ActionBar})
}

func (r *region) counts() fsm.Counts {
	var c fsm.Counts
	r.View(func(s *fsm.State) { c = s.Count() })
	return c
}

// outcomes are the results that were proposed, by effect.
func (r *region) outcomes() map[uint64][]command.EffectOutcome {
	r.knobs.Lock()
	defer r.knobs.Unlock()
	out := map[uint64][]command.EffectOutcome{}
	for _, c := range r.proposed {
		if done, ok := c.(*command.EffectsDone); ok {
			for _, d := range done.Done {
				out[d.ID] = append(out[d.ID], d.Outcome)
			}
		}
	}
	return out
}

func TestEffectOutcomes(t *testing.T) {
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, c := range []struct {
		name     string
		coa      func(t *testing.T) string
		want     command.EffectOutcome
		open     int // sessions open afterwards
		requests uint64
	}{
		{"ACK", func(t *testing.T) string { return newBRAS(t, ack).Addr().String() }, command.EffectDone, 1, 1},
		{"no such session", func(t *testing.T) string {
			return newBRAS(t, say(coa.Answer{Cause: coa.CauseSessionNotFound})).Addr().String()
		}, command.EffectNoSession, 0, 1},
		{"refused for good", func(t *testing.T) string {
			return newBRAS(t, say(coa.Answer{Cause: coa.CauseProhibited})).Addr().String()
		}, command.EffectFailed, 1, 3},
		{"refused without a cause", func(t *testing.T) string { return newBRAS(t, say(coa.Answer{})).Addr().String() }, command.EffectFailed, 1, 3},
		{"refused once", func(t *testing.T) string {
			return newBRAS(t, func(n int) coa.Answer { return coa.Answer{ACK: n == 2, Cause: coa.CauseResources} }).Addr().String()
		}, command.EffectDone, 1, 2},
		{"silence", func(*testing.T) string { return silent.LocalAddr().String() }, command.EffectFailed, 1, 3},
		{"no CoA address", func(*testing.T) string { return "" }, command.EffectFailed, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRegion(t)
			r.feed(r.nas(nasID, nasAddr, "generic", c.coa(t)), flat("flat", 2), r.subscriber("user", "flat"))
			r.online(nasID, "user", "s-1")
			e := newEffects(t, r, fastEffects(r), newSender(t))
			r.bar("user")
			eventually(t, "the effect is off the queue", func() bool { return r.counts().Effects == 0 && e.Stats().Committed == 1 })
			if got := r.outcomes()[1]; len(got) != 1 || got[0] != c.want {
				t.Errorf("outcomes %v, want %v", got, c.want)
			}
			if open := r.counts().Open; open != c.open || e.Stats().Sent != c.requests {
				t.Errorf("%d sessions open, counters %s", open, show(e.Stats()))
			}
		})
	}
}

// What a Disconnect and a new limit say.
func TestEffectAttributes(t *testing.T) {
	b := newBRAS(t, ack)
	r := newRegion(t)
	r.feed(r.nas(nasID, nasAddr, vendor.Mikrotik, b.Addr().String()), prepaid("p", tariff.Bytes, micros, 1<<30, 6<<30), r.subscriber("user", "p"), cash("user", 10*micros))
	newEffects(t, r, fastEffects(r), newSender(t))
	key := fsm.ReserveKey(nasID, `\hex:7300`, "", "", "user")
	if res := r.apply(&command.Reserve{NAS: nasID, Key: key, SessionID: `\hex:7300`, Login: "user"}); res.Code != command.OK {
		t.Fatalf("%+v", res)
	}
	r.online(nasID, "user", `\hex:7300`)
	r.apply(&command.Accounting{NAS: nasID, SessionID: `\hex:7300`, Login: "user", Status: command.Interim, Event: epoch1 + 60, Seconds: 60, In: 2 << 30, Out: 3 << 30, Giga: true})
	eventually(t, "the limit is raised", func() bool { got, _ := b.requests(); return len(got) == 1 })
	got, l := b.requests()
	if got[0] != "CoA-Request s\x00" || l.Text(attr.UserName) != "user" || l.Text(attr.NASIdentifier) != nasID || !l.Has(attr.EventTimestamp) {
		t.Errorf("%q %v", got, l)
	}
	if a, ok := l.Addr(attr.FramedIPAddress); !ok || a.String() != "10.1.2.3" {
		t.Errorf("Framed-IP-Address %v", a)
	}
	p, err := vendor.Decode(vendor.Mikrotik, l)
	if want := affordable(10*micros, micros, 1<<30); err != nil || p.VolumeLimitBytes != want || p.UpBps != 0 {
		t.Errorf("limit %+v, want %d in all: %v", p, want, err)
	}
	r.bar("user")
	eventually(t, "the session is cut", func() bool { got, _ := b.requests(); return len(got) == 2 })
	if got, l = b.requests(); got[1] != "Disconnect-Request s\x00" {
		t.Errorf("%q", got)
	}
	if p, err = vendor.Decode(vendor.Mikrotik, l); err != nil || p.VolumeLimitBytes != 0 {
		t.Errorf("a Disconnect with %+v: %v", p, err)
	}
	for _, name := range []string{vendor.Mikrotik, vendor.Generic, vendor.AccelPPP} {
		l, err := effectAttributes(&fsm.Effect{Kind: fsm.EffectProfile, Session: journal.SessionKey{NAS: nasID, ID: "s"}, Profile: "slow", UpBps: 1_000_000, DownBps: 2_000_000}, name)
		if err != nil {
			t.Fatal(name, err)
		}
		if p, err := vendor.Decode(name, l); name != vendor.Generic && (err != nil || p.UpBps != 1_000_000 || p.DownBps != 2_000_000 || p.VolumeLimitBytes != 0) {
			t.Errorf("%s: profile %+v: %v", name, p, err)
		}
	}
	if _, err := effectAttributes(&fsm.Effect{Kind: 99}, vendor.Generic); !errors.Is(err, errKind) {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestFollowerSendsNothing(t *testing.T) {
	b := newBRAS(t, ack)
	r := newRegion(t)
	r.set(func(r *region) { r.leader = false })
	r.feed(r.nas(nasID, nasAddr, "generic", b.Addr().String()), flat("flat", 2), r.subscriber("user", "flat"))
	r.online(nasID, "user", "s-1")
	newEffects(t, r, fastEffects(r), newSender(t))
	r.bar("user")
	r.looked()
	if got, _ := b.requests(); len(got) != 0 || r.counts().Effects != 1 {
		t.Errorf("sent %q", got)
	}
	r.set(func(r *region) { r.leader = true })
	eventually(t, "the new leader sends", func() bool { return r.counts().Effects == 0 })
	if got, _ := b.requests(); len(got) != 1 {
		t.Errorf("sent %q", got)
	}
}

// gate is a Sender that holds requests until the test lets them go.
type gate struct {
	mu      sync.Mutex
	calls   []string // "kind session"
	flying  map[string]int
	overlap bool
	most    int
	release chan coa.Result
	fault   error
}

func newGate() *gate { return &gate{flying: map[string]int{}, release: make(chan coa.Result)} }

func (g *gate) Disconnect(ctx context.Context, _ coa.Target, l attr.List) (coa.Result, error) {
	return g.send(ctx, "disconnect", l)
}

func (g *gate) CoA(ctx context.Context, _ coa.Target, l attr.List) (coa.Result, error) {
	return g.send(ctx, "limit", l)
}

func (g *gate) send(ctx context.Context, kind string, l attr.List) (coa.Result, error) {
	session := l.Text(attr.AcctSessionID)
	g.mu.Lock()
	g.calls = append(g.calls, kind+" "+session)
	g.flying[session]++
	total := 0
	for _, n := range g.flying {
		total += n
	}
	g.most = max(g.most, total)
	g.overlap = g.overlap || g.flying[session] > 1
	fault := g.fault
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.flying[session]--
		g.mu.Unlock()
	}()
	if fault != nil {
		return coa.Result{}, fault
	}
	select {
	case r := <-g.release:
		return r, nil
	case <-ctx.Done():
		return coa.Result{}, ctx.Err()
	}
}

// let ends one request that is under way with the outcome.
func (g *gate) let(t *testing.T, outcome coa.Outcome) {
	t.Helper()
	select {
	case g.release <- coa.Result{Outcome: outcome}:
	case <-time.After(waitLong):
		t.Fatalf("no request to answer with %v", outcome)
	}
}

func (g *gate) seen() ([]string, bool, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.calls...), g.overlap, g.most
}

// A session has one request under way; limits that a later one outdates are not
// sent; a Disconnect goes before the limit that waits.
func TestOneRequestOfASessionAtATime(t *testing.T) {
	r := newRegion(t)
	o := prepaid("p", tariff.Bytes, micros, 1<<20, 4<<20)
	r.feed(r.nas(nasID, nasAddr, "generic", "127.0.0.1:9"), o, r.subscriber("user", "p"), cash("user", 1000*micros))
	g := newGate()
	e := newEffects(t, r, fastEffects(r), g)
	if res := r.apply(&command.Reserve{NAS: nasID, Key: fsm.ReserveKey(nasID, "s-1", "", "", "user"), SessionID: "s-1", Login: "user"}); res.Code != command.OK {
		t.Fatalf("%+v", res)
	}
	r.online(nasID, "user", "s-1")
	use := func(step int64) {
		r.apply(&command.Accounting{NAS: nasID, SessionID: "s-1", Login: "user", Status: command.Interim, Event: epoch1 + step, Seconds: step, In: uint64(step) * 3 << 20})
	}
	use(1)
	eventually(t, "the first limit is under way", func() bool { got, _, _ := g.seen(); return len(got) == 1 })
	use(2)
	use(3)
	r.bar("user")
	eventually(t, "the outdated limits are taken off", func() bool { return r.counts().Effects == 2 })
	g.let(t, coa.ACK)
	eventually(t, "the Disconnect follows", func() bool { got, _, _ := g.seen(); return len(got) == 2 })
	g.let(t, coa.ACK)
	eventually(t, "the queue is empty", func() bool { return r.counts().Effects == 0 })
	got, overlap, _ := g.seen()
	if len(got) != 2 || got[0] != "limit s-1" || got[1] != "disconnect s-1" || overlap {
		t.Errorf("sent %q, two at a time: %t", got, overlap)
	}
	eventually(t, "the counters agree", func() bool { s := e.Stats(); return s.Superseded == 2 && s.Acked == 2 && s.Committed == 4 })
}

func TestConcurrencyIsBounded(t *testing.T) {
	r := newRegion(t)
	r.feed(r.nas("a", "127.0.4.1", "generic", "127.0.0.1:9"), r.nas("b", "127.0.4.2", "generic", "127.0.0.1:9"), flat("flat", 100), r.subscriber("user", "flat"))
	for i := range 20 {
		r.online("a", "user", fmt.Sprintf("a-%d", i))
		r.online("b", "user", fmt.Sprintf("b-%d", i))
	}
	g := newGate()
	cfg := fastEffects(r)
	cfg.Concurrency, cfg.PerNAS, cfg.Batch = 6, 4, 7
	e := newEffects(t, r, cfg, g)
	r.bar("user")
	eventually(t, "all places are taken", func() bool { _, _, most := g.seen(); return most == 6 })
	for range 40 {
		g.let(t, coa.ACK)
	}
	eventually(t, "the queue is empty", func() bool { return r.counts().Effects == 0 })
	got, overlap, most := g.seen()
	if len(got) != 40 || overlap || most != 6 || e.Stats().Acked != 40 {
		t.Errorf("%d requests, %d at a time, twice at a time: %t", len(got), most, overlap)
	}
	for _, c := range r.taken() {
		if done := c.(*command.EffectsDone); len(done.Done) > 7 {
			t.Errorf("a command with %d outcomes", len(done.Done))
		}
	}
}

// One NAS that never answers leaves places for the others.
func TestDeadNASLeavesRoom(t *testing.T) {
	r := newRegion(t)
	r.feed(r.nas("dead", "127.0.4.1", "generic", "127.0.0.1:9"), r.nas("live", "127.0.4.2", "generic", "127.0.0.1:9"), flat("flat", 100), r.subscriber("user", "flat"))
	for i := range 50 {
		r.online("dead", "user", fmt.Sprintf("dead-%d", i))
	}
	r.online("live", "user", "live-1")
	cfg := fastEffects(r)
	cfg.Concurrency, cfg.PerNAS = 8, 4
	g := newGate() // lets nothing go
	newEffects(t, r, cfg, g)
	r.bar("user")
	eventually(t, "the live NAS is asked", func() bool {
		got, _, _ := g.seen()
		return slices.Contains(got, "disconnect live-1")
	})
}

// looked waits until the queue has been looked at again.
func (r *region) looked() {
	r.tb.Helper()
	r.set(func(r *region) { r.asked = 0 })
	eventually(r.tb, "it has looked", func() bool { asked := 0; r.set(func(r *region) { asked = r.asked }); return asked > 2 })
}

// How effects of a session stand behind each other.
func TestLine(t *testing.T) {
	one, two := journal.SessionKey{NAS: "n", ID: "1"}, journal.SessionKey{NAS: "n", ID: "2"}
	disconnect, limit, profile := fsm.EffectDisconnect, fsm.EffectLimit, fsm.EffectProfile
	type entry struct {
		session journal.SessionKey
		kind    fsm.EffectKind
		phase   phase
	}
	for _, c := range []struct {
		name string
		line []entry
		want string // for each: s to be sent, w waits, o outdated, - nothing to do
	}{
		{"sessions do not touch each other", []entry{{one, limit, waiting}, {two, limit, waiting}}, "ss"},
		{"the newest limit", []entry{{one, limit, waiting}, {one, limit, waiting}, {one, limit, waiting}}, "oos"},
		{"a Disconnect outdates limits", []entry{{one, limit, waiting}, {two, limit, waiting}, {one, disconnect, waiting}}, "oss"},
		{"a limit waits for the Disconnect", []entry{{one, disconnect, waiting}, {one, limit, waiting}}, "sw"},
		{"the newest limit waits for the Disconnect", []entry{{one, disconnect, inFlight}, {one, limit, waiting}, {one, limit, waiting}}, "-ow"},
		{"a limit under way is waited for", []entry{{one, limit, inFlight}, {one, disconnect, waiting}}, "-w"},
		{"a profile outdates no limit", []entry{{one, limit, waiting}, {one, profile, waiting}, {one, profile, waiting}}, "sow"},
		{"a Disconnect outdates both", []entry{{one, limit, waiting}, {one, profile, waiting}, {one, disconnect, waiting}}, "oos"},
		{"what is settled holds up nothing", []entry{{one, disconnect, finished}, {one, limit, reported}, {one, limit, waiting}}, "--s"},
	} {
		e := &Effects{}
		for i, l := range c.line {
			e.order = append(e.order, &item{effect: fsm.Effect{ID: uint64(i), Session: l.session, Kind: l.kind}, phase: l.phase})
		}
		e.line()
		got := ""
		for i, it := range e.order {
			switch {
			case it.phase == finished && c.line[i].phase == waiting:
				got += "o"
			case it.phase != waiting:
				got += "-"
			case it.blocked():
				got += "w"
			default:
				got += "s"
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// An effect that another leader took off while its request is under way here does
// not let a second request of the session start.
func TestOrphanedRequestHoldsItsSession(t *testing.T) {
	r := newRegion(t)
	r.feed(r.nas(nasID, nasAddr, "generic", "127.0.0.1:9"), flat("flat", 2), r.subscriber("user", "flat"))
	r.online(nasID, "user", "s-1")
	g := newGate()
	newEffects(t, r, fastEffects(r), g)
	r.bar("user")
	eventually(t, "the request is under way", func() bool { got, _, _ := g.seen(); return len(got) == 1 })
	r.apply(&command.EffectsDone{Done: []command.EffectResult{{ID: 1, Outcome: command.EffectFailed}}})
	r.bar("user")
	r.looked()
	if got, _, _ := g.seen(); len(got) != 1 || r.counts().Effects != 1 {
		t.Errorf("sent %q with %d queued", got, r.counts().Effects)
	}
	g.let(t, coa.ACK)
	g.let(t, coa.ACK)
	eventually(t, "the queue is empty", func() bool { return r.counts().Effects == 0 })
}

// Each change is waited for anew, before the look that it asks for.
func TestChangedWakesTheLoop(t *testing.T) {
	b := newBRAS(t, ack)
	r := newRegion(t)
	r.feed(r.nas(nasID, nasAddr, "generic", b.Addr().String()), flat("flat", 2), r.subscriber("user", "flat"), r.subscriber("other", "flat"))
	r.online(nasID, "user", "s-1")
	r.online(nasID, "other", "s-2")
	var mu sync.Mutex
	var channels []chan struct{}
	cfg := fastEffects(r)
	cfg.Every = time.Minute
	cfg.Changed = func() <-chan struct{} {
		mu.Lock()
		defer mu.Unlock()
		channels = append(channels, make(chan struct{}))
		return channels[len(channels)-1]
	}
	newEffects(t, r, cfg, newSender(t))
	for i, login := range []string{"user", "other"} {
		asked := func() bool { mu.Lock(); defer mu.Unlock(); return len(channels) == i+1 }
		eventually(t, "the next change is waited for", asked)
		r.bar(login)
		close(channels[i])
		eventually(t, "the effect is sent and taken off", func() bool { return r.counts().Effects == 0 })
	}
}

// Outcomes that the log does not take are handed in again; the NAS is not asked
// again.
func TestOutcomesAreRepeatedUntilTaken(t *testing.T) {
	b := newBRAS(t, ack)
	r := newRegion(t)
	r.feed(r.nas(nasID, nasAddr, "generic", b.Addr().String()), flat("flat", 2), r.subscriber("user", "flat"))
	r.online(nasID, "user", "s-1")
	r.set(func(r *region) { r.refuse = errNoLeader })
	e := newEffects(t, r, fastEffects(r), newSender(t))
	r.bar("user")
	eventually(t, "the log has refused twice", func() bool { return e.Stats().NotTaken >= 2 })
	r.set(func(r *region) { r.refuse = nil })
	eventually(t, "the effect is off the queue", func() bool { return r.counts().Effects == 0 })
	if got, _ := b.requests(); len(got) != 1 {
		t.Errorf("sent %q", got)
	}
}

func TestBusyIsNotATry(t *testing.T) {
	r := newRegion(t)
	r.feed(r.nas(nasID, nasAddr, "generic", "127.0.0.1:9"), flat("flat", 2), r.subscriber("user", "flat"))
	r.online(nasID, "user", "s-1")
	g := newGate()
	g.fault = coa.ErrBusy
	e := newEffects(t, r, fastEffects(r), g)
	r.bar("user")
	eventually(t, "it was put off more often than Tries", func() bool { return e.Stats().Busy > 4 })
	g.mu.Lock()
	g.fault = nil
	g.mu.Unlock()
	g.let(t, coa.Timeout) // the first try
	g.let(t, coa.ACK)
	eventually(t, "the effect is off the queue", func() bool { return r.counts().Effects == 0 })
	if s := e.Stats(); s.Failed != 0 || s.Acked != 1 {
		t.Errorf("counters %s", show(s))
	}
}

// The whole circle: the money runs out, the region cuts the session, the NAS's Stop
// closes it.
func TestSpentSessionIsDisconnected(t *testing.T) {
	r := newRegion(t)
	disconnected := make(chan *radtest.Session, 1)
	h := newHandler(t, r, testConfig())
	srv := newServer(t, h, h)
	cfg := radtest.DefaultNASConfig()
	cfg.Identifier, cfg.Addr, cfg.Secret = nasID, netip.MustParseAddr(nasAddr), []byte(secret)
	cfg.Auth, cfg.Acct = []netip.AddrPort{srv.AuthAddr()}, []netip.AddrPort{srv.AcctAddr()}
	cfg.HonourLimits = false
	cfg.DynAuth = netip.MustParseAddrPort("127.0.4.1:0")
	cfg.OnDisconnect = func(s *radtest.Session) { disconnected <- s }
	nas, err := radtest.NewNAS(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := nas.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nas.Close() })
	r.feed(r.nas(nasID, nasAddr, "generic", nas.DynAuthAddr().String()), prepaid("p", tariff.Bytes, micros, 1<<20, 1<<20), r.subscriber("user", "p"), cash("user", 3*micros))
	h.Refresh()
	e, err := NewEffects(fastEffects(r), r, h, newSender(t), quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	s, err := nas.Login(t.Context(), radtest.Login{User: "user", Password: "pw-user"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Start(t.Context(), at(0)), s.Interim(t.Context(), at(60), radtest.Usage{SessionS: 60, In: 5 << 20})); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-disconnected:
		if err := got.Stop(t.Context(), at(61), radtest.Usage{SessionS: 61, In: 5 << 20}, attr.CauseAdminReset); err != nil {
			t.Fatal(err)
		}
	case <-time.After(waitLong):
		t.Fatal("no Disconnect")
	}
	eventually(t, "session and effects are closed", func() bool { c := r.counts(); return c.Open == 0 && c.Effects == 0 })
	r.View(func(s *fsm.State) {
		if a := s.Account("acc-user")[0]; a.Spent != 3*micros || a.Available != 0 || a.Held != 0 || int64(s.OverrunSum) != 2*micros {
			t.Errorf("account %+v, overrun %d", a, s.OverrunSum)
		}
	})
}

var (
	_ Sender         = (*coa.Client)(nil)
	_ radius.Handler = (*Handler)(nil)
)
