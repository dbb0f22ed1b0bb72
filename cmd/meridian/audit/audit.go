// Package audit brings together what the checks of internal/verify compare: the
// nodes' reports at one point of the log, the centre's books, and a client's
// witness.
//
// It owns the order in which they are read. The checks are internal/verify's,
// the readers those of the owners of the data.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"meridian/central"
	"meridian/central/cockroach"
	"meridian/cmd/meridian/apiclient"
	"meridian/edge"
	"meridian/internal/journal"
	"meridian/internal/tariff"
	"meridian/internal/verify"
	"meridian/replication/identity"
)

const (
	sameIndexTimeout = 10 * time.Second
	attempts         = 3
	offeringPage     = 500
)

// Reports asks one node for an audit and all of them for what they found. Nodes
// that do not answer are left out and named in missing, unless none answers.
func Reports(ctx context.Context, nodes []*apiclient.Client) (reports []verify.EdgeReport, missing []error, err error) {
	ctx, cancel := context.WithTimeout(ctx, sameIndexTimeout)
	defer cancel()
	var faults []error
	var asked edge.Audited
	for _, n := range nodes {
		if asked, err = n.StartAudit(ctx); err == nil {
			break
		}
		faults = append(faults, fmt.Errorf("node %s: %w", n.Addr(), err))
	}
	if len(faults) == len(nodes) {
		return nil, nil, fmt.Errorf("no node takes an audit: %w", errors.Join(faults...))
	}
	newest := func(ctx context.Context) error {
		reports, missing = nil, nil
		for _, n := range nodes {
			r, err := n.Audit(ctx)
			if err != nil {
				missing = append(missing, fmt.Errorf("node %s: %w", n.Addr(), err))
				continue
			}
			reports = append(reports, r)
		}
		return ofOneAudit(asked, reports, len(missing))
	}
	// A node that stays behind is reported as it is: the checks say by how much.
	if err := apiclient.Await(ctx, newest); err != nil && len(reports) == 0 {
		return nil, missing, fmt.Errorf("no node reports an audit: %w", err)
	}
	return reports, missing, nil
}

// ofOneAudit wants every node's answer to this audit: until it has come to it a node
// gives the one before.
func ofOneAudit(asked edge.Audited, reports []verify.EdgeReport, missing int) error {
	if missing > 0 || len(reports) == 0 {
		return fmt.Errorf("%d nodes do not answer", missing)
	}
	for _, r := range reports {
		if r.AskedBy != asked.AskedBy || r.AskedAt != asked.AskedAt {
			return fmt.Errorf("node %s is at index %d and has not come to the audit yet", r.Node, r.Index)
		}
	}
	return nil
}

// FeedLast is the last number of a region's feed.
func (b *Books) FeedLast(ctx context.Context, region string) (last uint64, err error) {
	centre, err := b.db.Reader(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, centre.Close(context.WithoutCancel(ctx))) }()
	regions, err := centre.Regions(ctx)
	if err != nil {
		return 0, err
	}
	for _, r := range regions {
		if r.Name == region {
			return r.FeedLast, nil
		}
	}
	return 0, fmt.Errorf("the centre has no region %s", region)
}

// Source gives the nodes' reports.
type Source func(context.Context) ([]verify.EdgeReport, []error, error)

// Live reads running nodes.
func Live(nodes []*apiclient.Client) Source {
	return func(ctx context.Context) ([]verify.EdgeReport, []error, error) { return Reports(ctx, nodes) }
}

// Fixed gives reports that were read before.
func Fixed(reports []verify.EdgeReport) Source {
	return func(context.Context) ([]verify.EdgeReport, []error, error) { return reports, nil, nil }
}

// Result is what one audit found.
type Result struct {
	Findings []verify.Finding
	Tally    Tally
	Missing  []error // nodes that did not answer
	Reports  []verify.EdgeReport
}

// OK tells whether every check passed.
func (r *Result) OK() bool {
	for _, f := range r.Findings {
		if !f.OK {
			return false
		}
	}
	return true
}

// Books is the centre's database, opened for reading.
type Books struct {
	db         *cockroach.DB
	offerings  []*tariff.Offering
	verifyHead func(journal.SignedHead) error
}

func headVerifier(caFile string) (func(journal.SignedHead) error, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	v, err := identity.NewVerifier(pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", caFile, err)
	}
	return func(h journal.SignedHead) error {
		return v.Verify(h.Certificate, h.Message(), h.Signature, identity.Node(h.Region, h.Node), time.UnixMicro(h.At))
	}, nil
}

// OpenBooks connects to the store and reads the published offerings. caFile is the
// authority of the nodes' certificates, in PEM; without it signatures of heads are
// not checked.
func OpenBooks(ctx context.Context, storeURL, caFile string) (*Books, error) {
	verifyHead, err := headVerifier(caFile)
	if err != nil {
		return nil, err
	}
	cfg := cockroach.DefaultConfig()
	cfg.ApplicationName, cfg.MaxConns = "meridian-verify", 4
	// A walk over a large ledger is one statement.
	cfg.StatementTimeout, cfg.IdleInTx = 10*time.Minute, 10*time.Minute
	db, err := cockroach.Open(ctx, storeURL, cfg)
	if err != nil {
		return nil, err
	}
	b := &Books{db: db, verifyHead: verifyHead}
	if err := b.readOfferings(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return b, nil
}

func (b *Books) readOfferings(ctx context.Context) error {
	catalog := central.NewServices(b.db, central.Deps{Now: time.Now}).Catalog
	id, version := "", uint32(0)
	for {
		page, err := catalog.List(ctx, id, version, offeringPage)
		if err != nil {
			return fmt.Errorf("read the offerings: %w", err)
		}
		for i := range page {
			o := page[i].Offering
			b.offerings = append(b.offerings, &o)
			id, version = o.ID, o.Version
		}
		if len(page) < offeringPage {
			return nil
		}
	}
}

// Close ends the connection.
func (b *Books) Close() { b.db.Close() }

// Run checks the books against the nodes and the witness, which may be nil. While
// traffic runs a check can meet the two sides at different points: one that fails
// is tried again, and only what fails every time is reported.
func (b *Books) Run(ctx context.Context, source Source, w *verify.Witness, log *slog.Logger) (*Result, error) {
	var result *Result
	for n := 1; ; n++ {
		reports, missing, err := source(ctx)
		if err != nil {
			return nil, err
		}
		result = &Result{Missing: missing, Reports: reports}
		if err := b.check(ctx, result, w); err != nil {
			return nil, fmt.Errorf("read the books: %w", err)
		}
		if result.OK() || n == attempts {
			return result, nil
		}
		log.Info("a check failed; both sides are read again", "attempt", n)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := b.again(ctx); err != nil {
			return nil, err
		}
	}
}

// check takes one view of the centre, after the reports, for checks and tally.
func (b *Books) check(ctx context.Context, r *Result, w *verify.Witness) (err error) {
	centre, err := b.db.Reader(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, centre.Close(context.WithoutCancel(ctx))) }()
	r.Findings = verify.Check(ctx, centre, r.Reports, w, verify.Options{Offerings: b.offerings, VerifyHead: b.verifyHead})
	r.Tally, err = count(ctx, centre, r.Reports, w)
	return err
}

// again reads offerings that were published meanwhile.
func (b *Books) again(ctx context.Context) error {
	b.offerings = nil
	return b.readOfferings(ctx)
}

// LoadWitness reads a witness file; an empty path is no witness.
func LoadWitness(path string) (*verify.Witness, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the witness: %w", err)
	}
	defer f.Close()
	w, err := verify.ReadWitness(f)
	if err != nil {
		return nil, fmt.Errorf("witness %s: %w", path, err)
	}
	return w, nil
}

// Lines are the findings as a person reads them, and the nodes that were not
// there to be asked.
func (r *Result) Lines() []string {
	var out []string
	for _, f := range r.Findings {
		mark := "ok    "
		if !f.OK {
			mark = "BROKEN"
		}
		out = append(out, fmt.Sprintf("%s %s %8d  %s", f.ID, mark, f.Checked, f.Detail))
	}
	for _, err := range r.Missing {
		out = append(out, fmt.Sprintf("not asked: %v", err))
	}
	return out
}
