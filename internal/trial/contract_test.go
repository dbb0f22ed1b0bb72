package trial

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"meridian/internal/sheet"
	"meridian/internal/why"
)

const lifeSheet = `id: basic
name: Basic
currency: EUR
service: internet
one_time: [{name: set-up, price: "5.00"}]
recurring: [{name: fee, price: "31.00", every: month, anchor: calendar, proration: actual-days, cancel: unused}]
usage:
  - {name: data, unit: bytes, counted: period, min_period: "2.00", rates: [{price: 1.00 per GB}]}
windows: [{name: night, from: "22:00", to: "06:00"}]
profile: {session_limit: 1, interim: 60s}
promotions:
  - {id: friend, name: Bring a friend, kind: referral, bonus: [{from: "0.00", amount: "3.00"}], per_person: 1}
  - {id: born, name: Happy birthday, kind: birthday, applies: [fee], percent: 50%, days: 2}
  - {id: nights, name: Half price at night, kind: happy-hours, window: night, applies: [data], percent: 50%}
  - {id: both, name: With television, kind: cross-sell, with: [tv], applies: [fee], amount: "1.00"}
reservation: {quota: 10MB, ttl: 180s}
overrun: owed
---
id: basic
name: Basic
currency: EUR
valid_from: 2026-04-01T00:00:00Z
service: internet
recurring: [{name: fee, price: "40.00", every: month, anchor: calendar, proration: actual-days, cancel: unused}]
usage: [{name: data, unit: bytes, rates: [{price: 1.00 per GB}]}]
profile: {session_limit: 1, interim: 60s}
reservation: {quota: 10MB, ttl: 180s}
overrun: owed
---
id: large
name: Large
currency: EUR
service: internet
recurring: [{name: access, price: "62.00", every: month, anchor: calendar, proration: actual-days, cancel: unused}]
usage: [{name: data, unit: bytes, rates: [{price: 0 per GB}]}]
profile: {session_limit: 1, interim: 60s}
overrun: owed
`

func live(t *testing.T, events, balances string) (string, error) {
	t.Helper()
	offerings, err := sheet.Read("life.yaml", []byte(lifeSheet), nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := New(offerings, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := ReadUsage("life.csv", []byte(events))
	if err != nil {
		t.Fatal(err)
	}
	if balances != "" {
		list, err := ReadBalances("b", []byte(balances))
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Start("b", list); err != nil {
			t.Fatal(err)
		}
	}
	rated, err := x.Rate("life.csv", in.Usage, why.English)
	var out []string
	for _, r := range rated {
		line := strings.TrimSpace(r.Event+" "+r.Usage) + " " + r.CostText
		for _, o := range r.Promotions {
			line += " (" + o.Promotion + " " + o.Amount + ")"
		}
		for _, more := range []string{r.Part, r.Barred} {
			if more != "" {
				line += ", " + more
			}
		}
		if r.Overrun != "" {
			line += ", overrun " + r.Overrun
		}
		out = append(out, line)
	}
	return strings.Join(out, "; "), err
}

func TestLife(t *testing.T) {
	const head = "event,offering,start,quantity,born,holds\n"
	for _, c := range []struct{ name, events, balances, want string }{
		{"set-up and part; a new price from April", "activate,basic,2026-03-11T10:00:00Z\nrenew,,2026-05-01T00:00:00Z\n", "",
			"one-time set-up 5.00; fee fee 21.00, 21 of 31 days; minimum data 2.00; fee fee 40.00; fee fee 40.00"},
		{"change by the day", "activate,basic,2026-03-11T10:00:00Z\nchange,large,2026-03-22T08:00:00Z\n,,2026-03-23T00:00:00Z,1GB\ncancel,,2026-03-31T12:00:00Z\n", "",
			"one-time set-up 5.00; fee fee 21.00, 21 of 31 days; credit fee -10.00, 10 of 21 days; fee access 20.00, 10 of 31 days; data 0.00"},
		{"born on 12 March; a customer of television", "activate,basic,2026-03-12T10:00:00Z,,1990-03-12,tv\n", "",
			"one-time set-up 5.00; fee fee 9.354839 (born 10.00) (both 0.645161), 20 of 31 days"},
		{"half price at night, and what was used of the minimum", "activate,basic,2026-03-01T00:00:00Z\n,,2026-03-02T12:00:00Z,1GB\n,,2026-03-02T23:00:00Z,1GB\nrenew,,2026-04-01T00:00:00Z\n", "",
			"one-time set-up 5.00; fee fee 31.00; data 1.00; data 0.50 (nights 0.50); fee fee 40.00"},
		{"what cannot be paid lapses, a top-up goes on", "activate,basic,2026-03-01T00:00:00Z\nrenew,,2026-04-01T00:00:00Z\n,,2026-04-02T00:00:00Z,1GB\ntop-up,,2026-04-21T00:00:00Z,20.00\nreferral,,2026-04-22T00:00:00Z\nreferral,,2026-04-23T00:00:00Z\n",
			"subscription,balance,value\n,money,40.00\n",
			"one-time set-up 5.00; fee fee 31.00; minimum data 2.00; lapsed 0.00, what fell due is not paid; data 0.00, what fell due is not paid; top-up 0.00; " +
				"fee fee 13.333333, 10 of 30 days; referral 0.00; referral 0.00"},
		{"a pause is not owed", "activate,large,2026-03-30T00:00:00Z\npause,,2026-03-31T00:00:00Z\nrenew,,2026-04-05T00:00:00Z\n,,2026-04-05T00:00:00Z,1GB\nresume,,2026-04-30T00:00:00Z\n", "",
			"fee access 4.00, 2 of 31 days; data 0.00, the subscription is paused; fee access 2.066667, 1 of 30 days"},
	} {
		got, err := live(t, head+c.events, c.balances)
		if got != c.want || err != nil {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

func TestLifeFaults(t *testing.T) {
	_, err := live(t, "event,offering,start,quantity,born,since\nrenew,,2026-03-01T00:00:00Z\nactivate,gold,2026-03-01T00:00:00Z\nactivate,basic,soon\n"+
		"activate,basic,2026-03-01T00:00:00Z,,31.12.1990\nactivate,basic,2026-03-01T00:00:00Z,,,then\nactivate,basic,2026-03-01T00:00:00Z\nactivate,basic,2026-03-01T00:00:00Z\n"+
		"change,basic,2026-03-02T00:00:00Z\ntop-up,,2026-03-02T00:00:00Z,-1\nmarry,,2026-03-02T00:00:00Z\ncancel,,2026-03-02T00:00:00Z\ncancel,,2026-03-03T00:00:00Z\n", "")
	text := fmt.Sprint(err)
	for _, want := range []string{`life.csv:2:1: event: "renew" is of a subscription that was not activated`, `3:1: offering: "gold"`, `4:1: start: "soon"`, `5:1: born: "31.12.1990"`, `6:1: since: "then"`,
		`8:1: event: "activate" is of a subscription that is active`, `9:1: offering: "basic" is no other`, `10:1: quantity: "-1"`, `11:1: event: "marry"`, `13:1: event: "cancel" is of a subscription that has ended`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not told in\n%s", want, text)
		}
	}
}

// A discount on usage has a piece of its own, with its sentence: the pieces sum to
// the cost.
func TestUsageDiscountIsTold(t *testing.T) {
	offerings, err := sheet.Read("life.yaml", []byte(lifeSheet), nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := New(offerings, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := ReadUsage("life.csv", []byte("event,subscription,offering,start,quantity,service\nactivate,a,basic,2026-03-01T00:00:00Z,,\nusage,a,basic,2026-03-02T23:00:00Z,3GB,internet\n"))
	if err != nil {
		t.Fatal(err)
	}
	rated, err := x.Rate("life.csv", in.Usage, why.English)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, p := range rated[len(rated)-1].Pieces {
		got = append(got, p.Kind+" "+p.Amount+" "+p.Why)
	}
	want := []string{"usage 3.00 3 GB of data at 1.00 EUR per GB: 3.00 EUR.", "discount -1.50 Half price at night takes 1.50 EUR off data."}
	if !slices.Equal(got, want) || rated[len(rated)-1].CostText != "1.50" {
		t.Errorf("%q, cost %s", got, rated[len(rated)-1].CostText)
	}
}

// Who has a grandfathered version keeps it; who comes later has the newer one.
func TestAGrandfatheredVersionGoesOn(t *testing.T) {
	one := func(more, price string) string {
		return "id: home\nname: Home\ncurrency: EUR\nservice: internet\n" + more + "usage: [{name: data, unit: bytes, rates: [{price: " + price + " per GB}]}]\nprofile: {session_limit: 1, interim: 60s}\nreservation: {quota: 1MB, ttl: 180s}\noverrun: owed\n"
	}
	sheet := one("grandfathered: true\n", "1.00") + "---\n" + one("valid_from: 2026-04-01T00:00:00Z\n", "2.00")
	var got []string
	for _, r := range try(t, sheet, "subscription,usage,start,quantity\nann,data,2026-03-02T10:00:00Z,1GB\nann,data,2026-04-02T10:00:00Z,1GB\nbob,data,2026-04-02T10:00:00Z,1GB\n", "", why.English) {
		got = append(got, r.Subscription+" "+r.CostText)
	}
	if all := strings.Join(got, ", "); all != "ann 1.00, ann 1.00, bob 2.00" {
		t.Error(all)
	}
}

// Where there is not enough for all, what was used in arrears is paid, and what begins
// is not: 17 of 31 days of 3.10 are 1.70, of 5.00; the month of 31.00 lapses. A region
// does the same (edge/fsm TestContractLapsesAndRecovers).
func TestWhatWasUsedIsPaidFirst(t *testing.T) {
	sheet := `id: b
name: B
currency: EUR
service: internet
recurring:
  - {name: line, price: "3.10", every: month, anchor: calendar, due: arrears, proration: actual-days}
  - {name: access, price: "31.00", every: month, anchor: calendar, proration: actual-days}
usage: [{name: data, unit: bytes, rates: [{price: 1.00 per GB}]}]
profile: {session_limit: 1, interim: 60s}
reservation: {quota: 1MB, ttl: 180s}
overrun: owed
`
	var got []string
	for _, r := range try(t, sheet, "event,subscription,start\nactivate,ann,2026-01-15T09:00:00Z\nrenew,ann,2026-02-01T00:00:00Z\n", "subscription,balance,value\nann,money,22.00\n", why.English) {
		got = append(got, strings.TrimSpace(r.Event+" "+r.Usage+" "+r.CostText))
	}
	if all := strings.Join(got, ", "); all != "fee access 17.00, fee line 1.70, lapsed  0.00" {
		t.Error(all)
	}
}
