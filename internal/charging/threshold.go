package charging

import (
	"fmt"

	"meridian/internal/tariff"
)

// Watch is a threshold and whether it has fired since it was last armed.
type Watch struct {
	tariff.Threshold
	Fired bool
}

// Observe tells whether the threshold fires: value is what is left or used, given
// what the balance had when it was given. It fires once; Rearm, at the start of a
// period for a recurring one, lets it fire again.
func (w *Watch) Observe(value, given int64) bool {
	if w.Fired {
		return false
	}
	switch w.Metric {
	case tariff.Left:
		w.Fired = value <= w.Value
	case tariff.Used:
		w.Fired = value >= w.Value
	case tariff.UsedPercent:
		w.Fired = given > 0 && reached(given-value, given, w.Value)
	}
	return w.Fired
}

// reached tells whether part of whole is at least parts per million.
func reached(part, whole, parts int64) bool {
	q, r := whole/int64(tariff.Hundred), whole%int64(tariff.Hundred)
	need := q*parts + (r*parts+int64(tariff.Hundred)-1)/int64(tariff.Hundred)
	return part >= need
}

// Rearm lets the threshold fire again.
func (w *Watch) Rearm() { w.Fired = false }

// Apply does a threshold's actions, in order, on the buckets whose names they
// give: the first in charging order that lives at t. Profiles are the caller's.
func (w *Wallet) Apply(t int64, actions []tariff.Action) error {
	for _, a := range actions {
		if a.Do == tariff.ResetAll {
			for _, b := range w.Buckets {
				b.Value = b.Held
			}
			continue
		}
		if a.Do == tariff.UseProfile {
			continue
		}
		b := w.named(t, a.Balance)
		if b == nil {
			return fmt.Errorf("%s %d of %s: %w: there is none", a.Do, a.Amount, a.Balance, ErrBucket)
		}
		if a.Do == tariff.Debit {
			b.take(min(a.Amount, b.Available()))
		} else if err := b.Credit(a.Amount); err != nil {
			return err
		}
	}
	return nil
}

func (w *Wallet) named(t int64, name string) *Bucket {
	for _, b := range w.Buckets {
		if b.Name == name && b.Live(t) {
			return b
		}
	}
	return nil
}
