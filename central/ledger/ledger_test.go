package ledger

import (
	"errors"
	"slices"
	"testing"

	"meridian/internal/journal"
)

func TestFold(t *testing.T) {
	journals := []journal.Journal{
		journal.Transfer("1", 0, "x", journal.CustomerPrepaid+"b", journal.RevenueUsage, "EUR", 5),
		journal.Transfer("2", 0, "x", journal.CustomerPrepaid+"a", journal.RevenueUsage, "EUR", 7),
		journal.Transfer("3", 0, "x", journal.CustomerPrepaid+"a", journal.RevenueUsage, "USD", 1),
	}
	got, err := Fold("north", journals)
	if err != nil {
		t.Fatal(err)
	}
	slot := got[0].Slot
	want := []Balance{{journal.RevenueUsage, "EUR", slot, -12}, {journal.RevenueUsage, "USD", slot, -1},
		{journal.CustomerPrepaid + "a", "EUR", 0, 7}, {journal.CustomerPrepaid + "a", "USD", 0, 1}, {journal.CustomerPrepaid + "b", "EUR", 0, 5}}
	if !slices.Equal(got, want) || slot < 0 || slot >= Slots {
		t.Errorf("got %v, want %v", got, want)
	}
	if again, err := Fold("north", journals); err != nil || !slices.Equal(again, got) {
		t.Errorf("folded again: %v, %v", again, err)
	}
	huge := []journal.Journal{journal.Transfer("1", 0, "x", "a", "b", "EUR", 1<<62), journal.Transfer("2", 0, "x", "a", "b", "EUR", 1<<62)}
	if _, err := Fold("w", huge); err == nil {
		t.Error("a sum beyond 64 bits was folded")
	}
}

// What does not balance never reaches a store: it is a programmer's error.
func TestFoldPanicsOnAnUnbalancedJournal(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an unbalanced journal was folded")
		}
	}()
	_, _ = Fold("w", []journal.Journal{{Source: "1", Postings: []journal.Posting{{Account: "a", Unit: "EUR", Amount: 1}}}})
}

func TestChain(t *testing.T) {
	entries := [][]byte{{1}, {2}, {3}}
	var head journal.Hash
	for _, e := range entries {
		head = journal.Chain(head, e)
	}
	got, err := Chain(journal.Hash{}, entries, head)
	if err != nil || len(got) != 3 || got[2] != head || got[0] != journal.Chain(journal.Hash{}, entries[0]) {
		t.Errorf("got %x, %v", got, err)
	}
	for name, c := range map[string]struct {
		prev    journal.Hash
		entries [][]byte
	}{
		"other start": {journal.Hash{1}, entries},
		"altered":     {journal.Hash{}, [][]byte{{1}, {9}, {3}}},
		"dropped":     {journal.Hash{}, entries[:2]},
		"doubled":     {journal.Hash{}, [][]byte{{1}, {2}, {2}, {3}}},
		"swapped":     {journal.Hash{}, [][]byte{{2}, {1}, {3}}},
	} {
		if _, err := Chain(c.prev, c.entries, head); !errors.Is(err, ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
