package raftnode

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"meridian/replication/disk"
	"meridian/replication/identity"
	"meridian/replication/seal"
)

// Config says who the node is and sets its limits. Start from DefaultConfig.
type Config struct {
	NodeID  string // unique in the region and for all time; see identity.ValidName
	Region  string
	Cluster string // name of the installation; peers of another are refused
	Dir     string // made when missing, mode 0700

	Bind      string // host:port to listen on; port 0 picks one, see Node.Addr
	Advertise string // host:port that peers dial; empty: the address that was bound

	TLS  *tls.Config // both roles; from identity.Bundle.TLS(identity.NodesOf(Region))
	Ring *seal.Ring  // seals the log
	// AtLeast is the log index that this node is known to have reached; a directory
	// that does not is refused. 0: nothing is known.
	AtLeast uint64
	Disk    *disk.Layer // what log and snapshots are written through; nil: one of disk.DefaultConfig

	Heartbeat     time.Duration // a follower without contact for this long (up to twice it) stands for election
	Election      time.Duration // a candidate without result for this long (up to twice it) tries again
	LeaderLease   time.Duration // a leader without a majority for this long steps down
	CommitTimeout time.Duration // an idle leader tells followers the commit index this often
	RPCTimeout    time.Duration // network deadline of one call between nodes
	Handover      time.Duration // Close waits at most this long for another to lead

	MaxAppendEntries int    // log entries in one call to a follower, and waiting to be appended; 1 to 1024
	MaxRPCsInFlight  int    // pipelined calls to one follower
	Log              Engine // what keeps the log
	VerifyEach       uint64 // the log is read back and compared each so many entries; 0: never

	LogCache     int // newest entries kept in memory
	SegmentBytes int // a log file is closed at this size; EngineWAL only

	SnapshotThreshold uint64        // entries since the last snapshot that make a new one due
	SnapshotInterval  time.Duration // how often that is looked at (up to twice it)
	TrailingLogs      uint64        // entries kept behind a snapshot, for followers that lag
	SnapshotsRetained int

	Logger *slog.Logger
}

// DefaultConfig suits three nodes on a local network: another node leads within
// 1.5 s after the leader was killed. Who, where, TLS, Ring and Logger are to be
// filled in.
func DefaultConfig() Config {
	return Config{
		Heartbeat:         500 * time.Millisecond,
		Election:          500 * time.Millisecond,
		LeaderLease:       400 * time.Millisecond,
		CommitTimeout:     50 * time.Millisecond,
		RPCTimeout:        5 * time.Second,
		Handover:          2 * time.Second,
		MaxAppendEntries:  256,
		MaxRPCsInFlight:   2,
		Log:               EngineWAL,
		VerifyEach:        1024,
		LogCache:          512,
		SegmentBytes:      64 << 20,
		SnapshotThreshold: 8192,
		SnapshotInterval:  30 * time.Second,
		TrailingLogs:      10240,
		SnapshotsRetained: 2,
	}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("raftnode config: "+format, args...))
	}
	if err := identity.Node(c.Region, c.NodeID).Validate(); err != nil || c.NodeID == "" {
		bad("Region %q, NodeID %q: give both, each 1 to 63 of a-z, 0-9 and hyphen", c.Region, c.NodeID)
	}
	if c.Dir == "" {
		bad("Dir is empty; name the folder for log and snapshots")
	}
	c.checkAddresses(bad)
	if c.TLS == nil {
		bad("TLS is missing; nodes talk by mutual TLS only")
	} else if len(c.TLS.Certificates) == 0 || c.TLS.VerifyConnection == nil {
		bad("TLS has no certificate or does not verify peers; build it with identity.Bundle.TLS")
	}
	if c.Ring == nil {
		bad("Ring is missing; load it with seal.LoadRing")
	}
	if c.Logger == nil {
		bad("Logger is missing")
	}
	c.checkTimes(bad)
	c.checkSizes(bad)
	return errors.Join(faults...)
}

func (c Config) checkAddresses(bad func(string, ...any)) {
	host, _, err := net.SplitHostPort(c.Bind)
	if err != nil {
		bad("Bind %q: write host:port", c.Bind)
	}
	if c.Advertise == "" {
		if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
			bad("Bind %q is no address that peers can dial; set Advertise too", c.Bind)
		}
		return
	}
	if _, _, err := net.SplitHostPort(c.Advertise); err != nil {
		bad("Advertise %q: write host:port", c.Advertise)
	}
}

func (c Config) checkTimes(bad func(string, ...any)) {
	const least = 5 * time.Millisecond
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"Heartbeat", c.Heartbeat}, {"Election", c.Election}, {"LeaderLease", c.LeaderLease},
		{"CommitTimeout", c.CommitTimeout}, {"RPCTimeout", c.RPCTimeout}, {"SnapshotInterval", c.SnapshotInterval},
	} {
		if d.value < least {
			bad("%s %s is below %s", d.name, d.value, least)
		}
	}
	if c.Election < c.Heartbeat {
		bad("Election %s is below Heartbeat %s; make it at least as long", c.Election, c.Heartbeat)
	}
	if c.LeaderLease > c.Heartbeat {
		bad("LeaderLease %s is above Heartbeat %s; two leaders would overlap; make it at most as long", c.LeaderLease, c.Heartbeat)
	}
	if c.Handover < 0 {
		bad("Handover %s is negative; 0 means no handing over", c.Handover)
	}
}

func (c Config) checkSizes(bad func(string, ...any)) {
	for _, n := range []struct {
		name               string
		value, least, most int
	}{
		{"MaxAppendEntries", c.MaxAppendEntries, 1, 1024},
		{"MaxRPCsInFlight", c.MaxRPCsInFlight, 1, 128},
		{"LogCache", c.LogCache, 1, 1 << 16},
		{"SegmentBytes", c.SegmentBytes, 1 << 16, 1 << 30},
		{"SnapshotsRetained", c.SnapshotsRetained, 1, 100},
	} {
		if n.value < n.least || n.value > n.most {
			bad("%s is %d; allowed are %d to %d", n.name, n.value, n.least, n.most)
		}
	}
	if !c.Log.Valid() {
		bad("Log is %q; write %s or %s", c.Log, EngineWAL, EngineBolt)
	}
	if c.SnapshotThreshold == 0 {
		bad("SnapshotThreshold is 0; the log would be cut for every entry; give the number of entries")
	}
}
