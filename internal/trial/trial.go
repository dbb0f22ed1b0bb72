package trial

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"meridian/internal/charging"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
	"meridian/internal/why"
	"meridian/internal/zones"
)

// Trial rates events by the offerings of a sheet. It is not safe for concurrent
// use.
type Trial struct {
	offerings map[string][]*version // by id, rising in valid_from
	only      string                // the id when there is one

	balances map[string]map[string]Balance // by subscription and balance
	people   map[[2]string]*person         // by subscription and offering
	under    map[string]*contracted        // by subscription: those that were activated
	pools    map[string]*pool              // shared buckets, by pool and allowance
	faults   faults
}

// version is an offering made ready.
type version struct {
	tariff.Offering
	plan *rating.Plan
	zone *time.Location
}

// Check tells whether an offering can be rated: the bounds that only its plan
// shows. The error is *tariff.Fault, joined.
func Check(o *tariff.Offering, tables map[string]*rating.Prefixes) error {
	_, err := ready(*o, tables)
	return err
}

func ready(o tariff.Offering, tables map[string]*rating.Prefixes) (*version, error) {
	v := &version{Offering: o}
	for i := range v.Allowances {
		if v.Allowances[i].CarryOverage {
			return nil, &tariff.Fault{Path: fmt.Sprintf("allowances[%d].carry_overage", i), Value: "true", Remedy: "overage that is carried is not rated yet: leave it out"}
		}
	}
	var err error
	if v.plan, err = rating.Compile(&v.Offering, rating.Env{Tables: tables}); err == nil {
		v.zone, err = zones.Load(v.TZData, v.Zone)
	}
	return v, err
}

// New makes the offerings of a sheet ready. Versions of one id are numbered by
// valid_from. The error names the part that cannot be rated, each a *tariff.Fault.
func New(offerings []tariff.Offering, tables map[string]*rating.Prefixes) (*Trial, error) {
	t := &Trial{offerings: map[string][]*version{}, balances: map[string]map[string]Balance{}, people: map[[2]string]*person{}, under: map[string]*contracted{}, pools: map[string]*pool{}}
	sorted := slices.Clone(offerings)
	slices.SortStableFunc(sorted, func(a, b tariff.Offering) int { return cmp.Compare(a.ValidFrom, b.ValidFrom) })
	for i := range sorted {
		o := sorted[i]
		o.Version = uint32(len(t.offerings[o.ID]) + 1)
		v, err := ready(o, tables)
		if err != nil {
			return nil, fmt.Errorf("offering %s: %w", o.ID, err)
		}
		t.offerings[v.ID] = append(t.offerings[v.ID], v)
		t.only = v.ID
	}
	if len(t.offerings) > 1 {
		t.only = ""
	}
	return t, nil
}

// Start gives subscriptions the balances that they begin with. The error is
// sheet.Faults.
func (t *Trial) Start(file string, balances []Balance) error {
	f := &faults{file: file}
	for _, b := range balances {
		if t.balances[b.Subscription] == nil {
			t.balances[b.Subscription] = map[string]Balance{}
		}
		if _, twice := t.balances[b.Subscription][b.Balance]; twice {
			f.add(b.Line, "balance", b.Balance, "is given twice", "keep one of them")
		}
		unit := t.unitOf(b.Balance)
		if unit == "" {
			f.add(b.Line, "balance", b.Balance, "is no balance", "name an allowance of an offering, or money")
		} else if n, err := sheet.ParseQuantity(b.Value, unit); err != nil || n < 0 || n > charging.MaxValue {
			f.add(b.Line, "value", b.Value, "is not a quantity", sheet.QuantityRemedy(unit))
		}
		if _, err := instant(b.Expires); b.Expires != "" && err != nil {
			f.add(b.Line, "expires", b.Expires, err.Error(), "write an instant such as 2026-12-01T00:00:00Z")
		}
		t.balances[b.Subscription][b.Balance] = b
	}
	return f.err()
}

func (t *Trial) unitOf(balance string) tariff.Unit {
	if balance == tariff.MoneyBalance {
		return tariff.Money
	}
	for _, versions := range t.offerings {
		for _, v := range versions {
			for i := range v.Allowances {
				if v.Allowances[i].Name == balance {
					return v.Allowances[i].Unit
				}
			}
		}
	}
	return ""
}

// Payment is what a balance paid.
type Payment struct {
	Balance string      `json:"balance"`
	Unit    tariff.Unit `json:"unit"`
	Amount  string      `json:"amount"`
}

// Piece is a priced piece of an event and why it costs what it does.
type Piece struct {
	Rule     string `json:"rule"`
	Kind     string `json:"kind"`
	Quantity string `json:"quantity"`
	Counts   int64  `json:"counts"`            // the quantity in counts of the unit
	Charged  string `json:"charged,omitempty"` // in whole steps
	Price    string `json:"price,omitempty"`
	Amount   string `json:"amount"`
	Why      string `json:"why"`
}

// Off is what a promotion took off a charge, or gave.
type Off struct {
	Promotion string `json:"promotion"`
	Name      string `json:"name"`
	Amount    string `json:"amount"`
	Gives     string `json:"gives,omitempty"` // the balance that a bonus goes to
}

// Rated is an event and what it came to. What falls due by a contract is an event
// of its own: Usage names the component, Start is when it was due.
type Rated struct {
	Line         int          `json:"line"`
	Event        string       `json:"event,omitempty"` // "" = usage
	Subscription string       `json:"subscription,omitempty"`
	Offering     string       `json:"offering"`
	Version      uint32       `json:"version"`
	Usage        string       `json:"usage"`
	Unit         tariff.Unit  `json:"unit"`
	Session      string       `json:"session,omitempty"`
	Start        string       `json:"start"`
	Zone         string       `json:"zone,omitempty"`
	Window       string       `json:"window,omitempty"`
	Quantity     string       `json:"quantity"`
	From         string       `json:"from,omitempty"` // what a fee is for
	Until        string       `json:"until,omitempty"`
	Part         string       `json:"part,omitempty"`       // of a period: days of days
	Price        string       `json:"price,omitempty"`      // before promotions
	Promotions   []Off        `json:"promotions,omitempty"` // that touched it
	Pieces       []Piece      `json:"pieces"`
	Payments     []Payment    `json:"payments"`         // negative: given back
	Lapsed       []Payment    `json:"lapsed,omitempty"` // would be given back to balances whose time is over
	Cost         money.Amount `json:"-"`
	CostText     string       `json:"cost"`
	Payable      string       `json:"payable"` // the session's or period's total so far, rounded as what is to be paid
	Overrun      string       `json:"overrun,omitempty"`
	Currency     string       `json:"currency"`
	Raised       []string     `json:"raised,omitempty"`  // thresholds that fired
	Profile      string       `json:"profile,omitempty"` // in force afterwards, when not the offering's own
	Barred       string       `json:"barred,omitempty"`  // why there was no service
	Lang         why.Language `json:"-"`
}

// Rate rates the events in their order, with sentences in a language; without one
// there are no pieces. The error is sheet.Faults: what is wrong
// with events; those without a fault are rated all the same.
func (t *Trial) Rate(file string, events []Event, lang why.Language) ([]Rated, error) {
	t.faults = faults{file: file}
	var out []Rated
	for i := range events {
		e := &events[i]
		if e.Event != "" && e.Event != eventUsage {
			t.life(e, lang, &out)
			continue
		}
		v, component, ok := t.find(e)
		if !ok {
			continue
		}
		u, ok := t.use(e, v, component)
		if !ok {
			continue
		}
		t.catchUp(e, u.From, lang, &out)
		r, err := t.one(e, v, component, u, lang)
		if err != nil {
			t.faults.add(e.Line, "", "", err.Error(), "correct the event or the tariff")
			continue
		}
		out = append(out, r)
	}
	return out, t.faults.err()
}

// find resolves an event's offering version and usage component.
func (t *Trial) find(e *Event) (*version, int, bool) {
	id := cmp.Or(e.Offering, t.inForce(e.Subscription), t.only)
	versions := t.offerings[id]
	if len(versions) == 0 {
		t.faults.add(e.Line, "offering", e.Offering, "is no offering of the sheet", "name one by its id")
		return nil, 0, false
	}
	start, err := instant(e.Start)
	if err != nil {
		t.faults.add(e.Line, "start", e.Start, err.Error(), "write an instant such as 2026-12-01T08:00:00Z")
		return nil, 0, false
	}
	v := validAt(versions, start)
	if p := t.people[[2]string{e.Subscription, id}]; p != nil {
		v = t.following(p.v, start)
	}
	var fits []string
	found := -1
	for i := range v.Usage {
		u := &v.Usage[i]
		if e.Usage != "" && u.Name != e.Usage || e.Service != "" && v.plan.Service(i) != e.Service {
			continue
		}
		fits = append(fits, u.Name)
		found = i
	}
	if e.Usage == "" && len(fits) > 1 {
		t.faults.add(e.Line, "usage", "", "is not clear", "name one of "+strings.Join(fits, ", "))
		return nil, 0, false
	}
	if found < 0 {
		t.faults.add(e.Line, "usage", cmp.Or(e.Usage, e.Service), "is not priced by offering "+v.ID, "name one of its usage components")
		return nil, 0, false
	}
	return v, found, true
}

// following is the version in force at a time for who has one: the newest valid,
// unless one on the way is grandfathered.
func (t *Trial) following(have *version, at int64) *version {
	for _, next := range t.offerings[have.ID] {
		if next.Version > have.Version && next.ValidFrom <= at && !have.Grandfathered {
			have = next
		}
	}
	return have
}

// validAt is the version in force at a time; the first before any is.
func validAt(versions []*version, at int64) *version {
	v := versions[0]
	for _, next := range versions[1:] {
		if next.ValidFrom <= at {
			v = next
		}
	}
	return v
}

// use reads an event's quantity and times.
func (t *Trial) use(e *Event, v *version, component int) (rating.Use, bool) {
	unit := v.plan.Unit(component)
	start, _ := instant(e.Start) // find has read it
	u := rating.Use{From: start, To: start, Weight: v.Usage[component].WeightScale}
	fault := func(column, value, what, remedy string) (rating.Use, bool) {
		t.faults.add(e.Line, column, value, what, remedy)
		return u, false
	}
	if e.End != "" {
		end, err := instant(e.End)
		if err != nil || end < start {
			return fault("end", e.End, "is not an instant after the start", "write an instant such as 2026-12-01T08:05:00Z")
		}
		u.To = end
	}
	switch {
	case e.Quantity != "":
		n, err := sheet.ParseQuantity(e.Quantity, unit)
		if err != nil || n < 0 {
			return fault("quantity", e.Quantity, "is not a quantity of "+string(unit), sheet.QuantityRemedy(unit))
		}
		u.Quantity = n
	case unit == tariff.Seconds && e.End != "":
		u.Quantity = u.To - u.From
	case unit == tariff.Events:
		u.Quantity = 1
	default:
		return fault("quantity", "", "is missing", sheet.QuantityRemedy(unit))
	}
	if e.Weight != "" {
		n, err := sheet.ParseQuantity(e.Weight, tariff.Events)
		if err != nil || n < 0 || n > 1<<40 {
			return fault("weight", e.Weight, "is not a whole number", "write parts of the component's weight_scale")
		}
		u.Weight = n
	}
	return u, true
}
