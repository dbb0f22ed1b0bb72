package attr_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"meridian/radius/attr"
)

var secret2865 = []byte("xyzzy5461")

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// split gives the authenticator and the attributes of a packet.
func split(packet []byte) ([16]byte, attr.List) {
	return [16]byte(packet[4:20]), attr.List(packet[20:])
}

func TestUserPasswordVectors(t *testing.T) {
	for _, v := range []struct{ name, packet, user, want string }{
		{"RFC 2865 §7.1", "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee0406c0a80110050600000003", "nemo", "arctangent"},
		{"RFC 2865 §7.3 first", "01020039f3a47a1f6a6d76710b947ab93041a03901076d6f707379021233657573778289b570885e15084825c50406c0a80110050600000007", "mopsy", "challenge"},
		{"RFC 2865 §7.3 second", "01030043b122556d428a13d0d6253807c457ecf001076d6f7073790212692c1f205fc081b919b95195f561a5810406c0a80110050600000007180a3332373639343330", "mopsy", "99101462"},
	} {
		t.Run(v.name, func(t *testing.T) {
			authenticator, l := split(unhex(t, v.packet))
			if err := l.Check(); err != nil {
				t.Fatal(err)
			}
			if got := l.Text(attr.UserName); got != v.user {
				t.Errorf("user %q, want %q", got, v.user)
			}
			got, err := l.AppendUserPassword(nil, secret2865, authenticator)
			if err != nil || string(got) != v.want {
				t.Errorf("password %q, %v, want %q", got, err, v.want)
			}
			var b attr.Builder
			b.UserPassword([]byte(v.want), secret2865, authenticator)
			built, err := b.List()
			want, _ := l.Get(attr.UserPassword)
			if err != nil || !bytes.Equal(built.Bytes(attr.UserPassword), want) {
				t.Errorf("hidden %x, %v, want %x", built, err, want)
			}
		})
	}
}

func TestCHAPVector(t *testing.T) {
	authenticator, l := split(unhex(t, `010100472aee86f08d0d55969ca5978e0d3367a20108666c6f707379031316e97557c316185895f293ff6344077275
		0406c0a80110050600000014060600000002070600000001`))
	if ok, err := l.VerifyCHAP([]byte("arctangent"), authenticator); !ok || err != nil {
		t.Errorf("right password: %v, %v", ok, err)
	}
	if ok, err := l.VerifyCHAP([]byte("arctangenu"), authenticator); ok || err != nil {
		t.Errorf("wrong password: %v, %v", ok, err)
	}
	var b attr.Builder
	b.CHAP(0x16, []byte("arctangent"), nil, authenticator)
	if built, err := b.List(); err != nil || !bytes.Equal(built.Bytes(attr.CHAPPassword), l.Bytes(attr.CHAPPassword)) {
		t.Errorf("built %x, %v", built, err)
	}
	b.Reset()
	b.CHAP(1, []byte("x"), bytes.Repeat([]byte{7}, 40), authenticator)
	built, _ := b.List()
	if ok, err := built.VerifyCHAP([]byte("x"), [16]byte{}); !ok || err != nil {
		t.Errorf("a challenge of its own, 40 octets: %v, %v", ok, err)
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, c := range []struct {
		name, list string
		fault      string // part of the error; "" = well formed
	}{
		{"empty", "", ""},
		{"two attributes", "0103ff 0c06000005dc", ""},
		{"empty value", "0102", ""},
		{"stray octet", "0103ff01", "stray octet at 3"},
		{"length 0", "0100", "length 0"},
		{"length 1", "0103ff 0201", "length 1"},
		{"overrun", "0105ffff", "only 4 octets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := attr.List(unhex(t, c.list)).Check()
			switch {
			case c.fault == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.fault != "" && (!errors.Is(err, attr.ErrMalformed) || !strings.Contains(err.Error(), c.fault)):
				t.Errorf("error %v, want %q", err, c.fault)
			}
		})
	}
}

func TestReadersStopAtMalformed(t *testing.T) {
	l := attr.List(unhex(t, "0103ff 0500 0103fe"))
	if n := l.Count(attr.UserName); n != 1 {
		t.Errorf("%d attributes before the broken one, want 1", n)
	}
	if _, ok := l.Get(attr.NASPort); ok {
		t.Error("the broken attribute was given out")
	}
}

func TestPasswordShape(t *testing.T) {
	for _, n := range []int{0, 1, 15, 17, 144} {
		var b attr.Builder
		b.Bytes(attr.UserPassword, make([]byte, n))
		l, err := b.List()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.AppendUserPassword(nil, secret2865, [16]byte{}); !errors.Is(err, attr.ErrValue) {
			t.Errorf("%d octets: %v, want ErrValue", n, err)
		}
	}
	if _, err := attr.List(nil).AppendUserPassword(nil, secret2865, [16]byte{}); !errors.Is(err, attr.ErrAbsent) {
		t.Errorf("absent: %v", err)
	}
	for _, n := range []int{0, 1, 15, 16, 17, 128} {
		password := bytes.Repeat([]byte{'p'}, n)
		var b attr.Builder
		b.UserPassword(password, secret2865, [16]byte{9})
		l, err := b.List()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.AppendUserPassword([]byte("x"), secret2865, [16]byte{9}); err != nil || string(got) != "x"+string(password) {
			t.Errorf("%d octets came back as %q, %v", n, got, err)
		}
	}
	var b attr.Builder
	b.UserPassword(make([]byte, 129), secret2865, [16]byte{})
	if _, err := b.List(); !errors.Is(err, attr.ErrValue) {
		t.Errorf("129 octets: %v", err)
	}
}

func TestCredentialKinds(t *testing.T) {
	for _, c := range []struct {
		name string
		fill func(b *attr.Builder)
		want attr.CredentialKind
	}{
		{"none", func(b *attr.Builder) { b.String(attr.UserName, "00:11") }, attr.CredentialNone},
		{"pap", func(b *attr.Builder) { b.Bytes(attr.UserPassword, make([]byte, 16)) }, attr.CredentialPAP},
		{"chap", func(b *attr.Builder) { b.Bytes(attr.CHAPPassword, make([]byte, 17)) }, attr.CredentialCHAP},
		{"eap in two pieces", func(b *attr.Builder) { b.String(attr.EAPMessage, "a"); b.String(attr.EAPMessage, "b") }, attr.CredentialEAP},
		{"mschap2", func(b *attr.Builder) { b.MSCHAP2Request(attr.MSCHAP2{}) }, attr.CredentialMSCHAP2},
		{"mschap", func(b *attr.Builder) { b.VSA(attr.VendorMicrosoft, 1, make([]byte, 50)) }, attr.CredentialMSCHAP},
		{"change of password", func(b *attr.Builder) { b.VSA(attr.VendorMicrosoft, 27, make([]byte, 68)) }, attr.CredentialMSCHAP},
		{"both versions", func(b *attr.Builder) {
			b.VSA(attr.VendorMicrosoft, 1, make([]byte, 50))
			b.MSCHAP2Request(attr.MSCHAP2{})
		}, attr.CredentialConflict},
		{"another vendor's number 25", func(b *attr.Builder) { b.VSA(9, 25, make([]byte, 50)) }, attr.CredentialNone},
		{"arap", func(b *attr.Builder) { b.Bytes(attr.ARAPPassword, make([]byte, 16)) }, attr.CredentialARAP},
		{"pap twice", func(b *attr.Builder) {
			b.Bytes(attr.UserPassword, make([]byte, 16))
			b.Bytes(attr.UserPassword, make([]byte, 16))
		}, attr.CredentialConflict},
		{"pap and mschap2 and chap", func(b *attr.Builder) {
			b.Bytes(attr.UserPassword, make([]byte, 16))
			b.MSCHAP2Request(attr.MSCHAP2{})
			b.Bytes(attr.CHAPPassword, make([]byte, 17))
		}, attr.CredentialConflict},
		{"pap and chap", func(b *attr.Builder) {
			b.Bytes(attr.UserPassword, make([]byte, 16))
			b.Bytes(attr.CHAPPassword, make([]byte, 17))
		}, attr.CredentialConflict},
	} {
		var b attr.Builder
		c.fill(&b)
		l, err := b.List()
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Credential(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAccounting(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	var b attr.Builder
	b.Uint32(attr.AcctStatusType, uint32(attr.AcctStop))
	b.String(attr.AcctSessionID, "s1")
	b.String(attr.UserName, "ann")
	b.Bytes(attr.Class, []byte("c1"))
	b.Bytes(attr.Class, []byte("c2"))
	b.Addr(attr.NASIPAddress, netip.MustParseAddr("10.0.0.1"))
	b.Addr(attr.FramedIPAddress, netip.MustParseAddr("10.1.0.9"))
	b.Time(attr.EventTimestamp, at)
	b.Uint32(attr.AcctDelayTime, 7)
	b.Uint32(attr.AcctSessionTime, 3600)
	b.Octets64(attr.AcctInputOctets, attr.AcctInputGigawords, 5<<32+17, false)
	b.Octets64(attr.AcctOutputOctets, attr.AcctOutputGigawords, 42, false)
	b.Uint32(attr.AcctTerminateCause, uint32(attr.CauseUserRequest))
	l, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accounting()
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != attr.AcctStop || string(a.SessionID) != "s1" || string(a.UserName) != "ann" || string(a.Class) != "c1" ||
		a.NASAddr.String() != "10.0.0.1" || a.FramedAddr.String() != "10.1.0.9" || a.SessionTimeS != 3600 || a.TerminateCause != attr.CauseUserRequest {
		t.Errorf("decoded %+v", a)
	}
	if a.InputOctets != 5<<32+17 || a.OutputOctets != 42 || !a.HasInputGigawords || a.HasOutputGigawords || !a.HasOutputOctets {
		t.Errorf("octets %d %d, gigawords %v %v", a.InputOctets, a.OutputOctets, a.HasInputGigawords, a.HasOutputGigawords)
	}
	if got := a.When(at.Add(time.Hour)); !got.Equal(at) {
		t.Errorf("with Event-Timestamp: %v", got)
	}
	a.EventTime = time.Time{}
	if got := a.When(at); !got.Equal(at.Add(-7 * time.Second)) {
		t.Errorf("with Acct-Delay-Time alone: %v", got)
	}
}

func TestAccountingRefuses(t *testing.T) {
	for _, c := range []struct {
		name, list string
		want       error
	}{
		{"no status", "2c03ff", attr.ErrAbsent},
		{"status of 2 octets", "28040001", attr.ErrValue},
		{"octets of 8", "280600000003 2a0a0000000000000001", attr.ErrValue},
		{"address of 3", "280600000003 0405010203", attr.ErrValue},
	} {
		if _, err := attr.List(unhex(t, c.list)).Accounting(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestVSAs(t *testing.T) {
	// Two of MikroTik in one Vendor-Specific, one of another vendor, one broken inside, one more of MikroTik.
	l := attr.List(unhex(t, "1a0e00003a8c 080631303030 0b02 1a0900000009 0103aa 1a0900003a8c 0809ff 1a0900003a8c 0803ee"))
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for n, v := range l.VSAs(attr.VendorMikrotik) {
		got = append(got, fmt.Sprintf("%d:%x", n, v))
	}
	if want := "8:31303030 11: 8:ee"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPrefix(t *testing.T) {
	for _, s := range []string{"2001:db8::/32", "2001:db8:1:2::/64", "::/0", "2001:db8::1/128", "2001:db8:8000::/33"} {
		p := netip.MustParsePrefix(s)
		var b attr.Builder
		b.Prefix(attr.DelegatedIPv6Prefix, p)
		l, err := b.List()
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := l.Prefix(attr.DelegatedIPv6Prefix); !ok || got != p {
			t.Errorf("%v came back as %v, %v", p, got, ok)
		}
		if n := len(l.Bytes(attr.DelegatedIPv6Prefix)); n != 2+(p.Bits()+7)/8 {
			t.Errorf("%v in %d octets", p, n)
		}
	}
	for _, bad := range []string{"7b0300", "7b040081", "7b05002101", "7b150000" + strings.Repeat("00", 17)} {
		if got, ok := attr.List(unhex(t, bad)).Prefix(attr.DelegatedIPv6Prefix); ok {
			t.Errorf("%s was read as %v", bad, got)
		}
	}
}

func TestBuilderFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		fill func(b *attr.Builder)
		part string
	}{
		{"long value", func(b *attr.Builder) { b.Bytes(attr.Class, make([]byte, 254)) }, "at most 253"},
		{"long vsa", func(b *attr.Builder) { b.VSA(9, 1, make([]byte, 248)) }, "at most 253"},
		{"vendor", func(b *attr.Builder) { b.VSAUint32(1<<24, 1, 0) }, "24 bits"},
		{"no address", func(b *attr.Builder) { b.Addr(attr.FramedIPAddress, netip.Addr{}) }, "no address"},
		{"IPv4 prefix", func(b *attr.Builder) { b.Prefix(attr.FramedIPv6Prefix, netip.MustParsePrefix("10.0.0.0/8")) }, "no IPv6 prefix"},
		{"before 1970", func(b *attr.Builder) { b.Time(attr.EventTimestamp, time.Unix(-1, 0)) }, "32 bits"},
		{"broken raw", func(b *attr.Builder) { b.Raw(attr.List{1}) }, "stray"},
		{"too many", func(b *attr.Builder) {
			for range 20 {
				b.Bytes(attr.Class, make([]byte, 253))
			}
		}, "at most 4076"},
	} {
		var b attr.Builder
		c.fill(&b)
		n := b.Len()
		b.String(attr.UserName, "later")
		if l, err := b.List(); err == nil || l != nil || !strings.Contains(err.Error(), c.part) || b.Len() != n {
			t.Errorf("%s: %v, %v", c.name, l, err)
		}
		b.Reset()
		b.String(attr.UserName, "anew")
		if l, err := b.List(); err != nil || l.Text(attr.UserName) != "anew" {
			t.Errorf("%s, after Reset: %v, %v", c.name, l, err)
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	authenticator, l := split(unhex(t, "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee0406c0a80110050600000003"))
	space := make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = l.Get(attr.NASPort)
		_, _ = l.AppendUserPassword(space, secret2865, authenticator)
		_ = l.Count(attr.ProxyState)
		for range l.VSAs(attr.VendorMikrotik) {
		}
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}
