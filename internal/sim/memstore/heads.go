package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"meridian/central/regions"
	"meridian/central/store"
)

func (t regionStore) Hold(ctx context.Context, h regions.Hold) error {
	r, err := t.Get(ctx, h.Region, true)
	if err != nil || r.Held != "" {
		return err
	}
	r.Held = h.Reason
	put(t.tx, t.s.holds, h.Region, h)
	put(t.tx, t.s.regions, h.Region, r)
	return nil
}

func (t regionStore) Release(ctx context.Context, region string) (regions.Hold, error) {
	r, err := t.Get(ctx, region, true)
	if err == nil && r.Held == "" {
		err = fmt.Errorf("hold of %s: %w", region, store.ErrNotFound)
	}
	if err != nil {
		return regions.Hold{}, err
	}
	r.Held = ""
	put(t.tx, t.s.regions, region, r)
	return t.s.holds[region], nil
}

// headKey names a head that waits, with place its log index, or the checked one of
// an hour.
type headKey struct {
	region  string
	epoch   uint64
	node    string
	place   int64
	checked bool
}

func waiting(h regions.SignedHead) headKey {
	return headKey{h.Region, h.Epoch, h.Node, int64(h.Index), false}
}

func (t regionStore) PendingHeads(_ context.Context, region string, epoch, upTo uint64, limit int) ([]regions.SignedHead, error) {
	var out []regions.SignedHead
	for k, h := range t.s.signed {
		if !k.checked && k.region == region && k.epoch == epoch && h.Seq <= upTo {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b regions.SignedHead) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Index, b.Index))
	})
	return first(out, limit), nil
}

func (t regionStore) PutPending(_ context.Context, heads []regions.SignedHead) error {
	for _, h := range heads {
		if _, there := t.s.signed[waiting(h)]; !there {
			put(t.tx, t.s.signed, waiting(h), h)
		}
	}
	return nil
}

func (t regionStore) TakePending(_ context.Context, heads []regions.SignedHead) error {
	for _, h := range heads {
		drop(t.tx, t.s.signed, waiting(h))
	}
	return nil
}

func (t regionStore) DropPending(_ context.Context, region string) (out []regions.SignedHead, err error) {
	for k, h := range t.s.signed {
		if !k.checked && k.region == region {
			out = append(out, h)
			drop(t.tx, t.s.signed, k)
		}
	}
	slices.SortFunc(out, func(a, b regions.SignedHead) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Index, b.Index))
	})
	return out, nil
}

func (t regionStore) PutChecked(_ context.Context, heads []regions.SignedHead) error {
	for _, h := range heads {
		k := headKey{h.Region, h.Epoch, h.Node, h.Hour(), true}
		if old, there := t.s.signed[k]; !there || old.Index < h.Index {
			put(t.tx, t.s.signed, k, h)
		}
	}
	return nil
}

func (r reader) Heads(_ context.Context, region string, fn func(raw []byte) error) error {
	for k, h := range r.s.signed {
		if k.region == region {
			if err := fn(h.Raw); err != nil {
				return err
			}
		}
	}
	return nil
}
