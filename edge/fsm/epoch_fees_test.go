package fsm

import (
	"testing"

	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// anew gives the region epoch 2 with offerings, 100.00 and what the centre knows of its
// subscription's service.
func (r *region) anew(service *feed.Service, offerings ...*tariff.Offering) {
	r.t.Helper()
	r.reopen()
	r.version = map[string]uint64{}
	for _, o := range offerings {
		r.feed(feed.KindOffering, o.ID+"@1", o)
	}
	r.feed(feed.KindEpoch, "north", &feed.Epoch{Region: "north", Epoch: 2, Services: 1, At: r.now})
	r.feed(feed.KindLease, "a/cash", &feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 2, Granted: 100 * eur})
	service.Subscription, service.Version, service.Epoch, service.At = feed.Subscription{ID: "sub", Account: "a", Login: "u", Offering: service.Offering}, 3, 2, r.now
	r.feed(feed.KindService, "sub", service)
}

// 120.00 were paid for a year of 360 days 40 days ago; then the customer changed to an
// offering of 12.00 a month whose fee has the same name. 320 days are paid, whether or not
// the ledger says for how long the fee was.
func TestNewEpochAfterAYearsFee(t *testing.T) {
	const days = 86400
	for _, until := range []int64{0, 320 * days} {
		year, month := flat(), flat()
		year.ID, month.ID = "year", "month"
		year.Recurring = tariff.EachDays(120*eur, 360)
		month.Recurring = tariff.EachDays(12*eur, 30)
		r := newRegion(t, 0, month)
		if until != 0 {
			until += r.now
		}
		r.anew(&feed.Service{Offering: "month", Charged: feed.Fees{{Component: month.Recurring[0].Name, First: r.now - 40*days, Last: r.now - 40*days, Until: until, Paid: 120 * eur}}}, year, month)
		for range 319 {
			r.tick(days)
		}
		r.want("charged while 320 days are paid", r.sum(journal.KindRecurring), 0)
		r.tick(days)
		r.want("and then", r.sum(journal.KindRecurring), 12*eur)
	}
}

// A fee says for how many seconds it is, so that a new epoch knows its end.
func TestFeesSayForHowLong(t *testing.T) {
	r := newRegion(t, 50*eur, flat())
	r.tick(1)
	for _, e := range r.entries {
		if e.Kind == journal.KindRecurring {
			r.want("seconds", e.Quantity, 30*86400)
			return
		}
	}
	t.Error("no fee")
}

// A bonus of money that is given once was given in epoch 1: the next epoch does not make
// it again, nor does a replica that is restored there. What is given each period is.
func TestNewEpochGivesNoBonusAgain(t *testing.T) {
	o := flat()
	o.Allowances = []tariff.Allowance{{Name: "welcome", Unit: tariff.Money, Amount: 5 * eur},
		{Name: "monthly", Unit: tariff.Money, Amount: 2 * eur, Every: &tariff.Period{Unit: tariff.Day, Count: 30}}}
	for _, c := range []struct {
		given []string
		want  int64
	}{{nil, 7 * eur}, {[]string{"welcome", "monthly"}, 2 * eur}} {
		r := newRegion(t, 50*eur, o)
		r.tick(1)
		r.want("given in epoch 1", r.sum(journal.KindGiven), 7*eur)
		r.anew(&feed.Service{Offering: "flat", Given: c.given, Charged: feed.Fees{{Component: o.Recurring[0].Name, First: t0, Last: t0, Until: t0 + 30*86400, Paid: 10 * eur}}}, o)
		s, err := Load(r.s.Dump())
		if err != nil || s.Hash() != r.s.Hash() {
			t.Fatalf("a restored replica: %v", err)
		}
		r.s = s
		r.tick(1)
		r.want("given in epoch 2", r.sum(journal.KindGiven), c.want)
	}
}
