package tariff

import "meridian/internal/money"

// PromotionKind is the reason for a discount or gift.
type PromotionKind string

// Kinds of promotion.
const (
	Discount   PromotionKind = "discount"    // amount or percent off, for Periods periods or always
	Trial      PromotionKind = "trial"       // the first Periods periods are free
	TopUpBonus PromotionKind = "top-up"      // a top-up brings more, by tiers
	Referral   PromotionKind = "referral"    // for bringing a new customer
	Loyalty    PromotionKind = "loyalty"     // by months of tenure
	CrossSell  PromotionKind = "cross-sell"  // while other offerings are held too
	HappyHours PromotionKind = "happy-hours" // while a window is in force
	Birthday   PromotionKind = "birthday"    // on the subscriber's day, Days long
)

// Promotion takes something off what components cost, or gives an allowance. What
// it touches names it. Promotions apply by Order, then ID, each to what the ones
// before left; of those that share a Group only the best for the customer applies,
// and an exclusive one alone.
type Promotion struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Kind    PromotionKind `json:"kind"`
	From    int64         `json:"from,omitempty"`    // Unix seconds, 0 = always
	Until   int64         `json:"until,omitempty"`   // exclusive, 0 = for ever
	Applies []string      `json:"applies,omitempty"` // names of components; none = all

	Amount  money.Amount `json:"amount,omitempty"`  // off each charge
	Percent Percent      `json:"percent,omitempty"` // off each charge
	Periods int          `json:"periods,omitempty"` // for how many periods; 0 = always
	Days    int          `json:"days,omitempty"`    // birthday
	Window  string       `json:"window,omitempty"`  // happy hours
	With    []string     `json:"with,omitempty"`    // cross-sell: ids of offerings
	Tenure  []TenureTier `json:"tenure,omitempty"`  // loyalty, ascending
	Bonus   []BonusTier  `json:"bonus,omitempty"`   // top-up and referral, ascending
	Gives   string       `json:"gives,omitempty"`   // allowance that the bonus goes to; "" = money

	Budget    money.Amount `json:"budget,omitempty"` // all customers together; 0 = no limit
	Count     int64        `json:"count,omitempty"`  // times in all; 0 = no limit
	PerPerson int64        `json:"per_person,omitempty"`

	Order     int    `json:"order,omitempty"`
	Group     string `json:"group,omitempty"`
	Exclusive bool   `json:"exclusive,omitempty"`
}

// TenureTier is what a subscription of at least Months gets.
type TenureTier struct {
	Months  int     `json:"months"`
	Percent Percent `json:"percent"`
}

// Eligibility says who may buy an offering, where, how and when; what is empty is
// not asked.
type Eligibility struct {
	Regions       []string `json:"regions,omitempty"`
	Segments      []string `json:"segments,omitempty"`
	CustomerTypes []string `json:"customer_types,omitempty"` // person, company
	Channels      []string `json:"channels,omitempty"`
	From          int64    `json:"from,omitempty"`  // Unix seconds: sale begins
	Until         int64    `json:"until,omitempty"` // sale ends, exclusive
}

// Customer types.
const (
	Person  = "person"
	Company = "company"
)
