package sim

import (
	"errors"
	"testing"
	"time"

	"meridian/internal/sim/history"
)

// What clients did and saw in a run is what one register for each account could
// have answered, whatever was lost, doubled, reordered or killed. Prices change in
// these runs and accounts run dry, so charges are the auditor's to judge.
func TestHistoriesAreLinearizable(t *testing.T) {
	var total history.Result
	reads := 0
	for n := uint64(1); n <= 12; n++ {
		cfg := Default(n)
		cfg.Days = 0 // within the life of tombstones
		res, o, err := observed(cfg)
		if err != nil {
			t.Fatalf("seed %d: %v", n, err)
		}
		total.Operations += res.Operations
		total.Unknown += res.Unknown
		reads += o.reads
	}
	if total.Operations < 1000 || total.Unknown == 0 || reads < 100 {
		t.Errorf("%+v and %d reads: too little happened", total, reads)
	}
	t.Logf("%d operations, %d without an answer, %d reads through a log", total.Operations, total.Unknown, reads)
}

// observed plays a run with an observer and judges it.
func observed(cfg Config) (history.Result, *observer, error) {
	w := newWorld(cfg)
	o := w.observe()
	if err := w.open(); err != nil {
		return history.Result{}, o, err
	}
	w.runUntil(cfg.Duration)
	w.settle()
	o.read()
	if len(w.audit.failures) > 0 {
		return history.Result{}, o, errors.New(w.audit.failures[0])
	}
	res, err := history.Check(history.Rules{Opening: func(string) int64 { return 0 }}, o.operations(), 10*time.Second)
	if err == nil && len(res.Undecided) > 0 {
		err = errors.New("undecided: " + res.Undecided[0])
	}
	return res, o, err
}

// A read of a node's replica that does not go through the log is refused by the
// judge: the check bites.
func TestStaleReadIsNotLinearizable(t *testing.T) {
	for n := uint64(1); n <= 60; n++ {
		cfg := Default(n)
		cfg.Days = 0
		if cfg.Nodes < 3 {
			continue
		}
		w := newWorld(cfg)
		o := w.observe()
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		w.every(readEach, time.Hour, func() { // a follower's replica, as it is
			for _, r := range w.regions {
				for _, node := range r.nodes {
					if node.up && !node.leads {
						o.clock++
						report := node.state.Report()
						o.region(o.clock, r, &report)
					}
				}
			}
		})
		w.runUntil(cfg.Duration)
		if _, err := history.Check(history.Rules{Opening: func(string) int64 { return 0 }}, o.operations(), 10*time.Second); err != nil {
			return
		}
	}
	t.Fatal("no replica was ever behind, or the judge does not see it")
}
