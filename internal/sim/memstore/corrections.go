package memstore

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"

	"meridian/central/ledger"
	"meridian/central/rerating"
	"meridian/internal/money"
)

type correctionKey struct {
	place   ledger.Place
	version uint32
}

type rerateStore struct{ *tx }

func (t rerateStore) Insert(_ context.Context, rows []rerating.Correction) error {
	return insertAll(t.tx, t.s.corrections, rows, func(c rerating.Correction) correctionKey { return correctionKey{c.Place, c.Version} })
}

func (t rerateStore) Of(_ context.Context, account string, from, to int64, limit int) ([]rerating.Correction, error) {
	out := slices.SortedFunc(maps.Values(t.s.corrections), func(a, b rerating.Correction) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Place.Region, b.Place.Region), cmp.Compare(a.Place.Epoch, b.Place.Epoch),
			cmp.Compare(a.Place.Seq, b.Place.Seq), cmp.Compare(a.Version, b.Version))
	})
	out = slices.DeleteFunc(out, func(c rerating.Correction) bool { return c.Account != account || c.At < from || c.At >= to })
	for i := range out {
		out[i].Refunds = slices.Clone(out[i].Refunds)
	}
	return first(out, limit), nil
}

func (t rerateStore) SumBefore(ctx context.Context, account string, before int64) (refunded, owed money.Amount, err error) {
	list, err := t.Of(ctx, account, math.MinInt64, before, len(t.s.corrections))
	for i := range list {
		refunded, owed = refunded+list[i].Refunded(), owed+list[i].Owed
	}
	return refunded, owed, err
}

func (t rerateStore) AccountsAfter(_ context.Context, after string, limit int) ([]string, error) {
	out := slices.Sorted(maps.Keys(t.s.accounts))
	at, found := slices.BinarySearch(out, after)
	if found {
		at++
	}
	return first(out[at:], limit), nil
}
