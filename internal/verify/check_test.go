package verify_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"meridian/internal/verify"
)

func TestConsistentWorldPasses(t *testing.T) {
	for name, prepare := range map[string]func(*world){
		"with entries and a grant on the way": func(*world) {},
		"drained":                             (*world).drain,
		"one node":                            func(w *world) { w.edges = w.edges[:1] },
		"a node that lags behind": func(w *world) {
			r := &w.edges[1]
			// It has not seen the last cut: three entries less, and that usage uncut.
			r.Index, r.Entries = 800, r.Entries[:1]
			head(r)
			r.Buckets[0].S, r.Buckets[0].U = 50, 5
			s := &r.Sessions[0]
			s.CutIn, s.CutSeconds, s.Cuts, s.Pending[0].Amount = 101, 60, 1, 5
			s.CutBefore.Quantity, s.CutBefore.Charged = 101, 30
		},
		"a node that has nothing yet": func(w *world) {
			w.edges = append(w.edges, verify.EdgeReport{Node: "north-3"})
		},
		"without prices": func(w *world) { w.opt.Offerings = nil },
		"the centre read later than the nodes": func(w *world) {
			nodes := slices.Clone(w.edges)
			w.drain()
			for i := range nodes { // their slices are shared with the drained ones
				nodes[i].Buckets = slices.Clone(nodes[i].Buckets)
				nodes[i].Buckets[0].G = 700
			}
			w.edges = nodes
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			prepare(w)
			for _, f := range w.check(t) {
				if !f.OK || strings.HasPrefix(f.Detail, "not checked") && f.ID != "V6" || f.Detail == "" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestFindingsOfAConsistentWorld(t *testing.T) {
	w := newWorld()
	w.drain()
	got, err := json.MarshalIndent(w.check(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "findings.json", append(got, '\n'))
}

func TestWhatCouldNotBeCheckedIsSaid(t *testing.T) {
	want := func(t *testing.T, w *world, notChecked ...string) {
		t.Helper()
		for _, f := range w.check(t) {
			if !f.OK || strings.HasPrefix(f.Detail, "not checked:") != slices.Contains(notChecked, f.ID) {
				t.Errorf("%+v", f)
			}
		}
	}
	t.Run("no witness", func(t *testing.T) {
		w := newWorld()
		w.witness = nil
		want(t, w, "V3", "V8")
	})
	t.Run("no edges", func(t *testing.T) {
		w := newWorld()
		w.edges = nil
		want(t, w, "V6")
	})
	t.Run("nothing", func(t *testing.T) {
		want(t, &world{}, "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9")
	})
	t.Run("the centre does not answer", func(t *testing.T) {
		for what, ids := range map[string]string{
			"regions": "V1 V2 V3 V4 V5 V6 V7 V9", "entries": "V1 V2 V3 V4 V5 V6 V7 V9", "buckets": "V1 V6",
			"granted": "V1", "feed": "V9", "journals": "V1 V7", "balances": "V7",
		} {
			w := newWorld()
			w.broken = what
			for _, f := range w.check(t) {
				if f.OK == strings.Contains(ids, f.ID) || !f.OK && !strings.Contains(f.Detail, "connection reset") {
					t.Errorf("%s: %+v", what, f)
				}
			}
		}
	})
}

var _ verify.CentreReader = (*world)(nil)
