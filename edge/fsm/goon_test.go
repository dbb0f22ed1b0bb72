package fsm

import (
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// A new version comes into force while a call runs: the fee is settled, and free units
// go on. By hand, at 1.00 a minute with a fee of 0.20 and 30 s free, reports at 90, 150
// and 210 s: 0.20 and 180 s, 3.20, by one version or two. By a second version of 3.00 a
// minute the last 60 s cost 2.00 more. Of a call that used 20 s before, 10 are free by
// the second: 150 s − 30 s and 0.20 are 2.20. A version with 90 s free, too, leaves those
// that were not used.
func TestANewVersionGoesOnWithTheCall(t *testing.T) {
	for _, c := range []struct {
		name    string
		from    int64 // valid, after the start of the call
		reports []int64
		fee     money.Amount // of the second version
		free    int64
		price   money.Amount
		window  bool // the first version has windows: it keeps more of a session than two numbers
		want    money.Amount
	}{
		{"the same price", 100, []int64{90, 150, 210}, 200_000, 30, eur, false, 3_200_000},
		{"the same price, after windows", 100, []int64{90, 150, 210}, 200_000, 30, eur, true, 3_200_000},
		{"dearer", 100, []int64{90, 150, 210}, 200_000, 30, 3 * eur, false, 5_200_000},
		{"another fee", 100, []int64{90, 150, 210}, 900_000, 30, eur, false, 3_200_000},
		{"free units that are left", 10, []int64{20, 150}, 200_000, 30, eur, false, 2_200_000},
		// of 90 s free 70 are left: 150 − 20 − 70 = 60 s, and no fee was settled yet: 0.20
		{"more free units", 10, []int64{20, 150}, 200_000, 90, eur, false, 1_200_000},
	} {
		o := perMinute()
		o.Usage[0].Rates[0].Fee, o.Usage[0].Free.Units = 200_000, 30
		o.Usage[0].Rates[0].Price = tariff.Price{Amount: eur, Per: 60}
		next := *o
		next.Version, next.ValidFrom = 2, t0+c.from
		next.Usage = append([]tariff.Usage(nil), o.Usage...)
		next.Usage[0].Rates = []tariff.Rate{{Fee: c.fee, Price: tariff.Price{Amount: c.price, Per: 60}}}
		next.Usage[0].Free.Units = c.free
		if c.window {
			o.Windows = []tariff.Window{{Name: "night", From: 20 * 3600, To: 7 * 3600}}
			night := o.Usage[0].Rates[0]
			night.Window = "night"
			o.Usage[0].Rates = append([]tariff.Rate{night}, o.Usage[0].Rates...)
		}
		r := newRegion(t, 20*eur, o)
		r.feed(feed.KindOffering, feed.OfferingKey(next.ID, 2), &next)
		r.acct(command.Start, "s", t0, 0, 0)
		for i, at := range c.reports {
			r.tick(t0 + at - r.now)
			status := command.Interim
			if i == len(c.reports)-1 {
				status = command.Stop
			}
			r.acct(status, "s", t0, at, 0)
			r.reloaded()
		}
		if got := r.sum(journal.KindCharge); got != c.want {
			t.Errorf("%s: %s, want %s (%s)", c.name, got, c.want, r.paid())
		}
	}
}
