package edge

import (
	goflag "flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/ops/metrics"
)

var update = goflag.Bool("update", false, "write ops/METRICS.md")

// TestMetricsAreDocumented compares what a running node exports with the list, and
// with what it describes: nothing described stays away.
func TestMetricsAreDocumented(t *testing.T) {
	cfg := testConfig(t)
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !n.store.IsLeader(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the node does not lead")
		}
	}
	giveLease(t, n)
	const prefix = "meridian_edge_"
	rows, err := metrics.List(cfg.Registry, prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range describedMetrics() {
		want := metrics.Rows("meridian_edge", []string{"node", "region"}, []metrics.Metric{m})[0]
		if !slices.ContainsFunc(rows, func(r metrics.Row) bool { return reflect.DeepEqual(r, want) }) {
			t.Errorf("%s is described and was not exported so", m.Name)
		}
	}
	if len(rows) != len(describedMetrics()) {
		t.Errorf("%d metrics are exported, %d described", len(rows), len(describedMetrics()))
	}
	allowed := []string{"alarm", "cause", "code", "direction", "kind", "node", "part", "port", "reason", "region", "severity", "state", "unit", "who"}
	for _, r := range rows {
		for _, l := range r.Labels {
			if !slices.Contains(allowed, l) {
				t.Errorf("%s has the label %q: a label names a part of the system, never a subscriber", r.Name, l)
			}
		}
	}
	path := filepath.Join("..", "ops", "METRICS.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, table, after, err := metrics.Section(string(text), prefix)
	if err != nil {
		t.Fatal(err)
	}
	rows = metrics.Rows("meridian_edge", []string{"node", "region"}, describedMetrics())
	if want := metrics.Table(rows); *update {
		if err := os.WriteFile(path, []byte(before+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if table != want {
		t.Errorf("ops/METRICS.md is not what a node exports; run with -update. It should be:\n%s", want)
	}
}

// giveLease has the region hold a lease: 5 EUR of a bucket.
func giveLease(t *testing.T, n *Node) {
	t.Helper()
	body, err := feed.Encode(&feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 1, Granted: 5_000_000})
	if err != nil {
		t.Fatal(err)
	}
	n.found(t.Context())
	for _, c := range []command.Command{
		&command.OpenEpoch{Meta: n.meta(), Epoch: 1},
		&command.Feed{Meta: n.meta(), Rows: []feed.Row{{Number: 1, Kind: feed.KindLease, ID: "a/cash", Version: 1, Body: body}}},
	} {
		if res, err := n.store.Do(t.Context(), c); err != nil || res.Code != command.OK {
			t.Fatalf("%T: code %d, %v", c, res.Code, err)
		}
	}
	s := n.Status()
	if len(s.Headroom) != 1 || s.Headroom[0].Unit != "EUR" || s.Headroom[0].Amount.Int64() != 5_000_000 {
		t.Errorf("the headroom is %+v", s.Headroom)
	}
}

var section = regexp.MustCompile(`(?m)^## (.+)$`)

// TestAlarmsHaveRunbooks wants a page for each alarm, with what an operator asks.
func TestAlarmsHaveRunbooks(t *testing.T) {
	n, err := New(testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, a := range n.alarms.All() {
		text, err := os.ReadFile(filepath.Join("..", "ops", "runbooks", a.Name+".md"))
		if err != nil {
			t.Errorf("alarm %s has no runbook: %v", a.Name, err)
			continue
		}
		var got []string
		for _, m := range section.FindAllStringSubmatch(string(text), -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, "|") != "What it means|What the subscriber notices|What to look at|What to do" {
			t.Errorf("the runbook of %s has the sections %q", a.Name, got)
		}
	}
}
