package demo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"meridian/central/embedded"
	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/plant"
	"meridian/cmd/meridian/traffic"
	"meridian/cmd/meridian/witness"
)

// setUp starts everything and waits until the region serves its subscribers.
func (d *demo) setUp(ctx context.Context) error {
	layout := plant.Layout{Dir: d.cfg.Dir, Network: d.cfg.Network, Nodes: d.cfg.Nodes}
	p, err := plant.Open(ctx, plant.Config{Layout: layout, StoreURL: d.cfg.StoreURL, Logger: d.cfg.Logger})
	if errors.Is(err, plant.ErrPortTaken) || errors.Is(err, plant.ErrRunning) {
		return exitcode.Missing("%w", err)
	}
	if err != nil {
		return exitcode.Misuse("%w", err)
	}
	d.plant = p
	d.out.line("Meridian %s in %s: store, centre, %d edge nodes, each a process of its own", d.cfg.Version, p.Dir, p.State.Nodes)
	err = d.step("store", func() (string, error) {
		err := p.StartStore(ctx)
		return p.StoreKind(), err
	})
	if errors.Is(err, embedded.ErrNotInstalled) {
		return exitcode.Missing("%w", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(
		d.step("centre", func() (string, error) { return "http://" + p.CentreHTTP(), p.StartCentre(ctx) }),
		d.step("catalog", func() (string, error) { return "offerings from YAML, a region, its NAS", p.Found(ctx) }),
		d.step("edge nodes", func() (string, error) { return d.startNodes(ctx) }),
		d.provision(ctx),
		d.step("feed", func() (string, error) {
			if err := p.FeedApplied(ctx); err != nil {
				return "", err
			}
			return "every node has every subscriber; leases are granted", p.Founded()
		}),
		d.step("periods", func() (string, error) { return "the edge has charged the flat rates", p.PeriodsPaid(ctx) }),
	)
}

// step does one thing and prints how long it took.
func (d *demo) step(name string, do func() (string, error)) error {
	if d.failed {
		return nil
	}
	began := time.Now()
	what, err := do()
	if err != nil {
		d.failed = true
		return fmt.Errorf("%s: %w", name, err)
	}
	d.out.line("  %-12s %-58s %6.2f s", name, what, time.Since(began).Seconds())
	return nil
}

func (d *demo) startNodes(ctx context.Context) (string, error) {
	if err := d.plant.StartNodes(); err != nil {
		return "", err
	}
	n, err := d.plant.Leader(ctx)
	return d.plant.NodeID(n) + " leads the region, mutual TLS", err
}

// provision makes subscribers with live figures.
func (d *demo) provision(ctx context.Context) error {
	if d.failed || d.plant.Subscribers >= d.cfg.Subscribers {
		return nil
	}
	return d.step("subscribers", func() (string, error) {
		var made atomic.Int64
		stop := d.out.watch(func() string { return fmt.Sprintf("  subscribers  %d of %d", made.Load(), d.cfg.Subscribers) })
		defer stop()
		err := d.plant.Provision(ctx, d.cfg.Subscribers, made.Store)
		return fmt.Sprintf("%d with accounts and deposits", d.plant.Subscribers), err
	})
}

// startTraffic opens the witness and brings subscribers online.
func (d *demo) startTraffic(ctx context.Context) error {
	var err error
	if d.witness, err = witness.Open(d.cfg.Witness); err != nil {
		return err
	}
	c := d.plant.Traffic()
	c.Sessions, c.Witness, c.Logger = d.cfg.Sessions, d.witness, d.cfg.Logger
	if d.traffic, err = traffic.New(c); err != nil {
		return err
	}
	return d.traffic.Start(ctx)
}
