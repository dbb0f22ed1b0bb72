package plant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"meridian/central/embedded"
	"meridian/cmd/meridian/apiclient"
)

// How long parts may take to come up and to end.
const (
	readyTimeout = 60 * time.Second
	patience     = 10 * time.Second
)

// Config says what plant to run.
type Config struct {
	Layout
	StoreURL string // a store of somebody else's; empty: an embedded one
	Logger   *slog.Logger
}

// Plant is a running system. Open → StartStore → StartCentre → StartNodes →
// Close. Its methods are called from one goroutine, Close also from another.
type Plant struct {
	State
	Relay  *Relay
	Centre *apiclient.Client
	Nodes  []*apiclient.Client
	Token  string

	cfg    Config
	binary string
	unlock func()
	store  *embedded.Store

	mu     sync.Mutex
	centre *Process
	nodes  []*Process
	once   sync.Once
	err    error
}

// Open takes the directory, checks the addresses and makes what is missing of
// keys and files. Nothing is started but the link's relay.
func Open(ctx context.Context, cfg Config) (_ *Plant, err error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory %q: %w", cfg.Dir, err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory: %w", err)
	}
	p := &Plant{cfg: cfg}
	if p.unlock, err = Lock(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.binary, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	if err := p.recall(); err != nil {
		return nil, err
	}
	p.nodes = make([]*Process, p.State.Nodes)
	if err := p.FreePorts(ctx); err != nil {
		return nil, err
	}
	if err := p.makeKeys(time.Now()); err != nil {
		return nil, err
	}
	if err := p.writeConfigs(); err != nil {
		return nil, err
	}
	token, err := os.ReadFile(p.TokenFile())
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	p.Token = strings.TrimSpace(string(token))
	p.Centre = apiclient.New(p.CentreHTTP(), p.Token)
	for n := 1; n <= p.State.Nodes; n++ {
		p.Nodes = append(p.Nodes, apiclient.New(p.NodeHTTP(n), p.Token))
	}
	p.Relay, err = NewRelay(context.WithoutCancel(ctx), p.RelayLink(), p.CentreLink())
	return p, err
}

// recall takes up what the directory remembers; a region's members, their
// addresses and the kind of store cannot be changed by starting it differently.
// What was not asked for is as before, or the default.
func (p *Plant) recall() error {
	before, err := LoadState(p.cfg.Dir)
	if errors.Is(err, ErrNoPlant) {
		p.State = State{Layout: p.cfg.Layout, ExternalStore: p.cfg.StoreURL != ""}
		if p.Network == "" {
			p.Network = DefaultNetwork
		}
		if p.State.Nodes == 0 {
			p.State.Nodes = DefaultNodes
		}
		if err := p.Validate(); err != nil {
			return err
		}
		return p.Save()
	}
	if err != nil {
		return err
	}
	var faults []error
	if p.cfg.Nodes != 0 && p.cfg.Nodes != before.Nodes {
		faults = append(faults, fmt.Errorf("%s holds a region of %d nodes, %d were asked for: use --nodes %d or another --dir", p.cfg.Dir, before.Nodes, p.cfg.Nodes, before.Nodes))
	}
	if p.cfg.Network != "" && p.cfg.Network != before.Network {
		faults = append(faults, fmt.Errorf("%s holds a region on network %s, %s was asked for: use --network %s or another --dir", p.cfg.Dir, before.Network, p.cfg.Network, before.Network))
	}
	if before.ExternalStore != (p.cfg.StoreURL != "") {
		faults = append(faults, fmt.Errorf("%s was made with another kind of store: give --store-url as then, or another --dir", p.cfg.Dir))
	}
	p.State = before
	return errors.Join(faults...)
}

// Fresh tells whether nothing was provisioned in the directory before.
func (p *Plant) Fresh() bool { return p.Subscribers == 0 }

// StartStore brings the store up, or uses the one that was named.
func (p *Plant) StartStore(ctx context.Context) error {
	storeURL := p.cfg.StoreURL
	if storeURL == "" {
		s, err := StartStore(ctx, p.State, p.cfg.Logger)
		if err != nil {
			return err
		}
		p.store, storeURL = s, s.URL()
	}
	return replaceFile(p.StoreURLFile(), []byte(storeURL+"\n"))
}

// StartStore starts a directory's embedded store.
func StartStore(ctx context.Context, s State, log *slog.Logger) (*embedded.Store, error) {
	cfg := embedded.DefaultConfig()
	cfg.Dir, cfg.Log = s.StoreDir(), log
	return embedded.Start(ctx, cfg)
}

// StorePID is the main process of the embedded store, 0 when there is none.
func (p *Plant) StorePID() int {
	if p.store == nil {
		return 0
	}
	return p.store.PID()
}

// StoreKind names the store.
func (p *Plant) StoreKind() string {
	if p.store == nil {
		return "the store of --store-url"
	}
	return "embedded " + p.store.Kind()
}

// ReadStoreURL reads the connection string that a directory remembers: do not
// log it.
func ReadStoreURL(s State) (string, error) {
	data, err := os.ReadFile(s.StoreURLFile())
	if err != nil {
		return "", fmt.Errorf("read the store's address: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// StartCentre starts the centre and waits until it is ready.
func (p *Plant) StartCentre(ctx context.Context) error {
	proc, err := launch(p.binary, "centre", p.logFile("centre"), "central", "--config", p.CentreConfig())
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.centre = proc
	p.mu.Unlock()
	return p.ready(ctx, proc, p.Centre)
}

// KillCentre ends the centre with SIGKILL.
func (p *Plant) KillCentre() error {
	p.mu.Lock()
	proc := p.centre
	p.mu.Unlock()
	if proc == nil {
		return nil
	}
	return proc.Kill()
}

// StartNodes starts all nodes, which found the region unless it was founded
// before; Leader waits until they have agreed on one.
func (p *Plant) StartNodes() error {
	var found []string
	if !p.State.Founded {
		found = []string{"--found"}
	}
	for n := 1; n <= p.State.Nodes; n++ {
		if err := p.StartNode(n, found...); err != nil {
			return err
		}
	}
	return nil
}

// Founded remembers that every node has its place in the region: from now on one
// that comes without its state is refused.
func (p *Plant) Founded() error {
	p.State.Founded = true
	return p.Save()
}

// StartNode starts the n-th node, from 1.
func (p *Plant) StartNode(n int, flags ...string) error {
	id := p.NodeID(n)
	proc, err := launch(p.binary, id, p.logFile(id), append([]string{"edge", "--config", p.NodeConfig(n)}, flags...)...)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.nodes[n-1] = proc
	p.mu.Unlock()
	return nil
}

// KillNode ends the n-th node with SIGKILL.
func (p *Plant) KillNode(n int) error {
	p.mu.Lock()
	proc := p.nodes[n-1]
	p.mu.Unlock()
	if proc == nil {
		return nil
	}
	return proc.Kill()
}

// NodePID is the process of the n-th node, 0 when it does not run.
func (p *Plant) NodePID(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if proc := p.nodes[n-1]; proc != nil && !proc.Exited() {
		return proc.PID
	}
	return 0
}

// Ended returns a process that has ended by itself, or nil.
func (p *Plant) Ended() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, proc := range append([]*Process{p.centre}, p.nodes...) {
		if proc != nil && proc.failed() {
			return proc.ending()
		}
	}
	return nil
}

// ready waits until a server says that it is, or its process ends.
func (p *Plant) ready(ctx context.Context, proc *Process, c *apiclient.Client) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	go func() {
		select {
		case <-proc.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	err := apiclient.Await(ctx, c.Ready)
	if err != nil && proc.Exited() {
		return proc.ending()
	}
	if err != nil {
		return fmt.Errorf("%s is not ready: %w: see %s", proc.Name, err, proc.log)
	}
	return nil
}

// Leader waits until the nodes have a leader and returns its number, from 1.
func (p *Plant) Leader(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	leader := 0
	err := apiclient.Await(ctx, func(ctx context.Context) error {
		if err := p.Ended(); err != nil {
			cancel() // waiting longer helps nobody
			return err
		}
		for i, n := range p.Nodes {
			if s, err := n.Status(ctx); err == nil && s.Role == "leader" {
				leader = i + 1
				return nil
			}
		}
		return errors.New("no node leads the region")
	})
	return leader, err
}

// Close stops nodes, centre, relay and store, in this order, and gives the
// directory free. What this plant did not start is left alone.
func (p *Plant) Close() error {
	p.once.Do(func() {
		var faults []error
		p.mu.Lock()
		nodes, centre := p.nodes, p.centre
		p.mu.Unlock()
		ended := make([]error, len(nodes))
		var wg sync.WaitGroup
		for i, proc := range nodes {
			if proc != nil {
				wg.Go(func() { ended[i] = proc.Stop(patience) })
			}
		}
		wg.Wait()
		faults = append(faults, ended...)
		if centre != nil {
			faults = append(faults, centre.Stop(patience))
		}
		if p.Relay != nil {
			faults = append(faults, p.Relay.Close())
		}
		if p.store != nil {
			faults = append(faults, p.store.Close())
		}
		if p.unlock != nil {
			p.unlock()
		}
		p.err = errors.Join(faults...)
	})
	return p.err
}

// Remove deletes the directory of a closed plant.
func (p *Plant) Remove() error {
	if err := os.RemoveAll(p.cfg.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the demo's directory: %w", err)
	}
	return nil
}
