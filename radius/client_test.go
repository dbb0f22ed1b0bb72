package radius_test

import (
	"net/netip"
	"testing"

	"meridian/radius"
	"meridian/radius/attr"
)

func TestUnknownClient(t *testing.T) {
	clients, err := radius.NewClientTable(map[netip.Prefix]*radius.Client{netip.MustParsePrefix("10.0.0.0/8"): client()})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, testConfig(), clients, radius.HandlerFunc(login))
	p := dial(t, s.AuthAddr())
	p.send(request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret)))
	until(t, "drop", func() bool { return drops(s, false, radius.DropUnknownClient) == 1 })
	p.nothing()
}

func TestMAPolicyAutoLearns(t *testing.T) {
	s := serve(t, testConfig(), table(t, client()), radius.HandlerFunc(login))
	p := dial(t, s.AuthAddr())
	for _, id := range []byte{1, 2} {
		if r := p.ask(request(t, radius.CodeAccessRequest, id, secret, false, pap(secret))); r.Code() != radius.CodeAccessAccept {
			t.Fatalf("before: %v", r.Code())
		}
	}
	p.ask(request(t, radius.CodeStatusServer, 9, secret, true, nil)) // always has one: it teaches nothing
	p.ask(request(t, radius.CodeAccessRequest, 3, secret, false, pap(secret)))
	p.ask(request(t, radius.CodeAccessRequest, 4, secret, true, pap(secret)))
	p.send(request(t, radius.CodeAccessRequest, 5, secret, false, pap(secret)))
	until(t, "drop", func() bool { return drops(s, false, radius.DropMAMissing) == 1 })
	p.nothing()

	optional := serve(t, testConfig(), fixed{&radius.Client{ID: "o", Secret: secret, MA: radius.MAOptional}}, radius.HandlerFunc(login))
	p = dial(t, optional.AuthAddr())
	p.ask(request(t, radius.CodeAccessRequest, 1, secret, true, pap(secret)))
	if r := p.ask(request(t, radius.CodeAccessRequest, 2, secret, false, pap(secret))); r.Code() != radius.CodeAccessAccept {
		t.Errorf("optional: %v", r.Code())
	}
}

func TestSecretRotation(t *testing.T) {
	young := []byte("new-secret")
	s := serve(t, testConfig(), fixed{&radius.Client{ID: "r", Secret: young, OldSecret: secret, MA: radius.MAOptional}}, radius.HandlerFunc(login))
	chap := func(b *attr.Builder, a [16]byte) { b.CHAP(1, []byte("arctangent"), nil, a) }
	for i, c := range []struct {
		name string
		acct bool
		key  []byte
		ma   bool
		fill func(*attr.Builder, [16]byte)
		code radius.Code
	}{
		{"new, accounting", true, young, false, acct(attr.AcctStart), radius.CodeAccountingRequest},
		{"old, accounting", true, secret, false, acct(attr.AcctStart), radius.CodeAccountingRequest},
		{"old, CHAP that proves nothing: the last proven secret", false, secret, false, chap, radius.CodeAccessRequest},
		{"new, PAP without Message-Authenticator", false, young, false, pap(young), radius.CodeAccessRequest},
		{"new, CHAP that proves nothing", false, young, false, chap, radius.CodeAccessRequest},
		{"old, PAP without Message-Authenticator", false, secret, false, pap(secret), radius.CodeAccessRequest},
		{"new, PAP with Message-Authenticator", false, young, true, pap(young), radius.CodeAccessRequest},
		{"old, PAP with Message-Authenticator", false, secret, true, pap(secret), radius.CodeAccessRequest},
		{"old, Status-Server", false, secret, true, nil, radius.CodeStatusServer},
	} {
		to := s.AuthAddr()
		if c.acct {
			to = s.AcctAddr()
		}
		packet := request(t, c.code, byte(i), c.key, c.ma, c.fill)
		r := dial(t, to).ask(packet)
		if err := r.VerifyResponse(c.key, [16]byte(packet[4:20])); err != nil || r.Code() == radius.CodeAccessReject {
			t.Errorf("%s: %v, %v", c.name, r.Code(), err)
		}
	}
	p := dial(t, s.AcctAddr())
	p.send(request(t, radius.CodeAccountingRequest, 1, []byte("third"), false, acct(attr.AcctStart)))
	until(t, "drop", func() bool { return drops(s, true, radius.DropAuthenticator) == 1 })
}

func TestClientTable(t *testing.T) {
	named := func(id string) *radius.Client { return &radius.Client{ID: id, Secret: secret} }
	table, err := radius.NewClientTable(map[netip.Prefix]*radius.Client{
		netip.MustParsePrefix("10.0.0.0/8"):    named("wide"),
		netip.MustParsePrefix("10.1.0.0/16"):   named("narrow"),
		netip.MustParsePrefix("10.1.2.3/32"):   named("host"),
		netip.MustParsePrefix("2001:db8::/32"): named("six"),
		netip.MustParsePrefix("fe80::/10"):     named("link"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"10.9.9.9": "wide", "10.1.9.9": "narrow", "10.1.2.3": "host", "::ffff:10.1.2.3": "host", "2001:db8::1": "six", "fe80::1%lo": "link", "192.0.2.1": "", "::1": "",
	} {
		got := ""
		if c, ok := table.Client(netip.MustParseAddr(addr)); ok {
			got = c.ID
		}
		if got != want {
			t.Errorf("%s is %q, want %q", addr, got, want)
		}
	}
	if _, err := radius.NewClientTable(map[netip.Prefix]*radius.Client{netip.MustParsePrefix("10.0.0.0/8"): {ID: "x"}, {}: named("y")}); err == nil {
		t.Error("a client without a secret and an invalid prefix passed")
	}
}

func TestMAPolicyNames(t *testing.T) {
	for _, p := range []radius.MAPolicy{radius.MAAuto, radius.MARequire, radius.MAOptional} {
		if got, err := radius.ParseMAPolicy(p.String()); err != nil || got != p {
			t.Errorf("%v came back as %v, %v", p, got, err)
		}
	}
	if _, err := radius.ParseMAPolicy("yes"); err == nil {
		t.Error("\"yes\" passed")
	}
}
