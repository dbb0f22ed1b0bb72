package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meridian/cmd/meridian/exitcode"
	"meridian/internal/zones"
)

// TestExitStatus runs command lines that end at once.
func TestExitStatus(t *testing.T) {
	empty := t.TempDir()
	broken := filepath.Join(empty, "broken.yaml")
	if err := os.WriteFile(broken, []byte("region: north\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const library = "../../deploy/catalog/library/"
	usage := filepath.Join(empty, "usage.csv")
	if err := os.WriteFile(usage, []byte("subscription,start,quantity\nann,2026-03-02T18:00:00Z,1500MB\nann,2026-03-02T19:00:00Z,much\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		out  string // part of stdout
		err  string // part of stderr
	}{
		{"version", exitcode.Done, "zone data IANA " + zones.Latest, ""},
		{"--help", exitcode.Done, "Exit status", ""},
		{"demo --help", exitcode.Done, "meridian demo --once", ""},
		{"verify --help", exitcode.Done, "Examples:", ""},
		{"edge --print-defaults", exitcode.Done, "cut_per_tick: 500", ""},
		{"central --print-defaults", exitcode.Done, "region_ring_files", ""},
		{"no-such-command", exitcode.Usage, "", "no-such-command"},
		{"demo --no-such-flag", exitcode.Usage, "", "no-such-flag"},
		{"demo extra", exitcode.Usage, "", "extra"},
		{"demo --nodes 2 --subscribers 1", exitcode.Usage, "", "nodes is 2"},
		{"demo --network 10.0", exitcode.Usage, "", `"10.0"`},
		{"demo --no-story --report x", exitcode.Usage, "", "--no-story"},
		{"central", exitcode.Usage, "", "config"},
		{"edge --config " + broken, exitcode.Usage, "", "gossip_key_file"},
		{"central --config " + filepath.Join(empty, "none"), exitcode.Usage, "", "none"},
		{"verify", exitcode.Usage, "", "dir"},
		{"verify --dir " + empty, exitcode.Unreachable, "", "meridian demo --dir"},
		{"verify --store-url x --edge a:1", exitcode.Usage, "", "--token-file"},
		{"verify --store-url postgresql://nobody@127.0.0.1:1/none", exitcode.Unreachable, "", "database"},
		{"verify --dir x --witness " + filepath.Join(empty, "none"), exitcode.Usage, "", "witness"},
		{"load --dir " + empty, exitcode.Unreachable, "", "meridian demo --dir"},
		{"ctl --help", exitcode.Done, "region", ""},
		{"ctl deposit --account a", exitcode.Usage, "", "amount"},
		{"ctl password --subscription s", exitcode.Usage, "", "standard input"},
		{"ctl account show", exitcode.Usage, "", "1 arg"},
		{"ctl region list --url http://127.0.0.1:1", exitcode.Unreachable, "", "--url"},
		{"ctl catalog publish", exitcode.Usage, "", "1 arg"},
		{"ctl catalog publish " + filepath.Join(empty, "none"), exitcode.Usage, "", "none"},
		{"ctl proposal approve x --url http://127.0.0.1:1", exitcode.Unreachable, "", "--url"},
		{"ctl rerate --offering x --version 1 --corrected 2 --to 2026-12-01T00:00:00Z", exitcode.Usage, "", "--dry-run"},
		{"ctl rerate --run r1 --dry-run", exitcode.Usage, "", "none of the others"},
		{"ctl proposal --help", exitcode.Done, "approve", ""},
		{"catalog status --help", exitcode.Done, "--token-file", ""},
		{"catalog status --url http://127.0.0.1:1", exitcode.Unreachable, "", "--url"},
		{"catalog --help", exitcode.Done, "validate", ""},
		{"catalog validate", exitcode.Usage, "", "no file"},
		{"catalog validate " + filepath.Join(empty, "none"), exitcode.Usage, "", "none"},
		{"catalog validate ../../deploy/catalog/demo/flat-home.yaml", exitcode.Done, "flat-home is valid", ""},
		{"catalog validate " + broken, exitcode.Failed, broken + ":1:1: region", "correct them"},
		{"catalog validate --json " + broken, exitcode.Failed, `"line":1,"column":1,"path":"region"`, "correct them"},
		{"catalog diff " + broken, exitcode.Usage, "", "1 files"},
		{"catalog diff " + broken + " " + broken, exitcode.Failed, "", "region"},
		{"catalog diff ../../deploy/catalog/demo/flat-home.yaml ../../deploy/catalog/demo/prepaid-volume.yaml", exitcode.Done, "the offering Home flat rate is gone", ""},
		{"catalog diff --json ../../deploy/catalog/demo/flat-home.yaml ../../deploy/catalog/demo/flat-home.yaml", exitcode.Done, "[]", ""},
		{"rate --help", exitcode.Done, "destination", ""},
		{"rate --tariff x", exitcode.Usage, "", "usage"},
		{"rate --tariff x --usage y", exitcode.Usage, "", "x"},
		{"rate --tariff " + broken + " --usage y", exitcode.Failed, "", "region"},
		{"rate --tariff ../../deploy/catalog/demo/prepaid-volume.yaml --usage " + usage, exitcode.Failed, "total ann: 3.00 EUR", usage + ":3:1: quantity"},
		{"rate --tariff ../../deploy/catalog/demo/prepaid-volume.yaml --explain --lang ru --usage " + usage, exitcode.Failed, "1500 МБ по цене 2.00 EUR за ГБ", "quantity"},
		{"rate --tariff ../../deploy/catalog/demo/prepaid-volume.yaml --json --usage " + usage, exitcode.Failed, `"cost":"3.00"`, "quantity"},
		{"rate --tariff x --usage y --lang de", exitcode.Usage, "", "en, ru or ar"},
		{"rate --tariff x --usage y --table world", exitcode.Usage, "", "name=file"},
		{"catalog simulate --help", exitcode.Done, "--against", ""},
		{"catalog simulate --tariff x", exitcode.Usage, "", "usage"},
		{"catalog simulate --tariff " + library + "turbo.yaml --against " + library + "turbo.yaml --usage " + library + "turbo.usage.csv", exitcode.Done, "0 pay less, 0 pay more, 1 the same", ""},
		{"catalog simulate --json --tariff " + library + "turbo.yaml --against " + library + "turbo.yaml --usage " + library + "turbo.usage.csv", exitcode.Done, `"after":"2.50"`, ""},
		{"catalog simulate --tariff " + library + "turbo.yaml --as nothing --usage " + library + "turbo.usage.csv", exitcode.Usage, "", "the draft has no offering"},
		{"catalog simulate --tariff " + library + "turbo.yaml --usage " + library + "turbo.usage.csv", exitcode.Failed, "", "turbo.usage.csv:4:1: charged"},
		{"rate --tariff " + library + "turbo.yaml --usage " + library + "turbo.usage.csv", exitcode.Done, "total: 2.50 EUR", ""},
		{"catalog schema", exitcode.Done, "draft/2020-12", ""},
		{"bench no-such-bench", exitcode.Usage, "", "radius"},
	} {
		var out, errs bytes.Buffer
		code := run(strings.Fields(c.args), &out, &errs)
		if code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(errs.String(), c.err) {
			t.Errorf("meridian %s: status %d, want %d and %q, %q in:\n%s%s", c.args, code, c.code, c.out, c.err, &out, &errs)
		}
	}
}

// ann has the draft's offering, ben one that the draft lacks: 1 minute is a half hour
// at 0.50, 2 hours are the day's most, 2.00.
func TestSimulateOffersThatTheDraftLacks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usage.csv")
	const usage = `subscription,offering,usage,start,quantity,charged
ann,turbo,turbo time,2026-03-05T10:00:00Z,1m,1.00
ben,old,turbo time,2026-03-05T10:00:00Z,2h,1.50
`
	if err := os.WriteFile(file, []byte(usage), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags []string
		code  int
		says  []string
	}{
		{nil, exitcode.Failed, []string{"usage.csv by", "offering", `"old"`}},
		{[]string{"--as", "turbo"}, exitcode.Done, []string{"1 of 2 events are of offerings that the draft lacks, rated as turbo", "2.50           2.50           0.00 EUR"}},
		{[]string{"--skip-others"}, exitcode.Done, []string{"1 events were left out with their subscriptions: the draft lacks old", "1.00           0.50          -0.50 EUR"}},
		{[]string{"--skip-others", "--json"}, exitcode.Done, []string{`"left_out":1`, `"left_out_of":["old"]`, `"after":"0.50"`}},
		{[]string{"--skip-others", "--as", "turbo"}, exitcode.Usage, []string{"skip-others"}},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"catalog", "simulate", "--tariff", "../../deploy/catalog/library/turbo.yaml", "--usage", file}, c.flags...), &out, &errs)
		for _, s := range c.says {
			if code != c.code || !strings.Contains(out.String()+errs.String(), s) {
				t.Errorf("%v: status %d, want %d and %q in:\n%s%s", c.flags, code, c.code, s, &out, &errs)
			}
		}
	}
}

func TestTakenPortEndsWithThree(t *testing.T) {
	lis, err := net.Listen("tcp", "127.252.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	var out, errs bytes.Buffer
	code := run([]string{"demo", "--dir", t.TempDir(), "--network", "127.252"}, &out, &errs)
	if code != exitcode.Unreachable || !strings.Contains(errs.String(), "127.252.0.1:8080") || !strings.Contains(errs.String(), "ss -lntp") {
		t.Errorf("status %d: %s", code, &errs)
	}
}
