package api

import (
	"context"
	"strconv"

	"meridian/central/approvals"
	"meridian/central/regions"
	"meridian/central/store"
)

// openingBody answers what became of a new epoch.
type openingBody struct {
	Region        string `json:"region"`
	Epoch         uint64 `json:"epoch"`
	Heir          string `json:"heir"`
	OpenedAt      string `json:"opened_at"`
	Subscriptions uint64 `json:"subscriptions"`   // that were looked at
	After         string `json:"after,omitempty"` // the last of them
	More          bool   `json:"more"`
	ReadyAt       string `json:"ready_at,omitempty"`
}

func openingOf(o regions.Opening) openingBody {
	return openingBody{Region: o.Region, Epoch: o.Epoch, Heir: o.Heir.String(), OpenedAt: instant(o.At), Subscriptions: o.Services, After: o.After,
		More: o.ReadyAt == 0, ReadyAt: instant(o.ReadyAt)}
}

// newEpoch asks for a region's next epoch; once another admin has approved that, it
// prepares one page of it.
func (a *API) newEpoch(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	in, err := readRegionReason(r.body, "a new epoch")
	if err != nil {
		return outcome{}, err
	}
	o, ok, err := a.Regions.OpeningTx(ctx, tx, in.Region)
	if err != nil {
		return outcome{}, err
	}
	if ok && o.ReadyAt == 0 {
		if o, err = a.Regions.PrepareTx(ctx, tx, o); err != nil {
			return outcome{}, err
		}
		return outcome{object: "region/" + in.Region, after: openingOf(o)}, nil
	}
	heir, err := regions.ParseHeir(in.Heir)
	if err != nil {
		return outcome{}, err
	}
	if in.Epoch, err = a.Regions.MayOpenTx(ctx, tx, in.Region, heir); err != nil {
		return outcome{}, err
	}
	return a.proposeFor(ctx, tx, r, approvals.NewEpoch, in,
		"epoch "+strconv.FormatUint(in.Epoch, 10)+" of region "+in.Region+" ends, what its leases have goes to suspense, and the next one is given to "+heir.String())
}

func (a *API) openEpochNow(ctx context.Context, tx store.Tx, p approvals.Proposal) (outcome, error) {
	in, err := readRegionReason(p.Body, "a new epoch")
	if err != nil {
		return outcome{}, err
	}
	heir, err := regions.ParseHeir(in.Heir)
	if err != nil {
		return outcome{}, err
	}
	o, err := a.Regions.OpenEpochTx(ctx, tx, in.Region, in.Epoch, heir, in.Reason)
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "region/" + in.Region, after: openingOf(o)}, nil
}
