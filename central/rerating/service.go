package rerating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/catalog"
	"meridian/central/fault"
	"meridian/central/ledger"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/replay"
)

// Bounds of one page of a run.
const (
	PageAccounts   = 20
	MaxEntries     = 10_000 // of one account in the run's period
	MaxCorrections = 10_000 // of one account, ever
)

// Request says which records are priced again, and by what.
type Request struct {
	Offering    string `json:"offering"`
	Version     uint32 `json:"version"`           // that rated them
	Corrected   uint32 `json:"corrected"`         // of the same offering
	Account     string `json:"account,omitempty"` // "" = all
	From        int64  `json:"from"`              // of the records' time in the ledger, Unix microseconds
	To          int64  `json:"to"`
	Undercharge Policy `json:"undercharge"`
	Late        bool   `json:"late"` // charge usage in quarantine by the corrected version
}

// Report is what a page did, or would do.
type Report struct {
	Accounts  int            `json:"accounts"`
	Records   int            `json:"records"` // priced again
	Before    int            `json:"before"`  // that were priced by this version in an earlier run or call: left alone
	Over      int            `json:"over"`    // charged too much
	Under     int            `json:"under"`   // too little
	Refunded  money.Amount   `json:"-"`
	Owed      money.Amount   `json:"-"` // change of receivables
	Absorbed  money.Amount   `json:"-"` // change of what the operator bears
	Waived    money.Amount   `json:"-"`
	Skipped   map[string]int `json:"skipped,omitempty"` // records by reason
	Lines     []Line         `json:"-"`
	NextAfter string         `json:"next_after,omitempty"` // ask for the next page after this account
}

// Line is what becomes of one account.
type Line struct {
	Account                          string
	Refunded, Owed, Absorbed, Waived money.Amount
}

// Books posts journals.
type Books interface {
	Post(ctx context.Context, tx store.Tx, writer string, journals []journal.Journal) error
}

// Deps are what the service works with.
type Deps struct {
	Runner  store.Runner
	Stores  func(store.Tx) Store
	Ledger  func(store.Tx) ledger.Store
	Buckets func(store.Tx) buckets.Store
	Catalog func(store.Tx) catalog.Store
	Books   Books
	Feed    accounts.Feed
	Regions accounts.Regions
	Now     func() time.Time
}

// Service prices records again and corrects. It is safe for concurrent use.
type Service struct{ Deps }

// New builds the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// CheckTx tells what is wrong with a request.
func (s *Service) CheckTx(ctx context.Context, tx store.Tx, r Request) error {
	_, err := s.open(ctx, tx, r)
	return err
}

// run is a request made ready.
type run struct {
	Request
	id       string
	old, new *Version
	dry      bool
	now      time.Time
	report   Report

	epochs map[string]uint64
	change *replay.Change // of the account at hand; nil = see oddParts
	// oddParts is why records in parts cannot be priced by the corrected version.
	oddParts string
}

func (s *Service) open(ctx context.Context, tx store.Tx, r Request) (*run, error) {
	var c fault.Collector
	c.Need(r.Offering != "", "offering", "", "no offering is named", "name the one whose usage is priced again")
	c.Need(r.Corrected != r.Version, "corrected", fmt.Sprint(r.Corrected), "the records were rated by this version", "name the version with the right prices: publish it first")
	c.Need(r.From >= 0 && r.To > r.From, "from, to", fmt.Sprint(r.From), "the period is empty", "use an end after the beginning")
	c.Need(r.Undercharge == Owe || r.Undercharge == Waive, "undercharge", string(r.Undercharge), "this is no policy", "say receivable or waive")
	if err := c.Err(); err != nil {
		return nil, err
	}
	out := &run{Request: r, now: s.Now(), report: Report{Skipped: map[string]int{}}, epochs: map[string]uint64{}}
	for _, v := range []struct {
		field   string
		version uint32
		to      **Version
	}{{"version", r.Version, &out.old}, {"corrected", r.Corrected, &out.new}} {
		found, err := s.Catalog(tx).Versions(ctx, r.Offering, v.version-1, 1)
		if err != nil {
			return nil, fmt.Errorf("read offering %s version %d: %w", r.Offering, v.version, err)
		}
		if v.version == 0 || len(found) == 0 || found[0].Offering.ID != r.Offering || found[0].Offering.Version != v.version {
			c.Add(fault.Missing(v.field, fmt.Sprint(v.version), "the version", "name one that is published"))
			continue
		}
		if *v.to, err = NewVersion(&found[0].Offering); err != nil {
			c.Add(fault.Bad(v.field, fmt.Sprint(v.version), err.Error(), "name another version"))
		}
	}
	if err := c.Err(); err != nil {
		return nil, err
	}
	c.Need(out.new.meter < 0 || out.old.meter < 0 || out.old.unit() == out.new.unit(), "corrected", fmt.Sprint(r.Corrected), "it meters another unit", "name a version that meters "+string(out.old.unit()))
	return out, c.Err()
}

// PageTx prices the records of some accounts again, those after an id, and, unless
// it is dry, corrects them under the run's id. A record is priced by a version
// once: a page that is repeated, in this run or another, changes nothing.
func (s *Service) PageTx(ctx context.Context, tx store.Tx, r Request, id, after string, dry bool) (Report, error) {
	x, err := s.open(ctx, tx, r)
	if err != nil {
		return Report{}, err
	}
	x.id, x.dry = id, dry
	list := []string{r.Account}
	if r.Account == "" {
		if list, err = s.Stores(tx).AccountsAfter(ctx, after, PageAccounts); err != nil {
			return Report{}, fmt.Errorf("list accounts: %w", err)
		}
		if len(list) == PageAccounts {
			x.report.NextAfter = list[len(list)-1]
		}
	}
	for _, account := range list {
		if err := s.account(ctx, tx, x, account); err != nil {
			return Report{}, fmt.Errorf("account %s: %w", account, err)
		}
	}
	return x.report, nil
}

// account prices an account's records again and writes its corrections.
func (s *Service) account(ctx context.Context, tx store.Tx, x *run, account string) error {
	entries, err := s.Ledger(tx).EntriesOf(ctx, account, x.From, x.To, MaxEntries+1)
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	made, err := s.Stores(tx).Of(ctx, account, 0, math.MaxInt64, MaxCorrections+1)
	if err != nil {
		return fmt.Errorf("read corrections: %w", err)
	}
	if len(entries) > MaxEntries || len(made) > MaxCorrections {
		return fault.New(fault.TooLarge, "from, to", "", fmt.Sprintf("the account has more than %d entries in the period", MaxEntries), "use a shorter period")
	}
	x.report.Accounts++
	x.compare()
	var fresh []Correction
	for _, rec := range Collect(entries) {
		c, ok, err := s.record(ctx, tx, x, rec, made)
		if err != nil {
			return err
		}
		if ok {
			made, fresh = append(made, c), append(fresh, c)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	x.add(account, fresh)
	if x.dry {
		return nil
	}
	return s.write(ctx, tx, x, account, fresh)
}

// record prices one record again; ok is false when there is nothing to correct of it.
func (s *Service) record(ctx context.Context, tx store.Tx, x *run, rec Record, made []Correction) (c Correction, ok bool, err error) {
	earlier := slices.Clone(made)
	earlier = slices.DeleteFunc(earlier, func(c Correction) bool { return c.Place != rec.Place })
	u := rec.Entry.Usage
	var priced Priced
	upTo := int64(0)
	inParts, more, odd := x.parts(&rec) // those corrected before too: a session's records hang on each other
	switch {
	case rec.Entry.Kind == journal.KindQuarantine:
		if !x.Late || rec.Entry.Account == "" || x.new.meter < 0 {
			return c, false, nil
		}
		if len(earlier) > 0 { // late usage is charged once, by whatever version
			x.report.Before++
			return c, false, nil
		}
		priced, upTo, err = s.late(ctx, tx, x, &rec, made)
	case u.Offering != x.Offering || u.OfferingVersion != x.Version:
		return c, false, nil
	case slices.ContainsFunc(earlier, func(c Correction) bool { return c.Version == x.Corrected }):
		x.report.Before++
		return c, false, nil
	case u.TariffHash != x.old.hash:
		rec.Odd = "it was rated by other content than the catalog has"
	case inParts:
		rec.Odd, priced.Amount = cmp.Or(rec.Odd, odd), charges(u)+more
	default:
		priced, err = x.new.PriceAfter(x.old, rec.Entry.Session.Start, u)
	}
	if errors.Is(err, ErrRecord) {
		rec.Odd, err = cmp.Or(x.new.odd, notByQuantity), nil
	}
	if err != nil {
		return c, false, err
	}
	if unit := journal.Unit(x.new.Currency); rec.Odd == "" && rec.Unit != "" && rec.Unit != unit {
		rec.Odd = "an allowance paid for it"
	}
	if rec.Odd != "" {
		x.report.Skipped[rec.Odd]++
		return c, false, nil
	}
	rec.Unit = journal.Unit(x.new.Currency)
	c = Correct(rec, earlier, priced.Amount, x.Undercharge)
	if x.old != nil && x.old.renewedBonus(c.Account, c.Refunds) {
		x.report.Skipped[paidByRenewed]++
		return Correction{}, false, nil
	}
	c.Offering, c.Version, c.Run, c.At, c.UpTo = x.Offering, x.Corrected, x.id, x.now.UnixMicro(), upTo
	x.report.Records++
	return c, true, nil
}

// late prices what a report in quarantine adds to what the ledger and earlier
// corrections have of its session.
func (s *Service) late(ctx context.Context, tx store.Tx, x *run, rec *Record, made []Correction) (Priced, int64, error) {
	const before = 86400 // a session's start is told within seconds
	e := rec.Entry
	entries, err := s.Ledger(tx).EntriesOf(ctx, e.Account, max(e.Session.Start-before, 0)*1e6, x.To, MaxEntries+1)
	if err != nil {
		return Priced{}, 0, fmt.Errorf("read entries: %w", err)
	}
	if len(entries) > MaxEntries {
		rec.Odd = "its session lies too many entries back"
		return Priced{}, 0, nil
	}
	total := x.new.quantity(e.Usage.CumulativeIn+e.Usage.CumulativeOut, e.Usage.CumulativeSeconds)
	known, rated := int64(0), false
	same := func(k journal.SessionKey) bool {
		return k.NAS == e.Session.NAS && k.ID == e.Session.ID && max(k.Start-e.Session.Start, e.Session.Start-k.Start) <= 30
	}
	for i := range entries {
		o := entries[i].Entry
		if o == nil || o.Kind != journal.KindUsage || !same(o.Session) {
			continue
		}
		known = max(known, x.new.quantity(o.Usage.CumulativeIn+o.Usage.CumulativeOut, o.Usage.CumulativeSeconds))
		if o.Usage.Offering != x.Offering {
			rec.Odd = "its session was rated by another offering"
		}
		rated = true
	}
	for i := range made {
		if same(made[i].Session) {
			known = max(known, made[i].UpTo)
		}
	}
	if !rated {
		rec.Odd = "the ledger has no rated usage of its session"
	}
	if rec.Odd != "" || total <= known {
		return Priced{}, max(total, known), nil
	}
	p, err := x.new.between(e.Session.Start, known, total)
	return p, total, err
}

// add counts an account's corrections.
func (x *run) add(account string, list []Correction) {
	l := Line{Account: account}
	for i := range list {
		c := &list[i]
		back := c.Refunded() - min(c.Owed, 0) - c.Absorbed
		if back > 0 {
			x.report.Over++
		}
		if max(c.Owed, 0)+c.Waived > 0 {
			x.report.Under++
		}
		l.Refunded, l.Owed, l.Absorbed, l.Waived = l.Refunded+c.Refunded(), l.Owed+c.Owed, l.Absorbed+c.Absorbed, l.Waived+c.Waived
	}
	r := &x.report
	r.Refunded, r.Owed, r.Absorbed, r.Waived = r.Refunded+l.Refunded, r.Owed+l.Owed, r.Absorbed+l.Absorbed, r.Waived+l.Waived
	if l != (Line{Account: account}) {
		r.Lines = append(r.Lines, l)
	}
}

// write keeps corrections, posts them, and credits the buckets.
func (s *Service) write(ctx context.Context, tx store.Tx, x *run, account string, list []Correction) error {
	served, err := s.credit(ctx, tx, x, account, list)
	if err != nil {
		return err
	}
	if err := s.Stores(tx).Insert(ctx, list); err != nil {
		return fmt.Errorf("keep %d corrections: %w", len(list), err)
	}
	var journals []journal.Journal // the credit comes before what it serves
	for i := range list {
		if j, moves := list[i].Journal(); moves {
			journals = append(journals, j)
		}
	}
	return s.Books.Post(ctx, tx, "correction/"+account, append(journals, served.Journals...))
}

// credit gives refunds to the buckets that had paid, or to the account's cash where
// one has expired or is not known here, and grants them to the buckets' homes.
func (s *Service) credit(ctx context.Context, tx store.Tx, x *run, account string, list []Correction) (buckets.Outcome, error) {
	cash := buckets.CashID(account)
	ids := []string{cash}
	for i := range list {
		for _, r := range list[i].Refunds {
			ids = append(ids, r.Bucket)
		}
	}
	if len(ids) == 1 {
		return buckets.Outcome{}, nil
	}
	slices.Sort(ids)
	states, err := s.Buckets(tx).Load(ctx, slices.Compact(ids))
	if err != nil {
		return buckets.Outcome{}, fmt.Errorf("read buckets: %w", err)
	}
	at := map[string]int{}
	for i := range states {
		if b := &states[i]; b.Account == account && (b.ExpiresAt == 0 || b.ExpiresAt > x.now.Unix()) {
			at[b.ID] = i
		}
	}
	sums := make([]money.Amount, len(states))
	for i := range list {
		for k := range list[i].Refunds {
			r := &list[i].Refunds[k]
			if n, ok := at[r.Bucket]; !ok || states[n].Unit != list[i].Unit {
				r.Bucket = cash
			}
			n, ok := at[r.Bucket]
			if !ok || states[n].Unit != list[i].Unit {
				return buckets.Outcome{}, fault.New(fault.Conflict, "account", account, "the account has no cash bucket in "+string(list[i].Unit), "leave the account out")
			}
			sums[n] += r.Amount
		}
	}
	return s.grant(ctx, tx, x, states, sums)
}

// grant writes the buckets credited: open claims are served first, the rest is leased
// to the home. It returns what that posts.
func (s *Service) grant(ctx context.Context, tx store.Tx, x *run, states []buckets.State, sums []money.Amount) (buckets.Outcome, error) {
	var changed []buckets.Bucket
	var out buckets.Outcome
	for i, sum := range sums {
		if sum == 0 {
			continue
		}
		state := &states[i]
		if err := state.Credit(int64(sum)); err != nil {
			return out, fault.New(fault.Conflict, "account", state.Account, err.Error(), "leave the account out")
		}
		epoch := uint64(0)
		if state.Home != "" {
			var err error
			if epoch, err = s.epoch(ctx, tx, x, state.Home); err != nil {
				return out, err
			}
		}
		o, err := state.Rebalance(epoch, x.now.UnixMicro())
		if err != nil {
			return out, err
		}
		out.Add(o)
		changed = append(changed, state.Bucket)
	}
	if err := s.Buckets(tx).SaveBuckets(ctx, changed); err != nil {
		return out, fmt.Errorf("credit %d buckets: %w", len(changed), err)
	}
	if err := s.Buckets(tx).SaveClaims(ctx, out.Claims); err != nil {
		return out, fmt.Errorf("serve %d claims: %w", len(out.Claims), err)
	}
	if err := s.Buckets(tx).SaveLeases(ctx, out.Leases); err != nil {
		return out, fmt.Errorf("grant %d leases: %w", len(out.Leases), err)
	}
	return out, s.Feed.Append(ctx, tx, out.Rows...)
}

func (s *Service) epoch(ctx context.Context, tx store.Tx, x *run, region string) (uint64, error) {
	if e, ok := x.epochs[region]; ok {
		return e, nil
	}
	e, err := s.Regions.Epoch(ctx, tx, "region", region)
	if err == nil {
		x.epochs[region] = e
	}
	return e, err
}
