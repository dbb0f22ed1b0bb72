package feed

import (
	"fmt"

	"meridian/internal/money"
)

// Service gives a region, at the beginning of a new epoch, what the centre knows of a
// subscription's service: what the ended epoch did is not done again.
type Service struct {
	Subscription Subscription `json:"subscription"` // its newest row
	Version      uint64       `json:"version"`      // of that row
	Epoch        uint64       `json:"epoch"`        // that begins
	At           int64        `json:"at"`           // when the centre wrote it, Unix seconds
	Offering     string       `json:"offering"`     // in force
	Barred       bool         `json:"barred,omitempty"`
	Terminated   bool         `json:"terminated,omitempty"`
	Charged      Fees         `json:"charged,omitempty"` // by component
	Given        []string     `json:"given,omitempty"`   // names of the allowances that were ever given
}

// Charged is what was charged of a component of a subscription in all. Times are Unix
// seconds.
type Charged struct {
	Component string       `json:"component"`
	First     int64        `json:"first"`                // begin of the first stretch charged
	Last      int64        `json:"last"`                 // begin of the newest
	Until     int64        `json:"until,omitempty"`      // its end, or where the rest of it was given back; 0 = not known
	Paid      money.Amount `json:"paid_micro,omitempty"` // for the newest, less what was given back
}

// Fees is what was charged of a subscription's components. It is folded from the
// ledger, entry by entry in the ledger's order.
type Fees []Charged

// Charge adds a fee for a stretch of seconds from start on, 0 when the ledger does not
// say how many.
func (f *Fees) Charge(component string, start, seconds int64, amount money.Amount) {
	until := int64(0)
	if seconds > 0 {
		until = start + seconds
	}
	c := f.of(component)
	if c == nil {
		*f = append(*f, Charged{Component: component, First: start, Last: start, Until: until, Paid: amount})
		return
	}
	c.First = min(c.First, start)
	switch {
	case start == c.Last && until == c.Until: // paid from several buckets
		c.Paid += amount
	case start >= c.Last:
		c.Last, c.Until, c.Paid = start, until, amount
	}
}

// Credit ends the newest stretch where the rest of it was given back.
func (f *Fees) Credit(component string, from int64, amount money.Amount) {
	c := f.of(component)
	if c == nil || from < c.Last {
		return
	}
	if c.Until == 0 || from < c.Until {
		c.Until = from
	}
	c.Paid = max(c.Paid-amount, 0)
}

func (f *Fees) of(component string) *Charged {
	for i := range *f {
		if (*f)[i].Component == component {
			return &(*f)[i]
		}
	}
	return nil
}

// Epoch says that a region has all it needs to begin an epoch, once it has Services
// rows of Service.
type Epoch struct {
	Region   string `json:"region"`
	Epoch    uint64 `json:"epoch"`
	Services uint64 `json:"services"`
	At       int64  `json:"at"` // when the centre wrote it, Unix seconds
}

func (s *Service) fault() string {
	if s.Subscription.Account == "" || s.Subscription.Login == "" || s.Offering == "" || s.Epoch == 0 {
		return "account, login, offering and epoch must be named"
	}
	for _, c := range s.Charged {
		if c.Component == "" || c.First < 0 || c.Last < c.First || c.Until != 0 && c.Until < c.Last || c.Paid < 0 {
			return fmt.Sprintf("component %q is charged from %d to %d, until %d, %d for the newest: must be named, in order and not negative", c.Component, c.First, c.Last, c.Until, c.Paid)
		}
	}
	return ""
}
