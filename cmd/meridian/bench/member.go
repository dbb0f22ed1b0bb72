package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"

	"meridian/edge/store"
	"meridian/replication/forward"
	"meridian/replication/identity"
	"meridian/replication/raftnode"
	"meridian/replication/seal"
)

// memberSpec is what a member's process is told first: who it is. Its keys lie in
// Keys: NAME.crt, NAME.key, ca.crt and data.keys.
type memberSpec struct {
	Node  string         `json:"node"`
	Dir   string         `json:"dir"`
	Keys  string         `json:"keys"`
	Found bool           `json:"found"`
	Peers []memberAddrs  `json:"peers"`
	Load  loadDimensions `json:"load"`
	Quiet bool           `json:"quiet,omitempty"` // logs nothing: that others are gone is what is measured
}

type memberAddrs struct {
	Node    string `json:"node"`
	Raft    string `json:"raft"`
	Forward string `json:"forward"`
}

// request is what the bench asks of a member's process, one JSON object a line;
// each is answered by one.
type request struct {
	Do       string  `json:"do"` // leads, fill, closed, open, ack, snapshot, memory, serves
	InFlight int     `json:"in_flight,omitempty"`
	PerS     float64 `json:"per_s,omitempty"`
	Seconds  float64 `json:"seconds,omitempty"`
}

type reply struct {
	Error string  `json:"error,omitempty"`
	OK    bool    `json:"ok,omitempty"`
	PerS  float64 `json:"per_s,omitempty"`
	P50MS float64 `json:"p50_ms,omitempty"`
	P99MS float64 `json:"p99_ms,omitempty"`
	GapMS float64 `json:"gap_ms,omitempty"` // longest time without any answer
	TookS float64 `json:"took_s,omitempty"`
	MiB   float64 `json:"mib,omitempty"`
	Hold  float64 `json:"hold_ms,omitempty"` // longest time that a snapshot kept commands from the state
}

// RunMember is the process of one member of a region that is measured: the
// replicated store and the load on it, without RADIUS.
func RunMember(ctx context.Context, in io.Reader, out io.Writer, logger *slog.Logger) error {
	lines, answers := json.NewDecoder(in), json.NewEncoder(out)
	var spec memberSpec
	if err := lines.Decode(&spec); err != nil {
		return fmt.Errorf("read who this member is: %w", err)
	}
	if spec.Quiet {
		logger = slog.New(slog.DiscardHandler)
	}
	m, err := openMember(spec, logger)
	if err != nil {
		return err
	}
	err = answers.Encode(reply{OK: true})
	for err == nil {
		var q request
		if err = lines.Decode(&q); err != nil {
			break
		}
		a, failed := m.answer(ctx, q)
		if failed != nil {
			a.Error = failed.Error()
		}
		err = answers.Encode(a)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, m.close())
}

type regionMember struct {
	store *store.Store
	pool  *forward.Pool
	srv   *forward.Server
	grpc  *grpc.Server
	load  *commands
}

func openMember(spec memberSpec, logger *slog.Logger) (_ *regionMember, err error) {
	bundle, err := identity.LoadBundle(filepath.Join(spec.Keys, spec.Node+".crt"), filepath.Join(spec.Keys, spec.Node+".key"), filepath.Join(spec.Keys, "ca.crt"))
	if err != nil {
		return nil, err
	}
	tlsConfig, err := bundle.TLS(identity.NodesOf(benchRegion))
	if err != nil {
		return nil, err
	}
	ring, err := seal.LoadRing(filepath.Join(spec.Keys, dataKeys))
	if err != nil {
		return nil, err
	}
	fc := forward.DefaultConfig()
	fc.Region, fc.TLS, fc.Logger = benchRegion, tlsConfig, logger
	m := &regionMember{load: newCommands(spec.Load, spec.Node)}
	if m.pool, err = forward.NewPool(fc); err != nil {
		return nil, err
	}
	cfg := store.DefaultConfig()
	cfg.Raft.NodeID, cfg.Raft.Region, cfg.Raft.Dir = spec.Node, benchRegion, spec.Dir
	cfg.Raft.TLS, cfg.Raft.Logger, cfg.Ring, cfg.Logger = tlsConfig, logger, ring, logger
	cfg.Raft.SnapshotThreshold = 1 << 40 // a snapshot is made when it is asked for
	cfg.Found = spec.Found
	forwards := map[string]string{}
	for _, p := range spec.Peers {
		cfg.Peers = append(cfg.Peers, raftnode.Peer{ID: p.Node, Addr: p.Raft})
		forwards[p.Node] = p.Forward
		if p.Node == spec.Node {
			cfg.Raft.Bind = p.Raft
		}
	}
	if m.store, err = store.Open(cfg, m.pool, func(id string) (string, bool) { a, ok := forwards[id]; return a, ok }); err != nil {
		return nil, err
	}
	if m.srv, err = forward.NewServer(fc, m.store, func() forward.Status { return forward.Status{Node: spec.Node} }); err != nil {
		return nil, err
	}
	m.grpc = grpc.NewServer(fc.GRPCOptions()...)
	m.srv.Register(m.grpc)
	lis, err := net.Listen("tcp", forwards[spec.Node])
	if err != nil {
		return nil, err
	}
	go m.grpc.Serve(lis) // ends with Stop
	return m, nil
}

func (m *regionMember) close() error {
	err := errors.Join(m.store.Close(), m.srv.Close(), m.pool.Close())
	m.grpc.Stop()
	return err
}

func (m *regionMember) answer(ctx context.Context, q request) (reply, error) {
	switch q.Do {
	case "leads":
		return reply{OK: m.store.IsLeader()}, nil
	case "fill":
		began := time.Now()
		err := m.load.fill(ctx, m.store)
		return reply{TookS: time.Since(began).Seconds()}, err
	case "closed":
		return m.load.closed(m.store, q.InFlight, seconds(q.Seconds))
	case "open":
		return m.load.open(m.store, q.PerS, seconds(q.Seconds), nil)
	case "snapshot":
		return m.snapshot(ctx, q)
	case "memory":
		return m.memory()
	case "ack":
		return reply{OK: true}, m.load.ack(ctx, m.store)
	case "serves": // a command goes through
		_, err := m.load.open(m.store, 1, time.Second, nil)
		return reply{OK: err == nil}, err
	}
	return reply{}, fmt.Errorf("request %q is not known", q.Do)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// snapshot writes one while commands come at a steady rate.
func (m *regionMember) snapshot(ctx context.Context, q request) (reply, error) {
	done := make(chan struct{})
	var took time.Duration
	var failed error
	go func() {
		defer close(done)
		began := time.Now()
		failed = m.store.Snapshot(ctx)
		took = time.Since(began)
	}()
	a, err := m.load.open(m.store, q.PerS, 10*time.Minute, done)
	a.TookS, a.Hold = took.Seconds(), ms(m.store.Stats().SnapshotHold)
	return a, errors.Join(err, failed)
}

// memory is what the process holds, after what it can give back was given back.
func (m *regionMember) memory() (reply, error) {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return reply{}, err
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			return reply{MiB: kib / 1024}, err
		}
	}
	return reply{}, errors.New("/proc/self/status has no VmRSS")
}
