// Package statement tells an account's story over a period: what it had, what
// came in, what was used and charged, what is left, and adds it up exactly.
//
// It only reads. Figures are those of the books: entries in suspense are not
// counted. What a region has charged but not yet sent is not in it; the statement
// says how much is leased there instead.
package statement

import (
	"errors"
	"fmt"

	"meridian/internal/journal"
	"meridian/internal/money"
)

// LineKind says what a line is.
type LineKind string

// Kinds of lines. Payment, taken, given, refund and borrowed add to the balance;
// charges, expired and repaid take from it; overrun, owed, usage and notice do
// neither.
const (
	LinePayment    LineKind = "payment"
	LineUsage      LineKind = "usage"
	LineCharge     LineKind = "charge"
	LineFee        LineKind = "recurring"
	LineDebit      LineKind = "order_debit"
	LineTaken      LineKind = "taken"
	LineCorrection LineKind = "correction" // adds what a bucket got back
	LineBorrowed   LineKind = "borrowed"
	LineRepaid     LineKind = "repaid"
	LineOverrun    LineKind = "overrun"
	LineGiven      LineKind = "given"
	LineExpired    LineKind = "expired"
	LineRefund     LineKind = "refund"
	LineNotice     LineKind = "notice"
	LineOneTime    LineKind = "one_time"
	LineCredit     LineKind = "credit"
	LineOwed       LineKind = "owed"
	// A payment that was taken back. It takes from the balance at once, below zero
	// where the money was spent: then it is a claim that new credit serves first.
	LineChargeback LineKind = "chargeback"
)

// Line is one line. Amount is what it adds to the balance, negative when it
// takes; Owed is what an overrun or a fee that nothing could pay adds to the debt.
type Line struct {
	At           int64 // Unix microseconds
	Kind         LineKind
	Text         string
	Subscription string
	Session      string
	Cut          uint32
	InOctets     uint64
	OutOctets    uint64
	Seconds      int64
	Amount       money.Amount
	Owed         money.Amount
	Absorbed     money.Amount
	Source       string // journal source that it was posted from
}

// Leased is what a region holds of the account's money and has not reported as
// spent or returned.
type Leased struct {
	Region  string
	Amount  money.Amount
	Pending *Pending
}

// Pending is what the region last said about entries that the centre has not
// got yet.
type Pending struct {
	BacklogEntries uint64
	Mode           string
	HeardAt        int64 // Unix microseconds
}

// Statement of an account over [From, To), Unix microseconds.
//
// Closing = Opening + Credits − Charges. DebtClosing = DebtOpening + Overrun.
type Statement struct {
	Account     string
	Customer    string
	Currency    money.Currency
	From, To    int64
	Opening     money.Amount
	Credits     money.Amount
	Charges     money.Amount
	Closing     money.Amount
	DebtOpening money.Amount // owed by the subscriber: overrun
	Overrun     money.Amount
	DebtClosing money.Amount
	Absorbed    money.Amount // overrun that the operator bears
	Lines       []Line
	Leased      []Leased
	Unleased    money.Amount // what no region holds
}

// ErrSum is returned when a statement's sums do not fit 64 bits.
var ErrSum = errors.New("the statement's sums overflow")

// sum adds amounts with a sign, checked.
type sum struct {
	total money.Amount
	err   error
}

func (s *sum) add(a money.Amount) {
	if s.err == nil {
		s.total, s.err = money.Add(s.total, a)
	}
}

// opening returns the balance that kinds' sums, payments and what was taken back of
// them lead to.
func opening(totals map[journal.Kind]int64, paid, claimed money.Amount) (balance money.Amount, err error) {
	s := sum{total: paid}
	s.add(-claimed)
	for _, k := range [...]struct {
		kind journal.Kind
		sign int64
	}{{journal.KindTaken, 1}, {journal.KindGiven, 1}, {journal.KindRefund, 1}, {journal.KindExpired, -1}, {journal.KindBorrowed, 1}, {journal.KindRepaid, -1},
		{journal.KindCharge, -1}, {journal.KindRecurring, -1}, {journal.KindOneTime, -1}, {journal.KindCredit, 1}, {journal.KindOrderDebit, -1}} {
		s.add(money.Amount(k.sign * totals[k.kind]))
	}
	if s.err != nil {
		return 0, fmt.Errorf("%w: opening", ErrSum)
	}
	return s.total, nil
}

// line turns an entry into its line; ok is false for kinds that no subscriber
// sees.
func line(e *journal.Entry) (l Line, ok bool) {
	l = Line{At: e.At, Subscription: e.Subscription, Cut: e.Cut}
	if e.Session.ID != "" {
		l.Session = e.Session.String()
	}
	amount := money.Amount(e.Amount)
	switch e.Kind {
	case journal.KindUsage:
		l.Kind, l.Text = LineUsage, e.Usage.Service
		l.InOctets, l.OutOctets, l.Seconds = e.Usage.InOctets, e.Usage.OutOctets, e.Usage.Seconds
	case journal.KindCharge:
		l.Kind, l.Text, l.Amount = LineCharge, e.Ref, -amount
	case journal.KindRecurring:
		l.Kind, l.Text, l.Amount = LineFee, feeText(e), -amount
	case journal.KindOneTime:
		l.Kind, l.Text, l.Amount = LineOneTime, feeText(e), -amount
	case journal.KindCredit:
		l.Kind, l.Text, l.Amount = LineCredit, feeText(e), amount
	case journal.KindOwed:
		l.Kind, l.Text, l.Owed = LineOwed, feeText(e), amount
	case journal.KindOrderDebit:
		l.Kind, l.Text, l.Amount = LineDebit, e.Ref, -amount
	case journal.KindTaken:
		l.Kind, l.Text, l.Amount = LineTaken, e.Ref, amount
	case journal.KindGiven:
		l.Kind, l.Text, l.Amount = LineGiven, e.Detail, amount
	case journal.KindExpired:
		l.Kind, l.Text, l.Amount = LineExpired, e.Detail, -amount
	case journal.KindRefund:
		l.Kind, l.Text, l.Amount = LineRefund, e.Ref, amount
	case journal.KindNotice:
		l.Kind, l.Text = LineNotice, e.Ref+": "+e.Subscription
	case journal.KindBorrowed:
		l.Kind, l.Amount = LineBorrowed, amount
	case journal.KindRepaid:
		l.Kind, l.Amount = LineRepaid, -amount
	case journal.KindOverrun, journal.KindReversed:
		l.Kind, l.Text = LineOverrun, e.Ref
		if e.Kind == journal.KindReversed { // usage became cheaper than what nothing had paid of it
			amount = -amount
		}
		if e.Detail == "absorbed" {
			l.Absorbed = amount
		} else {
			l.Owed = amount
		}
	default:
		return Line{}, false
	}
	return l, true
}

// feeText names a charge by its reference, and what made it less.
func feeText(e *journal.Entry) string {
	if e.Detail == "" {
		return e.Ref
	}
	return e.Ref + ": " + e.Detail
}

// add sums the lines up.
func (s *Statement) add() error {
	credits, charges, overrun, absorbed := sum{}, sum{}, sum{}, sum{}
	for i := range s.Lines {
		l := &s.Lines[i]
		if l.Amount > 0 {
			credits.add(l.Amount)
		} else {
			charges.add(-l.Amount)
		}
		overrun.add(l.Owed)
		absorbed.add(l.Absorbed)
	}
	s.Credits, s.Charges, s.Overrun, s.Absorbed = credits.total, charges.total, overrun.total, absorbed.total
	closing, debt := sum{total: s.Opening}, sum{total: s.DebtOpening}
	closing.add(s.Credits)
	closing.add(-s.Charges)
	debt.add(s.Overrun)
	s.Closing, s.DebtClosing = closing.total, debt.total
	if err := errors.Join(credits.err, charges.err, overrun.err, absorbed.err, closing.err, debt.err); err != nil {
		return fmt.Errorf("%w: %w", ErrSum, err)
	}
	return nil
}
