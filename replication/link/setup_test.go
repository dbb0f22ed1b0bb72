package link

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	"meridian/replication/identity"
)

// centre is a link server on loopback.
type centre struct {
	*Server
	addr string
}

func testCA(t *testing.T) *identity.CA {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func quickServer() ServerConfig {
	c := DefaultServerConfig()
	c.Heartbeat, c.Silence = 50*time.Millisecond, 500*time.Millisecond
	c.Logger = slog.New(slog.DiscardHandler)
	return c
}

func startCentre(t *testing.T, ca *identity.CA, sink Sink, change func(*ServerConfig)) *centre {
	t.Helper()
	cfg := quickServer()
	if change != nil {
		change(&cfg)
	}
	s, err := NewServer(cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ca.Issue(identity.Centre(), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tc, err := b.TLS(identity.AnyRegion())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gs := grpc.NewServer(cfg.GRPCOptions(tc)...)
	s.Register(gs)
	done := make(chan struct{})
	go func() { defer close(done); gs.Serve(ln) }()
	t.Cleanup(func() { s.Close(); gs.Stop(); <-done })
	return &centre{Server: s, addr: ln.Addr().String()}
}

func quickClient(t *testing.T, ca *identity.CA, region, node, addr string) ClientConfig {
	t.Helper()
	cfg := DefaultClientConfig()
	cfg.Region, cfg.Node, cfg.Addresses = region, node, []string{addr}
	cfg.Heartbeat, cfg.Silence = 50*time.Millisecond, 500*time.Millisecond
	cfg.BackoffMin, cfg.BackoffMax = 5*time.Millisecond, 50*time.Millisecond
	cfg.Logger = slog.New(slog.DiscardHandler)
	b, err := ca.Issue(identity.Node(region, node), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.TLS, err = b.TLS(identity.TheCentre()); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// runClient runs until stop is called, or the test ends.
func runClient(t *testing.T, cfg ClientConfig, l *ledger) (c *Client, stop func()) {
	t.Helper()
	c, err := NewClient(cfg, l, l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return c, stop
}
