package attr_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"meridian/radius/attr"
)

// FuzzList reads any octets in every way: nothing may panic, and what All yields must be the list again when the list is well formed.
func FuzzList(f *testing.F) {
	for _, seed := range []string{"", "01", "0100", "0102", "0103ff0c06000005dc", "1a0e00003a8c0806313030300b02", "02120dbe708d93d413ce3196e43f782a0aee",
		"031316e97557c316185895f293ff6344077275", "2806000000012c03ff", "50120000000000000000000000000000000000", "7b0400402001"} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l := attr.List(data)
		var b []byte
		n := 0
		for typ, v := range l.All() {
			b = append(append(b, byte(typ), byte(len(v)+2)), v...)
			n++
		}
		if l.Check() == nil && !bytes.Equal(b, data) {
			t.Fatalf("well formed list %x read as %x", data, b)
		}
		if !bytes.HasPrefix(data, b) {
			t.Fatalf("read %x, which is not the beginning of %x", b, data)
		}
		count := 0
		for typ := range 256 {
			count += l.Count(attr.Type(typ))
		}
		if count != n {
			t.Fatalf("Count sums to %d, All to %d", count, n)
		}
		_, _ = l.AppendUserPassword(nil, []byte("s"), [16]byte{})
		_, _ = l.VerifyCHAP([]byte("p"), [16]byte{})
		_, _ = l.Accounting()
		_ = l.Credential()
		_, _ = l.Prefix(attr.DelegatedIPv6Prefix)
		_, _ = l.Addr(attr.FramedIPAddress)
		for range l.VSAs(attr.VendorMikrotik) {
		}
	})
}

// FuzzBuilder: what is built is well formed and comes back as it went in.
func FuzzBuilder(f *testing.F) {
	f.Add(byte(1), []byte("user"), []byte("password"), uint32(14988), byte(8))
	f.Add(byte(25), bytes.Repeat([]byte{1}, 253), bytes.Repeat([]byte{2}, 128), uint32(1<<24-1), byte(255))
	f.Add(byte(0), []byte{}, []byte{}, uint32(0), byte(0))
	f.Fuzz(func(t *testing.T, typ byte, value, password []byte, vendor uint32, vsa byte) {
		password = bytes.TrimRight(password, "\x00")
		if attr.Type(typ) == attr.UserPassword || attr.Type(typ) == attr.VendorSpecific {
			typ++
		}
		b := attr.NewBuilder(nil)
		b.Bytes(attr.Type(typ), value)
		b.UserPassword(password, []byte("secret"), [16]byte{1})
		b.VSA(vendor, vsa, value)
		l, err := b.List()
		if tooLong := len(value) > 247 || len(password) > 128 || vendor > 1<<24-1; (err != nil) != tooLong {
			t.Fatalf("value %d, password %d octets, vendor %d: %v", len(value), len(password), vendor, err)
		}
		if err != nil {
			return
		}
		if err := l.Check(); err != nil {
			t.Fatal(err)
		}
		if got, ok := l.Get(attr.Type(typ)); !ok || !bytes.Equal(got, value) {
			t.Fatalf("value %x came back as %x", value, got)
		}
		if got, err := l.AppendUserPassword(nil, []byte("secret"), [16]byte{1}); err != nil || !bytes.Equal(got, password) {
			t.Fatalf("password %x came back as %x, %v", password, got, err)
		}
		if got, ok := l.VSA(vendor, vsa); !ok || !bytes.Equal(got, value) {
			t.Fatalf("vendor's value %x came back as %x", value, got)
		}
	})
}
