package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newTestCA(t *testing.T) *CA {
	t.Helper()
	ca, err := NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *CA, id ID) *Bundle {
	t.Helper()
	b, err := ca.Issue(id, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		in   string
		want ID
		ok   bool
	}{
		{"meridian://centre", Centre(), true},
		{"meridian://region/north", Region("north"), true},
		{"meridian://region/north/node/north-1", Node("north", "north-1"), true},
		{"meridian://region/", ID{}, false},
		{"meridian://region/North", ID{}, false},
		{"meridian://region/north/node/", ID{}, false},
		{"meridian://region/north/node/a/b", ID{}, false},
		{"meridian://region/-north", ID{}, false},
		{"meridian://region/north%2Fnode", ID{}, false},
		{"meridian://center", ID{}, false},
		{"spiffe://region/north", ID{}, false},
		{"", ID{}, false},
	} {
		got, err := Parse(c.in)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v", c.in, got, err)
		}
		if c.ok && got.String() != c.in {
			t.Errorf("%q is written back as %q", c.in, got)
		}
	}
}

// shake connects two processes and returns what each side made of it.
func shake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error, seen ID) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		defer conn.Close()
		tc := tls.Server(conn, server)
		if err := tc.HandshakeContext(ctx); err != nil {
			done <- err
			return
		}
		seen, err = FromState(tc.ConnectionState())
		tc.Write([]byte{1})
		done <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tc := tls.Client(conn, client)
	clientErr = tc.HandshakeContext(ctx)
	if clientErr == nil {
		// With TLS 1.3 the server's verdict on the client comes after the handshake.
		_, clientErr = tc.Read(make([]byte, 1))
	} else {
		conn.Close()
	}
	serverErr = <-done
	return serverErr, clientErr, seen
}

func TestMutualTLS(t *testing.T) {
	ca, other := newTestCA(t), newTestCA(t)
	conf := func(b *Bundle, accept Accept) *tls.Config {
		c, err := b.TLS(accept)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	n1, n2 := issue(t, ca, Node("north", "n1")), issue(t, ca, Node("north", "n2"))
	centre := issue(t, ca, Centre())

	if se, ce, seen := shake(t, conf(n1, NodesOf("north")), conf(n2, NodesOf("north"))); se != nil || ce != nil || seen != n2.ID {
		t.Fatalf("two nodes of a region: server %v, client %v, seen %v", se, ce, seen)
	}
	if se, ce, _ := shake(t, conf(centre, AnyRegion()), conf(n1, TheCentre())); se != nil || ce != nil {
		t.Fatalf("region to centre: server %v, client %v", se, ce)
	}
	for name, c := range map[string]struct {
		server, client *tls.Config
		serverSays     error
		clientSays     error
	}{
		"node of another region":     {conf(n1, NodesOf("north")), conf(issue(t, ca, Node("south", "n2")), NodesOf("north")), ErrWrongPeer, nil},
		"region, not a node":         {conf(n1, NodesOf("north")), conf(issue(t, ca, Region("north")), NodesOf("north")), ErrWrongPeer, nil},
		"centre among nodes":         {conf(n1, NodesOf("north")), conf(centre, NodesOf("north")), ErrWrongPeer, nil},
		"server of another region":   {conf(issue(t, ca, Node("south", "n1")), NodesOf("north")), conf(n2, NodesOf("north")), nil, ErrWrongPeer},
		"region where centre should": {conf(n1, AnyRegion()), conf(n2, TheCentre()), nil, ErrWrongPeer},
		"another authority":          {conf(n1, NodesOf("north")), conf(issue(t, other, Node("north", "n2")), NodesOf("north")), nil, ErrUntrusted},
		"no certificate":             {conf(n1, NodesOf("north")), &tls.Config{InsecureSkipVerify: true}, errors.New("certificate"), nil},
	} {
		se, ce, _ := shake(t, c.server, c.client)
		if se == nil || ce == nil {
			t.Errorf("%s: connected; server %v, client %v", name, se, ce)
		}
		if c.clientSays != nil && !errors.Is(ce, c.clientSays) {
			t.Errorf("%s: client says %v, want %v", name, ce, c.clientSays)
		}
		if c.serverSays != nil && !errors.Is(se, c.serverSays) && !strings.Contains(se.Error(), c.serverSays.Error()) {
			t.Errorf("%s: server says %v, want %v", name, se, c.serverSays)
		}
	}
}

func TestExpired(t *testing.T) {
	ca, err := NewCA("test", time.Now().Add(-3*time.Hour), 4*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	old, err := ca.Issue(Node("north", "n2"), time.Now().Add(-2*time.Hour), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	server, _ := issue(t, ca, Node("north", "n1")).TLS(NodesOf("north"))
	client, _ := old.TLS(NodesOf("north"))
	if se, _, _ := shake(t, server, client); !errors.Is(se, ErrUntrusted) {
		t.Fatalf("expired certificate: %v", se)
	}
	if _, err := ca.Issue(Centre(), time.Now().Add(2*time.Hour), time.Hour); err == nil {
		t.Fatal("an authority issued beyond its own life")
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	ca := newTestCA(t)
	if err := ca.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := newTestCA(t).Save(dir); !errors.Is(err, os.ErrExist) {
		t.Fatalf("an authority was replaced: %v", err)
	}
	loaded, err := LoadCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	nodeDir := filepath.Join(dir, "n1")
	for range 2 { // renewing replaces
		if err := issue(t, loaded, Node("north", "n1")).Save(nodeDir, "node"); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{filepath.Join(dir, "ca.key"), filepath.Join(nodeDir, "node.key")} {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
	b, err := LoadBundle(filepath.Join(nodeDir, "node.crt"), filepath.Join(nodeDir, "node.key"), filepath.Join(nodeDir, "ca.crt"))
	if err != nil || b.ID != Node("north", "n1") {
		t.Fatalf("bundle of %v, %v", b, err)
	}
	server, err := b.TLS(NodesOf("north"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := issue(t, ca, Node("north", "n2")).TLS(NodesOf("north"))
	if err != nil {
		t.Fatal(err)
	}
	if se, ce, _ := shake(t, server, client); se != nil || ce != nil {
		t.Fatalf("after a round by file: server %v, client %v", se, ce)
	}
	_, err = LoadBundle("no-cert", "no-key", "no-ca")
	for _, f := range []string{"no-cert", "no-key", "no-ca"} {
		if err == nil || !strings.Contains(err.Error(), f) {
			t.Errorf("missing files: %v does not name %s", err, f)
		}
	}
}
