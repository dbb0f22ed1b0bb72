package fsm

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// twins are two replicas of one log: one runs on, the other is dumped and loaded
// now and then. Whatever commands come, they must agree, and what sessions and
// reservations hold must be what the buckets say.
type twins struct {
	rng     *rand.Rand
	hostile bool // values that only an error or an attacker would send
	a, b    *State
	now     int64
	number  uint64
	version map[string]uint64
	granted map[string]int64
	reclaim map[string]int64
	starts  map[string]int64
	last    command.Command
}

var twinSubs = map[string]string{"s1": "a", "s2": "a", "s3": "b"}

func newTwins(seed uint64, hostile bool) (*twins, error) {
	w := &twins{rng: rand.New(rand.NewPCG(seed, 3)), hostile: hostile, a: New(), b: New(), now: t0,
		version: map[string]uint64{}, granted: map[string]int64{}, reclaim: map[string]int64{}, starts: map[string]int64{}}
	p := command.DefaultPolicy()
	p.CutAge, p.StaleAfter, p.TombstoneLife, p.DuePerTick = 200, 900, 4000, int64(1+w.rng.IntN(5))
	for _, c := range []command.Command{&command.Configure{Region: "north", Policy: p}, &command.OpenEpoch{Epoch: 1}, &command.Tick{Clocks: []int64{t0 * 1e6}}} {
		if err := w.do(c); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// do gives a command to both, each from its own bytes.
func (w *twins) do(c command.Command) error {
	w.last = c
	raw := command.Encode(c)
	forA, err := command.Decode(raw)
	if err != nil {
		return err
	}
	forB, err := command.Decode(raw)
	if err != nil {
		return err
	}
	resA, resB := w.a.Apply(forA), w.b.Apply(forB)
	entriesA, entriesB := w.a.TakeEntries(), w.b.TakeEntries()
	if resA != resB || len(entriesA) != len(entriesB) || w.a.Head != w.b.Head {
		return fmt.Errorf("results %v and %v, %d and %d entries", resA, resB, len(entriesA), len(entriesB))
	}
	for _, e := range entriesA {
		if _, err := journal.DecodeEntry(e.Raw); err != nil {
			return err
		}
	}
	if w.rng.IntN(15) == 0 {
		if w.b, err = Load(w.b.Dump()); err != nil {
			return err
		}
	}
	if w.rng.IntN(5) == 0 && w.a.Hash() != w.b.Hash() {
		return fmt.Errorf("state hashes differ")
	}
	return w.holds()
}

// holds compares what is held and charged with the buckets.
func (w *twins) holds() error {
	held, pending, reserved := map[string]int64{}, map[string]int64{}, map[string]int{}
	for _, s := range w.a.sessions {
		for _, p := range s.Hold {
			held[p.Bucket] += p.Amount
		}
		for _, p := range s.Pending {
			pending[p.Bucket] += p.Amount
		}
		if !s.Open && len(s.Hold) > 0 {
			return fmt.Errorf("closed session %s holds", s.Key)
		}
	}
	for _, r := range w.a.reservations {
		for _, p := range r.Hold {
			held[p.Bucket] += p.Amount
		}
		reserved[r.Subscription]++
	}
	for _, b := range w.a.buckets.sorted() {
		b.Check()
		if b.H != held[b.ID] || b.U != pending[b.ID] {
			return fmt.Errorf("bucket %s: H %d of %d, U %d of %d", b.ID, b.H, held[b.ID], b.U, pending[b.ID])
		}
	}
	for _, sub := range w.a.subscriptions.sorted() {
		if int(sub.reserved) != reserved[sub.ID] {
			return fmt.Errorf("subscription %s counts %d reservations of %d", sub.ID, sub.reserved, reserved[sub.ID])
		}
	}
	return errors.Join(headroomHolds(w.a), headroomHolds(w.b))
}

// row feeds an entity, unless it could not have entered a log.
func (w *twins) row(kind feed.Kind, id string, entity any) error {
	body, err := feed.Encode(entity)
	if err != nil {
		return err
	}
	row := feed.Row{Number: w.number + 1, Kind: kind, ID: id, Version: w.version[string(kind)+id] + 1, Body: body}
	if _, err := row.Decode(); err != nil {
		return nil //nolint:nilerr // uplink refuses it
	}
	w.number++
	w.version[string(kind)+id]++
	return w.do(&command.Feed{Rows: []feed.Row{row}})
}

func (w *twins) value(n int64) int64 {
	if w.hostile && w.rng.IntN(4) == 0 {
		return []int64{0, 1, math.MaxInt64, math.MaxInt64 - 5, 1 << 52, 1 << 60, math.MaxInt64 / 2}[w.rng.IntN(7)]
	}
	return w.rng.Int64N(n)
}

func pick[T any](w *twins, of ...T) T { return of[w.rng.IntN(len(of))] }

func (w *twins) sub() (id, login string) {
	id = pick(w, "s1", "s2", "s3")
	return id, "u" + id
}

func (w *twins) step(i int) error {
	switch w.rng.IntN(14) {
	case 0:
		w.now += w.rng.Int64N(400)
		if w.rng.IntN(30) == 0 {
			w.now += 86400 * w.rng.Int64N(40)
		}
		return w.do(&command.Tick{Clocks: []int64{w.now * 1e6, (w.now + w.rng.Int64N(9)) * 1e6}})
	case 1:
		return w.offering()
	case 2:
		id, login := w.sub()
		if w.version["subscription"+id] > 0 && w.rng.IntN(4) > 0 {
			return nil
		}
		return w.row(feed.KindSubscription, id, &feed.Subscription{ID: id, Account: twinSubs[id], Login: login,
			Offering: pick(w, "minutes", "volume", "flat", "flat2"), Terminated: w.rng.IntN(60) == 0})
	case 3:
		return w.lease()
	case 4:
		id, _ := w.sub()
		o := &feed.Order{ID: fmt.Sprint("o", i), Subscription: id, Bucket: twinSubs[id] + "/cash", Amount: money.Amount(w.value(2_000_000)),
			Action: pick(w, feed.ActionBar, feed.ActionUnbar, feed.ActionUnbar, feed.ActionChange, feed.ActionDebit), Offering: pick(w, "minutes", "volume", "flat", "flat2")}
		if w.rng.IntN(3) == 0 {
			o.NotBefore = w.now + w.rng.Int64N(500)
		}
		return w.row(feed.KindOrder, o.ID, o)
	case 5, 6:
		return w.reserve()
	case 7, 8, 9, 10:
		return w.accounting()
	case 11:
		return w.do(&command.SetMode{Mode: command.Mode(w.rng.IntN(3))})
	case 12:
		return w.do(pick[command.Command](w,
			&command.Accounting{NAS: "nas", Status: command.On, Event: w.now - w.rng.Int64N(100), Seconds: -1},
			&command.CutAll{Limit: w.rng.IntN(4) - 1},
			&command.Acked{Epoch: 1, Seq: w.a.Acked + uint64(w.rng.IntN(5)), Hash: journal.Hash{1}},
			&command.Audit{}))
	}
	done := &command.EffectsDone{}
	for _, e := range w.a.Effects(3) {
		done.Done = append(done.Done, command.EffectResult{ID: e.ID, Outcome: command.EffectOutcome(w.rng.IntN(4))})
	}
	return w.do(done)
}

func (w *twins) offering() error {
	id := pick(w, "minutes", "volume", "flat", "flat2")
	o := flat()
	switch id {
	case "minutes":
		o = perMinute()
	case "volume":
		o = perGigabyte()
	}
	o.ID, o.Version = id, uint32(w.version["versions of "+id])+1
	w.version["versions of "+id]++
	o.ValidFrom = w.now - 100 + w.rng.Int64N(200)
	o.Profile.SessionLimit = 1 + w.rng.IntN(2)
	if len(o.Recurring) > 0 {
		o.Recurring[0].Every.Count, o.Recurring[0].Price = 1+w.rng.IntN(5), money.Amount(w.value(5_000_000))
		if w.rng.IntN(3) == 0 {
			o.Usage = tariff.PerUnit(tariff.Seconds, 1000, 7)
			o.Reservation = tariff.Reservation{Quota: 500, TTLSeconds: 170}
		}
	} else {
		o.Usage[0].Rates[0].Price.Amount, o.Usage[0].Rates[0].Price.Per = money.Amount(w.value(3_000_000)), 1+w.rng.Int64N(1000)
		o.Usage[0].Rates[0].Fee, o.Usage[0].Rates[0].Next = money.Amount(w.rng.Int64N(2)*1000), w.rng.Int64N(3)*512
		o.Reservation = tariff.Reservation{Quota: max(w.value(100_000), 1), TTLSeconds: 150 + w.rng.Int64N(500)}
	}
	if w.rng.IntN(2) == 0 {
		w.enrich(o)
	}
	return w.row(feed.KindOffering, feed.OfferingKey(o.ID, o.Version), o)
}

// enrich adds what is beyond one plain price: windows, tiers whose price falls, a
// second component, allowances of every kind. What may not be published is dropped
// by row.
func (w *twins) enrich(o *tariff.Offering) {
	o.Windows = []tariff.Window{{Name: "odd", From: w.rng.IntN(86400), To: 1 + w.rng.IntN(86400)}}
	price := func() tariff.Price {
		return tariff.Price{Amount: money.Amount(w.rng.Int64N(3000)), Per: 1 + w.rng.Int64N(1000)}
	}
	if len(o.Usage) > 0 && w.rng.IntN(2) == 0 {
		o.Usage[0].Rates = []tariff.Rate{{Price: price()}, {Window: "odd", Price: price(), Next: w.rng.Int64N(500)}}
	} else if len(o.Usage) > 0 && w.rng.IntN(2) == 0 {
		o.Usage[0].Rates = []tariff.Rate{{Mode: tariff.Volume, Tiers: []tariff.Tier{{UpTo: 1 + w.rng.Int64N(1_000_000), Price: price(), Flat: money.Amount(w.rng.Int64N(5000))}, {Price: price()}}}}
	}
	if w.rng.IntN(3) == 0 {
		o.Usage = append(o.Usage, tariff.Usage{Name: "time", Unit: pick(w, tariff.Seconds, tariff.Bytes), Rates: []tariff.Rate{{Price: price(), Next: w.rng.Int64N(60)}}})
		o.Reservation = tariff.Reservation{Quota: 5000, TTLSeconds: 170}
	}
	for i := range w.rng.IntN(4) {
		a := tariff.Allowance{Name: pick(w, "one", "two", "three") + fmt.Sprint(i), Unit: pick(w, tariff.Bytes, tariff.Seconds, tariff.Money), Amount: 1 + w.value(10_000_000), Priority: w.rng.IntN(4) - 2}
		if w.rng.IntN(3) > 0 {
			a.Every = &tariff.Period{Unit: tariff.Day, Count: 1 + w.rng.IntN(3)}
			a.Anchor = pick(w, "", tariff.Anniversary, tariff.Calendar)
		} else if w.rng.IntN(2) == 0 {
			a.ValidFor = &tariff.Period{Unit: pick(w, tariff.Day, tariff.Month), Count: 1}
		}
		if a.Every != nil && w.rng.IntN(2) == 0 {
			a.Rollover = &tariff.Rollover{Max: w.rng.Int64N(20_000_000), Add: w.rng.IntN(2) == 0}
		}
		if w.rng.IntN(3) == 0 {
			a.Shared = &tariff.Shared{Pool: "pool" + fmt.Sprint(i), PerChild: w.rng.Int64N(5_000_000)}
		}
		if a.Unit != tariff.Money && w.rng.IntN(2) == 0 {
			a.Factor, a.Step = tariff.Ratio{Num: 1 + w.rng.Int64N(5), Den: 1 + w.rng.Int64N(5)}, w.rng.Int64N(1000)
		}
		if w.rng.IntN(4) == 0 {
			a.Filter.Windows = []string{"odd"}
		}
		a.Blocking = w.rng.IntN(6) == 0
		o.Allowances = append(o.Allowances, a)
	}
}

func (w *twins) lease() error {
	account := pick(w, "a", "b")
	id := account + pick(w, "/cash", "/bonus")
	w.granted[id] = min(w.granted[id], math.MaxInt64/2) + min(w.value(20_000_000), math.MaxInt64/2)
	if w.rng.IntN(4) == 0 {
		w.reclaim[id] += w.rng.Int64N(3_000_000)
	}
	l := &feed.Lease{Bucket: id, Account: account, Unit: "EUR", Epoch: 1, Priority: w.rng.IntN(3),
		Granted: w.granted[id], ReclaimTo: w.reclaim[id], Allowance: w.rng.Int64N(500_000)}
	if w.rng.IntN(3) == 0 {
		l.ExpiresAt = w.now + w.rng.Int64N(2000)
	}
	return w.row(feed.KindLease, id, l)
}

func (w *twins) reserve() error {
	id, login := w.sub()
	c := &command.Reserve{NAS: "nas", SessionID: pick(w, "x", "y", "z"), Login: login, NASPort: "p"}
	if w.rng.IntN(3) == 0 {
		c.CallingStation = "cs" + id
		if w.rng.IntN(2) == 0 {
			c.SessionID = ""
		}
	}
	c.Key = ReserveKey("nas", c.SessionID, c.CallingStation, "p", login)
	return w.do(c)
}

func (w *twins) accounting() error {
	id, login := w.sub()
	c := &command.Accounting{NAS: "nas", SessionID: pick(w, "x", "y", "z"), Login: login, CallingStation: "cs" + id, NASPort: "p",
		Status: pick(w, command.Start, command.Interim, command.Interim, command.Interim, command.Stop), Event: w.now, Giga: w.rng.IntN(2) == 0}
	key := id + c.SessionID
	if c.Status == command.Start || w.starts[key] == 0 {
		w.starts[key] = w.now
	}
	c.Seconds = w.now - w.starts[key]
	c.In, c.Out = uint64(c.Seconds)*uint64(w.rng.IntN(3000)), uint64(c.Seconds)*5000
	switch w.rng.IntN(40) {
	case 0, 1, 2, 3:
		c.Event -= w.rng.Int64N(5000)
	case 4, 5, 6:
		c.Seconds = -1
	case 7:
		c.Login = "nobody"
	}
	if w.hostile && w.rng.IntN(10) == 0 {
		c.In, c.Event, c.Seconds = w.rng.Uint64(), int64(w.rng.Uint32()), int64(w.rng.Uint32())
	}
	return w.do(c)
}

func runTwins(seed uint64, hostile bool, steps int) (err error) {
	var w *twins
	i := 0
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			err = fmt.Errorf("seed %d, hostile %t, step %d, %T%+v: %w", seed, hostile, i, w.last, w.last, err)
		}
	}()
	if w, err = newTwins(seed, hostile); err != nil {
		return err
	}
	for ; i < steps; i++ {
		if err := w.step(i); err != nil {
			return err
		}
	}
	if w.a.Hash() != w.b.Hash() {
		return fmt.Errorf("state hashes differ at the end")
	}
	return nil
}

func TestReplicasAgreeWhateverComes(t *testing.T) {
	for _, hostile := range []bool{false, true} {
		for seed := uint64(1); seed <= 100; seed++ {
			if err := runTwins(seed, hostile, 500); err != nil {
				t.Error(err)
				return
			}
		}
	}
}
