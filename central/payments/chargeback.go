package payments

import (
	"context"
	"fmt"

	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
)

// Taken asks to take a payment back, or a part of it, because the bank or card
// company did. Amount 0 means all that was not taken back before.
type Taken struct {
	Payment string
	Amount  money.Amount
	Reason  string
}

const maxReason = 500

// Chargeback is ChargebackTx in a transaction of its own.
func (s *Service) Chargeback(ctx context.Context, in Taken) (buckets.Claim, error) {
	return store.Run(ctx, s.Runner, "payments.chargeback", func(ctx context.Context, tx store.Tx) (buckets.Claim, error) {
		return s.ChargebackTx(ctx, tx, in)
	})
}

// ChargebackTx books a payment that was taken back. The subscriber owes it at once;
// what is unleased pays it now, and for the rest, which regions hold and may have
// spent, the claim waits for what they return and for new credit. It returns the
// claim as it stands.
func (s *Service) ChargebackTx(ctx context.Context, tx store.Tx, in Taken) (buckets.Claim, error) {
	var c fault.Collector
	c.Need(in.Payment != "", "payment", "", "no payment is named", "name the payment that was taken back")
	c.Need(in.Amount >= 0, "amount", in.Amount.String(), "the amount is negative", "give what was taken back, or leave it out for all")
	c.Need(in.Reason != "" && len(in.Reason) <= maxReason, "reason", in.Reason, "a chargeback needs a reason", fmt.Sprintf("say in 1 to %d octets who took it back and why", maxReason))
	if err := c.Err(); err != nil {
		return buckets.Claim{}, err
	}
	p, err := s.Stores(tx).Get(ctx, in.Payment)
	if err != nil {
		return buckets.Claim{}, fmt.Errorf("read payment %s: %w", in.Payment, err)
	}
	if len(p) == 0 {
		return buckets.Claim{}, fault.Missing("payment", in.Payment, "the payment", "name one that was made")
	}
	states, err := s.Buckets(tx).Load(ctx, []string{p[0].Bucket})
	if err != nil || len(states) != 1 {
		return buckets.Claim{}, fmt.Errorf("read bucket %s: %d found: %w", p[0].Bucket, len(states), err)
	}
	before, err := s.Buckets(tx).ClaimedOf(ctx, in.Payment)
	if err != nil {
		return buckets.Claim{}, fmt.Errorf("read what was taken back of payment %s: %w", in.Payment, err)
	}
	left := p[0].Amount - money.Amount(before)
	if in.Amount == 0 {
		in.Amount = left
	}
	if in.Amount > left || left <= 0 {
		return buckets.Claim{}, fault.New(fault.Conflict, "amount", in.Amount.String(), "of this payment "+left.String()+" can be taken back, no more", "give at most that, or name another payment")
	}
	return s.claim(ctx, tx, &states[0], buckets.Claim{
		ID: s.NewID(), Bucket: p[0].Bucket, Account: p[0].Account, Unit: states[0].Unit, Kind: buckets.Chargeback,
		Payment: p[0].ID, Amount: int64(in.Amount), At: s.Now().UnixMicro(), Reason: in.Reason,
	})
}

// claim stores a claim, books what is owed, and serves it as far as it goes.
func (s *Service) claim(ctx context.Context, tx store.Tx, state *buckets.State, c buckets.Claim) (buckets.Claim, error) {
	epochs := make(map[string]uint64)
	if err := s.epoch(ctx, tx, state, epochs); err != nil {
		return c, err
	}
	if err := s.Buckets(tx).InsertClaim(ctx, c); err != nil {
		return c, fmt.Errorf("store claim %s: %w", c.ID, err)
	}
	states := []buckets.State{*state}
	states[0].Claims = append(states[0].Claims, c)
	owed := c.Owed()
	if err := s.save(ctx, tx, "claim/"+c.ID, states, epochs, []journal.Journal{owed}, c.At); err != nil {
		return c, err
	}
	for _, served := range states[0].Claims {
		if served.ID == c.ID {
			c = served
		}
	}
	return c, nil
}
