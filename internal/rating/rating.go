// Package rating prices usage: a pure function of (component, state, quantity).
//
// The price of a session is the exact cumulative price rounded down once; a
// charge is that price minus what was charged before. So it does not matter in
// how many reports the usage arrived. The package keeps no state of its own.
package rating

import (
	"fmt"
	"math"

	"meridian/internal/money"
	"meridian/internal/tariff"
)

// State is the tier and rounding state of one (session, component): the quantity
// priced so far and what was charged for it.
type State struct {
	Quantity int64
	Charged  money.Amount
}

// Slice is one priced piece of usage and the rule that priced it.
type Slice struct {
	Rule     string
	Quantity int64
	Amount   money.Amount
}

// Rule names the component of an offering version, e.g. "prepaid@3/usage".
func Rule(o *tariff.Offering) string { return fmt.Sprintf("%s@%d/usage", o.ID, o.Version) }

// Charge prices quantity more units on top of s and returns the amount and the
// new state. It fails on a negative quantity or when the total does not fit 64
// bits.
func Charge(u *tariff.Usage, s State, quantity int64) (money.Amount, State, error) {
	if quantity < 0 || s.Quantity > math.MaxInt64-quantity {
		return 0, s, fmt.Errorf("quantity %d on top of %d: must be ≥ 0 and fit 64 bits", quantity, s.Quantity)
	}
	total, err := money.MulDiv(s.Quantity+quantity, int64(u.Rates[0].Price.Amount), u.Rates[0].Price.Per, money.Floor)
	if err != nil {
		return 0, s, fmt.Errorf("price of %d units at %s per %d: %w", s.Quantity+quantity, u.Rates[0].Price.Amount, u.Rates[0].Price.Per, err)
	}
	next := State{Quantity: s.Quantity + quantity, Charged: money.Amount(total)}
	return next.Charged - s.Charged, next, nil
}

// Affordable returns the largest further quantity whose charge on top of s does
// not exceed amount; MaxInt64 − s.Quantity when the component is free.
func Affordable(u *tariff.Usage, s State, amount money.Amount) int64 {
	ceiling := math.MaxInt64 - s.Quantity
	p := u.Rates[0].Price
	if p.Amount == 0 {
		return ceiling
	}
	if amount < 0 {
		return 0
	}
	// The largest q with floor(q·price/per) ≤ budget is ceil((budget+1)·per/price) − 1.
	budget, err := money.Add(s.Charged, amount)
	if err != nil || budget == math.MaxInt64 {
		return ceiling
	}
	q, err := money.MulDiv(int64(budget)+1, p.Per, int64(p.Amount), money.Ceil)
	if err != nil {
		return ceiling
	}
	return max(q-1-s.Quantity, 0)
}
