package radius_test

import (
	"bytes"
	"crypto/md5"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"

	"meridian/radius"
	"meridian/radius/attr"
)

func client() *radius.Client { return &radius.Client{ID: "nas-1", Secret: secret} }

// The server answers the RFCs' own requests: Status-Server octet by octet, logins with the RFC's attributes behind Message-Authenticator.
func TestServerGolden(t *testing.T) {
	replies := map[byte]attr.List{}
	codes := map[byte]radius.Code{}
	for _, g := range golden[:4] {
		p, err := radius.Parse(unhex(t, g.reply))
		if err != nil {
			t.Fatal(err)
		}
		replies[p.Identifier()], codes[p.Identifier()] = p.Attributes(), p.Code()
	}
	s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(func(req *radius.Request, w *radius.Responder) {
		var ok bool
		switch req.Attributes.Credential() {
		case attr.CredentialPAP:
			known := map[byte]string{0: "arctangent", 2: "challenge", 3: "99101462"}
			ok, _ = req.CheckPAP(func(p []byte) bool { return string(p) == known[req.Identifier] })
		case attr.CredentialCHAP:
			ok, _ = req.CheckCHAP([]byte("arctangent"))
		}
		if !ok {
			w.Drop(radius.DropInvalid)
			return
		}
		_ = w.Reply(codes[req.Identifier], replies[req.Identifier])
	}))
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			want, _ := radius.Parse(unhex(t, g.reply))
			to := s.AuthAddr()
			if want.Code() == radius.CodeAccountingResponse {
				to = s.AcctAddr()
			}
			req, _ := radius.Parse(unhex(t, g.request))
			got := dial(t, to).ask(req.Bytes())
			if req.Code() == radius.CodeStatusServer {
				if !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("reply\n got %x\nwant %x", got.Bytes(), want.Bytes())
				}
				return
			}
			if err := got.VerifyResponse(secret, req.Authenticator()); err != nil {
				t.Error(err)
			}
			if l := got.Attributes(); len(l) < 18 || attr.Type(l[0]) != attr.MessageAuthenticator || !bytes.Equal(l[18:], want.Attributes()) {
				t.Errorf("attributes %x, want Message-Authenticator first, then %x", l, want.Attributes())
			}
		})
	}
}

// What must be dropped without a word, and the counter that says so.
func TestSilentDrops(t *testing.T) {
	bad := func(p []byte, at int) []byte {
		p = append([]byte(nil), p...)
		p[at] ^= 0x55
		return p
	}
	twoMA := request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret))
	twoMA = append(twoMA, twoMA[20:38]...)
	twoMA[3] += 18
	eap := func(b *attr.Builder, _ [16]byte) { b.String(attr.EAPMessage, "\x02\x01\x00\x05\x01") }
	proxied := func(b *attr.Builder, a [16]byte) { pap(secret)(b, a); b.String(attr.ProxyState, "p") }
	interim := request(t, radius.CodeAccountingRequest, 1, secret, false, acct(attr.AcctInterim))
	wrongMA := request(t, radius.CodeAccountingRequest, 1, secret, true, acct(attr.AcctStart))
	wrongMA[30] ^= 1 // then the Request Authenticator is made right again
	wrongMA = resign(t, wrongMA)
	plain := request(t, radius.CodeAccessRequest, 1, secret, false, pap(secret))
	for _, c := range []struct {
		name   string
		acct   bool
		client *radius.Client
		packet []byte
		want   radius.DropReason
	}{
		{"short", false, client(), []byte{1, 2, 3}, radius.DropMalformed},
		{"shorter than Length", false, client(), plain[:len(plain)-1], radius.DropMalformed},
		{"broken attribute", false, client(), bad(plain, 21), radius.DropMalformed},
		{"Accounting-Request on the authentication port", false, client(), interim, radius.DropCode},
		{"Access-Request on the accounting port", true, client(), plain, radius.DropCode},
		{"reply sent to the server", false, client(), unhex(t, golden[0].reply), radius.DropCode},
		{"client without a secret", false, &radius.Client{ID: "n"}, plain, radius.DropClientInvalid},
		{"accounting with another secret", true, client(), request(t, radius.CodeAccountingRequest, 1, []byte("no"), false, acct(attr.AcctStart)), radius.DropAuthenticator},
		{"accounting changed on the way", true, client(), bad(interim, len(interim)-1), radius.DropAuthenticator},
		{"accounting with a wrong Message-Authenticator", true, client(), wrongMA, radius.DropMA},
		{"Message-Authenticator with another secret", false, client(), request(t, radius.CodeAccessRequest, 1, []byte("no"), true, pap(secret)), radius.DropMA},
		{"two Message-Authenticators", false, client(), twoMA, radius.DropMAMultiple},
		{"EAP without", false, client(), request(t, radius.CodeAccessRequest, 1, secret, false, eap), radius.DropMAMissing},
		{"Status-Server without", false, client(), request(t, radius.CodeStatusServer, 1, secret, false, nil), radius.DropMAMissing},
		{"Status-Server with a wrong one", false, client(), request(t, radius.CodeStatusServer, 1, []byte("no"), true, nil), radius.DropMA},
		{"policy require", false, &radius.Client{ID: "n", Secret: secret, MA: radius.MARequire}, plain, radius.DropMAMissing},
		{"Proxy-State limited", false, &radius.Client{ID: "n", Secret: secret, LimitProxyState: true},
			request(t, radius.CodeAccessRequest, 1, secret, false, proxied), radius.DropProxyState},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, testConfig(), fixed{c.client}, radius.HandlerFunc(func(_ *radius.Request, w *radius.Responder) {
				t.Error("the handler was called")
				w.Drop(radius.DropInvalid)
			}))
			to := s.AuthAddr()
			if c.acct {
				to = s.AcctAddr()
			}
			p := dial(t, to)
			p.send(c.packet)
			until(t, "drop "+c.want.String(), func() bool { return drops(s, c.acct, c.want) == 1 })
			p.nothing()
			st := s.Stats()
			if n := st.Auth.Dropped() + st.Acct.Dropped(); n != 1 {
				t.Errorf("%d drops counted, want 1", n)
			}
		})
	}
}

// fixed is one client for every address.
type fixed struct{ c *radius.Client }

func (f fixed) Client(netip.Addr) (*radius.Client, bool) { return f.c, true }

// resign makes the Request Authenticator of a keyed request right.
func resign(t *testing.T, p []byte) []byte {
	t.Helper()
	parsed, err := radius.Parse(p)
	if err != nil {
		t.Fatal(err)
	}
	// A packet without Message-Authenticator gives the digest's shape; here the one in place is kept as it is.
	clear(p[4:20])
	sum := md5.Sum(append(append([]byte(nil), parsed.Bytes()...), secret...))
	copy(p[4:20], sum[:])
	return p
}

func TestAnswers(t *testing.T) {
	s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(login))
	withMA := request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret))
	wrongPassword := request(t, radius.CodeAccessRequest, 3, secret, true, func(b *attr.Builder, a [16]byte) {
		b.UserPassword([]byte("other"), secret, a)
	})
	start := request(t, radius.CodeAccountingRequest, 4, secret, false, acct(attr.AcctStart))
	for _, c := range []struct {
		name   string
		acct   bool
		packet []byte
		want   radius.Code
	}{
		{"pap", false, withMA, radius.CodeAccessAccept},
		{"wrong password", false, wrongPassword, radius.CodeAccessReject},
		{"accounting", true, start, radius.CodeAccountingResponse},
		{"accounting with padding", true, append(request(t, radius.CodeAccountingRequest, 5, secret, false, acct(attr.AcctStop)), 1, 2, 3), radius.CodeAccountingResponse},
		{"accounting with Message-Authenticator", true, request(t, radius.CodeAccountingRequest, 6, secret, true, acct(attr.AcctStop)), radius.CodeAccountingResponse},
		{"Accounting-On", true, request(t, radius.CodeAccountingRequest, 7, secret, false, acct(attr.AcctOn)), radius.CodeAccountingResponse},
		{"Status-Server", false, request(t, radius.CodeStatusServer, 8, secret, true, nil), radius.CodeAccessAccept},
		{"Status-Server, accounting", true, request(t, radius.CodeStatusServer, 8, secret, true, nil), radius.CodeAccountingResponse},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := s.AuthAddr()
			if c.acct {
				to = s.AcctAddr()
			}
			got := dial(t, to).ask(c.packet)
			if got.Code() != c.want || got.Identifier() != c.packet[1] {
				t.Errorf("%v id %d, want %v id %d", got.Code(), got.Identifier(), c.want, c.packet[1])
			}
			if err := got.VerifyResponse(secret, [16]byte(c.packet[4:20])); err != nil {
				t.Error(err)
			}
			wantMA := c.packet[0] == byte(radius.CodeAccessRequest)
			if l := got.Attributes(); wantMA != (len(l) > 0 && attr.Type(l[0]) == attr.MessageAuthenticator) {
				t.Errorf("attributes %x: Message-Authenticator first is %v", l, wantMA)
			}
		})
	}
	st := s.Stats()
	if st.Auth.Accepts != 1 || st.Auth.Rejects != 1 || st.Acct.Responses != 4 || st.Auth.Status != 1 || st.Acct.Status != 1 || st.Auth.Requests != 2 {
		t.Errorf("counters %+v %+v", st.Auth, st.Acct)
	}
	if st.Auth.ReceiveBufferBytes < 1<<20 {
		t.Errorf("receive buffer of %d octets, 1 MiB asked", st.Auth.ReceiveBufferBytes)
	}
	var observed uint64
	for _, n := range st.Acct.Latency {
		observed += n
	}
	if observed != 4 || st.Acct.LatencySum <= 0 {
		t.Errorf("latency of %d replies, sum %v", observed, st.Acct.LatencySum)
	}
}

func TestProxyStateComesBackInOrder(t *testing.T) {
	s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(login))
	got := dial(t, s.AuthAddr()).ask(request(t, radius.CodeAccessRequest, 1, secret, true, func(b *attr.Builder, a [16]byte) {
		b.String(attr.ProxyState, "one")
		pap(secret)(b, a)
		b.String(attr.ProxyState, "")
		b.String(attr.ProxyState, "three")
	}))
	var states []string
	for v := range got.Attributes().Values(attr.ProxyState) {
		states = append(states, string(v))
	}
	if !slices.Equal(states, []string{"one", "", "three"}) {
		t.Errorf("Proxy-State %q", states)
	}
}

func TestStatusServerOnlyWhenReady(t *testing.T) {
	var ready atomic.Bool
	cfg := testConfig()
	cfg.Ready = ready.Load
	s := serve(t, cfg, table(t, client()), radius.HandlerFunc(login))
	p := dial(t, s.AuthAddr())
	packet := request(t, radius.CodeStatusServer, 1, secret, true, nil)
	p.send(packet)
	until(t, "drop", func() bool { return drops(s, false, radius.DropNotReady) == 1 })
	p.nothing()
	ready.Store(true)
	if r := p.ask(packet); r.Code() != radius.CodeAccessAccept {
		t.Errorf("ready: %v", r.Code())
	}
}

func TestWildcardAnswersFromTheAddressAsked(t *testing.T) {
	for _, wildcard := range []string{"0.0.0.0", "::"} {
		t.Run(wildcard, func(t *testing.T) {
			cfg := testConfig()
			cfg.AuthAddr = netip.AddrPortFrom(netip.MustParseAddr(wildcard), 0)
			var asked atomic.Value
			s := serve(t, cfg, table(t, client()), radius.HandlerFunc(func(req *radius.Request, w *radius.Responder) {
				asked.Store(req.Local)
				login(req, w)
			}))
			to := netip.MustParseAddr("127.0.9.7")
			// The peer's socket is connected: it takes replies from that very address only.
			p := dial(t, netip.AddrPortFrom(to, s.AuthAddr().Port()))
			packet := request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret))
			if r := p.ask(packet); r.Code() != radius.CodeAccessAccept {
				t.Errorf("got %v", r.Code())
			}
			if asked.Load() != to {
				t.Errorf("Local is %v, want %v", asked.Load(), to)
			}
			p.ask(packet) // from the cache, the same way
		})
	}
}

func TestIPv6(t *testing.T) {
	cfg := testConfig()
	cfg.AuthAddr = netip.MustParseAddrPort("[::1]:0")
	clients, err := radius.NewClientTable(map[netip.Prefix]*radius.Client{netip.MustParsePrefix("::1/128"): client()})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, cfg, clients, radius.HandlerFunc(login))
	if r := dial(t, s.AuthAddr()).ask(request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret))); r.Code() != radius.CodeAccessAccept {
		t.Errorf("got %v", r.Code())
	}
}
