package demo

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"meridian/central/catalog"
	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/plant"
	"meridian/cmd/meridian/traffic"
	"meridian/internal/money"
	"meridian/internal/verify"
)

// TestReportShape holds the names that programs rely on (design §11).
func TestReportShape(t *testing.T) {
	r := Report{Version: "v", Seconds: 1.5, Subscribers: 2, Nodes: 3, AcctAcknowledged: 4, Entries: 5, DrainSeconds: 0.25}
	r.Phases = []Phase{newPhase("online", 2*time.Second, traffic.Counters{AuthOK: 6, AuthReject: 2, AcctAcked: 7, AcctTimeouts: 1})}
	r.Verify = []verify.Finding{{ID: "V1", OK: true, Checked: 8, Detail: "fine"}}
	file := filepath.Join(t.TempDir(), "report.json")
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(data, &top); err != nil {
		t.Fatal(err)
	}
	has := func(m map[string]any, names ...string) {
		t.Helper()
		for _, name := range names {
			if _, ok := m[name]; !ok {
				t.Errorf("%s is missing among %v", name, slices.Sorted(maps.Keys(m)))
			}
		}
	}
	has(top, "version", "seconds", "subscribers", "nodes", "phases", "acct_acknowledged", "acct_lost", "charged_twice", "entries", "drain_seconds", "verify")
	phase, ok := top["phases"].([]any)[0].(map[string]any)
	if !ok {
		t.Fatalf("phases are %v", top["phases"])
	}
	has(phase, "name", "seconds", "auth_ok", "auth_reject", "auth_per_s", "acct_acked", "acct_timeouts", "acct_per_s")
	if phase["auth_per_s"] != 4.0 || phase["acct_per_s"] != 3.5 || phase["seconds"] != 2.0 {
		t.Errorf("phase %v", phase)
	}
	finding, ok := top["verify"].([]any)[0].(map[string]any)
	if !ok {
		t.Fatalf("verify is %v", top["verify"])
	}
	has(finding, "id", "ok", "checked", "detail")
	if err := r.write(filepath.Join(t.TempDir(), "no", "such", "dir")); err == nil || !strings.Contains(err.Error(), "--report") {
		t.Errorf("a report that cannot be written: %v", err)
	}
}

func TestVerdict(t *testing.T) {
	good := []verify.Finding{{ID: "V1", OK: true}}
	for _, c := range []struct {
		name string
		r    Report
		want string // part of the error, empty for none
	}{
		{"all well", Report{Verify: good}, ""},
		{"broken", Report{Verify: []verify.Finding{{ID: "V1", OK: true}, {ID: "V5", Detail: "entry 7 of north"}}}, "V5 is broken: entry 7 of north"},
		{"lost", Report{Verify: good, AcctLost: 2}, "2 sessions lost"},
		{"twice", Report{Verify: good, ChargedTwice: 3}, "3 were charged twice"},
	} {
		var out bytes.Buffer
		d := &demo{out: newScreen(&out), report: c.r}
		err := d.verdict()
		if (err == nil) != (c.want == "") || (err != nil && (!strings.Contains(err.Error(), c.want) || exitcode.Of(err) != exitcode.Failed)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestScreenPrintsLinesInAPipe(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	s.live("one")
	s.line("two %d", 2)
	if out.String() != "one\ntwo 2\n" {
		t.Errorf("%q", &out)
	}
	out.Reset()
	s.terminal = true
	s.live("long line")
	s.live("short")
	s.line("done")
	if !strings.HasSuffix(out.String(), "done\n") || !strings.Contains(out.String(), "\r") || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("on a terminal: %q", &out)
	}
}

func TestValidate(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Subscribers, c.PhaseSeconds, c.Sessions, c.Nodes, c.Network, c.NoStory, c.Report = 1, 0, 0, 4, "1.2", true, "r"
	err := c.Validate()
	for _, part := range []string{"--subscribers", "--phase-seconds", "--sessions", "nodes is 4", `"1.2"`, "--no-story"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is missing in %v", part, err)
		}
	}
}

// The price change that the demo tells of is one.
func TestRepriced(t *testing.T) {
	sheet, err := plant.OfferingYAML(plant.OfferingPrepaid)
	if err != nil {
		t.Fatal(err)
	}
	for _, price := range []string{priceInFile, priceOther} {
		changed, err := repriced(sheet, price)
		if err != nil {
			t.Fatal(err)
		}
		offerings, err := catalog.Parse("changed", []byte(changed))
		if err != nil || len(offerings) != 1 {
			t.Fatalf("%d offerings, %v", len(offerings), err)
		}
		want, err := money.Parse(price)
		if err != nil {
			t.Fatal(err)
		}
		if got := offerings[0].Usage[0].Rates[0].Price; got.Amount != want || got.Per != 1_000_000_000 {
			t.Errorf("at %s: %+v", price, got)
		}
	}
	if _, err := repriced("price: 3.00 per GB", priceOther); err == nil {
		t.Error("a sheet with another price was changed")
	}
}
