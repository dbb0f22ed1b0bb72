package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"meridian/central/approvals"
	"meridian/central/catalog"
	"meridian/central/fault"
	"meridian/central/store"
	"meridian/internal/tariff"
	"meridian/internal/zones"
)

// proposalBody is a proposal as a person sees it.
type proposalBody struct {
	ID         string   `json:"id"`
	Action     string   `json:"action"`
	Says       []string `json:"says"`
	Reason     string   `json:"reason,omitempty"`
	ProposedBy string   `json:"proposed_by"`
	ProposedAt string   `json:"proposed_at"`
	DecidedBy  string   `json:"decided_by,omitempty"`
	DecidedAt  string   `json:"decided_at,omitempty"`
	Outcome    string   `json:"outcome,omitempty"`
}

func proposalOf(p approvals.Proposal) *proposalBody {
	return &proposalBody{ID: p.ID, Action: p.Action, Says: p.Says, Reason: p.Reason, ProposedBy: p.ProposedBy, ProposedAt: instant(p.ProposedAt),
		DecidedBy: p.DecidedBy, DecidedAt: instant(p.DecidedAt), Outcome: string(p.Outcome)}
}

// publishedBody answers a publication: what was published, or the proposal that
// waits for a second person.
type publishedBody struct {
	Offerings []offeringBody `json:"offerings"`
	Proposal  *proposalBody  `json:"proposal,omitempty"`
}

// publish takes a tariff sheet. A zero price, and a valid-from nearer than the lead
// time (asked for by ?urgent=REASON), are kept as a proposal for another admin.
func (a *API) publish(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	drafts, err := catalog.Parse("request", r.body)
	if err != nil {
		return outcome{}, err
	}
	review, err := a.Catalog.ReviewTx(ctx, tx, drafts)
	if err != nil {
		return outcome{}, err
	}
	urgent := r.query.Get("urgent")
	if len(review.Early) > 0 && urgent == "" {
		return outcome{}, fault.Bad("valid_from", strings.Join(review.Early, ", "),
			fmt.Sprintf("a region that is cut off now would not have it in time: the lead time is %s", a.Catalog.LeadTime()),
			"use "+time.Unix(review.Earliest, 0).UTC().Format(time.RFC3339)+" or later, or ask with ?urgent=REASON for another admin's approval")
	}
	if len(review.Early)+len(review.Costless) == 0 {
		return a.publishNow(ctx, tx, drafts)
	}
	// What would be refused is refused now, not when another person approves it.
	if err := a.Catalog.CheckTx(ctx, tx, drafts); err != nil {
		return outcome{}, err
	}
	says := slices.Clone(review.Changes)
	for _, what := range review.Costless {
		says = append(says, "costs nothing: "+what)
	}
	for _, what := range review.Early {
		says = append(says, "nearer than the lead time: "+what)
	}
	p, err := a.Approvals.ProposeTx(ctx, tx, r.operator, approvals.Publish, r.body, urgent, says)
	if err != nil {
		return outcome{}, err
	}
	return outcome{object: "proposal/" + p.ID, after: publishedBody{Offerings: []offeringBody{}, Proposal: proposalOf(p)}}, nil
}

func (a *API) publishNow(ctx context.Context, tx store.Tx, drafts []tariff.Offering) (outcome, error) {
	published, err := a.Catalog.PublishTx(ctx, tx, drafts)
	if err != nil {
		return outcome{}, err
	}
	var before []offeringBody
	after := publishedBody{Offerings: []offeringBody{}}
	ids := make([]string, len(published))
	for i, o := range published {
		b := offeringOf(catalog.Version{Offering: o, Hash: o.Hash()})
		after.Offerings, ids[i] = append(after.Offerings, b), o.ID
		if o.Version > 1 { // a version is named by (id, version) and never changes
			before = append(before, offeringBody{ID: o.ID, Version: o.Version - 1})
		}
	}
	return outcome{object: "offering/" + strings.Join(ids, ","), before: before, after: after}, nil
}

// decide approves a proposal and carries it out, or rejects it.
func (a *API) decide(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in struct {
		ID      string            `json:"id"`
		Outcome approvals.Outcome `json:"outcome"`
	}
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	if in.Outcome != approvals.Approved && in.Outcome != approvals.Rejected {
		return outcome{}, fault.Bad("outcome", string(in.Outcome), "this is no decision", "say approved or rejected")
	}
	p, err := a.Approvals.DecideTx(ctx, tx, r.operator, in.ID, in.Outcome)
	if err != nil {
		return outcome{}, err
	}
	type decidedBody struct {
		Proposal *proposalBody `json:"proposal"`
		Did      any           `json:"did,omitempty"`
	}
	out := outcome{object: "proposal/" + p.ID}
	after := decidedBody{Proposal: proposalOf(p)}
	if in.Outcome == approvals.Approved {
		did, err := a.carryOut(ctx, tx, r, p)
		if err != nil {
			return outcome{}, err
		}
		out.object += " " + did.object
		out.before, after.Did = did.before, did.after
	}
	out.after = after
	return out, nil
}

// carryOut does what a proposal that was just approved asks for.
func (a *API) carryOut(ctx context.Context, tx store.Tx, _ request, p approvals.Proposal) (outcome, error) {
	switch p.Action {
	case approvals.Publish:
		drafts, err := catalog.Parse("proposal", p.Body)
		if err != nil {
			return outcome{}, err
		}
		return a.publishNow(ctx, tx, drafts)
	case approvals.Rerate:
		return outcome{object: "run/" + p.ID, after: map[string]string{"run": p.ID}}, nil
	case approvals.CloseRegion:
		return a.closeNow(ctx, tx, p)
	case approvals.ReleaseSuspense:
		return a.allowRelease(ctx, tx, p)
	case approvals.NewEpoch:
		return a.openEpochNow(ctx, tx, p)
	}
	return outcome{}, fault.New(fault.Conflict, "id", p.ID, "this server does not know the action "+p.Action, "approve it at a server of the version that proposed it")
}

func (a *API) getProposals(r *http.Request) (any, error) {
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return nil, err
	}
	list, err := a.Approvals.Open(r.Context(), limit)
	if err != nil {
		return nil, err
	}
	out := make([]*proposalBody, len(list))
	for i, p := range list {
		out[i] = proposalOf(p)
	}
	return map[string]any{"proposals": out}, nil
}

// Where a version stands in a region.
const (
	stateApplied = "applied" // the region has said so
	stateWaiting = "waiting" // for the region to take it
	stateUnheard = "unheard" // this server has not heard the region since it started
)

type deliveryBody struct {
	Region string `json:"region"`
	State  string `json:"state"`
	Number uint64 `json:"number,omitempty"` // of its row in the region's feed
}

type statusBody struct {
	offeringBody
	InForce bool           `json:"in_force"` // valid-from has passed
	Applied int            `json:"applied"`  // regions that have said so
	Regions []deliveryBody `json:"regions"`
}

type feedBody struct {
	Region    string `json:"region"`
	Connected bool   `json:"connected"`
	Applied   uint64 `json:"feed_applied"` // as last heard
	HeardAt   string `json:"heard_at,omitempty"`
}

// getCatalogStatus tells of each offering version which regions have it.
func (a *API) getCatalogStatus(r *http.Request) (any, error) {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return nil, err
	}
	after, version := q.Get("after"), uint32(1<<31-1)
	only := q.Get("offering")
	if only != "" { // its versions lie behind its own key
		after, version = only, 0
	}
	list, err := a.Catalog.Status(r.Context(), func(tx store.Tx) catalog.FeedRows { return a.FeedRows(tx) }, after, version, limit)
	if err != nil {
		return nil, err
	}
	links := map[string]Link{}
	if a.Links != nil {
		links = a.Links()
	}
	feeds := []feedBody{}
	now := time.Now().Unix()
	out := []statusBody{}
	for _, s := range list {
		if only != "" && s.Offering.ID != only {
			break
		}
		b := statusBody{offeringBody: offeringOf(s.Version), InForce: s.Offering.ValidFrom <= now, Regions: []deliveryBody{}}
		for _, d := range s.Deliveries {
			report, heard := a.Regions.Report(d.Region)
			x := deliveryBody{Region: d.Region, State: stateWaiting, Number: d.Number}
			switch {
			case !heard:
				x.State = stateUnheard
			case d.Number != 0 && d.Number <= report.FeedVersion:
				x.State = stateApplied
				b.Applied++
			}
			b.Regions = append(b.Regions, x)
		}
		out = append(out, b)
	}
	if len(list) > 0 {
		for _, d := range list[0].Deliveries {
			f := feedBody{Region: d.Region, Connected: links[d.Region].Connected}
			if report, heard := a.Regions.Report(d.Region); heard {
				f.Applied, f.HeardAt = report.FeedVersion, instant(report.At.UnixMicro())
			}
			feeds = append(feeds, f)
		}
	}
	return map[string]any{"tzdata": zones.Latest, "lead_time_seconds": int64(a.Catalog.LeadTime() / time.Second), "regions": feeds, "versions": out}, nil
}
