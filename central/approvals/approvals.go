// Package approvals is the rule of two persons: what one operator proposes and
// another one approves before it is done.
//
// It owns proposals and who may decide them. What a proposal does is its action's:
// the API carries an approved one out in the transaction of the approval, so that
// it is done exactly when it is approved.
package approvals

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"meridian/central/access"
	"meridian/central/fault"
	"meridian/central/store"
)

// Actions that need a second person.
const (
	Publish = "publish" // Body is the tariff sheet
	Rerate  = "rerate"  // Body is the request in JSON

	CloseRegion     = "close_region"     // Body is the request in JSON
	ReleaseSuspense = "release_suspense" // Body is the request in JSON
	NewEpoch        = "new_epoch"        // Body is the request in JSON
)

// Outcome is what became of a proposal.
type Outcome string

// Outcomes; an open proposal has none.
const (
	Approved Outcome = "approved"
	Rejected Outcome = "rejected"
)

// Bounds of proposals.
const (
	MaxOpen = 1000               // that wait at once
	Life    = 7 * 24 * time.Hour // after which one can only be rejected
	maxText = 500
)

// Proposal is one operator's request that waits for another one.
type Proposal struct {
	ID         string
	Action     string
	Body       []byte
	Says       []string // what it would do, in words, as of when it was proposed
	Reason     string
	Proposer   string // operator's id
	ProposedBy string // and login
	ProposedAt int64  // Unix microseconds

	Decider   string
	DecidedBy string
	DecidedAt int64
	Outcome   Outcome
}

// Store keeps proposals, for ever.
type Store interface {
	// Insert adds a proposal; store.ErrExists when the id is taken.
	Insert(ctx context.Context, p Proposal) error
	// Get reads one, store.ErrNotFound when there is none.
	Get(ctx context.Context, id string) (Proposal, error)
	// Decide writes decider, time and outcome of an open one; store.ErrConflict when
	// it was decided before.
	Decide(ctx context.Context, p Proposal) error
	// Open lists those that wait, by (proposed, id), at most limit.
	Open(ctx context.Context, limit int) ([]Proposal, error)
}

// Service is the rule. It is safe for concurrent use.
type Service struct {
	runner store.Runner
	stores func(store.Tx) Store
	now    func() time.Time
	newID  func() string
}

// New builds the service.
func New(runner store.Runner, stores func(store.Tx) Store, now func() time.Time, newID func() string) *Service {
	return &Service{runner: runner, stores: stores, now: now, newID: newID}
}

// ProposeTx keeps a request until another operator decides.
func (s *Service) ProposeTx(ctx context.Context, tx store.Tx, by access.Operator, action string, body []byte, reason string, says []string) (Proposal, error) {
	if len(reason) > maxText {
		return Proposal{}, fault.Bad("reason", reason[:maxText], "the reason is too long", fmt.Sprintf("use at most %d octets", maxText))
	}
	open, err := s.stores(tx).Open(ctx, MaxOpen)
	if err != nil {
		return Proposal{}, fmt.Errorf("list open proposals: %w", err)
	}
	if len(open) >= MaxOpen {
		return Proposal{}, fault.New(fault.Conflict, "", "", fmt.Sprintf("%d proposals wait for a second person", len(open)), "decide some of them first")
	}
	p := Proposal{ID: s.newID(), Action: action, Body: body, Says: says, Reason: reason, Proposer: by.ID, ProposedBy: by.Login, ProposedAt: s.now().UnixMicro()}
	if err := s.stores(tx).Insert(ctx, p); err != nil {
		return Proposal{}, fmt.Errorf("keep proposal %s: %w", p.ID, err)
	}
	return p, nil
}

// WaitingTx finds the oldest open proposal that is of a kind, if there is one.
func (s *Service) WaitingTx(ctx context.Context, tx store.Tx, kind func(Proposal) bool) (Proposal, bool, error) {
	open, err := s.stores(tx).Open(ctx, MaxOpen)
	if err != nil {
		return Proposal{}, false, fmt.Errorf("list open proposals: %w", err)
	}
	if i := slices.IndexFunc(open, kind); i >= 0 {
		return open[i], true, nil
	}
	return Proposal{}, false, nil
}

// DecideTx approves or rejects a proposal. Nobody approves his own; he may take it
// back by rejecting it. The caller carries an approved one out.
func (s *Service) DecideTx(ctx context.Context, tx store.Tx, by access.Operator, id string, outcome Outcome) (Proposal, error) {
	p, err := s.stores(tx).Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return p, fault.Missing("id", id, "the proposal", "list those that wait")
	}
	if err != nil {
		return p, fmt.Errorf("read proposal %s: %w", id, err)
	}
	now := s.now()
	switch {
	case p.Outcome != "":
		return p, fault.New(fault.Conflict, "id", id, "the proposal was "+string(p.Outcome)+" by "+p.DecidedBy, "propose it anew if it is still wanted")
	case outcome == Approved && p.Proposer == by.ID:
		return p, fault.New(fault.Forbidden, "id", id, "nobody approves what he proposed himself", "ask another admin to approve it")
	case outcome == Approved && now.UnixMicro()-p.ProposedAt > Life.Microseconds():
		return p, fault.New(fault.Conflict, "id", id, "the proposal is older than "+Life.String(), "reject it and propose it anew")
	}
	p.Decider, p.DecidedBy, p.DecidedAt, p.Outcome = by.ID, by.Login, now.UnixMicro(), outcome
	if err := s.stores(tx).Decide(ctx, p); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return p, fault.New(fault.Conflict, "id", id, "the proposal was decided at this moment", "look at it again")
		}
		return p, fmt.Errorf("decide proposal %s: %w", id, err)
	}
	return p, nil
}

// ApprovedTx reads an approved proposal of an action.
func (s *Service) ApprovedTx(ctx context.Context, tx store.Tx, id, action string) (Proposal, error) {
	p, err := s.stores(tx).Get(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return p, fmt.Errorf("read proposal %s: %w", id, err)
	}
	if err != nil || p.Action != action || p.Outcome != Approved {
		return p, fault.Missing("run", id, "an approved proposal of this kind", "propose it and have another admin approve it")
	}
	return p, nil
}

// Open lists the proposals that wait, oldest first, at most limit.
func (s *Service) Open(ctx context.Context, limit int) ([]Proposal, error) {
	return store.Read(ctx, s.runner, "approvals.open", func(ctx context.Context, tx store.Tx) ([]Proposal, error) {
		return s.stores(tx).Open(ctx, limit)
	})
}
