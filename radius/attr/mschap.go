package attr

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// Microsoft's attributes of MS-CHAPv2 and MPPE (RFC 2548), numbers within [VendorMicrosoft].
const (
	MSCHAPResponse       uint8 = 1  // §2.1.3, of MS-CHAPv1
	MSCHAPError          uint8 = 2  // §2.1.5
	MSMPPEEncryptPolicy  uint8 = 7  // §2.4.4
	MSMPPEEncryptTypes   uint8 = 8  // §2.4.5
	MSCHAPChallenge      uint8 = 11 // §2.1.2
	MSMPPESendKey        uint8 = 16 // §2.4.2
	MSMPPERecvKey        uint8 = 17 // §2.4.3
	MSCHAP2Response      uint8 = 25 // §2.3.2
	MSCHAP2Success       uint8 = 26 // §2.3.3
	msCHAPPasswordChange uint8 = 27 // §2.3.4, MS-CHAP2-CPW
)

// Values of MS-MPPE-Encryption-Policy and -Types.
const (
	MPPEAllowed  uint32 = 1
	MPPERequired uint32 = 2
	MPPE40       uint32 = 2 // RC4 with 40 bits
	MPPE128      uint32 = 4 // RC4 with 128 bits
)

// MSCHAP2 is a peer's MS-CHAP2-Response and the challenge that it answers.
type MSCHAP2 struct {
	Identifier               uint8
	Challenge, PeerChallenge [16]byte // the NAS's and the peer's
	Response                 [24]byte
}

// Sizes of the values in octets.
const (
	msCHAP2ResponseSize  = 50 // identifier, flags, peer's challenge, 8 reserved, response
	msCHAP2ChallengeSize = 16
)

// MSCHAP2 reads the response and its challenge. ErrAbsent when one of them is missing, ErrValue when it has not 50, or 16, octets or is there
// twice. Identifier is set whenever the response has one. Flags and reserved octets are not looked at.
func (l List) MSCHAP2() (MSCHAP2, error) {
	var m MSCHAP2
	var response, challenge []byte
	responses, challenges := 0, 0
	for t, v := range l.VSAs(VendorMicrosoft) {
		switch t {
		case MSCHAP2Response:
			response = v
			responses++
		case MSCHAPChallenge:
			challenge = v
			challenges++
		}
	}
	if len(response) > 0 {
		m.Identifier = response[0]
	}
	switch {
	case responses == 0:
		return m, fmt.Errorf("MS-CHAP2-Response: %w", ErrAbsent)
	case challenges == 0:
		return m, fmt.Errorf("MS-CHAP-Challenge: %w", ErrAbsent)
	case responses > 1 || challenges > 1:
		return m, fmt.Errorf("%w: %d MS-CHAP2-Response and %d MS-CHAP-Challenge, must be one of each", ErrValue, responses, challenges)
	case len(response) != msCHAP2ResponseSize || len(challenge) != msCHAP2ChallengeSize:
		return m, fmt.Errorf("%w: MS-CHAP2-Response of %d octets and MS-CHAP-Challenge of %d, must be %d and %d",
			ErrValue, len(response), len(challenge), msCHAP2ResponseSize, msCHAP2ChallengeSize)
	}
	m.Challenge = [16]byte(challenge)
	m.PeerChallenge = [16]byte(response[2:])
	m.Response = [24]byte(response[26:])
	return m, nil
}

// MSCHAP2Request appends MS-CHAP-Challenge and MS-CHAP2-Response, as a NAS does.
func (b *Builder) MSCHAP2Request(m MSCHAP2) {
	b.VSA(VendorMicrosoft, MSCHAPChallenge, m.Challenge[:])
	if v := b.growVSA(VendorMicrosoft, MSCHAP2Response, msCHAP2ResponseSize); v != nil {
		v[0] = m.Identifier
		copy(v[2:], m.PeerChallenge[:])
		copy(v[26:], m.Response[:])
	}
}

// MSCHAP2Success appends the text that proves to the peer that the server knows its password.
func (b *Builder) MSCHAP2Success(identifier uint8, text []byte) {
	if v := b.growVSA(VendorMicrosoft, MSCHAP2Success, 1+len(text)); v != nil {
		v[0] = identifier
		copy(v[1:], text)
	}
}

// MSCHAPError appends the failure that the peer is shown (RFC 2759 §6): an error code of its list, no retry, a new challenge, version 3.
func (b *Builder) MSCHAPError(identifier uint8, code int, challenge [16]byte) {
	var space [64]byte
	text := append(space[:0], identifier)
	text = append(text, "E="...)
	text = strconv.AppendInt(text, int64(code), 10)
	text = append(text, " R=0 C="...)
	at := len(text)
	text = hex.AppendEncode(text, challenge[:])
	for i, c := range text[at:] {
		if c >= 'a' {
			text[at+i] = c - 'a' + 'A'
		}
	}
	b.VSA(VendorMicrosoft, MSCHAPError, append(text, " V=3"...))
}

// mppePlain is the padded clear text of a key: its length, 16 octets of key, zeros.
const mppePlain = 32

// MPPEKeys appends MS-MPPE-Send-Key and -Recv-Key, each hidden under the secret, the Request Authenticator and a salt of its own (RFC 2548
// §2.4.2), and the policy: encryption allowed, of 128 bits. The two salts are made of salt, which should be random.
func (b *Builder) MPPEKeys(send, receive [16]byte, salt uint16, secret []byte, authenticator [16]byte) {
	b.VSAUint32(VendorMicrosoft, MSMPPEEncryptPolicy, MPPEAllowed)
	b.VSAUint32(VendorMicrosoft, MSMPPEEncryptTypes, MPPE128)
	b.mppeKey(MSMPPESendKey, send, salt|0x8000, secret, authenticator)
	b.mppeKey(MSMPPERecvKey, receive, (salt|0x8000)^1, secret, authenticator)
}

func (b *Builder) mppeKey(t uint8, key [16]byte, salt uint16, secret []byte, authenticator [16]byte) {
	v := b.growVSA(VendorMicrosoft, t, 2+mppePlain)
	if v == nil {
		return
	}
	binary.BigEndian.PutUint16(v, salt)
	v[2] = byte(len(key))
	copy(v[3:], key[:])
	first := salted(authenticator, v)
	hide(v[2:], secret, first[:])
}

// MPPEKey reveals MS-MPPE-Send-Key or -Recv-Key of a reply to the request with that authenticator. ErrAbsent when there is none, ErrValue when
// it cannot be a key, as with another secret.
func (l List) MPPEKey(t uint8, secret []byte, authenticator [16]byte) ([]byte, error) {
	v, ok := l.VSA(VendorMicrosoft, t)
	if !ok {
		return nil, fmt.Errorf("MPPE key %d: %w", t, ErrAbsent)
	}
	if len(v) < 2+16 || (len(v)-2)%16 != 0 || v[0]&0x80 == 0 {
		return nil, fmt.Errorf("%w: MPPE key %d of %d octets, must be a salt with its highest bit set and blocks of 16", ErrValue, t, len(v))
	}
	out := make([]byte, len(v)-2)
	first := salted(authenticator, v)
	reveal(out, v[2:], secret, first[:])
	n := int(out[0])
	padding := out[min(1+n, len(out)):]
	if n >= len(out) || subtle.ConstantTimeCompare(padding, make([]byte, len(padding))) != 1 {
		return nil, fmt.Errorf("%w: MPPE key %d does not open: is the secret another?", ErrValue, t)
	}
	return out[1 : 1+n], nil
}

// salted is what the first block of a key is salted with: the Request Authenticator and the salt, the first two octets of v.
func salted(authenticator [16]byte, v []byte) (first [18]byte) {
	copy(first[:], authenticator[:])
	copy(first[16:], v[:2])
	return first
}

// block is the keystream of one block: MD5(secret, previous cipher block), which for the first one is what it is salted with.
func block(secret, previous []byte) [16]byte {
	var space [128 + 18]byte
	in := append(space[:0], secret...)
	in = append(in, previous...)
	return md5.Sum(in)
}

// hide encrypts padded clear text in place (RFC 2865 §5.2, RFC 2548 §2.4.2); first is what the first block is salted with.
func hide(p, secret, first []byte) {
	previous := first
	for i := 0; i < len(p); i += 16 {
		key := block(secret, previous)
		subtle.XORBytes(p[i:i+16], p[i:i+16], key[:])
		previous = p[i : i+16]
	}
}

// reveal decrypts cipher into dst of the same length.
func reveal(dst, cipher, secret, first []byte) {
	previous := first
	for i := 0; i < len(cipher); i += 16 {
		key := block(secret, previous)
		subtle.XORBytes(dst[i:i+16], cipher[i:i+16], key[:])
		previous = cipher[i : i+16]
	}
}
