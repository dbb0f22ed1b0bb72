package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A ring learns a key before it seals with it, so that all who open know it first.
func TestLearnThenSeal(t *testing.T) {
	r := ring(t, key(1, 'a'))
	before := r.Seal(nil, []byte("before"), nil)
	if err := r.Learn(ring(t, key(1, 'a'), key(2, 'b'))); err != nil {
		t.Fatal(err)
	}
	if id, _ := KeyID(r.Seal(nil, nil, nil)); id != 1 || r.Sealing() != 1 || r.Newest() != 2 {
		t.Fatalf("sealed with %d after learning, sealing %d, newest %d", id, r.Sealing(), r.Newest())
	}
	if err := r.SealWith(3); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("seal with a key that is not there: %v", err)
	}
	if err := r.SealWith(2); err != nil {
		t.Fatal(err)
	}
	if id, _ := KeyID(r.Seal(nil, nil, nil)); id != 2 || r.Sealed() != 1 {
		t.Fatalf("sealed with %d, counted %d by the new key", id, r.Sealed())
	}
	if got, err := r.Open(nil, before, nil); err != nil || string(got) != "before" {
		t.Fatalf("the old record: %q, %v", got, err)
	}
	r.Keep(nil)
	if _, err := r.Open(nil, before, nil); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("the old record after its key was forgotten: %v", err)
	}
}

func TestLearnRefusesAnotherKeyOfOneID(t *testing.T) {
	r := ring(t, key(1, 'a'), key(2, 'b'))
	err := r.Learn(ring(t, key(2, 'x'), key(3, 'c')))
	if !errors.Is(err, ErrOtherKey) || !strings.Contains(err.Error(), "id 2") {
		t.Fatalf("%v", err)
	}
	if _, held := r.Fingerprint(3); held {
		t.Fatal("a refused ring was learned in part")
	}
	a, _ := r.Fingerprint(1)
	b, _ := r.Fingerprint(2)
	if other, _ := ring(t, key(9, 'a')).Fingerprint(9); a == b || a != other {
		t.Fatal("a fingerprint does not tell the key alone")
	}
}

// Changing keys while records are made: every record opens (run with -race).
func TestRotateUnderTraffic(t *testing.T) {
	r := ring(t, key(1, 'a'))
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			for range 2000 {
				if _, err := r.Open(nil, r.Seal(nil, []byte("x"), nil), nil); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for id := uint32(2); id < 20; id++ {
		if err := errors.Join(r.Learn(ring(t, key(id, byte(id)))), r.SealWith(id)); err != nil {
			t.Fatal(err)
		}
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// xorKeeper wraps by a mask: enough to see what the file does with it.
type xorKeeper struct {
	by   string
	away error
	odd  bool // gives another key back
}

func (x xorKeeper) mask(id uint32, b [KeyBytes]byte) [KeyBytes]byte {
	for i := range b {
		b[i] ^= byte(id) ^ 0x5a
	}
	return b
}

func (x xorKeeper) Wrap(_ context.Context, k Key) (Wrapped, error) {
	b := x.mask(k.ID, k.Bytes)
	return Wrapped{By: x.by, Blob: b[:]}, x.away
}

func (x xorKeeper) Unwrap(_ context.Context, id uint32, w Wrapped) (Key, error) {
	if x.away != nil {
		return Key{}, x.away
	}
	k := Key{ID: id, Bytes: x.mask(id, [KeyBytes]byte(w.Blob))}
	if x.odd {
		k.Bytes[0] ^= 1
	}
	return k, nil
}

func TestWrappedKeyFile(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "keys")
	keeper := xorKeeper{by: "kek/1"}
	first, err := Generate(path)
	if err != nil {
		t.Fatal(err)
	}
	record := first.Seal(nil, []byte("v"), nil)
	if _, err := LoadRingBy(ctx, path, keeper); !errors.Is(err, ErrBadKeyFile) || !strings.Contains(err.Error(), "keys rewrap") {
		t.Fatalf("a clear key under key management: %v", err)
	}
	if _, err := Rewrap(ctx, path, keeper); err != nil {
		t.Fatal(err)
	}
	if _, err := RotateBy(ctx, path, xorKeeper{by: "kek/2"}); err != nil {
		t.Fatal(err)
	}
	list, err := List(path)
	if err != nil || fmt.Sprint(list) != "[{1 kek/1} {2 kek/2}]" {
		t.Fatalf("%v, %v", list, err)
	}
	r, err := LoadRingBy(ctx, path, keeper)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Open(nil, record, nil); err != nil || string(got) != "v" || r.Sealing() != 2 {
		t.Fatalf("%q, sealing %d, %v", got, r.Sealing(), err)
	}
	if _, err := LoadRing(path); !errors.Is(err, ErrBadKeyFile) || !strings.Contains(err.Error(), `wrapped by "kek/1"`) {
		t.Fatalf("wrapped keys without key management: %v", err)
	}
	away := fmt.Errorf("%w: away", ErrKeeper)
	if _, err := LoadRingBy(ctx, path, xorKeeper{away: away}); !errors.Is(err, ErrKeeper) || !strings.Contains(err.Error(), "key id 1") {
		t.Fatalf("key management away: %v", err)
	}
	if err := Drop(path, []uint32{1}); err != nil {
		t.Fatal(err)
	}
	if err := Drop(path, []uint32{2}); !errors.Is(err, ErrBadKeyFile) {
		t.Fatalf("the last key was dropped: %v", err)
	}
}

// A keeper that cannot give the key back must not be trusted with it: the file stays.
func TestWrapIsProved(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "keys")
	if _, err := Generate(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, keeper := range []xorKeeper{{by: "k", odd: true}, {by: "no good name"}, {by: ""}} {
		if _, err := Rewrap(ctx, path, keeper); !errors.Is(err, ErrKeeper) {
			t.Errorf("%+v: %v", keeper, err)
		}
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Fatal("the key file was changed")
	}
}

func FuzzKeyFile(f *testing.F) {
	good := strings.Repeat("ab", KeyBytes)
	f.Add([]byte("1 " + good + "\n"))
	f.Add([]byte("# c\n2 wrapped kek/1 AAAA\n"))
	f.Add([]byte("2 wrapped kek/1 !\n3 wrapped\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		lines, err := parse(b)
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "keys")
		if err := writeLines(path, lines, false); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(data)
		if err != nil || fmt.Sprint(listed(again)) != fmt.Sprint(listed(lines)) {
			t.Fatalf("%v became %v, %v", listed(lines), listed(again), err)
		}
	})
}

func listed(lines []line) (out []string) {
	for _, l := range lines {
		s := fmt.Sprintf("%d %s %x", l.id, l.wrapped.By, l.wrapped.Blob)
		if l.clear != nil {
			s += fmt.Sprintf(" %x", *l.clear)
		}
		out = append(out, s)
	}
	return out
}
