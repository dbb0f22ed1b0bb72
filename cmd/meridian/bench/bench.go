// Package bench measures the whole product on this machine, with real processes,
// and says each figure with the runs it comes from.
//
// It owns the loads and the clocks. Benchmarks of single packages are theirs, run
// by `make bench`.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/plant"
)

// Config says what to measure and how.
type Config struct {
	Name       string
	Network    string // first two octets of the processes' addresses
	Runs       int    // at least 3
	RunSeconds int
	// Subscribers is the size of the region whose memory, snapshot and restart are measured.
	Subscribers int
	Failovers   int // how often the leader is killed
	Backlog     int // entries that wait for the centre when it is back
	JSON        bool
	Benchstat   bool // a line for each run, as go test -bench writes it
	Out         io.Writer
	Logger      *slog.Logger
}

// DefaultConfig measures three runs of 4 s, on addresses beside a demo's.
func DefaultConfig() Config {
	return Config{Network: "127.3", Runs: 3, RunSeconds: 4, Subscribers: 1_000_000, Failovers: 50, Backlog: 5_000_000}
}

// Result is one figure: the median of the runs, and how far they lie apart.
type Result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Runs  int     `json:"runs"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`
	Note  string  `json:"note"`

	samples []float64 // of the runs, in their order
}

// newResult is the figure of some runs.
func newResult(name, unit, note string, runs []float64) Result {
	sorted := slices.Sorted(slices.Values(runs))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Result{Name: name, Value: round(median), Unit: unit, Runs: len(runs), Min: round(sorted[0]), Max: round(sorted[len(sorted)-1]), Note: note, samples: runs}
}

func round(f float64) float64 { return float64(int64(f*100+0.5)) / 100 }

// measurement gives the figures of one name.
type measurement func(context.Context, Config) ([]Result, error)

// benches are the names that can be asked for.
func benches() map[string]measurement {
	return map[string]measurement{
		"radius": inPlant(radiusBench), "centre": inPlant(centreBench), "region": regionBench, "seed": inPlant(seedBench), "drain": drainBench,
		"rate": func(_ context.Context, cfg Config) ([]Result, error) { return rateBench(cfg) }}
}

// Names lists what can be measured.
func Names() []string { return slices.Sorted(maps.Keys(benches())) }

// Run measures and prints.
func Run(ctx context.Context, cfg Config) (err error) {
	measure, ok := benches()[cfg.Name]
	if !ok {
		return exitcode.Misuse("bench %q is not known: use one of %s", cfg.Name, strings.Join(Names(), ", "))
	}
	layout := plant.Layout{Network: cfg.Network, Nodes: plant.DefaultNodes, Dir: "any"}
	if err := layout.Validate(); err != nil || cfg.Runs < 3 || cfg.Runs > 100 || cfg.RunSeconds < 1 || cfg.RunSeconds > 600 || cfg.Subscribers < 100 || cfg.Subscribers > 10_000_000 || cfg.Failovers < 1 || cfg.Failovers > 1000 || cfg.Backlog < 100 || cfg.Backlog > 15_000_000 {
		return exitcode.Misuse("--runs %d, --run-seconds %d, --subscribers %d, --failovers %d, --backlog %d, %v: use 3 to 100 runs of 1 to 600 seconds, 100 to 10000000 subscribers, 1 to 1000 fail-overs, and a backlog of 100 to 15000000 entries",
			cfg.Runs, cfg.RunSeconds, cfg.Subscribers, cfg.Failovers, cfg.Backlog, err)
	}
	results, err := measure(ctx, cfg)
	var coded *exitcode.Error
	if errors.As(err, &coded) {
		return err
	}
	if err != nil {
		return exitcode.Check("bench %s: %w", cfg.Name, err)
	}
	for _, r := range results {
		if err := r.print(cfg); err != nil {
			return exitcode.Missing("print: %w", err)
		}
	}
	return nil
}

// inPlant measures with a centre and its store.
func inPlant(measure func(context.Context, *plant.Plant, Config) ([]Result, error)) measurement {
	return func(ctx context.Context, cfg Config) (_ []Result, err error) {
		layout := plant.Layout{Network: cfg.Network, Nodes: plant.DefaultNodes}
		if layout.Dir, err = os.MkdirTemp("", "meridian-bench-"); err != nil {
			return nil, exitcode.Missing("%w", err)
		}
		p, err := plant.Open(ctx, plant.Config{Layout: layout, Logger: cfg.Logger})
		if err != nil {
			return nil, exitcode.Missing("%w", err)
		}
		defer func() { err = errors.Join(err, p.Close(), p.Remove()) }()
		if err := p.StartStore(ctx); err != nil {
			return nil, exitcode.Missing("%w", err)
		}
		if err := errors.Join(p.StartCentre(ctx), p.Found(ctx)); err != nil {
			return nil, exitcode.Missing("%w", err)
		}
		return measure(ctx, p, cfg)
	}
}

func (r *Result) print(cfg Config) error {
	switch {
	case cfg.JSON:
		return json.NewEncoder(cfg.Out).Encode(r)
	case cfg.Benchstat:
		for _, v := range r.samples {
			name := strings.ToUpper(r.Name[:1]) + r.Name[1:]
			if _, err := fmt.Fprintf(cfg.Out, "Benchmark%s 1 %.2f %s\n", name, v, r.Unit); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := fmt.Fprintf(cfg.Out, "%-28s %12.2f %-10s %d runs, %.2f to %.2f  %s\n", r.Name, r.Value, r.Unit, r.Runs, r.Min, r.Max, r.Note)
	return err
}

// machine says on what was measured.
func machine() string {
	return fmt.Sprintf("%d CPUs, load generator on the same machine", runtime.NumCPU())
}

// duration is how long one run takes.
func (c *Config) duration() time.Duration { return time.Duration(c.RunSeconds) * time.Second }
