package settings

import (
	"net/netip"
	"time"

	"meridian/edge"
	"meridian/ops/logging"
	"meridian/replication/gossip"
	"meridian/replication/identity"
	"meridian/replication/seal"
)

// Edge is the file of `meridian edge`. Paths are taken from the file's own
// folder.
type Edge struct {
	Region string `yaml:"region"`
	Node   string `yaml:"node"`
	Dir    string `yaml:"dir"`

	RadiusAuth string   `yaml:"radius_auth"`
	RadiusAcct string   `yaml:"radius_acct"`
	HTTP       string   `yaml:"http"`
	Raft       string   `yaml:"raft"`
	Forward    string   `yaml:"forward"`
	Gossip     string   `yaml:"gossip"`
	Centre     []string `yaml:"centre"`
	Peers      []Peer   `yaml:"peers"`

	Identity      Identity `yaml:"identity"`
	DataRingFile  string   `yaml:"data_ring_file"`
	RingFile      string   `yaml:"region_ring_file"`
	GossipKeyFile string   `yaml:"gossip_key_file"`

	Policy          Policy        `yaml:"policy"`
	TickEach        time.Duration `yaml:"tick_each"`
	IsolatedAfter   time.Duration `yaml:"isolated_after"`
	StaleAfter      time.Duration `yaml:"stale_after"`
	CutPerTick      int           `yaml:"cut_per_tick"`
	SnapshotEntries uint64        `yaml:"snapshot_entries"`
	Log             Log           `yaml:"log"`
}

// Peer is a founding member of the region.
type Peer struct {
	ID      string `yaml:"id"`
	Raft    string `yaml:"raft"`
	Forward string `yaml:"forward"`
	Gossip  string `yaml:"gossip"`
}

// Policy is given to the region once, when it is founded.
type Policy struct {
	CutAge            time.Duration `yaml:"cut_age"`
	StaleAfter        time.Duration `yaml:"stale_after"`
	TombstoneLife     time.Duration `yaml:"tombstone_life"`
	ReservationTTL    time.Duration `yaml:"reservation_ttl"`
	MaxBacklogEntries int64         `yaml:"max_backlog_entries"`
	DuePerTick        int64         `yaml:"due_per_tick"`
}

// DefaultEdge returns the documented defaults; who, where and the keys are the
// operator's to give.
func DefaultEdge() Edge {
	d := edge.DefaultConfig()
	p := d.Policy
	return Edge{
		Dir: "data", TickEach: d.TickEach, IsolatedAfter: d.IsolatedAfter, StaleAfter: d.StaleAfter,
		CutPerTick: d.CutPerTick, SnapshotEntries: d.SnapshotEntries, Log: defaultLog(),
		Policy: Policy{
			CutAge: seconds(p.CutAge), StaleAfter: seconds(p.StaleAfter), TombstoneLife: seconds(p.TombstoneLife),
			ReservationTTL: seconds(p.ReservationTTL), MaxBacklogEntries: p.MaxBacklogEntries, DuePerTick: p.DuePerTick,
		},
	}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// LoadEdge reads the file and every file that it names. All faults are reported
// at once, each with its path in the file and a remedy.
func LoadEdge(path string) (edge.Config, logging.Config, error) {
	s := DefaultEdge()
	l, err := load(path, &s)
	if err != nil {
		return edge.Config{}, logging.Config{}, err
	}
	cfg := edge.DefaultConfig()
	cfg.Region, cfg.Node, cfg.Dir = s.Region, s.Node, l.path(s.Dir)
	cfg.RadiusAuth = l.addrPort("radius_auth", s.RadiusAuth)
	cfg.RadiusAcct = l.addrPort("radius_acct", s.RadiusAcct)
	cfg.HTTP, cfg.Raft, cfg.Forward, cfg.Gossip, cfg.Centre = s.HTTP, s.Raft, s.Forward, s.Gossip, s.Centre
	for _, p := range s.Peers {
		cfg.Peers = append(cfg.Peers, edge.Peer(p))
	}
	cfg.Identity = l.bundle("identity", s.Identity)
	if cfg.Identity != nil && cfg.Identity.ID != identity.Node(s.Region, s.Node) {
		l.fault("identity", "the certificate names %s: give the one issued to node %s of region %s", cfg.Identity.ID, s.Node, s.Region)
	}
	cfg.DataRing = read(l, "data_ring_file", s.DataRingFile, seal.LoadRing)
	cfg.Ring = read(l, "region_ring_file", s.RingFile, seal.LoadRing)
	cfg.GossipKey = read(l, "gossip_key_file", s.GossipKeyFile, gossip.LoadKey)
	cfg.TickEach, cfg.IsolatedAfter, cfg.StaleAfter = s.TickEach, s.IsolatedAfter, s.StaleAfter
	cfg.CutPerTick, cfg.SnapshotEntries = s.CutPerTick, s.SnapshotEntries
	p := &cfg.Policy
	p.CutAge = l.seconds("policy.cut_age", s.Policy.CutAge)
	p.StaleAfter = l.seconds("policy.stale_after", s.Policy.StaleAfter)
	p.TombstoneLife = l.seconds("policy.tombstone_life", s.Policy.TombstoneLife)
	p.ReservationTTL = l.seconds("policy.reservation_ttl", s.Policy.ReservationTTL)
	p.MaxBacklogEntries, p.DuePerTick = s.Policy.MaxBacklogEntries, s.Policy.DuePerTick
	return cfg, l.log(s.Log), l.err()
}

func (l *loader) addrPort(field, value string) netip.AddrPort {
	ap, err := netip.ParseAddrPort(value)
	if err != nil {
		l.fault(field, "%q: write address:port, e.g. 192.0.2.10:1812", value)
	}
	return ap
}

// seconds wants whole seconds, the unit of the region's policy.
func (l *loader) seconds(field string, d time.Duration) int64 {
	if d%time.Second != 0 {
		l.fault(field, "%s: write whole seconds", d)
	}
	return int64(d / time.Second)
}
