package storetest

import (
	"strings"
	"testing"

	"meridian/central/fault"
	"meridian/central/payments"
	"meridian/internal/feed"
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

// Fees name no version: it is found among the offerings that the subscription has had
// by orders. Orders and what was taken back are explained by what was asked for.
func testWhyFees(t *testing.T, open Opener) {
	w := NewWorld(t, open)
	w.Subscriber("u1", "north")
	paid := w.Deposit("u1", "k", 5*money.Micro)
	month := tariff.Period{Unit: tariff.Month, Count: 1}
	o := Offering("monthly")
	o.OneTime = []tariff.OneTime{{Name: "set-up", Price: 500_000}}
	o.Recurring = []tariff.Recurring{{Name: "fee", Price: 3_000_000, Every: month, Anchor: tariff.Calendar, Proration: tariff.ActualDays, Cancel: tariff.PartCredit}}
	_, err := w.Catalog.Publish(w.Ctx, []tariff.Offering{o, Offering("other")})
	w.must(err)
	place := func(order feed.Order) journal.Entry {
		order.Subscription = "s-u1"
		placed, err := w.Orders.Place(w.Ctx, order)
		w.must(err)
		return journal.Entry{Kind: journal.KindOrder, Account: "a-u1", Subscription: "s-u1", Ref: placed.ID, Detail: "executed"}
	}
	e := NewEdge("north")
	e.Add(Epoch(), place(feed.Order{Action: feed.ActionChange, Offering: "monthly"}))
	for _, x := range []struct {
		kind        journal.Kind
		amount      int64
		ref, detail string
	}{
		{journal.KindOneTime, 500_000, "s-u1/set-up/1795219200", ""},
		{journal.KindRecurring, 1_000_000, "s-u1/fee/1795219200", "10 of 30 days"}, // from 21 November
		{journal.KindCredit, 500_000, "s-u1/fee/1795651200", "5 of 10 days"},       // from the 26th on
	} {
		m := Moved(x.kind, "u1", x.amount)
		m.Ref, m.Detail = x.ref, x.detail
		e.Add(m)
	}
	debit := place(feed.Order{Action: feed.ActionDebit, Amount: 250_000, Reason: "a letter"})
	moved := Moved(journal.KindOrderDebit, "u1", 250_000)
	moved.Ref = debit.Ref
	e.Add(moved, debit, place(feed.Order{Action: feed.ActionChange, Offering: "other"}))
	w.Ingest(e, e.All())
	claim, err := w.Payments.Chargeback(w.Ctx, payments.Taken{Payment: paid.ID, Amount: 100_000, Reason: "card company"})
	w.must(err)
	for id, want := range map[string]string{
		"north/1/2":                "Order ",
		"north/1/3":                "0.50 EUR from the cash balance: set-up, once: 0.50 EUR.",
		"north/1/4":                "1.00 EUR from the cash balance: fee from 2026-11-21 to 2026-12-01, 10 days of 30 at 3.00 EUR: 1.00 EUR.",
		"north/1/5":                "0.50 EUR to the cash balance: fee: 1.00 EUR were paid, 5 days of 10 are not used; given back: 0.50 EUR.",
		"north/1/6":                "0.25 EUR from the cash balance by order " + debit.Ref + ", reason: a letter.",
		"claim/" + claim.ID + "/0": "0.10 EUR of payment " + paid.ID + " were taken back, reason: card company.",
	} {
		a, err := w.Explain.Of(w.Ctx, id, why.English)
		w.must(err)
		if !a.Explained || !strings.HasPrefix(a.Sentence, want) {
			t.Errorf("%s: %q, explained %t: %s", id, a.Sentence, a.Explained, a.Reason)
		}
		if fee := a.Fee != nil; fee && a.Kind != "credit" && (a.Offering != "monthly" || a.Version != 1) {
			t.Errorf("%s: priced by %s version %d", id, a.Offering, a.Version)
		}
	}
}
