package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func key(id uint32, fill byte) Key {
	k := Key{ID: id}
	for i := range k.Bytes {
		k.Bytes[i] = fill
	}
	return k
}

func ring(t *testing.T, keys ...Key) *Ring {
	t.Helper()
	r, err := NewRing(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealOpen(t *testing.T) {
	r := ring(t, key(1, 'a'), key(7, 'b'))
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("long"), 10_000)} {
		sealed := r.Seal([]byte("head"), plain, []byte("place"))
		if !bytes.HasPrefix(sealed, []byte("head")) || len(sealed) != 4+len(plain)+Overhead {
			t.Fatalf("sealed %d bytes into %d", len(plain), len(sealed))
		}
		if id, ok := KeyID(sealed[4:]); !ok || id != 7 {
			t.Fatalf("sealed with key %d, want the newest, 7", id)
		}
		got, err := r.Open([]byte("out"), sealed[4:], []byte("place"))
		if err != nil || string(got) != "out"+string(plain) {
			t.Fatalf("open: %v", err)
		}
		if len(plain) > 8 && bytes.Contains(sealed, plain[:8]) {
			t.Fatal("clear text in the sealed record")
		}
	}
	if r.Sealed() != 3 {
		t.Fatalf("counted %d records, sealed 3", r.Sealed())
	}
}

func TestEveryByteIsAuthenticated(t *testing.T) {
	r := ring(t, key(1, 'a'))
	sealed := r.Seal(nil, []byte("secret"), []byte("place"))
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := r.Open(nil, bad, []byte("place")); err == nil {
			t.Errorf("byte %d changed and the record still opens", i)
		}
	}
	for n := range sealed {
		if _, err := r.Open(nil, sealed[:n], []byte("place")); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v, want ErrCorrupt", n, err)
		}
	}
	if _, err := r.Open(nil, sealed, []byte("elsewhere")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("moved to another place: %v, want ErrCorrupt", err)
	}
}

func TestRotation(t *testing.T) {
	old := ring(t, key(1, 'a'))
	sealed := old.Seal(nil, []byte("before"), nil)
	both := ring(t, key(2, 'b'), key(1, 'a'))
	if got, err := both.Open(nil, sealed, nil); err != nil || string(got) != "before" {
		t.Fatalf("after rotation: %q, %v", got, err)
	}
	_, err := old.Open(nil, both.Seal(nil, []byte("after"), nil), nil)
	if !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), "key id 2") || !strings.Contains(err.Error(), "add that key") {
		t.Fatalf("unknown key: %v", err)
	}
}

func TestNewRingReportsAllFaults(t *testing.T) {
	_, err := NewRing([]Key{{ID: 0}, key(3, 'x'), key(3, 'y'), {ID: 4}})
	for _, want := range []string{"id 0", "id 3 is given twice", "id 4 is all zero"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %q", err, want)
		}
	}
	if _, err := NewRing(nil); err == nil {
		t.Error("a ring without keys was made")
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	first, err := Generate(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
	if _, err := Generate(path); !errors.Is(err, os.ErrExist) {
		t.Fatalf("second Generate: %v, want that the file exists", err)
	}
	sealed := first.Seal(nil, []byte("v"), nil)
	if _, err := Rotate(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadRing(path)
	if err != nil || loaded.Newest() != 2 {
		t.Fatalf("loaded newest %d, %v", loaded.Newest(), err)
	}
	if _, err := loaded.Open(nil, sealed, nil); err != nil {
		t.Fatalf("old record after Rotate: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".keys-*")); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestBadKeyFiles(t *testing.T) {
	good := strings.Repeat("ab", KeyBytes)
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    []string
	}{
		"open to others": {"1 " + good, 0o644, []string{"chmod 600"}},
		"every line":     {"x " + good + "\n2 abc\n3\n", 0o600, []string{"line 1", "line 2", "key id 2", "line 3"}},
		"empty":          {"# nothing\n", 0o600, []string{"0 keys"}},
		"twice":          {"1 " + good + "\n1 " + good, 0o600, []string{"given twice"}},
	} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadRing(path)
		if !errors.Is(err, ErrBadKeyFile) {
			t.Errorf("%s: %v, want ErrBadKeyFile", name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v does not say %q", name, err, w)
			}
		}
		if strings.Contains(err.Error(), good) {
			t.Errorf("%s: the error shows a key", name)
		}
	}
	if _, err := LoadRing(filepath.Join(t.TempDir(), "none")); !errors.Is(err, ErrBadKeyFile) {
		t.Errorf("missing file: %v", err)
	}
}

// The format of a record is fixed: this one was sealed once and must open for ever.
func TestFormatIsStable(t *testing.T) {
	sealed, err := hex.DecodeString(goldenRecord)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ring(t, key(5, 'k')).Open(nil, sealed, []byte("golden"))
	if err != nil || string(got) != "meridian" {
		t.Fatalf("golden record: %q, %v", got, err)
	}
}

func FuzzOpen(f *testing.F) {
	r, err := NewRing([]Key{key(1, 'a')})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{})
	f.Add(r.Seal(nil, []byte("seed"), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := r.Open(nil, b, []byte("never used to seal")); err == nil {
			t.Fatal("a record opened that was never sealed")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	r, err := NewRing([]Key{key(1, 'a')})
	if err != nil {
		b.Fatal(err)
	}
	plain, dst := make([]byte, 4096), make([]byte, 0, 4096+Overhead)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		dst = r.Seal(dst[:0], plain, nil)
	}
}
