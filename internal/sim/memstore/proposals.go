package memstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"meridian/central/approvals"
	"meridian/central/store"
)

type approvalStore struct{ *tx }

func (t approvalStore) Insert(_ context.Context, p approvals.Proposal) error {
	return insertAll(t.tx, t.s.proposals, []approvals.Proposal{p}, func(p approvals.Proposal) string { return p.ID })
}

func (t approvalStore) Get(_ context.Context, id string) (approvals.Proposal, error) {
	p, ok := t.s.proposals[id]
	if !ok {
		return p, fmt.Errorf("proposal %s: %w", id, store.ErrNotFound)
	}
	return p, nil
}

func (t approvalStore) Decide(_ context.Context, p approvals.Proposal) error {
	if old, ok := t.s.proposals[p.ID]; !ok || old.Outcome != "" {
		return fmt.Errorf("proposal %s: %w", p.ID, store.ErrConflict)
	}
	put(t.tx, t.s.proposals, p.ID, p)
	return nil
}

func (t approvalStore) Open(_ context.Context, limit int) ([]approvals.Proposal, error) {
	out := slices.SortedFunc(maps.Values(t.s.proposals), func(a, b approvals.Proposal) int {
		return cmp.Or(cmp.Compare(a.ProposedAt, b.ProposedAt), cmp.Compare(a.ID, b.ID))
	})
	out = slices.DeleteFunc(out, func(p approvals.Proposal) bool { return p.Outcome != "" })
	return first(out, limit), nil
}
