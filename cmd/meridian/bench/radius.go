package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"meridian/cmd/meridian/plant"
	"meridian/cmd/meridian/traffic"
	"meridian/radius/radtest"
)

const (
	benchSubscribers = 1500
	loginWorkers     = 64  // of each NAS
	reportWorkers    = 192 // of each NAS; each has a session
)

// radiusBench drives a region of three processes in a closed loop.
func radiusBench(ctx context.Context, p *plant.Plant, cfg Config) ([]Result, error) {
	if err := p.StartNodes(); err != nil {
		return nil, err
	}
	if _, err := p.Leader(ctx); err != nil {
		return nil, err
	}
	if err := p.Provision(ctx, benchSubscribers, func(int64) {}); err != nil {
		return nil, err
	}
	if err := errors.Join(p.FeedApplied(ctx), p.PeriodsPaid(ctx)); err != nil {
		return nil, err
	}
	r := &region{plant: p, cfg: cfg}
	defer r.close()
	if err := r.openNAS(ctx); err != nil {
		return nil, err
	}
	note := "3 edge processes, all their CPU, " + machine()
	var out []Result
	for _, l := range []struct {
		name   string
		method radtest.Method
	}{{"radius/pap_cpu_us", radtest.PAP}, {"radius/chap_cpu_us", radtest.CHAP}, {"radius/mschapv2_cpu_us", radtest.MSCHAP2}} {
		cpu, _, err := r.repeat(ctx, loginWorkers, r.login(l.method))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
		out = append(out, newResult(l.name, "us", "a flat-rate login answered from the replica; "+note, cpu))
	}
	if err := r.openSessions(ctx); err != nil {
		return nil, err
	}
	cpu, rate, err := r.repeat(ctx, reportWorkers, r.interim)
	if err != nil {
		return nil, fmt.Errorf("interims: %w", err)
	}
	return append(out,
		newResult("radius/acct_interim_cpu_us", "us", "a metered interim committed on three disks and charged; "+note, cpu),
		newResult("radius/acct_per_s", "1/s", fmt.Sprintf("closed loop, %d in flight; ", len(r.nas)*reportWorkers)+note, rate)), nil
}

// region is the load on a running region.
type region struct {
	plant    *plant.Plant
	cfg      Config
	nas      []*radtest.NAS
	sessions [][]*meter // by NAS and worker
}

// meter is a session and what its counters read.
type meter struct {
	session *radtest.Session
	start   time.Time
	usage   radtest.Usage
}

func (r *region) close() {
	for _, n := range r.nas {
		_ = n.Close() // sockets of a client that is done
	}
}

func (r *region) openNAS(ctx context.Context) error {
	for _, n := range r.plant.Traffic().NAS {
		nas, err := newNAS(n, r.cfg)
		if err != nil {
			return err
		}
		if err := nas.Start(ctx); err != nil {
			return err
		}
		r.nas = append(r.nas, nas)
	}
	return nil
}

func newNAS(n traffic.NAS, cfg Config) (*radtest.NAS, error) {
	c := radtest.DefaultNASConfig()
	c.Identifier, c.Addr, c.Secret, c.DynAuth = n.ID, n.CoA.Addr(), []byte(plant.Secret), netip.AddrPort{}
	// One node each: what a fail-over would cost is not measured here.
	c.Auth, c.Acct, c.Timeout, c.Tries = n.Auth[:1], n.Acct[:1], 5*time.Second, 2
	return radtest.NewNAS(c, cfg.Logger)
}

// operation is one request of a worker at a NAS.
type operation func(ctx context.Context, nas, worker int) error

// repeat measures an operation in several runs: CPU in microseconds of all edge
// processes, and rate.
func (r *region) repeat(ctx context.Context, workers int, op operation) (cpuUS, perS []float64, err error) {
	for run := range r.cfg.Runs + 1 { // the first one warms up
		before, err := r.cpu()
		if err != nil {
			return nil, nil, err
		}
		began := time.Now()
		done, err := r.drive(ctx, workers, op)
		if err != nil {
			return nil, nil, err
		}
		took := time.Since(began)
		after, err := r.cpu()
		if err != nil {
			return nil, nil, err
		}
		if run > 0 {
			cpuUS = append(cpuUS, float64((after-before).Microseconds())/float64(done))
			perS = append(perS, float64(done)/took.Seconds())
		}
	}
	return cpuUS, perS, nil
}

// drive keeps all workers busy for one run and counts what was answered.
func (r *region) drive(ctx context.Context, workers int, op operation) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var done atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(r.cfg.duration())
	for nas := range r.nas {
		for worker := range workers {
			wg.Go(func() {
				for time.Now().Before(end) && ctx.Err() == nil {
					if err := op(ctx, nas, worker); err != nil {
						cancel(err)
						return
					}
					done.Add(1)
				}
			})
		}
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	if done.Load() == 0 {
		return 0, errors.New("nothing was answered")
	}
	return done.Load(), nil
}

// cpu is what the edge processes have used so far.
func (r *region) cpu() (time.Duration, error) {
	var sum time.Duration
	for n := 1; n <= r.plant.State.Nodes; n++ {
		pid := r.plant.NodePID(n)
		used, err := processCPU(pid)
		if err != nil {
			return 0, fmt.Errorf("CPU of %s: %w", r.plant.NodeID(n), err)
		}
		sum += used
	}
	return sum, nil
}

// login logs flat-rate subscribers in, each worker its own.
func (r *region) login(method radtest.Method) operation {
	return func(ctx context.Context, nas, worker int) error {
		who := plant.Person(3 * (nas*loginWorkers + worker + 1))
		_, err := r.nas[nas].Login(ctx, radtest.Login{User: who.Login(), Password: who.Password(), Method: method})
		return err
	}
}

// openSessions starts a metered session for each worker that reports.
func (r *region) openSessions(ctx context.Context) error {
	who := plant.Person(0)
	for _, n := range r.nas {
		var list []*meter
		for range reportWorkers {
			for who++; !who.Prepaid() || who.Poor(); who++ {
			}
			s, err := n.Login(ctx, radtest.Login{User: who.Login(), Password: who.Password()})
			if err != nil {
				return err
			}
			m := &meter{session: s, start: time.Now().Truncate(time.Second)}
			if err := s.Start(ctx, m.start); err != nil {
				return err
			}
			list = append(list, m)
		}
		r.sessions = append(r.sessions, list)
	}
	return nil
}

// interim reports a little more usage.
func (r *region) interim(ctx context.Context, nas, worker int) error {
	m := r.sessions[nas][worker]
	m.usage.In += 500
	m.usage.Out += 1500
	m.usage.SessionS = uint32(time.Since(m.start) / time.Second)
	return m.session.Interim(ctx, m.start.Add(time.Duration(m.usage.SessionS)*time.Second), m.usage)
}
