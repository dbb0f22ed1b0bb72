package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"meridian/central/rerating"
	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/replay"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// X4: a million random reports are rated by the edge as they come, each on top of
// what its session was charged before, through the state machine that a region
// runs. The centre has the catalog's text and the ledger's bytes: it prices each
// usage record anew, all of its usage at once, writes the entry as it should be,
// and gets the edge's bytes. Tariffs have fees, free units, first and next steps,
// tiers with flat parts and steps of their own, minima and maxima; a quarter of them has
// windows too, a second component, allowances with factors, steps or filters, daily
// or once, and pools. Sessions are cut at ages, at orders and at their end; some
// subscribers run out of money.
func TestX4CentreRatesAMillionReportsToTheSameBytes(t *testing.T) {
	const reports = 1_000_000
	e := newX4Edge(t, 24, 240, func(i int, rng *rand.Rand, o *tariff.Offering) {
		if i%4 == 1 {
			x4Rich(rng, o)
		}
	})
	centre := newX4Centre(t, e.bodies)
	for e.reports < reports {
		e.round()
		centre.read(t, e.state)
	}
	e.do(&command.CutAll{Limit: 1 << 20})
	centre.read(t, e.state)
	t.Logf("%d reports, %d usage records with %d slices, %d of them in parts (%d units by allowances), %s charged, %s overrun",
		e.reports, centre.records, centre.slices, centre.inParts, centre.covered, centre.charged, centre.overrun)
	if centre.records < reports/20 || centre.slices < centre.records || centre.charged == 0 || centre.overrun == 0 || centre.resumed == 0 || centre.inParts < centre.records/8 || centre.covered == 0 {
		t.Error("the run was to have records enough, in parts and not, charges, overrun, allowances that pay, and sessions of several records")
	}
	if edge, here := centre.edge.Sum(nil), centre.here.Sum(nil); !bytes.Equal(edge, here) {
		t.Errorf("the edge's usage records hash to %x, the centre's to %x", edge, here)
	}
}

// x4Edge is one replica of a region with subscribers who are online all the time.
type x4Edge struct {
	t       *testing.T
	rng     *rand.Rand
	state   *fsm.State
	bodies  [][]byte // of the offerings' feed rows
	number  uint64
	now     int64
	lines   []x4Line
	reports int
}

type x4Line struct {
	login, id  string
	start      int64
	in, out    uint64
	sessions   int
	left, pace int // reports until its end; octets and seconds of a report
}

func newX4Edge(t *testing.T, offerings, subscribers int, edit func(int, *rand.Rand, *tariff.Offering)) *x4Edge {
	e := &x4Edge{t: t, rng: rand.New(rand.NewPCG(4, 4)), state: fsm.New(), now: 1_800_000_000}
	policy := command.DefaultPolicy()
	policy.CutAge, policy.TombstoneLife = 900, 3600
	e.do(&command.Configure{Region: "north", Policy: policy})
	e.do(&command.OpenEpoch{Epoch: 1})
	e.do(&command.SetMode{Mode: command.Connected})
	e.do(&command.Tick{Clocks: []int64{e.now * 1e6}})
	for i := range offerings {
		o := x4Offering(e.rng, fmt.Sprintf("o%d", i))
		edit(i, e.rng, o)
		e.bodies = append(e.bodies, e.feed(feed.KindOffering, feed.OfferingKey(o.ID, o.Version), o))
	}
	e.feed(feed.KindNAS, "nas", &feed.NAS{ID: "nas", Address: "127.0.2.1", Vendor: "generic"})
	for i := range subscribers {
		id := fmt.Sprintf("s%d", i)
		granted := int64(1) << 50
		if i%10 == 0 {
			granted = money.Micro // is spent soon: what follows is overrun
		}
		e.feed(feed.KindSubscription, id, &feed.Subscription{ID: id, Account: id, Login: id, Offering: fmt.Sprintf("o%d", i%offerings)})
		e.feed(feed.KindLease, id+"/cash", &feed.Lease{Bucket: id + "/cash", Account: id, Unit: "EUR", Epoch: 1, Granted: granted})
		e.lines = append(e.lines, x4Line{login: id})
	}
	return e
}

func (e *x4Edge) do(c command.Command) {
	if res := e.state.Apply(c); res.Code != command.OK {
		e.t.Fatalf("%T: code %d, %s", c, res.Code, res.Reason)
	}
}

func (e *x4Edge) feed(kind feed.Kind, id string, entity any) []byte {
	body, err := feed.Encode(entity)
	if err != nil {
		e.t.Fatal(err)
	}
	e.number++
	row := feed.Row{Number: e.number, Kind: kind, ID: id, Version: 1, Body: body}
	if _, err := row.Decode(); err != nil {
		e.t.Fatalf("%v: %s", err, body)
	}
	e.do(&command.Feed{Rows: []feed.Row{row}})
	return body
}

// round is a minute: everybody reports once.
func (e *x4Edge) round() {
	e.now += 60
	e.do(&command.Tick{Clocks: []int64{e.now * 1e6}})
	if e.rng.IntN(40) == 0 {
		e.do(&command.CutAll{Limit: 1 << 20})
	}
	for i := range e.lines {
		l := &e.lines[i]
		if l.left == 0 {
			l.sessions++
			*l = x4Line{login: l.login, id: fmt.Sprintf("%s-%d", l.login, l.sessions), start: e.now - e.rng.Int64N(60), sessions: l.sessions,
				left: 1 + e.rng.IntN(50), pace: 1 << e.rng.IntN(24)}
		}
		l.left--
		l.in, l.out = l.in+e.rng.Uint64N(uint64(l.pace)), l.out+e.rng.Uint64N(uint64(l.pace))
		c := command.Accounting{NAS: "nas", SessionID: l.id, Login: l.login, Status: command.Interim,
			Event: e.now, Seconds: e.now - l.start, In: l.in, Out: l.out, Giga: true}
		if l.left == 0 {
			c.Status, c.Cause = command.Stop, 1
		}
		e.do(&c)
		e.reports++
	}
}

// x4Centre knows the catalog's text and reads the ledger's bytes.
type x4Centre struct {
	versions map[string]*rerating.Version
	parts    map[string]*replay.Version
	edge     interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
	here interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
	records, slices, resumed int
	inParts                  int
	covered                  int64 // by allowances
	charged, overrun         money.Amount
	due                      money.Amount // priced, and not yet found charged
	after                    map[journal.SessionKey]rating.State
	stands                   map[x4Stand]replay.State
}

// x4Stand names a component of a session.
type x4Stand struct {
	session   journal.SessionKey
	component string
}

func newX4Centre(t *testing.T, bodies [][]byte) *x4Centre {
	c := &x4Centre{versions: map[string]*rerating.Version{}, edge: sha256.New(), here: sha256.New(), after: map[journal.SessionKey]rating.State{},
		parts: map[string]*replay.Version{}, stands: map[x4Stand]replay.State{}}
	for _, b := range bodies {
		o := &tariff.Offering{}
		if err := json.Unmarshal(b, o); err != nil {
			t.Fatal(err)
		}
		v, err := rerating.NewVersion(o)
		if err != nil {
			t.Fatal(err)
		}
		c.versions[o.ID] = v
		if c.parts[o.ID], err = replay.NewVersion(o); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *x4Centre) read(t *testing.T, s *fsm.State) {
	entries := s.TakeEntries()
	for i, raw := range entries {
		e, err := journal.DecodeEntry(raw.Raw)
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case journal.KindUsage:
			if len(e.Usage.Parts) > 0 {
				c.usageInParts(t, &e, raw.Raw, x4Paid(t, &e, entries[i+1:]))
			} else {
				c.usage(t, &e, raw.Raw)
			}
		case journal.KindCharge:
			if e.Unit.IsMoney() {
				c.charged, c.due = c.charged+money.Amount(e.Amount), c.due-money.Amount(e.Amount)
			} else {
				c.covered += e.Amount
			}
		case journal.KindOverrun:
			c.overrun, c.due = c.overrun+money.Amount(e.Amount), c.due-money.Amount(e.Amount)
		}
	}
	if c.due != 0 {
		t.Fatalf("%s are priced and not charged", c.due)
	}
}

func (c *x4Centre) usage(t *testing.T, e *journal.Entry, raw []byte) {
	u := e.Usage
	priced, err := c.versions[u.Offering].Price(e.Session.Start, u)
	if err != nil {
		t.Fatal(err)
	}
	before, again := c.after[e.Session]
	if again {
		c.resumed++
	}
	want := *u
	want.Before, want.Slices, want.TariffHash = before, priced.Slices, c.versions[u.Offering].Hash()
	rewritten := *e
	rewritten.Usage = &want
	mine := rewritten.Encode()
	if !bytes.Equal(mine, raw) {
		t.Fatalf("record %d of session %s by %s:\nedge   %+v\ncentre %+v", u.Number, e.Session, u.Offering, *u, want)
	}
	_, _ = c.edge.Write(raw)
	_, _ = c.here.Write(mine)
	c.after[e.Session] = priced.After
	if u.TerminateCause != 0 {
		delete(c.after, e.Session)
	}
	c.records, c.slices, c.due = c.records+1, c.slices+len(u.Slices), c.due+priced.Amount
}

// x4Paid is what the charges of a cut say of who paid.
func x4Paid(t *testing.T, record *journal.Entry, after []verify.RawEntry) (paid []replay.Paid) {
	for _, raw := range after {
		e, err := journal.DecodeEntry(raw.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if e.Session != record.Session || e.Cut != record.Cut {
			break
		}
		if e.Kind == journal.KindCharge {
			paid = append(paid, replay.Paid{Bucket: e.Bucket, Unit: e.Unit, Amount: e.Amount})
		}
	}
	return paid
}

// usageInParts prices a record of several components, with windows or allowances,
// from what stands in it and in the charges of its cut.
func (c *x4Centre) usageInParts(t *testing.T, e *journal.Entry, raw []byte, paid []replay.Paid) {
	u := e.Usage
	v := c.parts[u.Offering]
	r, exact, err := v.Record(e.Session.Start, u, paid)
	if err != nil || !exact {
		t.Fatalf("record %d of session %s by %s, paid by %+v: %v\n%s\nallowances %+v", u.Number, e.Session, u.Offering, paid, err, x4Differ(u.Parts, r.Parts), v.Allowances)
	}
	want := *u
	want.Parts, want.TariffHash = nil, v.Hash()
	for i := range r.Parts {
		p, edge := &r.Parts[i], &u.Parts[i]
		at := x4Stand{e.Session, v.Usage[p.Component].Name}
		before, again := c.stands[at]
		if again {
			c.resumed++
		}
		x := journal.UsagePart{Component: at.component, Zone: p.Zone, Start: edge.Start, Before: before.Tally, Uses: edge.Uses, Slices: p.Slices}
		for _, d := range before.Draws {
			x.Draws = append(x.Draws, journal.Draw(d))
		}
		want.Parts = append(want.Parts, x)
		if c.stands[at] = p.After; u.TerminateCause != 0 {
			delete(c.stands, at)
		}
		c.slices, c.due = c.slices+len(p.Slices), c.due+p.Amount()
	}
	rewritten := *e
	rewritten.Usage = &want
	mine := rewritten.Encode()
	if !bytes.Equal(mine, raw) {
		t.Fatalf("record %d of session %s by %s:\nedge   %+v\ncentre %+v", u.Number, e.Session, u.Offering, *u, want)
	}
	_, _ = c.edge.Write(raw)
	_, _ = c.here.Write(mine)
	c.records, c.inParts = c.records+1, c.inParts+1
}

// x4Differ tells where the slices of two sides part.
func x4Differ(edge []journal.UsagePart, centre []replay.Part) string {
	for i := range centre {
		for k, x := range edge[i].Slices {
			if k >= len(centre[i].Slices) || centre[i].Slices[k] != x {
				return fmt.Sprintf("part %d, slice %d:\nedge   %+v\ncentre %+v\nuses %+v", i, k, edge[i].Slices[max(k-2, 0):], centre[i].Slices[max(min(k, len(centre[i].Slices))-2, 0):], edge[i].Uses)
			}
		}
	}
	return "the centre has more slices"
}

// x4Rich gives an offering what makes its records have parts.
func x4Rich(rng *rand.Rand, o *tariff.Offering) {
	main := &o.Usage[0]
	o.Windows = []tariff.Window{{Name: "night", From: 22 * 3600, To: 6 * 3600}}
	if rng.IntN(2) == 0 {
		night := main.Rates[0]
		night.Window = "night"
		night.Tiers = slices.Clone(night.Tiers)
		for i := range night.Tiers {
			night.Tiers[i].Price.Amount /= 3
		}
		night.Price.Amount /= 3
		main.Rates = []tariff.Rate{night, main.Rates[0]}
	}
	if rng.IntN(2) == 0 {
		other := tariff.Usage{Name: "other", Unit: tariff.Seconds, Rates: []tariff.Rate{{Price: tariff.Price{Amount: money.Amount(rng.Int64N(20_000)), Per: 60}, Next: rng.Int64N(90)}}}
		if main.Unit == tariff.Seconds {
			other.Unit, other.Rates[0].Price.Per, other.Rates[0].Next = tariff.Bytes, 1<<20, rng.Int64N(1<<16)
		}
		o.Usage = append(o.Usage, other)
	}
	for i := range rng.IntN(3) {
		u := o.Usage[rng.IntN(len(o.Usage))]
		a := tariff.Allowance{Name: fmt.Sprintf("pack%d", i), Unit: u.Unit, Amount: (1 + rng.Int64N(3600)) << (rng.IntN(20) * (1 - rng.IntN(2))), Priority: rng.IntN(3)}
		if rng.IntN(2) == 0 {
			a.Every, a.Anchor = &tariff.Period{Unit: tariff.Day, Count: 1}, tariff.Calendar
		}
		switch rng.IntN(4) {
		case 0:
			a.Step = 1 + rng.Int64N(60)
		case 1:
			a.Filter.Windows = []string{"night"}
		case 2:
			a.Filter.Usage = []string{u.Name}
		case 3:
			a.Factor = tariff.Ratio{Num: 1 + rng.Int64N(3), Den: 1 + rng.Int64N(3)}
		}
		if rng.IntN(4) == 0 {
			a.Shared = &tariff.Shared{Pool: a.Name}
		}
		o.Allowances = append(o.Allowances, a)
	}
}

// x4Offering is a random metered offering, of what edges execute of usage by one
// component.
func x4Offering(rng *rand.Rand, id string) *tariff.Offering {
	unit, scale := tariff.Bytes, int64(1<<20)
	if rng.IntN(2) == 0 {
		unit, scale = tariff.Seconds, 60
	}
	price := func() tariff.Price {
		return tariff.Price{Amount: money.Amount(rng.Int64N(40_000)), Per: scale * []int64{1, 3, 7, 10}[rng.IntN(4)]}
	}
	some := func(n int64) int64 { return rng.Int64N(2) * rng.Int64N(n) }
	u := tariff.Usage{Name: "use", Unit: unit, Free: tariff.Free{Units: some(3 * scale)}, MinEvent: money.Amount(some(200_000)), MaxEvent: 0}
	r := tariff.Rate{Fee: money.Amount(some(300_000)), First: some(2 * scale), Next: some(scale)}
	if rng.IntN(3) == 0 {
		u.MaxEvent = u.MinEvent + money.Amount(1+rng.Int64N(4_000_000))
	}
	if rng.IntN(3) > 0 {
		r.Mode = tariff.Graduated
		upTo := int64(0)
		for range rng.IntN(3) {
			upTo += 1 + rng.Int64N(20*scale)
			r.Tiers = append(r.Tiers, tariff.Tier{UpTo: upTo, Flat: money.Amount(some(50_000)), Price: price(), Step: some(scale)})
		}
		r.Tiers = append(r.Tiers, tariff.Tier{Price: price(), Step: some(scale)})
	} else {
		r.Price = price()
	}
	if rng.IntN(4) == 0 {
		r.MaxCost, r.AfterMax = money.Amount(1+rng.Int64N(3_000_000)), tariff.FreeAfter
	}
	u.Rates = []tariff.Rate{r}
	return &tariff.Offering{ID: id, Version: 1, Name: id, Currency: "EUR", Service: "internet", Usage: []tariff.Usage{u},
		Reservation: tariff.Reservation{Quota: scale, TTLSeconds: 600},
		Profile:     tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Overrun: tariff.Owed}
}
