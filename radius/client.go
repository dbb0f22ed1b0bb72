package radius

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// MAPolicy says when an Access-Request without Message-Authenticator is accepted from a client (CVE-2024-3596).
type MAPolicy uint8

const (
	// MAAuto accepts requests without one until the client has sent a valid one, and requires it from then on. What was learned lives as
	// long as the Server.
	MAAuto MAPolicy = iota
	// MARequire drops every Access-Request without one.
	MARequire
	// MAOptional accepts requests without one always: for old equipment on a protected path.
	MAOptional
)

// String names the policy as configuration spells it.
func (p MAPolicy) String() string {
	switch p {
	case MARequire:
		return "require"
	case MAOptional:
		return "optional"
	}
	return "auto"
}

// ParseMAPolicy reads "auto", "require" or "optional"; "" is auto.
func ParseMAPolicy(s string) (MAPolicy, error) {
	switch s {
	case "", "auto":
		return MAAuto, nil
	case "require":
		return MARequire, nil
	case "optional":
		return MAOptional, nil
	}
	return MAAuto, fmt.Errorf("message authenticator policy %q: say auto, require or optional", s)
}

// Client is a NAS as the server knows it. It is read-only once a [Clients] has returned it.
type Client struct {
	ID     string // names the client in logs; stable over changes of the secret
	Vendor string // name for package vendor; the server does not read it

	Secret    []byte // the shared secret; never empty
	OldSecret []byte // also accepted while the secret is changed; empty = none

	MA              MAPolicy
	LimitProxyState bool // drop Access-Requests that carry Proxy-State but no Message-Authenticator
}

// Clients finds the client that a packet's source address belongs to; ok is false for an unknown one, whose packet is dropped silently.
// Called for every packet from several goroutines: it must be quick and must not block.
type Clients interface {
	Client(source netip.Addr) (client *Client, ok bool)
}

// ClientTable is a fixed set of clients by prefix; the longest prefix that contains the source wins. It implements [Clients].
type ClientTable struct {
	hosts  map[netip.Addr]*Client
	levels []clientLevel // longest prefix first
}

type clientLevel struct {
	bits    int
	is4     bool
	clients map[netip.Prefix]*Client
}

// NewClientTable builds a table; every fault of the entries is reported at once.
func NewClientTable(entries map[netip.Prefix]*Client) (*ClientTable, error) {
	t := &ClientTable{hosts: make(map[netip.Addr]*Client)}
	var faults []error
	for prefix, c := range entries {
		switch {
		case !prefix.IsValid():
			faults = append(faults, errors.New("client with an invalid prefix: write it as 192.0.2.0/24 or 2001:db8::/32"))
			continue
		case c == nil || len(c.Secret) == 0:
			faults = append(faults, fmt.Errorf("client %v has no secret: give it one", prefix))
			continue
		case c.ID == "":
			faults = append(faults, fmt.Errorf("client %v has no ID: name it", prefix))
			continue
		}
		if prefix.IsSingleIP() {
			t.hosts[prefix.Addr().Unmap()] = c
			continue
		}
		t.add(prefix.Masked(), c)
	}
	slices.SortFunc(t.levels, func(a, b clientLevel) int { return b.bits - a.bits })
	return t, errors.Join(faults...)
}

func (t *ClientTable) add(prefix netip.Prefix, c *Client) {
	for _, l := range t.levels {
		if l.bits == prefix.Bits() && l.is4 == prefix.Addr().Is4() {
			l.clients[prefix] = c
			return
		}
	}
	t.levels = append(t.levels, clientLevel{bits: prefix.Bits(), is4: prefix.Addr().Is4(), clients: map[netip.Prefix]*Client{prefix: c}})
}

// Client implements [Clients].
func (t *ClientTable) Client(source netip.Addr) (*Client, bool) {
	source = source.Unmap().WithZone("")
	if c, ok := t.hosts[source]; ok {
		return c, true
	}
	for _, l := range t.levels {
		if l.is4 != source.Is4() {
			continue
		}
		prefix, err := source.Prefix(l.bits)
		if err != nil {
			continue
		}
		if c, ok := l.clients[prefix]; ok {
			return c, true
		}
	}
	return nil, false
}
