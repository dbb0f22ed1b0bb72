// Package mschap is the arithmetic of MS-CHAPv2 (RFC 2759) and of the MPPE keys
// that come with it (RFC 3079), on the authenticator's side.
//
// It owns the NT hash, the check of a response and what an accepted peer is
// owed. It does not own attributes (package radius/attr), nor where a hash is kept.
package mschap

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"meridian/internal/invariant"
)

// maxPassword is the longest password in UTF-16 code units (RFC 2759 section 4).
const maxPassword = 256

// ErrPassword: no NT hash can be made of the password.
var ErrPassword = errors.New("password has no NT hash")

// Hash is an NT hash: MD4 of the password in UTF-16LE. Who has it can log in, so
// it is as secret as the password.
type Hash [16]byte

// NTHash makes the hash of a password (RFC 2759 section 8.3). The error wraps
// ErrPassword for octets that are no UTF-8 and for more than 256 characters.
func NTHash(password string) (Hash, error) {
	if !utf8.ValidString(password) {
		return Hash{}, fmt.Errorf("%w: it is no UTF-8", ErrPassword)
	}
	units := utf16.Encode([]rune(password))
	if len(units) > maxPassword {
		return Hash{}, fmt.Errorf("%w: %d characters, at most %d", ErrPassword, len(units), maxPassword)
	}
	in := make([]byte, 0, 2*len(units))
	for _, u := range units {
		in = append(in, byte(u), byte(u>>8))
	}
	return Hash(md4(in)), nil
}

// Challenge is what a response is made over.
type Challenge [8]byte

// NewChallenge joins both sides' challenges and the user's name (RFC 2759 section
// 8.2). The name counts without a domain before a backslash (section 4).
func NewChallenge(peer, authenticator [16]byte, user []byte) Challenge {
	for i := len(user) - 1; i >= 0; i-- {
		if user[i] == '\\' {
			user = user[i+1:]
			break
		}
	}
	var space [32 + 256]byte
	in := append(space[:0], peer[:]...)
	in = append(in, authenticator[:]...)
	sum := sha1.Sum(append(in, user...))
	return Challenge(sum[:8])
}

// Response is a peer's proof of its password.
type Response [24]byte

// Authenticator checks the responses of one password. What depends on the NT hash
// alone is made once, by New. It is read-only and safe for concurrent use.
type Authenticator struct {
	keys     [3]cipher.Block
	hashHash [16]byte // MD4 of the NT hash
}

// New prepares an NT hash.
func New(h Hash) *Authenticator {
	a := &Authenticator{hashHash: md4(h[:])}
	var padded [21]byte
	copy(padded[:], h[:])
	for i := range a.keys {
		block, err := des.NewCipher(desKey(padded[7*i:]))
		invariant.Check(err == nil, "DES key of 8 octets: %v", err)
		a.keys[i] = block
	}
	return a
}

// desKey spreads 56 bits over 8 octets, whose lowest bits DES does not read.
func desKey(k []byte) []byte {
	return []byte{
		k[0], k[0]<<7 | k[1]>>1, k[1]<<6 | k[2]>>2, k[2]<<5 | k[3]>>3,
		k[3]<<4 | k[4]>>4, k[4]<<3 | k[5]>>5, k[5]<<2 | k[6]>>6, k[6] << 1,
	}
}

// Expect is the response of who knows the password (RFC 2759 section 8.5).
func (a *Authenticator) Expect(c Challenge) Response {
	var r Response
	for i, k := range a.keys {
		k.Encrypt(r[8*i:], c[:])
	}
	return r
}

// Verify reports whether the response proves the password, in constant time.
func (a *Authenticator) Verify(c Challenge, r Response) bool {
	want := a.Expect(c)
	return subtle.ConstantTimeCompare(want[:], r[:]) == 1
}

// Texts that RFC 2759 section 8.7 and RFC 3079 section 3.4 hash in.
const (
	magicSigning = "Magic server to client signing constant"
	magicPad     = "Pad to make it do more than one iteration"
	magicMaster  = "This is the MPPE Master Key"
	magicClient  = "On the client side, this is the send key; on the server side, it is the receive key."
	magicServer  = "On the client side, this is the receive key; on the server side, it is the send key."
)

// SuccessSize is the length of Success's text.
const SuccessSize = 2 + 2*sha1.Size

// Success is the text by which the authenticator proves that it knows the password
// too: "S=" and 40 hexadecimal digits in upper case (RFC 2759 section 8.7).
func (a *Authenticator) Success(c Challenge, r Response) [SuccessSize]byte {
	var space [128]byte
	in := append(space[:0], a.hashHash[:]...)
	in = append(in, r[:]...)
	sum := sha1.Sum(append(in, magicSigning...))
	in = append(space[:0], sum[:]...)
	in = append(in, c[:]...)
	sum = sha1.Sum(append(in, magicPad...))
	out := [SuccessSize]byte{'S', '='}
	hex.Encode(out[2:], sum[:])
	for i, b := range out[2:] {
		if b >= 'a' {
			out[2+i] = b - 'a' + 'A'
		}
	}
	return out
}

// Keys are the 128-bit MPPE start keys of the NAS (RFC 3079 section 3): what it
// sends with and what it receives with.
func (a *Authenticator) Keys(r Response) (send, receive [16]byte) {
	var space [16 + 24 + len(magicMaster)]byte
	in := append(space[:0], a.hashHash[:]...)
	in = append(in, r[:]...)
	sum := sha1.Sum(append(in, magicMaster...))
	master := [16]byte(sum[:])
	return startKey(master, magicServer), startKey(master, magicClient)
}

// startKey is GetAsymmetricStartKey of RFC 3079 section 3.4 for 16 octets.
func startKey(master [16]byte, magic string) [16]byte {
	var space [16 + 40 + 84 + 40]byte
	in := append(space[:0], master[:]...)
	in = append(in, space[16:56]...) // 40 zeros
	in = append(in, magic...)
	for range 40 {
		in = append(in, 0xf2)
	}
	sum := sha1.Sum(in)
	return [16]byte(sum[:])
}
