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
	"meridian/internal/rating"
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
	r.want("paid", r.paid(), "1:900000000=9000000, charge 9000000, 1:100000000=1000000, 2:100000000=-5600000, refund 4600000, 2:100000000=400000, charge 400000")
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
	b := r.s.buckets.get(last.Bucket)
	r.want("and there", b.Available()+b.H, 6_000_000)
}

// What money for good has paid does not come back into a bonus that ends tomorrow.
func TestARefundGoesToWhoPaid(t *testing.T) {
	r := newRegion(t, 20*eur, volumes())
	r.login("s1")
	r.acct(command.Start, "s1", t0, 0, 0)
	r.acct(command.Interim, "s1", t0, 3000, 900_000_000)
	r.ok(&command.CutAll{Limit: 10})
	r.feed(feed.KindLease, "a/bonus", &feed.Lease{Bucket: "a/bonus", Account: "a", Unit: "EUR", Epoch: 1, ExpiresAt: t0 + 86400})
	r.acct(command.Interim, "s1", t0, 6000, 1_100_000_000)
	last := r.entries[len(r.entries)-1]
	r.want("given back", fmt.Sprint(last.Kind, last.Amount, last.Bucket), "refund 4600000a/cash")
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
	r.want("bound: 2 MB/s and a second's price for 82 s", newVersion(o, rating.Env{}).overrunBound(), 820_000+120_000)
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

// bundle brings 1 GB for each 30 days, then a GB costs 5.00.
func bundle(change func(a *tariff.Allowance)) *tariff.Offering {
	o := perGigabyte()
	o.ID, o.Recurring = "bundle", tariff.EachDays(eur, 30)
	a := tariff.Allowance{Name: "data", Unit: tariff.Bytes, Amount: 1_000_000_000, Every: &tariff.Period{Unit: tariff.Day, Count: 30}}
	if change != nil {
		change(&a)
	}
	o.Allowances = []tariff.Allowance{a}
	return o
}

// session uses octets in a session of an hour that begins now, and stops.
func (r *region) session(octets uint64) {
	r.t.Helper()
	start, id := r.now, fmt.Sprint("s", r.now, octets)
	if res := r.login(id); res.Code != command.OK {
		r.t.Fatalf("login: %s", res.Reason)
	}
	r.acct(command.Start, id, start, 0, 0)
	r.acct(command.Interim, id, start, 1800, octets/2)
	r.reloaded()
	r.acct(command.Stop, id, start, 3600, octets)
	r.tick(3600)
}

func (r *region) days(n int64) {
	r.t.Helper()
	for range n * 4 {
		r.tick(6 * 3600)
		r.apply(&command.Acked{Epoch: 1, Seq: r.s.Seq})
	}
}

func TestABundlePaysBeforeMoney(t *testing.T) {
	r := newRegion(t, 10*eur, bundle(nil))
	r.session(600_000_000)
	r.session(600_000_000)
	r.want("paid", r.paid(), "given 1000000000, data:600000000=0<north/1/3, charge 600000000, data:400000000=0<north/1/3, usage:200000000=1000000, charge 400000000, charge 1000000")
	r.want("left", r.available(), 8*eur)
	b := r.s.buckets.get("north/1/3")
	v := r.s.Account("a")
	r.want("seen", fmt.Sprintf("%d %s %s %s %d %s", len(v), v[1].Bucket, v[1].Allowance, v[1].Subscription, v[1].Spent, v[1].Unit), "2 north/1/3 data sub 1000000000 bytes")
	r.want("of the bundle", fmt.Sprint(b.Available(), b.U, b.H), "0 0 0")
}

func TestWhatALimitSaysCoversBundleAndMoney(t *testing.T) {
	o := bundle(nil)
	o.Reservation.Quota = 1_200_000_000
	r := newRegion(t, 10*eur, o)
	r.want("limit", r.login("s").LimitUnits, 1_200_000_000)
	r.want("held", fmt.Sprint(r.s.buckets.get("north/1/3").H, r.s.buckets.get("a/cash").H), "1000000000 1000000")
	r.tick(121)
	r.want("released", fmt.Sprint(r.s.buckets.get("north/1/3").H, r.s.buckets.get("a/cash").H), "0 0")
}

func TestWhatIsLeftAtARenewal(t *testing.T) {
	for _, c := range []struct {
		name     string
		rollover *tariff.Rollover
		want     string
	}{
		{"lost", nil, "expired 700000000, given 1000000000"},
		{"kept up to a maximum, the new amount on top", &tariff.Rollover{Max: 500_000_000, Add: true}, "expired 200000000, given 1000000000"},
		{"all of it", &tariff.Rollover{Max: 5_000_000_000, Add: true}, "given 1000000000"},
		{"the kept amount is the new balance", &tariff.Rollover{Min: 100_000_000, Max: 500_000_000}, "expired 200000000"},
		{"at least the minimum", &tariff.Rollover{Min: 900_000_000, Max: 900_000_000}, "given 200000000"},
	} {
		r := newRegion(t, 10*eur, bundle(func(a *tariff.Allowance) { a.Rollover = c.rollover }))
		r.session(300_000_000)
		r.want("first", r.paid(), "given 1000000000, data:300000000=0<north/1/3, charge 300000000")
		r.entries = nil
		r.days(30)
		r.want(c.name, r.paid(), c.want)
		r.reloaded()
	}
}

func TestALapsedBundleExpiresAndComesBackWithThePeriod(t *testing.T) {
	r := newRegion(t, eur, bundle(nil))
	r.session(300_000_000)
	r.entries = nil
	r.days(29)
	r.want("nothing yet", r.paid(), "")
	r.days(2)
	r.want("expired, and not given", r.paid(), "expired 700000000")
	r.want("unpaid", r.login("x").Reason, command.ReasonUnpaid)
	r.grant(2*eur, 0, 0)
	r.want("given with the paid period", r.paid(), "expired 700000000, given 1000000000")
}

func TestAFactorAndAPriorityAndAFilter(t *testing.T) {
	o := bundle(func(a *tariff.Allowance) { a.Priority, a.Factor = -1, tariff.Ratio{Num: 1, Den: 3} })
	night := tariff.Allowance{Name: "night", Unit: tariff.Bytes, Amount: 200_000_000, Priority: -5, Every: &tariff.Period{Unit: tariff.Day, Count: 30}, Filter: tariff.Filter{Windows: []string{"night"}}}
	o.Windows = []tariff.Window{{Name: "night", From: 22 * 3600, To: 6 * 3600}}
	o.Allowances = append(o.Allowances, night)
	r := newRegion(t, 10*eur, o)
	r.session(100) // by day: 33.3 counts, rounded down once
	r.want("factor", r.s.buckets.get("north/1/3").S, 33)
	for r.now%86400 < 22*3600 {
		r.tick(1800)
	}
	r.session(300_000_000)
	r.want("at night", r.s.buckets.get("north/1/4").Available(), 0)
	r.want("the rest", r.s.buckets.get("north/1/3").S, 33+100_000_000/3)
}

func TestAPoolWithALimitForEachChild(t *testing.T) {
	o := bundle(func(a *tariff.Allowance) { a.Shared = &tariff.Shared{Pool: "family", PerChild: 700_000_000} })
	o.Recurring = tariff.EachDays(0, 30)
	r := newRegion(t, 10*eur, o)
	r.feed(feed.KindSubscription, "child", &feed.Subscription{ID: "child", Account: "a", Login: "c", Offering: "bundle"})
	use := func(login string, octets uint64) {
		start := r.now
		r.apply(&command.Accounting{NAS: "nas", SessionID: login + fmt.Sprint(start), Login: login, Status: command.Stop, Event: start + 600, Seconds: 600, Out: octets, Giga: true})
		r.tick(600)
		r.reloaded()
	}
	use("c", 600_000_000)
	use("c", 300_000_000)
	use("u", 600_000_000)
	r.want("paid", r.paid(), "given 1000000000, data:600000000=0<north/1/2, charge 600000000, data:100000000=0<north/1/2, usage:200000000=1000000, charge 100000000, charge 1000000, "+
		"data:300000000=0<north/1/2, usage:300000000=1500000, charge 300000000, charge 1500000")
	r.days(30)
	r.entries = nil
	use("c", 600_000_000)
	r.want("a new period", r.paid(), "data:600000000=0<north/1/2, charge 600000000")
}

func TestBonusMoneyPaysUsageAndNoFee(t *testing.T) {
	o := bundle(func(a *tariff.Allowance) {
		a.Name, a.Unit, a.Amount, a.Priority = "bonus", tariff.Money, int64(3*eur), -1
	})
	r := newRegion(t, 2*eur, o)
	r.session(400_000_000)
	r.want("paid", r.paid(), "given 3000000, usage:400000000=2000000, charge 2000000")
	r.days(30)
	r.want("the second fee is paid from cash", r.available(), 0)
	r.days(30)
	r.want("the third is not paid from the bonus", r.login("x").Reason, command.ReasonUnpaid)
}

func TestABlockingAllowanceEndsTheSession(t *testing.T) {
	r := newRegion(t, 10*eur, bundle(func(a *tariff.Allowance) { a.Blocking = true }))
	r.login("s")
	r.acct(command.Start, "s", t0+1, 0, 0)
	r.acct(command.Interim, "s", t0+1, 600, 1_000_000_000)
	r.want("cut off", r.s.EffectsQueued() > 0, true)
	r.acct(command.Stop, "s", t0+1, 610, 1_000_000_000)
	r.want("money is not touched", r.available(), 9*eur)
	r.want("login", r.login("t").Reason, command.ReasonNoBalance)
}

// What was given once ends with the offering; the other offering's comes.
func TestAChangeOfOfferingEndsWhatHasNoTerm(t *testing.T) {
	once := func(id, name string) *tariff.Offering {
		o := bundle(func(a *tariff.Allowance) { a.Name, a.Every = name, nil })
		o.ID, o.Recurring = id, nil
		return o
	}
	r := newRegion(t, 10*eur, once("one", "gift"), once("two", "present"))
	order := func(id, offering string) {
		r.feed(feed.KindOrder, id, &feed.Order{ID: id, Subscription: "sub", Action: feed.ActionChange, Offering: offering})
		r.days(1)
	}
	order("o1", "two")
	order("o2", "one")
	order("o3", "two")
	r.want("once each", r.paid(), "given 1000000000, given 1000000000, expired 1000000000, expired 1000000000")
	r.feed(feed.KindOrder, "end", &feed.Order{ID: "end", Subscription: "sub", Action: feed.ActionTerminate})
	r.want("standing", r.s.subscriptions.get("sub").Terminated, true)
}

// fairUse is free, and slows down to 1 Mbit/s once 1 GB is used.
func fairUse() *tariff.Offering {
	o := bundle(nil)
	o.Usage = tariff.PerUnit(tariff.Bytes, 0, 1)
	o.Profiles = []tariff.NamedProfile{{Name: "slow", Profile: tariff.Profile{UpBps: 1_000_000, DownBps: 1_000_000}}, {Name: "night", Profile: tariff.Profile{UpBps: 9_000_000, DownBps: 9_000_000}}}
	o.Windows = []tariff.Window{{Name: "night", From: 22 * 3600, To: 6 * 3600}}
	o.Switches = []tariff.Switch{
		{When: []tariff.Condition{{Kind: tariff.InWindow, Window: "night"}}, Profile: "night"},
		{When: []tariff.Condition{{Kind: tariff.AllowanceUsed, Allowance: "data"}}, Profile: "slow"},
	}
	o.Thresholds = []tariff.Threshold{
		{Name: "80 %", On: "data", Metric: tariff.UsedPercent, Value: 800_000, Recurring: true},
		{Name: "used up", On: "data", Metric: tariff.Left, Value: 0},
		{Name: "poor", On: tariff.MoneyBalance, Metric: tariff.Left, Value: int64(8500 * eur / 1000), Recurring: true},
	}
	return o
}

// told takes the profiles that the NAS is to be told, answering each.
func (r *region) told(outcome command.EffectOutcome) string {
	var out []string
	for _, e := range r.s.Effects(10) {
		if e.Kind == EffectProfile {
			out = append(out, fmt.Sprintf("%q %d", e.Profile, e.UpBps))
		}
		r.ok(&command.EffectsDone{Done: []command.EffectResult{{ID: e.ID, Outcome: outcome}}})
	}
	return strings.Join(out, ", ")
}

func (r *region) notices() string {
	var out []string
	for _, e := range r.entries {
		if e.Kind == journal.KindNotice {
			out = append(out, fmt.Sprintf("%s at %d of %s", e.Ref, e.Quantity, e.Detail))
		}
	}
	r.entries = nil
	return strings.Join(out, ", ")
}

func TestProfilesFollowUseAndTime(t *testing.T) {
	r := newRegion(t, 10*eur, fairUse())
	profile := func() string { return fmt.Sprint(r.s.FindLogin("u").Profile.UpBps) }
	r.want("own", profile(), 8_000_000)
	start := r.now
	at := func(seconds int64, octets uint64) {
		r.tick(start + seconds - r.now)
		r.acct(command.Interim, "s1", start, seconds, octets)
		r.reloaded()
	}
	r.acct(command.Start, "s1", start, 0, 0)
	at(600, 500_000_000)
	r.want("nothing changes", r.told(command.EffectDone), "")
	at(1200, 1_000_000_000)
	r.want("slow", r.told(command.EffectFailed), `"slow" 1000000`)
	r.want("and for who comes now", profile(), 1_000_000)
	at(1800, 1_000_000_100)
	r.want("a NAS that did not hear is told again", r.told(command.EffectDone), `"slow" 1000000`)
	at(2400, 1_000_000_200)
	r.want("once", r.told(command.EffectDone), "")
	for s := int64(3000); s < 14*3600-600; s += 1800 {
		at(s, 1_000_000_300)
	}
	r.want("still slow", r.told(command.EffectDone), "")
	at(14*3600+60, 1_000_000_400)
	r.want("night", r.told(command.EffectDone), `"night" 9000000`)
	for s := int64(14*3600 + 1800); s <= 22*3600+1800; s += 1800 {
		at(s, 1_000_000_500)
	}
	r.want("morning", r.told(command.EffectDone), `"slow" 1000000`)
	r.acct(command.Start, "s2", r.now, 0, 0)
	r.want("a second session is slow too", r.told(command.EffectDone), `"slow" 1000000`)
	r.want("free", r.sum(journal.KindCharge), 1_000_000_000)
}

func TestARenewalBringsTheSpeedBack(t *testing.T) {
	r := newRegion(t, 10*eur, fairUse())
	start := r.now
	r.acct(command.Start, "s1", start, 0, 0)
	for i := int64(1); i < 24*30; i++ { // a session that goes on for a month
		r.tick(3600)
		r.acct(command.Interim, "s1", start, i*3600, uint64(i)*10_000_000)
		r.apply(&command.Acked{Epoch: 1, Seq: r.s.Seq})
		r.told(command.EffectDone)
	}
	r.tick(1800)
	r.want("slow before the period ends", r.told(command.EffectDone), "")
	r.tick(1800)
	r.want("given anew", r.told(command.EffectDone), `"" 8000000`)
}

func TestThresholdsRaiseEventsOnce(t *testing.T) {
	r := newRegion(t, 10*eur, fairUse())
	r.session(700_000_000)
	r.want("below", r.notices(), "")
	r.session(200_000_000)
	r.session(50_000_000)
	r.want("80 %", r.notices(), "80 % at 200000000 of data")
	r.session(300_000_000)
	r.want("used up", r.notices(), "used up at 0 of data")
	r.days(31)
	r.notices()
	r.session(900_000_000)
	r.session(200_000_000)
	r.want("80 % recurs, the other does not; 8.00 are left", r.notices(), "poor at 8000000 of money, 80 % at 100000000 of data")
	r.session(1)
	r.want("once", r.notices(), "")
	r.grant(20*eur, 0, 0)
	r.session(1)
	r.want("armed again", fmt.Sprint(r.s.subscriptions.get("sub").fired), "[]")
}

func TestABarredServiceTakesNoNewSession(t *testing.T) {
	o := bundle(nil)
	o.Profiles = []tariff.NamedProfile{{Name: "none", Profile: tariff.Profile{BarService: true}}}
	o.Switches = []tariff.Switch{{When: []tariff.Condition{{Kind: tariff.AllowanceUsed, Allowance: "data"}}, Profile: "none"}}
	r := newRegion(t, 10*eur, o)
	r.session(1_000_000_000)
	r.want("refused although there is money", r.login("x").Reason, command.ReasonNoBalance)
}
