package api

import (
	"context"
	"encoding/json"
	"fmt"

	"meridian/central/approvals"
	"meridian/central/fault"
	"meridian/central/regions"
	"meridian/central/store"
)

type closingBody struct {
	Region     string        `json:"region"`
	Epoch      uint64        `json:"epoch,omitempty"`
	Seq        uint64        `json:"seq,omitempty"` // last entry accepted
	ClosedAt   string        `json:"closed_at,omitempty"`
	Reason     string        `json:"reason,omitempty"`
	ReleasedAt string        `json:"release_allowed_at,omitempty"`
	Released   string        `json:"release_reason,omitempty"`
	Proposal   *proposalBody `json:"proposal,omitempty"`
}

func closingOf(c regions.Closing) closingBody {
	return closingBody{Region: c.Region, Epoch: c.Epoch, Seq: c.Seq, ClosedAt: instant(c.At), Reason: c.Reason,
		ReleasedAt: instant(c.ReleasedAt), Released: c.ReleaseReason}
}

// regionReason is a request about a region that needs a reason.
type regionReason struct {
	Region string `json:"region"`
	Reason string `json:"reason"`
	After  string `json:"after,omitempty"` // bucket to go on after
	Epoch  uint64 `json:"epoch,omitempty"` // that has ended, 0 = the newest; in a proposal of a new one, that would end
	Heir   string `json:"heir,omitempty"`  // ledger that a new epoch is given to
}

func readRegionReason(body []byte, what string) (in regionReason, err error) {
	if err := decode(body, &in); err != nil {
		return in, err
	}
	if in.Reason == "" || len(in.Reason) > 500 {
		return in, fault.Bad("reason", in.Reason, what+" needs a reason", "say in 1 to 500 octets what happened and what was decided")
	}
	return in, nil
}

// proposeFor keeps a request about a region until another admin approves it. One of its
// kind waits at a time: a second one would be carried out on what the first has made.
func (a *API) proposeFor(ctx context.Context, tx store.Tx, r request, action string, in regionReason, says string) (outcome, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return outcome{}, fmt.Errorf("encode the proposal: %w", err)
	}
	same := func(p approvals.Proposal) bool {
		var other regionReason
		return p.Action == action && json.Unmarshal(p.Body, &other) == nil && other.Region == in.Region
	}
	if p, waits, err := a.Approvals.WaitingTx(ctx, tx, same); err != nil {
		return outcome{}, err
	} else if waits {
		return outcome{}, fault.New(fault.Conflict, "region", in.Region, "proposal "+p.ID+" of "+p.ProposedBy+" asks for this already", "approve or reject that one")
	}
	p, err := a.Approvals.ProposeTx(ctx, tx, r.operator, action, body, in.Reason, []string{says})
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "proposal/" + p.ID, after: closingBody{Region: in.Region, Proposal: proposalOf(p)}}, nil
}

// closeRegion asks for the end of a region that is lost for good; another admin
// approves it.
func (a *API) closeRegion(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	in, err := readRegionReason(r.body, "a closing")
	if err != nil {
		return outcome{}, err
	}
	if _, err := a.Registry.Epoch(ctx, tx, "region", in.Region); err != nil {
		return outcome{}, err
	}
	return a.proposeFor(ctx, tx, r, approvals.CloseRegion, in,
		"region "+in.Region+" ends for good: nothing is taken of it any more, and what its leases had goes to suspense")
}

func (a *API) closeNow(ctx context.Context, tx store.Tx, p approvals.Proposal) (outcome, error) {
	in, err := readRegionReason(p.Body, "a closing")
	if err != nil {
		return outcome{}, err
	}
	c, err := a.Regions.CloseTx(ctx, tx, in.Region, in.Reason)
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "region/" + in.Region, after: closingOf(c)}, nil
}

// suspendedBody answers a page of a release.
type suspendedBody struct {
	Region  string `json:"region"`
	Buckets int    `json:"buckets"`
	After   string `json:"after,omitempty"` // to be sent with the next request
	More    bool   `json:"more"`
}

// releaseSuspense asks to give back what a closed region had, as a named loss; once
// another admin has approved that, it gives back one page.
func (a *API) releaseSuspense(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	in, err := readRegionReason(r.body, "a release")
	if err != nil {
		return outcome{}, err
	}
	c, err := a.Regions.ClosingTx(ctx, tx, in.Region, in.Epoch)
	if err != nil {
		return outcome{}, err
	}
	if in.Epoch = c.Epoch; c.ReleasedAt == 0 {
		return a.proposeFor(ctx, tx, r, approvals.ReleaseSuspense, in,
			fmt.Sprintf("what region %s had at the end of epoch %d is given back to its owners; what it spent after its last accepted entry, %d, is the operator's loss", in.Region, c.Epoch, c.Seq))
	}
	page, err := a.Regions.ReleaseSuspenseTx(ctx, tx, in.Region, in.Epoch, in.After)
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "region/" + in.Region, after: suspendedBody{Region: page.Region, Buckets: page.Buckets, After: page.Last, More: page.More}}, nil
}

func (a *API) allowRelease(ctx context.Context, tx store.Tx, p approvals.Proposal) (outcome, error) {
	in, err := readRegionReason(p.Body, "a release")
	if err != nil {
		return outcome{}, err
	}
	c, err := a.Regions.AllowReleaseTx(ctx, tx, in.Region, in.Epoch, in.Reason)
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "region/" + in.Region, after: closingOf(c)}, nil
}
