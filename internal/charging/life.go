package charging

import (
	"fmt"
	"math"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Moved is a change of a bucket that no usage made: what expired, was renewed,
// rolled over, taken back.
type Moved struct {
	Bucket string
	At     int64
	Why    Why
	Amount int64 // by which the value changed
}

// Why says what moved a bucket.
type Why uint8

// Reasons.
const (
	Expired Why = iota
	Voided
	Renewed
	RolledOver
	OverageTaken // use from before the bucket began
	ResetToZero
)

// String names the reason.
func (w Why) String() string {
	return [...]string{"expired", "voided", "renewed", "rolled over", "overage", "reset"}[w]
}

// MaxInstants bounds the instants at which one Advance changes buckets; the rest
// comes with the next.
const MaxInstants = 10_000

// Advance brings the wallet to t (Unix seconds): buckets begin, are renewed, expire
// and are voided in the order of time, then of charging. It appends what moved.
// Time that goes back changes nothing.
func (w *Wallet) Advance(t int64, moved []Moved) []Moved {
	for range MaxInstants {
		at := int64(math.MaxInt64)
		for _, b := range w.Buckets {
			if when, _, ok := b.next(w.now); ok {
				at = min(at, when)
			}
		}
		if at > t {
			w.now = max(w.now, t)
			return moved
		}
		for _, b := range w.Buckets {
			if when, why, ok := b.next(w.now); ok && when == at {
				moved = w.change(b, at, why, moved)
			}
		}
		w.now = at
	}
	return moved
}

func (w *Wallet) change(b *Bucket, at int64, why Why, moved []Moved) []Moved {
	before := b.Value
	switch {
	case why != Renewed:
		b.Value = b.Held // a reservation may still end within it
	case at > b.From:
		b.renew()
		b.Since = at
	}
	if b.Value != before {
		moved = append(moved, Moved{b.ID, at, why, b.Value - before})
	}
	if why == Renewed {
		moved = w.repay(b, at, moved)
	}
	b.check()
	return moved
}

// next is a bucket's next change after now.
func (b *Bucket) next(now int64) (at int64, why Why, ok bool) {
	end, why := int64(math.MaxInt64), Expired
	if b.Expires != 0 {
		end = b.Expires
	}
	if b.Voided != 0 && b.Voided < end {
		end, why = b.Voided, Voided
	}
	at = math.MaxInt64
	if b.From > now {
		at = b.From
	} else if b.Every > 0 {
		at = b.Anchor + (now-b.Anchor)/b.Every*b.Every
		for at <= now || at <= b.From {
			at += b.Every
		}
	}
	if at < end {
		return at, Renewed, true
	}
	return end, why, end > now && end != math.MaxInt64
}

// renew gives the bucket anew: what is left is lost, kept within the rollover's
// bounds, or, with Add, comes on top.
func (b *Bucket) renew() {
	left := b.Value
	b.Value = b.Given
	if r := b.Rollover; r != nil {
		kept := min(r.Max, max(r.Min, left))
		if r.Add {
			b.Value = min(b.Given+kept, MaxValue)
		} else {
			b.Value = kept
		}
	}
	b.Value = max(b.Value, b.Held)
}

// repay takes overage of the bucket's unit out of it.
func (w *Wallet) repay(b *Bucket, at int64, moved []Moved) []Moved {
	n := min(w.Overage[b.Unit], b.Available())
	if n <= 0 {
		return moved
	}
	b.take(n)
	w.Overage[b.Unit] -= n
	return append(moved, Moved{b.ID, at, OverageTaken, -n})
}

// Draw takes n counts of a unit out of the wallet at t, in charging order, without
// a price: the burn-down of grants. What is not there is overage.
func (w *Wallet) Draw(t int64, unit tariff.Unit, n int64, r *Result) error {
	if n < 0 || n > MaxValue {
		return fmt.Errorf("draw %d %s: %w: use 0 to %d", n, unit, ErrAmount, int64(MaxValue))
	}
	r.Reset()
	d := debit{w: w, r: r}
	for _, b := range w.Buckets {
		if n == 0 {
			break
		}
		if b.Unit != unit || !b.Live(t) {
			continue
		}
		take := min(n, b.Available())
		d.pay(b, take)
		n -= take
		r.Paid += take
		if b.Blocking && n > 0 {
			break
		}
	}
	r.Unpaid = n
	w.Overage[unit] += n
	return nil
}

// Reset ends a period at t: each bucket that lives keeps what its rollover lets
// it, nothing without one. Overage is forgotten, or, when it is carried, taken out
// of what was kept.
func (w *Wallet) Reset(t int64, carry bool, moved []Moved) []Moved {
	moved = w.Advance(t, moved)
	for _, b := range w.Buckets {
		if !b.Live(t) {
			continue
		}
		before, kept := b.Value, int64(0)
		if r := b.Rollover; r != nil {
			kept = min(r.Max, max(r.Min, b.Value))
		}
		if b.Value = max(kept, b.Held); b.Value != before {
			moved = append(moved, Moved{b.ID, t, RolledOver, b.Value - before})
		}
	}
	for _, b := range w.Buckets {
		if carry && b.Live(t) {
			moved = w.repay(b, t, moved)
		}
	}
	for u := range w.Overage {
		if !carry {
			w.Overage[u] = 0
		}
	}
	return moved
}

// Refund gives payments back, in the order given, to buckets that still live at t.
// What would go to one that is gone, and money that would, is returned: the caller
// gives it elsewhere or not, but never to an expired bucket.
func (w *Wallet) Refund(t int64, payments []Payment) (back []Payment, err error) {
	for _, p := range payments {
		if b := w.Bucket(p.Bucket); p.Amount < 0 || b != nil && p.Amount > MaxValue-b.Value {
			return nil, fmt.Errorf("refund %d to bucket %s: %w", p.Amount, p.Bucket, ErrAmount)
		}
	}
	for _, p := range payments {
		b := w.Bucket(p.Bucket)
		if b == nil || !b.Live(t) {
			back = append(back, p)
			continue
		}
		if err := b.Credit(p.Amount); err != nil {
			return back, err
		}
		if b.Limit != nil {
			b.Limit.Left += p.Amount
		}
	}
	return back, nil
}

// Transfer moves an amount between two living buckets of one unit.
func (w *Wallet) Transfer(t int64, from, to string, amount int64) error {
	a, b := w.Bucket(from), w.Bucket(to)
	switch {
	case a == nil || b == nil || a == b || a.Unit != b.Unit || !a.Live(t) || !b.Live(t):
		return fmt.Errorf("transfer from %s to %s: %w: name two buckets of one unit that have not expired", from, to, ErrBucket)
	case amount < 0 || amount > a.Value-a.Held || amount > MaxValue-b.Value:
		return fmt.Errorf("transfer %d from %s: %w: at most %d is there", amount, from, ErrAmount, min(a.Value-a.Held, MaxValue-b.Value))
	}
	a.Value -= amount
	b.Value += amount
	a.check()
	b.check()
	return nil
}

// Money sums what living money buckets have.
func (w *Wallet) Money(t int64) money.Amount {
	var sum money.Amount
	for _, b := range w.Buckets {
		if b.Unit == tariff.Money && b.Live(t) {
			sum += money.Amount(b.Value)
		}
	}
	return sum
}
