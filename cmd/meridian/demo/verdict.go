package demo

import (
	"context"
	"time"

	"meridian/cmd/meridian/audit"
	"meridian/cmd/meridian/exitcode"
	"meridian/cmd/meridian/plant"
	"meridian/internal/money"
	"meridian/internal/verify"
)

// audit closes the witness's books and runs the checks.
func (d *demo) audit(ctx context.Context) error {
	if err := d.witness.Close(); err != nil {
		return err
	}
	w, err := audit.LoadWitness(d.cfg.Witness)
	if err != nil {
		return err
	}
	books, err := d.plant.Books(ctx)
	if err != nil {
		return err
	}
	defer books.Close()
	d.out.line("verify: books, ledgers, replicas and witness are compared")
	stop := d.out.watch(func() string { return "  reading …" })
	result, err := books.Run(ctx, audit.Live(d.plant.Nodes), w, d.cfg.Logger)
	stop()
	if err != nil {
		return err
	}
	for _, line := range result.Lines() {
		d.out.line("  %s", line)
	}
	d.tellOverrun(result.Reports)
	r := &d.report
	r.Verify, r.Entries, r.AcctLost, r.ChargedTwice = result.Findings, result.Tally.Entries, result.Tally.Lost, result.Tally.ChargedTwice
	for _, p := range r.Phases {
		r.AcctAcknowledged += p.AcctAcked
	}
	r.Version, r.Subscribers, r.Nodes = d.cfg.Version, d.plant.Subscribers, d.plant.State.Nodes
	r.Seconds = round(time.Since(d.began).Seconds())
	return nil
}

// tellOverrun says how far NAS that ignore limits went beyond what could be paid.
func (d *demo) tellOverrun(reports []verify.EdgeReport) {
	if len(reports) == 0 {
		return
	}
	r := &reports[0]
	d.out.line("overrun by NAS that ignore limits: %s %s in all, %s at worst, bound %s",
		money.Amount(r.OverrunSum), plant.Currency, money.Amount(r.OverrunWorst), money.Amount(r.OverrunBound))
}

// verdict is the story's outcome: an error when something that must hold did not.
func (d *demo) verdict() error {
	r := &d.report
	d.out.line("%d accounting reports were acknowledged: %d sessions lost any, %d were charged twice; %d ledger entries; %.0f s",
		r.AcctAcknowledged, r.AcctLost, r.ChargedTwice, r.Entries, r.Seconds)
	for _, f := range r.Verify {
		if !f.OK {
			return exitcode.Check("%s is broken: %s", f.ID, f.Detail)
		}
	}
	if r.AcctLost > 0 || r.ChargedTwice > 0 {
		return exitcode.Check("%d sessions lost acknowledged reports, %d were charged twice: compare %s with the ledger", r.AcctLost, r.ChargedTwice, d.cfg.Witness)
	}
	return nil
}
