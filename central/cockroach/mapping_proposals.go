package cockroach

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"meridian/central/approvals"
	"meridian/central/store"
)

type approvalStore struct{ *tx }

const proposalColumns = `id, action, body, says, reason, proposer, proposed_by, proposed_at, decider, decided_by, decided_at, outcome`

func (t approvalStore) Insert(ctx context.Context, p approvals.Proposal) error {
	says, err := json.Marshal(p.Says)
	if err != nil {
		return fmt.Errorf("encode proposal %s: %w", p.ID, err)
	}
	_, err = t.exec(ctx, "insert a proposal", `INSERT INTO proposals (`+proposalColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		p.ID, p.Action, p.Body, string(says), p.Reason, p.Proposer, p.ProposedBy, p.ProposedAt, p.Decider, p.DecidedBy, p.DecidedAt, string(p.Outcome))
	return err
}

func scanProposal(r pgx.CollectableRow) (p approvals.Proposal, err error) {
	var says string
	if err := r.Scan(&p.ID, &p.Action, &p.Body, &says, &p.Reason, &p.Proposer, &p.ProposedBy, &p.ProposedAt, &p.Decider, &p.DecidedBy, &p.DecidedAt, &p.Outcome); err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(says), &p.Says)
}

func (t approvalStore) Get(ctx context.Context, id string) (approvals.Proposal, error) {
	return row(ctx, t.tx, "proposal", scanProposal, `SELECT `+proposalColumns+` FROM proposals WHERE id = $1`, id)
}

func (t approvalStore) Decide(ctx context.Context, p approvals.Proposal) error {
	return t.execN(ctx, 1, store.ErrConflict, "decide a proposal", `UPDATE proposals SET decider = $2, decided_by = $3, decided_at = $4, outcome = $5 WHERE id = $1 AND outcome = ''`,
		p.ID, p.Decider, p.DecidedBy, p.DecidedAt, string(p.Outcome))
}

func (t approvalStore) Open(ctx context.Context, limit int) ([]approvals.Proposal, error) {
	return rows(ctx, t.tx, "open proposals", scanProposal, `SELECT `+proposalColumns+` FROM proposals WHERE outcome = '' ORDER BY proposed_at, id LIMIT $1`, limit)
}
