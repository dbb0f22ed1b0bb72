package radius

import (
	"crypto/md5"
	"crypto/subtle"
)

// digestSpace is the stack space in which a digest's input is put together; a longer packet spills to the heap. Typical packets have 100 to
// 400 octets.
const digestSpace = 768

// packetDigest is MD5(Code, Identifier, Length, authenticator, attributes, secret), RFC 2865 §3 and RFC 2866 §3.
func packetDigest(p []byte, authenticator [16]byte, secret []byte) [16]byte {
	var space [digestSpace]byte
	in := append(space[:0], p[:4]...)
	in = append(in, authenticator[:]...)
	in = append(in, p[headerSize:]...)
	in = append(in, secret...)
	return md5.Sum(in)
}

// messageAuthenticator is HMAC-MD5(secret; Code, Identifier, Length, authenticator, attributes) with 16 zeros in the place of the
// value at offset at (RFC 3579 §3.2). It is HMAC by hand (RFC 2104 §2) because crypto/hmac allocates two hashes per packet.
func messageAuthenticator(p []byte, at int, authenticator [16]byte, secret []byte) [16]byte {
	var key, pad [md5.BlockSize]byte
	if len(secret) > md5.BlockSize {
		sum := md5.Sum(secret)
		copy(key[:], sum[:])
	} else {
		copy(key[:], secret)
	}
	var space [digestSpace]byte
	mix(&pad, &key, 0x36)
	in := append(space[:0], pad[:]...)
	in = append(in, p[:4]...)
	in = append(in, authenticator[:]...)
	in = append(in, p[headerSize:at]...)
	in = append(in, make([]byte, 16)...)
	in = append(in, p[at+16:]...)
	inner := md5.Sum(in)
	mix(&pad, &key, 0x5c)
	in = append(space[:0], pad[:]...)
	in = append(in, inner[:]...)
	return md5.Sum(in)
}

// mix sets pad to key XOR the octet, the padded key of HMAC.
func mix(pad, key *[md5.BlockSize]byte, octet byte) {
	for i := range pad {
		pad[i] = octet
	}
	subtle.XORBytes(pad[:], pad[:], key[:])
}

// equal compares a digest in constant time.
func equal(sum [16]byte, got []byte) bool { return subtle.ConstantTimeCompare(sum[:], got) == 1 }
