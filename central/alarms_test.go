package central

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"meridian/central/api"
	"meridian/central/feed"
	"meridian/central/regions"
	"meridian/replication/link"
)

// Only heads of regions that are connected here are told.
func TestSignedHeadsOfConnectedRegions(t *testing.T) {
	heads := []regions.Signed{{Region: "north", Node: "n1"}, {Region: "south", Node: "s1"}, {Region: "north", Node: "n2"}}
	got := signedHere(heads, []link.SessionInfo{{Region: "north"}})
	if len(got) != 2 || got[0].Node != "n1" || got[1].Node != "n2" {
		t.Errorf("told: %+v", got)
	}
}

// Each look finds its problem, names the cause, and finds nothing once it is over.
func TestLooksFindTheirProblemAndItsEnd(t *testing.T) {
	lc := link.DefaultServerConfig()
	lc.Cluster, lc.Logger = "test", slog.New(slog.DiscardHandler)
	links, err := link.NewServer(lc, &regions.Service{})
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{log: lc.Logger, link: links, api: &api.API{}, services: &Services{Sequencer: &feed.Sequencer{}, Regions: &regions.Service{}}}
	ends := func(in time.Duration) func() { return func() { s.expires = time.Now().Add(in) } }
	same := func() {}
	for name, c := range map[string]struct {
		good, bad func()
		says      string
	}{
		"feed_stalled":                {same, func() { s.services.Sequencer.Stats().Failures.Add(2) }, "2 rounds"},
		"entries_suspended":           {same, func() { s.services.Regions.Stats().Suspended.Add(3) }, "3 entries: see GET /v1/reviews"},
		"ledger_contradicted":         {same, func() { s.services.Regions.Stats().Contradicted.Add(1) }, "1 signed heads"},
		"api_overload":                {same, func() { s.api.Stats().Overload.Add(4) }, "4 requests turned away"},
		"centre_certificate_expiring": {ends(expiryWarning + time.Minute), ends(expiryWarning - time.Minute), "issue a new one"},
	} {
		find := func() error {
			for _, w := range s.watched() {
				if w.Name == name {
					return w.find(t.Context())
				}
			}
			t.Fatalf("no alarm %s", name)
			return nil
		}
		for _, step := range []struct {
			make func()
			says string
		}{{c.good, ""}, {c.bad, c.says}, {c.good, ""}} {
			step.make()
			if err := find(); (err != nil) != (step.says != "") || err != nil && !strings.Contains(err.Error(), step.says) {
				t.Errorf("%s: %v, want %q", name, err, step.says)
			}
		}
	}
}
