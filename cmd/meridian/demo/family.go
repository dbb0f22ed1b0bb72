package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/plant"
	"meridian/cmd/meridian/traffic"
	"meridian/edge/fsm"
	"meridian/internal/verify"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

// What the family pays in, and its offering's figures, which the story holds the
// region to.
const (
	familyDeposit = "20.00"
	familyFee     = 5_000_000 // micro-units: half of the price of one line
	familyBundle  = 10_000_000
	familyPool    = 4_000_000
	familyShare   = 2_000_000 // of the pool, at most, of one line
	slowBps       = 1_000_000
	slowOctets    = 2 * slowBps / 8 // both directions, in a second
)

// familyLine is one of the family's lines and what it counts, octets in all, a second
// after the other at full speed.
type familyLine struct {
	subscription string
	octets       []uint64
	throttled    time.Time
	counted      uint64
}

// family is an account with two lines.
type family struct {
	account string
	lines   []*familyLine
}

// familyJoins makes the family while the centre is there, one anew for each run.
func (d *demo) familyJoins(ctx context.Context) error {
	run := strconv.FormatInt(d.began.UnixMilli(), 36)
	f := &family{account: "family-" + run, lines: []*familyLine{
		{subscription: "parent-" + run, octets: []uint64{4_000_000, 8_000_000, 12_500_000}},
		{subscription: "child-" + run, octets: []uint64{4_000_000, 8_000_000, 11_000_000}},
	}}
	d.family = f
	for i, l := range f.lines {
		s := apiclient.Subscriber{
			CustomerID: f.account, Name: "Family", AccountID: f.account, Currency: plant.Currency, SubscriptionID: l.subscription,
			Home: plant.Region, Login: l.subscription, Password: "pw-" + l.subscription, Offering: plant.OfferingFamily,
		}
		var err error
		if i == 0 {
			s.Deposit = familyDeposit
			err = d.plant.Centre.Subscribe(ctx, "demo-"+f.account, []apiclient.Subscriber{s})
		} else {
			err = d.plant.Centre.AddSubscription(ctx, "demo-"+l.subscription, s)
		}
		if err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	return apiclient.Await(wait, func(ctx context.Context) error {
		views, err := d.familyAtEdge(ctx)
		if err != nil {
			return err
		}
		given, spent, bundles := int64(0), int64(0), 0
		for _, v := range views {
			switch {
			case v.Allowance == "":
				spent += v.Spent
			case v.Subscription != "" && v.Available == familyBundle:
				bundles++
			default:
				given += v.Available
			}
		}
		if bundles != 2 || given != familyPool || spent != 2*familyFee {
			return fmt.Errorf("the region gave the family %d bundles and a pool of %d octets and charged it %d micro-units: 2, %d and %d are its offering's", bundles, given, spent, familyPool, 2*familyFee)
		}
		d.out.line("  a family of two lines: each was given a bundle of 10 MB, both a pool of 4 MB (2 MB for each at most); two fees of 10.00 cost 5.00 each by a promotion")
		return nil
	})
}

// familyAtEdge is what a node that answers knows of the family's buckets.
func (d *demo) familyAtEdge(ctx context.Context) ([]fsm.AccountView, error) {
	n, err := d.plant.Leader(ctx)
	if err != nil {
		return nil, err
	}
	return d.plant.Nodes[n-1].EdgeAccount(ctx, d.family.account)
}

// familyThrottled lets both lines use up their bundles while the region is cut off.
func (d *demo) familyThrottled(ctx context.Context) (err error) {
	slowed := make(chan vendor.Profile, 4)
	nas, err := d.familyNAS(slowed)
	if err != nil {
		return err
	}
	if err := nas.Start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nas.Close()) }()
	for _, l := range d.family.lines {
		if err := d.familyVisit(ctx, nas, l, slowed); err != nil {
			return fmt.Errorf("line %s: %w", l.subscription, err)
		}
	}
	return d.familyPaid(ctx)
}

func (d *demo) familyNAS(slowed chan<- vendor.Profile) (*radtest.NAS, error) {
	p := d.plant
	n := p.State.Nodes + 1
	c := radtest.DefaultNASConfig()
	c.Identifier, c.Addr, c.DynAuth, c.Secret = p.NASID(n), p.NASCoA(n).Addr(), p.NASCoA(n), []byte(plant.Secret)
	for k := 1; k <= p.State.Nodes; k++ {
		c.Auth, c.Acct = append(c.Auth, p.Auth(k)), append(c.Acct, p.Acct(k))
	}
	c.OnSent = func(r radtest.Record) { d.witness.Note(verify.WitnessRecord{Sent: traffic.Line(r)}) }
	c.OnCoA = func(_ *radtest.Session, l attr.List) {
		if got, err := vendor.Decode(vendor.Generic, l); err == nil && got.UpBps > 0 {
			select {
			case slowed <- got:
			default: // more than were asked for: the story looks at the first
			}
		}
	}
	return radtest.NewNAS(c, d.cfg.Logger)
}

// familyVisit is one session: at full speed until the bundle is used up, then,
// when the NAS has been told, for a second at the slow speed.
func (d *demo) familyVisit(ctx context.Context, nas *radtest.NAS, l *familyLine, slowed <-chan vendor.Profile) error {
	s, err := nas.Login(ctx, radtest.Login{User: l.subscription, Password: "pw-" + l.subscription, SessionID: l.subscription})
	if err != nil {
		return err
	}
	start := time.Now().Truncate(time.Second)
	send := func(status attr.AcctStatus, second int, octets uint64) error {
		at := start.Add(time.Duration(second) * time.Second)
		if err := pause(ctx, time.Until(at)); err != nil {
			return err
		}
		ev := radtest.Event{Session: s, Status: status, At: at, Usage: radtest.Usage{SessionS: uint32(second), In: octets / 5, Out: octets - octets/5}}
		if err := nas.Send(ctx, ev, radtest.Delivery{}); err != nil {
			return err
		}
		r := radtest.Record{NAS: d.plant.NASID(d.plant.State.Nodes + 1), SessionID: s.ID, Status: status, At: at, Usage: ev.Usage}
		return d.witness.Record(verify.WitnessRecord{Acked: traffic.Line(r)})
	}
	if err := send(attr.AcctStart, 0, 0); err != nil {
		return err
	}
	for i, octets := range l.octets {
		if err := send(attr.AcctInterim, i+1, octets); err != nil {
			return err
		}
	}
	wait, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	select {
	case got := <-slowed:
		if got.UpBps != slowBps || got.DownBps != slowBps {
			return fmt.Errorf("the NAS was told %d bit/s up and %d down: %d is the slow profile's", got.UpBps, got.DownBps, slowBps)
		}
	case <-wait.Done():
		return fmt.Errorf("the bundle is used up and the NAS was told of no other speed: %w", wait.Err())
	}
	l.throttled = time.Now()
	l.counted = l.octets[len(l.octets)-1] + slowOctets
	d.out.line("  %s: %s logged in at %s/%s Mbit/s; its bundle is used up, and the NAS acknowledged a CoA to 1/1 Mbit/s",
		l.throttled.UTC().Format("15:04:05"), l.subscription, megabits(s.Profile.UpBps), megabits(s.Profile.DownBps))
	return send(attr.AcctStop, int(time.Since(start)/time.Second)+1, l.counted)
}

func megabits(bps int64) string { return strconv.FormatInt(bps/1_000_000, 10) }

// familyPaid tells what paid for the family's usage: bundles first, then the pool,
// for each line up to its share.
func (d *demo) familyPaid(ctx context.Context) error {
	views, err := d.familyAtEdge(ctx)
	if err != nil {
		return err
	}
	want, total := map[string]int64{}, int64(0)
	for _, l := range d.family.lines {
		want[l.subscription] = min(int64(l.counted)-familyBundle, familyShare)
		total += want[l.subscription]
	}
	for _, v := range views {
		switch {
		case v.Allowance == "":
		case v.Subscription != "" && v.Available != 0:
			return fmt.Errorf("%d octets of the bundle of %s are left: the pool pays after it", v.Available, v.Subscription)
		case v.Subscription == "":
			if v.Available != familyPool-total || len(v.Children) != len(want) {
				return fmt.Errorf("%d octets of the pool are left after %v: %d must be", v.Available, v.Children, familyPool-total)
			}
			for _, c := range v.Children {
				if c.Used != want[c.Subscription] {
					return fmt.Errorf("the pool paid %d octets for %s: %d must be", c.Used, c.Subscription, want[c.Subscription])
				}
				d.out.line("  the family's pool paid %d octets for %s", c.Used, c.Subscription)
			}
			d.out.line("  and has %d octets left", v.Available)
		}
	}
	return nil
}

// familyStatement prints the family's statement, with what the thresholds raised.
func (d *demo) familyStatement(ctx context.Context) error {
	s, err := d.plant.Centre.Statement(ctx, d.family.account)
	if err != nil {
		return err
	}
	notices := 0
	for _, l := range s.Lines {
		if l.Kind == "notice" {
			notices++
		}
	}
	if notices != len(d.family.lines) {
		return fmt.Errorf("the statement of %s has %d notices: %d lines used four fifths of their bundles", s.Account, notices, len(d.family.lines))
	}
	return d.printStatement(&s)
}
