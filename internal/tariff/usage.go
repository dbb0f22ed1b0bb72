package tariff

import "meridian/internal/money"

// Counting says over what a usage component counts its tiers, free units and
// steps, and where its price is rounded: at the session's or event's total, or at
// the period's.
type Counting string

// BySession starts anew with each session, call or event; ByPeriod goes on over
// the component's period.
const (
	BySession Counting = "session"
	ByPeriod  Counting = "period"
)

// Usage is a usage component: what a service's metered use costs. A rate is
// found by the destination's zone and the window in force; of several the one
// with the heavier window, or else the later start, wins.
//
// The quantity is counted from the start of the session (or period). First come
// the free units, then the rate's steps and tiers. A started step is charged in
// full and runs to its end, over the edge of a window or tier if it lies across
// one; the next rule begins there.
type Usage struct {
	Name    string   `json:"name"`
	Service string   `json:"service,omitempty"` // one of the offering's; "" = its main service
	Unit    Unit     `json:"unit"`
	Counted Counting `json:"counted,omitempty"` // "" = session
	Every   *Period  `json:"every,omitempty"`   // counted by period: which; nil = calendar month

	// Destinations find the zone: the longest prefix of the destination's number
	// that is here or in the shared table of the catalog that Table names.
	Destinations []Destination `json:"destinations,omitempty"`
	Table        string        `json:"table,omitempty"`
	TableVersion uint32        `json:"table_version,omitempty"` // with it, its content's hash in hex: publishing sets both
	TableHash    string        `json:"table_hash,omitempty"`

	Free  Free   `json:"free,omitzero"`
	Rates []Rate `json:"rates"`

	// Bounds of what one event or session costs, the fee included, and of what a
	// period costs; 0 = none. A minimum is due when there was any paid usage.
	MinEvent  money.Amount `json:"min_event,omitempty"`
	MaxEvent  money.Amount `json:"max_event,omitempty"`
	MinPeriod money.Amount `json:"min_period,omitempty"`
	MaxPeriod money.Amount `json:"max_period,omitempty"`

	// Partial allows times without a rate: there is no service then.
	Partial bool `json:"partial,omitempty"`

	// WeightScale makes a component of weighted units (seats held for a part of the
	// month): each change of level is priced by level, times its weight in parts of
	// WeightScale. 0 = not weighted.
	WeightScale int64 `json:"weight_scale,omitempty"`

	Tax    string  `json:"tax,omitempty"`
	Shares []Share `json:"shares,omitempty"`
}

// Destination is a zone and the prefixes of numbers that belong to it.
type Destination struct {
	Zone     string   `json:"zone"`
	Prefixes []string `json:"prefixes"`
}

// Free is what costs nothing at the beginning of each session or period: events
// and units. With both, an event is free while both last; the event that goes
// beyond Units pays its fee.
type Free struct {
	Units  int64 `json:"units,omitempty"`
	Events int64 `json:"events,omitempty"`
}

// Mode is how tiers price.
type Mode string

// Graduated prices each unit at its own tier. Volume prices all units at the tier
// that was reached; its price may fall as usage grows, and a fall is a refund.
const (
	Graduated Mode = "graduated"
	Volume    Mode = "volume"
)

// AfterMax is what happens when a session's price reaches the maximum cost.
type AfterMax string

// FreeAfter goes on without charge; Disconnect ends the session.
const (
	FreeAfter  AfterMax = "free after"
	Disconnect AfterMax = "disconnect"
)

// Rate is the price of usage in a zone while a window is in force.
type Rate struct {
	Name   string `json:"name,omitempty"`   // in the rule of what it priced; "" = zone and window
	Zone   string `json:"zone,omitempty"`   // "" = every destination that has no rate of its own
	Window string `json:"window,omitempty"` // "" = when no window of another rate is in force

	// Fee is due once for each session or event, by the rate that prices its first
	// unit. An allowance that pays the first unit and has no prices of its own
	// takes it over.
	Fee   money.Amount `json:"fee,omitempty"`
	Price Price        `json:"price,omitzero"`

	// Usage is charged in whole steps: the first of First, then each of Next
	// counts. 0 = no steps: by the count.
	First int64 `json:"first,omitempty"`
	Next  int64 `json:"next,omitempty"`

	// With tiers, Mode says how they price and Price is absent.
	Mode  Mode   `json:"mode,omitempty"`
	Tiers []Tier `json:"tiers,omitempty"`

	MaxCost  money.Amount `json:"max_cost,omitempty"` // of the session while this rate is in force; 0 = none
	AfterMax AfterMax     `json:"after_max,omitempty"`
}

// Tier ends after UpTo counts; only the last has no end (0).
type Tier struct {
	UpTo  int64        `json:"up_to,omitempty"`
	Flat  money.Amount `json:"flat,omitempty"` // due once when the tier is entered; the first tier's always
	Price Price        `json:"price"`
	Step  int64        `json:"step,omitempty"` // packages: whole steps within the tier; 0 = the rate's Next
}

// Weekday is "mon" to "sun".
type Weekday string

// Weekdays in the order of a week.
func Weekdays() []Weekday { return []Weekday{"mon", "tue", "wed", "thu", "fri", "sat", "sun"} }

// Window is a part of the calendar, in the offering's zone. Empty conditions hold
// always; all that are given must hold. From and To are seconds of the local day;
// To 0 is its end. A window with To before From runs over midnight and belongs to
// the day it began. Where windows overlap the heavier wins, then the later From,
// then the one named first.
type Window struct {
	Name      string    `json:"name"`
	Days      []Weekday `json:"days,omitempty"`
	Months    []int     `json:"months,omitempty"`     // 1 to 12
	MonthDays []int     `json:"month_days,omitempty"` // 1 to 31
	Dates     []Date    `json:"dates,omitempty"`
	Holidays  bool      `json:"holidays,omitempty"` // on the offering's holidays only
	From      int       `json:"from,omitempty"`
	To        int       `json:"to,omitempty"`
	Weight    int       `json:"weight,omitempty"`
}

// Share is a partner's part of what a component earns.
type Share struct {
	Partner string  `json:"partner"`
	Percent Percent `json:"percent"`
}

// PerUnit is the plainest usage component: price for each per counts of a unit.
func PerUnit(unit Unit, price money.Amount, per int64) []Usage {
	return []Usage{{Name: "usage", Unit: unit, Rates: []Rate{{Price: Price{price, per}}}}}
}

// Priced tells whether anything of the component costs money.
func (u *Usage) Priced() bool {
	for i := range u.Rates {
		r := &u.Rates[i]
		if r.Fee > 0 || r.Price.Amount > 0 {
			return true
		}
		for _, t := range r.Tiers {
			if t.Flat > 0 || t.Price.Amount > 0 {
				return true
			}
		}
	}
	return u.MinEvent > 0 || u.MinPeriod > 0
}
