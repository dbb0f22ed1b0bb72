package radius

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"meridian/radius/attr"
)

// Code is the kind of a packet, its first octet (RFC 2865 §3).
type Code uint8

// Codes of packets.
const (
	CodeAccessRequest      Code = 1
	CodeAccessAccept       Code = 2
	CodeAccessReject       Code = 3
	CodeAccountingRequest  Code = 4
	CodeAccountingResponse Code = 5
	CodeAccessChallenge    Code = 11
	CodeStatusServer       Code = 12 // RFC 5997
	CodeDisconnectRequest  Code = 40 // RFC 5176, as all below
	CodeDisconnectACK      Code = 41
	CodeDisconnectNAK      Code = 42
	CodeCoARequest         Code = 43
	CodeCoAACK             Code = 44
	CodeCoANAK             Code = 45
)

// String gives the RFC's name of the code, or its number.
func (c Code) String() string {
	switch c {
	case CodeAccessRequest:
		return "Access-Request"
	case CodeAccessAccept:
		return "Access-Accept"
	case CodeAccessReject:
		return "Access-Reject"
	case CodeAccountingRequest:
		return "Accounting-Request"
	case CodeAccountingResponse:
		return "Accounting-Response"
	case CodeAccessChallenge:
		return "Access-Challenge"
	case CodeStatusServer:
		return "Status-Server"
	case CodeDisconnectRequest:
		return "Disconnect-Request"
	case CodeDisconnectACK:
		return "Disconnect-ACK"
	case CodeDisconnectNAK:
		return "Disconnect-NAK"
	case CodeCoARequest:
		return "CoA-Request"
	case CodeCoAACK:
		return "CoA-ACK"
	case CodeCoANAK:
		return "CoA-NAK"
	}
	return "Code-" + strconv.Itoa(int(c))
}

// keyed reports whether a request of this code proves the secret by its Request Authenticator, a digest over the packet (RFC 2866 §3,
// RFC 5176 §2.3), instead of carrying a random one.
func (c Code) keyed() bool {
	return c == CodeAccountingRequest || c == CodeDisconnectRequest || c == CodeCoARequest
}

// Sizes of a packet in octets (RFC 2865 §3).
const (
	headerSize = 20
	MaxPacket  = 4096
)

// Faults of a packet.
var (
	ErrPacket          = errors.New("malformed packet")
	ErrAuthenticator   = errors.New("wrong authenticator")
	ErrMA              = errors.New("wrong Message-Authenticator")
	ErrMAMissing       = errors.New("no Message-Authenticator")
	ErrMAMultiple      = errors.New("more than one Message-Authenticator")
	ErrAttributesLong  = errors.New("attributes do not fit a packet of 4096 octets")
	ErrAttributesOwned = errors.New("attribute is set by the packet's writer, not by its caller")
)

// Packet is a view of one packet's octets, header and attributes checked. It copies nothing: it is valid as long as those octets are.
type Packet struct {
	raw   []byte
	count int // of attributes
}

// Parse checks a datagram: 20 to 4096 octets, Length within them, octets beyond Length ignored as padding (RFC 2865 §3), attributes that
// fit. An error wraps ErrPacket or attr.ErrMalformed; such a datagram is to be discarded silently.
func Parse(datagram []byte) (Packet, error) {
	if len(datagram) < headerSize {
		return Packet{}, fmt.Errorf("%w: %d octets, the least is %d", ErrPacket, len(datagram), headerSize)
	}
	n := int(binary.BigEndian.Uint16(datagram[2:]))
	if n < headerSize || n > MaxPacket || n > len(datagram) {
		return Packet{}, fmt.Errorf("%w: Length says %d in a datagram of %d octets", ErrPacket, n, len(datagram))
	}
	p := Packet{raw: datagram[:n:n]}
	var err error
	if p.count, err = p.Attributes().Measure(); err != nil {
		return Packet{}, err
	}
	return p, nil
}

// Code is the packet's kind.
func (p Packet) Code() Code { return Code(p.raw[0]) }

// Identifier matches requests and replies (RFC 2865 §3).
func (p Packet) Identifier() byte { return p.raw[1] }

// Authenticator is the Request or Response Authenticator.
func (p Packet) Authenticator() [16]byte { return [16]byte(p.raw[4:20]) }

// Attributes are the packet's attributes.
func (p Packet) Attributes() attr.List { return attr.List(p.raw[headerSize:]) }

// Bytes are the packet's octets without padding.
func (p Packet) Bytes() []byte { return p.raw }

// Clone copies the packet's octets, so that it outlives the buffer it was read into.
func (p Packet) Clone() Packet {
	p.raw = append([]byte(nil), p.raw...)
	return p
}

// VerifyRequest checks the Request Authenticator of an Accounting-, Disconnect- or CoA-Request: MD5(Code, Identifier, Length, 16 zeros,
// attributes, secret) (RFC 2866 §3). ErrAuthenticator when it is another.
func (p Packet) VerifyRequest(secret []byte) error {
	sum := packetDigest(p.raw, [16]byte{}, secret)
	if !equal(sum, p.raw[4:20]) {
		return ErrAuthenticator
	}
	return nil
}

// VerifyMessageAuthenticator checks Message-Authenticator (RFC 3579 §3.2) with the given authenticator in the header's place: the packet's own
// for Access-Request and Status-Server, the request's for replies, zeros for accounting, Disconnect and CoA requests. The error is
// ErrMAMissing, ErrMAMultiple or ErrMA.
func (p Packet) VerifyMessageAuthenticator(secret []byte, authenticator [16]byte) error {
	at, count := p.findMA()
	switch {
	case count == 0:
		return ErrMAMissing
	case count > 1:
		return ErrMAMultiple
	case at < 0:
		return fmt.Errorf("%w: its length is not 18", ErrMA)
	}
	sum := messageAuthenticator(p.raw, at, authenticator, secret)
	if !equal(sum, p.raw[at:at+16]) {
		return ErrMA
	}
	return nil
}

// verifyRequestMA checks the Message-Authenticator of a request, with the header's authenticator that its code asks for.
func (p Packet) verifyRequestMA(secret []byte) error {
	if p.Code().keyed() {
		return p.VerifyMessageAuthenticator(secret, [16]byte{})
	}
	return p.VerifyMessageAuthenticator(secret, p.Authenticator())
}

// VerifyResponse checks a reply to a request whose authenticator is given: the Response Authenticator (RFC 2865 §3) and, when one is
// present, the Message-Authenticator. The error wraps ErrAuthenticator, ErrMA or ErrMAMultiple.
func (p Packet) VerifyResponse(secret []byte, request [16]byte) error {
	sum := packetDigest(p.raw, request, secret)
	if !equal(sum, p.raw[4:20]) {
		return ErrAuthenticator
	}
	if err := p.VerifyMessageAuthenticator(secret, request); err != nil && !errors.Is(err, ErrMAMissing) {
		return err
	}
	return nil
}

// findMA gives the offset of Message-Authenticator's value, -1 when its length is wrong or it is absent, and how many there are.
func (p Packet) findMA() (at, count int) {
	at = -1
	for i := headerSize; i < len(p.raw); i += int(p.raw[i+1]) {
		if attr.Type(p.raw[i]) != attr.MessageAuthenticator {
			continue
		}
		if count++; p.raw[i+1] == 18 {
			at = i + 2
		}
	}
	return at, count
}

// AppendRequest appends a request to dst. Access-Request and Status-Server carry the given authenticator, which must be random and is what
// User-Password was hidden under; accounting, Disconnect and CoA requests get theirs computed and the argument is ignored. With ma, a
// Message-Authenticator is the first attribute. attrs must hold none.
func AppendRequest(dst []byte, code Code, identifier byte, authenticator [16]byte, attrs attr.List, secret []byte, ma bool) ([]byte, error) {
	if code.keyed() {
		authenticator = [16]byte{}
	}
	at := len(dst)
	dst, err := appendPacket(dst, code, identifier, authenticator, attrs, nil, ma)
	if err != nil {
		return dst[:at], err
	}
	p := dst[at:]
	if ma {
		sum := messageAuthenticator(p, headerSize+2, authenticator, secret)
		copy(p[headerSize+2:], sum[:])
	}
	if code.keyed() {
		sum := packetDigest(p, [16]byte{}, secret)
		copy(p[4:], sum[:])
	}
	return dst, nil
}

// AppendResponse appends the reply to a request: same Identifier, the caller's attributes, then the request's Proxy-State attributes unmodified
// and in order (RFC 2865 §5.33). With ma, a Message-Authenticator is the first attribute. attrs must hold neither of the two.
func AppendResponse(dst []byte, request Packet, code Code, attrs attr.List, secret []byte, ma bool) ([]byte, error) {
	at := len(dst)
	authenticator := request.Authenticator()
	dst, err := appendPacket(dst, code, request.Identifier(), authenticator, attrs, request.Attributes(), ma)
	if err != nil {
		return dst[:at], err
	}
	p := dst[at:]
	if ma {
		sum := messageAuthenticator(p, headerSize+2, authenticator, secret)
		copy(p[headerSize+2:], sum[:])
	}
	sum := packetDigest(p, authenticator, secret)
	copy(p[4:], sum[:])
	return dst, nil
}

// appendPacket lays a packet out with a zero Message-Authenticator when wanted, and the Proxy-State attributes of proxied.
func appendPacket(dst []byte, code Code, id byte, authenticator [16]byte, attrs, proxied attr.List, ma bool) ([]byte, error) {
	at := len(dst)
	dst = append(dst, byte(code), id, 0, 0)
	dst = append(dst, authenticator[:]...)
	if ma {
		dst = append(dst, byte(attr.MessageAuthenticator), 18)
		dst = append(dst, make([]byte, 16)...)
	}
	if err := attrs.Check(); err != nil {
		return dst, err
	}
	for t := range attrs.All() {
		if t == attr.MessageAuthenticator || (proxied != nil && t == attr.ProxyState) {
			return dst, fmt.Errorf("%w: %s", ErrAttributesOwned, t)
		}
	}
	dst = append(dst, attrs...)
	for v := range proxied.Values(attr.ProxyState) {
		dst = append(dst, byte(attr.ProxyState), byte(2+len(v)))
		dst = append(dst, v...)
	}
	n := len(dst) - at
	if n > MaxPacket {
		return dst, fmt.Errorf("%w: %d octets", ErrAttributesLong, n)
	}
	binary.BigEndian.PutUint16(dst[at+2:], uint16(n))
	return dst, nil
}
