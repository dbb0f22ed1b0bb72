package catalog

import (
	"context"
	"fmt"

	"meridian/central/feed"
	"meridian/central/store"
	feedrow "meridian/internal/feed"
)

// FeedRows is what the status reads of central/feed's Store.
type FeedRows interface {
	Heads(ctx context.Context) ([]feed.Head, error)
	// Numbers finds the numbered rows of entities of one kind in all feeds, by
	// (region, id).
	Numbers(ctx context.Context, kind feedrow.Kind, ids []string) ([]feed.Number, error)
}

// Delivery is where a published version stands in a region's feed.
type Delivery struct {
	Region string
	Number uint64 // of its row; 0 = it waits for its number
}

// Status is a published version and where it stands.
type Status struct {
	Version
	Deliveries []Delivery // by region
}

// Status lists versions by (id, version) after a key, at most limit, with their
// places in all feeds, as of one instant.
func (s *Service) Status(ctx context.Context, rows func(store.Tx) FeedRows, afterID string, afterVersion uint32, limit int) ([]Status, error) {
	return store.Read(ctx, s.runner, "catalog.status", func(ctx context.Context, tx store.Tx) ([]Status, error) {
		versions, err := s.stores(tx).Versions(ctx, afterID, afterVersion, limit)
		if err != nil {
			return nil, fmt.Errorf("list offerings: %w", err)
		}
		heads, err := rows(tx).Heads(ctx)
		if err != nil {
			return nil, fmt.Errorf("list feeds: %w", err)
		}
		ids := make([]string, len(versions))
		for i := range versions {
			ids[i] = feedrow.OfferingKey(versions[i].Offering.ID, versions[i].Offering.Version)
		}
		found, err := rows(tx).Numbers(ctx, feedrow.KindOffering, ids)
		if err != nil {
			return nil, fmt.Errorf("find the offerings' rows: %w", err)
		}
		number := make(map[[2]string]uint64, len(found))
		for _, n := range found {
			number[[2]string{n.Region, n.ID}] = n.Number
		}
		out := make([]Status, len(versions))
		for i := range versions {
			out[i].Version = versions[i]
			for _, h := range heads {
				out[i].Deliveries = append(out[i].Deliveries, Delivery{h.Region, number[[2]string{h.Region, ids[i]}]})
			}
		}
		return out, nil
	})
}
