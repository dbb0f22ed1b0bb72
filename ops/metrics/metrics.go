// Package metrics exports the plain counters of Meridian's packages to
// Prometheus.
//
// A package counts in fields of its own and knows nothing of Prometheus. A
// composition root turns each package's Stats into samples, registers a
// Collector for them, and serves Handler. This package owns that translation,
// and refuses names and labels that would only fail at the first scrape.
//
// Labels name parts of the system (region, node, reason). A subscriber, account
// or session is never a label: their number has no bound.
package metrics

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry gathers collectors for one process; see NewRegistry.
type Registry = prometheus.Registry

// Kind is what a metric's value means.
type Kind int

const (
	Counter   Kind = iota // only grows while the process lives; its name ends in _total
	Gauge                 // goes up and down
	Histogram             // counts by upper bound; its name ends in a unit
)

// Metric describes one metric of a collector.
type Metric struct {
	Name   string   // without the namespace, units last: queue_depth, ingest_seconds_total
	Help   string   // one sentence for an operator
	Kind   Kind     // Counter, Gauge or Histogram
	Labels []string // names of the labels, in the order of Sample.Labels
}

// Sample is a metric's value at this moment.
type Sample struct {
	Name   string   // of a Metric
	Value  float64  // in the unit that the name ends with
	Labels []string // values, as many as the Metric has names
	Hist   *Hist    // instead of Value, for a Histogram
}

// Hist is a histogram at this moment.
type Hist struct {
	Bounds []float64 // upper bounds, rising, in the unit that the name ends with
	Counts []uint64  // values up to each bound and above the one before; a last one above all bounds
	Sum    float64   // of all values
}

// constHistogram turns counts per bucket into Prometheus' cumulative ones.
func constHistogram(desc *prometheus.Desc, h *Hist, labels []string) (prometheus.Metric, error) {
	if h == nil || len(h.Counts) != len(h.Bounds)+1 {
		return nil, errors.New("a histogram needs one count more than bounds")
	}
	buckets, total := make(map[float64]uint64, len(h.Bounds)), uint64(0)
	for i, bound := range h.Bounds {
		total += h.Counts[i]
		buckets[bound] = total
	}
	total += h.Counts[len(h.Bounds)]
	return prometheus.NewConstHistogram(desc, total, h.Sum, buckets, labels...)
}

// collector turns samples into Prometheus' metrics at each scrape.
type collector struct {
	metrics []Metric
	byName  map[string]described
	samples func() []Sample
}

type described struct {
	desc      *prometheus.Desc
	kind      prometheus.ValueType
	histogram bool
}

func (d described) metric(s Sample) (prometheus.Metric, error) {
	if d.histogram {
		return constHistogram(d.desc, s.Hist, s.Labels)
	}
	return prometheus.NewConstMetric(d.desc, d.kind, s.Value, s.Labels...)
}

// NewCollector returns a collector of the metrics namespace_NAME, whose values
// samples returns. samples is called at each scrape, possibly by several
// goroutines at once, and must not block. A sample that is not described, or
// whose labels do not fit, is left out of that scrape and reported by name to
// Handler's onError. labels are constant, such as the node's name; nil for none.
func NewCollector(namespace string, labels map[string]string, metrics []Metric, samples func() []Sample) (prometheus.Collector, error) {
	if samples == nil {
		return nil, fmt.Errorf("metrics of %s: no function that returns samples", namespace)
	}
	c := &collector{metrics: slices.Clone(metrics), byName: map[string]described{}, samples: samples}
	var faults []error
	for _, m := range metrics {
		if err := m.validate(); err != nil {
			faults = append(faults, err)
		}
		if _, twice := c.byName[m.Name]; twice {
			faults = append(faults, fmt.Errorf("metric %s is described twice", m.Name))
		}
		kind := prometheus.CounterValue
		if m.Kind == Gauge {
			kind = prometheus.GaugeValue
		}
		c.byName[m.Name] = described{
			desc: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", m.Name), m.Help, m.Labels, labels),
			kind: kind, histogram: m.Kind == Histogram,
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("metrics of %s: %w", namespace, err)
	}
	return c, nil
}

func (m Metric) validate() error {
	var faults []error
	if m.Name == "" || m.Help == "" {
		faults = append(faults, fmt.Errorf("metric %q lacks a name or a help text", m.Name))
	}
	if m.Kind != Counter && m.Kind != Gauge && m.Kind != Histogram {
		faults = append(faults, fmt.Errorf("metric %s: kind %d: use Counter, Gauge or Histogram", m.Name, m.Kind))
	}
	if total := strings.HasSuffix(m.Name, "_total"); total != (m.Kind == Counter) {
		faults = append(faults, fmt.Errorf("metric %s: the names of counters, and only those, end in _total", m.Name))
	}
	return errors.Join(faults...)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.metrics {
		ch <- c.byName[m.Name].desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.samples() {
		d, ok := c.byName[s.Name]
		if !ok {
			err := fmt.Errorf("sample %q belongs to no described metric", s.Name)
			ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
			continue
		}
		m, err := d.metric(s)
		if err != nil {
			err = fmt.Errorf("sample %q: %w", s.Name, err)
			m = prometheus.NewInvalidMetric(d.desc, err)
		}
		ch <- m
	}
}

// NewRegistry returns a registry that holds the process's and the Go runtime's
// own metrics. Nothing is registered with Prometheus' global one.
func NewRegistry() (*prometheus.Registry, error) {
	reg := prometheus.NewRegistry()
	err := errors.Join(
		reg.Register(collectors.NewGoCollector()),
		reg.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	)
	if err != nil {
		return nil, fmt.Errorf("register the process's metrics: %w", err)
	}
	return reg, nil
}

// Handler serves /metrics. A collector that fails costs its own metrics, not
// the scrape; onError, which may be nil, is told.
func Handler(reg *prometheus.Registry, onError func(error)) http.Handler {
	opts := promhttp.HandlerOpts{Registry: reg, ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4}
	if onError != nil {
		opts.ErrorLog = errorLog(onError)
	}
	return promhttp.HandlerFor(reg, opts)
}

// errorLog is promhttp's Logger over a function.
type errorLog func(error)

func (f errorLog) Println(v ...any) { f(errors.New(strings.TrimSpace(fmt.Sprintln(v...)))) }
