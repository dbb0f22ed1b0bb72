package settings

import (
	"context"
	"net/netip"
	"time"

	"meridian/edge"
	"meridian/ops/logging"
	"meridian/replication/gossip"
	"meridian/replication/identity"
	"meridian/replication/kms"
	"meridian/replication/raftnode"
	"meridian/replication/seal"
)

// Edge is the file of `meridian edge`. Paths are taken from the file's own
// folder.
type Edge struct {
	Cluster string `yaml:"cluster" doc:"name of the installation, the same at the centre and in all its regions" is:"name" need:"acme"`
	Region  string `yaml:"region" doc:"name of the region" is:"name" need:"north"`
	Node    string `yaml:"node" doc:"name of this node, one of peers, never given to another machine" is:"name" need:"north-1"`
	Dir     string `yaml:"dir" doc:"data directory; all paths are taken from this file's folder" need:"data"`

	RadiusAuth string `yaml:"radius_auth" doc:"Access-Requests come in here" is:"address:port" need:"192.0.2.11:1812"`
	RadiusAcct string `yaml:"radius_acct" doc:"Accounting-Requests come in here" is:"address:port" need:"192.0.2.11:1813"`
	HTTP       string `yaml:"http" doc:"status, metrics and the node's API" is:"host:port" need:"192.0.2.11:8090"`

	HTTPCertFile string `yaml:"http_cert_file" doc:"certificate of the node's API, PEM, read at the start; may be empty on a loopback address only" is:"file"`
	HTTPKeyFile  string `yaml:"http_key_file" doc:"its key, PEM, mode 0600" is:"secret file"`

	Raft    string   `yaml:"raft" doc:"between nodes, mutual TLS" is:"host:port" need:"192.0.2.11:7001"`
	Forward string   `yaml:"forward" doc:"between nodes, mutual TLS" is:"host:port" need:"192.0.2.11:7002"`
	Gossip  string   `yaml:"gossip" doc:"between nodes, TCP and UDP, encrypted" is:"address:port" need:"192.0.2.11:7946"`
	Centre  []string `yaml:"centre" doc:"link servers of the centre, tried in turn" is:"host:port" need:"[\"198.51.100.1:7000\"]"`
	Peers   []Peer   `yaml:"peers" doc:"all nodes that found the region, this one included: id, raft, forward and gossip of each" need:"the four fields of this node"`

	Identity       Identity `yaml:"identity" doc:"who this process is"`
	DataRingFile   string   `yaml:"data_ring_file" doc:"keys that seal log, segments and snapshots, the same on all nodes" is:"secret file" need:"keys/north.data.ring"`
	DataRingKMS    KMS      `yaml:"data_ring_kms" doc:"what wraps the keys of data_ring_file; nothing: they are in clear text"`
	RingFile       string   `yaml:"region_ring_file" doc:"keys with which the centre seals the region's credentials" is:"secret file" need:"keys/north.ring"`
	GossipKeyFile  string   `yaml:"gossip_key_file" doc:"32 octets in hexadecimal, the same on all nodes" is:"secret file" need:"keys/north.gossip"`
	DebugTokenFile string   `yaml:"debug_token_file" doc:"one line, the bearer token of /debug/pprof/; empty: there is no /debug/pprof/" is:"secret file"`

	Policy          Policy        `yaml:"policy" doc:"given to the region when it is founded, changed by meridian ctl edge policy; in whole seconds"`
	TickEach        time.Duration `yaml:"tick_each" doc:"how often region time moves" min:"10ms" max:"1m"`
	IsolatedAfter   time.Duration `yaml:"isolated_after" doc:"how long the link may be away before the region calls itself isolated" min:"100ms" max:"24h"`
	StaleAfter      time.Duration `yaml:"stale_after" doc:"how long a node may hear no leader before it accepts only what needs no exactness" min:"1s" max:"1h"`
	CutPerTick      int           `yaml:"cut_per_tick" doc:"sessions that each tick cuts after an outage" min:"1" max:"1_000_000"`
	LinkRate        int           `yaml:"link_rate" doc:"what the line to the centre carries, in bytes a second: batches are sized and spaced for it, and compressed; 0: neither" min:"0" max:"1_000_000_000"`
	RaftLog         string        `yaml:"raft_log" doc:"what keeps the replicated log: wal or boltdb; a directory keeps what it was begun with"`
	SnapshotEntries uint64        `yaml:"snapshot_entries" doc:"log entries after which a snapshot is due" min:"16" max:"100_000_000"`
	Disk            Disk          `yaml:"disk" doc:"when the data disk counts as low, full or hanging"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" doc:"after SIGTERM: hand over, answer what was taken in, and end within this" min:"1s" max:"9s"`
	Log             Log           `yaml:"log" doc:"what is logged, on standard error"`
}

// KMS names the one provider that wraps the data keys.
type KMS struct {
	KeyringFile string        `yaml:"keyring_file" doc:"a key file whose keys wrap those of data_ring_file" is:"secret file"`
	Command     []string      `yaml:"command" doc:"a program and its arguments that wraps and unwraps, by the protocol of replication/kms"`
	Socket      string        `yaml:"socket" doc:"path of a Unix socket where a server wraps and unwraps, by the same protocol"`
	Timeout     time.Duration `yaml:"timeout" doc:"how long an answer is awaited" min:"10ms" max:"1m"`
}

// Peer is a founding member of the region.
type Peer struct {
	ID      string `yaml:"id" doc:"the node's name" is:"name" need:"north-1"`
	Raft    string `yaml:"raft" doc:"its raft address" is:"host:port" need:"192.0.2.11:7001"`
	Forward string `yaml:"forward" doc:"its forward address" is:"host:port" need:"192.0.2.11:7002"`
	Gossip  string `yaml:"gossip" doc:"its gossip address" is:"host:port" need:"192.0.2.11:7946"`
}

// Disk are the limits of the data disk.
type Disk struct {
	LowMiB     uint64        `yaml:"low_mib" doc:"with less than this free the node hands leadership over or takes no new work" min:"1" max:"10_000_000"`
	ReserveMiB uint64        `yaml:"reserve_mib" doc:"with less than this free nothing is appended to the log; at most low_mib" min:"1" max:"10_000_000"`
	StallAfter time.Duration `yaml:"stall_after" doc:"a write or sync that takes longer makes the node give up leadership" min:"100ms" max:"1m"`
}

// Policy is given to the region once, when it is founded.
type Policy struct {
	CutAge            time.Duration `yaml:"cut_age" doc:"usage is cut into the ledger at this age" min:"1s" max:"24h"`
	StaleAfter        time.Duration `yaml:"stale_after" doc:"a session that was silent for so long is closed" min:"1m" max:"168h"`
	TombstoneLife     time.Duration `yaml:"tombstone_life" doc:"closed sessions are remembered for so long; what is later is recorded and not charged" min:"1h" max:"8760h"`
	ReservationTTL    time.Duration `yaml:"reservation_ttl" doc:"a reservation that no Start adopts ends after this" min:"1s" max:"1h"`
	MaxBacklogEntries int64         `yaml:"max_backlog_entries" doc:"unacknowledged entries at which new sessions are refused" min:"1" max:"10_000_000_000"`
	DuePerTick        int64         `yaml:"due_per_tick" doc:"due items that one tick handles" min:"1" max:"1_000_000"`
	MaxBacklogMiB     int64         `yaml:"max_backlog_mib" doc:"size of the unacknowledged entries at which new sessions are refused" min:"1" max:"10_000_000"`
	MaxBacklogAge     time.Duration `yaml:"max_backlog_age" doc:"age of the oldest unacknowledged entry at which new sessions are refused" min:"1h" max:"8760h"`
	MaxTombstones     int64         `yaml:"max_tombstones" doc:"closed sessions and sales of events that are remembered; beyond it reports of new sessions are recorded and not charged, and sales stop at three quarters of it" min:"1" max:"1_000_000_000"`
	MaxSessions       int64         `yaml:"max_sessions" doc:"open sessions of the region; reports of more are recorded and not charged" min:"1" max:"100_000_000"`
	RenewalSpread     time.Duration `yaml:"renewal_spread" doc:"renewals that fall due at one instant are spread over so long; service goes on" min:"0s" max:"24h"`
	RenewalsPerHour   int64         `yaml:"renewals_per_hour" doc:"renewals in an hour of region time; beyond it none is charged until a person raises the bound" min:"1" max:"1_000_000_000"`
	MaxNASSessions    int64         `yaml:"max_nas_sessions" doc:"the same, of one NAS" min:"1" max:"100_000_000"`
}

// DefaultEdge returns the documented defaults; who, where and the keys are the
// operator's to give.
func DefaultEdge() Edge {
	d := edge.DefaultConfig()
	p := d.Policy
	return Edge{
		Dir: "data", TickEach: d.TickEach, IsolatedAfter: d.IsolatedAfter, StaleAfter: d.StaleAfter,
		CutPerTick: d.CutPerTick, SnapshotEntries: d.SnapshotEntries, RaftLog: string(d.RaftLog), ShutdownTimeout: d.ShutdownTimeout, Log: defaultLog(),
		DataRingKMS: KMS{Timeout: kms.DefaultTimeout},
		Disk:        Disk{LowMiB: d.Disk.LowBytes >> 20, ReserveMiB: d.Disk.ReserveBytes >> 20, StallAfter: d.Disk.StallAfter},
		Policy: Policy{
			CutAge: seconds(p.CutAge), StaleAfter: seconds(p.StaleAfter), TombstoneLife: seconds(p.TombstoneLife),
			ReservationTTL: seconds(p.ReservationTTL), MaxBacklogEntries: p.MaxBacklogEntries, DuePerTick: p.DuePerTick,
			MaxBacklogMiB: p.MaxBacklogBytes >> 20, MaxBacklogAge: seconds(p.MaxBacklogAge), MaxTombstones: p.MaxTombstones, MaxSessions: p.MaxSessions, MaxNASSessions: p.MaxNASSessions,
			RenewalSpread: seconds(p.RenewalSpread), RenewalsPerHour: p.RenewalsPerHour,
		},
	}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// LoadEdge reads the file, the environment (as os.Environ gives it) and every file
// that is named. All faults are told at once; each is a *Fault.
func LoadEdge(path string, environ []string) (edge.Config, logging.Config, error) {
	s := DefaultEdge()
	l, err := load(path, environ, envEdge, &s)
	if err != nil {
		return edge.Config{}, logging.Config{}, err
	}
	cfg := edge.DefaultConfig()
	cfg.Cluster, cfg.Region, cfg.Node, cfg.Dir = s.Cluster, s.Region, s.Node, l.path(s.Dir)
	cfg.RadiusAuth, _ = netip.ParseAddrPort(s.RadiusAuth) // checked by load
	cfg.RadiusAcct, _ = netip.ParseAddrPort(s.RadiusAcct)
	cfg.HTTP, cfg.Raft, cfg.Forward, cfg.Gossip, cfg.Centre = s.HTTP, s.Raft, s.Forward, s.Gossip, s.Centre
	l.api(s.HTTP, s.HTTPCertFile, s.HTTPKeyFile)
	cfg.HTTPCertFile, cfg.HTTPKeyFile = l.path(s.HTTPCertFile), l.path(s.HTTPKeyFile)
	for _, p := range s.Peers {
		cfg.Peers = append(cfg.Peers, edge.Peer(p))
	}
	l.peers(s)
	cfg.Identity = l.bundle("identity", s.Identity)
	if cfg.Identity != nil && cfg.Identity.ID != identity.Node(s.Region, s.Node) {
		l.fault("identity.cert", "the certificate names %s: give the one issued to node %s of region %s", cfg.Identity.ID, s.Node, s.Region)
	}
	cfg.ReadDataRing = l.dataRing(s)
	cfg.DataRing = read(l, "data_ring_file", s.DataRingFile, func(string) (*seal.Ring, error) { return cfg.ReadDataRing(context.Background()) })
	cfg.Ring = read(l, "region_ring_file", s.RingFile, seal.LoadRing)
	cfg.GossipKey = read(l, "gossip_key_file", s.GossipKeyFile, gossip.LoadKey)
	cfg.DebugTokenHash = tokenHash(read(l, "debug_token_file", s.DebugTokenFile, secret))
	cfg.TickEach, cfg.IsolatedAfter, cfg.StaleAfter = s.TickEach, s.IsolatedAfter, s.StaleAfter
	cfg.LinkRate = s.LinkRate
	cfg.CutPerTick, cfg.SnapshotEntries, cfg.ShutdownTimeout = s.CutPerTick, s.SnapshotEntries, s.ShutdownTimeout
	if cfg.RaftLog = raftnode.Engine(s.RaftLog); !cfg.RaftLog.Valid() {
		l.fault("raft_log", "write wal or boltdb")
	}
	cfg.Disk.LowBytes, cfg.Disk.ReserveBytes, cfg.Disk.StallAfter = s.Disk.LowMiB<<20, s.Disk.ReserveMiB<<20, s.Disk.StallAfter
	if s.Disk.ReserveMiB > s.Disk.LowMiB {
		l.fault("disk.reserve_mib", "disk.low_mib is %d: make it at most that, so that new work ends first", s.Disk.LowMiB)
	}
	p := &cfg.Policy
	p.CutAge = l.seconds("policy.cut_age", s.Policy.CutAge)
	p.StaleAfter = l.seconds("policy.stale_after", s.Policy.StaleAfter)
	p.TombstoneLife = l.seconds("policy.tombstone_life", s.Policy.TombstoneLife)
	p.ReservationTTL = l.seconds("policy.reservation_ttl", s.Policy.ReservationTTL)
	p.MaxBacklogEntries, p.DuePerTick = s.Policy.MaxBacklogEntries, s.Policy.DuePerTick
	p.MaxBacklogBytes, p.MaxBacklogAge = s.Policy.MaxBacklogMiB<<20, l.seconds("policy.max_backlog_age", s.Policy.MaxBacklogAge)
	p.MaxTombstones, p.MaxSessions, p.MaxNASSessions = s.Policy.MaxTombstones, s.Policy.MaxSessions, s.Policy.MaxNASSessions
	p.RenewalSpread, p.RenewalsPerHour = l.seconds("policy.renewal_spread", s.Policy.RenewalSpread), s.Policy.RenewalsPerHour
	return cfg, s.Log.config(), l.err()
}

// dataRing reads the data keys, now and again when they are rotated.
func (l *loader) dataRing(s Edge) func(context.Context) (*seal.Ring, error) {
	path := l.path(s.DataRingFile)
	kc := kms.Config{KeyringFile: l.path(s.DataRingKMS.KeyringFile), Command: s.DataRingKMS.Command, Socket: l.path(s.DataRingKMS.Socket), Timeout: s.DataRingKMS.Timeout}
	if err := kc.Validate(); err != nil {
		l.fault("data_ring_kms", "%v", err)
	}
	return func(ctx context.Context) (*seal.Ring, error) {
		keeper, err := kms.New(kc)
		if err != nil {
			return nil, err
		}
		return seal.LoadRingBy(ctx, path, keeper)
	}
}

// seconds wants whole seconds, the unit of the region's policy.
func (l *loader) seconds(field string, d time.Duration) int64 {
	if d%time.Second != 0 && !l.faulty(field) {
		l.fault(field, "write whole seconds")
	}
	return int64(d / time.Second)
}

// peers checks the members against each other and against this node's addresses.
func (l *loader) peers(s Edge) {
	if len(s.Peers) == 0 || l.faulty("peers") {
		return
	}
	self := false
	seen := map[string]string{}
	once := func(path, value string) {
		if first, twice := seen[value]; twice && value != "" {
			l.fault(path, "the same as %s: give each its own", first)
			return
		}
		seen[value] = path
	}
	for i, p := range s.Peers {
		at := indexed("peers", i)
		once(at+".id", p.ID)
		once(at+".raft", p.Raft)
		once(at+".forward", p.Forward)
		once(at+".gossip", p.Gossip)
		if p.ID != s.Node {
			continue
		}
		self = true
		for _, own := range []struct{ name, here, there string }{{"raft", s.Raft, p.Raft}, {"forward", s.Forward, p.Forward}, {"gossip", s.Gossip, p.Gossip}} {
			if own.here != own.there {
				l.fault(at+"."+own.name, "this node's own %s is %q: write the same in both places", own.name, own.here)
			}
		}
	}
	if !self && s.Node != "" {
		l.fault("peers", "this node %q is not among them: list all founding members", s.Node)
	}
	l.apart(s)
}

// apart wants an address of its own for each of the node's listeners.
func (l *loader) apart(s Edge) {
	type listener struct{ name, addr string }
	for _, group := range [][]listener{
		{{"raft", s.Raft}, {"forward", s.Forward}, {"gossip", s.Gossip}, {"http", s.HTTP}},
		{{"gossip", s.Gossip}, {"radius_auth", s.RadiusAuth}, {"radius_acct", s.RadiusAcct}},
	} {
		seen := map[string]string{}
		for _, x := range group {
			if first, twice := seen[x.addr]; twice && x.addr != "" {
				l.fault(x.name, "the same address as %s: give each listener its own", first)
			}
			seen[x.addr] = x.name
		}
	}
}
