package why

import (
	"strings"
	"testing"

	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/replay"
	"meridian/internal/tariff"
)

// Every kind of entry that the journal knows has a sentence in every language: a new
// kind needs its words (words_entries.go).
func TestEveryEntryKindHasASentence(t *testing.T) {
	kinds := 0
	for k := journal.Kind(1); !strings.HasPrefix(k.String(), "kind "); k++ {
		kinds++
		for _, l := range Languages() {
			if wordsOf(l).entries[k.String()] == "" {
				t.Errorf("%s: entries of kind %s have no words", l, k)
				continue
			}
			e := &journal.Entry{Region: "north", Epoch: 1, Seq: 9, At: 1_795_219_200_000_000, Kind: k, Account: "a", Subscription: "s", Bucket: "a/cash", Unit: "EUR", Amount: 10_000_000,
				Session: journal.SessionKey{NAS: "nas", ID: "x", Start: 5}, Cut: 1, Ref: "s/fee/1795219200", Detail: "owed", Usage: &journal.UsageRecord{Service: "internet", Offering: "home"}}
			if k == journal.KindRecurring || k == journal.KindOneTime || k == journal.KindCredit {
				e.Detail = ""
			}
			a := Explain(l, &Question{Entry: e, Beside: []*journal.Entry{e}, Unknown: "no version"})
			if a.Sentence == "" || strings.ContainsAny(a.Sentence, "{}#") || strings.Contains(a.Sentence, "%!") || strings.Contains(a.Sentence, "  ") {
				t.Errorf("%s %s: %q", l, k, a.Sentence)
			}
			if a.Explained == (a.Reason != "") {
				t.Errorf("%s: explained %t, reason %q", k, a.Explained, a.Reason)
			}
		}
	}
	if kinds < 20 {
		t.Errorf("%d kinds were walked", kinds)
	}
	for _, l := range Languages() {
		for _, kind := range []string{"payment", "chargeback", "correction"} {
			a := ExplainBooked(l, &Booked{Kind: kind, Bucket: "a/cash", Unit: "EUR", Amount: 5, Back: []Payer{{Amount: "1.00", Unit: "EUR"}}, Owed: -3, Waive: 2, Absorbed: 1})
			if a.Sentence == "" || strings.ContainsAny(a.Sentence, "{}#") || strings.Contains(a.Sentence, "%!") {
				t.Errorf("%s %s: %q", l, kind, a.Sentence)
			}
		}
	}
}

func homeVersion(t *testing.T) *replay.Version {
	t.Helper()
	v, err := replay.NewVersion(&tariff.Offering{ID: "home", Version: 2, Name: "Home", Currency: "EUR", Service: "internet", Overrun: tariff.Owed,
		OneTime:   []tariff.OneTime{{Name: "connection", Price: 5_000_000}},
		Recurring: []tariff.Recurring{{Name: "monthly fee", Price: 31_000_000, Every: tariff.Period{Unit: tariff.Month, Count: 1}, Anchor: tariff.Calendar, Proration: tariff.ActualDays, Cancel: tariff.PartCredit}},
		Usage:     []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 2_500_000, Per: 1e9}}}}},
		Promotions: []tariff.Promotion{{ID: "half", Name: "Half", Kind: tariff.Discount, Percent: 500_000, Applies: []string{"monthly fee"}},
			{ID: "two", Name: "Two off", Kind: tariff.Discount, Amount: 2_000_000, Applies: []string{"monthly fee"}}},
		Reservation: tariff.Reservation{Quota: 1e6, TTLSeconds: 600}, Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// By hand, March 2026: from the 11th to the 31st are 21 of 31 days, 21.00 of 31.00.
// Half of it is 10.50; of the 10.50 left, two euros less for 21 of 31 days are
// 1.354838; 9.145162 are to be paid, 5.00 by one bucket and 4.145162 by another.
// On the 22nd 10 of the 21 days are given back: of 9.145162 paid, 11/21 are used,
// 4.790323 (rounded half to even), and 4.354839 come back.
func TestFeeByHand(t *testing.T) {
	const from, at = 1_773_187_200, 1_774_137_600 // 11 and 22 March, 00:00 UTC
	v := homeVersion(t)
	one := &journal.Entry{Region: "north", Epoch: 1, Seq: 7, At: from * 1e6, Kind: journal.KindRecurring, Account: "a", Subscription: "s/1", Bucket: "a/cash", Unit: "EUR", Amount: 5_000_000,
		Ref: "s/1/monthly fee/1773187200", Detail: "21 of 31 days; price 21.00; Half (half) -10.50; Two off (two) -1.354838"}
	two := *one
	two.Seq, two.Bucket, two.Amount = 8, "bonus", 4_145_162
	back := two
	back.Seq, back.At, back.Kind, back.Amount, back.Ref, back.Detail = 20, at*1e6, journal.KindCredit, 4_354_839, "s/1/monthly fee/1774137600", "10 of 21 days"
	once := *one
	once.Kind, once.Ref, once.Detail = journal.KindOneTime, "s/1/connection/1773187200", ""
	before := []*journal.Entry{one, &two}
	ask := func(e journal.Entry, beside ...*journal.Entry) *Question {
		return &Question{Entry: &e, Beside: beside, Before: before, Versions: []*replay.Version{v}, Names: map[string]string{"bonus": "gift"}}
	}
	wrongOff, wrongSum, wrongBack, old := two, two, back, two
	wrongOff.Detail = strings.Replace(two.Detail, "1.354838", "1.354839", 1)
	wrongOff.Amount--
	wrongSum.Amount++
	wrongBack.Amount++
	old.Ref = "s/1/1773187200"
	for _, c := range []struct {
		name   string
		q      *Question
		says   string
		reason string
	}{
		{"a fee of two buckets", ask(two, one, &two), "4.145162 EUR from the allowance gift: monthly fee from 2026-03-11 to 2026-04-01, 21 days of 31 at 31.00 EUR: 21.00 EUR, less Half 10.50 EUR, less Two off 1.354838 EUR: 9.145162 EUR.", ""},
		{"what comes back", ask(back, &back), "4.354839 EUR to the allowance gift: monthly fee: 9.145162 EUR were paid, 10 days of 21 are not used; given back: 4.354839 EUR.", ""},
		{"once", ask(once, &once), "5.00 EUR from the cash balance: connection, once: 5.00 EUR.", ""},
		{"a discount that is none", ask(wrongOff, one, &wrongOff), "", "promotion two does not take 1.354839 off 10.50"},
		{"a sum that is none", ask(wrongSum, one, &wrongSum), "", "no version of the subscription's offerings has monthly fee at 21.000001: home version 2 has the price 21.00"},
		{"too much back", ask(wrongBack, &wrongBack), "", "of 9.145162 paid from 2026-03-11T00:00:00Z on, the unused part is 4.354839"},
		{"an old format", ask(old, &old), "", "its reference \"s/1/1773187200\" names no component: it is of a format before components had names"},
		{"no version", &Question{Entry: &once, Beside: []*journal.Entry{&once}, Unknown: "the offering is not known"}, "", "the offering is not known"},
	} {
		a := Explain(English, c.q)
		if a.Reason != c.reason || a.Explained != (c.reason == "") || c.says != "" && a.Sentence != c.says {
			t.Errorf("%s: %s\nreason %q", c.name, a.Sentence, a.Reason)
		}
	}
	a := Explain(Russian, ask(two, one, &two))
	if want := "4.145162 EUR, списано с: пакет gift. monthly fee с 2026-03-11 по 2026-04-01, 21 день из 31 при цене 31.00 EUR: 21.00 EUR, скидка «Half» 10.50 EUR, скидка «Two off» 1.354838 EUR — 9.145162 EUR."; a.Sentence != want {
		t.Errorf("%s", a.Sentence)
	}
	if len(a.Paid) != 2 || a.Paid[0].Amount != "5.00" || a.Fee.Off[1].Amount != "1.354838" || a.Version != 2 || a.Recomputed != "21.00" {
		t.Errorf("%+v", a)
	}
}

// By hand: 3.2 GB at 2.50 a GB on top of 0.5 GB are 8.00, of which cash paid 7.90
// and 0.10 are owed.
func TestUsageByHand(t *testing.T) {
	v := homeVersion(t)
	u := &journal.UsageRecord{Number: 2, From: 1_773_187_200, To: 1_773_190_800, InOctets: 3e9, OutOctets: 2e8, Service: "internet", Offering: "home", OfferingVersion: 2, TariffHash: v.Hash(),
		Before: rating.State{Quantity: 5e8, Charged: 1_250_000}, Slices: []rating.Slice{{Rule: "home@2/data", Quantity: 32e8, Amount: 8_000_000}}}
	record := &journal.Entry{Region: "north", Epoch: 1, Seq: 3, Kind: journal.KindUsage, Account: "a", Session: journal.SessionKey{NAS: "n", ID: "x", Start: 1_773_187_000}, Cut: 2, Usage: u}
	charge, over := *record, *record
	charge.Seq, charge.Kind, charge.Usage, charge.Bucket, charge.Unit, charge.Amount = 4, journal.KindCharge, nil, "a/cash", "EUR", 7_900_000
	over.Seq, over.Kind, over.Usage, over.Unit, over.Amount, over.Quantity, over.Ref, over.Detail = 5, journal.KindOverrun, nil, "EUR", 100_000, 4e7, "home@2/data", "owed"
	ask := func(e *journal.Entry) *Question {
		return &Question{Entry: e, Beside: []*journal.Entry{record, &charge, &over}, Versions: []*replay.Version{v}}
	}
	const pieces = "3200 MB of data at 2.50 EUR per GB: 8.00 EUR."
	for e, want := range map[*journal.Entry]string{
		&charge: "7.90 EUR from the cash balance for internet from 2026-03-11 00:00:00 to 2026-03-11 01:00:00, by Home, version 2: " + pieces,
		&over:   "0.10 EUR for 40 MB that no balance could pay, owed: internet from 2026-03-11 00:00:00 to 2026-03-11 01:00:00, by Home, version 2: " + pieces,
		record:  "Usage of internet from 2026-03-11 00:00:00 to 2026-03-11 01:00:00, by Home, version 2: " + pieces,
	} {
		if a := Explain(English, ask(e)); !a.Explained || a.Sentence != want || a.Recomputed != "8.00" || len(a.Paid) != 2 || a.Rounding.Payable != "9.25" {
			t.Errorf("%s\nreason %q, %+v", a.Sentence, a.Reason, a.Paid)
		}
	}
	charge.Amount++
	if a := Explain(English, ask(&charge)); a.Explained || a.Reason != "the record comes to 8.00, its charges sum to 8.000001" {
		t.Errorf("%q", a.Reason)
	}
	charge.Amount--
	u.Slices[0].Amount += money.Micro
	if a := Explain(English, ask(&charge)); a.Explained || a.Reason != "the record says 9.00, by the version's prices it comes to 8.00" {
		t.Errorf("%q", a.Reason)
	}
	u.TariffHash[0]++
	if a := Explain(English, ask(&charge)); a.Explained || !strings.HasPrefix(a.Reason, "the catalog's home version 2 has other content") {
		t.Errorf("%q", a.Reason)
	}
	if a := Explain(English, &Question{Entry: &charge}); a.Explained || a.Reason != "the usage record of cut 2 of session n/x@1773187000 is not in the ledger" {
		t.Errorf("%q", a.Reason)
	}
}

// A record in parts whose pieces nothing reproduces is told by what stands in it: the
// sum of a try that has other pieces is not what the version makes of it, and does not
// prove the record wrong, nor right. Here 8.00 are 3.2 GB in one piece that names
// another rule.
func TestARecordThatIsNotReproducedIsToldAsItStands(t *testing.T) {
	v := homeVersion(t)
	part := journal.UsagePart{Component: "data", Start: 1_773_187_000, Uses: []rating.Use{{Quantity: 32e8, From: 1_773_187_200, To: 1_773_190_800}},
		Slices: []journal.PaidSlice{{Rule: "home@2/other", Quantity: 32e8, Charged: 32e8, Amount: 8_000_000}}}
	u := &journal.UsageRecord{Number: 1, From: 1_773_187_200, To: 1_773_190_800, InOctets: 32e8, Service: "internet", Offering: "home", OfferingVersion: 2, TariffHash: v.Hash(), Parts: []journal.UsagePart{part}}
	record := &journal.Entry{Region: "north", Epoch: 1, Seq: 3, Kind: journal.KindUsage, Account: "a", Session: journal.SessionKey{NAS: "n", ID: "x", Start: 1_773_187_000}, Cut: 1, Usage: u}
	charge := *record
	charge.Seq, charge.Kind, charge.Usage, charge.Bucket, charge.Unit, charge.Amount = 4, journal.KindCharge, nil, "a/cash", "EUR", 8_000_000
	for _, amount := range []money.Amount{8_000_000, 7_000_000} {
		u.Parts[0].Slices[0].Amount, charge.Amount = amount, int64(amount)
		a := Explain(English, &Question{Entry: &charge, Beside: []*journal.Entry{record, &charge}, Versions: []*replay.Version{v}})
		if a.Explained || !strings.Contains(a.Reason, "not reproduced") || a.Recomputed != "" || len(a.Pieces) != 1 || a.Pieces[0].Rule != "home@2/other" || a.Pieces[0].Amount != amount.String() {
			t.Errorf("%t, %q, recomputed %q, %+v", a.Explained, a.Reason, a.Recomputed, a.Pieces)
		}
	}
	u.Parts[0].Slices[0].Rule, u.Parts[0].Slices[0].Amount, charge.Amount = "home@2/data", 8_000_000, 8_000_000
	if a := Explain(English, &Question{Entry: &charge, Beside: []*journal.Entry{record, &charge}, Versions: []*replay.Version{v}}); !a.Explained || a.Recomputed != "8.00" {
		t.Errorf("the right one: %q, %s", a.Reason, a.Recomputed)
	}
}
