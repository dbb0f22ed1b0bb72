package why

import (
	"strings"
	"testing"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// Numbers agree with their nouns: the CLDR examples of each category.
func TestPlural(t *testing.T) {
	for _, c := range []struct {
		lang Language
		n    []int64
		want Category
	}{
		{English, []int64{1}, One}, {English, []int64{0, 2, 11, 21}, Other},
		{Russian, []int64{1, 21, 101, 1001}, One}, {Russian, []int64{2, 3, 4, 22, 104}, Few}, {Russian, []int64{0, 5, 11, 12, 14, 19, 100, 111}, Many},
		{Arabic, []int64{0}, Zero}, {Arabic, []int64{1}, One}, {Arabic, []int64{2}, Two}, {Arabic, []int64{3, 10, 103, 1010}, Few},
		{Arabic, []int64{11, 99, 111, 1026}, Many}, {Arabic, []int64{100, 102, 1000, 10000}, Other},
	} {
		for _, n := range c.n {
			if got := Plural(c.lang, n); got != c.want {
				t.Errorf("%s %d is of category %d, want %d", c.lang, n, got, c.want)
			}
		}
	}
}

func TestSentences(t *testing.T) {
	call := Facts{Component: "calls", Unit: tariff.Seconds, Currency: "EUR", Zone: "Malta", Priced: rating.Priced{
		Kind: rating.KindUsage, Quantity: 61, Charged: 120, Step: 60, Amount: 240_000, Price: tariff.Price{Amount: 120_000, Per: 60}}}
	data := Facts{Component: "data", Unit: tariff.Bytes, Currency: "EUR", Window: "night", Priced: rating.Priced{
		Kind: rating.KindUsage, Quantity: 2e9, Charged: 2e9, Step: 1, Amount: 5_000_000, Capped: true, Price: tariff.Price{Amount: 2_500_000, Per: 1e9}}}
	share := Facts{Component: "tickets", Unit: tariff.Money, Currency: "EUR", Priced: rating.Priced{
		Kind: rating.KindUsage, Quantity: 10_000_000, Charged: 10_000_000, Step: 1, Amount: 130_000, Price: tariff.Price{Amount: 13, Per: 1000}}}
	free := Facts{Component: "messages", Unit: tariff.Events, Currency: "EUR", Priced: rating.Priced{Kind: rating.KindFree, Quantity: 2}}
	half := Facts{Component: "seats", Unit: tariff.Units, Currency: "EUR", Priced: rating.Priced{Kind: rating.KindCovered, Rule: "pack", Quantity: money.Micro * 3 / 2}}
	for _, c := range []struct {
		lang Language
		f    Facts
		want string
	}{
		{English, call, "61 seconds of calls to Malta at 0.12 EUR per minute, charged as 2 minutes in whole steps of 1 minute: 0.24 EUR."},
		{Russian, call, "calls, направление Malta: 61 секунда по цене 0.12 EUR за минуту, к оплате 2 минуты (шаг тарификации: 1 минута) — 0.24 EUR."},
		{Arabic, call, "calls، الوجهة Malta: 61 ثانية بسعر 0.12 EUR لكل دقيقة، المحتسب: دقيقتان (الخطوة: دقيقة واحدة)، المبلغ 0.24 EUR."},
		{English, data, "2 GB of data in the window night at 2.50 EUR per GB: 5.00 EUR. The maximum price was reached."},
		{Russian, data, "data, период night: 2 ГБ по цене 2.50 EUR за ГБ — 5.00 EUR. Достигнута максимальная стоимость."},
		{Arabic, data, "data، الفترة night: 2 غيغابايت بسعر 2.50 EUR لكل غيغابايت، المبلغ 5.00 EUR. تم بلوغ الحد الأقصى للسعر."},
		{English, share, "10.00 of tickets at 1.3%: 0.13 EUR."},
		{English, free, "2 events of messages: free of charge."},
		{Russian, free, "messages: 2 события бесплатно."},
		{Arabic, free, "messages: حدثان مجانًا."},
		{English, half, "1.50 units of seats: paid by the allowance pack."},
		{Russian, half, "seats: 1.50 единицы оплачено из пакета pack."},
		{"xx", free, "2 events of messages: free of charge."},
	} {
		if got := Sentence(c.lang, &c.f); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.lang, got, c.want)
		}
	}
}

func TestChargeSentences(t *testing.T) {
	fee := Charge{Kind: Fee, Component: "monthly fee", Currency: "EUR", From: "2026-03-11", To: "2026-04-01", Days: 21, Of: 31, Whole: 31_000_000, Price: 21_000_000, Amount: 10_500_000,
		Off: []rating.Reduction{{Name: "Half", Amount: 10_500_000}}}
	back := Charge{Kind: Credit, Component: "monthly fee", Currency: "EUR", From: "2026-03-22", To: "2026-04-01", Days: 10, Of: 21, Price: 21_000_000, Amount: 10_000_000}
	for _, c := range []struct {
		lang Language
		c    Charge
		want string
	}{
		{English, fee, "monthly fee from 2026-03-11 to 2026-04-01, 21 days of 31 at 31.00 EUR: 21.00 EUR, less Half 10.50 EUR: 10.50 EUR."},
		{Russian, fee, "monthly fee с 2026-03-11 по 2026-04-01, 21 день из 31 при цене 31.00 EUR: 21.00 EUR, скидка «Half» 10.50 EUR — 10.50 EUR."},
		{Arabic, fee, "monthly fee من 2026-03-11 إلى 2026-04-01، 21 يومًا من 31 بسعر 31.00 EUR: 21.00 EUR، خصم «Half» 10.50 EUR، المبلغ 10.50 EUR."},
		{English, back, "monthly fee from 2026-03-22 to 2026-04-01: 21.00 EUR were paid, 10 days of 21 are not used; given back: 10.00 EUR."},
		{Russian, back, "monthly fee с 2026-03-22 по 2026-04-01: было оплачено 21.00 EUR, не использовано: 10 дней из 21; возвращается 10.00 EUR."},
		{Arabic, back, "monthly fee من 2026-03-22 إلى 2026-04-01: دُفع 21.00 EUR، غير مستخدم: 10 أيام من 21، والمُعاد 10.00 EUR."},
	} {
		if got := ChargeSentence(c.lang, &c.c); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.lang, got, c.want)
		}
	}
	for _, l := range Languages() {
		for kind := range chargeKinds {
			c := fee
			c.Kind = kind
			for c.Days = range int64(32) {
				if s := ChargeSentence(l, &c); s == "" || strings.ContainsAny(s, "{}#") || strings.Contains(s, "%!") {
					t.Fatalf("%s %d: %q", l, kind, s)
				}
			}
		}
	}
}

// What is not a plain price is not told as one: a step that an allowance has paid,
// a tier that prices all usage, a level that fell.
func TestSentencesOfWhatIsNotPlain(t *testing.T) {
	per := func(n int64) tariff.Price { return tariff.Price{Amount: money.Amount(n), Per: 1} }
	o := &tariff.Offering{ID: "m", Version: 1, Currency: "EUR", Usage: []tariff.Usage{
		{Name: "calls", Unit: tariff.Seconds, Rates: []tariff.Rate{{Window: "night", Price: per(2)}, {Price: per(3)}}},
		{Name: "mails", Unit: tariff.Events, Rates: []tariff.Rate{{Mode: tariff.Volume}}}}}
	use := rating.Priced{Kind: rating.KindUsage, Rule: "m@1/mails/t", Quantity: 3, Charged: 3, Step: 1, Amount: 24, Price: per(8)}
	up, down, less := use, use, use
	up.Amount, down.Amount, less.Quantity, less.Amount = 120_000, -160_000, -3, -240_000
	for _, c := range []struct {
		i    int
		x    rating.Priced
		want [3]string
	}{
		{0, rating.Priced{Kind: rating.KindCovered, Rule: "m@1/calls", Quantity: 5}, [3]string{
			"5 seconds of calls: within a step that an allowance has paid for already.",
			"calls: 5 секунд в пределах шага, уже оплаченного из пакета.",
			"calls: 5 ثوانٍ ضمن خطوة مدفوعة من قبل من رصيد باقة."}},
		{0, rating.Priced{Kind: rating.KindCovered, Rule: "pack", Quantity: 5}, [3]string{"5 seconds of calls: paid by the allowance pack.",
			"calls: 5 секунд оплачено из пакета pack.", "calls: 5 ثوانٍ من رصيد الباقة pack."}},
		{0, rating.Priced{Kind: rating.KindUsage, Rule: "m@1/calls/night", Quantity: 1, Charged: 1, Step: 1, Amount: 2_000_000, Price: per(2_000_000)}, [3]string{
			"1 second of calls in the window night at 2.00 EUR per second: 2.00 EUR.", "calls, период night: 1 секунда по цене 2.00 EUR за секунду — 2.00 EUR.",
			"calls، الفترة night: ثانية واحدة بسعر 2.00 EUR لكل ثانية، المبلغ 2.00 EUR."}},
		{1, use, [3]string{"3 events of mails at 0.000008 EUR per event: 0.000024 EUR.", "", ""}},
		{1, up, [3]string{"3 events of mails in the tier that prices all usage so far at 0.000008 EUR per event; difference to what was charged before: 0.12 EUR.",
			"mails: 3 события в ступени, по которой весь объём считается по цене 0.000008 EUR за событие; разница с начисленным ранее — 0.12 EUR.", ""}},
		{1, down, [3]string{"3 events of mails in the tier that prices all usage so far at 0.000008 EUR per event: 0.16 EUR are given back.", "", ""}},
		{1, less, [3]string{"mails less by 3 events: 0.24 EUR are given back.", "mails: уменьшение на 3 события; возвращается 0.24 EUR.", ""}},
	} {
		f := FactsOf(o, c.i, "", c.x)
		for k, l := range Languages() {
			if got := Sentence(l, &f); c.want[k] != "" && got != c.want[k] {
				t.Errorf("%s\nwant\n%s", got, c.want[k])
			}
		}
	}
}

// A minimum that usage has reached is taken off. By hand, at 0.01 a second and at
// least 0.05: 2 s are 0.02 and 0.03 more, 8 s after a cut are 0.08 less 0.03: 0.05. What
// the sentences say of the second record, with its signs, is what it comes to.
func TestAMinimumThatIsReachedIsTakenOff(t *testing.T) {
	o := &tariff.Offering{ID: "m", Version: 1, Name: "M", Currency: "EUR", Service: "voice", Overrun: tariff.Owed, Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60},
		Reservation: tariff.Reservation{Quota: 60, TTLSeconds: 600}, Usage: []tariff.Usage{{Name: "calls", Unit: tariff.Seconds, MinEvent: 50_000, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 10_000, Per: 1}}}}}}
	p, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	var tally rating.Tally
	for _, c := range []struct {
		seconds int64
		total   money.Amount
		want    [3][]string
	}{
		{2, 50_000, [3][]string{{"2 seconds of calls at 0.01 EUR per second: 0.02 EUR.", "Difference to the minimum price of calls: 0.03 EUR."},
			{"calls: 2 секунды по цене 0.01 EUR за секунду — 0.02 EUR.", "calls: доплата до минимальной стоимости — 0.03 EUR."},
			{"calls: ثانيتان بسعر 0.01 EUR لكل ثانية، المبلغ 0.02 EUR.", "calls: الفرق إلى الحد الأدنى للسعر 0.03 EUR."}}},
		{8, 50_000, [3][]string{{"8 seconds of calls at 0.01 EUR per second: 0.08 EUR.", "0.03 EUR charged before up to the minimum price of calls are taken off."},
			{"calls: 8 секунд по цене 0.01 EUR за секунду — 0.08 EUR.", "calls: вычтено 0.03 EUR из начисленной ранее доплаты до минимальной стоимости."},
			{"calls: 8 ثوانٍ بسعر 0.01 EUR لكل ثانية، المبلغ 0.08 EUR.", "calls: خُصم 0.03 EUR مما احتُسب من قبل لبلوغ الحد الأدنى للسعر."}}},
	} {
		pieces, next, err := p.Rate(nil, rating.Context{}, tally, rating.Use{Quantity: c.seconds})
		if err != nil {
			t.Fatal(err)
		}
		tally = next
		for k, l := range Languages() {
			sum := money.Amount(0)
			for i := range pieces {
				f := FactsOf(o, 0, "", pieces[i])
				sum += f.Amount
				if got := Sentence(l, &f); i >= len(c.want[k]) || got != c.want[k][i] {
					t.Errorf("%s, piece %d: %s, want %q", l, i, got, c.want[k])
				}
			}
			if sum != c.total {
				t.Errorf("%d s come to %s, want %s", c.seconds, sum, c.total)
			}
		}
	}
}

// A sum stands once when nothing is taken off it.
func TestASumIsSaidOnce(t *testing.T) {
	once := Charge{Kind: OneTime, Component: "connection", Currency: "EUR", Days: 1, Of: 1, Price: 10_000_000, Amount: 10_000_000}
	for l, want := range map[Language]string{English: "connection, once: 10.00 EUR.", Russian: "connection, разово: 10.00 EUR.", Arabic: "connection، مرة واحدة: 10.00 EUR."} {
		if got := ChargeSentence(l, &once); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	off := &rating.Reduction{Name: "Half", Amount: 500_000}
	for l, want := range map[Language]string{English: "Half takes 0.50 EUR off data.", Russian: "data: скидка «Half» 0.50 EUR.", Arabic: "data: خصم «Half» بقيمة 0.50 EUR."} {
		if got := OffSentence(l, "data", "EUR", off); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// No language lacks a template, and no sentence keeps a mark of one.
func TestEveryKindInEveryLanguage(t *testing.T) {
	for _, l := range Languages() {
		for kind := rating.KindUsage; kind <= rating.KindCovered; kind++ {
			for _, unit := range []tariff.Unit{tariff.Bytes, tariff.Seconds, tariff.Events, tariff.Money, tariff.Units} {
				for n := range int64(130) {
					f := Facts{Component: "c", Unit: unit, Currency: "EUR", Zone: "z", Window: "w", Priced: rating.Priced{
						Rule: "r", Kind: kind, Quantity: n * max(unit.Scale(), 1), Charged: n, Step: 7, Price: tariff.Price{Amount: 1, Per: 1}}}
					if s := Sentence(l, &f); s == "" || strings.ContainsAny(s, "{}#") || strings.Contains(s, "  ") || strings.Contains(s, "%!") {
						t.Fatalf("%s %s %s %d: %q", l, kind, unit, n, s)
					}
				}
			}
		}
	}
}
