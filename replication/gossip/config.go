package gossip

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"

	"meridian/replication/identity"
)

// KeyBytes is the length of the region's gossip key (AES-256).
const KeyBytes = 32

// Config says who the node is and what it tells the others.
type Config struct {
	NodeID string
	Region string
	Party  identity.Party // this node's installation and versions; told to the others

	Bind      string   // host:port for UDP and TCP; port 0 picks one, see Gossip.Addr
	Advertise string   // host:port that others use; empty: the address that was bound
	Key       []byte   // KeyBytes long, the same for all nodes of the region
	Join      []string // host:port of nodes to join, as long as they are not among the members

	RaftAddr, ForwardAddr, HTTPAddr string // told to the others; may be empty
	HTTPS                           bool   // HTTPAddr is served by TLS; told to the others
	Software                        string // version, told to the others

	JoinInterval  time.Duration // how often nodes of Join that are missing are tried
	JoinTimeout   time.Duration // how long one connection to another node may take; Close waits for one
	LeaveTimeout  time.Duration // Close waits at most this long for the farewell to go out
	ProbeInterval time.Duration // how often a member is probed
	ProbeTimeout  time.Duration // how long an answer may take before others are asked to probe
	MaxMembers    int           // further nodes are left out and counted

	Logger *slog.Logger
}

// DefaultConfig suits a local network: a node that died is reported gone after
// some 4 s.
func DefaultConfig() Config {
	return Config{
		JoinInterval: 2 * time.Second, JoinTimeout: time.Second, LeaveTimeout: time.Second,
		ProbeInterval: time.Second, ProbeTimeout: 300 * time.Millisecond, MaxMembers: 64,
	}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("gossip config: "+format, args...))
	}
	if err := identity.Node(c.Region, c.NodeID).Validate(); err != nil || c.NodeID == "" {
		bad("Region %q, NodeID %q: give both, each 1 to 63 of a-z, 0-9 and hyphen", c.Region, c.NodeID)
	}
	c.checkAddresses(bad)
	if len(c.Key) != KeyBytes {
		bad("Key has %d bytes; give %d random ones, the same on all nodes of the region", len(c.Key), KeyBytes)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"JoinInterval", c.JoinInterval}, {"JoinTimeout", c.JoinTimeout}, {"LeaveTimeout", c.LeaveTimeout},
		{"ProbeInterval", c.ProbeInterval}, {"ProbeTimeout", c.ProbeTimeout},
	} {
		if d.value <= 0 {
			bad("%s is %s; it must be above 0", d.name, d.value)
		}
	}
	if c.ProbeTimeout > c.ProbeInterval {
		bad("ProbeTimeout %s is above ProbeInterval %s", c.ProbeTimeout, c.ProbeInterval)
	}
	if c.MaxMembers < 1 || c.MaxMembers > 10_000 {
		bad("MaxMembers is %d; allowed are 1 to 10000", c.MaxMembers)
	}
	if meta, err := c.meta(); err != nil || len(meta) > memberlist.MetaMaxSize {
		bad("addresses and version take %d bytes; at most %d are told; shorten them", len(meta), memberlist.MetaMaxSize)
	}
	if c.Logger == nil {
		bad("Logger is missing")
	}
	return errors.Join(faults...)
}

func (c Config) checkAddresses(bad func(string, ...any)) {
	if _, _, err := splitAddr(c.Bind); err != nil {
		bad("Bind %q: %w", c.Bind, err)
	}
	for _, a := range []struct{ name, value string }{
		{"Advertise", c.Advertise}, {"RaftAddr", c.RaftAddr}, {"ForwardAddr", c.ForwardAddr}, {"HTTPAddr", c.HTTPAddr},
	} {
		if _, _, err := net.SplitHostPort(a.value); a.value != "" && err != nil {
			bad("%s %q: write host:port", a.name, a.value)
		}
	}
	for i, a := range c.Join {
		if _, _, err := net.SplitHostPort(a); err != nil {
			bad("Join[%d] %q: write host:port", i, a)
		}
	}
}

// splitAddr wants an IP address or nothing as host, since it is to be bound.
func splitAddr(addr string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, errors.New("write host:port")
	}
	if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
		return "", 0, errors.New("the port is not a number from 0 to 65535")
	}
	if host == "" {
		host = "0.0.0.0"
	}
	if net.ParseIP(host) == nil {
		return "", 0, errors.New("the host is not an IP address")
	}
	return host, port, nil
}

// wireMeta is what a node says about itself, versioned by its keys: unknown
// ones are ignored, missing ones are empty.
type wireMeta struct {
	Node     string `json:"n"`
	Region   string `json:"r"`
	Raft     string `json:"a,omitempty"`
	Forward  string `json:"f,omitempty"`
	HTTP     string `json:"h,omitempty"`
	HTTPS    bool   `json:"s,omitempty"`
	Software string `json:"v,omitempty"`
	Cluster  string `json:"c,omitempty"`
	Min      uint32 `json:"l,omitempty"`
	Max      uint32 `json:"u,omitempty"`
}

func (c Config) meta() ([]byte, error) {
	return json.Marshal(wireMeta{
		Node: c.NodeID, Region: c.Region, Raft: c.RaftAddr, Forward: c.ForwardAddr, HTTP: c.HTTPAddr, HTTPS: c.HTTPS, Software: c.Software,
		Cluster: c.Party.Cluster, Min: c.Party.Min, Max: c.Party.Max,
	})
}
