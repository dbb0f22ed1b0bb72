package tariff

import "meridian/internal/money"

// Allowance is a balance that an offering brings: bytes, seconds, events, units
// or money that pay for usage before (or after) the subscriber's own money.
//
// Charging walks balances by (priority, expiry, id). A balance that its filter
// lets pay takes whole steps of usage, Factor of its counts for each count of
// usage, and leaves the rest to the next. One that blocks leaves nothing: what it
// cannot pay is not paid by those behind it.
type Allowance struct {
	Name     string  `json:"name"`
	Unit     Unit    `json:"unit"`
	Amount   int64   `json:"amount"`
	Priority int     `json:"priority,omitempty"` // lower pays first
	Every    *Period `json:"every,omitempty"`    // given anew each period; nil = once
	Anchor   Anchor  `json:"anchor,omitempty"`
	ValidFor *Period `json:"valid_for,omitempty"` // from when it is given; nil = while the offering lasts

	Rollover     *Rollover `json:"rollover,omitempty"`      // what is left when it is given anew; nil = lost
	CarryOverage bool      `json:"carry_overage,omitempty"` // use beyond the last period's is taken from the new one
	Shared       *Shared   `json:"shared,omitempty"`

	Filter   Filter `json:"filter,omitzero"`
	Factor   Ratio  `json:"factor,omitzero"`
	Step     int64  `json:"step,omitempty"`     // counts of usage it pays at once; 0 = 1
	RatedBy  string `json:"rated_by,omitempty"` // usage component whose prices, paid in money, hold while it pays; "" = free
	Blocking bool   `json:"blocking,omitempty"`
}

// Rollover bounds what is kept when an allowance is given anew: what is left, at
// least Min and at most Max. With Add the new amount comes on top; without it the
// kept amount is the new balance.
type Rollover struct {
	Min int64 `json:"min,omitempty"`
	Max int64 `json:"max"`
	Add bool  `json:"add,omitempty"`
}

// Shared makes one balance of a family's or company's allowances. Each child may
// use PerChild of it in a period; 0 = no limit.
type Shared struct {
	Pool     string `json:"pool"`
	PerChild int64  `json:"per_child,omitempty"`
}

// Filter says for what a balance may pay; what is empty is not asked.
type Filter struct {
	Services []string `json:"services,omitempty"`
	Usage    []string `json:"usage,omitempty"` // names of usage components
	Zones    []string `json:"zones,omitempty"`
	Windows  []string `json:"windows,omitempty"`
}

// Metric is what a threshold watches.
type Metric string

// Metrics: of an allowance or of money what is left or the used share; of a usage
// component the quantity used in its period.
const (
	Left        Metric = "left"         // fires when the balance falls to Value or below
	UsedPercent Metric = "used-percent" // fires when parts per million of the amount given are used
	Used        Metric = "used"         // fires when the used quantity reaches Value
)

// Threshold raises an event when a balance or usage crosses a value: once in the
// life of what it watches, or, recurring, once each period.
type Threshold struct {
	Name      string   `json:"name"`
	On        string   `json:"on"` // an allowance, a usage component, or "money"
	Metric    Metric   `json:"metric"`
	Value     int64    `json:"value"`
	Recurring bool     `json:"recurring,omitempty"`
	Actions   []Action `json:"actions,omitempty"` // in order; none = the event alone
}

// ActionKind is what a threshold does beside its event.
type ActionKind string

// Actions: give to a balance, take from it, set all balances to nothing, switch
// to a profile.
const (
	Credit     ActionKind = "credit"
	Debit      ActionKind = "debit"
	ResetAll   ActionKind = "reset"
	UseProfile ActionKind = "profile"
)

// Action is one act of a threshold.
type Action struct {
	Do      ActionKind `json:"do"`
	Balance string     `json:"balance,omitempty"` // an allowance or "money"
	Amount  int64      `json:"amount,omitempty"`
	Profile string     `json:"profile,omitempty"`
}

// MoneyBalance is the name of the subscriber's own money where an allowance's
// name may stand.
const MoneyBalance = "money"

// BonusTier is what a top-up from From on brings: an amount, a part of it, or
// both, into the allowance named.
type BonusTier struct {
	From    money.Amount `json:"from"`
	Amount  money.Amount `json:"amount,omitempty"`
	Percent Percent      `json:"percent,omitempty"`
}
