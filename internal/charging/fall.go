package charging

import (
	"math"
	"slices"

	"meridian/internal/invariant"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Ledger is who bears what a session was charged by a component whose price may
// fall (rating.Plan.Falls): Owed and the payers' amounts sum to Tally.Charged. When
// the price falls, what nothing has paid shrinks first, then the payers get back
// what they paid, the last one first.
type Ledger struct {
	Owed   money.Amount // overrun
	Payers []Payer      // in the order of paying
}

// Payer is a bucket that has paid.
type Payer struct {
	Bucket string
	Amount money.Amount
	Given  bool  // an allowance of money, a bonus: it never becomes the subscriber's money
	Since  int64 // of an allowance: when it was given; 0 of other money
	Loan   bool  // what may be borrowed on the bucket
}

// mostPayers is how many payments in turns a ledger keeps apart; beyond it those of
// one bucket are put together where the first stands.
const mostPayers = 64

// paid notes a payment.
func (l *Ledger) paid(b *Bucket, n money.Amount) {
	p := Payer{Bucket: b.ID, Amount: n, Given: b.Name != tariff.MoneyBalance, Since: b.Since, Loan: b.Loan}
	same := func(x Payer) bool {
		x.Amount = p.Amount
		return x == p
	}
	at := len(l.Payers) - 1
	if at >= mostPayers {
		at = slices.IndexFunc(l.Payers, same)
	}
	if at >= 0 && same(l.Payers[at]) {
		l.Payers[at].Amount += n
		return
	}
	l.Payers = append(l.Payers, p)
}

// rising is how much of the usage left is priced without a fall on the way: what
// remains of the tier, or the count that begins the next. That one, and the first of
// all, may cost a flat part or a minimum: who cannot pay it may pay what follows.
func (d *debit) rising() int64 {
	if !d.falls {
		return d.left
	}
	free, n := d.plan.TierLeft(d.s.Context, d.s.State)
	if n == 0 || !d.s.State.HasUsage {
		n = 1
	}
	return min(d.left, free+min(n, math.MaxInt64-free))
}

// fall goes into the tiers by which all usage becomes cheaper: that costs nothing,
// and gives back what was charged too much before anybody pays for what follows.
func (d *debit) fall() error {
	for d.falls && d.left > 0 {
		if free, priced := d.plan.TierLeft(d.s.Context, d.s.State); free > 0 || priced > 0 {
			return nil
		}
		list, state, err := d.plan.Rate(d.r.Slices, d.s.Context, d.s.State, d.part(1))
		if err != nil {
			return err
		}
		back := d.s.State.Charged - state.Charged
		if back <= 0 {
			return nil
		}
		d.r.Slices, d.s.State = list, state
		d.left--
		d.r.Cost -= back
		d.giveBack(back)
	}
	return nil
}

// giveBack returns an amount that the price has fallen by to those who bore it.
func (d *debit) giveBack(n money.Amount) {
	l := &d.s.Ledger
	owed := min(n, l.Owed)
	l.Owed -= owed
	d.r.Overrun -= owed
	n -= owed
	for n > 0 {
		last := len(l.Payers) - 1
		invariant.Check(last >= 0, "%d more is given back than was paid", n)
		p := &l.Payers[last]
		part := min(n, p.Amount)
		p.Amount -= part
		n -= part
		d.restore(p, part)
		if p.Amount == 0 {
			l.Payers = l.Payers[:last]
		}
	}
}

// restore gives a payer money back: to its bucket while that is the one that paid
// and lives; of an allowance that is over nobody gets it; of other money the
// account's money without end gets it, and where there is none, a bucket of it without
// a name, which the caller makes or lets go on.
func (d *debit) restore(p *Payer, n money.Amount) {
	t := max(d.now(), d.w.now)
	for _, loan := range [...]bool{p.Loan, false} { // what was borrowed and may not be any more was repaid since, or is the first to be
		for _, b := range d.w.Buckets {
			if b.ID == p.Bucket && b.Loan == loan && b.Since == p.Since && b.Live(t) {
				d.refill(b, int64(n))
				return
			}
		}
	}
	if p.Given {
		d.r.Lapsed = append(d.r.Lapsed, Payment{Bucket: p.Bucket, Unit: tariff.Money, Amount: int64(n)})
		return
	}
	for _, b := range d.w.Buckets {
		if b.Unit == tariff.Money && b.Name == tariff.MoneyBalance && b.Expires == 0 && !b.Loan && b.Live(t) {
			d.refill(b, int64(n))
			return
		}
	}
	b := d.w.Bucket("")
	if b == nil {
		b = &Bucket{Name: tariff.MoneyBalance, Unit: tariff.Money}
		d.w.Add(b)
	}
	d.refill(b, int64(n))
}

func (d *debit) refill(b *Bucket, n int64) {
	b.Value += min(n, MaxValue-b.Value)
	if b.Limit != nil {
		b.Limit.Left += n
	}
	b.check()
	d.note(b, -n)
}

// beyond goes on where no bucket pays: with what costs nothing, and, of a price that
// may fall, with the rest of the tier as overrun, so that what the next tier gives
// back pays for what follows it.
func (d *debit) beyond() (progress bool, err error) {
	if d.left == 0 {
		return false, nil
	}
	left := d.left
	if err := d.free(); err != nil || !d.falls || d.left < left {
		return d.falls && d.left > 0, err
	}
	if d.mode != Owe {
		return false, nil
	}
	n, before := d.rising(), d.s.State.Charged
	if err := d.overrun(n); err != nil {
		return false, err
	}
	d.s.Owed += d.s.State.Charged - before
	d.unpaid += n
	return d.left > 0, nil
}

// Ends tells whether the ledger bears what the tally charged: what must hold after
// every debit of a component whose price may fall.
func (l *Ledger) Ends(charged money.Amount) bool {
	sum := l.Owed
	for i := range l.Payers {
		if l.Payers[i].Amount <= 0 || sum > math.MaxInt64-l.Payers[i].Amount {
			return false
		}
		sum += l.Payers[i].Amount
	}
	return sum == charged && l.Owed >= 0
}
