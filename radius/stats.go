package radius

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// DropReason says why a packet was not answered.
type DropReason uint8

// Reasons of dropping. Those from DropOverload on are for handlers.
const (
	DropUnknownClient DropReason = iota // no client with that source address
	DropClientInvalid                   // the client has no secret
	DropMalformed                       // length, attributes
	DropAttributes                      // more attributes than MaxAttributes
	DropCode                            // a code that this port does not serve
	DropAuthenticator                   // accounting: the secret is another
	DropMA                              // wrong Message-Authenticator
	DropMAMissing                       // policy, EAP or Status-Server ask for a Message-Authenticator
	DropMAMultiple                      // more than one Message-Authenticator
	DropProxyState                      // Proxy-State without Message-Authenticator
	DropInProgress                      // retransmission of a request that is being handled
	DropReplaced                        // answered after a new request took its identifier
	DropShedInterim                     // queue or in-flight limit: an interim
	DropShedAuth                        // queue or in-flight limit: an Access-Request
	DropShedAcct                        // queue or in-flight limit: Start, Stop, On, Off
	DropStale                           // waited in the queue longer than QueueMaxAge
	DropNotReady                        // Status-Server while Ready says no
	DropBadReply                        // the handler's reply could not be built
	DropSendQueue                       // replies waiting for the socket are at their limit; the reply is cached
	DropClosing                         // the server is being closed
	DropOverload                        // handler: too much to do
	DropUnavailable                     // handler: what it depends on is away
	DropTimeout                         // handler: not done in time
	DropInvalid                         // handler: the request makes no sense
	DropPolicy                          // handler: not to be answered by policy
	NumDropReasons    int        = iota
)

// String names the reason as a metric's label spells it.
func (r DropReason) String() string {
	names := [NumDropReasons]string{
		"unknown_client", "client_invalid", "malformed", "attributes", "code", "authenticator", "message_authenticator", "message_authenticator_missing",
		"message_authenticator_multiple", "proxy_state", "in_progress", "replaced", "shed_interim", "shed_auth", "shed_acct", "stale", "not_ready",
		"bad_reply", "send_queue", "closing", "overload", "unavailable", "timeout", "invalid", "policy",
	}
	if int(r) >= len(names) {
		return "unknown"
	}
	return names[r]
}

// LatencyBounds are the upper bounds of [PortStats.Latency]; a last bucket holds what took longer.
func LatencyBounds() []time.Duration { return append([]time.Duration(nil), latencyBounds[:]...) }

var latencyBounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second,
}

// Stats is a snapshot of the server's counters. Counters only grow; gauges say so.
type Stats struct {
	Auth, Acct PortStats

	InFlight            int    // gauge: requests at the handler
	Queued              int    // gauge: packets waiting for a worker
	ReplyCache          int    // gauge: replies kept for retransmissions
	ReplyCacheOctets    int    // gauge: memory that they take, about
	ReplyCacheEvictions uint64 // replies that left before their time because the cache was full
	Clients             int    // gauge: clients whose Message-Authenticator habit is remembered
	ClientsFull         uint64 // packets of clients whose habit could not be remembered: MaxClients reached
}

// PortStats counts one side, authentication or accounting.
type PortStats struct {
	Addr               netip.AddrPort // where it listens; invalid when that side is off
	ReceiveBufferBytes int            // gauge: what the kernel gave, counted its way (twice the asked)

	Received   uint64 // datagrams read
	Requests   uint64 // handed to the handler
	Accepts    uint64 // replies, by code
	Rejects    uint64
	Challenges uint64
	Responses  uint64 // Accounting-Response
	Status     uint64 // Status-Server answered
	Resent     uint64 // cached replies sent again
	Drops      [NumDropReasons]uint64

	KernelDrops uint64 // datagrams that the kernel dropped because the socket's buffer was full (SO_MEMINFO)
	ReadErrors  uint64
	SendErrors  uint64

	Latency    [len(latencyBounds) + 1]uint64 // replies by time from the socket's read to the handler's Reply; see LatencyBounds
	LatencySum time.Duration
}

// Dropped is the sum of all drops.
func (p PortStats) Dropped() uint64 {
	var n uint64
	for _, d := range p.Drops {
		n += d
	}
	return n
}

// counters are the live form of PortStats.
type counters struct {
	received, requests, status, resent, readErrors, sendErrors atomic.Uint64

	replies      [int(CodeAccessChallenge) + 1]atomic.Uint64
	drops        [NumDropReasons]atomic.Uint64
	latency      [len(latencyBounds) + 1]atomic.Uint64
	latencySumNS atomic.Int64
}

func (c *counters) observe(took time.Duration) {
	i := 0
	for i < len(latencyBounds) && took > latencyBounds[i] {
		i++
	}
	c.latency[i].Add(1)
	c.latencySumNS.Add(int64(took))
}

func (c *counters) snapshot() PortStats {
	p := PortStats{
		Received:   c.received.Load(),
		Requests:   c.requests.Load(),
		Accepts:    c.replies[CodeAccessAccept].Load(),
		Rejects:    c.replies[CodeAccessReject].Load(),
		Challenges: c.replies[CodeAccessChallenge].Load(),
		Responses:  c.replies[CodeAccountingResponse].Load(),
		Status:     c.status.Load(),
		Resent:     c.resent.Load(),
		ReadErrors: c.readErrors.Load(),
		SendErrors: c.sendErrors.Load(),
		LatencySum: time.Duration(c.latencySumNS.Load()),
	}
	for i := range c.drops {
		p.Drops[i] = c.drops[i].Load()
	}
	for i := range c.latency {
		p.Latency[i] = c.latency[i].Load()
	}
	return p
}
