package bench

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"meridian/replication/identity"
	"meridian/replication/seal"
)

// TestMember runs a member as its process would: it founds a region, fills it,
// answers loads, writes a snapshot, and ends with its input.
func TestMember(t *testing.T) {
	keys := t.TempDir()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := ca.Issue(identity.Node(benchRegion, "bench-1"), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := bundle.Save(keys, "bench-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Generate(filepath.Join(keys, dataKeys)); err != nil {
		t.Fatal(err)
	}
	in, to := io.Pipe()
	from, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- RunMember(t.Context(), in, out, slog.New(slog.DiscardHandler)) }()
	m := &memberProcess{to: json.NewEncoder(to), from: json.NewDecoder(from), spec: memberSpec{
		Node: "bench-1", Dir: t.TempDir(), Keys: keys, Found: true, Load: loadDimensions{Subscribers: 300, Sessions: 60},
		Peers: []memberAddrs{{Node: "bench-1", Raft: "127.4.9.1:7100", Forward: "127.4.9.1:7101"}},
	}}
	if err := m.to.Encode(m.spec); err != nil {
		t.Fatal(err)
	}
	var opened reply
	if err := m.from.Decode(&opened); err != nil || !opened.OK {
		t.Fatalf("%+v %v", opened, err)
	}
	if _, err := (&memberRegion{members: []*memberProcess{m}}).leader(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range []request{
		{Do: "fill"}, {Do: "closed", InFlight: 16, Seconds: 0.1}, {Do: "open", PerS: 500, Seconds: 0.1},
		{Do: "ack"}, {Do: "snapshot", PerS: 500}, {Do: "memory"}, {Do: "serves"},
	} {
		a, err := m.ask(q)
		if err != nil {
			t.Fatal(err)
		}
		load := q.Do == "closed" || q.Do == "open" || q.Do == "snapshot"
		if load && (a.PerS <= 0 || a.P50MS <= 0 || a.P99MS < a.P50MS || a.GapMS <= 0) || q.Do == "memory" && a.MiB <= 0 || q.Do == "snapshot" && (a.TookS <= 0 || a.Hold <= 0) {
			t.Errorf("%s: %+v", q.Do, a)
		}
	}
	if _, err := m.ask(request{Do: "nonsense"}); err == nil {
		t.Error("an unknown request was answered")
	}
	if snaps, err := os.ReadDir(filepath.Join(m.spec.Dir, "snapshots")); err != nil || len(snaps) != 1 {
		t.Errorf("%d snapshots: %v", len(snaps), err)
	}
	if err := to.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestPercentile(t *testing.T) {
	var all []float64
	for i := range 50 {
		all = append(all, float64(50-i))
	}
	for q, want := range map[float64]float64{0.99: 50, 0.98: 49, 0.5: 25, 0: 1, 1: 50} {
		if got := percentile(all, q); got != want {
			t.Errorf("%v of 1 to 50: %v, want %v", q, got, want)
		}
	}
	if got := percentile([]float64{7}, 0.99); got != 7 {
		t.Errorf("of one: %v", got)
	}
}
