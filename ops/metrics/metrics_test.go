package metrics

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var testMetrics = []Metric{
	{Name: "packets_total", Help: "Packets taken in.", Kind: Counter, Labels: []string{"outcome"}},
	{Name: "queue_depth", Help: "Packets that wait.", Kind: Gauge},
}

func scrape(t *testing.T, samples func() []Sample) (body string, errs []string) {
	t.Helper()
	reg, err := NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCollector("meridian_radius", map[string]string{"node": "north-1"}, testMetrics, samples)
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	Handler(reg, func(err error) { errs = append(errs, err.Error()) }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String(), errs
}

func TestScrape(t *testing.T) {
	body, errs := scrape(t, func() []Sample {
		return []Sample{{"packets_total", 7, []string{"accepted"}, nil}, {"packets_total", 2, []string{"dropped"}, nil}, {"queue_depth", 3, nil, nil}}
	})
	for _, want := range []string{
		"# HELP meridian_radius_packets_total Packets taken in.",
		"# TYPE meridian_radius_packets_total counter",
		`meridian_radius_packets_total{node="north-1",outcome="accepted"} 7`,
		`meridian_radius_packets_total{node="north-1",outcome="dropped"} 2`,
		"# TYPE meridian_radius_queue_depth gauge",
		`meridian_radius_queue_depth{node="north-1"} 3`,
		"go_goroutines ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in:\n%s", want, body)
		}
	}
	if len(errs) != 0 {
		t.Errorf("errors: %q", errs)
	}
}

func TestHistogramAndList(t *testing.T) {
	reg := prometheus.NewRegistry()
	c, err := NewCollector("meridian_radius", map[string]string{"node": "north-1"},
		[]Metric{{Name: "latency_seconds", Help: "How long | it took.", Kind: Histogram, Labels: []string{"port"}}, testMetrics[0]},
		func() []Sample {
			return []Sample{{Name: "latency_seconds", Labels: []string{"auth"}, Hist: &Hist{Bounds: []float64{0.1, 1}, Counts: []uint64{2, 3, 1}, Sum: 4.5}},
				{"packets_total", 1, []string{"accepted"}, nil}}
		})
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.Register(c); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	Handler(reg, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`{node="north-1",port="auth",le="0.1"} 2`, `le="1"} 5`, `le="+Inf"} 6`, `_sum{node="north-1",port="auth"} 4.5`, `_count{node="north-1",port="auth"} 6`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %q in:\n%s", want, w.Body)
		}
	}
	rows, err := List(reg, "meridian_")
	if err != nil {
		t.Fatal(err)
	}
	want := "| metric | kind | labels | what it is |\n| --- | --- | --- | --- |\n" +
		"| `meridian_radius_latency_seconds` | histogram | node, port | How long \\| it took. |\n" +
		"| `meridian_radius_packets_total` | counter | node, outcome | Packets taken in. |\n"
	if got := Table(rows); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	before, table, after, err := Section("a\n<!-- x -->\nb\n<!-- end -->\nc\n", "x")
	if before != "a\n<!-- x -->\n" || table != "b\n" || after != "<!-- end -->\nc\n" || err != nil {
		t.Errorf("%q %q %q %v", before, table, after, err)
	}
	if _, _, _, err := Section("a", "x"); err == nil {
		t.Error("a missing section was found")
	}
}

func TestBadSamplesCostOnlyThemselves(t *testing.T) {
	body, errs := scrape(t, func() []Sample {
		return []Sample{{"unheard_of", 1, nil, nil}, {"packets_total", 1, nil, nil}, {"queue_depth", 3, nil, nil}}
	})
	if !strings.Contains(body, `meridian_radius_queue_depth{node="north-1"} 3`) {
		t.Errorf("the good sample is missing:\n%s", body)
	}
	all := strings.Join(errs, "\n")
	for _, want := range []string{"unheard_of", "packets_total"} {
		if !strings.Contains(all, want) {
			t.Errorf("errors %q do not name %s", all, want)
		}
	}
}

func TestBadDescriptionsAreRefused(t *testing.T) {
	_, err := NewCollector("meridian", nil, []Metric{
		{Name: "a", Help: "x", Kind: Counter},
		{Name: "b_total", Help: "x", Kind: Gauge},
		{Name: "c", Help: "", Kind: Gauge},
		{Name: "d", Help: "x", Kind: 9},
		{Name: "c", Help: "x", Kind: Gauge},
	}, func() []Sample { return nil })
	for _, want := range []string{"metric a", "b_total", "help text", "kind 9", "twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewCollector = %v, does not say %q", err, want)
		}
	}
	if _, err := NewCollector("meridian", nil, nil, nil); err == nil {
		t.Error("a collector without samples was accepted")
	}
}

// One collector per package and node: a second one of the same names must fail
// at registration, not at a scrape.
func TestRegisteringTwiceFails(t *testing.T) {
	reg := prometheus.NewRegistry()
	for i, want := range []bool{true, false} {
		c, err := NewCollector("meridian", nil, testMetrics, func() []Sample { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := reg.Register(c); (err == nil) != want {
			t.Errorf("registration %d: %v, want success %t", i+1, err, want)
		}
	}
}
