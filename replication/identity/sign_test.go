package identity

import (
	"errors"
	"testing"
	"time"
)

func TestSignaturesNameTheirMaker(t *testing.T) {
	now := time.Now()
	ca := newTestCA(t)
	signer := func(b *Bundle) *Signer {
		s, err := b.Signer()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, two := signer(issue(t, ca, Node("north", "north-1"))), signer(issue(t, ca, Node("north", "north-2")))
	stranger := signer(issue(t, newTestCA(t), Node("north", "north-1")))
	v, err := NewVerifier(ca.pem)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("a message")
	sign := func(s *Signer) []byte {
		sig, err := s.Sign(message)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	good := sign(one)
	torn := append([]byte(nil), good...)
	torn[len(torn)-1] ^= 1
	for _, c := range []struct {
		name      string
		cert, sig []byte
		message   string
		who       ID
		at        time.Time
		want      error
	}{
		{"good", one.Certificate(), good, "a message", Node("north", "north-1"), now, nil},
		{"another message", one.Certificate(), good, "b message", Node("north", "north-1"), now, ErrSignature},
		{"bit flipped", one.Certificate(), torn, "a message", Node("north", "north-1"), now, ErrSignature},
		{"another node's key, its own certificate", two.Certificate(), sign(two), "a message", Node("north", "north-1"), now, ErrWrongPeer},
		{"another node's key, this node's certificate", one.Certificate(), sign(two), "a message", Node("north", "north-1"), now, ErrSignature},
		{"another region", one.Certificate(), good, "a message", Node("south", "north-1"), now, ErrWrongPeer},
		{"another authority", stranger.Certificate(), sign(stranger), "a message", Node("north", "north-1"), now, ErrUntrusted},
		{"no certificate", nil, good, "a message", Node("north", "north-1"), now, ErrUntrusted},
		{"expired", one.Certificate(), good, "a message", Node("north", "north-1"), now.Add(48 * time.Hour), ErrUntrusted},
	} {
		if err := v.Verify(c.cert, []byte(c.message), c.sig, c.who, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := NewVerifier([]byte("nothing")); err == nil {
		t.Error("an authority without a certificate was taken")
	}
}
