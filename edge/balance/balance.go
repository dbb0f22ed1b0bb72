// Package balance is a bucket's lease at an edge: the monotonic totals and the
// operations that keep them right.
//
// It owns the arithmetic of G, T, S, X, B, P, U and H. Who is charged for what,
// and which entry is written, is decided by edge/fsm.
package balance

import (
	"fmt"

	"meridian/internal/invariant"
	"meridian/internal/journal"
)

// Bucket is the part of a balance bucket that this region holds. The totals are
// counts of Unit (micro-units for money) of one epoch; those from G to P never
// go down.
type Bucket struct {
	ID       string
	Account  string
	Unit     journal.Unit
	Priority int
	Expires  int64 // Unix seconds, 0 = never

	G, T, S, X, B, P int64 // granted, taken in, spent, returned, borrowed, repaid
	U, H             int64 // charged and not yet cut, held by reservations

	Allowance int64 // most that B − P may be
	ReclaimTo int64 // X should reach this
	Wanted    int64 // G should reach this

	Row  uint64 // version of the lease's row in the feed, 0 for one made here
	Made *Made  // nil for one that the centre granted

	Counted int64 // what of Available is in the region's sum; not part of the state
}

// Made is what an edge knows of a bucket that it made itself.
type Made struct {
	Allowance    string // of the offering; "" = money given back
	Subscription string // "" = the account's: a pool
	Pool         string
	First        int64 // when it was first given, Unix seconds: anniversaries are counted from here
	From         int64 // start of the period that it was last given for
	Given        int64 // what it had then
	Children     []Child
	Fired        []string // thresholds that were crossed since
}

// Child is what a subscription has used of a pool since it was last given.
type Child struct {
	Subscription string
	Used         int64
}

// Use counts n more to a subscription's use of a pool.
func (m *Made) Use(subscription string, n int64) {
	for i := range m.Children {
		if m.Children[i].Subscription == subscription {
			m.Children[i].Used += n
			return
		}
	}
	m.Children = append(m.Children, Child{subscription, n})
}

// UsedBy is what a subscription has used of a pool since it was last given.
func (m *Made) UsedBy(subscription string) int64 {
	for i := range m.Children {
		if m.Children[i].Subscription == subscription {
			return m.Children[i].Used
		}
	}
	return 0
}

// Available is what may still be held or charged; never negative.
func (b *Bucket) Available() int64 { return b.G + b.T + b.B - b.P - b.S - b.U - b.X - b.H }

// Debt is what was borrowed and not repaid.
func (b *Bucket) Debt() int64 { return b.B - b.P }

// Check panics when the totals contradict each other.
func (b *Bucket) Check() {
	ok := b.Available() >= 0 && b.U >= 0 && b.H >= 0 && b.Debt() >= 0
	if !ok { // the message is only built when it is needed: this runs for every report
		invariant.Check(ok, "bucket %s: available %d, owed %d: %+v", b.ID, b.Available(), b.Debt(), *b)
	}
}

// Hold moves up to want from available to held and returns how much.
func (b *Bucket) Hold(want int64) int64 {
	n := min(want, b.Available())
	b.H += n
	b.Check()
	return n
}

// Release gives back n of what is held.
func (b *Bucket) Release(n int64) {
	b.H -= n
	b.Check()
}

// Capture turns n of what is held into a charge that is not yet cut.
func (b *Bucket) Capture(n int64) {
	b.H -= n
	b.U += n
	b.Check()
}

// Charge takes up to want from available as a charge that is not yet cut and
// returns how much.
func (b *Bucket) Charge(want int64) int64 {
	n := min(want, b.Available())
	b.U += n
	b.Check()
	return n
}

// Uncharge takes n of a charge that is not yet cut back.
func (b *Bucket) Uncharge(n int64) {
	b.U -= n
	b.Check()
}

// Take raises T by n: credited here.
func (b *Bucket) Take(n int64) {
	b.T += n
	b.Check()
}

// Expire takes n of what is available off for good: its time is over.
func (b *Bucket) Expire(n int64) {
	b.S += n
	b.Check()
}

// Cut turns n of what is charged into spent: an entry is written for it.
func (b *Bucket) Cut(n int64) {
	b.U -= n
	b.S += n
	b.Check()
}

// Borrow raises B by up to want within the allowance and returns how much.
func (b *Bucket) Borrow(want int64) int64 {
	n := max(min(want, b.Allowance-b.Debt()), 0)
	b.B += n
	b.Check()
	return n
}

// Repay raises P by what is owed and available and returns how much.
func (b *Bucket) Repay() int64 {
	n := min(b.Debt(), b.Available())
	b.P += n
	b.Check()
	return n
}

// Return raises X towards ReclaimTo by what is available and returns how much.
func (b *Bucket) Return() int64 {
	n := max(min(b.ReclaimTo-b.X, b.Available()), 0)
	b.X += n
	b.Check()
	return n
}

// Grant takes a lease's totals from the centre: G only rises, so a repeated or older
// message grants nothing. ReclaimTo is what the newest message says: the centre takes a
// request back when it was served otherwise, and what was returned stays returned.
func (b *Bucket) Grant(granted, reclaimTo, allowance int64) error {
	if granted < 0 || reclaimTo < 0 || allowance < 0 {
		return fmt.Errorf("lease of bucket %s: granted %d, reclaim_to %d, allowance %d: totals must not be negative", b.ID, granted, reclaimTo, allowance)
	}
	b.G = max(b.G, granted)
	b.ReclaimTo = reclaimTo
	b.Allowance = allowance
	b.Check()
	return nil
}

// Before orders buckets as charging walks them: priority, then expiry (never
// comes last), then what was given for an allowance before other money, then id.
func Before(a, b *Bucket) int {
	if a.Priority != b.Priority {
		return a.Priority - b.Priority
	}
	ax, bx := uint64(a.Expires)-1, uint64(b.Expires)-1
	switch {
	case ax < bx:
		return -1
	case ax > bx:
		return 1
	case a.given() != b.given():
		if a.given() {
			return -1
		}
		return 1
	case a.ID < b.ID:
		return -1
	case a.ID > b.ID:
		return 1
	}
	return 0
}

// given tells whether the bucket was made for an allowance.
func (b *Bucket) given() bool { return b.Made != nil && b.Made.Allowance != "" }
