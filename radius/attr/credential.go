package attr

import (
	"crypto/md5"
	"crypto/subtle"
	"fmt"
)

// maxPassword is the longest User-Password (RFC 2865 §5.2), in octets.
const maxPassword = 128

// CredentialKind says how an Access-Request proves its user.
type CredentialKind uint8

// Kinds of credential. CredentialConflict: more than one of them in one request, which RFC 2865 §4.1 forbids, or one of them twice.
const (
	CredentialNone CredentialKind = iota // MAC or port based: nothing but names
	CredentialPAP
	CredentialCHAP
	CredentialMSCHAP // MS-CHAPv1, or a change of password
	CredentialMSCHAP2
	CredentialARAP
	CredentialEAP
	CredentialConflict
)

// String names the kind.
func (k CredentialKind) String() string {
	names := [...]string{"none", "pap", "chap", "mschap", "mschap2", "arap", "eap", "conflict"}
	return names[min(int(k), len(names)-1)]
}

// Credential says which kind of credential the list carries.
func (l List) Credential() CredentialKind {
	kind := CredentialNone
	set := func(k CredentialKind) {
		if kind != CredentialNone && (kind != k || k != CredentialEAP) { // EAP-Message comes in parts
			k = CredentialConflict
		}
		kind = k
	}
	for t, v := range l.All() {
		switch t {
		case UserPassword:
			set(CredentialPAP)
		case CHAPPassword:
			set(CredentialCHAP)
		case ARAPPassword:
			set(CredentialARAP)
		case EAPMessage:
			set(CredentialEAP)
		case VendorSpecific:
			for t := range vsas(v, VendorMicrosoft) {
				switch t {
				case MSCHAPResponse, msCHAPPasswordChange:
					set(CredentialMSCHAP)
				case MSCHAP2Response:
					set(CredentialMSCHAP2)
				}
			}
		}
	}
	return kind
}

// AppendUserPassword appends the clear User-Password to dst, without its padding of zeros (RFC 2865 §5.2). ErrAbsent when there is none,
// ErrValue when its length is not 16 to 128 in steps of 16. A wrong secret gives other octets, not an error: nothing on the wire tells.
func (l List) AppendUserPassword(dst, secret []byte, authenticator [16]byte) ([]byte, error) {
	v, ok := l.Get(UserPassword)
	if !ok {
		return dst, fmt.Errorf("User-Password: %w", ErrAbsent)
	}
	if len(v) < 16 || len(v) > maxPassword || len(v)%16 != 0 {
		return dst, fmt.Errorf("%w: User-Password of %d octets, must be 16 to %d in steps of 16", ErrValue, len(v), maxPassword)
	}
	at := len(dst)
	dst = append(dst, v...)
	reveal(dst[at:], v, secret, authenticator[:])
	end := len(dst)
	for end > at && dst[end-1] == 0 {
		end--
	}
	return dst[:end], nil
}

// VerifyCHAP reports whether CHAP-Password answers the challenge for the password (RFC 2865 §5.3): CHAP-Challenge if present, else the
// Request Authenticator. ErrAbsent without CHAP-Password, ErrValue when it is not of 17 octets. The comparison takes constant time.
func (l List) VerifyCHAP(password []byte, authenticator [16]byte) (bool, error) {
	v, ok := l.Get(CHAPPassword)
	if !ok {
		return false, fmt.Errorf("CHAP-Password: %w", ErrAbsent)
	}
	if len(v) != 17 {
		return false, fmt.Errorf("%w: CHAP-Password of %d octets, must be 17", ErrValue, len(v))
	}
	challenge, ok := l.Get(CHAPChallenge)
	if !ok {
		challenge = authenticator[:]
	}
	sum := chapResponse(v[0], password, challenge)
	return subtle.ConstantTimeCompare(sum[:], v[1:]) == 1, nil
}

// chapResponse is MD5(identifier, password, challenge), RFC 1994 §4.1.
func chapResponse(identifier uint8, password, challenge []byte) [16]byte {
	var space [1 + maxPassword + MaxValue]byte
	in := append(space[:0], identifier)
	in = append(in, password...)
	in = append(in, challenge...)
	return md5.Sum(in)
}
