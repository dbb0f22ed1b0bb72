package fsm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/zones"
)

func monthly(name string, price money.Amount) tariff.Recurring {
	return tariff.Recurring{Name: name, Price: price, Every: tariff.Period{Unit: tariff.Month, Count: 1},
		Anchor: tariff.Calendar, Proration: tariff.ActualDays, Cancel: tariff.PartCredit}
}

// threeFees is a package of two fees in advance, one in arrears, a set-up, and a first month at
// half price.
func threeFees(id string, price money.Amount) *tariff.Offering {
	late := monthly("line", 3_100_000)
	late.Due = tariff.Arrears
	return &tariff.Offering{
		ID: id, Version: 1, Name: "Bundle", Currency: "EUR", Service: "internet", Zone: "Europe/Berlin", TZData: zones.Latest,
		OneTime:    []tariff.OneTime{{Name: "set-up", Price: 5 * eur}},
		Recurring:  []tariff.Recurring{monthly("access", price), monthly("television", 6_200_000), late},
		Promotions: []tariff.Promotion{{ID: "half", Name: "First month at half price", Kind: tariff.Discount, Percent: 500_000, Periods: 1, Applies: []string{"access"}}},
		Profile:    tariff.Profile{SessionLimit: 2, InterimSeconds: 60}, Overrun: tariff.Owed,
	}
}

// fees writes the entries of charges: kind, component, start, amount, detail.
func (r *region) fees() string {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, e := range r.entries {
		if e.Kind != journal.KindRecurring && e.Kind != journal.KindOneTime && e.Kind != journal.KindCredit && e.Kind != journal.KindOwed {
			continue
		}
		parts := strings.Split(e.Ref, "/")
		var at int64
		fmt.Sscan(parts[2], &at)
		line := fmt.Sprintf("%s %s %s %s", e.Kind, parts[1], time.Unix(at, 0).In(berlin).Format("01-02T15:04"), money.Amount(e.Amount))
		if e.Detail != "" {
			line += " (" + e.Detail + ")"
		}
		out = append(out, line)
	}
	r.entries = nil
	return strings.Join(out, ", ")
}

// until moves region time to an instant, one tick a day and then enough of them.
func (r *region) until(at string) {
	r.t.Helper()
	to, err := time.Parse(time.RFC3339, at)
	if err != nil {
		r.t.Fatal(err)
	}
	for r.now < to.Unix() {
		r.tick(min(86400, to.Unix()-r.now))
		r.apply(&command.Acked{Epoch: 1, Seq: r.s.Seq, Hash: r.s.Head})
	}
	for range 5 {
		r.tick(1)
	}
}

func (r *region) answer(o feed.Order) string {
	r.t.Helper()
	o.ID, o.Subscription = fmt.Sprintf("order-%d", r.number), "sub"
	r.feed(feed.KindOrder, o.ID, &o)
	for _, e := range r.entries {
		if e.Kind == journal.KindOrder && e.Ref == o.ID {
			return e.Detail
		}
	}
	return ""
}

func TestContractOfABundle(t *testing.T) {
	r := newRegion(t, 200*eur, threeFees("bundle", 31*eur), threeFees("large", 62*eur))
	r.want("activation", r.fees(), "one_time set-up 01-15T09:00 5.00, recurring access 01-15T09:00 8.50 (17 of 31 days; price 17.00; First month at half price (half) -8.50), "+
		"recurring television 01-15T09:00 3.40 (17 of 31 days)")
	r.want("login", r.login("s").Code, command.OK)
	r.until("2027-02-28T22:59:00Z")
	r.want("February", r.fees(), "recurring line 01-15T09:00 1.70 (17 of 31 days), recurring access 02-01T00:00 31.00, recurring television 02-01T00:00 6.20")
	r.until("2027-03-10T09:00:00Z")
	r.want("March", r.fees(), "recurring line 02-01T00:00 3.10, recurring access 03-01T00:00 31.00, recurring television 03-01T00:00 6.20")
	r.want("change", r.answer(feed.Order{Action: feed.ActionChange, Offering: "large"}), "executed")
	r.want("by the day, and no second promotion", r.fees(), "credit access 03-10T10:00 22.00 (22 of 31 days), credit television 03-10T10:00 4.40 (22 of 31 days), recurring line 03-01T00:00 0.90 (9 of 31 days), "+
		"one_time set-up 03-10T10:00 5.00, recurring access 03-10T10:00 44.00 (22 of 31 days), recurring television 03-10T10:00 4.40 (22 of 31 days)")
	r.want("twice in a second", r.answer(feed.Order{Action: feed.ActionChange, Offering: "bundle"}), "refused: the offering was changed this very second")
	r.tick(1)
	b, dump := r.s.buckets.get("a/cash"), r.s.Dump()
	if again, err := Load(dump); err != nil || !bytes.Equal(again.Dump(), dump) {
		t.Fatal("a contract is not read back", err)
	}
	r.entries = nil
	r.want("end", r.answer(feed.Order{Action: feed.ActionTerminate}), "executed")
	r.want("the rest", r.fees(), "credit access 03-10T10:00 42.00 (21 of 22 days), credit television 03-10T10:00 4.20 (21 of 22 days), recurring line 03-10T10:00 0.10 (1 of 31 days)")
	r.until("2027-05-01T00:00:00Z")
	r.want("nothing more", r.fees(), "")
	r.want("what is left", b.Available(), 200_000_000-5_000_000-8_500_000-3_400_000-1_700_000-37_200_000-40_300_000+26_400_000-900_000-53_400_000+46_200_000-100_000)
}

func TestContractLapsesAndRecovers(t *testing.T) {
	r := newRegion(t, 20*eur, threeFees("bundle", 31*eur))
	r.fees()
	r.until("2027-02-01T08:00:00Z")
	r.want("3.10 are there: what was used is paid, what begins needs all of 37.20", r.fees(), "recurring line 01-15T09:00 1.70 (17 of 31 days)")
	r.want("left", r.available(), 1_400_000)
	r.want("unpaid", r.login("s").Reason, command.ReasonUnpaid)
	r.until("2027-02-20T08:00:00Z")
	r.want("still", r.fees(), "")
	r.grant(60*eur, 0, 0)
	r.want("what begins now", r.fees(), "recurring access 02-20T09:00 9.964286 (9 of 28 days), recurring television 02-20T09:00 1.992857 (9 of 28 days)")
	r.want("paid", r.login("s").Reason, command.ReasonNone)
	r.tick(3600)
	r.want("bar", r.answer(feed.Order{Action: feed.ActionBar}), "executed")
	r.until("2027-03-30T08:00:00Z")
	r.want("nothing while barred", r.fees(), "")
	r.want("unbar", r.answer(feed.Order{Action: feed.ActionUnbar}), "executed")
	r.want("what passed is not owed", r.fees(), "recurring line 02-20T09:00 0.110715 (1 of 28 days), recurring access 03-30T10:00 2.00 (2 of 31 days), recurring television 03-30T10:00 0.40 (2 of 31 days)")
}

func TestContractOwesWhatWasUsed(t *testing.T) {
	o := threeFees("late", 31*eur)
	o.OneTime, o.Promotions, o.Recurring = nil, nil, o.Recurring[2:]
	r := newRegion(t, eur, o)
	r.until("2027-02-01T08:00:00Z")
	r.want("not paid", r.fees(), "")
	r.want("refused", r.login("s").Reason, command.ReasonUnpaid)
	r.until("2027-03-05T08:00:00Z")
	r.grant(3*eur, 0, 0)
	r.want("January is paid, February was not served", r.fees(), "recurring line 01-15T09:00 1.70 (17 of 31 days)")
	r.want("served", r.login("s").Reason, command.ReasonNone)
	r.until("2027-03-20T08:00:00Z")
	r.want("end", r.answer(feed.Order{Action: feed.ActionTerminate}), "executed")
	r.want("the rest is owed", r.fees(), "recurring line 03-05T09:00 1.30 (16 of 31 days), owed line 03-05T09:00 0.30 (16 of 31 days)")
}

// A fee that a promotion makes nothing is in the ledger all the same, and names it.
func TestContractFreePeriodIsReported(t *testing.T) {
	o := threeFees("trial", 31*eur)
	o.OneTime, o.Recurring = nil, o.Recurring[:1]
	o.Promotions = []tariff.Promotion{{ID: "free", Name: "First month free", Kind: tariff.Trial, Periods: 1}}
	r := newRegion(t, 0, o)
	r.want("free", r.fees(), "owed access 01-15T09:00 0.00 (17 of 31 days; price 17.00; First month free (free) -17.00)")
	r.want("served", r.login("s").Reason, command.ReasonNone)
	r.until("2027-02-01T08:00:00Z")
	r.want("lapsed", r.login("s2").Reason, command.ReasonUnpaid)
}

// A fee that a promotion makes nothing is served to a subscriber who has no bucket
// here: there is nothing to pay.
func TestContractFreePeriodNeedsNoBucket(t *testing.T) {
	o := threeFees("trial", 31*eur)
	o.OneTime, o.Recurring = nil, o.Recurring[:1]
	o.Promotions = []tariff.Promotion{{ID: "free", Name: "First month free", Kind: tariff.Trial, Periods: 1}}
	r := newRegion(t, 0, o)
	r.feed(feed.KindSubscription, "sub2", &feed.Subscription{ID: "sub2", Account: "b", Login: "v", Offering: o.ID})
	r.tick(10)
	r.want("lapsed", r.s.subscriptions.get("sub2").Lapsed, false)
	r.want("told of, for both", strings.Count(r.fees(), "First month free"), 2)
	r.until("2027-02-01T08:00:00Z")
	r.want("lapsed when the fee is due", r.s.subscriptions.get("sub2").Lapsed, true)
}
