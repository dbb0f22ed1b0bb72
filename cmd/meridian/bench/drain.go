package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/plant"
	"meridian/radius/attr"
	"meridian/radius/radtest"
)

const (
	// entryBytes is what an entry takes on this disk for a while: in log and segments of
	// three nodes, in the centre's store with its indices, and once more in the store's own log.
	entryBytes = 4096
	drainWait  = time.Hour
	authPerS   = 200 // authorizations offered while their latency is measured
)

// diskFits refuses a backlog for which the disk is too small.
func diskFits(dir string, entries int) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return exitcode.Missing("room in %s: %w", dir, err)
	}
	free, need := int64(fs.Bavail)*fs.Bsize, int64(entries)*entryBytes
	if free < need {
		return exitcode.Missing("a backlog of %d entries needs %d MiB in %s, %d MiB are free: set TMPDIR to a larger disk, or give a smaller --backlog", entries, need>>20, dir, free>>20)
	}
	return nil
}

// drainBench cuts a region off until it has a backlog, and measures how fast that is
// taken in and what it does to authorizations, beside what the centre can take in.
func drainBench(ctx context.Context, cfg Config) ([]Result, error) {
	if err := diskFits(os.TempDir(), cfg.Backlog); err != nil {
		return nil, err
	}
	ingest, err := inPlant(centreBench)(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return inPlant(func(ctx context.Context, p *plant.Plant, cfg Config) ([]Result, error) {
		return drain(ctx, p, cfg, ingest[0].Value)
	})(ctx, cfg)
}

func drain(ctx context.Context, p *plant.Plant, cfg Config, ingestPerS float64) ([]Result, error) {
	r := &region{plant: p, cfg: cfg}
	defer r.close()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	quiet, err := r.authorizations(ctx, time.After(cfg.duration()))
	if err != nil {
		return nil, err
	}
	if err := p.KillCentre(); err != nil {
		return nil, err
	}
	if err := r.pile(ctx, uint64(cfg.Backlog)); err != nil {
		return nil, err
	}
	if err := p.StartCentre(ctx); err != nil {
		return nil, err
	}
	drained := make(chan time.Time)
	var perS float64
	var failed error
	go func() {
		defer close(drained)
		perS, failed = r.drained(ctx)
	}()
	meanwhile, err := r.authorizations(ctx, drained)
	<-drained
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	note := fmt.Sprintf("a backlog of %d entries, 3 edge processes, %s, %s", cfg.Backlog, p.StoreKind(), machine())
	return []Result{
		newResult("region/drain_per_s", "entries/s", note, []float64{perS}),
		newResult("region/drain_ratio", "1", fmt.Sprintf("of what the centre takes in alone, %.0f entries/s; ", ingestPerS)+note, []float64{perS / ingestPerS}),
		newResult("region/auth_p99_ms_quiet", "ms", fmt.Sprintf("%d authorizations/s offered; ", authPerS)+note, []float64{quiet}),
		newResult("region/auth_p99_ms_drain", "ms", "the same while the backlog is drained; "+note, []float64{meanwhile}),
	}, nil
}

// open starts the region's nodes, its subscribers and its NAS.
func (r *region) open(ctx context.Context) error {
	p := r.plant
	if err := p.StartNodes(); err != nil {
		return err
	}
	if _, err := p.Leader(ctx); err != nil {
		return err
	}
	if err := p.Provision(ctx, benchSubscribers, func(int64) {}); err != nil {
		return err
	}
	if err := errors.Join(p.FeedApplied(ctx), p.PeriodsPaid(ctx)); err != nil {
		return err
	}
	return r.openNAS(ctx)
}

// pile ends sessions until so many entries wait for the centre.
func (r *region) pile(ctx context.Context, entries uint64) error {
	for {
		waiting, err := r.backlog(ctx)
		if err != nil || waiting >= entries {
			return err
		}
		if _, err := r.drive(ctx, loginWorkers, r.shortSession); err != nil {
			return err
		}
	}
}

// shortSession is a metered session of a worker's own subscriber, with usage.
func (r *region) shortSession(ctx context.Context, nas, worker int) error {
	who := plant.Person(3*(nas*loginWorkers+worker+1) - 1)
	s, err := r.nas[nas].Login(ctx, radtest.Login{User: who.Login(), Password: who.Password()})
	if err != nil {
		return err
	}
	at := time.Now().Truncate(time.Second)
	u := radtest.Usage{In: 1000, Out: 4000, SessionS: 1}
	return errors.Join(s.Start(ctx, at), s.Stop(ctx, at.Add(time.Second), u, attr.CauseUserRequest))
}

// backlog is what waits at the leader.
func (r *region) backlog(ctx context.Context) (uint64, error) {
	n, err := r.plant.Leader(ctx)
	if err != nil {
		return 0, err
	}
	s, err := r.plant.Nodes[n-1].Status(ctx)
	return s.Backlog, err
}

// drained waits until nothing waits any more, and returns the entries a second from
// the moment at which the first was seen to be taken in.
func (r *region) drained(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, drainWait)
	defer cancel()
	var most, left uint64
	var began time.Time
	err := apiclient.Await(ctx, func(ctx context.Context) (err error) {
		if left, err = r.backlog(ctx); err != nil {
			return err
		}
		if left >= most {
			most, began = left, time.Now()
		}
		if left*100 > most { // the traffic that is measured meanwhile leaves some
			return fmt.Errorf("%d of %d entries wait for the centre", left, most)
		}
		return nil
	})
	return float64(most-left) / time.Since(began).Seconds(), err
}

// authorizations offers logins of flat-rate subscribers at a steady rate until end and
// returns the 99th percentile of what they took from when they were due, milliseconds.
func (r *region) authorizations(ctx context.Context, end <-chan time.Time) (float64, error) {
	var mu sync.Mutex
	var took []float64
	var failed error
	var wg sync.WaitGroup
	login := r.login(radtest.PAP)
	due := time.NewTicker(time.Second / authPerS)
	defer due.Stop()
	for n, over := 0, false; !over; n++ {
		select {
		case at := <-due.C:
			wg.Go(func() {
				err := login(ctx, n%len(r.nas), n/len(r.nas)%loginWorkers)
				mu.Lock()
				defer mu.Unlock()
				took, failed = append(took, ms(time.Since(at))), errors.Join(failed, err)
			})
		case <-end:
			over = true
		case <-ctx.Done():
			over = true
		}
	}
	wg.Wait()
	if failed != nil || len(took) == 0 {
		return 0, errors.Join(failed, ctx.Err(), errors.New("authorizations failed while they were measured"))
	}
	slices.Sort(took)
	return percentile(took, 0.99), nil
}
