package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/plant"
	"meridian/edge"
	"meridian/internal/verify"
)

// How long the story waits for what must happen.
const (
	failoverTimeout = 30 * time.Second
	drainTimeout    = 5 * time.Minute
)

// Phases besides those that internal/verify knows by name.
const (
	phaseOnline  = "online"
	phaseDrained = "drained"
)

func (d *demo) story(ctx context.Context) error {
	if err := d.startTraffic(ctx); err != nil {
		return err
	}
	for _, p := range []struct {
		name, what string
		during     func(context.Context) error
	}{
		{phaseOnline, "subscribers log in and use the service", d.familyJoins},
		{verify.PhaseLinkCut, "the link is a black hole; the centre lives, takes payments and changes a price", d.linkCut},
		{verify.PhaseCentreKilled, "the centre is killed too", d.centreKilled},
		{verify.PhaseLeaderKilled, "the leader is killed in mid-traffic, later started again", d.leaderKilled},
		{phaseDrained, "centre and link are back; traffic goes on, then ends", d.drained},
	} {
		if err := d.phase(ctx, p.name, p.what, p.during); err != nil {
			return fmt.Errorf("phase %s: %w", p.name, err)
		}
	}
	if err := d.accountsAddUp(ctx); err != nil {
		return err
	}
	return d.audit(ctx)
}

// phase runs traffic for the set time, and longer when what happens meanwhile
// takes longer.
func (d *demo) phase(ctx context.Context, name, what string, during func(context.Context) error) error {
	d.out.line("%s: %s", name, what)
	if err := d.traffic.Phase(name); err != nil {
		return err
	}
	before, began := d.traffic.Counters(), time.Now()
	stop := d.out.watch(func() string {
		c := d.traffic.Counters().Minus(before)
		return fmt.Sprintf("  %5.1f s  auth %d ok %d rejected  acct %d acked %d given up%s", time.Since(began).Seconds(), c.AuthOK, c.AuthReject, c.AcctAcked, c.AcctTimeouts, d.regionLine(ctx))
	})
	var err error
	if during != nil {
		err = during(ctx)
	}
	if err == nil {
		err = pause(ctx, time.Until(began.Add(time.Duration(d.cfg.PhaseSeconds)*time.Second)))
	}
	if err == nil && name == phaseDrained {
		err = d.endTraffic(ctx)
	}
	stop()
	took, c := time.Since(began), d.traffic.Counters().Minus(before)
	p := newPhase(name, took, c)
	d.report.Phases = append(d.report.Phases, p)
	d.out.line("  %.1f s: %d logins (%.0f/s, %d rejected), %d reports acknowledged (%.0f/s, %d given up), %d at their limit, %d disconnected, %d fail-overs",
		p.Seconds, p.AuthOK, p.AuthPerS, p.AuthReject, p.AcctAcked, p.AcctPerS, p.AcctTimeouts, c.LimitStops, c.Disconnected, c.Failovers)
	return errors.Join(err, d.traffic.Err())
}

// regionLine is the region's part of the live line.
func (d *demo) regionLine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	for _, n := range d.plant.Nodes {
		if s, err := n.Status(ctx); err == nil && s.Role == "leader" {
			return fmt.Sprintf("  [%s leads, %s, backlog %d, %d online]", s.Node, s.Mode, s.Backlog, s.Live.Open)
		}
	}
	return "  [no leader answers]"
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leader is the leading node and what it says.
func (d *demo) leader(ctx context.Context) (int, edge.Status, error) {
	n, err := d.plant.Leader(ctx)
	if err != nil {
		return 0, edge.Status{}, err
	}
	s, err := d.plant.Nodes[n-1].Status(ctx)
	return n, s, err
}

func (d *demo) linkCut(ctx context.Context) error {
	d.plant.Relay.Cut()
	if err := d.payments(ctx); err != nil {
		return err
	}
	price, err := d.changePrice(ctx)
	if err != nil {
		return err
	}
	d.out.line("  the centre took %d payments and published %s", len(d.paid), price)
	wait, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	err = apiclient.Await(wait, func(ctx context.Context) error {
		_, s, err := d.leader(ctx)
		if err == nil && s.LinkConnected {
			err = errors.New("the region has not noticed that the link is gone")
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.familyThrottled(ctx)
}

func (d *demo) centreKilled(context.Context) error { return d.plant.KillCentre() }

func (d *demo) leaderKilled(ctx context.Context) error {
	// Let the phase have begun: the leader dies in the midst of traffic.
	if err := pause(ctx, time.Duration(d.cfg.PhaseSeconds)*time.Second/4); err != nil {
		return err
	}
	n, _, err := d.leader(ctx)
	if err != nil {
		return err
	}
	d.traffic.WatchAck()
	if err := d.plant.KillNode(n); err != nil {
		return err
	}
	if d.plant.State.Nodes == 1 { // nobody else can answer
		if err := d.plant.StartNode(n); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	err = apiclient.Await(wait, func(context.Context) error {
		if _, ok := d.traffic.FirstAck(); !ok {
			return fmt.Errorf("nothing was acknowledged since the leader %s was killed", d.plant.NodeID(n))
		}
		return nil
	})
	if err != nil {
		return err
	}
	gap, _ := d.traffic.FirstAck()
	d.report.FailoverSeconds = round(gap.Seconds())
	next, _, err := d.leader(ctx)
	if err != nil {
		return err
	}
	d.out.line("  %s was killed; %s leads; the next acknowledgement came after %.2f s", d.plant.NodeID(n), d.plant.NodeID(next), gap.Seconds())
	return d.bringBack(ctx, n)
}

// bringBack starts a dead node and waits until it has what the leader has now.
func (d *demo) bringBack(ctx context.Context, n int) error {
	if d.plant.NodePID(n) == 0 {
		if err := d.plant.StartNode(n); err != nil {
			return err
		}
	}
	_, leader, err := d.leader(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	err = apiclient.Await(ctx, func(ctx context.Context) error {
		s, err := d.plant.Nodes[n-1].Status(ctx)
		if err == nil && s.Applied < leader.Applied {
			err = fmt.Errorf("%s has applied %d of %d", s.Node, s.Applied, leader.Applied)
		}
		return err
	})
	if err == nil {
		d.out.line("  %s is back and has caught up after %.2f s", d.plant.NodeID(n), time.Since(began).Seconds())
	}
	return err
}

// drained brings centre and link back and waits until the centre has all that
// the region had written by then, and the region all that the centre had.
func (d *demo) drained(ctx context.Context) error {
	if err := d.plant.StartCentre(ctx); err != nil {
		return err
	}
	_, at, err := d.leader(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	d.plant.Relay.Restore()
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	err = apiclient.Await(ctx, func(ctx context.Context) error {
		_, s, err := d.leader(ctx)
		if err == nil && s.Acked < at.Seq {
			err = fmt.Errorf("the centre has %d of %d entries", s.Acked, at.Seq)
		}
		return err
	})
	if err != nil {
		return err
	}
	d.report.DrainSeconds = round(time.Since(began).Seconds())
	d.out.line("  %d entries drained in %.2f s", at.Seq-at.Acked, d.report.DrainSeconds)
	return d.plant.FeedApplied(ctx)
}

// endTraffic ends all sessions and waits until the centre has everything.
func (d *demo) endTraffic(ctx context.Context) error {
	if err := d.traffic.Stop(); err != nil {
		return err
	}
	return d.quiet(ctx)
}

// quiet waits until nothing is uncut and nothing on the way.
func (d *demo) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := d.plant.FeedApplied(ctx); err != nil {
		return err
	}
	return apiclient.Await(ctx, func(ctx context.Context) error {
		n, _, err := d.leader(ctx)
		if err != nil {
			return err
		}
		if err := d.plant.Nodes[n-1].Cut(ctx); err != nil {
			return err
		}
		s, err := d.plant.Nodes[n-1].Status(ctx)
		if err == nil && s.Backlog > 0 {
			err = fmt.Errorf("%d entries wait for the centre", s.Backlog)
		}
		return err
	})
}

// personsToPay are accounts that hardly had anything.
func (d *demo) personsToPay(most int) []plant.Person {
	var out []plant.Person
	for n := plant.Person(1); int(n) <= d.plant.Subscribers && len(out) < most; n++ {
		if n.Poor() {
			out = append(out, n)
		}
	}
	return out
}
