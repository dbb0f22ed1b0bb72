package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/central/cockroach"
	centralfeed "meridian/central/feed"
	"meridian/central/store"
	"meridian/cmd/meridian/apiclient"
	"meridian/cmd/meridian/plant"
	"meridian/internal/feed"
)

const (
	seedAppend = 1000 // subscribers whose rows are appended in one transaction
	seedWait   = 30 * time.Minute
)

// seedBench brings a new region's subscribers to it: the centre has their rows
// numbered before a node of the region is started.
func seedBench(ctx context.Context, p *plant.Plant, cfg Config) ([]Result, error) {
	storeURL, err := plant.ReadStoreURL(p.State)
	if err != nil {
		return nil, err
	}
	db, err := cockroach.Open(ctx, storeURL, cockroach.DefaultConfig())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	last, err := appendSubscribers(ctx, db, cfg.Subscribers)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.StartNodes(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, seedWait)
	defer cancel()
	err = apiclient.Await(ctx, func(ctx context.Context) error {
		if err := p.Ended(); err != nil {
			cancel()
			return err
		}
		for _, n := range p.Nodes {
			s, err := n.Status(ctx)
			if err != nil {
				return err
			}
			if s.FeedVersion < last || s.Live.Subscriptions < cfg.Subscribers {
				return fmt.Errorf("%s has applied %d of %d feed rows, knows %d of %d subscriptions", s.Node, s.FeedVersion, last, s.Live.Subscriptions, cfg.Subscribers)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("%d subscribers, a bucket each, %d feed rows; from the start of 3 empty nodes until each has all, %s, %s", cfg.Subscribers, last, p.StoreKind(), machine())
	return []Result{newResult("region/seed_1m_s", "s", note, []float64{time.Since(began).Seconds()})}, nil
}

// appendSubscribers writes a row for each subscription and lease into the region's
// feed and waits until the centre has numbered them; it returns the last number.
func appendSubscribers(ctx context.Context, db *cockroach.DB, n int) (last uint64, err error) {
	for first := 1; first <= n; first += seedAppend {
		var changes []centralfeed.Change
		for i := first; i < min(first+seedAppend, n+1); i++ {
			sealed := bytes.Repeat([]byte{byte(i)}, 48) // of a sealed password's size
			bucket := accountID(i) + "/cash"
			for _, e := range []struct {
				kind   feed.Kind
				id     string
				entity any
			}{
				{feed.KindLease, bucket, &feed.Lease{Bucket: bucket, Account: accountID(i), Unit: plant.Currency, Epoch: 1, Granted: 1 << 40}},
				{feed.KindSubscription, subscriptionID(i), &feed.Subscription{ID: subscriptionID(i), Account: accountID(i), Login: fmt.Sprintf("bench%09d", i),
					Offering: plant.Person(1).Offering(), Password: sealed, NTHash: sealed}},
			} {
				c, err := centralfeed.NewChange(plant.Region, e.kind, e.id, 1, e.entity)
				if err != nil {
					return 0, err
				}
				changes = append(changes, c)
			}
		}
		err := db.Do(ctx, "bench.append", func(ctx context.Context, tx store.Tx) error { return db.Feed(tx).Append(ctx, changes) })
		if err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, seedWait)
	defer cancel()
	return last, apiclient.Await(ctx, func(ctx context.Context) error {
		waiting, err := store.Read(ctx, db, "bench.numbered", func(ctx context.Context, tx store.Tx) ([]string, error) {
			if last, err = db.Feed(tx).Last(ctx, plant.Region); err != nil {
				return nil, err
			}
			return db.Feed(tx).Waiting(ctx)
		})
		if err == nil && len(waiting) > 0 {
			err = errors.New("rows have no number yet")
		}
		return err
	})
}
