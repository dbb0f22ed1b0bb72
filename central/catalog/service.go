// Package catalog owns what is sold: it reads offerings from YAML or JSON,
// publishes their versions and sends each to every region.
//
// A published version never changes. The package does not own what an offering
// may say (internal/tariff) and prices nothing.
package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"meridian/central/fault"
	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
	"meridian/internal/tariff"
	"meridian/internal/zones"
)

// Feed is what publishing needs of central/feed.
type Feed interface {
	Broadcast(ctx context.Context, tx store.Tx, kind feedrow.Kind, id string, version uint64, entity any) error
}

// Service publishes offerings.
type Service struct {
	cfg    Config
	runner store.Runner
	stores func(store.Tx) Store
	feed   Feed
	now    func() time.Time
}

// New builds the service.
func New(cfg Config, runner store.Runner, stores func(store.Tx) Store, feed Feed, now func() time.Time) *Service {
	return &Service{cfg: cfg, runner: runner, stores: stores, feed: feed, now: now}
}

// Publish is PublishTx in a transaction of its own.
func (s *Service) Publish(ctx context.Context, drafts []tariff.Offering) ([]tariff.Offering, error) {
	return store.Run(ctx, s.runner, "catalog.publish", func(ctx context.Context, tx store.Tx) ([]tariff.Offering, error) {
		return s.PublishTx(ctx, tx, drafts)
	})
}

// LeadTime is the least time from publishing to valid-from.
func (s *Service) LeadTime() time.Duration { return s.cfg.LeadTime }

// PublishTx publishes each draft as the next version of its offering and sends
// it to every region. A draft's Version and TZData are ignored, and which version of
// a table it names: it is counted by the newest zone data, its destinations are found
// in the newest tables; ValidFrom 0 means now. It
// returns what was published, in the order given. Whether a second person is needed
// is the caller's to ask, by ReviewTx.
func (s *Service) PublishTx(ctx context.Context, tx store.Tx, drafts []tariff.Offering) ([]tariff.Offering, error) {
	published, versions, err := s.numberTx(ctx, tx, drafts)
	if err != nil {
		return nil, err
	}
	if err := s.stores(tx).Insert(ctx, versions); err != nil {
		return nil, fmt.Errorf("store %d offering versions: %w", len(versions), err)
	}
	for i := range published {
		o := &published[i]
		if err := s.feed.Broadcast(ctx, tx, feedrow.KindOffering, feedrow.OfferingKey(o.ID, o.Version), 1, o); err != nil {
			return nil, fmt.Errorf("send offering %s version %d: %w", o.ID, o.Version, err)
		}
	}
	return published, nil
}

// CheckTx tells what PublishTx would refuse.
func (s *Service) CheckTx(ctx context.Context, tx store.Tx, drafts []tariff.Offering) error {
	_, _, err := s.numberTx(ctx, tx, drafts)
	return err
}

func (s *Service) numberTx(ctx context.Context, tx store.Tx, drafts []tariff.Offering) ([]tariff.Offering, []Version, error) {
	ids := make([]string, len(drafts))
	for i := range drafts {
		ids[i] = drafts[i].ID
	}
	latest, err := s.stores(tx).Latest(ctx, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("read the latest versions: %w", err)
	}
	known := make(map[string]tariff.Offering, len(latest))
	for _, v := range latest {
		known[v.Offering.ID] = v.Offering
	}
	tables, err := s.tablesOf(ctx, tx, drafts)
	if err != nil {
		return nil, nil, err
	}
	return number(drafts, known, tables, s.now())
}

// number gives drafts their versions and validates them; all faults at once.
func number(drafts []tariff.Offering, known map[string]tariff.Offering, tables map[string]Table, now time.Time) ([]tariff.Offering, []Version, error) {
	var faults fault.Collector
	faults.Need(len(drafts) > 0, "offerings", "", "no offering was given", "send at least one")
	published := slices.Clone(drafts)
	versions := make([]Version, 0, len(drafts))
	for i := range published {
		o := &published[i]
		before, has := known[o.ID]
		o.Version, o.TZData = before.Version+1, zones.Latest
		if o.ValidFrom == 0 {
			o.ValidFrom = now.Unix()
		}
		faults.Need(!has || before.Currency == o.Currency, o.ID+".currency", string(o.Currency),
			"an offering keeps its currency", "use "+string(before.Currency)+", or publish under another id")
		pin(o, tables, &faults)
		if err := o.Validate(); err != nil {
			faults.Add(fault.Bad(o.ID, "", err.Error(), "correct the fields named and publish again"))
		} else if err := cmp.Or(o.Publishable(), feedrow.CheckOffering(o)); err != nil {
			faults.Add(fault.Bad(o.ID, "", err.Error(), "correct the fields named, and leave out what the edges do not execute"))
		}
		known[o.ID] = *o
		versions = append(versions, Version{Offering: *o, Hash: o.Hash(), PublishedAt: now.UnixMicro()})
	}
	return published, versions, faults.Err()
}

// Latest returns the newest version of an offering, or a not-found fault that
// names field.
func (s *Service) Latest(ctx context.Context, tx store.Tx, field, id string) (tariff.Offering, error) {
	found, err := s.stores(tx).Latest(ctx, []string{id})
	if err != nil {
		return tariff.Offering{}, fmt.Errorf("read offering %s: %w", id, err)
	}
	if len(found) == 0 {
		return tariff.Offering{}, fault.Missing(field, id, "the offering", "publish it first, or name one that is")
	}
	return found[0].Offering, nil
}

// seedPage is how many versions are read at once for a new region.
const seedPage = 500

// Seed returns the feed rows that a new region starts with: all versions, and the
// tables that they name.
func (s *Service) Seed(ctx context.Context, tx store.Tx, region string) ([]feed.Change, error) {
	out, err := s.seedTables(ctx, tx, region, nil)
	if err != nil {
		return nil, err
	}
	after, version := "", uint32(0)
	for {
		page, err := s.stores(tx).Versions(ctx, after, version, seedPage)
		if err != nil {
			return nil, fmt.Errorf("list offerings: %w", err)
		}
		for i := range page {
			o := &page[i].Offering
			c, err := feed.NewChange(region, feedrow.KindOffering, feedrow.OfferingKey(o.ID, o.Version), 1, o)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
			after, version = o.ID, o.Version
		}
		if len(page) < seedPage {
			return out, nil
		}
	}
}

// List returns published versions by (id, version) after a key, at most limit.
func (s *Service) List(ctx context.Context, afterID string, afterVersion uint32, limit int) ([]Version, error) {
	return store.Read(ctx, s.runner, "catalog.list", func(ctx context.Context, tx store.Tx) ([]Version, error) {
		return s.stores(tx).Versions(ctx, afterID, afterVersion, limit)
	})
}
