package radtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"layeh.com/radius/rfc2759"
	"layeh.com/radius/rfc3079"

	"meridian/radius/attr"
)

// ErrMSCHAP: an Access-Accept without what MS-CHAPv2 owes the peer, a proof of the password and keys that fit it.
var ErrMSCHAP = errors.New("MS-CHAPv2 reply does not verify")

// peer is a subscriber's and its NAS's side of MS-CHAPv2. Its arithmetic is another implementation than the server's, so that both being
// wrong alike is not likely.
type peer struct {
	user, password []byte // user without a domain (RFC 2759 §4)
	sent           attr.MSCHAP2
	authenticator  [16]byte // of the request
}

// newPeer answers a challenge of its own making.
func newPeer(user, password string) (*peer, error) {
	p := &peer{user: []byte(user[strings.LastIndexByte(user, '\\')+1:]), password: []byte(password)}
	var id [1]byte
	for _, b := range [][]byte{id[:], p.sent.Challenge[:], p.sent.PeerChallenge[:]} {
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("MS-CHAPv2 challenge: %w", err)
		}
	}
	p.sent.Identifier = id[0]
	response, err := rfc2759.GenerateNTResponse(p.sent.Challenge[:], p.sent.PeerChallenge[:], p.user, p.password)
	if err != nil {
		return nil, fmt.Errorf("MS-CHAPv2 response: %w", err)
	}
	copy(p.sent.Response[:], response)
	return p, nil
}

func (p *peer) fill(b *attr.Builder, authenticator [16]byte) {
	p.authenticator = authenticator
	b.MSCHAP2Request(p.sent)
}

// accepted checks what an Access-Accept proves; the error wraps ErrMSCHAP.
func (p *peer) accepted(l attr.List, secret []byte) error {
	proof, err := rfc2759.GenerateAuthenticatorResponse(p.sent.Challenge[:], p.sent.PeerChallenge[:], p.sent.Response[:], p.user, p.password)
	if err != nil {
		return fmt.Errorf("MS-CHAPv2 proof: %w", err)
	}
	want := append([]byte{p.sent.Identifier}, proof...)
	if got, _ := l.VSA(attr.VendorMicrosoft, attr.MSCHAP2Success); !bytes.Equal(got, want) {
		return fmt.Errorf("%w: MS-CHAP2-Success is %q, the password makes it %q", ErrMSCHAP, got, want)
	}
	for _, k := range []struct {
		number uint8
		send   bool // the NAS sends with it
	}{{attr.MSMPPESendKey, true}, {attr.MSMPPERecvKey, false}} {
		want, err := rfc3079.MakeKey(p.sent.Response[:], p.password, k.send)
		if err != nil {
			return fmt.Errorf("MPPE key: %w", err)
		}
		got, err := l.MPPEKey(k.number, secret, p.authenticator)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMSCHAP, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%w: MPPE key %d is another than the password's", ErrMSCHAP, k.number)
		}
	}
	return nil
}

// refused reads MS-CHAP-Error; "" when there is none of this exchange.
func (p *peer) refused(l attr.List) string {
	v, _ := l.VSA(attr.VendorMicrosoft, attr.MSCHAPError)
	if len(v) == 0 || v[0] != p.sent.Identifier {
		return ""
	}
	return string(v[1:])
}
