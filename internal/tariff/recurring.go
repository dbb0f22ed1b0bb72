package tariff

import "meridian/internal/money"

// OneTime is charged once, when the offering is activated or the item is sold.
type OneTime struct {
	Name   string       `json:"name"`
	Price  money.Amount `json:"price"`
	Tax    string       `json:"tax,omitempty"`
	Shares []Share      `json:"shares,omitempty"`
}

// Anchor says where periods begin.
type Anchor string

// Calendar periods begin with the calendar's day, week, month or year in the
// offering's zone; anniversary periods with the activation.
const (
	Calendar    Anchor = "calendar"
	Anniversary Anchor = "anniversary"
)

// Due says at which end of its period a charge is due.
type Due string

// Charges in advance are due at the period's start, in arrears at its end.
const (
	Advance Due = "advance"
	Arrears Due = "arrears"
)

// Proration says what a part of a period costs.
type Proration string

// Proration: by the days of the period, by months of thirty days, or the whole
// price for any part.
const (
	ActualDays Proration = "actual-days"
	Fixed30    Proration = "fixed-30"
	NoProrate  Proration = "none"
)

// CancelCredit says what is given back of a period paid in advance when the
// subscription ends within it.
type CancelCredit string

// Credit at cancellation: nothing, the unused part by the proration rule, or all.
const (
	NoCredit   CancelCredit = "none"
	PartCredit CancelCredit = "unused"
	FullCredit CancelCredit = "full"
)

// Recurring is a charge for each period. Zero fields mean anniversary, in
// advance, no proration, no credit.
type Recurring struct {
	Name      string       `json:"name"`
	Price     money.Amount `json:"price"`
	Every     Period       `json:"every"`
	Anchor    Anchor       `json:"anchor,omitempty"`
	Due       Due          `json:"due,omitempty"`
	Proration Proration    `json:"proration,omitempty"`
	Cancel    CancelCredit `json:"cancel,omitempty"`
	Tax       string       `json:"tax,omitempty"`
	Shares    []Share      `json:"shares,omitempty"`
}

// EachDays is the plainest recurring component: price in advance for each days of
// 24 hours, counted from the activation.
func EachDays(price money.Amount, days int) []Recurring {
	return []Recurring{{Name: "recurring", Price: price, Every: Period{Day, days}}}
}
