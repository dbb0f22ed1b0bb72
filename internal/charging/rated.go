package charging

import (
	"math"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// rated lets a bucket pay whose prices are another component's: it gives the
// units, or the money when it is one of money, at those prices; a price that an
// allowance does not give is paid by the wallet's money. The fee stays that of the
// usage's own component.
func (d *debit) rated(b *Bucket, seconds int64) error {
	if !d.ownFee() {
		return nil
	}
	if d.s.OtherComponent != b.RatedBy {
		d.s.OtherComponent = b.RatedBy
		d.s.Other.Charged, d.s.Other.Whole, d.s.Other.Rem = 0, 0, 0
		d.s.Other.Done, d.s.Other.DoneRem, d.s.Other.TopUp = 0, 0, 0
	}
	o, own := &d.s.Other, &d.s.State
	o.Quantity, o.Free, o.Lost, o.Covered, o.Base = own.Quantity, own.Free, own.Lost, own.Covered, own.Base
	o.FlatTo, o.Events, o.Started = max(o.FlatTo, own.FlatTo), max(own.Events, 1), true
	ctx := d.s.Context
	ctx.Component, ctx.Zone = b.RatedBy-1, d.zoneIn(b.RatedBy-1)
	budget := b.Available()
	want := d.within(d.left, seconds)
	if b.Unit != tariff.Money {
		budget = d.moneyLeft()
		want = min(want, d.most(b))
	}
	before := *o
	slices, state, n, err := d.plan.Fit(d.r.Slices, ctx, *o, d.part(want), money.Amount(budget))
	if err != nil || n == 0 {
		return err
	}
	ahead := state.Covered - before.Covered
	if b.Unit != tariff.Money {
		if ahead > d.most(b) { // the last step is more than the bucket has
			want = ahead - slices[len(slices)-1].Step
			if slices, state, n, err = d.plan.Fit(d.r.Slices, ctx, before, d.part(want), money.Amount(budget)); err != nil || n == 0 {
				return err
			}
			ahead = state.Covered - before.Covered
		}
	}
	cost := int64(state.Charged - before.Charged)
	*o, d.r.Slices = state, slices
	*own = d.plan.Skip(d.s.Context, *own, n, ahead, true)
	d.r.Cost += money.Amount(cost)
	if b.Unit == tariff.Money {
		d.pay(b, cost)
	} else {
		_, take := d.draw(b, ahead, 1)
		d.spread(cost)
		d.cover(b, n, ahead)
		d.pay(b, take)
	}
	d.left -= n
	return nil
}

// most is how many counts of usage a bucket has.
func (d *debit) most(b *Bucket) int64 {
	if b.Factor == (tariff.Ratio{}) || b.Factor.Num == b.Factor.Den {
		return b.Available()
	}
	w := d.tally(b.ID)
	n, err := money.MulDiv(b.Available()+w.Taken+1, b.Factor.Den, b.Factor.Num, money.Ceil)
	if err != nil {
		return math.MaxInt64 / 2
	}
	return max(n-1-w.Counts, 0)
}

// zoneIn finds the zone of the usage's destination in another component.
func (d *debit) zoneIn(component int) int {
	name := d.plan.ZoneName(d.s.Context.Component, d.s.Context.Zone)
	return d.plan.ZoneNamed(component, name)
}

// moneyLeft is what the wallet's money can pay now.
func (d *debit) moneyLeft() int64 {
	t, sum := d.now(), int64(0)
	for _, b := range d.w.Buckets {
		if b.Unit != tariff.Money || b.RatedBy > 0 {
			continue
		}
		if _, ok := d.usable(b, t); ok {
			sum += b.Available()
			if b.Blocking {
				break
			}
		}
	}
	return min(sum, MaxValue)
}

// spread takes an amount out of the wallet's money in order.
func (d *debit) spread(amount int64) {
	t := d.now()
	for _, b := range d.w.Buckets {
		if amount == 0 {
			return
		}
		if b.Unit != tariff.Money || b.RatedBy > 0 {
			continue
		}
		if _, ok := d.usable(b, t); ok {
			n := min(amount, b.Available())
			d.pay(b, n)
			amount -= n
		}
	}
}

// ownFee settles the fee of the usage's own component before another prices it:
// the first money that has all of it pays, and where none has, it is owed. False
// when a bucket that blocks lacks it.
func (d *debit) ownFee() bool {
	if d.s.State.Started {
		return true
	}
	before := d.s.State.Charged
	slices, state := d.plan.Fee(d.r.Slices, d.s.Context, d.s.State, d.part(d.left))
	fee := int64(state.Charged - before)
	t := d.now()
	paid := fee == 0
	for _, b := range d.w.Buckets {
		if paid {
			break
		}
		if b.Unit != tariff.Money {
			continue
		}
		if _, ok := d.usable(b, t); !ok {
			continue
		}
		if b.Available() >= fee {
			d.pay(b, fee)
			paid = true
		} else if b.Blocking {
			return false
		}
	}
	d.r.Slices, d.s.State = slices, state
	d.r.Cost += money.Amount(fee)
	if !paid {
		d.r.Overrun += money.Amount(fee)
	}
	return true
}
