package radtest

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ExchangerConfig is what an [Exchanger] is built from. Start from [DefaultExchangerConfig].
type ExchangerConfig struct {
	Local   netip.Addr    // where requests leave from; every socket takes a free port
	Sockets int           // 256 requests can be in flight on each
	Timeout time.Duration // how long one try waits
	Tries   int           // how often a request is sent before it has timed out

	// NeedMA counts a reply to an Access-Request as bad unless Message-Authenticator is its first attribute (CVE-2024-3596).
	NeedMA bool
}

// DefaultExchangerConfig keeps 1024 requests in flight from loopback and gives a server 3 × 1 s.
func DefaultExchangerConfig() ExchangerConfig {
	return ExchangerConfig{Local: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Sockets: 4, Timeout: time.Second, Tries: 3, NeedMA: true}
}

// Validate reports every fault at once.
func (c ExchangerConfig) Validate() error {
	var faults []error
	if !c.Local.IsValid() {
		faults = append(faults, errors.New("radtest: Local is empty: give an address, as 127.0.0.1"))
	}
	if c.Sockets < 1 || c.Sockets > 256 {
		faults = append(faults, fmt.Errorf("radtest: Sockets is %d: must be from 1 to 256", c.Sockets))
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		faults = append(faults, fmt.Errorf("radtest: Timeout is %v: must be from 1ms to 1m", c.Timeout))
	}
	if c.Tries < 1 || c.Tries > 100 {
		faults = append(faults, fmt.Errorf("radtest: Tries is %d: must be from 1 to 100", c.Tries))
	}
	return errors.Join(faults...)
}
