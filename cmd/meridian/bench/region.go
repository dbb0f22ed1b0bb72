package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"meridian/cmd/meridian/exitcode"
	"meridian/replication/identity"
	"meridian/replication/seal"
)

const (
	benchRegion = "bench"
	dataKeys    = "data.keys"
	// MemberCommand is the hidden command that runs RunMember.
	MemberCommand = "bench-member"

	throughputSubscribers = 20_000
	throughputFlight      = 8192
	offeredPerS           = 50_000
	snapshotPerS          = 5_000 // commands a second while a snapshot is written
)

// regionBench measures the replicated store: three processes for speed, one for a
// region of full size.
func regionBench(ctx context.Context, cfg Config) (_ []Result, err error) {
	dir, err := os.MkdirTemp("", "meridian-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	speed, err := regionSpeed(ctx, cfg, filepath.Join(dir, "speed"))
	if err != nil {
		return nil, err
	}
	failover, err := regionFailover(ctx, cfg, dir)
	if err != nil {
		return nil, err
	}
	size, err := regionSize(ctx, cfg, filepath.Join(dir, "size"))
	return slices.Concat(speed, failover, size), err
}

func regionSpeed(ctx context.Context, cfg Config, dir string) (_ []Result, err error) {
	r, err := openRegion(cfg, dir, 3, loadDimensions{Subscribers: throughputSubscribers, Sessions: throughputSubscribers}, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	lead, err := r.leader(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := lead.ask(request{Do: "fill"}); err != nil {
		return nil, err
	}
	var perS, p99, single []float64
	for run := range cfg.Runs + 1 { // the first one warms up
		closed, err := lead.ask(request{Do: "closed", InFlight: throughputFlight, Seconds: float64(cfg.RunSeconds)})
		if err != nil {
			return nil, err
		}
		open, err := lead.ask(request{Do: "open", PerS: offeredPerS, Seconds: float64(cfg.RunSeconds)})
		if err != nil {
			return nil, err
		}
		one, err := lead.ask(request{Do: "closed", InFlight: 1, Seconds: float64(cfg.RunSeconds)})
		if err != nil {
			return nil, err
		}
		if run > 0 {
			perS, p99, single = append(perS, closed.PerS), append(p99, open.P99MS), append(single, one.P50MS)
		}
	}
	note := "interims charged by the real state machine, 3 processes, one disk, " + machine()
	return []Result{
		newResult("region/commands_per_s", "1/s", fmt.Sprintf("closed loop, %d in flight; ", throughputFlight)+note, perS),
		newResult("region/p99_ms_at_50k", "ms", fmt.Sprintf("open loop, %d/s offered at the leader; ", offeredPerS)+note, p99),
		newResult("region/single_p50_ms", "ms", "one in flight; "+note, single),
	}, nil
}

func regionSize(ctx context.Context, cfg Config, dir string) (_ []Result, err error) {
	dim := loadDimensions{Subscribers: cfg.Subscribers, Sessions: cfg.Subscribers / 5}
	r, err := openRegion(cfg, dir, 1, dim, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	m, err := r.leader(ctx)
	if err != nil {
		return nil, err
	}
	filled, err := m.ask(request{Do: "fill"})
	if err != nil {
		return nil, err
	}
	var memory, stall, hold, quiet, snapshot, restart []float64
	for range cfg.Runs {
		before, err := m.ask(request{Do: "open", PerS: snapshotPerS, Seconds: float64(cfg.RunSeconds)})
		if err != nil {
			return nil, err
		}
		snap, err := m.ask(request{Do: "snapshot", PerS: snapshotPerS})
		if err != nil {
			return nil, err
		}
		took, err := r.restart(ctx, m)
		if err != nil {
			return nil, err
		}
		mem, err := m.ask(request{Do: "memory"})
		if err != nil {
			return nil, err
		}
		quiet, stall, hold, snapshot = append(quiet, before.GapMS), append(stall, snap.GapMS), append(hold, snap.Hold), append(snapshot, snap.TookS)
		restart, memory = append(restart, took.Seconds()), append(memory, mem.MiB)
	}
	note := fmt.Sprintf("%d subscribers, 2 buckets each, %d sessions, one process, %s", dim.Subscribers, dim.Sessions, machine())
	return []Result{
		newResult("region/mem_mib_1m", "MiB", "resident after a restart; "+note, memory),
		newResult("region/snapshot_s", "s", fmt.Sprintf("with %d commands/s; ", snapshotPerS)+note, snapshot),
		newResult("region/snapshot_stall_ms", "ms", fmt.Sprintf("longest time without an answer meanwhile, %d commands/s; ", snapshotPerS)+note, stall),
		newResult("region/snapshot_hold_ms", "ms", "longest time that it kept commands from the state; "+note, hold),
		newResult("region/quiet_stall_ms", "ms", "the same without a snapshot; "+note, quiet),
		newResult("region/restart_s", "s", "killed, started, first command acknowledged; "+note, restart),
		newResult("region/fill_s", "s", "feed and Starts through the log; "+note, []float64{filled.TookS}),
	}, nil
}

// memberRegion is a region of member processes.
type memberRegion struct {
	members []*memberProcess
}

// memberProcess is a member's process and the lines to and from it.
type memberProcess struct {
	spec memberSpec
	cmd  *exec.Cmd
	to   *json.Encoder
	from *json.Decoder
	end  func() error // closes its standard input
}

func openRegion(cfg Config, dir string, nodes int, dim loadDimensions, quiet bool) (_ *memberRegion, err error) {
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return nil, err
	}
	ca, err := identity.NewCA("meridian bench", time.Now(), 24*time.Hour)
	if err != nil {
		return nil, err
	}
	if _, err := seal.Generate(filepath.Join(keys, dataKeys)); err != nil {
		return nil, err
	}
	r := &memberRegion{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	var peers []memberAddrs
	for n := range nodes {
		a := memberAddrs{Node: fmt.Sprint("bench-", n+1)}
		for i, addr := range []*string{&a.Raft, &a.Forward} {
			*addr = net.JoinHostPort(fmt.Sprintf("%s.9.%d", cfg.Network, n+1), fmt.Sprint(7100+i))
		}
		peers = append(peers, a)
	}
	for _, p := range peers {
		bundle, err := ca.Issue(identity.Node(benchRegion, p.Node), time.Now(), 24*time.Hour)
		if err != nil {
			return nil, err
		}
		if err := bundle.Save(keys, p.Node); err != nil {
			return nil, err
		}
		m := &memberProcess{spec: memberSpec{Node: p.Node, Dir: filepath.Join(dir, p.Node), Keys: keys, Found: true, Peers: peers, Load: dim, Quiet: quiet}}
		if err := m.start(); err != nil {
			return nil, err
		}
		r.members = append(r.members, m)
	}
	return r, nil
}

func (m *memberProcess) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m.cmd = exec.Command(self, MemberCommand)
	m.cmd.Stderr = os.Stderr
	in, err := m.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return exitcode.Missing("start a member: %w", err)
	}
	m.to, m.from, m.end = json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out)), in.Close
	if err := m.to.Encode(m.spec); err != nil {
		return err
	}
	var opened reply
	if err := m.from.Decode(&opened); err != nil {
		return fmt.Errorf("member %s did not open: %w", m.spec.Node, err)
	}
	m.spec.Found = false
	return nil
}

// kill ends the process as a crash would.
func (m *memberProcess) kill() error {
	if err := m.cmd.Process.Kill(); err != nil {
		return err
	}
	_ = m.cmd.Wait() // says that it was killed
	return nil
}

func (m *memberProcess) ask(q request) (reply, error) {
	var a reply
	if err := m.to.Encode(q); err != nil {
		return a, fmt.Errorf("%s at %s: %w", q.Do, m.spec.Node, err)
	}
	if err := m.from.Decode(&a); err != nil {
		return a, fmt.Errorf("%s at %s: %w", q.Do, m.spec.Node, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s at %s: %s", q.Do, m.spec.Node, a.Error)
	}
	return a, nil
}

// leader waits until a member leads.
func (r *memberRegion) leader(ctx context.Context) (*memberProcess, error) {
	for {
		for _, m := range r.members {
			a, err := m.ask(request{Do: "leads"})
			if err != nil {
				return nil, err
			}
			if a.OK {
				return m, nil
			}
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// restart kills a region's only member and starts it; the result is how long it
// took until it served again.
func (r *memberRegion) restart(ctx context.Context, m *memberProcess) (time.Duration, error) {
	if err := m.kill(); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := m.start(); err != nil {
		return 0, err
	}
	if _, err := r.leader(ctx); err != nil {
		return 0, err
	}
	_, err := m.ask(request{Do: "serves"})
	return time.Since(began), err
}

func (r *memberRegion) close() error {
	var errs []error
	for _, m := range r.members {
		errs = append(errs, m.end(), m.cmd.Wait())
	}
	return errors.Join(errs...)
}
