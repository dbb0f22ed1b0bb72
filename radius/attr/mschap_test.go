package attr_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"meridian/radius/attr"
)

func build(t testing.TB, fill func(b *attr.Builder)) attr.List {
	t.Helper()
	var b attr.Builder
	fill(&b)
	l, err := b.List()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// microsoft is one Vendor-Specific of Microsoft's with the inner octets given in hexadecimal.
func microsoft(inner string) func(b *attr.Builder) {
	return func(b *attr.Builder) {
		v, err := hex.DecodeString("00000137" + inner)
		if err != nil {
			panic(err)
		}
		b.Bytes(attr.VendorSpecific, v)
	}
}

func TestMSCHAP2IsReadHoweverItIsPacked(t *testing.T) {
	want := attr.MSCHAP2{Identifier: 7, Challenge: [16]byte{1, 2}, PeerChallenge: [16]byte{3, 4}, Response: [24]byte{5, 6}}
	apart := build(t, func(b *attr.Builder) { b.MSCHAP2Request(want) })
	together := build(t, func(b *attr.Builder) {
		var inner []byte
		for v := range apart.Values(attr.VendorSpecific) {
			inner = append(inner, v[4:]...)
		}
		b.Bytes(attr.VendorSpecific, append([]byte{0, 0, 1, 0x37}, inner...))
	})
	for name, l := range map[string]attr.List{"two attributes": apart, "one attribute": together} {
		if got, err := l.MSCHAP2(); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if k := l.Credential(); k != attr.CredentialMSCHAP2 {
			t.Errorf("%s: %v", name, k)
		}
	}
}

func TestMSCHAP2Refuses(t *testing.T) {
	challenge := func(b *attr.Builder) { b.VSA(attr.VendorMicrosoft, attr.MSCHAPChallenge, make([]byte, 16)) }
	response := func(n int) func(b *attr.Builder) {
		return func(b *attr.Builder) {
			b.VSA(attr.VendorMicrosoft, attr.MSCHAP2Response, bytes.Repeat([]byte{9}, n))
		}
	}
	for _, c := range []struct {
		name  string
		parts []func(b *attr.Builder)
		want  error
		id    uint8
	}{
		{"nothing", nil, attr.ErrAbsent, 0},
		{"no challenge", []func(b *attr.Builder){response(50)}, attr.ErrAbsent, 9},
		{"no response", []func(b *attr.Builder){challenge}, attr.ErrAbsent, 0},
		{"short response", []func(b *attr.Builder){challenge, response(49)}, attr.ErrValue, 9},
		{"long response", []func(b *attr.Builder){challenge, response(51)}, attr.ErrValue, 9},
		{"empty response", []func(b *attr.Builder){challenge, response(0)}, attr.ErrValue, 0},
		{"challenge of 8", []func(b *attr.Builder){response(50), microsoft("0b0a0000000000000000")}, attr.ErrValue, 9},
		{"two responses", []func(b *attr.Builder){challenge, response(50), response(50)}, attr.ErrValue, 9},
		{"two challenges", []func(b *attr.Builder){challenge, challenge, response(50)}, attr.ErrValue, 9},
		{"inner length 0", []func(b *attr.Builder){challenge, microsoft("1900" + strings.Repeat("09", 50))}, attr.ErrAbsent, 0},
		{"inner length beyond the end", []func(b *attr.Builder){challenge, microsoft("1934" + strings.Repeat("09", 49))}, attr.ErrAbsent, 0},
	} {
		l := build(t, func(b *attr.Builder) {
			for _, p := range c.parts {
				p(b)
			}
		})
		if m, err := l.MSCHAP2(); !errors.Is(err, c.want) || m.Identifier != c.id {
			t.Errorf("%s: identifier %d, %v; want %d, %v", c.name, m.Identifier, err, c.id, c.want)
		}
	}
}

func TestMSCHAPErrorText(t *testing.T) {
	l := build(t, func(b *attr.Builder) {
		b.MSCHAPError(5, 691, [16]byte{0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff})
	})
	if v, _ := l.VSA(attr.VendorMicrosoft, attr.MSCHAPError); string(v) != "\x05E=691 R=0 C=AB0102030405060708090A0B0C0D0EFF V=3" {
		t.Errorf("%q", v)
	}
}

// That FreeRADIUS opens them is tested in edge/aaa.
func TestMPPEKeys(t *testing.T) {
	send, receive, authenticator := [16]byte{1, 15: 2}, [16]byte{3, 15: 4}, [16]byte{5, 6, 7}
	for _, salt := range []uint16{0, 1, 0x7fff, 0x8000, 0xffff} {
		l := build(t, func(b *attr.Builder) { b.MPPEKeys(send, receive, salt, secret2865, authenticator) })
		s, err1 := l.MPPEKey(attr.MSMPPESendKey, secret2865, authenticator)
		r, err2 := l.MPPEKey(attr.MSMPPERecvKey, secret2865, authenticator)
		if err1 != nil || err2 != nil || [16]byte(s) != send || [16]byte(r) != receive {
			t.Errorf("salt %x: %x %x, %v %v", salt, s, r, err1, err2)
		}
		sv, _ := l.VSA(attr.VendorMicrosoft, attr.MSMPPESendKey)
		rv, _ := l.VSA(attr.VendorMicrosoft, attr.MSMPPERecvKey)
		if len(sv) != 34 || len(rv) != 34 || sv[0]&rv[0]&0x80 == 0 || bytes.Equal(sv[:2], rv[:2]) {
			t.Errorf("salt %x: %x and %x", salt, sv, rv)
		}
		if k, err := l.MPPEKey(attr.MSMPPESendKey, []byte("another"), authenticator); !errors.Is(err, attr.ErrValue) {
			t.Errorf("opened with another secret: %x, %v", k, err)
		}
		policy, _ := l.VSAUint32(attr.VendorMicrosoft, attr.MSMPPEEncryptPolicy)
		types, _ := l.VSAUint32(attr.VendorMicrosoft, attr.MSMPPEEncryptTypes)
		if policy != attr.MPPEAllowed || types != attr.MPPE128 {
			t.Errorf("policy %d, types %d", policy, types)
		}
	}
}

func TestMPPEKeyShape(t *testing.T) {
	if _, err := attr.List(nil).MPPEKey(attr.MSMPPESendKey, secret2865, [16]byte{}); !errors.Is(err, attr.ErrAbsent) {
		t.Error(err)
	}
	for _, n := range []int{0, 1, 2, 17, 19, 33, 35, 247} {
		l := build(t, func(b *attr.Builder) {
			b.VSA(attr.VendorMicrosoft, attr.MSMPPESendKey, bytes.Repeat([]byte{0x80}, n))
		})
		if k, err := l.MPPEKey(attr.MSMPPESendKey, secret2865, [16]byte{}); !errors.Is(err, attr.ErrValue) {
			t.Errorf("%d octets: %x, %v", n, k, err)
		}
	}
}

// FuzzMSCHAP2: any octets in Microsoft's attributes are read without a panic; what is read comes back as it is written.
func FuzzMSCHAP2(f *testing.F) {
	f.Add([]byte{25, 52, 49: 0}, []byte{11, 18, 17: 1})
	f.Add([]byte{25, 0}, []byte{11, 255})
	f.Add([]byte{16, 36, 0x80, 35: 0}, []byte{17, 36, 0x80, 1, 35: 9})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var b attr.Builder
		for _, inner := range [][]byte{first, second} {
			b.Bytes(attr.VendorSpecific, append([]byte{0, 0, 1, 0x37}, inner...))
		}
		l, err := b.List()
		if err != nil {
			return // too long for an attribute
		}
		_ = l.Credential()
		for _, number := range []uint8{attr.MSMPPESendKey, attr.MSMPPERecvKey} {
			if k, err := l.MPPEKey(number, secret2865, [16]byte{}); err == nil && len(k) > 253 {
				t.Fatalf("key of %d octets", len(k))
			}
		}
		m, err := l.MSCHAP2()
		if err != nil {
			return
		}
		b.Reset()
		b.MSCHAP2Request(m)
		again, err := b.List()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.MSCHAP2(); err != nil || got != m {
			t.Fatalf("%+v came back as %+v, %v", m, got, err)
		}
	})
}
