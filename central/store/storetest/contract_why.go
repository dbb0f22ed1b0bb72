package storetest

import (
	"strings"
	"testing"

	"meridian/central/fault"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/why"
)

// Every line of a statement can be asked why: what was charged is computed again and
// comes to the same. What cannot be is told with its reason.
func testWhy(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	w.Deposit("u1", "k", 5*money.Micro)
	list, err := w.Catalog.List(w.Ctx, "", 0, 1)
	w.must(err)
	v1 := list[0].Offering
	e := NewEdge("north")
	e.Add(Epoch())
	e.Add(cut(1, 0, 3000, &v1, 2*money.Micro, money.Micro, "owed")...)
	unknown := cut(2, 3000, 10, &v1, 10_000, 0, "")
	unknown[0].Usage.OfferingVersion, unknown[0].Usage.Number = 7, 2
	e.Add(unknown...)
	e.Add(journal.Entry{Kind: journal.KindUsage, Account: "nobody", Session: journal.SessionKey{NAS: "n", ID: "y"}, Cut: 1, Usage: &journal.UsageRecord{Number: 1, Offering: "prepaid", OfferingVersion: 1}})
	w.Ingest(e, e.All())
	_, err = w.Catalog.Publish(w.Ctx, []tariff.Offering{func() tariff.Offering {
		o := Offering("prepaid")
		o.Usage = tariff.PerUnit(tariff.Bytes, money.Micro/2, 1e9)
		return o
	}()})
	w.must(err)
	w.correct("prepaid", 1, 2)

	of := func(id string, l why.Language) why.Answer {
		t.Helper()
		a, err := w.Explain.Of(w.Ctx, id, l)
		w.must(err)
		return a
	}
	s, err := w.Statement.Of(w.Ctx, "a-u1", 0, 0)
	w.must(err)
	kinds := map[string]int{}
	for _, line := range s.Lines {
		for _, l := range why.Languages() {
			a := of(line.Source, l)
			if a.Sentence == "" || a.Lang != l || a.Entry != line.Source || strings.ContainsAny(a.Sentence, "{}") {
				t.Errorf("%s %s: %+v", line.Source, l, a)
			}
			if known := line.Cut != 2; a.Explained != known || known == (a.Reason != "") {
				t.Errorf("%s: explained %t, %q", line.Source, a.Explained, a.Reason)
			}
			kinds[a.Kind]++
		}
	}
	for _, k := range []string{"payment", "usage", "charge", "overrun", "correction"} {
		if kinds[k] == 0 {
			t.Errorf("no line is of kind %s: %v", k, kinds)
		}
	}
	for id, want := range map[string]string{
		"entry/north/1/3":        "2.00 EUR from the cash balance for internet from",
		"correction/north/1/2/2": "Usage of session sess-u1 was priced again by Prepaid, version 2, at 1.50 EUR: 0.50 EUR come back to the cash balance; the debt changes by -1.00 EUR.",
	} {
		if a := of(id, why.English); !strings.HasPrefix(a.Sentence, want) {
			t.Errorf("%s: %s", id, a.Sentence)
		}
	}
	if a := of("north/1/6", why.English); a.Explained || a.Reason != "the catalog has no version 7 of prepaid" {
		t.Errorf("a version that the catalog lacks: %+v", a)
	}
	if a := of("north/1/7", why.Arabic); a.Explained || !strings.Contains(a.Reason, "suspense") {
		t.Errorf("an entry in suspense: %+v", a)
	}
	for id, code := range map[string]fault.Code{"north/1/99": fault.NotFound, "payment/none": fault.NotFound, "claim/none/0": fault.NotFound, "correction/north/1/2/9": fault.NotFound,
		"": fault.Invalid, "north/1": fault.Invalid, "north/x/1": fault.Invalid, "correction/north/1/2": fault.Invalid} {
		if _, err := w.Explain.Of(w.Ctx, id, why.English); !fault.Is(err, code) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := w.Explain.Of(w.Ctx, "north/1/3", "fr"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a language without sentences: %v", err)
	}
}
