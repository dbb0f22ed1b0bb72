// Package canon is the canonical binary encoding of everything that is hashed
// or replayed: ledger entries, log commands and the dump of the state machine.
//
// One value has exactly one encoding (fixed field order, minimal varints), so
// equal bytes mean equal values and a hash over them can be compared between
// machines. The package owns the primitives; each user owns its own field order
// and a leading version number.
package canon

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxBytes bounds one string or byte field, so that a corrupt length cannot ask
// for the machine's memory.
const MaxBytes = 16 << 20

// ErrCorrupt is wrapped by every decoding error.
var ErrCorrupt = errors.New("canonical encoding is corrupt")

// Writer appends canonical fields to B.
type Writer struct{ B []byte }

// Uvarint appends an unsigned integer in 1–10 octets.
func (w *Writer) Uvarint(v uint64) { w.B = binary.AppendUvarint(w.B, v) }

// Varint appends a signed integer, zigzag coded.
func (w *Writer) Varint(v int64) { w.B = binary.AppendVarint(w.B, v) }

// Byte appends one octet.
func (w *Writer) Byte(v byte) { w.B = append(w.B, v) }

// Bool appends 0 or 1.
func (w *Writer) Bool(v bool) {
	if v {
		w.Byte(1)
	} else {
		w.Byte(0)
	}
}

// String appends a length and the octets.
func (w *Writer) String(s string) {
	w.Uvarint(uint64(len(s)))
	w.B = append(w.B, s...)
}

// Bytes appends a length and the octets.
func (w *Writer) Bytes(b []byte) {
	w.Uvarint(uint64(len(b)))
	w.B = append(w.B, b...)
}

// Hash appends 32 octets without a length.
func (w *Writer) Hash(h [32]byte) { w.B = append(w.B, h[:]...) }

// Reader takes fields off B in the order they were written. The first fault
// sticks: later reads return zero values, and Err tells what was wrong where.
type Reader struct {
	b   []byte
	off int
	err error
}

// NewReader reads from b, which it does not change.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Fail records a fault found by the caller in a decoded value.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w at octet %d: %s", ErrCorrupt, r.off, fmt.Sprintf(format, args...))
	}
}

// Err returns the first fault, or nil.
func (r *Reader) Err() error { return r.err }

// Len returns how many octets are left.
func (r *Reader) Len() int { return len(r.b) - r.off }

// Close returns the first fault, or an error when octets are left over.
func (r *Reader) Close() error {
	if r.err == nil && r.off != len(r.b) {
		r.Fail("%d octets left over", len(r.b)-r.off)
	}
	return r.err
}

// Uvarint reads an unsigned integer and refuses encodings longer than needed.
func (r *Reader) Uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b[r.off:])
	if n <= 0 || (n > 1 && r.b[r.off+n-1] == 0) {
		r.Fail("bad integer")
		return 0
	}
	r.off += n
	return v
}

// Varint reads a signed integer.
func (r *Reader) Varint() int64 {
	u := r.Uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

// Byte reads one octet.
func (r *Reader) Byte() byte {
	if r.err != nil || r.off >= len(r.b) {
		r.Fail("unexpected end")
		return 0
	}
	v := r.b[r.off]
	r.off++
	return v
}

// Bool reads 0 or 1 and refuses anything else.
func (r *Reader) Bool() bool {
	v := r.Byte()
	if v > 1 {
		r.Fail("boolean is %d", v)
	}
	return v == 1
}

func (r *Reader) take(n uint64) []byte {
	if r.err != nil {
		return nil
	}
	if n > MaxBytes || n > uint64(len(r.b)-r.off) {
		r.Fail("field of %d octets, %d are left", n, len(r.b)-r.off)
		return nil
	}
	b := r.b[r.off : r.off+int(n)]
	r.off += int(n)
	return b
}

// String reads a string.
func (r *Reader) String() string { return string(r.take(r.Uvarint())) }

// Bytes reads a copy of a byte field; an empty field is nil.
func (r *Reader) Bytes() []byte {
	b := r.take(r.Uvarint())
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

// Hash reads 32 octets.
func (r *Reader) Hash() (h [32]byte) {
	copy(h[:], r.take(32))
	return h
}

// Count reads the number of elements of a list, each at least minSize octets
// long, and refuses a count that the remaining octets cannot hold.
func (r *Reader) Count(minSize int) int {
	n := r.Uvarint()
	if r.err == nil && n > uint64(r.Len()/max(minSize, 1)) {
		r.Fail("list of %d elements in %d octets", n, r.Len())
		return 0
	}
	return int(n)
}
