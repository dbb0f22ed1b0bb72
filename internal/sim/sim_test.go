package sim

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
)

var (
	seed  = flag.Uint64("seed", 0, "run this seed only")
	seeds = flag.Uint64("seeds", 200, "how many seeds TestSeeds runs")
)

// TestSeed runs one seed: go test ./internal/sim -run 'TestSeed$' -seed N
func TestSeed(t *testing.T) {
	s, err := Run(Default(max(*seed, 1)))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", s)
}

// progressEach is how many seeds a long run goes through between two lines.
const progressEach = 100

// TestSeeds runs many seeds; it stops after three that fail.
func TestSeeds(t *testing.T) {
	if *seed != 0 {
		return
	}
	var (
		mu     sync.Mutex
		total  Summary
		failed = map[uint64]error{}
		next   uint64
		wait   sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for next < *seeds && len(failed) < 3 {
				next++
				n := next
				mu.Unlock()
				s, err := Run(Default(n))
				mu.Lock()
				if err != nil {
					failed[n] = err
				}
				total.add(s)
				if n%progressEach == 0 {
					t.Logf("seed %d of %d, %d failed", n, *seeds, len(failed))
				}
			}
		})
	}
	wait.Wait()
	for _, n := range slices.Sorted(maps.Keys(failed)) {
		t.Errorf("%v\nrun it again: make sim SEED=%d", failed[n], n)
	}
	t.Logf("%+v", total)
	if len(failed) == 0 && total.lacks() {
		t.Errorf("the seeds do not reach what they should: %+v", total)
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

// lacks tells whether something that the faults are for never happened.
func (s *Summary) lacks() bool {
	return slices.Contains([]int{
		s.Checks, s.Crashes, s.Cuts, s.Partitions, s.Jumps, s.Installs, s.StaleLogins, s.Late, s.Quarantine, s.Given, int(s.Overrun), int(s.Charged),
	}, 0)
}
