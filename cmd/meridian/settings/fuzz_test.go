package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzParse: whatever a file holds, reading it ends, every fault names the file and
// a remedy, and what was read without a fault is written and read back the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(goodEdge))
	f.Add([]byte(goodCentral))
	f.Add([]byte("policy: {cut_age: 5s}\npeers: [{id: a}, ~]\nlog:\n  level: |\n    a\n  format: >-\n    b\n"))
	f.Add([]byte("a: &x {b: *x}\n<<: *x\n? [a]\n: b\n!!str c: d\n--- \n...\n"))
	f.Add([]byte("cluster: \"\\u0000\"\n'region': 0x1F\nnode: .nan\ntick_each: -1h\ncut_per_tick: 1_000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Edge
		r := newReader("fuzz.yaml")
		r.parse(data, reflect.ValueOf(&s).Elem())
		err := r.err()
		if err == nil {
			back, err := readBack[Edge](s.Describe())
			if err != nil || string(back.Describe()) != string(s.Describe()) {
				t.Errorf("%v\n%s\nread back:\n%s", err, s.Describe(), back.Describe())
			}
			return
		}
		for _, fault := range r.found {
			if fault.File != "fuzz.yaml" || fault.Problem == "" || fault.Line < 0 {
				t.Errorf("fault %+v", fault)
			}
		}
		if !strings.Contains(err.Error(), "fuzz.yaml") {
			t.Error(err)
		}
	})
}

// FuzzLoad goes the whole way with environment and checks.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(goodEdge), "MERIDIAN_EDGE_TICK_EACH=5s")
	f.Add([]byte("peers: [{}]\n"), "MERIDIAN_EDGE_CENTRE=,,")
	f.Add([]byte(""), "MERIDIAN_=")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, variable string) {
		path := filepath.Join(dir, "edge.yaml")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		// Key files are not there: there is always a fault, and never a panic.
		if _, _, err := LoadEdge(path, []string{variable}); err == nil {
			t.Error("a file without keys was accepted")
		}
	})
}
