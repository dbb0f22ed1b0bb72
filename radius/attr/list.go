package attr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"
)

// Faults of a list or of a value; wrapped with the attribute and the place.
var (
	ErrMalformed = errors.New("malformed attributes")
	ErrAbsent    = errors.New("attribute absent")
	ErrValue     = errors.New("attribute value out of shape")
)

// List is a sequence of attributes as on the wire: type, length, value, one after the other. The zero List is empty.
//
// Reading methods are safe on any bytes: they stop at the first attribute that does not fit. Call [List.Check] once where bytes enter.
type List []byte

// Check walks the list and returns an error wrapping ErrMalformed when an attribute's length is below 2 or goes past the end
// (RFC 2865 §5). Vendor-Specific values are not looked into: their inner layout is the vendor's.
func (l List) Check() error {
	_, err := l.Measure()
	return err
}

// Measure is Check that also counts the attributes.
func (l List) Measure() (count int, err error) {
	for i := 0; i < len(l); count++ {
		if len(l)-i < 2 {
			return count, fmt.Errorf("%w: one stray octet at %d", ErrMalformed, i)
		}
		n := int(l[i+1])
		if n < 2 {
			return count, fmt.Errorf("%w: %s at octet %d has length %d, the least is 2", ErrMalformed, Type(l[i]), i, n)
		}
		if n > len(l)-i {
			return count, fmt.Errorf("%w: %s at octet %d has length %d, only %d octets are left", ErrMalformed, Type(l[i]), i, n, len(l)-i)
		}
		i += n
	}
	return count, nil
}

// next splits off the first attribute; ok is false at the end or at a malformed one.
func (l List) next() (t Type, value []byte, rest List, ok bool) {
	if len(l) < 2 {
		return 0, nil, nil, false
	}
	n := int(l[1])
	if n < 2 || n > len(l) {
		return 0, nil, nil, false
	}
	return Type(l[0]), l[2:n:n], l[n:], true
}

// All yields every attribute in order.
func (l List) All() iter.Seq2[Type, []byte] {
	return func(yield func(Type, []byte) bool) {
		for {
			t, v, rest, ok := l.next()
			if !ok || !yield(t, v) {
				return
			}
			l = rest
		}
	}
}

// Get returns the value of the first attribute of the type.
func (l List) Get(t Type) (value []byte, ok bool) {
	for {
		got, v, rest, ok := l.next()
		if !ok {
			return nil, false
		}
		if got == t {
			return v, true
		}
		l = rest
	}
}

// Values yields the value of every attribute of the type, in order.
func (l List) Values(t Type) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for got, v := range l.All() {
			if got == t && !yield(v) {
				return
			}
		}
	}
}

// Count returns how many attributes of the type there are.
func (l List) Count(t Type) int {
	n := 0
	for got := range l.All() {
		if got == t {
			n++
		}
	}
	return n
}

// Has reports whether an attribute of the type is present.
func (l List) Has(t Type) bool { _, ok := l.Get(t); return ok }

// Bytes returns the first value of the type, nil when absent.
func (l List) Bytes(t Type) []byte { v, _ := l.Get(t); return v }

// Text returns a copy of the first value of the type, "" when absent.
func (l List) Text(t Type) string { return string(l.Bytes(t)) }

// Uint32 returns the first value of the type as a big-endian integer; ok is false when it is absent or not of 4 octets.
func (l List) Uint32(t Type) (value uint32, ok bool) {
	v, _ := l.Get(t)
	if len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// Addr returns the first value of the type as an address of 4 or 16 octets; ok is false when it is absent or of another length.
func (l List) Addr(t Type) (addr netip.Addr, ok bool) {
	v, _ := l.Get(t)
	return netip.AddrFromSlice(v)
}

// Time returns the first value of the type as seconds since 1970 UTC (RFC 2869 §5.3); ok is false when it is absent or not of 4 octets.
func (l List) Time(t Type) (at time.Time, ok bool) {
	s, ok := l.Uint32(t)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(int64(s), 0).UTC(), true
}

// Prefix returns the first value of the type as an IPv6 prefix in the form of RFC 3162 §2.3: reserved, length, 0 to 16 octets.
func (l List) Prefix(t Type) (prefix netip.Prefix, ok bool) {
	v, _ := l.Get(t)
	if len(v) < 2 || len(v) > 18 || v[1] > 128 || int(v[1]) > 8*(len(v)-2) {
		return netip.Prefix{}, false
	}
	var a [16]byte
	copy(a[:], v[2:])
	return netip.PrefixFrom(netip.AddrFrom16(a), int(v[1])).Masked(), true
}

// VSAs yields the vendor's attributes (RFC 2865 §5.26, the recommended layout of one-octet type and length) in order, also when several
// share one Vendor-Specific attribute. An inner layout that does not fit ends that attribute, not the walk.
func (l List) VSAs(vendor uint32) iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		for v := range l.Values(VendorSpecific) {
			for t, value := range vsas(v, vendor) {
				if !yield(t, value) {
					return
				}
			}
		}
	}
}

// vsas yields what one Vendor-Specific attribute holds of the vendor.
func vsas(v []byte, vendor uint32) iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		if len(v) < 4 || binary.BigEndian.Uint32(v) != vendor {
			return
		}
		for t, value := range List(v[4:]).All() {
			if !yield(uint8(t), value) {
				return
			}
		}
	}
}

// VSA returns the first value of the vendor's attribute.
func (l List) VSA(vendor uint32, t uint8) (value []byte, ok bool) {
	for got, v := range l.VSAs(vendor) {
		if got == t {
			return v, true
		}
	}
	return nil, false
}

// VSAUint32 returns the first value of the vendor's attribute as an integer; ok is false when it is absent or not of 4 octets.
func (l List) VSAUint32(vendor uint32, t uint8) (value uint32, ok bool) {
	v, _ := l.VSA(vendor, t)
	if len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}
