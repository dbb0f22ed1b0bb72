package plant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/audit"
	"meridian/deploy/catalog"
)

const (
	batchMax       = 500 // subscribers of one request
	batchesAtOnce  = 4
	appliedTimeout = 5 * time.Minute
)

// ConsoleNAS is the registry id of this machine itself, so that radclient can be
// used from a shell.
const ConsoleNAS = "console"

// OfferingYAML is the text of one of the plant's offerings.
func OfferingYAML(id string) (string, error) {
	data, err := catalog.Demo.ReadFile("demo/" + id + ".yaml")
	if err != nil {
		return "", fmt.Errorf("offering %s: %w", id, err)
	}
	return string(data), nil
}

// Found makes region, offerings and NAS at the centre. What was made by an
// earlier start is left as it is: every request has its own key for ever.
func (p *Plant) Found(ctx context.Context) error {
	if err := p.Centre.CreateRegion(ctx, "demo-region", Region); err != nil {
		return err
	}
	files, err := fs.Glob(catalog.Demo, "demo/*.yaml")
	if err != nil {
		return fmt.Errorf("list offerings: %w", err)
	}
	for _, file := range files {
		id := strings.TrimSuffix(path.Base(file), ".yaml")
		text, err := OfferingYAML(id)
		if err != nil {
			return err
		}
		if _, err := p.Centre.Publish(ctx, "demo-offering-"+id, text); err != nil {
			return err
		}
	}
	nas := []apiclient.NAS{{ID: ConsoleNAS, Address: "127.0.0.1"}}
	for n := 1; n <= p.State.Nodes+1; n++ { // the last one is the family's
		coa := p.NASCoA(n)
		nas = append(nas, apiclient.NAS{ID: p.NASID(n), Address: coa.Addr().String(), CoA: coa.String()})
	}
	for _, n := range nas {
		n.Region, n.Vendor, n.Secret = Region, "generic", Secret
		if err := p.Centre.RegisterNAS(ctx, "demo-nas-"+n.ID, n); err != nil {
			return err
		}
	}
	return nil
}

// Provision makes subscribers up to the given number, in batches, some of them
// at a time; progress is told how many there are.
func (p *Plant) Provision(ctx context.Context, upTo int, progress func(int64)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, batchesAtOnce)
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := int64(p.Subscribers)
	for first := p.Subscribers + 1; first <= upTo && ctx.Err() == nil; first += batchMax {
		last := min(first+batchMax-1, upTo)
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := p.batch(ctx, first, last); err != nil {
				cancel(fmt.Errorf("subscribers %d to %d: %w", first, last, err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			made += int64(last - first + 1)
			progress(made)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.Subscribers = max(p.Subscribers, upTo)
	return p.Save()
}

func (p *Plant) batch(ctx context.Context, first, last int) error {
	list := make([]apiclient.Subscriber, 0, last-first+1)
	for n := Person(first); n <= Person(last); n++ {
		list = append(list, apiclient.Subscriber{
			CustomerID: n.Customer(), Name: "Subscriber " + n.Login(), AccountID: n.Account(), Currency: Currency, SubscriptionID: n.Subscription(),
			Home: Region, Login: n.Login(), Password: n.Password(), Offering: n.Offering(), Deposit: n.Deposit(),
		})
	}
	return p.Centre.Subscribe(ctx, fmt.Sprintf("demo-subscribers-%d-%d", first, last), list)
}

// steady is how many looks in a row must find the feed applied: rows that were
// just committed have no number yet.
const steady = 5

// FeedApplied waits until every node has what the centre has numbered for the
// region, and the leader is connected.
func (p *Plant) FeedApplied(ctx context.Context) error {
	books, err := p.Books(ctx)
	if err != nil {
		return err
	}
	defer books.Close()
	ctx, cancel := context.WithTimeout(ctx, appliedTimeout)
	defer cancel()
	seen := 0
	return apiclient.Await(ctx, func(ctx context.Context) error {
		if err := p.Ended(); err != nil {
			cancel()
			return err
		}
		last, err := books.FeedLast(ctx, Region)
		if err == nil {
			err = p.applied(ctx, last)
		}
		if err != nil {
			seen = 0
			return err
		}
		if seen++; seen < steady {
			return errors.New("rows may still come")
		}
		return nil
	})
}

func (p *Plant) applied(ctx context.Context, last uint64) error {
	connected := false
	for _, n := range p.Nodes {
		s, err := n.Status(ctx)
		if err != nil {
			return err
		}
		connected = connected || s.LinkConnected
		if s.FeedVersion < last {
			return fmt.Errorf("%s has applied %d of %d feed rows", s.Node, s.FeedVersion, last)
		}
		if s.Live.Subscriptions < p.Subscribers {
			return fmt.Errorf("%s knows %d of %d subscriptions", s.Node, s.Live.Subscriptions, p.Subscribers)
		}
	}
	if !connected {
		return errors.New("no node is connected to the centre")
	}
	return nil
}

// Books opens the centre's database for reading.
func (p *Plant) Books(ctx context.Context) (*audit.Books, error) {
	storeURL, err := ReadStoreURL(p.State)
	if err != nil {
		return nil, err
	}
	return audit.OpenBooks(ctx, storeURL, p.AuthorityFile())
}

// paidSample is how far apart the flat-rate subscribers are whose period is
// looked at; the last one always is, since periods are charged in order.
const paidSample = 5000

// PeriodsPaid waits until the region has charged the first period of the
// flat-rate subscribers: ticks do that, so many at a time.
func (p *Plant) PeriodsPaid(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, appliedTimeout)
	defer cancel()
	last := Person(p.Subscribers)
	for last > 1 && last.Prepaid() {
		last--
	}
	for n := last; n > 0; n -= paidSample - paidSample%3 { // stays with those of a flat rate
		for _, node := range p.Nodes {
			err := apiclient.Await(ctx, func(ctx context.Context) error {
				v, err := node.EdgeSubscription(ctx, n.Subscription())
				if err == nil && v.PaidUntil == 0 {
					err = fmt.Errorf("%s has not charged the first period of %s", node.Addr(), n.Login())
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
