package fsm

import (
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/tariff"
)

// The centre gives back a part of what a bonus had paid. Its row knows neither the
// rank nor the end of what an edge gave: both stay the offering's. By hand, at 1.00 a
// minute, of a bonus of 10.00 for one day that pays before 100.00 of money: 180 s take
// 3.00; 1.00 comes back. 40 days later 480 s cost 8.00, which money pays, and the 8.00
// left of the bonus have expired.
func TestMoneyGivenBackToABonusDoesNotOutliveIt(t *testing.T) {
	for _, c := range []struct {
		name    string
		late    bool // the money comes back when the bonus is over
		expired []int64
	}{
		{"while it lives", false, []int64{8}},
		{"when it is over", true, []int64{7, 1}},
	} {
		o := perMinute()
		o.Allowances = []tariff.Allowance{{Name: "bonus", Unit: tariff.Money, Amount: int64(10 * eur), Priority: -1, ValidFor: &tariff.Period{Unit: tariff.Day, Count: 1}}}
		r := newRegion(t, 100*eur, o)
		r.acct(command.Start, "s", t0, 0, 0)
		r.tick(180)
		r.acct(command.Stop, "s", t0, 180, 0)
		b := r.s.own["sub"][0]
		end, row := b.Expires, &feed.Lease{Bucket: b.ID, Account: "a", Unit: "EUR", Epoch: 1, Granted: int64(eur)}
		if !c.late {
			r.feed(feed.KindLease, b.ID, row)
			if b = r.s.buckets.get(b.ID); b.Expires != end || end != t0+86400 || b.Priority != -1 || b.Available() != int64(8*eur) {
				t.Errorf("%s: ends at %d, ranks %d, has %d; want %d, -1, 8.00", c.name, b.Expires-t0, b.Priority, b.Available(), end-t0)
			}
		}
		for day := range 40 {
			r.apply(&command.Acked{Epoch: r.s.Epoch, Seq: r.s.Seq, Hash: r.s.Head})
			r.tick(86400)
			if c.late && day == 20 {
				r.feed(feed.KindLease, b.ID, row)
			}
		}
		r.apply(&command.Acked{Epoch: r.s.Epoch, Seq: r.s.Seq, Hash: r.s.Head})
		start := r.now
		r.acct(command.Start, "s2", start, 0, 0)
		r.tick(480)
		r.acct(command.Stop, "s2", start, 480, 0)
		r.reloaded()
		if left := r.s.buckets.get(b.ID).Available(); left != 0 || r.available() != 92*eur {
			t.Errorf("%s: money has %d, the bonus %d; want 92.00, 0 (%s)", c.name, r.available(), left, r.paid())
		}
		var expired []int64
		for _, e := range r.entries {
			if e.Kind == journal.KindExpired {
				expired = append(expired, e.Amount/int64(eur))
			}
		}
		if len(expired) != len(c.expired) || expired[0] != c.expired[0] || expired[len(expired)-1] != c.expired[len(c.expired)-1] {
			t.Errorf("%s: expired %v, want %v", c.name, expired, c.expired)
		}
	}
}
