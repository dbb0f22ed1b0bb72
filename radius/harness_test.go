package radius_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
)

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	secret   = []byte("xyzzy5461") // of RFC 2865 §7 and RFC 5997 §6
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// table is a set of clients with one on loopback.
func table(tb testing.TB, c *radius.Client) radius.Clients {
	tb.Helper()
	t, err := radius.NewClientTable(map[netip.Prefix]*radius.Client{netip.MustParsePrefix("127.0.0.0/8"): c})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func testConfig() radius.Config {
	cfg := radius.DefaultConfig()
	cfg.AuthAddr, cfg.AcctAddr = netip.AddrPortFrom(loopback, 0), netip.AddrPortFrom(loopback, 0)
	cfg.ReadBuffer = 1 << 20
	cfg.DrainTimeout = 100 * time.Millisecond
	return cfg
}

// serve starts a server and closes it with the test.
func serve(tb testing.TB, cfg radius.Config, clients radius.Clients, h radius.Handler) *radius.Server {
	tb.Helper()
	s, err := radius.New(cfg, clients, h, quiet())
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// peer is a bare socket towards one address of the server.
type peer struct {
	tb   testing.TB
	conn *net.UDPConn
	buf  [radius.MaxPacket]byte
}

func dial(tb testing.TB, to netip.AddrPort) *peer {
	tb.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return &peer{tb: tb, conn: conn}
}

func (p *peer) send(packet []byte) {
	p.tb.Helper()
	if _, err := p.conn.Write(packet); err != nil {
		p.tb.Fatal(err)
	}
}

// receive waits for one datagram; it fails the test after 5 s.
func (p *peer) receive() []byte {
	p.tb.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := p.conn.Read(p.buf[:])
	if err != nil {
		p.tb.Fatalf("no reply: %v", err)
	}
	return append([]byte(nil), p.buf[:n]...)
}

// nothing checks that no datagram is there: everything the server sends before a counter is seen is in the socket by then.
func (p *peer) nothing() {
	p.tb.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	n, err := p.conn.Read(p.buf[:])
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		p.tb.Fatalf("unexpected reply %x, %v", p.buf[:n], err)
	}
}

func (p *peer) ask(packet []byte) radius.Packet {
	p.tb.Helper()
	p.send(packet)
	r, err := radius.Parse(p.receive())
	if err != nil {
		p.tb.Fatal(err)
	}
	return r
}

// until waits for a condition.
func until(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(5 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// request builds a packet; fill gets the authenticator.
func request(tb testing.TB, code radius.Code, id byte, key []byte, ma bool, fill func(b *attr.Builder, authenticator [16]byte)) []byte {
	tb.Helper()
	authenticator := [16]byte{id, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, byte(code)}
	var b attr.Builder
	if fill != nil {
		fill(&b, authenticator)
	}
	l, err := b.List()
	if err != nil {
		tb.Fatal(err)
	}
	p, err := radius.AppendRequest(nil, code, id, authenticator, l, key, ma)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// pap fills a login of user "nemo" with the password "arctangent".
func pap(key []byte) func(b *attr.Builder, authenticator [16]byte) {
	return func(b *attr.Builder, authenticator [16]byte) {
		b.String(attr.UserName, "nemo")
		b.UserPassword([]byte("arctangent"), key, authenticator)
	}
}

func acct(status attr.AcctStatus) func(b *attr.Builder, _ [16]byte) {
	return func(b *attr.Builder, _ [16]byte) {
		b.Uint32(attr.AcctStatusType, uint32(status))
		b.String(attr.AcctSessionID, "s1")
	}
}

// login is a handler that knows nemo and flopsy, both with "arctangent", and acknowledges accounting.
func login(req *radius.Request, w *radius.Responder) {
	if req.Code == radius.CodeAccountingRequest {
		_ = w.Reply(radius.CodeAccountingResponse, nil)
		return
	}
	var ok bool
	switch req.Attributes.Credential() {
	case attr.CredentialPAP:
		ok, _ = req.CheckPAP(func(p []byte) bool { return string(p) == "arctangent" })
	case attr.CredentialCHAP:
		ok, _ = req.CheckCHAP([]byte("arctangent"))
	}
	code := radius.CodeAccessReject
	if ok {
		code = radius.CodeAccessAccept
	}
	_ = w.Reply(code, nil)
}

func drops(s *radius.Server, acct bool, reason radius.DropReason) uint64 {
	st := s.Stats()
	if acct {
		return st.Acct.Drops[reason]
	}
	return st.Auth.Drops[reason]
}
