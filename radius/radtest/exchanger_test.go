package radtest_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
)

func TestExchangerRefusesForgedReplies(t *testing.T) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	defer conn.Close()
	wait.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			p, _ := radius.Parse(buf[:n])
			for _, v := range []struct {
				key []byte
				ma  bool
			}{{[]byte("wrong"), true}, {secret, false}, {secret, true}} { // wrong secret, no Message-Authenticator, right
				r, _ := radius.AppendResponse(nil, p, radius.CodeAccessAccept, nil, v.key, v.ma)
				_, _ = conn.WriteToUDPAddrPort(r, from)
			}
		}
	})
	x, err := radtest.NewExchanger(radtest.DefaultExchangerConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	r, err := x.Do(t.Context(), radtest.Exchange{Code: radius.CodeAccessRequest, To: conn.LocalAddr().(*net.UDPAddr).AddrPort(), Secret: secret})
	if err != nil || !r.Attributes.Has(attr.MessageAuthenticator) || x.Stats().BadReplies != 2 {
		t.Errorf("%+v, %v, %+v", r, err, x.Stats())
	}
}

func TestOpenLoopRunsOutOfIdentifiers(t *testing.T) {
	deaf, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	cfg := radtest.DefaultExchangerConfig()
	cfg.Sockets, cfg.Timeout = 1, time.Minute
	x, err := radtest.NewExchanger(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := radtest.Exchange{Code: radius.CodeAccountingRequest, To: deaf.LocalAddr().(*net.UDPAddr).AddrPort(), Secret: secret}
	var ended atomic.Int64
	done := func(r radtest.Reply) {
		if errors.Is(r.Err, radtest.ErrClosed) {
			ended.Add(1)
		}
	}
	for range 256 {
		if err := x.Go(e, done); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Go(e, done); !errors.Is(err, radtest.ErrNoIdentifier) || x.Stats().OutOfIdentifiers != 1 {
		t.Errorf("the 257th: %v", err)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	if ended.Load() != 256 {
		t.Errorf("%d of 256 callbacks", ended.Load())
	}
	if err := x.Go(e, done); err == nil {
		t.Error("a closed exchanger took a request")
	}
}

func TestValidate(t *testing.T) {
	err := radtest.NASConfig{}.Validate()
	for _, part := range []string{"Identifier", "Secret", "Auth", "Rounds", "MaxSessions", "vendor", "Local", "Sockets", "Timeout", "Tries"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is missing in: %v", part, err)
		}
	}
}
