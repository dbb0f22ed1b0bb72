package rating

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/zones"
)

// Env is what a plan needs beside the offering and the zone data in the binary.
type Env struct {
	Tables map[string]*Prefixes // the catalog's shared tables of destinations, by tariff.Usage.TableKey
	// NoTables compiles what names a table without it: the plan finds no zone there. To
	// check an offering, or to rate usage whose zones are known.
	NoTables bool
	Cache    *Cache // of what many plans share; nil = none
}

// Cache keeps the zones that Compile has read, for a catalog of many offerings.
// The zero value is empty. It is not safe for concurrent use.
type Cache struct{ zones map[[2]string]zone }

// zone reads a zone's changes from the data of a version.
func (e *Env) zone(version, name string) (zone, error) {
	key := [2]string{version, name}
	if e.Cache != nil && e.Cache.zones[key] != nil {
		return e.Cache.zones[key], nil
	}
	l, err := zones.Load(version, name)
	if err != nil {
		return nil, err
	}
	z := newZone(l)
	if e.Cache != nil {
		if e.Cache.zones == nil {
			e.Cache.zones = map[[2]string]zone{}
		}
		e.Cache.zones[key] = z
	}
	return z, nil
}

// CheckZone tells what is wrong with an offering's zone or zone data.
func CheckZone(o *tariff.Offering) error {
	_, err := zones.Load(o.TZData, o.Zone)
	switch {
	case errors.Is(err, zones.ErrVersion):
		return &tariff.Fault{Path: "tzdata", Value: o.TZData, Remedy: err.Error()}
	case err != nil:
		return &tariff.Fault{Path: "zone", Value: o.Zone, Remedy: "name an IANA zone that this version knows, e.g. Europe/Berlin"}
	}
	return nil
}

// Plan is an offering version made ready for rating: immutable, safe for
// concurrent use.
type Plan struct {
	ID      string
	Version uint32
	Hash    [32]byte

	components  []component
	windows     []window
	windowNames []string
	zone        zone
	rules       []rule
	rounding    money.Rounding
	roundUnit   money.Amount // micro-units of the last place
}

// rule is what a slice names.
type rule struct {
	name  string
	price tariff.Price
	step  int64
	unit  tariff.Unit
	// carries: the step is a package, which goes on over the events of a period.
	carries bool
}

type component struct {
	name     string
	rule     string // of what no rate prices: free units, a minimum
	service  string
	unit     tariff.Unit
	byPeriod bool
	volume   bool
	den      uint64 // all exact prices are in 1/den micro-units

	freeUnits, freeEvents                    int64
	minEvent, maxEvent, minPeriod, maxPeriod money.Amount // maxima MaxInt64 when there are none
	weightScale                              int64

	zones  []zoneRates // 0 is every destination without rates of its own
	names  []string    // of zones
	inline *Prefixes
	shared *Prefixes
	own    []int // zone of each of inline's zones
	theirs []int // of shared's
}

// zoneRates are the rates of a zone: always, and while a window is in force.
type zoneRates struct {
	always   *rate
	windowed []*rate
}

type rate struct {
	window     int // index, −1 = always
	fee        money.Amount
	feeRule    int32
	maxCost    money.Amount // MaxInt64 = none
	disconnect bool
	segments   []segment
}

// segment is a stretch of positions with one step and one price.
type segment struct {
	from, to int64
	step     int64
	num      uint64 // price of a step, in 1/den micro-units
	flat     money.Amount
	flatRule int32
	rule     int32
}

// maxDen bounds the common denominator of a component's prices, so that sums of
// remainders fit.
const maxDen = 1 << 62

// Compile checks an offering and makes its plan. It refuses, with a *tariff.Fault
// that names the place and the bound, what could overflow or has a time or
// destination without a rate.
func Compile(o *tariff.Offering, env Env) (*Plan, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p := &Plan{ID: o.ID, Version: o.Version, Hash: o.Hash()}
	r := tariff.DefaultRounding()
	if o.Rounding != nil {
		r = *o.Rounding
	}
	p.rounding, p.roundUnit = r.Money(), 1
	for range 6 - r.Places {
		p.roundUnit *= 10
	}
	p.zone = zone{{0, 0}}
	if err := CheckZone(o); err != nil {
		return nil, err
	}
	if o.Zoned() {
		var err error
		if p.zone, err = env.zone(o.TZData, o.Zone); err != nil {
			return nil, err
		}
	}
	holidays := dayNumbers(o.Holidays)
	for i := range o.Windows {
		p.windows = append(p.windows, newWindow(&o.Windows[i], holidays))
		p.windowNames = append(p.windowNames, o.Windows[i].Name)
	}
	var faults []error
	p.components = make([]component, len(o.Usage))
	for i := range o.Usage {
		if err := p.compileUsage(&p.components[i], o, i, env); err != nil {
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Plan) compileUsage(c *component, o *tariff.Offering, index int, env Env) error {
	u := &o.Usage[index]
	at := fmt.Sprintf("usage[%d]", index)
	*c = component{
		name: u.Name, rule: Rule(o, u), service: u.Service, unit: u.Unit, byPeriod: u.Counted == tariff.ByPeriod,
		volume:    u.Rates[0].Mode == tariff.Volume,
		freeUnits: u.Free.Units, freeEvents: u.Free.Events, weightScale: u.WeightScale,
		minEvent: u.MinEvent, maxEvent: orNone(u.MaxEvent), minPeriod: u.MinPeriod, maxPeriod: orNone(u.MaxPeriod),
	}
	if c.service == "" {
		c.service = o.Service
	}
	if err := c.denominator(u, at); err != nil {
		return err
	}
	if err := c.destinations(u, at, env); err != nil {
		return err
	}
	for i := range u.Rates {
		r, err := p.compileRate(c, o, u, &u.Rates[i], fmt.Sprintf("%s.rates[%d]", at, i))
		if err != nil {
			return err
		}
		z := &c.zones[c.zoneIndex(u.Rates[i].Zone)]
		if r.window < 0 {
			z.always = r
		} else {
			z.windowed = append(z.windowed, r)
		}
	}
	for i := range c.zones {
		z := &c.zones[i]
		if len(z.windowed) == 0 && z.always == nil && i == 0 {
			continue // destinations without a zone cannot be called
		}
		if gap := p.uncovered(z); gap != "" && !u.Partial {
			return &tariff.Fault{Path: at + ".rates", Value: fmt.Sprintf("zone %q has no rate on %s", c.names[i], gap),
				Remedy: "give a rate without a window, or set partial: there is no service then"}
		}
	}
	return nil
}

func orNone(a money.Amount) money.Amount {
	if a == 0 {
		return math.MaxInt64
	}
	return a
}

// denominator finds the smallest fraction of a micro-unit in which every step of
// the component is a whole number.
func (c *component) denominator(u *tariff.Usage, at string) error {
	c.den = 1
	lcm := func(step int64, price tariff.Price) bool {
		_, den, ok := fraction(step, price)
		if !ok {
			return false
		}
		g := gcd(c.den, den)
		hi, lo := bits.Mul64(c.den/g, den)
		if hi != 0 || lo > maxDen {
			return false
		}
		c.den = lo
		return true
	}
	for i := range u.Rates {
		r := &u.Rates[i]
		path := fmt.Sprintf("%s.rates[%d]", at, i)
		ok := true
		for _, s := range stretches(r) {
			ok = ok && lcm(s.Step, s.Price)
		}
		if !ok {
			return &tariff.Fault{Path: path, Value: "prices", Remedy: "the exact sum of these prices needs a denominator past 2^62: use round numbers of units (per)"}
		}
	}
	if c.weightScale > 0 {
		if c.den > maxDen/uint64(c.weightScale) {
			return &tariff.Fault{Path: at + ".weight_scale", Value: fmt.Sprint(c.weightScale), Remedy: "weight and prices together need a denominator past 2^62: lower it"}
		}
		c.den *= uint64(c.weightScale)
	}
	return nil
}

// fraction reduces the price of a step.
func fraction(step int64, price tariff.Price) (num, den uint64, ok bool) {
	if price.Amount == 0 {
		return 0, 1, true
	}
	s, d := uint64(step), uint64(price.Per)
	g := gcd(s, d)
	s, d = s/g, d/g
	a := uint64(price.Amount)
	g = gcd(a, d)
	hi, lo := bits.Mul64(a/g, s)
	return lo, d / g, hi == 0
}

func (c *component) zoneIndex(name string) int {
	if i := slices.Index(c.names, name); i >= 0 {
		return i
	}
	c.names, c.zones = append(c.names, name), append(c.zones, zoneRates{})
	return len(c.names) - 1
}

func (c *component) destinations(u *tariff.Usage, at string, env Env) error {
	c.zoneIndex("")
	for i := range u.Rates {
		c.zoneIndex(u.Rates[i].Zone)
	}
	resolve := func(p *Prefixes) []int {
		list := make([]int, len(p.Zones))
		for i, name := range p.Zones {
			list[i] = max(slices.Index(c.names, name), 0)
		}
		return list
	}
	var lines []PrefixZone
	for _, d := range u.Destinations {
		for _, prefix := range d.Prefixes {
			lines = append(lines, PrefixZone{prefix, d.Zone})
		}
	}
	var err error
	if len(lines) > 0 {
		if c.inline, err = NewPrefixes(lines); err != nil {
			return &tariff.Fault{Path: at + ".destinations", Value: err.Error(), Remedy: "correct the prefix"}
		}
		c.own = resolve(c.inline)
	}
	if u.Table != "" {
		c.shared = env.Tables[u.TableKey()]
		switch {
		case c.shared == nil && env.NoTables:
			c.shared = &Prefixes{}
		case c.shared == nil:
			return &tariff.Fault{Path: at + ".table", Value: u.Table, Remedy: "name a table of destinations that the catalog has"}
		}
		c.theirs = resolve(c.shared)
	}
	return nil
}

// stretch is a part of a rate with one step and price, before it is compiled.
type stretch struct {
	tariff.Tier
	from, to int64
	carries  bool
}

// stretches lays a rate's steps and tiers along the positions of its usage.
func stretches(r *tariff.Rate) []stretch {
	tiers := r.Tiers
	if len(tiers) == 0 {
		tiers = []tariff.Tier{{Price: r.Price}}
	}
	var out []stretch
	from := int64(0)
	if r.First > 0 && r.First != r.Next && r.Mode != tariff.Volume {
		t := tiers[0]
		t.Step = r.First
		out = append(out, stretch{t, 0, r.First, false})
		from = r.First
	}
	for i, t := range tiers {
		carries := t.Step > 0
		if !carries {
			t.Step = max(r.Next, 1)
		}
		to := t.UpTo
		if to == 0 {
			to = math.MaxInt64
		}
		if to <= from {
			continue // within the first step
		}
		if i == 0 && from > 0 {
			t.Flat = 0 // the first step has it
		}
		out = append(out, stretch{t, from, to, carries})
		from = to
	}
	return out
}

func (p *Plan) compileRate(c *component, o *tariff.Offering, u *tariff.Usage, r *tariff.Rate, at string) (*rate, error) {
	out := &rate{window: slices.Index(p.windowNames, r.Window), fee: r.Fee, maxCost: orNone(r.MaxCost), disconnect: r.AfterMax == tariff.Disconnect}
	name := ruleName(o, u, r)
	if r.Fee > 0 {
		out.feeRule = p.rule(tariff.Events, name+"/fee", tariff.Price{Amount: r.Fee, Per: 1}, 1)
	}
	list := stretches(r)
	for i, s := range list {
		num, den, _ := fraction(s.Step, s.Price)
		hi, lo := bits.Mul64(num, c.den/uint64(max(c.weightScale, 1))/den)
		if hi != 0 || lo > maxDen {
			return nil, &tariff.Fault{Path: at, Value: s.Price.Amount.String(), Remedy: "a step's price is past 2^62 parts of its denominator: use a smaller step or round numbers of units (per)"}
		}
		rule := name
		if len(list) > 1 {
			rule = fmt.Sprintf("%s/%d", name, i+1)
		}
		seg := segment{from: s.from, to: s.to, step: s.Step, num: lo, flat: s.Flat, rule: p.rule(c.unit, rule, s.Price, s.Step)}
		p.rules[seg.rule].carries = s.carries
		if s.Flat > 0 {
			seg.flatRule = p.rule(tariff.Events, rule+"/flat", tariff.Price{Amount: s.Flat, Per: 1}, 1)
		}
		out.segments = append(out.segments, seg)
	}
	return out, nil
}

func ruleName(o *tariff.Offering, u *tariff.Usage, r *tariff.Rate) string {
	name := Rule(o, u)
	if r.Name != "" {
		return name + "/" + r.Name
	}
	for _, part := range []string{r.Zone, r.Window} {
		if part != "" {
			name += "/" + part
		}
	}
	return name
}

func (p *Plan) rule(unit tariff.Unit, name string, price tariff.Price, step int64) int32 {
	p.rules = append(p.rules, rule{name: name, unit: unit, price: price, step: step})
	return int32(len(p.rules) - 1)
}

// Component finds a usage component by name, −1 when there is none.
func (p *Plan) Component(name string) int {
	return slices.IndexFunc(p.components, func(c component) bool { return c.name == name })
}

// Name is the name of a component.
func (p *Plan) Name(component int) string { return p.components[component].name }

// Service is the service that a component prices.
func (p *Plan) Service(component int) string { return p.components[component].service }

// Unit is what a component counts.
func (p *Plan) Unit(component int) tariff.Unit { return p.components[component].unit }

// ZoneName is the name of a component's zone, "" for every other destination.
func (p *Plan) ZoneName(component, zone int) string { return p.components[component].names[zone] }

// Zoned tells whether a component's price depends on the destination.
func (p *Plan) Zoned(component int) bool {
	c := &p.components[component]
	return len(c.names) > 1 || c.inline != nil || c.shared != nil
}

// Zone finds the zone of a destination by its longest prefix, in the component's
// own table or the shared one; the own wins when both are as long. 0 is every
// destination without a zone; ok is false when such cannot be used.
func (p *Plan) Zone(component int, destination string) (zone int, ok bool) {
	c := &p.components[component]
	k, _ := key(destination)
	longest := -1
	if c.inline != nil {
		if z, n := c.inline.longest(k); z >= 0 {
			zone, longest = c.own[z], n
		}
	}
	if c.shared != nil {
		if z, n := c.shared.longest(k); z >= 0 && n > longest {
			zone = c.theirs[z]
		}
	}
	z := &c.zones[zone]
	return zone, z.always != nil || len(z.windowed) > 0
}
