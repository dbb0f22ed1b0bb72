package acceptance

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/central/embedded"
	"meridian/internal/journal"
	"meridian/internal/mschap"
	"meridian/internal/verify"
)

// report is the demo's report, as design §11 has it.
type report struct {
	Seconds     float64
	Subscribers int
	Nodes       int
	Phases      []struct {
		Name         string
		Seconds      float64
		AuthOK       int64 `json:"auth_ok"`
		AcctAcked    int64 `json:"acct_acked"`
		AcctTimeouts int64 `json:"acct_timeouts"`
	}
	AcctAcknowledged int64 `json:"acct_acknowledged"`
	AcctLost         int64 `json:"acct_lost"`
	ChargedTwice     int64 `json:"charged_twice"`
	Entries          int64
	DrainSeconds     float64 `json:"drain_seconds"`
	Verify           []verify.Finding
}

// TestDemoOnce tells the whole story, then looks at what it left on disk.
func TestDemoOnce(t *testing.T) {
	dir := t.TempDir()
	file, witness := filepath.Join(dir, "report.json"), filepath.Join(dir, "witness.jsonl")
	data := filepath.Join(dir, "demo")
	demo := start(t, "demo", "--once", "--dir", data, "--network", network(1), "--subscribers", "200", "--phase-seconds", "2",
		"--sessions", "64", "--report", file, "--witness", witness)
	if code := demo.wait(t, 4*time.Minute); code != 0 {
		t.Fatalf("the demo ended with status %d", code)
	}
	t.Run("report", func(t *testing.T) { checkReport(t, file) })
	t.Run("no clear password", func(t *testing.T) { noClearText(t, data) })
	t.Run("verify stopped", func(t *testing.T) {
		for id, f := range findings(t, 0, "--dir", data, "--witness", witness) {
			if !f.OK || f.Checked == 0 {
				t.Errorf("%s: ok %v, checked %d: %s", id, f.OK, f.Checked, f.Detail)
			}
		}
	})
	t.Run("new price", func(t *testing.T) { repriced(t, data) })
	t.Run("family", func(t *testing.T) { familyPaid(t, data, demo.output()) })
	t.Run("tampered balance", func(t *testing.T) {
		tamper(t, data)
		f := findings(t, 1, "--dir", data, "--witness", witness)
		if v7 := f["V7"]; v7.OK || !strings.Contains(v7.Detail, "income/usage") {
			t.Errorf("V7 does not name the altered balance of income/usage: %+v", v7)
		}
		if !f["V5"].OK || !f["V3"].OK || !strings.Contains(f["V5"].Detail, "signed heads match") {
			t.Errorf("the ledger was not touched: V3 %+v, V5 %+v", f["V3"], f["V5"])
		}
	})
}

func checkReport(t *testing.T, file string) {
	var r report
	if err := json.Unmarshal([]byte(readFile(t, file)), &r); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range r.Phases {
		names = append(names, p.Name)
		if p.Seconds < 2 || p.AuthOK == 0 || p.AcctAcked == 0 {
			t.Errorf("phase %+v: want logins and acknowledged reports for at least 2 s", p)
		}
		if p.AcctTimeouts != 0 {
			t.Errorf("phase %s gave %d reports up", p.Name, p.AcctTimeouts)
		}
	}
	if want := []string{"online", "link_cut", "centre_killed", "leader_killed", "drained"}; !slices.Equal(names, want) {
		t.Errorf("phases %v, want %v", names, want)
	}
	if r.AcctLost != 0 || r.ChargedTwice != 0 || r.AcctAcknowledged == 0 || r.Entries == 0 || r.DrainSeconds <= 0 || r.Nodes != 3 || r.Subscribers != 200 {
		t.Errorf("report %+v", r)
	}
	var ids []string
	for _, f := range r.Verify {
		ids = append(ids, f.ID)
		if !f.OK || f.Checked == 0 {
			t.Errorf("%s: ok %v, checked %d: %s", f.ID, f.OK, f.Checked, f.Detail)
		}
	}
	if want := []string{"V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V9"}; !slices.Equal(ids, want) {
		t.Errorf("checks %v, want %v", ids, want)
	}
}

// noClearText wants no password, no NT hash and no shared secret anywhere on disk.
func noClearText(t *testing.T, dir string) {
	secrets := []string{"pw-user0000", secret}
	for n := range 4 { // of some subscribers, raw and as databases print octets
		h, err := mschap.NTHash(fmt.Sprintf("pw-user%06d", n+1))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, string(h[:]), hex.EncodeToString(h[:]))
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, clear := range secrets {
			if at := bytes.Index(data, []byte(clear)); at >= 0 {
				t.Errorf("%s holds %q at octet %d", path, clear, at)
			}
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Errorf("%d files were read, %v", files, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "keys")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the keys' directory: %v, %v", info, err)
	}
}

// database opens the stopped demo's store until the test ends.
func database(t *testing.T, dir string) *pgx.Conn {
	t.Helper()
	cfg := embedded.DefaultConfig()
	cfg.Dir = filepath.Join(dir, "store")
	store, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	db, err := pgx.Connect(t.Context(), store.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close(context.Background()) })
	return db
}

// repriced wants usage at both prices: the change that was published while the
// region was cut off reached it, and holds for what came after.
func repriced(t *testing.T, dir string) {
	rows, err := database(t, dir).Query(t.Context(), `SELECT raw FROM ledger_entries WHERE kind = $1`, int16(journal.KindUsage))
	if err != nil {
		t.Fatal(err)
	}
	raws, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	micro := map[uint32]int64{1: 2_000_000, 2: 2_500_000} // per GB, by version
	records := map[uint32]int{}
	for _, raw := range raws {
		e, err := journal.DecodeEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		if u := e.Usage; u.Offering == "prepaid-volume" {
			records[u.OfferingVersion]++
			for _, s := range u.Slices { // a cut may give or take what was rounded before it
				if exact := s.Quantity * micro[u.OfferingVersion] / 1_000_000_000; int64(s.Amount)-exact > 1 || exact-int64(s.Amount) > 1 {
					t.Errorf("version %d: %d octets cost %d, want %d", u.OfferingVersion, s.Quantity, s.Amount, exact)
				}
			}
		}
	}
	if records[1] == 0 || records[2] == 0 || len(records) != 2 {
		t.Errorf("usage records by version of the offering: %v", records)
	}
}

// familyPaid wants of the family what its offering says, from the ledger: fees at
// half price, a notice for each line, and of the pool no more for a line than its
// share.
func familyPaid(t *testing.T, dir, printed string) {
	rows, err := database(t, dir).Query(t.Context(), `SELECT raw FROM ledger_entries WHERE account LIKE 'family-%'`)
	if err != nil {
		t.Fatal(err)
	}
	raws, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	own, fees, notices, paid := map[string]bool{}, 0, 0, map[string]int64{}
	var entries []journal.Entry
	for _, raw := range raws {
		e, err := journal.DecodeEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
		if e.Kind == journal.KindGiven && e.Detail == "bundle" {
			own[e.Bucket] = true
		}
	}
	for _, e := range entries {
		switch {
		case e.Kind == journal.KindRecurring:
			fees++
			if e.Amount != 5_000_000 || !strings.Contains(e.Detail, "half-at-first") {
				t.Errorf("a fee of %d, %q: want half of 10.00 by the promotion half-at-first", e.Amount, e.Detail)
			}
		case e.Kind == journal.KindNotice:
			notices++
			if e.Ref != "four fifths used" || e.Quantity > 2_000_000 {
				t.Errorf("notice %q with %d octets left: want four fifths of 10 MB used", e.Ref, e.Quantity)
			}
		case e.Kind == journal.KindCharge && e.Unit == "bytes":
			from, _, _ := strings.Cut(e.Subscription, "-")
			if own[e.Bucket] {
				from += "'s bundle"
			}
			paid[from] += e.Amount
		case e.Kind == journal.KindCharge:
			paid["money"] += e.Amount
		case e.Kind == journal.KindOverrun:
			t.Errorf("overrun %+v: there was money left", e)
		}
	}
	want := map[string]int64{"parent's bundle": 10_000_000, "child's bundle": 10_000_000, "parent": 2_000_000, "child": 1_250_000, "money": 750}
	if fees != 2 || notices != 2 || !maps.Equal(paid, want) {
		t.Errorf("%d fees, %d notices, octets paid %v; want 2, 2, %v", fees, notices, paid, want)
	}
	if n := strings.Count(printed, "the NAS acknowledged a CoA to 1/1 Mbit/s"); n != 2 {
		t.Errorf("%d throttled lines were printed, want 2", n)
	}
	statement := printed[max(0, strings.Index(printed, "statement of family-")):]
	for _, part := range []string{"half-at-first", "notice four fifths used: parent-", "notice four fifths used: child-", "-5.00", "closing                                             9.99925"} {
		if !strings.Contains(statement, part) {
			t.Errorf("the family's statement as printed lacks %q", part)
		}
	}
}

// tamper raises one balance by a micro-unit, behind the books' back.
func tamper(t *testing.T, dir string) {
	db := database(t, dir)
	tag, err := db.Exec(t.Context(), `UPDATE ledger_balances SET amount = amount + 1 WHERE account = 'income/usage' AND unit = 'EUR' AND slot =
		(SELECT min(slot) FROM ledger_balances WHERE account = 'income/usage' AND unit = 'EUR')`)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%d balances were altered, %v", tag.RowsAffected(), err)
	}
}
