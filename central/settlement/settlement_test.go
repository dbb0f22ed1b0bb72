package settlement

import (
	"fmt"
	"strings"
	"testing"

	"meridian/internal/journal"
)

// Each kind's postings, written "debit < credit", and the total that it raises.
func TestPost(t *testing.T) {
	for _, c := range []struct {
		kind    journal.Kind
		detail  string
		posted  string
		suspend string
		total   string
	}{
		{journal.KindCharge, "", "liability/prepaid:a < income/usage", "suspense/region:n < income/usage", "S"},
		{journal.KindRecurring, "", "liability/prepaid:a < income/recurring", "suspense/region:n < income/recurring", "S"},
		{journal.KindOneTime, "", "liability/prepaid:a < income/one-time", "suspense/region:n < income/one-time", "S"},
		{journal.KindCredit, "", "income/recurring < liability/prepaid:a", "income/recurring < suspense/region:n", "T"},
		{journal.KindOwed, "", "asset/receivable:a < income/recurring", "suspense/region:n < income/recurring", ""},
		{journal.KindOrderDebit, "", "liability/prepaid:a < income/other", "suspense/region:n < income/other", "S"},
		{journal.KindTaken, "", "asset/region-cash:n < liability/prepaid:a", "asset/region-cash:n < suspense/region:n", "T"},
		{journal.KindGiven, "", "expense/allowance < liability/prepaid:a", "expense/allowance < suspense/region:n", "T"},
		{journal.KindRefund, "", "income/usage < liability/prepaid:a", "income/usage < suspense/region:n", "T"},
		{journal.KindExpired, "", "liability/prepaid:a < income/expired", "suspense/region:n < income/expired", "S"},
		{journal.KindNotice, "", "", "", ""},
		{journal.KindReturned, "", "", "", "X"},
		{journal.KindBorrowed, "", "asset/offline-lent:a < liability/prepaid:a", "suspense/region:n < suspense/region:n", "B"},
		{journal.KindRepaid, "", "liability/prepaid:a < asset/offline-lent:a", "suspense/region:n < suspense/region:n", "P"},
		{journal.KindOverrun, DetailOwed, "asset/receivable:a < income/usage", "suspense/region:n < income/usage", ""},
		{journal.KindOverrun, DetailAbsorbed, "expense/overrun < income/usage", "suspense/region:n < income/usage", ""},
		{journal.KindOverrun, "unheard of", "asset/receivable:a < income/usage", "suspense/region:n < income/usage", ""},
		{journal.KindEpoch, "", "", "", ""},
		{journal.KindUsage, "", "", "", ""},
		{journal.KindQuarantine, "", "", "", ""},
		{journal.KindOrder, "", "", "", ""},
		{journal.KindNASTotals, "", "", "", ""},
	} {
		e := &journal.Entry{Region: "n", Epoch: 2, Seq: 7, At: 5, Kind: c.kind, Account: "a", Bucket: "a/cash", Unit: "EUR", Amount: 42, Detail: c.detail}
		out := Post(e)
		if got := show(t, out.Journals); got != c.posted {
			t.Errorf("%s %s posts %q, want %q", c.kind, c.detail, got, c.posted)
		}
		if got := show(t, Suspend(e, "n", 2, 7)); got != c.suspend {
			t.Errorf("%s %s in suspense posts %q, want %q", c.kind, c.detail, got, c.suspend)
		}
		d := out.Delta
		got := ""
		for i, v := range [...]int64{d.G, d.T, d.S, d.X, d.B, d.P} {
			if v == 42 {
				got += "GTSXBP"[i : i+1]
			} else if v != 0 {
				t.Errorf("%s raises a total by %d", c.kind, v)
			}
		}
		if got != c.total {
			t.Errorf("%s raises %q, want %q", c.kind, got, c.total)
		}
		e.Amount = 0
		if zero := Post(e); len(zero.Journals) != 0 {
			t.Errorf("%s of nothing posts %v", c.kind, zero.Journals)
		}
	}
}

func show(t *testing.T, journals []journal.Journal) string {
	t.Helper()
	var out []string
	for _, j := range journals {
		if err := j.Balanced(); err != nil || j.Source != "entry/n/2/7" || j.At != 5 {
			t.Errorf("journal %+v: %v", j, err)
		}
		if j.Postings[0].Amount != 42 || j.Postings[1].Amount != -42 {
			t.Errorf("journal moves %+v", j.Postings)
		}
		out = append(out, fmt.Sprintf("%s < %s", j.Postings[0].Account, j.Postings[1].Account))
	}
	return strings.Join(out, "; ")
}
