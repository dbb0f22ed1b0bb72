package coa_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/coa"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	anyPort = netip.MustParseAddrPort("127.0.0.1:0")
	secret  = []byte("coa-secret")
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func newClient(t *testing.T, change func(*coa.Config)) *coa.Client {
	t.Helper()
	cfg := coa.DefaultConfig()
	cfg.Local, cfg.Timeout = anyPort, 100*time.Millisecond
	if change != nil {
		change(&cfg)
	}
	c, err := coa.New(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newServer(t *testing.T, cfg coa.ServerConfig, h coa.Handler) *coa.Server {
	t.Helper()
	cfg.Addr, cfg.Secret = anyPort, secret
	s, err := coa.NewServer(cfg, h, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func session(t *testing.T, id string) attr.List {
	t.Helper()
	var b attr.Builder
	b.String(attr.AcctSessionID, id)
	l, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestOutcomes(t *testing.T) {
	seen := make(chan coa.Request, 16)
	s := newServer(t, coa.ServerConfig{EventWindow: 5 * time.Minute}, func(r coa.Request) coa.Answer {
		r.Attributes = append(attr.List(nil), r.Attributes...)
		seen <- r
		if r.Attributes.Text(attr.AcctSessionID) != "known" {
			return coa.Answer{Cause: coa.CauseSessionNotFound}
		}
		return coa.Answer{ACK: true}
	})
	c := newClient(t, nil)
	for _, ma := range []bool{false, true} {
		to := coa.Target{Addr: s.Addr(), Secret: secret, MA: ma}
		for _, v := range []struct {
			call    func(context.Context, coa.Target, attr.List) (coa.Result, error)
			code    radius.Code
			session string
			want    coa.Outcome
			cause   coa.ErrorCause
		}{
			{c.Disconnect, radius.CodeDisconnectRequest, "known", coa.ACK, coa.CauseNone},
			{c.Disconnect, radius.CodeDisconnectRequest, "other", coa.NAK, coa.CauseSessionNotFound},
			{c.CoA, radius.CodeCoARequest, "known", coa.ACK, coa.CauseNone},
			{c.CoA, radius.CodeCoARequest, "other", coa.NAK, coa.CauseSessionNotFound},
		} {
			r, err := v.call(t.Context(), to, session(t, v.session))
			if err != nil || r.Outcome != v.want || r.Cause != v.cause || r.Tries != 1 {
				t.Errorf("%v of %s: %+v, %v", v.code, v.session, r, err)
			}
			got := <-seen
			if at, ok := got.Attributes.Time(attr.EventTimestamp); got.Code != v.code || !ok || time.Since(at).Abs() > time.Minute {
				t.Errorf("the NAS saw %v with Event-Timestamp %v, %v", got.Code, at, ok)
			}
		}
	}
	if st := c.Stats(); st.ACKs != 4 || st.NAKs != 4 || st.InFlight != 0 || st.Sent != 8 {
		t.Errorf("stats %+v", st)
	}
}

// A NAS that hears the third copy only: all copies are the same octets, and a forged answer is not taken for one.
func TestRetransmitsSameOctets(t *testing.T) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	defer conn.Close()
	packets := make(chan string, 8)
	wait.Go(func() {
		buf := make([]byte, 4096)
		for n := 1; ; n++ {
			size, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			packets <- string(buf[:size])
			if n < 3 {
				continue
			}
			p, _ := radius.Parse(buf[:size])
			forged, _ := radius.AppendResponse(nil, p, radius.CodeDisconnectACK, nil, []byte("wrong"), false)
			_, _ = conn.WriteToUDPAddrPort(forged, from)
			answer, _ := radius.AppendResponse(nil, p, radius.CodeDisconnectACK, nil, secret, false)
			_, _ = conn.WriteToUDPAddrPort(answer, from)
			_, _ = conn.WriteToUDPAddrPort(answer, from)
		}
	})
	c := newClient(t, nil)
	to := coa.Target{Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Secret: secret}
	r, err := c.Disconnect(t.Context(), to, session(t, "s"))
	if err != nil || r.Outcome != coa.ACK || r.Tries != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	first := <-packets
	for range 2 {
		if again := <-packets; again != first {
			t.Errorf("a retransmission differs:\n%x\n%x", first, again)
		}
	}
	if st := c.Stats(); st.Retransmits != 2 || st.BadAnswers != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestServerHandlesARequestOnce(t *testing.T) {
	var calls atomic.Int64
	s := newServer(t, coa.ServerConfig{}, func(coa.Request) coa.Answer { calls.Add(1); return coa.Answer{ACK: true} })
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(s.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	packet, err := radius.AppendRequest(nil, radius.CodeDisconnectRequest, 1, [16]byte{}, session(t, "s"), secret, true)
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	buf := make([]byte, 4096)
	for range 3 {
		_, _ = conn.Write(packet)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, string(buf[:n]))
	}
	if calls.Load() != 1 || answers[0] != answers[1] || answers[1] != answers[2] || s.Stats().Resent != 2 {
		t.Errorf("%d calls, answers %q", calls.Load(), answers)
	}
}

func TestTimeout(t *testing.T) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort)) // hears and never speaks
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := coa.Target{Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Secret: secret}
	c := newClient(t, func(cfg *coa.Config) { cfg.Timeout, cfg.Tries = 10*time.Millisecond, 2 })
	r, err := c.CoA(t.Context(), to, nil)
	if err != nil || r.Outcome != coa.Timeout || r.Tries != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.CoA(ctx, to, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if st := c.Stats(); st.Timeouts != 1 || st.InFlight != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestServerDrops(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newServer(t, coa.ServerConfig{EventWindow: 300 * time.Second, Now: func() time.Time { return now }}, func(coa.Request) coa.Answer {
		return coa.Answer{ACK: true}
	})
	for _, v := range []struct {
		name  string
		key   []byte
		clock time.Time
		want  coa.Outcome
	}{
		{"wrong secret", []byte("wrong"), now, coa.Timeout},
		{"clock 301 s behind", secret, now.Add(-301 * time.Second), coa.Timeout},
		{"clock 301 s ahead", secret, now.Add(301 * time.Second), coa.Timeout},
		{"clock 299 s behind", secret, now.Add(-299 * time.Second), coa.ACK},
	} {
		c := newClient(t, func(cfg *coa.Config) {
			cfg.Tries, cfg.Now = 1, func() time.Time { return v.clock }
		})
		if r, err := c.Disconnect(t.Context(), coa.Target{Addr: s.Addr(), Secret: v.key}, nil); err != nil || r.Outcome != v.want {
			t.Errorf("%s: %+v, %v", v.name, r, err)
		}
	}
	if st := s.Stats(); st.Dropped != 3 || st.Requests != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestManyInFlight(t *testing.T) {
	s := newServer(t, coa.ServerConfig{}, func(coa.Request) coa.Answer { return coa.Answer{ACK: true} })
	c := newClient(t, func(cfg *coa.Config) { cfg.MaxInFlight, cfg.Tries, cfg.Timeout = 64, 5, time.Second })
	var wait sync.WaitGroup
	var acks atomic.Int64
	for range 600 {
		wait.Go(func() {
			r, err := c.Disconnect(t.Context(), coa.Target{Addr: s.Addr(), Secret: secret}, session(t, "s"))
			if err != nil {
				t.Error(err)
			}
			if r.Outcome == coa.ACK {
				acks.Add(1)
			}
		})
	}
	wait.Wait()
	if acks.Load() != 600 || c.Stats().InFlight != 0 {
		t.Errorf("%d ACKs of 600, stats %+v", acks.Load(), c.Stats())
	}
}

func TestIdentifiersRunOut(t *testing.T) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := coa.Target{Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Secret: secret}
	c := newClient(t, func(cfg *coa.Config) { cfg.Timeout = time.Minute })
	var wait sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 256 {
		wait.Go(func() { _, _ = c.Disconnect(ctx, to, nil) })
	}
	for c.Stats().InFlight < 256 {
		time.Sleep(time.Millisecond)
	}
	if _, err := c.Disconnect(t.Context(), to, nil); !errors.Is(err, coa.ErrBusy) || c.Stats().Busy != 1 {
		t.Errorf("the 257th: %v", err)
	}
	cancel()
	wait.Wait()
}

func TestCloseEndsWhatWaits(t *testing.T) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(anyPort))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := coa.Target{Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Secret: secret}
	c := newClient(t, func(cfg *coa.Config) { cfg.Timeout = time.Minute })
	ended := make(chan error, 1)
	go func() { _, err := c.Disconnect(t.Context(), to, nil); ended <- err }()
	for c.Stats().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, coa.ErrClosed) {
		t.Errorf("in flight: %v", err)
	}
	if _, err := c.Disconnect(t.Context(), to, nil); !errors.Is(err, coa.ErrClosed) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestFaultsOfUse(t *testing.T) {
	c := newClient(t, nil)
	for _, to := range []coa.Target{{}, {Addr: anyPort, Secret: secret}, {Addr: netip.MustParseAddrPort("127.0.0.1:3799")}} {
		if _, err := c.Disconnect(t.Context(), to, nil); !errors.Is(err, coa.ErrTarget) {
			t.Errorf("%+v: %v", to, err)
		}
	}
	err := coa.Config{}.Validate()
	for _, field := range []string{"Local", "Timeout", "Tries", "MaxInFlight"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing in: %v", field, err)
		}
	}
	if _, err := coa.NewServer(coa.ServerConfig{}, nil, nil); err == nil {
		t.Error("an empty server configuration passed")
	}
}
