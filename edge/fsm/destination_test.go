package fsm

import (
	"fmt"
	"strings"
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// voice is calls by the zone of the number: at home 0.06 a minute by the second after
// a first minute, mobiles 0.12 by the minute with a fee of 0.02, a satellite 2.00 a
// minute; nothing else can be called.
func voice() *tariff.Offering {
	cents := func(n int64) tariff.Price { return tariff.Price{Amount: eur / 100 * money.Amount(n), Per: 60} }
	return &tariff.Offering{
		ID: "voice", Version: 1, Name: "Voice", Currency: "EUR", Service: "voice",
		Usage: []tariff.Usage{{Name: "calls", Unit: tariff.Seconds,
			Destinations: []tariff.Destination{
				{Zone: "home", Prefixes: []string{"+49", "0"}}, {Zone: "mobile", Prefixes: []string{"+491", "01"}},
				{Zone: "satellite", Prefixes: []string{"+8816"}}, {Zone: "far", Prefixes: []string{"+99"}}},
			Rates: []tariff.Rate{
				{Zone: "home", Price: cents(6), First: 60, Next: 1},
				{Zone: "mobile", Price: cents(12), Next: 60, Fee: 20_000},
				{Zone: "satellite", Price: cents(200), Next: 1}}}},
		Reservation: tariff.Reservation{Quota: 600, TTLSeconds: 600},
		Profile:     tariff.Profile{SessionLimit: 2, InterimSeconds: 60}, Overrun: tariff.Owed,
	}
}

func (r *region) dial(id, called string) command.Result {
	return r.apply(&command.Reserve{NAS: "nas", Key: ReserveKey("nas", id, "", "", "u"), SessionID: id, Login: "u", Called: called})
}

func (r *region) call(status command.Status, id, called string, start, seconds int64) command.Result {
	return r.apply(&command.Accounting{NAS: "nas", SessionID: id, Login: "u", Status: status, Event: start + seconds, Seconds: seconds, Giga: true, Called: called})
}

// talk is a whole call of three reports.
func (r *region) talk(called string, seconds int64) {
	r.t.Helper()
	id, start := fmt.Sprint("c", r.now, called), r.now
	r.want("dial "+called, r.dial(id, called).Reason, command.ReasonNone)
	r.call(command.Start, id, called, start, 0)
	r.call(command.Interim, id, called, start, seconds/2)
	r.reloaded()
	r.call(command.Stop, id, called, start, seconds)
	r.tick(seconds + 1)
}

func (r *region) zones() string {
	var out []string
	for _, e := range r.entries {
		if e.Kind == journal.KindUsage {
			for _, p := range e.Usage.Parts {
				out = append(out, e.Usage.CalledStation+"="+p.Zone)
			}
		}
	}
	return strings.Join(out, " ")
}

// Worked by hand: 65 s at home are 60 + 5 s of 0.06/60 = 0.065; 61 s to a mobile are two
// minutes of 0.12 and the fee; 30 s to the satellite are half of 2.00.
func TestACallIsRatedByTheZoneOfTheNumber(t *testing.T) {
	r := newRegion(t, 10*eur, voice())
	r.talk("+4930123", 65)
	r.talk("+4915112345", 61)
	r.talk("+881612345", 30)
	r.want("zones", r.zones(), "+4930123=home +4915112345=mobile +881612345=satellite")
	r.want("paid", r.paid(), "1:60=60000, 2:5=5000, charge 65000, fee:0=20000, mobile:61=240000, charge 260000, satellite:30=1000000, charge 1000000")
	r.want("left", r.available(), 10*eur-1_325_000)
}

func TestWhatCannotBeCalled(t *testing.T) {
	for _, c := range []struct {
		called string
		want   command.Reason
	}{
		{"+4930", command.ReasonNone},
		{"0", command.ReasonNone},
		{"+9912", command.ReasonDestination}, // a zone without a rate
		{"+1555", command.ReasonDestination}, // no zone
		{"", command.ReasonDestination},
	} {
		r := newRegion(t, 10*eur, voice())
		r.want("called "+c.called, r.dial("x", c.called).Reason, c.want)
	}
}

// What is held, and for how long, is the zone's price: 10.00 are enough for 600 s at
// home and in mobile nets, and for 300 s by satellite.
func TestAHoldIsOfTheZone(t *testing.T) {
	for _, c := range []struct {
		called      string
		limit, held int64
	}{{"+4930", 600, 600_000}, {"+4915", 600, 1_220_000}, {"+8816", 300, 10_000_000}} {
		r := newRegion(t, 10*eur, voice())
		r.want("limit of "+c.called, r.dial("x", c.called).LimitUnits, c.limit)
		r.want("held for "+c.called, r.s.buckets.get("a/cash").H, c.held)
	}
}

// Another number dialled on the line does not get the first one's answer, and two
// calls may be beside each other.
func TestTwoCallsOfOneLine(t *testing.T) {
	r := newRegion(t, 10*eur, voice())
	dial := func(called string) command.Result {
		return r.apply(&command.Reserve{NAS: "nas", Key: ReserveKey("nas", "", "100", "", "u"), Login: "u", CallingStation: "100", Called: called})
	}
	dial("+4930")
	r.want("the second dial's hold", fmt.Sprint(dial("+8816").LimitUnits, r.s.buckets.get("a/cash").H), "300 10000000")
	start := r.now
	report := func(status command.Status, id, called string, seconds int64) {
		r.apply(&command.Accounting{NAS: "nas", SessionID: id, Login: "u", Status: status, Event: start + seconds, Seconds: seconds, Giga: true, Called: called, CallingStation: "100"})
	}
	report(command.Start, "one", "+8816", 0)
	r.want("the first is adopted", r.s.Count().Reservations, 0)
	report(command.Interim, "one", "+8816", 30)
	r.want("a second call", dial("+4930").Reason, command.ReasonNoBalance) // all of it is held for the first
	r.want("both, or the first, live", r.s.Count().Open, 1)
	report(command.Stop, "one", "+8816", 60)
	r.want("a call after it", dial("+4930").LimitUnits, 600)
	r.want("charged", r.sum(journal.KindCharge), 2*eur)
}

// The number of the start counts, whatever later reports say; a lost start has the
// number of the first report.
func TestTheNumberIsThatOfTheStart(t *testing.T) {
	r := newRegion(t, 10*eur, voice())
	r.call(command.Start, "x", "+4930", t0, 0)
	r.call(command.Interim, "x", "+8816", t0, 60)
	r.call(command.Stop, "x", "", t0, 120)
	r.call(command.Stop, "y", "+8816", t0, 60)
	r.want("zones", r.zones(), "+4930=home +8816=satellite")
	r.want("charged", r.sum(journal.KindCharge), 2_120_000)
}

// A call that nobody was asked about, to where nothing is priced: recorded, cut off,
// not charged.
func TestACallWithoutARate(t *testing.T) {
	r := newRegion(t, 10*eur, voice())
	r.call(command.Start, "x", "+1555", t0, 0)
	r.call(command.Interim, "x", "+1555", t0, 60)
	r.reloaded()
	r.want("cut off", len(r.s.Effects(10)), 1)
	r.call(command.Stop, "x", "+1555", t0, 90)
	last := r.entries[len(r.entries)-1]
	r.want("recorded", fmt.Sprintf("%s %s %d", last.Kind, last.Detail, last.Usage.Seconds), "quarantine no rate for calls to +1555 90")
	r.want("charged", r.sum(journal.KindCharge), 0)
	r.want("overrun", r.sum(journal.KindOverrun), 0)
}

// At zero balance long-distance calls stop, local ones go on; with money again they are
// back. A call that runs into the bar is cut off at its report.
func TestAtZeroBalanceLongDistanceCallsStop(t *testing.T) {
	o := voice()
	o.Usage[0].Rates[0].Price.Amount = 0 // home
	o.Usage[0].Rates[2].Price = tariff.Price{Amount: eur, Per: 60}
	o.Profiles = []tariff.NamedProfile{{Name: "local", Profile: tariff.Profile{BarZones: []string{"mobile", "satellite"}}}}
	o.Switches = []tariff.Switch{{When: []tariff.Condition{{Kind: tariff.BalanceZero}}, Profile: "local"}}
	if err := o.Publishable(); err != nil {
		t.Fatal(err)
	}
	r := newRegion(t, 2*eur, o)
	start := r.now
	r.want("two minutes are there", r.dial("x", "+8816").LimitUnits, 120)
	r.call(command.Start, "x", "+8816", start, 0)
	r.call(command.Interim, "x", "+8816", start, 60)
	r.want("no bar with money", len(r.s.Effects(10)), 0)
	r.call(command.Interim, "x", "+8816", start, 120)
	r.reloaded()
	effects := r.s.Effects(10)
	r.want("cut off", fmt.Sprint(len(effects), effects[0].Kind == EffectDisconnect), "1 true")
	r.call(command.Stop, "x", "+8816", start, 120)
	r.want("charged", r.sum(journal.KindCharge), 2*eur)
	for called, want := range map[string]command.Reason{"+8816": command.ReasonBarredZone, "+49151": command.ReasonBarredZone, "+4930": command.ReasonNone, "+1": command.ReasonDestination} {
		r.want("at zero "+called, r.dial("y"+called, called).Reason, want)
	}
	r.tick(130)
	r.talk("+4930", 600)
	r.want("local cost nothing", r.sum(journal.KindCharge), 2*eur)
	r.grant(3*eur, 0, 0)
	r.want("with money", r.dial("z", "+8816").LimitUnits, 60)
}

// Two subscriptions of one account: at zero balance the telephone stops long distance,
// and while the account lives on what the region lends, the internet slows.
func TestAtANegativeBalanceTheInternetSlows(t *testing.T) {
	phone, line := voice(), perGigabyte()
	phone.Usage[0].Rates[0].Price.Amount = 0
	phone.Profiles = []tariff.NamedProfile{{Name: "local", Profile: tariff.Profile{BarZones: []string{"satellite"}}}}
	phone.Switches = []tariff.Switch{{When: []tariff.Condition{{Kind: tariff.BalanceZero}}, Profile: "local"}}
	line.Profiles = []tariff.NamedProfile{{Name: "slow", Profile: tariff.Profile{UpBps: 64_000, DownBps: 64_000}}}
	line.Switches = []tariff.Switch{{When: []tariff.Condition{{Kind: tariff.BalanceNegative}}, Profile: "slow"}}
	if err := line.Publishable(); err != nil {
		t.Fatal(err)
	}
	r := newRegion(t, 0, phone, line)
	r.feed(feed.KindSubscription, "net", &feed.Subscription{ID: "net", Account: "a", Login: "n", Offering: "volume"})
	r.grant(eur, 0, eur)
	r.ok(&command.SetMode{Mode: command.Isolated})
	net := func(status command.Status, seconds int64, octets uint64) {
		r.apply(&command.Accounting{NAS: "nas", SessionID: "n1", Login: "n", Status: status, Event: t0 + 1 + seconds, Seconds: seconds, Out: octets, Giga: true})
	}
	net(command.Start, 0, 0)
	net(command.Interim, 60, 100_000_000)
	told := func() string {
		name := "nothing"
		for _, e := range r.s.Effects(100) {
			if e.Kind == EffectProfile {
				name = fmt.Sprint(e.Profile, e.DownBps)
			}
		}
		return name
	}
	r.want("0.50 of 1.00", told(), "nothing")
	r.want("far calls", r.dial("x", "+8816").Reason, command.ReasonNone)
	r.tick(130)
	net(command.Interim, 120, 240_000_000) // 1.20: 0.20 is lent
	r.want("slow", told(), "slow64000")
	r.want("far calls stop", r.dial("y", "+8816").Reason, command.ReasonBarredZone)
	r.want("local calls go on", r.dial("z", "+4930").Reason, command.ReasonNone)
	r.grant(3*eur, 0, eur)
	net(command.Interim, 180, 240_000_001)
	r.want("fast again", told(), "8000000")
}

// A shared table finds the zone where it has the longer prefix; the offering's own wins
// when both are as long. A new version of the table leaves the price as it is until an
// offering names it.
func TestASharedTable(t *testing.T) {
	world := func(version uint32, zone string) *tariff.Table {
		return &tariff.Table{ID: "world", Version: version, Destinations: []tariff.Destination{{Zone: "home", Prefixes: []string{"+49"}}, {Zone: zone, Prefixes: []string{"+4930", "+8816"}}, {Zone: "satellite", Prefixes: []string{"+88"}}}}
	}
	by := func(version uint32, table *tariff.Table) *tariff.Offering {
		o := voice()
		o.Version, o.ValidFrom = version, 0
		u := &o.Usage[0]
		u.Destinations = []tariff.Destination{{Zone: "satellite", Prefixes: []string{"+8816"}}}
		u.Table, u.TableVersion, u.TableHash = table.ID, table.Version, table.Content()
		return o
	}
	first, second := world(1, "mobile"), world(2, "home")
	r := newRegion(t, 20*eur, flat())
	r.want("before its table", r.feed(feed.KindOffering, "voice@1", by(1, first)).Code, command.OutOfOrder)
	r.number--
	r.feed(feed.KindTable, "world@1", first)
	r.want("after it", r.feed(feed.KindOffering, "voice@1", by(1, first)).Code, command.OK)
	r.feed(feed.KindSubscription, "sub", &feed.Subscription{ID: "sub", Account: "a", Login: "u", Offering: "voice"})
	r.feed(feed.KindOrder, "o", &feed.Order{ID: "o", Subscription: "sub", Action: feed.ActionChange, Offering: "voice"})
	r.tick(1)
	r.reloaded()
	r.talk("+49301", 60)
	r.talk("+4940", 60)
	r.talk("+88161", 60)
	r.talk("+8817", 60)
	r.feed(feed.KindTable, "world@2", second)
	r.talk("+49302", 60)
	r.feed(feed.KindOffering, "voice@2", by(2, second))
	r.talk("+49303", 60)
	r.want("zones", r.zones(), "+49301=mobile +4940=home +88161=satellite +8817=satellite +49302=mobile +49303=home")
}

// An allowance that pays for one zone leaves the others to money.
func TestAnAllowanceOfAZone(t *testing.T) {
	o := voice()
	o.Allowances = []tariff.Allowance{{Name: "minutes", Unit: tariff.Seconds, Amount: 100, Step: 1, Filter: tariff.Filter{Zones: []string{"home"}}}}
	r := newRegion(t, 10*eur, o)
	r.talk("+8816", 30)
	r.talk("+4930", 90)
	r.talk("+4930", 30) // 10 s are left of the allowance; it took the fee and the first step's place
	r.want("paid", r.paid(), "given 100, satellite:30=1000000, charge 1000000, minutes:90=0<north/1/2, charge 90, minutes:10=0<north/1/2, 1:20=60000, charge 10, charge 60000")
}
