package canon

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	var w Writer
	for _, v := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		w.Varint(v)
	}
	w.Uvarint(math.MaxUint64)
	w.String("région")
	w.Bytes([]byte{0, 1, 2})
	w.Bool(true)
	w.Hash([32]byte{9})
	r := NewReader(w.B)
	for _, want := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		if got := r.Varint(); got != want {
			t.Fatalf("varint: got %d, want %d", got, want)
		}
	}
	if r.Uvarint() != math.MaxUint64 || r.String() != "région" || !bytes.Equal(r.Bytes(), []byte{0, 1, 2}) || !r.Bool() || r.Hash() != [32]byte{9} {
		t.Fatal("values differ after a round trip")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCorruptIsRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"overlong integer": {0x80, 0x00},
		"length past end":  {0x05, 'a'},
		"huge length":      {0xff, 0xff, 0xff, 0xff, 0x0f},
		"empty":            {},
	} {
		r := NewReader(b)
		_ = r.String()
		if !errors.Is(r.Err(), ErrCorrupt) {
			t.Errorf("%s: got %v", name, r.Err())
		}
	}
	r := NewReader([]byte{2})
	if r.Bool(); r.Err() == nil {
		t.Error("boolean 2 was accepted")
	}
	r = NewReader([]byte{1, 1})
	if r.Byte(); r.Close() == nil {
		t.Error("left-over octet was accepted")
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(b)
		u, s, n := r.Uvarint(), r.String(), r.Varint()
		if r.Err() != nil {
			return
		}
		var w Writer
		w.Uvarint(u)
		w.String(s)
		w.Varint(n)
		if !bytes.HasPrefix(b, w.B) {
			t.Fatalf("decoded value has a second encoding: %x from %x", w.B, b)
		}
	})
}
