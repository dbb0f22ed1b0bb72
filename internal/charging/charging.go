// Package charging decides which balances pay for usage, and how much each: pure
// functions over a wallet.
//
// It owns the walk over buckets (priority, expiry, id; filters, factors, blocking,
// shared limits), what becomes of usage that nothing can pay, reservations, and
// the life of a bucket: given, renewed with rollover, expired, refunded,
// transferred. What usage costs is rating's; which part of a bucket lies in which
// region is edge/balance's.
package charging

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"meridian/internal/invariant"
	"meridian/internal/tariff"
)

// Bucket is a balance: money or an allowance. Value is what is left, Held the part
// of it that reservations hold; neither is negative, nor is Value below Held.
type Bucket struct {
	ID       string
	Name     string // the allowance, or tariff.MoneyBalance
	Unit     tariff.Unit
	Priority int
	From     int64 // Unix seconds: pays from here on
	Expires  int64 // and before here; 0 = for ever
	Voided   int64 // or before here, when it was taken back; 0 = not

	Value int64
	Held  int64
	Given int64 // what it had when it was last given
	Since int64 // of an allowance: when that was, Unix seconds; tells what it paid before from what it pays now
	Loan  bool  // what may be borrowed on the bucket of this id, which may stand beside it

	Terms
	Limit *Limit // of this subscription in a shared bucket; nil = none

	Every    int64 // seconds between renewals; 0 = none
	Anchor   int64 // Unix seconds of one renewal
	Rollover *tariff.Rollover
}

// Terms say for what a bucket pays, and how.
type Terms struct {
	Components uint64       // bits of the plan's components; 0 = all
	Zones      []string     // names; nil = all
	Windows    uint64       // bits of the plan's windows, in force at the time of use; 0 = always
	Factor     tariff.Ratio // counts taken for each count of usage
	Step       int64        // counts of usage that are paid at once; 0 = 1
	RatedBy    int          // 1 + the component whose prices hold while it pays; 0 = it pays all
	Blocking   bool         // what it cannot pay, no bucket behind it pays
}

// Limit is what one child may still use of a shared bucket.
type Limit struct{ Left int64 }

// Errors.
var (
	// ErrInsufficient: the wallet cannot pay for all of the usage.
	ErrInsufficient = errors.New("insufficient credit")
	// ErrAmount: an amount is negative, more than there is, or too large.
	ErrAmount = errors.New("amount is out of range")
	// ErrBucket: a bucket is not there, has expired, or counts another unit.
	ErrBucket = errors.New("bucket cannot be used")
)

// MaxValue bounds a bucket's value, so that sums of a few fit 64 bits.
const MaxValue = 1 << 60

// Wallet is the buckets that a subscription may draw on, in charging order.
type Wallet struct {
	Buckets []*Bucket
	// Overage is usage, by unit of credit grants, that no bucket was there to pay:
	// the next bucket of the unit that begins or is renewed pays it first.
	Overage map[tariff.Unit]int64
	now     int64
}

// NewWallet puts buckets, as they are at now (Unix seconds), in charging order.
func NewWallet(now int64, buckets ...*Bucket) *Wallet {
	w := &Wallet{Buckets: buckets, Overage: map[tariff.Unit]int64{}, now: now}
	slices.SortFunc(w.Buckets, Before)
	return w
}

// Before orders buckets as charging walks them: priority, then expiry (never comes
// last), then allowances before the subscriber's money, then id.
func Before(a, b *Bucket) int {
	if by := cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(uint64(a.Expires)-1, uint64(b.Expires)-1)); by != 0 {
		return by
	}
	if am := a.Name == tariff.MoneyBalance; am != (b.Name == tariff.MoneyBalance) {
		return order(am)
	}
	return cmp.Compare(a.ID, b.ID)
}

func order(last bool) int {
	if last {
		return 1
	}
	return -1
}

// At sets the time at which the buckets are as they are (Unix seconds): what has
// expired by then is given nothing back. Time that goes back changes nothing.
func (w *Wallet) At(now int64) { w.now = max(w.now, now) }

// Resort puts the buckets in charging order after one's place has changed.
func (w *Wallet) Resort() { slices.SortFunc(w.Buckets, Before) }

// Add puts another bucket in its place.
func (w *Wallet) Add(b *Bucket) {
	i, _ := slices.BinarySearchFunc(w.Buckets, b, Before)
	w.Buckets = slices.Insert(w.Buckets, i, b)
}

// Bucket finds a bucket by id.
func (w *Wallet) Bucket(id string) *Bucket {
	for _, b := range w.Buckets {
		if b.ID == id {
			return b
		}
	}
	return nil
}

// Clone copies the wallet: what is tried on the copy leaves the original as it is.
func (w *Wallet) Clone() *Wallet {
	out := &Wallet{Buckets: make([]*Bucket, len(w.Buckets)), Overage: map[tariff.Unit]int64{}, now: w.now}
	copies := make([]Bucket, len(w.Buckets))
	for i, b := range w.Buckets {
		copies[i] = *b
		if b.Limit != nil {
			limit := *b.Limit
			copies[i].Limit = &limit
		}
		out.Buckets[i] = &copies[i]
	}
	for u, v := range w.Overage {
		out.Overage[u] = v
	}
	return out
}

// Live tells whether the bucket pays for usage at t.
func (b *Bucket) Live(t int64) bool {
	return b.From <= t && (b.Expires == 0 || t < b.Expires) && (b.Voided == 0 || t < b.Voided)
}

// Available is what may be taken or held.
func (b *Bucket) Available() int64 {
	n := b.Value - b.Held
	if b.Limit != nil {
		n = min(n, b.Limit.Left)
	}
	return max(n, 0)
}

// take lowers the value by n; the caller has asked Available.
func (b *Bucket) take(n int64) {
	b.Value -= n
	if b.Limit != nil {
		b.Limit.Left -= n
	}
	b.check()
}

func (b *Bucket) check() {
	ok := b.Value >= 0 && b.Held >= 0 && b.Held <= b.Value && b.Value <= MaxValue
	if !ok { // the message is built only when it is needed
		invariant.Check(ok, "bucket %s: value %d, held %d", b.ID, b.Value, b.Held)
	}
}

// Credit raises a bucket's value.
func (b *Bucket) Credit(n int64) error {
	if n < 0 || n > MaxValue-b.Value {
		return fmt.Errorf("credit %d to bucket %s of %d: %w: give 0 to %d", n, b.ID, b.Value, ErrAmount, MaxValue-b.Value)
	}
	b.Value += n
	b.check()
	return nil
}
