package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"meridian/edge/command"
	"meridian/ops/metrics"
	"meridian/replication/disk"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
	"meridian/replication/seal"
)

// What the nodes of a region exchange (commands of the log, batches, snapshots) has
// one version; nodes whose ranges share none refuse each other.
const (
	minProtocol = 1
	maxProtocol = 1
)

// Peer is a member that founds the region.
type Peer struct {
	ID      string
	Raft    string // host:port
	Forward string // host:port
	Gossip  string // host:port
}

// Start is what a node does when its directory holds no state.
type Start uint8

// Ways to start.
const (
	Resume Start = iota // refuse: a node that has been a member must bring its state
	Found               // found the region together with Peers
	Join                // wait for the leader to add this node
)

// Config is one node of a region.
type Config struct {
	Cluster string // the installation: nodes and a centre of another are refused
	Region  string
	Node    string
	Dir     string

	RadiusAuth netip.AddrPort // where Access-Requests come in
	RadiusAcct netip.AddrPort // where Accounting-Requests come in
	HTTP       string         // status, metrics and the node's API, host:port
	// HTTPCertFile and HTTPKeyFile are the certificate, PEM, by which HTTP is served
	// over TLS. Without them tokens and balances travel in clear text.
	HTTPCertFile, HTTPKeyFile string

	Raft    string   // between nodes, mutual TLS, host:port
	Forward string   // between nodes, mutual TLS, host:port
	Gossip  string   // between nodes, encrypted, host:port
	Peers   []Peer   // all founding members, this node included
	Centre  []string // link servers of the centre, host:port

	Identity *identity.Bundle // names this node
	DataRing *seal.Ring       // seals log, segments and snapshots
	// ReadDataRing reads the data keys anew, for a rotation; nil: they cannot change
	// while the node runs.
	ReadDataRing func(context.Context) (*seal.Ring, error)
	Ring         *seal.Ring // the region's ring, with which the centre seals credentials
	GossipKey    []byte     // 32 octets

	// Start says what a node without state does. A member whose disk was lost must
	// not come back empty on its own: it would vote without what it acknowledged.
	Start Start

	// level is the highest feature level that the node offers: the version's, unless a
	// test makes it another version.
	level uint64

	Policy   command.Policy // given to the region when it is founded
	Version  string
	TickEach time.Duration // how often region time moves
	// IsolatedAfter is how long the link may be away before the region calls itself
	// isolated; until then it is degraded.
	IsolatedAfter time.Duration
	// LinkRate is what the line to the centre carries, in bytes a second; 0 is not
	// limited.
	LinkRate int
	// StaleAfter is how long a node may be without a leader before it accepts only
	// what needs no exactness.
	StaleAfter time.Duration
	// CutPerTick is how many sessions each tick cuts after the link returned.
	CutPerTick int
	// RaftLog keeps raft's log; a directory keeps what it was begun with.
	RaftLog raftnode.Engine
	// SnapshotEntries is how many log entries make a new snapshot due.
	SnapshotEntries uint64
	// HeadsEach is how often the node compares its heads with the other nodes', SignEach
	// how much region time may pass until it signs one.
	HeadsEach, SignEach time.Duration
	// Disk are the limits of the data disk; its Dir is Dir.
	Disk disk.Config

	// ClockOffset is how far this node's clock is wrong by, for what it says of the
	// time; nil: it is the machine's. Tests put clocks wrong by it.
	ClockOffset func() time.Duration

	// ShutdownTimeout is how long the process waits for Close.
	ShutdownTimeout time.Duration
	// DebugTokenHash is the SHA-256, in hexadecimal, of the bearer token of
	// /debug/pprof/; empty serves none.
	DebugTokenHash string

	Logger   *slog.Logger
	Registry *metrics.Registry // nil: no metrics are exported
}

// DefaultConfig returns the limits and times; who, where and the keys are to be
// given.
func DefaultConfig() Config {
	policy := command.DefaultPolicy()
	policy.RenewalSpread = 300
	return Config{
		level: command.Level, Policy: policy, TickEach: time.Second, IsolatedAfter: 10 * time.Second,
		StaleAfter: 10 * time.Second, CutPerTick: 500, SnapshotEntries: 8192, RaftLog: raftnode.EngineWAL,
		HeadsEach: time.Second, SignEach: 10 * time.Second, Disk: disk.DefaultConfig(),
		ShutdownTimeout: 8 * time.Second,
	}
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf("edge config: "+format, args...)) }
	if !identity.ValidName(c.Region) || !identity.ValidName(c.Node) {
		bad("region %q, node %q: give both, each 1 to 63 of a-z, 0-9 and hyphen", c.Region, c.Node)
	}
	if !identity.ValidName(c.Cluster) {
		bad("cluster %q: name the installation by 1 to 63 of a-z, 0-9 and hyphen", c.Cluster)
	}
	if c.Dir == "" {
		bad("dir is empty: name the node's data directory")
	}
	if !c.RadiusAuth.IsValid() || !c.RadiusAcct.IsValid() {
		bad("radius_auth %v, radius_acct %v: give both as address:port", c.RadiusAuth, c.RadiusAcct)
	}
	for name, addr := range map[string]string{"http": c.HTTP, "raft": c.Raft, "forward": c.Forward, "gossip": c.Gossip} {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad("%s %q: write host:port", name, addr)
		}
	}
	if (c.HTTPCertFile == "") != (c.HTTPKeyFile == "") {
		bad("http_cert_file %q, http_key_file %q: give both or none", c.HTTPCertFile, c.HTTPKeyFile)
	}
	self := false
	for _, p := range c.Peers {
		self = self || p.ID == c.Node
	}
	if !self {
		bad("peers: this node %q is not among them: list all founding members", c.Node)
	}
	if len(c.Centre) == 0 {
		bad("centre is empty: give host:port of at least one link server")
	}
	if c.Identity == nil || c.DataRing == nil || c.Ring == nil || len(c.GossipKey) != 32 {
		bad("identity, data ring, region ring or gossip key is missing: name their files")
	}
	if c.Logger == nil {
		bad("logger is missing")
	}
	if c.TickEach <= 0 || c.IsolatedAfter <= 0 || c.StaleAfter <= 0 || c.CutPerTick < 1 || c.SnapshotEntries < 1 || c.ShutdownTimeout <= 0 {
		bad("tick_each, isolated_after, stale_after, cut_per_tick, snapshot_entries and shutdown_timeout must be above 0")
	}
	if !c.RaftLog.Valid() {
		bad("raft_log %q: write %s or %s", c.RaftLog, raftnode.EngineWAL, raftnode.EngineBolt)
	}
	if c.HeadsEach <= 0 || c.SignEach <= 0 {
		bad("heads_each %s, sign_each %s: both must be above 0", c.HeadsEach, c.SignEach)
	}
	d := c.Disk
	d.Dir = c.Dir
	if err := d.Validate(); err != nil && c.Dir != "" {
		bad("%w", err)
	}
	if err := c.Policy.Validate(); err != nil {
		bad("%w: see DefaultPolicy for usable values", err)
	}
	return errors.Join(faults...)
}
