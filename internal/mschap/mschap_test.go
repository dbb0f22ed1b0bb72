package mschap

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 1320 appendix A.5.
func TestMD4(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "31d6cfe0d16ae931b73c59d7e0c089c0",
		"a":                          "bde52cb31de33e46245e05fbdbd6fb24",
		"abc":                        "a448017aaf21d8525fc10ae87aa6729d",
		"message digest":             "d9130a8164549fe818874806e1c7014b",
		"abcdefghijklmnopqrstuvwxyz": "d79e1c308aa5bbcdeea8ed63df412da9",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789":                   "043f8582f241db351ce627e153e7f0e4",
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890": "e33b4ddc9c38f2199c3e7b164fcc0536",
	} {
		if got := md4([]byte(in)); hex.EncodeToString(got[:]) != want {
			t.Errorf("%q: %x, want %s", in, got, want)
		}
	}
}

// The RFCs' example: RFC 2759 section 9.2, RFC 3079 section 3.5.3. The receive key
// is of the same data; no RFC prints it.
func TestRFCVectors(t *testing.T) {
	h, err := NTHash("clientPass")
	if err != nil {
		t.Fatal(err)
	}
	a := New(h)
	c := NewChallenge([16]byte(octets(t, "21402324255E262A28295F2B3A337C7E")), [16]byte(octets(t, "5B5D7C7D7B3F2F3E3C2C602132262628")), []byte("User"))
	r := a.Expect(c)
	success := a.Success(c, r)
	send, receive := a.Keys(r)
	for _, v := range []struct {
		what string
		got  []byte
		want string
	}{
		{"NT hash", h[:], "44EBBA8D5312B8D611474411F56989AE"},
		{"hash of the NT hash", a.hashHash[:], "41C00C584BD2D91C4017A2A12FA59F3F"},
		{"challenge", c[:], "D02E4386BCE91226"},
		{"response", r[:], "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"},
		{"success", success[:], hex.EncodeToString([]byte("S=407A5589115FD0D6209F510FE9C04566932CDA56"))},
		{"send key", send[:], "8B7CDC149B993A1BA118CB153F56DCCB"},
		{"receive key", receive[:], "D5F0E9521E3EA9589645E86051C82226"},
	} {
		if want := octets(t, v.want); string(v.got) != string(want) {
			t.Errorf("%s is %X, want %X", v.what, v.got, want)
		}
	}
	if !a.Verify(c, r) {
		t.Error("the right response is refused")
	}
	for i := range r {
		other := r
		other[i] ^= 1
		if a.Verify(c, other) {
			t.Errorf("a response with octet %d changed is accepted", i)
		}
	}
}

func TestChallengeLeavesTheDomainOut(t *testing.T) {
	plain := NewChallenge([16]byte{1}, [16]byte{2}, []byte("user"))
	for name, same := range map[string]bool{`DOM\user`: true, `A\B\user`: true, `\user`: true, "user@realm": false, `user\`: false, "DOM/user": false} {
		if got := NewChallenge([16]byte{1}, [16]byte{2}, []byte(name)) == plain; got != same {
			t.Errorf("%s: same as user's is %v", name, got)
		}
	}
	long := []byte(strings.Repeat("x", 300)) // longer than a User-Name can be
	if NewChallenge([16]byte{}, [16]byte{}, long) == NewChallenge([16]byte{}, [16]byte{}, long[1:]) {
		t.Error("a long name is cut")
	}
}

// Expected values are OpenSSL's: iconv -t UTF-16LE | openssl dgst -provider legacy -md4.
func TestNTHash(t *testing.T) {
	for p, want := range map[string]string{
		"":          "31d6cfe0d16ae931b73c59d7e0c089c0",
		"password":  "8846f7eaee8fb117ad06bdd830b7586c",
		"pässwörd𝄞": "aa5471d4925fc2fb5aefc7e5c760c4f9",
	} {
		if h, err := NTHash(p); err != nil || hex.EncodeToString(h[:]) != want {
			t.Errorf("%q: %x, %v", p, h, err)
		}
	}
}

func TestPasswordsWithoutHash(t *testing.T) {
	for _, p := range []string{"\xff", strings.Repeat("a", 257), strings.Repeat("𝄞", 129)} {
		if _, err := NTHash(p); !errors.Is(err, ErrPassword) {
			t.Errorf("%.10q…: %v", p, err)
		}
	}
	if _, err := NTHash(strings.Repeat("𝄞", 128)); err != nil {
		t.Error(err)
	}
}

// BenchmarkVerify is a login whose password is in the cache.
func BenchmarkVerify(b *testing.B) {
	h, _ := NTHash("clientPass")
	a := New(h)
	b.ReportAllocs()
	for i := range b.N {
		c := NewChallenge([16]byte{byte(i)}, [16]byte{1}, []byte("user000001"))
		r := a.Expect(c)
		a.Success(c, r)
		a.Keys(r)
	}
}

// BenchmarkNew is what a login costs beside that when its password is not.
func BenchmarkNew(b *testing.B) {
	h, _ := NTHash("clientPass")
	b.ReportAllocs()
	for range b.N {
		New(h)
	}
}
