package fsm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// paid writes what the ledger says of usage: slices with what paid, charges,
// refunds and overrun, in order.
func (r *region) paid() string {
	var out []string
	for _, e := range r.entries {
		switch e.Kind {
		case journal.KindUsage:
			for _, p := range e.Usage.Components() {
				for _, x := range p.Slices {
					by := ""
					if x.Bucket != "" {
						by = "<" + x.Bucket
					}
					out = append(out, fmt.Sprintf("%s:%d=%d%s", x.Rule[strings.LastIndexByte(x.Rule, '/')+1:], x.Quantity, x.Amount, by))
				}
			}
		case journal.KindCharge, journal.KindRefund, journal.KindOverrun, journal.KindGiven, journal.KindExpired:
			out = append(out, fmt.Sprintf("%s %d", e.Kind, e.Amount))
		}
	}
	return strings.Join(out, ", ")
}

// reloaded replaces the state by what its dump holds: nothing may be lost.
func (r *region) reloaded() {
	r.t.Helper()
	dump := r.s.Dump()
	s, err := Load(dump)
	if err != nil || !bytes.Equal(s.Dump(), dump) {
		r.t.Fatalf("the state does not survive its dump: %v", err)
	}
	r.s = s
}

// nights is 6.00 for a GB by day and 2.00 from 22 to 6.
func nights() *tariff.Offering {
	o := perGigabyte()
	o.Windows = []tariff.Window{{Name: "night", From: 22 * 3600, To: 6 * 3600}}
	o.Usage = []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{
		{Name: "day", Price: tariff.Price{Amount: 6 * eur, Per: 1_000_000_000}},
		{Name: "night", Window: "night", Price: tariff.Price{Amount: 2 * eur, Per: 1_000_000_000}},
	}}}
	return o
}

// t0 is 08:00 UTC.
func TestVolumeIsSplitAtTheWindowInProportionToTime(t *testing.T) {
	r := newRegion(t, 10*eur, nights())
	r.login("s1")
	start := int64(t0)
	r.acct(command.Start, "s1", start, 0, 0)
	at22 := int64(14 * 3600)
	r.acct(command.Interim, "s1", start, at22-300, 100_000_000)
	r.reloaded()
	r.acct(command.Interim, "s1", start, at22+900, 500_000_000)
	r.acct(command.Stop, "s1", start, at22+900, 500_000_000)
	r.want("paid", r.paid(), "day:200000000=1200000, night:300000000=600000, charge 1800000")
	var uses int
	for _, e := range r.entries {
		if e.Kind == journal.KindUsage {
			uses += len(e.Usage.Parts[0].Uses)
		}
	}
	r.want("reports in the record", uses, 2)
}

// volumes is 10.00 for a GB, and 4.00 for all of it from 1 GB on.
func volumes() *tariff.Offering {
	o := perGigabyte()
	gb := int64(1_000_000_000)
	o.Usage = []tariff.Usage{{Name: "data", Unit: tariff.Bytes, Rates: []tariff.Rate{{Mode: tariff.Volume,
		Tiers: []tariff.Tier{{UpTo: gb, Price: tariff.Price{Amount: 10 * eur, Per: gb}}, {Price: tariff.Price{Amount: 4 * eur, Per: gb}}}}}}}
	return o
}

func TestAFallingVolumePriceIsGivenBack(t *testing.T) {
	r := newRegion(t, 20*eur, volumes())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 3000, 900_000_000)
	r.ok(&command.CutAll{Limit: 10}) // charged and cut: 9.00
	r.acct(command.Interim, "s1", t0, 6000, 1_100_000_000)
	r.reloaded()
	r.acct(command.Stop, "s1", t0, 6600, 1_200_000_000)
	r.want("paid", r.paid(), "1:900000000=9000000, charge 9000000, 2:200000000=-4600000, refund 4600000, 2:100000000=400000, charge 400000")
	r.want("left", r.available(), 20*eur-4_800_000)
}

func TestAFallIsTakenFromWhatIsNotCut(t *testing.T) {
	r := newRegion(t, 20*eur, volumes())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 3000, 900_000_000)
	r.acct(command.Interim, "s1", t0, 6000, 1_100_000_000)
	r.want("nothing is given back by entry", r.sum(journal.KindRefund), 0)
	r.acct(command.Stop, "s1", t0, 6600, 1_200_000_000)
	r.want("charged", r.sum(journal.KindCharge), 4_800_000)
}

// Where every bucket has expired, what is given back makes one of its own.
func TestARefundNeverGoesIntoAnExpiredBucket(t *testing.T) {
	r := newRegion(t, 0, volumes())
	r.feed(feed.KindLease, "a/cash", &feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 1, Granted: int64(20 * eur), ExpiresAt: t0 + 4000})
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 3000, 1_000_000_000)
	r.ok(&command.CutAll{Limit: 10})
	r.tick(5000)
	r.acct(command.Interim, "s1", t0, 5001, 1_000_000_010)
	last := r.entries[len(r.entries)-1]
	r.want("given back", fmt.Sprint(last.Kind, last.Amount, last.Bucket == last.OwnBucket()), "refund 6000000 true")
	b := r.s.buckets[last.Bucket]
	r.want("and there", b.Available()+b.H, 6_000_000)
}

// Bytes and minutes of one session, each with a price of its own.
func TestTwoComponentsOfOneSession(t *testing.T) {
	o := perGigabyte()
	o.Usage = append(o.Usage, tariff.Usage{Name: "time", Unit: tariff.Seconds, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 60_000, Per: 60}, Next: 60}}})
	r := newRegion(t, 10*eur, o)
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 90, 100_000_000)
	r.reloaded()
	r.acct(command.Stop, "s1", t0, 150, 200_000_000)
	r.want("paid", r.paid(), "usage:200000000=1000000, time:150=180000, charge 1180000")
	r.want("bound: 2 MB/s and a second's price for 82 s", newVersion(o).overrunBound(), 820_000+120_000)
}

func TestFreeAfterAndDisconnectAtTheMaximum(t *testing.T) {
	for _, c := range []struct {
		after      tariff.AfterMax
		charged    money.Amount
		overrun    money.Amount
		disconnect bool
	}{{tariff.FreeAfter, eur, 0, false}, {tariff.Disconnect, eur, 250_000, true}} {
		o := perGigabyte()
		o.Usage[0].Rates[0].MaxCost, o.Usage[0].Rates[0].AfterMax = eur, c.after
		r := newRegion(t, 10*eur, o)
		r.login("s1")
		r.acct(command.Start, "s1", t0, 0, 0)
		r.acct(command.Interim, "s1", t0, 600, 250_000_000)
		ended := false
		for _, e := range r.s.Effects(10) {
			ended = ended || e.Kind == EffectDisconnect
		}
		r.want("cut off", ended, c.disconnect)
		r.acct(command.Stop, "s1", t0, 601, 250_000_000)
		r.want("charged", r.sum(journal.KindCharge), c.charged)
		r.want("overrun", r.sum(journal.KindOverrun), c.overrun)
	}
}
