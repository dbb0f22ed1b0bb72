package fsm

import (
	"fmt"
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

const t0 = 1_800_000_000 // region time at the start, Unix seconds

// region drives one state machine and keeps its ledger.
type region struct {
	t       testing.TB
	s       *State
	number  uint64
	version map[string]uint64
	entries []journal.Entry
	now     int64
}

func perMinute() *tariff.Offering {
	return &tariff.Offering{
		ID: "minutes", Version: 1, Name: "By the minute", Currency: "EUR", Service: "internet",
		Usage:       tariff.PerUnit(tariff.Seconds, money.Micro, 60),
		Reservation: tariff.Reservation{Quota: 7200, TTLSeconds: 600},
		Profile:     tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Overrun: tariff.Owed,
	}
}

func perGigabyte() *tariff.Offering {
	return &tariff.Offering{
		ID: "volume", Version: 1, Name: "By volume", Currency: "EUR", Service: "internet",
		Usage:       tariff.PerUnit(tariff.Bytes, 5*money.Micro, 1_000_000_000),
		Reservation: tariff.Reservation{Quota: 100_000_000, TTLSeconds: 600},
		Profile:     tariff.Profile{SessionLimit: 1, InterimSeconds: 60, UpBps: 8_000_000, DownBps: 8_000_000}, Overrun: tariff.Owed,
	}
}

func flat() *tariff.Offering {
	return &tariff.Offering{
		ID: "flat", Version: 1, Name: "Flat", Currency: "EUR", Service: "internet",
		Recurring: tariff.EachDays(10*money.Micro, 30),
		Profile:   tariff.Profile{SessionLimit: 2, InterimSeconds: 60}, Overrun: tariff.Owed,
	}
}

// newRegion founds a region at epoch 1, connected, with the offerings, a NAS, and
// subscriber "u" of account "a" on the first offering with a bucket "a/cash".
func newRegion(t testing.TB, granted money.Amount, offerings ...*tariff.Offering) *region {
	r := &region{t: t, s: New(), version: map[string]uint64{}, now: t0}
	r.ok(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	r.ok(&command.OpenEpoch{Epoch: 1})
	r.ok(&command.SetMode{Mode: command.Connected})
	r.tick(0)
	for _, o := range offerings {
		r.feed(feed.KindOffering, feed.OfferingKey(o.ID, o.Version), o)
	}
	r.feed(feed.KindNAS, "nas", &feed.NAS{ID: "nas", Address: "127.0.2.1", Vendor: "generic"})
	r.feed(feed.KindSubscription, "sub", &feed.Subscription{ID: "sub", Account: "a", Login: "u", Offering: offerings[0].ID})
	r.grant(granted, 0, 0)
	r.tick(1)
	return r
}

func (r *region) apply(c command.Command) command.Result {
	r.t.Helper()
	res := r.s.Apply(c)
	for _, e := range r.s.TakeEntries() {
		entry, err := journal.DecodeEntry(e.Raw)
		if err != nil {
			r.t.Fatalf("entry %d: %v", e.Seq, err)
		}
		r.entries = append(r.entries, entry)
	}
	for _, b := range r.s.buckets.sorted() {
		b.Check()
	}
	return res
}

func (r *region) ok(c command.Command) command.Result {
	r.t.Helper()
	res := r.apply(c)
	if res.Code != command.OK {
		r.t.Fatalf("%T: code %d, reason %s", c, res.Code, res.Reason)
	}
	return res
}

// tick moves region time by seconds.
func (r *region) tick(seconds int64) {
	r.t.Helper()
	r.now += seconds
	r.ok(&command.Tick{Clocks: []int64{r.now * 1_000_000}})
}

// acked has the centre take the whole ledger.
func (r *region) acked() {
	r.t.Helper()
	r.ok(&command.Acked{Epoch: r.s.Epoch, Seq: r.s.Seq, Hash: r.s.Head})
}

func (r *region) feed(kind feed.Kind, id string, entity any) command.Result {
	r.t.Helper()
	body, err := feed.Encode(entity)
	if err != nil {
		r.t.Fatal(err)
	}
	r.number++
	r.version[string(kind)+id]++
	return r.apply(&command.Feed{Rows: []feed.Row{{Number: r.number, Kind: kind, ID: id, Version: r.version[string(kind)+id], Body: body}}})
}

func (r *region) grant(granted, reclaim, allowance money.Amount) {
	r.t.Helper()
	r.feed(feed.KindLease, "a/cash", &feed.Lease{Bucket: "a/cash", Account: "a", Unit: "EUR", Epoch: 1,
		Granted: int64(granted), ReclaimTo: int64(reclaim), Allowance: int64(allowance)})
}

func (r *region) login(id string) command.Result {
	return r.apply(&command.Reserve{NAS: "nas", Key: ReserveKey("nas", id, "", "", "u"), SessionID: id, Login: "u"})
}

func (r *region) acct(status command.Status, id string, start, seconds int64, octets uint64) command.Result {
	return r.apply(&command.Accounting{NAS: "nas", SessionID: id, Login: "u", Status: status,
		Event: start + seconds, Seconds: seconds, Out: octets, Giga: true})
}

func (r *region) available() money.Amount { return money.Amount(r.s.buckets.get("a/cash").Available()) }

func (r *region) kinds() string {
	var out string
	for _, e := range r.entries {
		out += e.Kind.String() + " "
	}
	return out
}

func (r *region) sum(kind journal.Kind) money.Amount {
	var n int64
	for _, e := range r.entries {
		if e.Kind == kind {
			n += e.Amount
		}
	}
	return money.Amount(n)
}

func (r *region) want(what string, got, want any) {
	r.t.Helper()
	if plain(got) != plain(want) {
		r.t.Fatalf("%s: got %v, want %v (ledger: %s)", what, got, want, r.kinds())
	}
}

// plain writes a value so that amounts and numbers compare alike.
func plain(v any) string {
	if a, ok := v.(money.Amount); ok {
		v = int64(a)
	}
	return fmt.Sprint(v)
}

func (r *region) wanted() []Wanted {
	return r.s.Wanted(10, func(Wanted) bool { return false })
}
