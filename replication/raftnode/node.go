package raftnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"meridian/replication/disk"
	"meridian/replication/identity"
)

// Peer is one voting member of a region.
type Peer struct {
	ID   string
	Addr string // host:port of its raft transport
}

// Node is a running member. Its methods are safe for concurrent use.
type Node struct {
	cfg      Config
	raft     *raft.Raft
	trans    raft.Transport
	store    *store
	verified *verified
	lock     *os.File
	lead     leadership
	counters *counters
	layer    *tlsLayer // nil when the transport is not ours
	requests requests

	losses    chan string // members whose connection has ended
	stop      chan struct{}
	wg        sync.WaitGroup
	handOnce  sync.Once
	stopBy    atomic.Int64 // Unix nanoseconds, 0 = no limit; see StopBy
	closeOnce sync.Once
	closeErr  error
}

// Open locks and checks the directory, restores the newest snapshot into fsm,
// and starts the member. A BatchingFSM gets whole batches. Without state on
// disk the node waits to be bootstrapped or added by a leader. Errors wrap
// ErrInUse, ErrWrongDir, ErrWrongKeys or ErrLogDamaged where they apply.
func Open(cfg Config, fsm raft.FSM) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := checkOwnName(cfg); err != nil {
		return nil, err
	}
	var layer *tlsLayer
	n, err := open(cfg, fsm, func(c *counters) (raft.Transport, error) {
		var err error
		if layer, err = listenTLS(cfg, c); err != nil {
			return nil, err
		}
		return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: layer, MaxPool: maxPooledConns, MaxRPCsInFlight: cfg.MaxRPCsInFlight,
			Timeout: cfg.RPCTimeout, Logger: newHCLog(cfg.Logger, "raft-net"),
		}), nil
	})
	if err != nil {
		return nil, err
	}
	n.layer = layer
	lost := n.lost
	layer.lost.Store(&lost)
	n.wg.Go(n.watchLosses)
	return n, nil
}

func checkOwnName(cfg Config) error {
	leaf, err := leafOf(cfg.TLS)
	if err != nil {
		return err
	}
	own, err := identity.FromCertificate(leaf)
	if err != nil {
		return fmt.Errorf("raftnode config: TLS: %w", err)
	}
	if want := identity.Node(cfg.Region, cfg.NodeID); own != want {
		return fmt.Errorf("raftnode config: TLS certificate is for %s, this node is %s; issue one for it", own, want)
	}
	return nil
}

// open is Open with a transport of the caller's making.
func open(cfg Config, fsm raft.FSM, listen func(*counters) (raft.Transport, error)) (_ *Node, err error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("raftnode: %w", err)
	}
	n := &Node{cfg: cfg, counters: &counters{}, stop: make(chan struct{}), losses: make(chan string, 8), requests: requests{down: make(chan struct{})}}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.release())
		}
	}()
	if n.cfg.Disk == nil {
		dc := disk.DefaultConfig()
		dc.Dir = cfg.Dir
		if n.cfg.Disk, err = disk.New(dc); err != nil {
			return nil, err
		}
	}
	if n.lock, err = lockDir(cfg.Dir); err != nil {
		return nil, err
	}
	if err := claimDir(cfg.Dir, nodeInfo{Format: dirFormat, Cluster: cfg.Cluster, Region: cfg.Region, Node: cfg.NodeID, Log: logName(cfg.Log)}, cfg.Ring, n.cfg.Disk); err != nil {
		return nil, err
	}
	snaps, err := openSnapshots(cfg.Dir, cfg.SnapshotsRetained, n.cfg.Disk, cfg.Logger)
	if err != nil {
		return nil, err
	}
	newest, err := newestSnapshot(snaps.FileSnapshotStore, cfg.Logger)
	if err != nil {
		return nil, err
	}
	if n.store, err = openStore(cfg.Dir, cfg.Log, cfg.SegmentBytes, cfg.Ring, n.cfg.Disk, cfg.Logger, n.counters); err != nil {
		return nil, err
	}
	if err := n.store.check(newest.index, newest.term); err != nil {
		return nil, err
	}
	if err := n.reaches(newest.index); err != nil {
		return nil, err
	}
	n.verified = newVerified(n.store, cfg.VerifyEach)
	cache, err := raft.NewLogCache(cfg.LogCache, n.verified)
	if err != nil {
		return nil, fmt.Errorf("raftnode: %w", err)
	}
	if n.trans, err = listen(n.counters); err != nil {
		return nil, err
	}
	n.trans = silenced(n.trans, n.cfg.Disk)
	if n.raft, err = raft.NewRaft(raftConfig(cfg), fsm, cache, n.store, snaps, n.trans); err != nil {
		return nil, fmt.Errorf("raftnode: start node %s of region %s: %w", cfg.NodeID, cfg.Region, err)
	}
	n.wg.Go(n.watchLeadership)
	return n, nil
}

// reaches refuses a directory that was replaced by an older copy of itself: the
// member would vote without what it had acknowledged.
func (n *Node) reaches(snapshot uint64) error {
	last, err := n.store.LastIndex()
	if err != nil {
		return fmt.Errorf("raftnode: %w", err)
	}
	if last = max(last, snapshot); last >= n.cfg.AtLeast {
		return nil
	}
	return fmt.Errorf("%w: %s ends at log index %d, node %s had applied index %d: remove this member at the leader, empty the directory and let the node join again",
		ErrRolledBack, n.cfg.Dir, last, n.cfg.NodeID, n.cfg.AtLeast)
}

func raftConfig(cfg Config) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(cfg.NodeID)
	rc.HeartbeatTimeout = cfg.Heartbeat
	rc.ElectionTimeout = cfg.Election
	rc.LeaderLeaseTimeout = cfg.LeaderLease
	rc.CommitTimeout = cfg.CommitTimeout
	rc.MaxAppendEntries = cfg.MaxAppendEntries
	rc.BatchApplyCh = true
	rc.SnapshotThreshold = cfg.SnapshotThreshold
	rc.SnapshotInterval = cfg.SnapshotInterval
	rc.TrailingLogs = cfg.TrailingLogs
	rc.PreVoteDisabled = false // a node that was cut off must not depose a good leader
	rc.ShutdownOnRemove = false
	rc.NoLegacyTelemetry = true
	rc.Logger = newHCLog(cfg.Logger, "raft")
	return rc
}

func (n *Node) watchLeadership() {
	for {
		select {
		case leading := <-n.raft.LeaderCh():
			n.lead.set(leading)
		case <-n.stop:
			n.lead.close()
			return
		}
	}
}

// Bootstrap makes the first configuration of a new region. It does nothing when
// the node has any state, so that every node may call it at every start with the
// same peers; peers must name this node.
func (n *Node) Bootstrap(peers []Peer) error {
	var conf raft.Configuration
	self := false
	for _, p := range peers {
		self = self || p.ID == n.cfg.NodeID
		conf.Servers = append(conf.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr),
		})
	}
	if !self {
		return fmt.Errorf("raftnode: bootstrap peers %v do not name this node %q; give all members, itself included", peers, n.cfg.NodeID)
	}
	err := n.raft.BootstrapCluster(conf).Error()
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("raftnode: bootstrap with %v: %w", peers, err)
	}
	return nil
}

// Barrier returns when everything that was committed before has been applied
// here. Only the leader can.
func (n *Node) Barrier(ctx context.Context) error {
	return n.ask(ctx, "barrier", func() raft.Future { return n.raft.Barrier(0) })
}

// VerifyLeader returns nil when a majority still follows this node at a moment
// after the call.
func (n *Node) VerifyLeader(ctx context.Context) error {
	return n.ask(ctx, "verify leader", n.raft.VerifyLeader)
}

// Snapshot makes a snapshot now. It returns nil also when there is nothing new
// since the last.
func (n *Node) Snapshot(ctx context.Context) error {
	err := n.ask(ctx, "snapshot", func() raft.Future { return n.raft.Snapshot() })
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}

// TransferLeadership hands over to the most advanced follower.
func (n *Node) TransferLeadership(ctx context.Context) error {
	return n.ask(ctx, "transfer leadership", n.raft.LeadershipTransfer)
}

// AddVoter gives a member its vote, adds one, or changes the address of one. Only
// the leader can. The member must run and prove to be that node: once it votes, a
// region of two cannot commit anything without it, not even its removal.
func (n *Node) AddVoter(ctx context.Context, p Peer) error {
	return n.add(ctx, "add voter", p, n.raft.AddVoter)
}

// AddNonvoter adds a member that gets the log and does not count towards the
// majority. Only the leader can; the member must run and prove to be that node.
func (n *Node) AddNonvoter(ctx context.Context, p Peer) error {
	return n.add(ctx, "add non-voter", p, n.raft.AddNonvoter)
}

func (n *Node) add(ctx context.Context, what string, p Peer, by func(raft.ServerID, raft.ServerAddress, uint64, time.Duration) raft.IndexFuture) error {
	if n.layer != nil {
		if err := n.layer.prove(ctx, p); err != nil {
			return fmt.Errorf("raftnode: %s %s: %w; start that node first and check its address", what, p.ID, err)
		}
	}
	return n.ask(ctx, what+" "+p.ID, func() raft.Future {
		return by(raft.ServerID(p.ID), raft.ServerAddress(p.Addr), 0, enqueueTimeout(ctx))
	})
}

// TransferTo hands leadership over to a voter.
func (n *Node) TransferTo(ctx context.Context, p Peer) error {
	return n.ask(ctx, "transfer leadership to "+p.ID, func() raft.Future {
		return n.raft.LeadershipTransferToServer(raft.ServerID(p.ID), raft.ServerAddress(p.Addr))
	})
}

// RemoveServer removes a member. Only the leader can.
func (n *Node) RemoveServer(ctx context.Context, id string) error {
	return n.ask(ctx, "remove server "+id, func() raft.Future {
		return n.raft.RemoveServer(raft.ServerID(id), 0, enqueueTimeout(ctx))
	})
}

// Server is a member by raft's configuration.
type Server struct {
	Peer
	Voter bool
}

// Servers are all members by the newest configuration that this node knows.
func (n *Node) Servers() ([]Server, error) {
	f := n.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, fmt.Errorf("raftnode: configuration: %w", err)
	}
	var out []Server
	for _, s := range f.Configuration().Servers {
		out = append(out, Server{Peer: Peer{ID: string(s.ID), Addr: string(s.Address)}, Voter: s.Suffrage == raft.Voter})
	}
	return out, nil
}

// Peers are the voting ones of Servers.
func (n *Node) Peers() ([]Peer, error) {
	servers, err := n.Servers()
	var out []Peer
	for _, s := range servers {
		if s.Voter {
			out = append(out, s.Peer)
		}
	}
	return out, err
}

// enqueueTimeout is what remains of ctx; 0, without a deadline, waits on.
func enqueueTimeout(ctx context.Context) time.Duration {
	if d, ok := ctx.Deadline(); ok {
		return max(time.Until(d), time.Millisecond)
	}
	return 0
}

// Close hands leadership over when this node leads others, waits until what was
// asked of raft is answered, stops the member and releases the directory. It waits
// for the state machine to finish what it is applying. Calling it again returns
// the same error.
func (n *Node) Close() error {
	n.closeOnce.Do(func() {
		n.HandOver()
		n.closeErr = n.release()
	})
	return n.closeErr
}

// successorPause is the wait between looks for a successor.
const successorPause = 5 * time.Millisecond

// StopBy says until when HandOver and Close may wait for others together. What they
// still have to do then, they do without waiting.
func (n *Node) StopBy(t time.Time) { n.stopBy.Store(t.UnixNano()) }

// within is what is left of a limit.
func (n *Node) within(limit time.Duration) time.Duration {
	if by := n.stopBy.Load(); by != 0 {
		return max(0, min(limit, time.Until(time.Unix(0, by))))
	}
	return limit
}

// HandOver is for a node that is about to stop: when it leads others it lets one
// of them lead, and returns when it has heard of its successor, or after
// Config.Handover. Close does it too.
func (n *Node) HandOver() { n.handOnce.Do(n.handOver) }

func (n *Node) handOver() {
	budget := n.within(n.cfg.Handover)
	if !n.IsLeader() || budget == 0 {
		return
	}
	peers, err := n.Peers()
	if err != nil || len(peers) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	if err := n.giveUp(ctx, peers); err != nil {
		n.cfg.Logger.Warn("raft: leadership not handed over; the others will elect after their timeout", "err", err)
		return
	}
	look := time.NewTicker(successorPause)
	defer look.Stop()
	for {
		if id, _ := n.Leader(); id != "" && id != n.cfg.NodeID {
			n.cfg.Logger.Info("raft: leadership handed over", "to", id, "term", n.Term())
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			n.cfg.Logger.Warn("raft: leadership given up, and no successor was heard of", "waited", budget)
			return
		}
	}
}

// giveUp hands over to the follower that raft picks: the first of those with the
// longest log, which may be one that no longer runs. Then, with what is left of the
// time, to one of the others, the last first.
func (n *Node) giveUp(ctx context.Context, peers []Peer) error {
	err := n.TransferLeadership(ctx)
	for i := len(peers) - 1; i >= 0 && err != nil && n.IsLeader() && ctx.Err() == nil; i-- {
		if p := peers[i]; p.ID != n.cfg.NodeID {
			n.cfg.Logger.Warn("raft: leadership not handed over yet; another follower is tried", "to", p.ID, "err", err)
			err = n.transferTo(ctx, p)
		}
	}
	if !n.IsLeader() { // it went over although no answer came
		return nil
	}
	return err
}

// transferTo waits for a transfer that is still being given up.
func (n *Node) transferTo(ctx context.Context, p Peer) error {
	for {
		err := n.ask(ctx, "transfer leadership to "+p.ID, func() raft.Future {
			return n.raft.LeadershipTransferToServer(raft.ServerID(p.ID), raft.ServerAddress(p.Addr))
		})
		if !errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return err
		}
		select {
		case <-time.After(successorPause):
		case <-ctx.Done():
			return err
		}
	}
}

// release undoes what open did, as far as it came.
func (n *Node) release() error {
	var errs []error
	if n.raft != nil {
		if limit := n.within(drainLimit); !n.requests.drain(limit) {
			n.cfg.Logger.Warn("raft: stops with requests that it did not answer; their outcome is unknown", "waited", limit)
		}
		errs = append(errs, n.raft.Shutdown().Error())
	}
	close(n.requests.down)
	close(n.stop)
	n.wg.Wait()
	if c, ok := n.trans.(raft.WithClose); ok {
		errs = append(errs, c.Close())
	}
	if n.verified != nil {
		errs = append(errs, n.verified.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}
