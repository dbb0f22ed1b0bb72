package sim

import "testing"

// Regions lose all their disks: they go on from an old backup, also after they wrote what
// the centre never saw, or are closed and founded anew, some several times in a run.
func TestEpochs(t *testing.T) {
	var total Summary
	for n := uint64(1); n <= 24; n++ {
		s, err := Run(Calamities(n))
		if err != nil {
			t.Errorf("%v\nrun it again: go test ./internal/sim -run 'TestEpoch$' -seed %d", err, n)
		}
		total.add(s)
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", total)
	if total.Restored == 0 || total.Anew == 0 {
		t.Errorf("%d regions were restored, %d founded anew: the faults are too weak", total.Restored, total.Anew)
	}
}

// TestEpoch runs one seed.
func TestEpoch(t *testing.T) {
	s, err := Run(Calamities(max(*seed, 1)))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", s)
}
