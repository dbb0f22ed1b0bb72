// Package edge puts one node of a region together: replicated state, RADIUS,
// link to the centre, and the node's own HTTP.
//
// It owns the wiring and the node's periodic work (region time, mode, cuts after
// an outage). Rules live in edge/fsm, protocols in radius and replication.
package edge

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"meridian/edge/aaa"
	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/edge/store"
	"meridian/edge/uplink"
	"meridian/ops/alarm"
	"meridian/radius"
	"meridian/radius/coa"
	"meridian/replication/disk"
	"meridian/replication/forward"
	"meridian/replication/gossip"
	"meridian/replication/identity"
	"meridian/replication/link"
	"meridian/replication/raftnode"
)

// Node is one node of a region. New → Start → Close.
type Node struct {
	cfg    Config
	logger *slog.Logger

	birth    string           // see birthFile
	founders []forward.Member // see foundersFile

	disk    *disk.Layer
	store   *store.Store
	pool    *forward.Pool
	forward *forward.Server
	grpc    *grpc.Server
	gossip  *gossip.Gossip
	radius  *radius.Server
	aaa     *aaa.Handler
	effects *aaa.Effects
	coa     *coa.Client
	uplink  *uplink.Uplink
	link    *link.Client
	http    *http.Server
	httpLis net.Listener
	httpBy  time.Time       // until when Close waits for calls; zero: no deadline
	apiCert *apiCertificate // nil when the API is served in clear text

	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
	err    error

	clock fsm.TimeGuard

	mu       sync.Mutex
	linkLost time.Time     // when the link went away, zero while it is up
	led      uint64        // see ledTerm
	cutUntil time.Time     // cuts are proposed until the state has none older
	jumped   time.Duration // how far the clocks run ahead of what is plausible, 0 when they do not

	heads       comparing
	stopServing context.CancelFunc // ends what makes commands of packets and of time
	radiusOnce  sync.Once
	skews       map[string]time.Duration // other nodes' clocks minus this one's, while this node leads

	radiusLimits radius.Config
	expires      time.Time // of this node's certificate
	started      time.Time
	page         *template.Template

	alarms   *alarm.Board
	watching []watched
	rise     alarm.Rise // of watch's goroutine
}

// New opens the node's data and ports; nothing is served before Start.
func New(cfg Config) (_ *Node, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	expires, err := cfg.Identity.Expires()
	if err != nil {
		return nil, err
	}
	n := &Node{expires: expires, started: time.Now(), cfg: cfg, logger: cfg.Logger.With("region", cfg.Region, "node", cfg.Node)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.closeRADIUS(), n.release(), n.closeBook())
		}
	}()
	if err := n.openReplication(); err != nil {
		return nil, err
	}
	if err := n.openLink(); err != nil {
		return nil, err
	}
	if err := n.openRADIUS(); err != nil {
		return nil, err
	}
	if err := n.openAlarms(); err != nil {
		return nil, err
	}
	return n, n.openHTTP()
}

// ErrNoState: the node's directory is empty and it was not told to found or join.
var ErrNoState = errors.New("edge: no state in the node's directory")

// mayStart refuses to bring an empty member back: the others count on what it
// acknowledged before.
func (n *Node) mayStart() error {
	has, err := raftnode.HasState(n.cfg.Dir)
	if err != nil || has || n.cfg.Start != Resume {
		return err
	}
	return fmt.Errorf("%w %s: Settle decides what to do; to be told, start it with --found together with all peers of a new region, or with --join "+
		"after the leader was told to remove it (meridian ctl edge remove %s), and add it again (meridian ctl edge add %s)",
		ErrNoState, n.cfg.Dir, n.cfg.Node, n.cfg.Node)
}

func (n *Node) openReplication() error {
	if err := n.mayStart(); err != nil {
		return err
	}
	var err error
	if n.disk, err = n.cfg.diskLayer(); err != nil {
		return err
	}
	if err := n.openHeads(); err != nil {
		return err
	}
	fc, err := n.cfg.forwardConfig()
	if err != nil {
		return err
	}
	fc.Logger = n.logger
	if n.pool, err = forward.NewPool(fc); err != nil {
		return err
	}
	gc := n.cfg.gossipConfig()
	gc.Logger = n.logger
	sc := store.DefaultConfig()
	sc.Raft.Cluster = n.cfg.Cluster
	sc.Raft.NodeID, sc.Raft.Region, sc.Raft.Dir, sc.Raft.Bind = n.cfg.Node, n.cfg.Region, n.cfg.Dir, n.cfg.Raft
	sc.Raft.TLS, sc.Raft.Logger = fc.TLS, n.logger
	sc.Raft.SnapshotThreshold = n.cfg.SnapshotEntries
	sc.Raft.Log = n.cfg.RaftLog
	sc.Layer, sc.Level = n.disk, n.cfg.level
	if sc.Raft.AtLeast, err = n.reached(); err != nil {
		return err
	}
	sc.Ring, sc.Logger, sc.Found = n.cfg.DataRing, n.logger, n.cfg.Start == Found
	if err := n.readLife(&sc); err != nil {
		return err
	}
	if n.gossip, err = gossip.New(gc); err != nil {
		return err
	}
	if n.store, err = store.Open(sc, n.pool, n.forwardAddress); err != nil {
		return err
	}
	if n.forward, err = forward.NewServer(fc, n.store, n.status); err != nil {
		return err
	}
	n.forward.AnswerHeads(n.answerHeads)
	n.grpc = grpc.NewServer(fc.GRPCOptions()...)
	n.forward.Register(n.grpc)
	return nil
}

// readLife tells who founds the region: those that settled it, or, when the node was
// told to found, all peers.
func (n *Node) readLife(sc *store.Config) (err error) {
	if n.founders, err = readFounders(n.cfg.Dir); err != nil {
		return err
	}
	if birth, err := os.ReadFile(filepath.Join(n.cfg.Dir, birthFile)); err == nil {
		n.birth = strings.TrimSpace(string(birth))
	}
	for _, p := range n.cfg.Peers {
		sc.Peers = append(sc.Peers, raftnode.Peer{ID: p.ID, Addr: p.Raft})
	}
	if len(n.founders) == 0 {
		return nil
	}
	sc.Found, sc.Peers = true, nil // it does nothing once there is a log
	for _, f := range n.founders {
		sc.Peers = append(sc.Peers, raftnode.Peer{ID: f.Node, Addr: f.Raft})
	}
	return nil
}

func (n *Node) openLink() error {
	tlsConfig, err := n.cfg.Identity.TLS(identity.TheCentre())
	if err != nil {
		return err
	}
	n.uplink = uplink.New(n.cfg.Region, n.cfg.Node, n.cfg.Version, n.store, n.ledTerm, n.now, n.logger)
	n.uplink.CarryHeads(n.heads.book)
	lc := link.DefaultClientConfig()
	lc.Region, lc.Node, lc.Addresses, lc.TLS = n.cfg.Region, n.cfg.Node, n.cfg.Centre, tlsConfig
	lc.Cluster, lc.LineRate = n.cfg.Cluster, n.cfg.LinkRate
	lc.SoftwareVersion, lc.Logger = n.cfg.Version, n.logger
	n.link, err = link.NewClient(lc, n.uplink, n.uplink)
	return err
}

// ledTerm is the newest raft term in which this node is known to have led. A leader
// that is just being deposed has the term of its successor already: with that one
// it would claim the successor's place at the centre.
func (n *Node) ledTerm() uint64 {
	term := n.store.Raft().Term()
	n.mu.Lock()
	defer n.mu.Unlock()
	// Raft leaves the lead before it takes a newer term, so a node that leads
	// after the term was read leads in that term.
	if n.store.IsLeader() {
		n.led = max(n.led, term)
	}
	return n.led
}

// forwardAddress finds where a member takes commands: as it tells by gossip, or
// as it was configured.
func (n *Node) forwardAddress(id string) (string, bool) {
	if m, ok := n.gossip.Member(id); ok && m.ForwardAddr != "" {
		return m.ForwardAddr, true
	}
	for _, p := range n.cfg.Peers {
		if p.ID == id {
			return p.Forward, true
		}
	}
	return "", false
}

func (n *Node) status() forward.Status {
	r := n.store.Raft()
	st := forward.Status{
		Node: n.cfg.Node, Clock: n.now(), Term: r.Term(), AppliedIndex: r.AppliedIndex(), Leader: r.IsLeader(),
		Level: n.cfg.level, Birth: n.birth, Founders: n.founders, DataKeys: n.keyNames(),
	}
	if members, err := r.Servers(); err == nil { // else raft is stopping: it knows of none
		for _, m := range members {
			st.Members = append(st.Members, forward.Member{Node: m.ID, Raft: m.Addr, Voter: m.Voter})
		}
	}
	return st
}

// Start serves. ctx's end stops the node's own work at once, RADIUS included, and
// nobody is handed over to: to stop in order, call Close and leave ctx alone. Close
// is needed in either case.
func (n *Node) Start(ctx context.Context) error {
	ctx, n.cancel = context.WithCancel(ctx)
	serving, stopServing := context.WithCancel(ctx)
	n.stopServing = stopServing
	lis, err := net.Listen("tcp", n.cfg.Forward)
	if err != nil {
		return fmt.Errorf("edge: listen for other nodes: %w", err)
	}
	n.wg.Go(func() { n.served("forward", n.grpc.Serve(lis)) })
	n.wg.Go(func() { n.served("http", n.serveHTTP()) })
	if err := n.gossip.Start(ctx); err != nil {
		return err
	}
	for _, start := range []func(context.Context) error{n.aaa.Start, n.coa.Start, n.effects.Start, n.radius.Start} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	n.wg.Go(func() { n.refresh(ctx) })
	n.wg.Go(func() { n.watch(ctx) })
	n.wg.Go(func() { n.lead(serving) })
	n.wg.Go(func() { n.compareHeads(ctx) })
	return nil
}

func (n *Node) served(what string, err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) {
		n.logger.Error("server ended", "server", what, "error", err)
	}
}

// deadlines are until when the steps of Close may wait for others, in their order.
type deadlines struct{ radius, http, store, gossip time.Time }

// shares divides the time to stop: each step waits for its own limit or until its part
// of the time is over, whichever comes first. What is left is for closing files.
func shares(now time.Time, all time.Duration) deadlines {
	part := func(eighths time.Duration) time.Time { return now.Add(all / 8 * eighths) }
	return deadlines{radius: part(4), http: part(5), store: part(6), gossip: part(7)}
}

// stopBy gives the steps of Close their shares of ShutdownTimeout.
func (n *Node) stopBy(now time.Time) {
	d := shares(now, n.cfg.ShutdownTimeout)
	n.radius.StopBy(d.radius)
	n.httpBy = d.http
	n.store.StopBy(d.store)
	n.gossip.StopBy(d.gossip)
}

// Close hands leadership over while the node still serves, then stops taking
// packets, answers those it has and stops. Nothing that was acknowledged is lost.
func (n *Node) Close() error {
	n.once.Do(func() {
		n.stopBy(time.Now())
		n.store.Raft().HandOver()
		n.err = n.closeRADIUS()
		n.logger.Info("RADIUS closed", "in_flight", n.radius.Stats().InFlight)
		if n.cancel != nil {
			n.cancel()
		}
		n.err = errors.Join(n.err, n.release())
		n.wg.Wait()
		n.err = errors.Join(n.err, n.closeBook())
	})
	return n.err
}

func (n *Node) release() error {
	var err error
	if n.http != nil {
		by := time.Now().Add(time.Second)
		if !n.httpBy.IsZero() && n.httpBy.Before(by) {
			by = n.httpBy
		}
		ctx, cancel := context.WithDeadline(context.Background(), by)
		if n.http.Shutdown(ctx) != nil { // a call takes longer than we have
			err = n.http.Close()
		}
		cancel()
	}
	if n.httpLis != nil {
		n.httpLis.Close() // a second close of a served listener tells nothing new
	}
	if n.store != nil {
		err = errors.Join(err, n.store.Close())
	}
	if n.forward != nil {
		err = errors.Join(err, n.forward.Close())
		n.grpc.Stop()
	}
	if n.pool != nil {
		err = errors.Join(err, n.pool.Close())
	}
	if n.gossip != nil {
		err = errors.Join(err, n.gossip.Close())
	}
	return err
}

// refresh rebuilds what RADIUS keeps of the registry whenever the feed moved.
func (n *Node) refresh(ctx context.Context) {
	var seen uint64
	for {
		changed := n.store.Changed()
		if now := n.store.FeedChanges(); now != seen {
			seen = now
			n.aaa.Refresh()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// lead does the leader's work while this node leads.
func (n *Node) lead(ctx context.Context) {
	leading := n.store.Raft().Leadership()
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case is, open := <-leading:
			stop()
			stop = func() {}
			if !open { // the disk failed: there will be another member
				n.pause(ctx, retryPause)
				leading = n.store.Raft().Leadership()
			}
			if is {
				stop = n.reign(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

// reign begins the leader's work and returns what ends it.
func (n *Node) reign(ctx context.Context) (stop func()) {
	n.logger.Info("this node leads the region")
	ctx, cancel := context.WithCancel(ctx)
	n.mu.Lock()
	n.linkLost = time.Now()
	n.mu.Unlock()
	var work sync.WaitGroup
	work.Go(func() {
		n.catchUp(ctx)
		n.found(ctx)
		work.Go(func() { n.runLink(ctx) })
		n.tick(ctx)
	})
	return func() {
		cancel()
		work.Wait()
		n.mu.Lock()
		n.skews = nil
		n.mu.Unlock()
	}
}

// catchUp waits until this replica has applied all that earlier leaders committed:
// what it tells the centre must not be older than what they told.
func (n *Node) catchUp(ctx context.Context) {
	for ctx.Err() == nil && n.store.Raft().Barrier(ctx) != nil {
		n.pause(ctx, retryPause)
	}
}

// retryPause is the wait between tries while the region settles.
const retryPause = 20 * time.Millisecond

func (n *Node) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (n *Node) runLink(ctx context.Context) {
	if err := n.link.Run(ctx); err != nil && ctx.Err() == nil {
		n.logger.Error("link ended", "error", err)
	}
}

func (n *Node) meta() command.Meta {
	return command.Meta{At: n.now().UnixMicro(), Node: n.cfg.Node}
}

// now is what this node says that the time is.
func (n *Node) now() time.Time { return n.shifted(time.Now()) }

// shifted is an instant of the machine's clock by this node's.
func (n *Node) shifted(at time.Time) time.Time {
	if n.cfg.ClockOffset == nil {
		return at
	}
	return at.Add(n.cfg.ClockOffset())
}

// found gives a new region its policy: Configure founds it and carries what it
// carried in the first version, the rest follows.
func (n *Node) found(ctx context.Context) {
	for ctx.Err() == nil {
		var configured bool
		n.store.View(func(s *fsm.State) { configured = s.Configured })
		if configured {
			return
		}
		_, err := n.store.Do(ctx, &command.Configure{Meta: n.meta(), Region: n.cfg.Region, Policy: n.cfg.Policy})
		if err == nil {
			_, err = n.store.Do(ctx, &command.SetPolicy{Meta: n.meta(), Policy: n.cfg.Policy})
		}
		if err != nil && ctx.Err() == nil {
			n.logger.Warn("found the region", "error", err)
			n.pause(ctx, n.cfg.TickEach)
		}
	}
}
