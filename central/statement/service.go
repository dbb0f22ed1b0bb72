package statement

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"meridian/central/accounts"
	"meridian/central/buckets"
	"meridian/central/fault"
	"meridian/central/ledger"
	"meridian/central/payments"
	"meridian/central/rerating"
	"meridian/central/settlement"
	"meridian/central/store"
	"meridian/internal/journal"
	"meridian/internal/money"
)

// MaxLines is the most lines of one statement.
const MaxLines = 10000

// Deps are what the service works with. Pending tells what a region last said
// about its backlog; it may be nil.
type Deps struct {
	Runner      store.Runner
	Accounts    func(store.Tx) accounts.Store
	Buckets     func(store.Tx) buckets.Store
	Ledger      func(store.Tx) ledger.Store
	Payments    func(store.Tx) payments.Store
	Corrections func(store.Tx) rerating.Store
	Pending     func(region string) *Pending
	Now         func() time.Time
}

// Service writes statements.
type Service struct{ Deps }

// New builds the service.
func New(d Deps) *Service { return &Service{Deps: d} }

// Of returns an account's statement over [from, to), Unix microseconds; to 0
// means now, and everything the centre has. All of it is read at one instant.
func (s *Service) Of(ctx context.Context, account string, from, to int64) (*Statement, error) {
	open := to == 0
	if open {
		// A region's time may be ahead of ours: 'now' must not cut its last entries off.
		to = math.MaxInt64
	}
	if from < 0 || to <= from {
		return nil, fault.Bad("from, to", strconv.FormatInt(from, 10), "the period is empty", "use an end after the beginning")
	}
	out, err := store.Read(ctx, s.Runner, "statement", func(ctx context.Context, tx store.Tx) (*Statement, error) {
		return s.read(ctx, tx, account, from, to)
	})
	if err != nil {
		return nil, fmt.Errorf("statement of account %s: %w", account, err)
	}
	if open {
		out.To = s.Now().UnixMicro()
		if n := len(out.Lines); n > 0 {
			out.To = max(out.To, out.Lines[n-1].At+1)
		}
	}
	return out, nil
}

func (s *Service) read(ctx context.Context, tx store.Tx, account string, from, to int64) (*Statement, error) {
	found, err := s.Accounts(tx).Accounts(ctx, []string{account})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.Missing("account", account, "the account", "name one that exists")
	}
	a := found[0]
	out := &Statement{Account: a.ID, Customer: a.Customer, Currency: a.Currency, From: from, To: to}
	if err := s.open(ctx, tx, out); err != nil {
		return nil, err
	}
	if err := s.lines(ctx, tx, out); err != nil {
		return nil, err
	}
	if err := out.add(); err != nil {
		return nil, err
	}
	return out, s.leased(ctx, tx, out)
}

func (s *Service) open(ctx context.Context, tx store.Tx, out *Statement) error {
	unit := journal.Unit(out.Currency)
	totals, err := s.Ledger(tx).TotalsBefore(ctx, out.Account, unit, out.From)
	if err != nil {
		return fmt.Errorf("sum entries: %w", err)
	}
	paid, err := s.Payments(tx).SumBefore(ctx, out.Account, out.From)
	if err != nil {
		return fmt.Errorf("sum payments: %w", err)
	}
	claimed, err := s.Buckets(tx).ClaimedBefore(ctx, out.Account, out.From)
	if err != nil {
		return fmt.Errorf("sum what was taken back: %w", err)
	}
	back, less, err := s.Corrections(tx).SumBefore(ctx, out.Account, out.From)
	if err != nil {
		return fmt.Errorf("sum corrections: %w", err)
	}
	if paid, err = money.Add(paid, back); err != nil {
		return err
	}
	out.DebtOpening = less
	if out.Opening, err = opening(totals, paid, money.Amount(claimed)); err != nil {
		return err
	}
	if totals[journal.KindOverrun] == 0 && totals[journal.KindOwed] == 0 {
		return nil
	}
	owed, err := s.Ledger(tx).OwedBefore(ctx, out.Account, unit, out.From)
	if err != nil {
		return fmt.Errorf("sum overrun: %w", err)
	}
	out.DebtOpening += money.Amount(owed)
	return nil
}

func tooLong() error {
	return fault.New(fault.TooLarge, "from, to", "", fmt.Sprintf("the period has more than %d lines", MaxLines), "ask for a shorter period")
}

func (s *Service) lines(ctx context.Context, tx store.Tx, out *Statement) error {
	paid, err := s.Payments(tx).OfAccount(ctx, out.Account, out.From, out.To, MaxLines+1)
	if err != nil {
		return fmt.Errorf("read payments: %w", err)
	}
	records, err := s.Ledger(tx).EntriesOf(ctx, out.Account, out.From, out.To, MaxLines+1)
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	claims, err := s.Buckets(tx).ClaimsOf(ctx, out.Account, out.From, out.To, MaxLines+1)
	if err != nil {
		return fmt.Errorf("read what was taken back: %w", err)
	}
	corrected, err := s.Corrections(tx).Of(ctx, out.Account, out.From, out.To, MaxLines+1)
	if err != nil {
		return fmt.Errorf("read corrections: %w", err)
	}
	if len(paid)+len(records)+len(claims)+len(corrected) > MaxLines {
		return tooLong()
	}
	for _, c := range claims {
		out.Lines = append(out.Lines, Line{At: c.At, Kind: LineChargeback, Text: c.Reason, Amount: -money.Amount(c.Amount), Source: "claim/" + c.ID + "/0"})
	}
	for _, p := range paid {
		out.Lines = append(out.Lines, Line{At: p.At, Kind: LinePayment, Text: p.Method + " " + p.Reference, Amount: p.Amount, Source: "payment/" + p.ID})
	}
	for i := range corrected {
		if c := &corrected[i]; c.Refunded() != 0 || c.Owed != 0 || c.Absorbed != 0 {
			out.Lines = append(out.Lines, correctionLine(c))
		}
	}
	for i := range records {
		r := &records[i]
		if r.Entry == nil || (r.Entry.Unit != "" && r.Entry.Unit != journal.Unit(out.Currency)) {
			continue
		}
		if l, ok := line(r.Entry); ok {
			l.Source = settlement.Source(r.Region, r.Epoch, r.Seq)
			out.Lines = append(out.Lines, l)
		}
	}
	// Stable: a cut's usage line stays before its charges, which share its instant.
	slices.SortStableFunc(out.Lines, func(a, b Line) int { return cmp.Compare(a.At, b.At) })
	return nil
}

// correctionLine says by which version a record was priced again; which record is in
// the source.
func correctionLine(c *rerating.Correction) Line {
	return Line{At: c.At, Kind: LineCorrection, Text: fmt.Sprintf("rated again by %s@%d", c.Offering, c.Version), Subscription: c.Subscription,
		Session: c.Session.String(), Amount: c.Refunded(), Owed: c.Owed, Absorbed: c.Absorbed, Source: c.Source()}
}

func (s *Service) leased(ctx context.Context, tx store.Tx, out *Statement) error {
	states, err := s.Buckets(tx).OfAccount(ctx, out.Account)
	if err != nil {
		return fmt.Errorf("read buckets: %w", err)
	}
	for i := range states {
		state := &states[i]
		if state.Unit != journal.Unit(out.Currency) {
			continue
		}
		free, err := state.Unleased()
		if err != nil {
			return err
		}
		out.Unleased += money.Amount(free)
		for _, l := range state.Leases {
			leased := Leased{Region: l.Region, Amount: money.Amount(l.Totals.Out())}
			if s.Pending != nil {
				leased.Pending = s.Pending(l.Region)
			}
			out.Leased = append(out.Leased, leased)
		}
	}
	return nil
}
