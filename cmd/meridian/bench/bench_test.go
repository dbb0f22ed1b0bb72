package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"testing"
	"time"

	"meridian/internal/journal"
	"meridian/replication/link"
)

func TestResult(t *testing.T) {
	for _, c := range []struct {
		runs             []float64
		median, min, max float64
	}{
		{[]float64{3, 1, 2}, 2, 1, 3},
		{[]float64{4, 1, 3, 2}, 2.5, 1, 4},
		{[]float64{1.006, 1.006, 1.006}, 1.01, 1.01, 1.01},
	} {
		r := newResult("radius/x", "us", "note", c.runs)
		if r.Value != c.median || r.Min != c.min || r.Max != c.max || r.Runs != len(c.runs) {
			t.Errorf("%v: %+v", c.runs, r)
		}
		var out bytes.Buffer
		if err := r.print(Config{Out: &out, JSON: true}); err != nil {
			t.Fatal(err)
		}
		got := Result{samples: c.runs}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || !reflect.DeepEqual(got, r) || bytes.Count(out.Bytes(), []byte("\n")) != 1 {
			t.Errorf("printed %s, %v", &out, err)
		}
	}
}

func TestBenchstatLines(t *testing.T) {
	r := newResult("centre/ingest_cpu_us", "us", "note", []float64{31, 30.5})
	var out bytes.Buffer
	if err := r.print(Config{Out: &out, Benchstat: true}); err != nil {
		t.Fatal(err)
	}
	const want = "BenchmarkCentre/ingest_cpu_us 1 31.00 us\nBenchmarkCentre/ingest_cpu_us 1 30.50 us\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", &out, want)
	}
}

// The processes of a store are found by their parent, what ended among them by
// what the parent has reaped.
func TestFamilyCPU(t *testing.T) {
	before, err := familyCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done").Run(); err != nil {
		t.Fatal(err)
	}
	if after, err := familyCPU(os.Getpid()); err != nil || after <= before {
		t.Errorf("%s before and %s after a child that computed: %v", before, after, err)
	}
	if _, err := familyCPU(1 << 30); err == nil {
		t.Error("a process that does not exist was measured")
	}
}

func TestParseStat(t *testing.T) {
	const stat = "4242 (a (b) c) S 1 4242 4242 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 12 0 100 1 1"
	if got, err := parseStat(stat); err != nil || got != 2*time.Second {
		t.Errorf("%s, %v, want 2s", got, err)
	}
	for _, bad := range []string{"", "1 (x) S 1", "1 (x) S 1 1 1 0 -1 1 1 0 0 0 x 50 0"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// TestLedgerChains wants entries that the centre would accept as one ledger.
func TestLedgerChains(t *testing.T) {
	l := &ledger{}
	var head journal.Hash
	seq := uint64(0)
	for _, b := range append([]link.Batch{l.epoch()}, l.batches(2)...) {
		if !bytes.Equal(b.PrevHash, head[:]) || b.FirstSeq != seq+1 {
			t.Fatalf("batch from %d does not follow %d", b.FirstSeq, seq)
		}
		for _, raw := range b.Entries {
			e, err := journal.DecodeEntry(raw)
			if err != nil {
				t.Fatal(err)
			}
			if seq++; e.Seq != seq {
				t.Fatalf("entry %d at place %d", e.Seq, seq)
			}
			head = journal.Chain(head, raw)
		}
		if !bytes.Equal(b.HeadHash, head[:]) {
			t.Fatal("the batch's head is not its chain's")
		}
	}
	if seq != 1+2*ingestBatch {
		t.Errorf("%d entries", seq)
	}
}

func TestRateBenchNames(t *testing.T) {
	results, err := coreBench(Config{Runs: 1})
	if err != nil {
		t.Fatal(err)
	}
	more, err := catalogBench(Config{Runs: 1}, 40)
	if err != nil {
		t.Fatal(err)
	}
	results = append(results, more...)
	got := map[string]bool{}
	for _, r := range results {
		got[r.Name] = r.Value > 0 && r.Unit == "ns" || r.Value >= 0 && r.Unit == "ms" // of a few offerings less than a tick
	}
	for _, name := range []string{"rate/call_65s_ns", "rate/call_3600s_ns", "rate/debit_call_3600s_ns", "rate/prefix_1m_ns", "rate/catalog_yaml_ms", "rate/catalog_compile_ms"} {
		if !got[name] {
			t.Errorf("%s was not measured", name)
		}
	}
}
