package gossip

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"meridian/replication/identity"
)

// Member is a node as it describes itself.
type Member struct {
	ID, Region                      string
	GossipAddr                      string
	RaftAddr, ForwardAddr, HTTPAddr string
	HTTPS                           bool // HTTPAddr is served by TLS
	Software                        string
	Party                           identity.Party
}

// Stats are figures of one moment; all but Members only rise.
type Stats struct {
	Members        int    // alive, this node included
	Foreign        uint64 // messages about nodes of another region
	OtherCluster   uint64 // messages about nodes of another installation
	OtherVersion   uint64 // messages about nodes of a version that does not fit
	Unreadable     uint64 // messages about nodes whose description cannot be read
	OverLimit      uint64 // messages about nodes beyond MaxMembers
	JoinFailures   uint64
	EventsReplaced uint64 // by a newer event of the same node before they were read
	EventsDropped  uint64 // because events of too many nodes were unread
}

// Gossip is one node's part in the membership. Safe for concurrent use.
type Gossip struct {
	cfg    Config
	meta   []byte
	list   *memberlist.Memberlist
	events *eventQueue

	mu    sync.Mutex
	alive map[string]Member

	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	stopBy atomic.Int64 // Unix nanoseconds, 0 = no limit; see StopBy
	err    error

	otherCluster, otherVersion atomic.Uint64
	said                       map[string]bool // refusals that were logged; guarded by mu

	foreign, unreadable, overLimit, joinFailures atomic.Uint64
}

// New checks the configuration. Nothing is opened; see Start.
func New(cfg Config) (*Gossip, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	meta, err := cfg.meta()
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	return &Gossip{cfg: cfg, meta: meta, events: newEventQueue(cfg.MaxMembers), alive: map[string]Member{}}, nil
}

// Start opens the sockets and joins in the background. ctx's end stops joining
// and events; Close is needed all the same. Call it once.
func (g *Gossip) Start(ctx context.Context) error {
	mc, err := g.listConfig()
	if err != nil {
		return err
	}
	g.list, err = memberlist.Create(mc)
	if err != nil {
		return fmt.Errorf("gossip: listen on Bind %q: %w; free the address or choose another", g.cfg.Bind, err)
	}
	ctx, g.cancel = context.WithCancel(ctx)
	g.wg.Go(func() { g.events.pump(ctx) })
	g.wg.Go(func() { g.keepJoining(ctx) })
	return nil
}

func (g *Gossip) listConfig() (*memberlist.Config, error) {
	mc := memberlist.DefaultLocalConfig()
	host, port, err := splitAddr(g.cfg.Bind)
	if err != nil {
		return nil, err
	}
	mc.Name, mc.Label = g.cfg.NodeID, "meridian"
	mc.BindAddr, mc.BindPort, mc.AdvertisePort = host, port, port
	if g.cfg.Advertise != "" {
		h, p, err := net.SplitHostPort(g.cfg.Advertise)
		if err != nil {
			return nil, err
		}
		mc.AdvertiseAddr = h
		if mc.AdvertisePort, err = strconv.Atoi(p); err != nil {
			return nil, fmt.Errorf("gossip: Advertise %q: %w", g.cfg.Advertise, err)
		}
	}
	mc.SecretKey = g.cfg.Key
	mc.GossipVerifyIncoming, mc.GossipVerifyOutgoing = true, true
	mc.TCPTimeout = g.cfg.JoinTimeout
	mc.ProbeInterval, mc.ProbeTimeout = g.cfg.ProbeInterval, g.cfg.ProbeTimeout
	mc.DeadNodeReclaimTime = 10 * time.Second // a node may come back at another address
	hooks := (*hooks)(g)
	mc.Delegate, mc.Events, mc.Alive, mc.Merge = hooks, hooks, hooks, hooks
	mc.Logger = log.New(lineLogger{g.cfg.Logger.With("part", "gossip")}, "", 0)
	return mc, nil
}

// keepJoining tries the nodes of Join that are not among the members, at once
// and then at intervals: at the start because they may not be up yet, later
// because two halves of a region that were cut apart forget each other.
func (g *Gossip) keepJoining(ctx context.Context) {
	t := time.NewTicker(g.cfg.JoinInterval)
	defer t.Stop()
	for {
		for _, addr := range g.missing() {
			if ctx.Err() != nil {
				return
			}
			if _, err := g.list.Join([]string{addr}); err != nil {
				g.joinFailures.Add(1)
				g.cfg.Logger.Debug("gossip: cannot join yet", "node", addr, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (g *Gossip) missing() []string {
	known := map[string]bool{g.Addr(): true}
	for _, m := range g.Members() {
		known[m.GossipAddr] = true
	}
	return slices.DeleteFunc(slices.Clone(g.cfg.Join), func(a string) bool { return known[a] })
}

// Addr is the address that others use; empty before Start.
func (g *Gossip) Addr() string {
	if g.list == nil {
		return ""
	}
	n := g.list.LocalNode()
	return net.JoinHostPort(n.Addr.String(), strconv.Itoa(int(n.Port)))
}

// Members are the nodes that are believed alive, this one included, by id.
func (g *Gossip) Members() []Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]Member, 0, len(g.alive))
	for _, m := range g.alive {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Member finds a node that is believed alive.
func (g *Gossip) Member(id string) (Member, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m, ok := g.alive[id]
	return m, ok
}

// Events carries changes, this node's own joining included. An event that was
// not yet read is replaced by a newer one of the same node: a reader sees the
// newest state of every node, not every step. It has one reader, and is closed
// when the Gossip is.
func (g *Gossip) Events() <-chan Event { return g.events.out }

// Stats reads the figures.
func (g *Gossip) Stats() Stats {
	g.mu.Lock()
	n := len(g.alive)
	g.mu.Unlock()
	replaced, dropped := g.events.lost()
	return Stats{
		Members: n, Foreign: g.foreign.Load(), OtherCluster: g.otherCluster.Load(), OtherVersion: g.otherVersion.Load(), Unreadable: g.unreadable.Load(), OverLimit: g.overLimit.Load(),
		JoinFailures: g.joinFailures.Load(), EventsReplaced: replaced, EventsDropped: dropped,
	}
}

// StopBy says until when Close may wait for the others: without time left it says no
// farewell.
func (g *Gossip) StopBy(t time.Time) { g.stopBy.Store(t.UnixNano()) }

// within is what is left of a limit.
func (g *Gossip) within(limit time.Duration, now time.Time) time.Duration {
	if by := g.stopBy.Load(); by != 0 {
		return max(0, min(limit, time.Unix(0, by).Sub(now)))
	}
	return limit
}

// Close says farewell, so that the others need not find out, and stops. It may
// take as long as LeaveTimeout and JoinTimeout, or until StopBy.
func (g *Gossip) Close() error {
	if g.list == nil {
		return nil
	}
	g.once.Do(func() {
		g.cancel()
		g.wg.Wait()
		if left := g.within(g.cfg.LeaveTimeout, time.Now()); left == 0 { // memberlist would wait without a limit
			g.cfg.Logger.Debug("gossip: no time for a farewell; the others will notice")
		} else if err := g.list.Leave(left); err != nil {
			g.cfg.Logger.Debug("gossip: farewell not sent; the others will notice", "err", err)
		}
		g.err = g.list.Shutdown()
	})
	return g.err
}

// read makes a Member of what the list knows of a node.
func (g *Gossip) read(n *memberlist.Node) (Member, error) {
	var w wireMeta
	if err := json.Unmarshal(n.Meta, &w); err != nil {
		return Member{}, fmt.Errorf("gossip: description of node %q: %w", n.Name, err)
	}
	if w.Node != n.Name {
		return Member{}, fmt.Errorf("gossip: node %q describes itself as %q", n.Name, w.Node)
	}
	return Member{
		ID: w.Node, Region: w.Region, GossipAddr: n.Address(),
		RaftAddr: w.Raft, ForwardAddr: w.Forward, HTTPAddr: w.HTTP, HTTPS: w.HTTPS, Software: w.Software,
		Party: identity.Party{Cluster: w.Cluster, Min: w.Min, Max: w.Max, Software: w.Software},
	}, nil
}

var errForeign = errors.New("gossip: node that does not belong here")

// maxSaid bounds what is remembered of refusals that were logged.
const maxSaid = 64

// refuse logs a refusal once: the node will be named again and again.
func (g *Gossip) refuse(m Member, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.said[err.Error()] {
		return err
	}
	if g.said == nil || len(g.said) >= maxSaid {
		g.said = map[string]bool{}
	}
	g.said[err.Error()] = true
	g.cfg.Logger.Error("gossip: node refused", "node", m.ID, "at", m.GossipAddr, "err", err)
	return err
}

// admit decides whether a node is one of ours.
func (g *Gossip) admit(n *memberlist.Node) error {
	m, err := g.read(n)
	if err != nil {
		g.unreadable.Add(1)
		return err
	}
	if m.Region != g.cfg.Region {
		g.foreign.Add(1)
		return g.refuse(m, fmt.Errorf("%w: %s at %s is of region %q, this is %q; give each region its own key and join list",
			errForeign, m.ID, m.GossipAddr, m.Region, g.cfg.Region))
	}
	ours := g.cfg.Party
	ours.Software = g.cfg.Software
	if mismatch := ours.Fit(m.Party); mismatch != nil {
		if mismatch.Cause == identity.CauseCluster {
			g.otherCluster.Add(1)
		} else {
			g.otherVersion.Add(1)
		}
		return g.refuse(m, fmt.Errorf("%w: %s at %s: %w", errForeign, m.ID, m.GossipAddr, mismatch))
	}
	g.mu.Lock()
	_, known := g.alive[m.ID]
	full := !known && len(g.alive) >= g.cfg.MaxMembers
	g.mu.Unlock()
	if full {
		g.overLimit.Add(1)
		return fmt.Errorf("gossip: %s at %s left out: there are %d members, the most allowed; raise MaxMembers",
			m.ID, m.GossipAddr, g.cfg.MaxMembers)
	}
	return nil
}
