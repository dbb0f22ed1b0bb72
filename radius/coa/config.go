package coa

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config is what a [Client] is built from. Start from [DefaultConfig].
type Config struct {
	Local       netip.AddrPort   // where requests leave from; port 0 takes a free one
	Timeout     time.Duration    // how long one try waits for the answer
	Tries       int              // how often a request is sent before its outcome is Timeout
	MaxInFlight int              // requests without an answer, all NAS together; more wait for their turn
	Now         func() time.Time // for Event-Timestamp; nil is the machine's clock
}

// DefaultConfig sends from any IPv4 address and gives a NAS 3 × 2 s.
func DefaultConfig() Config {
	return Config{Local: netip.AddrPortFrom(netip.IPv4Unspecified(), 0), Timeout: 2 * time.Second, Tries: 3, MaxInFlight: 1024}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	if !c.Local.IsValid() {
		faults = append(faults, errors.New("coa: Local is empty: give an address, as 0.0.0.0:0"))
	}
	if c.Timeout < 10*time.Millisecond || c.Timeout > time.Minute {
		faults = append(faults, fmt.Errorf("coa: Timeout is %v: must be from 10ms to 1m", c.Timeout))
	}
	if c.Tries < 1 || c.Tries > 20 {
		faults = append(faults, fmt.Errorf("coa: Tries is %d: must be from 1 to 20", c.Tries))
	}
	if c.MaxInFlight < 1 || c.MaxInFlight > 1<<16 {
		faults = append(faults, fmt.Errorf("coa: MaxInFlight is %d: must be from 1 to %d", c.MaxInFlight, 1<<16))
	}
	return errors.Join(faults...)
}
