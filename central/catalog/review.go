package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"meridian/central/store"
	"meridian/internal/sheet"
	"meridian/internal/tariff"
)

// Config is the policy of publishing.
type Config struct {
	// LeadTime is the least time from publishing to valid-from: the longest outage
	// of a region to expect. Within it every region has the version before it is in
	// force. 0 = none is asked for.
	LeadTime time.Duration
}

// Review is what publishing drafts would do, for the persons who decide on it.
type Review struct {
	Changes  []string // in words, against the versions published last
	Costless []string // what would be had for nothing: needs a second person
	Early    []string // whose valid-from is nearer than the lead time: needs a second person
	Earliest int64    // valid-from that all regions can be expected to have in time, Unix seconds
}

// ReviewTx looks at drafts before they are published. Faults of a draft are
// PublishTx's to tell.
func (s *Service) ReviewTx(ctx context.Context, tx store.Tx, drafts []tariff.Offering) (Review, error) {
	now := s.now()
	out := Review{Earliest: now.Add(s.cfg.LeadTime + time.Second - 1).Unix()}
	ids := make([]string, len(drafts))
	for i := range drafts {
		ids[i] = drafts[i].ID
	}
	latest, err := s.stores(tx).Latest(ctx, ids)
	if err != nil {
		return out, fmt.Errorf("read the latest versions: %w", err)
	}
	before := make([]tariff.Offering, len(latest))
	for i := range latest {
		before[i] = latest[i].Offering
	}
	drafts = slices.Clone(drafts)
	for i := range drafts {
		if drafts[i].ValidFrom == 0 {
			drafts[i].ValidFrom = now.Unix()
		}
	}
	for _, c := range sheet.Compare(before, drafts) {
		out.Changes = append(out.Changes, c.Offering+": "+c.Says)
	}
	for i := range drafts {
		o := &drafts[i]
		for _, what := range o.Costless() {
			out.Costless = append(out.Costless, o.ID+": "+what)
		}
		if s.cfg.LeadTime > 0 && o.ValidFrom < out.Earliest {
			out.Early = append(out.Early, fmt.Sprintf("%s: valid from %s", o.ID, time.Unix(o.ValidFrom, 0).UTC().Format(time.RFC3339)))
		}
	}
	return out, nil
}
