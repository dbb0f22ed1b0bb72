package radtest_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/coa"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	secret   = []byte("demo-secret")
	noon     = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// book is a handler that accepts password "pw-<user>" with a profile and writes accounting down.
type book struct {
	profile vendor.Profile
	vendor  string
	silent  atomic.Bool // accounting is not answered

	mu     sync.Mutex
	events []attr.Accounting
}

func (b *book) ServeRADIUS(req *radius.Request, w *radius.Responder) {
	if req.Code == radius.CodeAccountingRequest {
		if b.silent.Load() {
			w.Drop(radius.DropUnavailable)
			return
		}
		a, err := append(attr.List(nil), req.Attributes...).Accounting()
		if err != nil {
			w.Drop(radius.DropInvalid)
			return
		}
		b.mu.Lock()
		b.events = append(b.events, a)
		b.mu.Unlock()
		_ = w.Reply(radius.CodeAccountingResponse, nil)
		return
	}
	want := "pw-" + req.Attributes.Text(attr.UserName)
	var ok bool
	if req.Attributes.Credential() == attr.CredentialCHAP {
		ok, _ = req.CheckCHAP([]byte(want))
	} else {
		ok, _ = req.CheckPAP(func(p []byte) bool { return string(p) == want })
	}
	var attrs attr.Builder
	if !ok {
		vendor.Message(&attrs, "wrong password")
		l, _ := attrs.List()
		_ = w.Reply(radius.CodeAccessReject, l)
		return
	}
	_ = vendor.Encode(&attrs, b.vendor, b.profile)
	l, _ := attrs.List()
	_ = w.Reply(radius.CodeAccessAccept, l)
}

func (b *book) seen() []attr.Accounting {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]attr.Accounting(nil), b.events...)
}

func serve(tb testing.TB, h radius.Handler) *radius.Server {
	tb.Helper()
	clients, err := radius.NewClientTable(map[netip.Prefix]*radius.Client{netip.MustParsePrefix("127.0.0.0/8"): {ID: "nas", Secret: secret}})
	if err != nil {
		tb.Fatal(err)
	}
	cfg := radius.DefaultConfig()
	cfg.AuthAddr, cfg.AcctAddr = netip.AddrPortFrom(loopback, 0), netip.AddrPortFrom(loopback, 0)
	s, err := radius.New(cfg, clients, h, quiet())
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func newNAS(tb testing.TB, change func(*radtest.NASConfig), servers ...*radius.Server) *radtest.NAS {
	tb.Helper()
	cfg := radtest.DefaultNASConfig()
	cfg.Identifier, cfg.Secret, cfg.Addr = "bng-1", secret, netip.MustParseAddr("127.0.2.1")
	for _, s := range servers {
		cfg.Auth, cfg.Acct = append(cfg.Auth, s.AuthAddr()), append(cfg.Acct, s.AcctAddr())
	}
	if change != nil {
		change(&cfg)
	}
	n, err := radtest.NewNAS(cfg, quiet())
	if err != nil {
		tb.Fatal(err)
	}
	if err := n.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = n.Close() })
	return n
}

func TestSessionFromLoginToStop(t *testing.T) {
	b := &book{vendor: vendor.Mikrotik, profile: vendor.Profile{UpBps: 1e6, DownBps: 2e6, FramedIP: netip.MustParseAddr("100.64.0.5"), Class: []byte("plan-1")}}
	s := serve(t, b)
	var mu sync.Mutex
	var sent, acked []radtest.Record
	n := newNAS(t, func(c *radtest.NASConfig) {
		c.Vendor = vendor.Mikrotik
		c.OnSent = func(r radtest.Record) { mu.Lock(); defer mu.Unlock(); sent = append(sent, r) }
		c.OnAcked = func(r radtest.Record) { mu.Lock(); defer mu.Unlock(); acked = append(acked, r) }
	}, s)
	ctx := t.Context()
	for _, method := range []radtest.Method{radtest.PAP, radtest.CHAP} {
		var reject *radtest.RejectError
		if _, err := n.Login(ctx, radtest.Login{User: "ann", Password: "no", Method: method}); !errors.As(err, &reject) || reject.Message != "wrong password" {
			t.Errorf("%v with a wrong password: %v", method, err)
		}
		ses, err := n.Login(ctx, radtest.Login{User: "ann", Password: "pw-ann", Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if ses.Profile.UpBps != 1e6 || ses.Profile.DownBps != 2e6 || ses.Profile.FramedIP.String() != "100.64.0.5" {
			t.Errorf("profile %+v", ses.Profile)
		}
		if err := ses.Start(ctx, noon); err != nil {
			t.Fatal(err)
		}
		if ended, err := ses.Report(ctx, noon.Add(time.Minute), radtest.Usage{SessionS: 60, In: 10, Out: 3 << 32}); err != nil || ended {
			t.Fatal(ended, err)
		}
		if err := ses.Stop(ctx, noon.Add(2*time.Minute), radtest.Usage{SessionS: 120, In: 20, Out: 6<<32 + 1}, attr.CauseUserRequest); err != nil {
			t.Fatal(err)
		}
		if _, ok := n.Session(ses.ID); ok {
			t.Error("a stopped session is still known")
		}
	}
	events := b.seen()
	if len(events) != 6 || len(sent) != 6 || len(acked) != 6 {
		t.Fatalf("%d events, %d sent, %d acked, want 6", len(events), len(sent), len(acked))
	}
	stop := events[5]
	if stop.Status != attr.AcctStop || stop.OutputOctets != 6<<32+1 || stop.InputOctets != 20 || stop.SessionTimeS != 120 || string(stop.Class) != "plan-1" ||
		!stop.EventTime.Equal(noon.Add(2*time.Minute)) || string(stop.NASIdentifier) != "bng-1" || stop.FramedAddr.String() != "100.64.0.5" ||
		stop.NASAddr.String() != "127.0.2.1" || stop.TerminateCause != attr.CauseUserRequest || string(stop.SessionID) == string(events[0].SessionID) {
		t.Errorf("stop %+v", stop)
	}
	if r := acked[5]; r.Usage.Out != 6<<32+1 || r.Server != s.AcctAddr() || r.Tries != 1 || r.SessionID != string(stop.SessionID) {
		t.Errorf("record %+v", r)
	}
}

func TestOnAndOff(t *testing.T) {
	b := &book{vendor: vendor.Generic}
	n := newNAS(t, nil, serve(t, b))
	if err := n.AccountingOn(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Adopt("s1", "ann", vendor.Profile{}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Adopt("s1", "ann", vendor.Profile{}); !errors.Is(err, radtest.ErrDuplicateID) {
		t.Errorf("same id twice: %v", err)
	}
	if err := n.AccountingOff(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	if e := b.seen(); len(e) != 2 || e[0].Status != attr.AcctOn || e[1].Status != attr.AcctOff || n.Stats().Sessions != 0 {
		t.Errorf("events %+v, %d sessions", e, n.Stats().Sessions)
	}
}

func TestLimit(t *testing.T) {
	n := newNAS(t, nil, serve(t, &book{vendor: vendor.Generic}))
	for i, c := range []struct {
		name    string
		p       vendor.Profile
		u, want radtest.Usage
		cause   attr.TerminateCause
		over    bool
	}{
		{"no limit", vendor.Profile{}, radtest.Usage{SessionS: 9, In: 9}, radtest.Usage{SessionS: 9, In: 9}, 0, false},
		{"below both", vendor.Profile{SessionTimeoutS: 100, VolumeLimitBytes: 100}, radtest.Usage{SessionS: 99, In: 50, Out: 49}, radtest.Usage{SessionS: 99, In: 50, Out: 49}, 0, false},
		{"time", vendor.Profile{SessionTimeoutS: 100}, radtest.Usage{SessionS: 200, In: 20, Out: 40}, radtest.Usage{SessionS: 100, In: 10, Out: 20}, attr.CauseSessionTimeout, true},
		{"time exactly", vendor.Profile{SessionTimeoutS: 100}, radtest.Usage{SessionS: 100, In: 20}, radtest.Usage{SessionS: 100, In: 20}, attr.CauseSessionTimeout, true},
		{"volume, odd", vendor.Profile{VolumeLimitBytes: 101}, radtest.Usage{SessionS: 10, In: 100, Out: 300}, radtest.Usage{SessionS: 2, In: 25, Out: 76}, attr.CauseNASRequest, true},
		{"volume exactly", vendor.Profile{VolumeLimitBytes: 400}, radtest.Usage{SessionS: 10, In: 100, Out: 300}, radtest.Usage{SessionS: 10, In: 100, Out: 300}, attr.CauseNASRequest, true},
		{"huge", vendor.Profile{VolumeLimitBytes: 1 << 60}, radtest.Usage{SessionS: 1 << 31, In: 1 << 61, Out: 1 << 61}, radtest.Usage{SessionS: 1 << 29, In: 1 << 59, Out: 1 << 59}, attr.CauseNASRequest, true},
		{"both, volume first", vendor.Profile{SessionTimeoutS: 100, VolumeLimitBytes: 10}, radtest.Usage{SessionS: 200, In: 0, Out: 200}, radtest.Usage{SessionS: 10, Out: 10}, attr.CauseNASRequest, true},
	} {
		ses, err := n.Adopt(string(rune('a'+i)), "ann", c.p)
		if err != nil {
			t.Fatal(err)
		}
		if got, cause, over := ses.Limit(c.u); got != c.want || cause != c.cause || over != c.over {
			t.Errorf("%s: %+v %v %v, want %+v %v %v", c.name, got, cause, over, c.want, c.cause, c.over)
		}
	}
}

func TestReportEndsAtTheVolume(t *testing.T) {
	b := &book{vendor: vendor.Generic, profile: vendor.Profile{VolumeLimitBytes: 1000}}
	n := newNAS(t, nil, serve(t, b))
	ses, err := n.Login(t.Context(), radtest.Login{User: "ann", Password: "pw-ann"})
	if err != nil {
		t.Fatal(err)
	}
	if ended, err := ses.Report(t.Context(), noon.Add(60*time.Second), radtest.Usage{SessionS: 60, In: 300, Out: 300}); ended || err != nil {
		t.Fatal(ended, err)
	}
	ended, err := ses.Report(t.Context(), noon.Add(120*time.Second), radtest.Usage{SessionS: 120, In: 700, Out: 700})
	if !ended || err != nil {
		t.Fatal(ended, err)
	}
	stop := b.seen()[1]
	if stop.Status != attr.AcctStop || stop.InputOctets+stop.OutputOctets != 1000 || stop.SessionTimeS != 90 || !stop.EventTime.Equal(noon.Add(90*time.Second)) {
		t.Errorf("stop %+v", stop)
	}
}

func TestDisconnectAndCoA(t *testing.T) {
	b := &book{vendor: vendor.Generic}
	cut := make(chan *radtest.Session, 1)
	changed := make(chan attr.List, 1)
	n := newNAS(t, func(c *radtest.NASConfig) {
		c.DynAuth = netip.MustParseAddrPort("127.0.2.1:0")
		c.OnDisconnect = func(s *radtest.Session) { cut <- s }
		c.OnCoA = func(_ *radtest.Session, l attr.List) { changed <- l }
	}, serve(t, b))
	ses, err := n.Login(t.Context(), radtest.Login{User: "ann", Password: "pw-ann", SessionID: "s-77"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := coa.DefaultConfig()
	cfg.Local = netip.AddrPortFrom(loopback, 0)
	c, err := coa.New(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(call func(context.Context, coa.Target, attr.List) (coa.Result, error), id, user string) coa.Result {
		var b attr.Builder
		b.String(attr.AcctSessionID, id)
		b.String(attr.UserName, user)
		l, _ := b.List()
		r, err := call(t.Context(), coa.Target{Addr: n.DynAuthAddr(), Secret: secret, MA: true}, l)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := ask(c.CoA, "s-77", "ann"); r.Outcome != coa.ACK || (<-changed).Text(attr.AcctSessionID) != "s-77" {
		t.Errorf("CoA: %+v", r)
	}
	for _, wrong := range [][2]string{{"s-78", "ann"}, {"s-77", "bob"}} {
		if r := ask(c.Disconnect, wrong[0], wrong[1]); r.Outcome != coa.NAK || r.Cause != coa.CauseSessionNotFound {
			t.Errorf("%v: %+v", wrong, r)
		}
	}
	if ses.Disconnected() {
		t.Error("cut by a request for another")
	}
	if r := ask(c.Disconnect, "s-77", "ann"); r.Outcome != coa.ACK || <-cut != ses || !ses.Disconnected() {
		t.Errorf("Disconnect: %+v", r)
	}
	if st := n.Stats(); st.Disconnects != 1 || st.CoAs != 1 || st.UnknownDynAuth != 2 {
		t.Errorf("stats %+v", st)
	}
}
