package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"meridian/central/buckets"
	"meridian/central/store"
)

// openClaims lists the open claims on a bucket by id.
func (t bucketStore) openClaims(bucket string) []buckets.Claim {
	var out []buckets.Claim
	for _, k := range t.s.claimsOf[bucket] {
		if c := t.s.claims[k]; c.Open() > 0 {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b buckets.Claim) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (t bucketStore) InsertClaim(_ context.Context, c buckets.Claim) error {
	k := claimKey{c.Bucket, c.ID}
	if _, there := t.s.claims[k]; there {
		return fmt.Errorf("claim %s: %w", c.ID, store.ErrExists)
	}
	push(t.tx, t.s.claimsOf, c.Bucket, k)
	put(t.tx, t.s.claims, k, c)
	return nil
}

func (t bucketStore) ClaimMade(_ context.Context, bucket, id string) (bool, error) {
	_, made := t.s.claims[claimKey{bucket, id}]
	return made, nil
}

func (t bucketStore) SaveClaims(_ context.Context, rows []buckets.Claim) error {
	for _, r := range rows {
		k := claimKey{r.Bucket, r.ID}
		c, ok := t.s.claims[k]
		if !ok {
			return fmt.Errorf("claim %s: %w", r.ID, store.ErrNotFound)
		}
		c.Served = r.Served
		put(t.tx, t.s.claims, k, c)
	}
	return nil
}

func (t bucketStore) ClaimsOf(_ context.Context, account string, from, to int64, limit int) ([]buckets.Claim, error) {
	var out []buckets.Claim
	for _, id := range t.s.bucketsOf[account] {
		for _, k := range t.s.claimsOf[id] {
			if c := t.s.claims[k]; from <= c.At && c.At < to {
				out = append(out, c)
			}
		}
	}
	slices.SortFunc(out, func(a, b buckets.Claim) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	return first(out, limit), nil
}

func (t bucketStore) Claim(_ context.Context, id string) (buckets.Claim, error) {
	for k, c := range t.s.claims {
		if k.id == id {
			return c, nil
		}
	}
	return buckets.Claim{}, fmt.Errorf("claim %s: %w", id, store.ErrNotFound)
}

func (t bucketStore) ClaimedBefore(ctx context.Context, account string, before int64) (int64, error) {
	claims, err := t.ClaimsOf(ctx, account, 0, before, len(t.s.claims))
	var sum int64
	for _, c := range claims {
		sum += c.Amount
	}
	return sum, err
}

func (t bucketStore) ClaimedOf(_ context.Context, payment string) (int64, error) {
	var sum int64
	for _, c := range t.s.claims {
		if c.Payment == payment {
			sum += c.Amount
		}
	}
	return sum, nil
}
