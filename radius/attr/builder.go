package attr

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Builder appends attributes to a buffer. Its first fault is kept and makes every later call do nothing, so that only [Builder.List] must be
// checked. The zero Builder is ready. Not for use from several goroutines at once.
type Builder struct {
	buf []byte
	err error
}

// NewBuilder returns a Builder that appends to buf[:0], so that a caller can reuse its memory.
func NewBuilder(buf []byte) *Builder { return &Builder{buf: buf[:0]} }

// Reset empties the Builder and forgets its fault; the memory is kept.
func (b *Builder) Reset() { b.buf, b.err = b.buf[:0], nil }

// List returns what was built; it shares the Builder's memory until [Builder.Reset]. The error is the first fault of any call.
func (b *Builder) List() (List, error) {
	if b.err != nil {
		return nil, b.err
	}
	return List(b.buf), nil
}

// Len is the length built so far, in octets.
func (b *Builder) Len() int { return len(b.buf) }

func (b *Builder) fail(t Type, format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("%w: %s: %s", ErrValue, t, fmt.Sprintf(format, args...))
	}
}

// grow reserves n octets of value for an attribute and returns them to be filled; nil after a fault.
func (b *Builder) grow(t Type, n int) []byte {
	if b.err != nil {
		return nil
	}
	if n > MaxValue {
		b.fail(t, "value of %d octets, an attribute holds at most %d: split or shorten it", n, MaxValue)
		return nil
	}
	if len(b.buf)+2+n > MaxList {
		b.fail(t, "%d octets of attributes, a packet holds at most %d: send fewer", len(b.buf)+2+n, MaxList)
		return nil
	}
	at := len(b.buf) + 2
	b.buf = append(b.buf, byte(t), byte(2+n))
	for range n {
		b.buf = append(b.buf, 0)
	}
	return b.buf[at:]
}

// Bytes appends an attribute of 0 to 253 octets.
func (b *Builder) Bytes(t Type, value []byte) {
	if v := b.grow(t, len(value)); v != nil {
		copy(v, value)
	}
}

// String appends an attribute of text, 0 to 253 octets.
func (b *Builder) String(t Type, value string) {
	if v := b.grow(t, len(value)); v != nil {
		copy(v, value)
	}
}

// Uint32 appends an integer attribute.
func (b *Builder) Uint32(t Type, value uint32) {
	if v := b.grow(t, 4); v != nil {
		binary.BigEndian.PutUint32(v, value)
	}
}

// Addr appends an address in 4 or 16 octets as its family says.
func (b *Builder) Addr(t Type, value netip.Addr) {
	if !value.IsValid() {
		b.fail(t, "no address given")
		return
	}
	b.Bytes(t, value.AsSlice())
}

// Prefix appends an IPv6 prefix with only the octets that it needs (RFC 3162 §2.3).
func (b *Builder) Prefix(t Type, value netip.Prefix) {
	if !value.IsValid() || !value.Addr().Is6() {
		b.fail(t, "%v is no IPv6 prefix", value)
		return
	}
	a := value.Masked().Addr().As16()
	n := (value.Bits() + 7) / 8
	if v := b.grow(t, 2+n); v != nil {
		v[1] = byte(value.Bits())
		copy(v[2:], a[:n])
	}
}

// Time appends seconds since 1970 UTC in 32 bits (RFC 2869 §5.3); a time outside them is a fault.
func (b *Builder) Time(t Type, at time.Time) {
	s := at.Unix()
	if s < 0 || s > 1<<32-1 {
		b.fail(t, "time %v does not fit 32 bits of seconds since 1970", at)
		return
	}
	b.Uint32(t, uint32(s))
}

// Raw appends attributes that are already encoded.
func (b *Builder) Raw(l List) {
	if b.err != nil {
		return
	}
	if err := l.Check(); err != nil {
		b.err = fmt.Errorf("append attributes: %w", err)
		return
	}
	if len(b.buf)+len(l) > MaxList {
		b.err = fmt.Errorf("%w: %d octets of attributes, a packet holds at most %d: send fewer", ErrValue, len(b.buf)+len(l), MaxList)
		return
	}
	b.buf = append(b.buf, l...)
}

// VSA appends one vendor's attribute in a Vendor-Specific of its own (RFC 2865 §5.26); its value is at most 247 octets.
func (b *Builder) VSA(vendor uint32, t uint8, value []byte) {
	if v := b.growVSA(vendor, t, len(value)); v != nil {
		copy(v, value)
	}
}

// VSAString appends a vendor's attribute of text.
func (b *Builder) VSAString(vendor uint32, t uint8, value string) {
	if v := b.growVSA(vendor, t, len(value)); v != nil {
		copy(v, value)
	}
}

// VSAUint32 appends a vendor's integer attribute.
func (b *Builder) VSAUint32(vendor uint32, t uint8, value uint32) {
	if v := b.growVSA(vendor, t, 4); v != nil {
		binary.BigEndian.PutUint32(v, value)
	}
}

func (b *Builder) growVSA(vendor uint32, t uint8, n int) []byte {
	if vendor > 1<<24-1 {
		b.fail(VendorSpecific, "vendor %d does not fit 24 bits", vendor)
		return nil
	}
	v := b.grow(VendorSpecific, 6+n)
	if v == nil {
		return nil
	}
	binary.BigEndian.PutUint32(v, vendor)
	v[4], v[5] = t, byte(2+n)
	return v[6:]
}

// Octets64 appends a 64-bit counter as its low word and, when the counter has passed 4 GiB or always is set, its high word in a
// Gigawords attribute (RFC 2869 §5.1).
func (b *Builder) Octets64(low, gigawords Type, value uint64, always bool) {
	b.Uint32(low, uint32(value))
	if high := uint32(value >> 32); high != 0 || always {
		b.Uint32(gigawords, high)
	}
}

// UserPassword appends the password hidden under the secret and the Request Authenticator (RFC 2865 §5.2); at most 128 octets.
func (b *Builder) UserPassword(password, secret []byte, authenticator [16]byte) {
	if len(password) > maxPassword {
		b.fail(UserPassword, "password of %d octets, at most %d", len(password), maxPassword)
		return
	}
	n := max(16, (len(password)+15)/16*16)
	if v := b.grow(UserPassword, n); v != nil {
		copy(v, password)
		hide(v, secret, authenticator[:])
	}
}

// CHAP appends CHAP-Password for the identifier and, when challenge is not nil, CHAP-Challenge (RFC 2865 §5.3, §5.40). With a nil challenge
// the Request Authenticator is the challenge.
func (b *Builder) CHAP(identifier uint8, password, challenge []byte, authenticator [16]byte) {
	over := challenge
	if challenge == nil {
		over = authenticator[:]
	}
	sum := chapResponse(identifier, password, over)
	if v := b.grow(CHAPPassword, 17); v != nil {
		v[0] = identifier
		copy(v[1:], sum[:])
	}
	if challenge != nil {
		b.Bytes(CHAPChallenge, challenge)
	}
}
