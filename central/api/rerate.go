package api

import (
	"context"
	"encoding/json"
	"fmt"

	"meridian/central/approvals"
	"meridian/central/fault"
	"meridian/central/rerating"
	"meridian/central/store"
)

// rerateBody is a request to price usage records again. Without a run it is a dry
// run; with Propose it waits for another admin, whose approval makes it a run.
type rerateBody struct {
	Run     string `json:"run,omitempty"`
	Propose bool   `json:"propose,omitempty"`
	After   string `json:"after,omitempty"` // page: accounts whose id comes after this one

	Offering    string          `json:"offering,omitempty"`
	Version     uint32          `json:"version,omitempty"`
	Corrected   uint32          `json:"corrected,omitempty"`
	Account     string          `json:"account,omitempty"`
	From        string          `json:"from,omitempty"`
	To          string          `json:"to,omitempty"`
	Undercharge rerating.Policy `json:"undercharge,omitempty"`
	Late        bool            `json:"late,omitempty"`
	Reason      string          `json:"reason,omitempty"`
}

type rerateLine struct {
	Account  string `json:"account"`
	Refunded string `json:"refunded"`
	Owed     string `json:"owed"`
	Absorbed string `json:"absorbed"`
	Waived   string `json:"waived"`
}

type rerateReport struct {
	Run      string        `json:"run,omitempty"`
	DryRun   bool          `json:"dry_run"`
	Proposal *proposalBody `json:"proposal,omitempty"`
	rerating.Report
	Refunded string       `json:"refunded"`
	Owed     string       `json:"owed"`
	Absorbed string       `json:"absorbed"`
	Waived   string       `json:"waived"`
	Changed  []rerateLine `json:"changed"`
}

func rerateReportOf(r rerating.Report) rerateReport {
	out := rerateReport{Report: r, Refunded: r.Refunded.String(), Owed: r.Owed.String(), Absorbed: r.Absorbed.String(), Waived: r.Waived.String(), Changed: []rerateLine{}}
	for _, l := range r.Lines {
		out.Changed = append(out.Changed, rerateLine{l.Account, l.Refunded.String(), l.Owed.String(), l.Absorbed.String(), l.Waived.String()})
	}
	return out
}

func (in *rerateBody) request() (rerating.Request, error) {
	r := rerating.Request{Offering: in.Offering, Version: in.Version, Corrected: in.Corrected, Account: in.Account, Undercharge: in.Undercharge, Late: in.Late}
	var err error
	if r.From, err = parseInstant("from", in.From); err != nil {
		return r, err
	}
	r.To, err = parseInstant("to", in.To)
	return r, err
}

// rerate prices a page of accounts again: dry, or under an approved run.
func (a *API) rerate(ctx context.Context, tx store.Tx, r request) (outcome, error) {
	var in rerateBody
	if err := decode(r.body, &in); err != nil {
		return outcome{}, err
	}
	if in.Run != "" {
		return a.rerateRun(ctx, tx, in)
	}
	req, err := in.request()
	if err != nil {
		return outcome{}, err
	}
	if !in.Propose {
		report, err := a.Rerating.PageTx(ctx, tx, req, "", in.After, true)
		if err != nil {
			return outcome{}, err
		}
		out := rerateReportOf(report)
		out.DryRun = true
		return outcome{object: "offering/" + req.Offering, after: out}, nil
	}
	if err := a.Rerating.CheckTx(ctx, tx, req); err != nil {
		return outcome{}, err
	}
	body, err := json.Marshal(req)
	if err != nil {
		return outcome{}, err
	}
	who := "all accounts"
	if req.Account != "" {
		who = "account " + req.Account
	}
	says := []string{fmt.Sprintf("price again what %s version %d rated for %s from %s to %s, by version %d", req.Offering, req.Version, who, in.From, in.To, req.Corrected),
		"what was charged too much is given back; what was charged too little: " + string(req.Undercharge)}
	if req.Late {
		says = append(says, "usage in quarantine is charged")
	}
	p, err := a.Approvals.ProposeTx(ctx, tx, r.operator, approvals.Rerate, body, in.Reason, says)
	if err != nil {
		return outcome{}, err
	}
	out := rerateReportOf(rerating.Report{})
	out.DryRun, out.Proposal = true, proposalOf(p)
	return outcome{object: "proposal/" + p.ID, after: out}, nil
}

// rerateRun corrects a page of accounts under a run that a second person approved.
func (a *API) rerateRun(ctx context.Context, tx store.Tx, in rerateBody) (outcome, error) {
	if in.Offering != "" || in.Account != "" || in.From != "" || in.To != "" || in.Propose {
		return outcome{}, fault.Bad("run", in.Run, "a run does what was approved", "give run and after only")
	}
	p, err := a.Approvals.ApprovedTx(ctx, tx, in.Run, approvals.Rerate)
	if err != nil {
		return outcome{}, err
	}
	var req rerating.Request
	if err := json.Unmarshal(p.Body, &req); err != nil {
		return outcome{}, fmt.Errorf("read run %s: %w", p.ID, err)
	}
	report, err := a.Rerating.PageTx(ctx, tx, req, p.ID, in.After, false)
	if err != nil {
		return outcome{}, err
	}
	out := rerateReportOf(report)
	out.Run = p.ID
	return outcome{object: "run/" + p.ID, after: out}, nil
}
