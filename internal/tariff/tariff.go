// Package tariff is the vocabulary of the catalog: what an offering is and when
// it is well formed.
//
// It owns the types and their validation. Reading files is central/catalog's
// work, pricing is rating's, paying is charging's. The JSON names of the fields
// are the names of the language, so that a fault's path is a path in the file;
// in JSON itself every amount is a count of micro-units and every quantity a
// count of its unit's scale.
package tariff

import "meridian/internal/money"

// MaxPrice bounds a single amount: 2^52 micro-units.
const MaxPrice money.Amount = 1 << 52

// OverrunPolicy says who bears usage that nothing could pay.
type OverrunPolicy string

// Overrun is owed by the subscriber (a receivable) or absorbed by the operator.
const (
	Owed     OverrunPolicy = "owed"
	Absorbed OverrunPolicy = "absorbed"
)

// RoundingMode is how what is to be paid is rounded.
type RoundingMode string

// Rounding modes of what is to be paid.
const (
	HalfEven RoundingMode = "half-even"
	HalfUp   RoundingMode = "half-up"
	Up       RoundingMode = "up"
	Down     RoundingMode = "down"
)

// Rounding happens once, on what is to be paid: to Places decimal places.
type Rounding struct {
	Mode   RoundingMode `json:"mode"`
	Places int          `json:"places"`
}

// Money is the rounding of package money; half-even for the zero value.
func (r *Rounding) Money() money.Rounding {
	switch r.Mode {
	case HalfUp:
		return money.HalfUp
	case Up:
		return money.Ceil
	case Down:
		return money.Floor
	}
	return money.HalfEven
}

// DefaultRounding holds for an offering that names none.
func DefaultRounding() Rounding { return Rounding{HalfEven, 2} }

// Offering is one version of what is sold: a package of services with what they
// cost, what is included, and how they behave. Versions of one ID differ in
// ValidFrom (Unix seconds); usage is rated by the latest version valid at its
// time.
type Offering struct {
	ID         string         `json:"id"`
	Version    uint32         `json:"version"`
	Name       string         `json:"name"`
	Currency   money.Currency `json:"currency"`
	ValidFrom  int64          `json:"valid_from"`
	ValidUntil int64          `json:"valid_until,omitempty"` // exclusive, 0 = for ever
	// Grandfathered versions go on for those who have them when a new one comes.
	Grandfathered bool `json:"grandfathered,omitempty"`

	Service  string   `json:"service"`            // the main service, e.g. internet
	Services []string `json:"services,omitempty"` // the others of the package: voice, tv, mobile, sms, …

	Zone     string    `json:"zone,omitempty"`   // IANA zone of its days, windows and months; "" = UTC
	TZData   string    `json:"tzdata,omitempty"` // version of the zone data it was published by
	Rounding *Rounding `json:"rounding,omitempty"`
	Windows  []Window  `json:"windows,omitempty"`
	Holidays []Date    `json:"holidays,omitempty"`

	OneTime    []OneTime   `json:"one_time,omitempty"`
	Recurring  []Recurring `json:"recurring,omitempty"`
	Usage      []Usage     `json:"usage,omitempty"`
	Allowances []Allowance `json:"allowances,omitempty"`

	Profile    Profile        `json:"profile"`
	Profiles   []NamedProfile `json:"profiles,omitempty"`
	Switches   []Switch       `json:"switches,omitempty"`
	Thresholds []Threshold    `json:"thresholds,omitempty"`
	Promotions []Promotion    `json:"promotions,omitempty"`

	Eligibility Eligibility `json:"eligibility,omitzero"`
	Requires    []string    `json:"requires,omitempty"` // offerings that must be held
	Excludes    []string    `json:"excludes,omitempty"` // offerings that must not be held
	// PriceOf makes this the price of another offering for one company alone.
	PriceOf string `json:"price_of,omitempty"`
	Company string `json:"company,omitempty"` // account

	Reservation      Reservation   `json:"reservation,omitzero"`
	Overrun          OverrunPolicy `json:"overrun"`
	OfflineAllowance money.Amount  `json:"offline_allowance,omitempty"`
}

// Metering is the usage component that meters the sessions of the main service,
// or nil.
func (o *Offering) Metering() *Usage {
	for i := range o.Usage {
		if o.Usage[i].Meters(o) {
			return &o.Usage[i]
		}
	}
	return nil
}

// Meters tells whether the component meters the sessions of the offering's main
// service.
func (u *Usage) Meters(o *Offering) bool {
	return (u.Service == "" || u.Service == o.Service) && (u.Unit == Bytes || u.Unit == Seconds)
}

// Metered tells whether a session needs a reservation before it may start.
func (o *Offering) Metered() bool {
	u := o.Metering()
	return u != nil && u.Priced()
}

// Calls tells whether what its sessions cost depends on the number that is called.
func (o *Offering) Calls() bool {
	for i := range o.Usage {
		u := &o.Usage[i]
		if u.Meters(o) && (u.Table != "" || len(u.Destinations) > 0) {
			return true
		}
	}
	return false
}

// Charged tells whether anything is charged apart from usage.
func (o *Offering) Charged() bool { return len(o.OneTime)+len(o.Recurring) > 0 }

// Zoned tells whether the offering counts anything by days of a zone other than
// UTC.
func (o *Offering) Zoned() bool {
	if o.Zone == "" || o.Zone == "UTC" {
		return false
	}
	periods := false
	for i := range o.Allowances {
		periods = periods || o.Allowances[i].Every != nil
	}
	for i := range o.Usage {
		periods = periods || o.Usage[i].Counted == ByPeriod
	}
	return periods || len(o.Windows) > 0 || len(o.Recurring) > 0
}
