// Package ledger is what the centre keeps for ever: every region's entries with
// their hashes, and the double-entry books posted from them and from payments.
//
// It owns the chain check of arriving entries and the rule that nothing reaches
// the books unless it balances. It does not decide what an entry is posted to:
// that is settlement's.
package ledger

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"meridian/central/store"
	"meridian/internal/invariant"
	"meridian/internal/journal"
	"meridian/internal/money"
)

// Slots is over how many rows the balance of an account that everybody posts to
// is spread, so that writers do not queue behind one row.
const Slots = 16

// Books posts journals.
type Books struct {
	stores func(store.Tx) Store
}

// NewBooks builds the books over a backend's stores.
func NewBooks(stores func(store.Tx) Store) *Books { return &Books{stores: stores} }

// Post writes journals and folds them into the balances. writer names who posts
// (a region, a payment): it picks the slot of accounts that everybody posts to.
// A journal that does not balance is a programmer's error and panics.
func (b *Books) Post(ctx context.Context, tx store.Tx, writer string, journals []journal.Journal) error {
	if len(journals) == 0 {
		return nil
	}
	changes, err := Fold(writer, journals)
	if err != nil {
		return err
	}
	st := b.stores(tx)
	if err := st.InsertJournals(ctx, journals); err != nil {
		return fmt.Errorf("post %d journals from %s: %w", len(journals), journals[0].Source, err)
	}
	if err := st.AddBalances(ctx, changes); err != nil {
		return fmt.Errorf("fold %d journals from %s: %w", len(journals), journals[0].Source, err)
	}
	return nil
}

// Fold sums journals into one change for each (account, unit, slot), sorted.
func Fold(writer string, journals []journal.Journal) ([]Balance, error) {
	type key struct {
		account string
		unit    journal.Unit
	}
	sums := make(map[key]money.Amount)
	for i := range journals {
		j := &journals[i]
		err := j.Balanced()
		invariant.Check(err == nil, "%v", err)
		for _, p := range j.Postings {
			k := key{p.Account, p.Unit}
			sum, err := money.Add(sums[k], money.Amount(p.Amount))
			if err != nil {
				return nil, fmt.Errorf("fold %s into %s: %w", j.Source, p.Account, err)
			}
			sums[k] = sum
		}
	}
	h := fnv.New32a()
	h.Write([]byte(writer))
	slot := int16(h.Sum32() % Slots)
	out := make([]Balance, 0, len(sums))
	for k, sum := range sums {
		c := Balance{Account: k.account, Unit: k.unit, Amount: int64(sum)}
		if !strings.Contains(k.account, ":") {
			c.Slot = slot
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Balance) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Unit, b.Unit))
	})
	return out, nil
}
