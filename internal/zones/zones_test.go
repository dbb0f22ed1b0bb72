package zones

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The bytes of a version never change: an offering's hash names the version only.
func TestDataIsWhatItsVersionSays(t *testing.T) {
	want := map[string]string{"2025c": "8f55634d05f8bca1f7bc7c69c5933428c69357e0bdf565e5ba224e3f88ff12e8"}
	if len(want) != len(Versions()) {
		t.Fatalf("versions %v, sums of %d", Versions(), len(want))
	}
	for _, v := range Versions() {
		sum := sha256.Sum256([]byte(archive(v)))
		if hex.EncodeToString(sum[:]) != want[v] {
			t.Errorf("the data of %s hashes to %x", v, sum)
		}
	}
	if v := Versions(); v[len(v)-1] != Latest {
		t.Errorf("the latest of %v is said to be %s", v, Latest)
	}
}

// Every zone of the archive is found and is one.
func TestEveryZoneLoads(t *testing.T) {
	for _, version := range Versions() {
		data := archive(version)
		z, err := zip.NewReader(strings.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range z.File {
			if strings.HasSuffix(f.Name, "/") {
				continue
			}
			n++
			l, err := Load(version, f.Name)
			if err != nil || l.String() != f.Name && f.Name != "UTC" {
				t.Errorf("%s: %v, %v", f.Name, l, err)
			}
		}
		if n < 500 {
			t.Errorf("version %s has %d zones", version, n)
		}
	}
}

// A doctored zone where the machine's data is looked for changes nothing.
func TestTheMachinesZonesDoNotMatter(t *testing.T) {
	dir := t.TempDir()
	tokyo, ok := find(archive(Latest), "Asia/Tokyo")
	if !ok {
		t.Fatal("no Asia/Tokyo")
	}
	if err := os.MkdirAll(filepath.Join(dir, "Europe"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Europe", "Berlin"), []byte(tokyo), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ZONEINFO", dir)
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	machine, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if got := at.In(machine).Hour(); got != 21 {
		t.Fatalf("the machine's Berlin was to be at Tokyo's hour, 21, and is at %d: the test shows nothing", got)
	}
	ours, err := Load(Latest, "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if got := at.In(ours).Hour(); got != 14 {
		t.Errorf("noon UTC in July is %d o'clock in Berlin, want 14", got)
	}
}

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		version, name string
		want          error
	}{
		{"", "", nil}, {"", "UTC", nil}, {Latest, "Europe/Riga", nil},
		{"1999z", "Europe/Riga", ErrVersion}, {"1999z", "UTC", ErrVersion},
		{Latest, "Europe/Atlantis", ErrZone}, {Latest, "../etc/passwd", ErrZone}, {Latest, "Europe/", ErrZone},
	} {
		l, err := Load(c.version, c.name)
		if !errors.Is(err, c.want) || (c.want == nil) != (l != nil) {
			t.Errorf("%s of %q: %v, %v; want %v", c.name, c.version, l, err, c.want)
		}
	}
}
