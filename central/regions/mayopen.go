package regions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/central/fault"
	"meridian/central/store"
)

// heardLately is for how long a region counts as connected after it was heard.
const heardLately = time.Minute

// MayOpenTx tells which epoch of a region would end if the next one was given to an
// heir now, or why that may not be. An epoch that somebody has taken and that was not
// closed is ended for one reason only: the heir has less than the centre, so that it can
// never go on. A region that has more than the centre goes on by itself, and one that is
// connected is not lost: they are closed first, by two persons, if that is what is
// wanted.
func (s *Service) MayOpenTx(ctx context.Context, tx store.Tx, region string, heir Heir) (ends uint64, err error) {
	r, err := s.mayOpen(ctx, tx, region, heir)
	return r.Epoch, err
}

func (s *Service) mayOpen(ctx context.Context, tx store.Tx, region string, heir Heir) (Region, error) {
	r, err := s.Stores(tx).Get(ctx, region, true)
	if errors.Is(err, store.ErrNotFound) {
		return r, fault.Missing("region", region, "the region", "name one that exists")
	}
	if err != nil {
		return r, fmt.Errorf("read region %s: %w", region, err)
	}
	if heir.Epoch > r.Epoch {
		return r, fault.New(fault.Conflict, "heir", heir.String(), fmt.Sprintf("epoch %d was never issued here, the newest is %d", heir.Epoch, r.Epoch),
			"name the ledger that the region's refusal names")
	}
	if r.Revoked || r.Seq == 0 && r.RaftTerm == 0 { // closed, or nobody has taken the present epoch
		return r, nil
	}
	const closeIt = "if what the centre does not have of it is lost for good, close the region first (meridian ctl region close)"
	report, heard := s.Report(region)
	switch {
	case heard && s.Now().Sub(report.At) < heardLately:
		return r, fault.New(fault.Conflict, "region", region, fmt.Sprintf("the region is connected: node %s was heard at %s", report.Node, report.At.UTC().Format(time.RFC3339)), closeIt)
	case heir == Heir{}:
		return r, fault.New(fault.Conflict, "heir", NewHeir, fmt.Sprintf("epoch %d of the region was not closed, and its nodes may go on with it", r.Epoch), closeIt)
	case heir.Epoch == r.Epoch && heir.Seq > r.Seq, heir == Heir{r.Epoch, r.Seq, r.Hash}:
		return r, fault.New(fault.Conflict, "heir", heir.String(), fmt.Sprintf("the centre has accepted entries up to %d, so this ledger may go on as it is", r.Seq),
			"connect the region; if it is fenced, or "+closeIt[len("if "):])
	}
	return r, nil
}
