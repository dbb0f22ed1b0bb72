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
	Charged      []Charged    `json:"charged,omitempty"` // by component
}

// Charged is what was charged of a component of a subscription in all. Times are Unix
// seconds.
type Charged struct {
	Component string       `json:"component"`
	First     int64        `json:"first"`                // begin of the first stretch charged
	Last      int64        `json:"last"`                 // begin of the newest
	Paid      money.Amount `json:"paid_micro,omitempty"` // for the newest
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
		if c.Component == "" || c.First < 0 || c.Last < c.First || c.Paid < 0 {
			return fmt.Sprintf("component %q is charged from %d to %d, %d for the newest: must be named, in order and not negative", c.Component, c.First, c.Last, c.Paid)
		}
	}
	return ""
}
