package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"meridian/central/accounts"
	"meridian/central/orders"
	"meridian/central/regions"
	"meridian/central/store"
	"meridian/internal/journal"
)

func (t bucketStore) EndedLeases(_ context.Context, region string, epoch uint64, after string, limit int) ([]string, error) {
	var out []string
	r := t.s.regions[region]
	for k, l := range t.s.leases {
		if k.region == region && l.Epoch == epoch && k.bucket > after && (r.Revoked || epoch < r.Epoch) && (l.Totals.Out() > l.Released || l.Totals.B > l.Totals.P) {
			out = append(out, k.bucket)
		}
	}
	slices.Sort(out)
	return first(out, limit), nil
}

type epochKey struct {
	region string
	epoch  uint64
}

func (t regionStore) Revoke(ctx context.Context, region string) error {
	r, err := t.Get(ctx, region, true)
	if err != nil {
		return err
	}
	if r.Revoked {
		return fmt.Errorf("region %s: %w", region, store.ErrConflict)
	}
	r.Revoked = true
	put(t.tx, t.s.regions, region, r)
	return nil
}

func (t regionStore) PutClosing(_ context.Context, c regions.Closing) error {
	return insertAll(t.tx, t.s.closings, []regions.Closing{c}, func(c regions.Closing) epochKey { return epochKey{c.Region, c.Epoch} })
}

func (t regionStore) Closing(_ context.Context, region string, epoch uint64) (regions.Closing, error) {
	c, ok := t.s.closings[epochKey{region, epoch}]
	if !ok {
		return c, fmt.Errorf("end of epoch %d of region %s: %w", epoch, region, store.ErrNotFound)
	}
	return c, nil
}

func (t regionStore) AllowRelease(_ context.Context, region string, epoch uint64, at int64, reason string) error {
	k := epochKey{region, epoch}
	c, ok := t.s.closings[k]
	if !ok || c.ReleasedAt != 0 {
		return fmt.Errorf("end of epoch %d of region %s: %w", epoch, region, store.ErrConflict)
	}
	c.ReleasedAt, c.ReleaseReason = at, reason
	put(t.tx, t.s.closings, k, c)
	return nil
}

func (t regionStore) Begin(ctx context.Context, o regions.Opening, previous journal.Hash) error {
	r, err := t.Get(ctx, o.Region, true)
	if err != nil {
		return err
	}
	if r.Epoch != o.Epoch-1 {
		return fmt.Errorf("region %s is in epoch %d: %w", o.Region, r.Epoch, store.ErrConflict)
	}
	r.Epoch, r.PrevHash, r.Seq, r.Hash, r.RaftTerm, r.Revoked = o.Epoch, previous, 0, journal.Hash{}, 0, false
	put(t.tx, t.s.regions, o.Region, r)
	put(t.tx, t.s.openings, epochKey{o.Region, o.Epoch}, o)
	return nil
}

func (t regionStore) Opening(_ context.Context, region string, epoch uint64) (regions.Opening, error) {
	o, ok := t.s.openings[epochKey{region, epoch}]
	if !ok {
		return o, fmt.Errorf("opening of epoch %d of region %s: %w", epoch, region, store.ErrNotFound)
	}
	return o, nil
}

func (t regionStore) SaveOpening(_ context.Context, o regions.Opening) error {
	put(t.tx, t.s.openings, epochKey{o.Region, o.Epoch}, o)
	return nil
}

func (t ledgerStore) ServiceOf(_ context.Context, subscriptions []string) (out []journal.Entry, err error) {
	for _, id := range slices.Sorted(slices.Values(subscriptions)) {
		begin := len(out)
		for _, r := range t.s.entriesOf[t.s.subscriptions[id].Account] {
			if r.Suspense || r.Entry.Subscription != id {
				continue
			}
			switch r.Entry.Kind {
			case journal.KindRecurring, journal.KindGiven, journal.KindOneTime, journal.KindCredit, journal.KindOwed:
				out = append(out, *r.Entry)
			}
		}
		slices.SortFunc(out[begin:], func(a, b journal.Entry) int {
			return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Seq, b.Seq))
		})
	}
	return out, nil
}

func (t accountStore) SubscriptionsAt(_ context.Context, home, after string, limit int) ([]accounts.Subscription, error) {
	var out []accounts.Subscription
	for _, id := range slices.Sorted(maps.Keys(t.s.subscriptions)) {
		if sub := t.s.subscriptions[id]; sub.Home == home && id > after {
			out = append(out, sub)
		}
	}
	return first(out, limit), nil
}

func (t orderStore) RefuseOpen(_ context.Context, region, detail string, at int64) error {
	for _, id := range slices.Sorted(maps.Keys(t.s.orders)) {
		if o := t.s.orders[id]; o.Region == region && o.Status == orders.Open {
			o.Status, o.Detail, o.DoneAt = orders.Refused, detail, at
			put(t.tx, t.s.orders, id, o)
		}
	}
	return nil
}
