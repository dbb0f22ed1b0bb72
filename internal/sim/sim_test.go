package sim

import (
	"flag"
	"fmt"
	"testing"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed only")
	seeds = flag.Uint64("seeds", 200, "how many seeds TestSeeds runs")
)

// TestSeed runs one seed: go test ./internal/sim -run 'TestSeed$' -seed N
func TestSeed(t *testing.T) {
	s, err := Run(Default(*seed))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", s)
}

func TestSeeds(t *testing.T) {
	if *seed != 0 {
		return
	}
	var total Summary
	for n := uint64(1); n <= *seeds; n++ {
		s, err := Run(Default(n))
		if err != nil {
			t.Errorf("%v\nrun it again: go test ./internal/sim -run 'TestSeed$' -seed %d", err, n)
			if t.Failed() && n > 20 {
				return
			}
		}
		total.Sessions += s.Sessions
		total.Packets += s.Packets
		total.Acked += s.Acked
		total.Crashes += s.Crashes
		total.Cuts += s.Cuts
		total.Entries += s.Entries
		total.Charged += s.Charged
		total.Overrun += s.Overrun
	}
	t.Logf("%+v", total)
	if total.Crashes == 0 || total.Cuts == 0 || total.Overrun == 0 || total.Charged == 0 {
		t.Fatalf("the seeds do not reach what they should: %+v", total)
	}
}

// The same seed gives the same run.
func TestRunIsDeterministic(t *testing.T) {
	a, errA := Run(Default(7))
	b, errB := Run(Default(7))
	if fmt.Sprint(a, errA) != fmt.Sprint(b, errB) {
		t.Fatalf("first %+v %v, then %+v %v", a, errA, b, errB)
	}
}

// Where reports arrive and NAS are reached, overrun stays within its stated
// bound, also while the centre is away.
func TestOverrunBound(t *testing.T) {
	var overrun int64
	for n := uint64(1); n <= 30; n++ {
		cfg := Default(n)
		cfg.Faults = Faults{}
		s, err := Run(cfg)
		if err != nil {
			t.Fatal(err)
		}
		overrun += s.Overrun
	}
	if overrun == 0 {
		t.Fatal("nobody overran: the bound was not tried")
	}
}
