package tariff

// Profile is the service that a NAS or switch is told to give. Speeds are bits
// per second, 0 for no limit.
type Profile struct {
	UpBps          int64    `json:"up,omitempty"`
	DownBps        int64    `json:"down,omitempty"`
	Pool           string   `json:"pool,omitempty"`
	SessionLimit   int      `json:"session_limit"`
	InterimSeconds int      `json:"interim"`
	Garden         string   `json:"garden,omitempty"`      // walled garden: the only place that can be reached
	BarZones       []string `json:"bar_zones,omitempty"`   // destinations that cannot be called
	BarService     bool     `json:"bar_service,omitempty"` // no new sessions
}

// NamedProfile is a profile that a switch or action can name.
type NamedProfile struct {
	Name    string `json:"name"`
	Service string `json:"service,omitempty"` // "" = the main service
	Profile
}

// Reservation sizes what is held ahead for a metered session: Quota units of the
// usage component, kept for TTLSeconds after the last report.
type Reservation struct {
	Quota      int64 `json:"quota,omitempty"`
	TTLSeconds int64 `json:"ttl,omitempty"`
}

// ConditionKind is what may switch the profile.
type ConditionKind string

// Conditions.
const (
	AllowanceUsed   ConditionKind = "allowance-used"   // nothing is left of the allowance named
	BalanceZero     ConditionKind = "balance-zero"     // no money is left
	BalanceNegative ConditionKind = "balance-negative" // money is owed
	Overdue         ConditionKind = "overdue"          // an invoice is unpaid for Days days
	InWindow        ConditionKind = "window"           // the window named is in force
	Turbo           ConditionKind = "turbo"            // the subscriber has switched it on
)

// Condition switches a profile.
type Condition struct {
	Kind      ConditionKind `json:"kind"`
	Allowance string        `json:"allowance,omitempty"`
	Window    string        `json:"window,omitempty"`
	Days      int           `json:"days,omitempty"`
}

// Switch puts a profile in force while its conditions hold, all of them. Of
// several the first in the list wins for each service; without any the offering's
// own profile holds. (At zero balance long-distance calls stop, at a negative
// balance the internet slows: two switches, of two services.)
type Switch struct {
	When    []Condition `json:"when"`
	Profile string      `json:"profile"`
}
