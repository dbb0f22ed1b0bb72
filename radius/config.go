package radius

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"meridian/radius/attr"
)

// Config is what a [Server] is built from. Start from [DefaultConfig].
type Config struct {
	// AuthAddr and AcctAddr are where to listen; port 0 takes a free one, the zero AddrPort switches that side off. On a wildcard address
	// replies leave from the address that was asked.
	AuthAddr, AcctAddr netip.AddrPort

	// ReadBuffer is the receive buffer of each socket, in octets. Beyond net.core.rmem_max it needs CAP_NET_ADMIN; what the kernel gave is
	// in Stats. 16 MiB hold a burst of 13 000 accounting requests.
	ReadBuffer int

	Workers     int           // goroutines that verify packets and call the Handler
	Queue       int           // packets waiting for a worker, both sides together
	QueueMaxAge time.Duration // a packet that waited longer is dropped: its NAS has given up on it
	MaxInFlight int           // requests at the Handler that are not answered yet

	ReplyTTL         time.Duration // how long a reply is kept for retransmissions of its request (RFC 5080 §2.2.2: 5 to 30 s)
	ReplyCacheMax    int           // replies kept at most; beyond it the oldest go
	ReplyCacheOctets int           // memory that they may take, in octets; beyond it the oldest go

	MaxAttributes int // attributes of a packet, at most: each walk over a packet pays for them
	MaxClients    int // clients whose Message-Authenticator habit is remembered

	DrainTimeout time.Duration // how long Close waits for answers that handlers still owe
	LogEvery     time.Duration // at most one log line per reason of dropping in this time

	// Ready says whether Status-Server is answered (RFC 5997: only when requests would be). Nil means always. Called from several goroutines.
	Ready func() bool
}

// DefaultConfig listens on ports 1812 and 1813 of every IPv4 address.
func DefaultConfig() Config {
	return Config{
		AuthAddr:      netip.AddrPortFrom(netip.IPv4Unspecified(), 1812),
		AcctAddr:      netip.AddrPortFrom(netip.IPv4Unspecified(), 1813),
		ReadBuffer:    16 << 20,
		Workers:       max(2, runtime.GOMAXPROCS(0)),
		Queue:         16384,
		QueueMaxAge:   5 * time.Second,
		MaxInFlight:   65536,
		ReplyTTL:      10 * time.Second,
		ReplyCacheMax: 1 << 18, ReplyCacheOctets: 128 << 20,
		MaxAttributes: 256,
		MaxClients:    65536,
		DrainTimeout:  2 * time.Second,
		LogEvery:      10 * time.Second,
	}
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var faults []error
	between := func(name string, value, low, high int) {
		if value < low || value > high {
			faults = append(faults, fmt.Errorf("radius: %s is %d: must be from %d to %d", name, value, low, high))
		}
	}
	lasting := func(name string, value, low, high time.Duration) {
		if value < low || value > high {
			faults = append(faults, fmt.Errorf("radius: %s is %v: must be from %v to %v", name, value, low, high))
		}
	}
	if !c.AuthAddr.IsValid() && !c.AcctAddr.IsValid() {
		faults = append(faults, errors.New("radius: AuthAddr and AcctAddr are both empty: give at least one, as 0.0.0.0:1812"))
	}
	if c.AuthAddr.IsValid() && c.AuthAddr == c.AcctAddr && c.AuthAddr.Port() != 0 {
		faults = append(faults, fmt.Errorf("radius: AuthAddr and AcctAddr are both %v: give them different ports", c.AuthAddr))
	}
	between("ReadBuffer", c.ReadBuffer, 64<<10, 1<<30)
	between("Workers", c.Workers, 1, 1024)
	between("Queue", c.Queue, 16, 1<<20)
	between("MaxInFlight", c.MaxInFlight, 1, 1<<20)
	between("ReplyCacheMax", c.ReplyCacheMax, dupShards, 1<<24)
	between("ReplyCacheOctets", c.ReplyCacheOctets, dupShards*2*MaxPacket, 1<<36)
	between("MaxAttributes", c.MaxAttributes, 32, attr.MaxList/2)
	between("MaxClients", c.MaxClients, 1, 1<<24)
	lasting("QueueMaxAge", c.QueueMaxAge, 10*time.Millisecond, time.Minute)
	lasting("ReplyTTL", c.ReplyTTL, 100*time.Millisecond, 5*time.Minute)
	lasting("DrainTimeout", c.DrainTimeout, 0, time.Minute)
	lasting("LogEvery", c.LogEvery, 0, time.Hour)
	return errors.Join(faults...)
}
