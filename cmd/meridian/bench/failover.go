package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"meridian/edge/store"
)

// regionFailover kills the leader again and again, and measures how long it takes
// until a follower has an accounting request acknowledged by the others.
func regionFailover(ctx context.Context, cfg Config, dir string) (_ []Result, err error) {
	r, err := openRegion(cfg, filepath.Join(dir, "failover"), 3, loadDimensions{Subscribers: throughputSubscribers, Sessions: throughputSubscribers}, true)
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
	var took []float64
	for range cfg.Failovers {
		if lead, err = r.leader(ctx); err != nil {
			return nil, err
		}
		next := r.members[(slices.Index(r.members, lead)+1)%len(r.members)]
		began := time.Now()
		if err := lead.kill(); err != nil {
			return nil, err
		}
		if _, err := next.ask(request{Do: "ack"}); err != nil {
			return nil, err
		}
		took = append(took, ms(time.Since(began)))
		if err := lead.start(); err != nil {
			return nil, err
		}
		if _, err := lead.ask(request{Do: "ack"}); err != nil { // it is in touch again
			return nil, err
		}
	}
	note := fmt.Sprintf("leader killed, until a follower has an accounting request acknowledged; 3 processes, one disk, %s", machine())
	p99 := newResult("region/failover_p99_ms", "ms", fmt.Sprintf("99th percentile of %d: ", len(took))+note, took)
	p99.Value = round(percentile(took, 0.99))
	return []Result{p99, newResult("region/failover_p50_ms", "ms", note, took)}, nil
}

// percentile is the smallest value that the share q of all does not pass.
func percentile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// ack has one interim acknowledged, however long the region has no leader.
func (c *commands) ack(ctx context.Context, s *store.Store) error {
	for {
		_, err := s.Do(ctx, c.upcoming())
		if !errors.Is(err, store.ErrTimeout) {
			return err
		}
	}
}
