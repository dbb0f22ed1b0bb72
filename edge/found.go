package edge

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"meridian/replication/disk"
	"meridian/replication/forward"
	"meridian/replication/gossip"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
)

const (
	// birthFile names the life of an empty directory; a directory that was lost and
	// made anew has another.
	birthFile = "birth"
	// foundersFile lists who founded the region, and in which life of its directory.
	foundersFile = "founders"
	// settleEach is how often a node that waits asks the others.
	settleEach = 250 * time.Millisecond
	// sayEach is how often it says what it waits for.
	sayEach = 10 * time.Second
)

// ErrStillMember: the region counts on what this node's lost directory had
// acknowledged.
var ErrStillMember = errors.New("edge: the region still counts this node among its members")

// Settle decides what a node does that has no state and was not told: it founds the
// region together with all peers, once all of them are there, have no state and name
// the same peers; or it joins a region that has a leader and does not know it. It
// refuses to come back empty as a member of a region that counts on it. The answer
// is cfg with Start set; a node that has state, or was told, gets cfg back.
//
// What must be exact is asked over mutual TLS: gossip only helps to find addresses.
func Settle(ctx context.Context, cfg Config) (Config, error) {
	if err := cfg.Validate(); err != nil {
		return cfg, err
	}
	has, err := raftnode.HasState(cfg.Dir)
	if err != nil || has || cfg.Start != Resume {
		return cfg, err
	}
	layer, err := cfg.diskLayer()
	if err != nil {
		return cfg, err
	}
	w, err := newWaiting(cfg, layer)
	if err != nil {
		return cfg, err
	}
	start, founders, err := w.settle(ctx)
	if err = errors.Join(err, w.close()); err != nil {
		return cfg, err
	}
	if start == Found {
		data, err := json.Marshal(founders)
		if err == nil {
			err = layer.Replace(filepath.Join(cfg.Dir, foundersFile), data)
		}
		if err != nil {
			return cfg, err
		}
	}
	cfg.Start = start
	return cfg, nil
}

// waiting is a node without state: it tells the others that it waits, and asks them.
type waiting struct {
	cfg    Config
	birth  string
	pool   *forward.Pool
	server *forward.Server
	grpc   *grpc.Server
	served chan error
	gossip *gossip.Gossip
}

// refusesAll is the log of a node that has none.
type refusesAll struct{}

// ProposeBatch implements forward.Proposer.
func (refusesAll) ProposeBatch(_ context.Context, cmds [][]byte) []forward.Result {
	return forward.Same(len(cmds), forward.Result{Code: forward.CodeUnavailable, Detail: "this node has no state yet"})
}

func newWaiting(cfg Config, layer *disk.Layer) (_ *waiting, err error) {
	w := &waiting{cfg: cfg, served: make(chan error, 1)}
	if w.birth, err = bornAs(cfg.Dir, layer); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	fc, err := cfg.forwardConfig()
	if err != nil {
		return nil, err
	}
	if w.pool, err = forward.NewPool(fc); err != nil {
		return nil, err
	}
	if w.server, err = forward.NewServer(fc, refusesAll{}, w.status); err != nil {
		return nil, err
	}
	if w.gossip, err = gossip.New(cfg.gossipConfig()); err != nil {
		return nil, err
	}
	lis, err := net.Listen("tcp", cfg.Forward)
	if err != nil {
		return nil, fmt.Errorf("edge: listen for other nodes: %w", err)
	}
	w.grpc = grpc.NewServer(fc.GRPCOptions()...)
	w.server.Register(w.grpc)
	go func() { w.served <- w.grpc.Serve(lis) }()
	return w, nil
}

func (w *waiting) close() error {
	var errs []error
	if w.server != nil {
		errs = append(errs, w.server.Close())
	}
	if w.grpc != nil {
		w.grpc.Stop()
		<-w.served
	}
	if w.pool != nil {
		errs = append(errs, w.pool.Close())
	}
	if w.gossip != nil {
		errs = append(errs, w.gossip.Close())
	}
	return errors.Join(errs...)
}

func (w *waiting) status() forward.Status {
	return forward.Status{Node: w.cfg.Node, Clock: time.Now(), Level: w.cfg.level, Waiting: true, Birth: w.birth, Members: w.peers(nil)}
}

// peers are the configured ones, by name, with the births that they told.
func (w *waiting) peers(births map[string]string) []forward.Member {
	out := make([]forward.Member, 0, len(w.cfg.Peers))
	for _, p := range w.cfg.Peers {
		out = append(out, forward.Member{Node: p.ID, Raft: p.Raft, Voter: true, Birth: births[p.ID]})
	}
	slices.SortFunc(out, func(a, b forward.Member) int { return cmp.Compare(a.Node, b.Node) })
	return out
}

func (w *waiting) settle(ctx context.Context) (Start, []forward.Member, error) {
	if err := w.gossip.Start(ctx); err != nil {
		return Resume, nil, err
	}
	t := time.NewTicker(settleEach)
	defer t.Stop()
	var said time.Time
	for {
		start, founders, why, err := w.judge(w.ask(ctx))
		if err != nil || start != Resume {
			return start, founders, err
		}
		if time.Since(said) >= sayEach {
			said = time.Now()
			w.cfg.Logger.Info("this node has no state and waits", "for", why)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return Resume, nil, fmt.Errorf("edge: no state, and waited for %s: %w", why, ctx.Err())
		}
	}
}

// ask asks the peers, and whom gossip sees besides.
func (w *waiting) ask(ctx context.Context) map[string]forward.Status {
	ctx, cancel := context.WithTimeout(ctx, headsTimeout)
	defer cancel()
	addrs := map[string]string{}
	for _, p := range w.cfg.Peers {
		addrs[p.ID] = p.Forward
	}
	for _, m := range w.gossip.Members() {
		if m.ForwardAddr != "" {
			addrs[m.ID] = m.ForwardAddr
		}
	}
	delete(addrs, w.cfg.Node)
	out := map[string]forward.Status{w.cfg.Node: w.status()}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for id, addr := range addrs {
		wg.Go(func() {
			if st, err := w.pool.Status(ctx, addr); err == nil && st.Node == id {
				mu.Lock()
				defer mu.Unlock()
				out[id] = st
			}
		})
	}
	wg.Wait()
	return out
}

// judge decides by what was answered. While it cannot, why says what it waits for.
//
// A node that founded lists this node with this life of its directory: then this
// node never acknowledged anything and takes its place. Whether the region counts on
// it otherwise only a leader can tell: another node's list may be old.
func (w *waiting) judge(seen map[string]forward.Status) (start Start, founders []forward.Member, why string, err error) {
	running := ""
	for _, id := range sortedIDs(seen) {
		st := seen[id]
		if st.Waiting {
			continue
		}
		running = id
		for _, f := range st.Founders {
			if f.Node == w.cfg.Node && f.Birth == w.birth {
				return Found, st.Founders, "", nil
			}
		}
		if !st.Leader {
			continue
		}
		if slices.ContainsFunc(st.Members, func(m forward.Member) bool { return m.Node == w.cfg.Node }) {
			return Resume, nil, "", fmt.Errorf("%w: %s has no state, and %s, which leads, lists node %s: if its disk was lost, remove it from the region "+
				"(meridian ctl edge remove %s), start it again, and add it (meridian ctl edge add %s)", ErrStillMember, w.cfg.Dir, id, w.cfg.Node, w.cfg.Node, w.cfg.Node)
		}
		return Join, nil, "", nil
	}
	if running != "" {
		return Resume, nil, "a leader of the region: " + running + " runs and does not lead", nil
	}
	own, births := w.peers(nil), map[string]string{}
	var missing []string
	for _, p := range own {
		st, answers := seen[p.Node]
		switch {
		case !answers:
			missing = append(missing, p.Node)
		case !slices.Equal(st.Members, own):
			return Resume, nil, "the same peers in the configuration of " + p.Node + " as in this node's", nil
		}
		births[p.Node] = st.Birth
	}
	if len(missing) > 0 {
		return Resume, nil, "all peers: " + strings.Join(missing, ", ") + " do not answer", nil
	}
	return Found, w.peers(births), "", nil
}

func sortedIDs(m map[string]forward.Status) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// bornAs reads the name of this life of the directory, or begins one.
func bornAs(dir string, layer *disk.Layer) (string, error) {
	path := filepath.Join(dir, birthFile)
	data, err := os.ReadFile(path)
	if name := strings.TrimSpace(string(data)); err == nil && name != "" {
		return name, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("edge: %w", err)
	}
	name := hex.EncodeToString(randomOctets(16))
	return name, layer.Replace(path, []byte(name+"\n"))
}

func randomOctets(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails, see crypto/rand
	return b
}

// readFounders reads who founded the region; nil when it was founded otherwise.
func readFounders(dir string) (founders []forward.Member, err error) {
	data, err := os.ReadFile(filepath.Join(dir, foundersFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &founders)
	}
	if err != nil {
		return nil, fmt.Errorf("edge: %s: %w; restore it from another copy of the directory", filepath.Join(dir, foundersFile), err)
	}
	return founders, nil
}

// diskLayer is what changes files in the node's directory, which is made when it is
// missing.
func (c *Config) diskLayer() (*disk.Layer, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("edge: %w", err)
	}
	dc := c.Disk
	dc.Dir = c.Dir
	return disk.New(dc)
}

// party is this node's installation and versions.
func (c *Config) party() identity.Party {
	return identity.Party{Cluster: c.Cluster, Min: minProtocol, Max: maxProtocol, Software: c.Version}
}

func (c *Config) forwardConfig() (forward.Config, error) {
	fc := forward.DefaultConfig()
	tlsConfig, err := c.Identity.TLS(identity.NodesOf(c.Region))
	fc.Region, fc.Party, fc.TLS, fc.Logger = c.Region, c.party(), tlsConfig, c.Logger
	return fc, err
}

func (c *Config) gossipConfig() gossip.Config {
	gc := gossip.DefaultConfig()
	gc.Party = c.party()
	gc.NodeID, gc.Region, gc.Bind, gc.Key, gc.Logger = c.Node, c.Region, c.Gossip, c.GossipKey, c.Logger
	gc.RaftAddr, gc.ForwardAddr, gc.HTTPAddr, gc.Software = c.Raft, c.Forward, c.HTTP, c.Version
	gc.HTTPS = c.HTTPCertFile != ""
	for _, p := range c.Peers {
		if p.ID != c.Node {
			gc.Join = append(gc.Join, p.Gossip)
		}
	}
	return gc
}
