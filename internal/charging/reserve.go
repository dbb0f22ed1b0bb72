package charging

import (
	"math"

	"meridian/internal/invariant"
	"meridian/internal/rating"
)

// Reservation is what a session holds ahead, for Quantity counts of usage.
type Reservation struct {
	Parts    []Payment
	Quantity int64
	Until    int64 // Unix seconds
}

// Reserve holds what the usage would cost: as much of it as the wallet pays for.
// Nothing that one reservation holds is there for another.
func Reserve(p *rating.Plan, s *Session, w *Wallet, u rating.Use, until int64, r *Result) (Reservation, error) {
	n, err := Allowed(p, s, w, u, r)
	if err != nil {
		return Reservation{}, err
	}
	out := Reservation{Quantity: n, Until: until}
	for _, x := range r.Payments { // what a price that falls gives back on the way is not there before
		if x.Peak > 0 {
			out.Parts = append(out.Parts, Payment{Bucket: x.Bucket, Unit: x.Unit, Amount: x.Peak})
		}
	}
	for _, part := range out.Parts {
		b := w.Bucket(part.Bucket)
		b.Held += part.Amount
		if b.Limit != nil {
			b.Limit.Left -= part.Amount
		}
		b.check()
	}
	return out, nil
}

// Release gives back what a reservation holds. What was held of a bucket that has
// expired since expires now; it is returned.
func (w *Wallet) Release(t int64, r *Reservation) (expired []Payment) {
	for _, part := range r.Parts {
		b := w.Bucket(part.Bucket)
		invariant.Check(b != nil && b.Held >= part.Amount, "release of %d that bucket %s does not hold", part.Amount, part.Bucket)
		b.Held -= part.Amount
		if b.Limit != nil {
			b.Limit.Left += part.Amount
		}
		if !b.Live(t) && b.From <= t {
			n := min(part.Amount, b.Value)
			b.Value -= n
			expired = append(expired, Payment{Bucket: b.ID, Unit: b.Unit, Amount: n})
		}
		b.check()
	}
	r.Parts, r.Quantity = nil, 0
	return expired
}

// Capture charges usage that has happened against a reservation, and ends it: what
// it holds is free for this usage first, the rest of the wallet pays what is
// beyond, and what nothing pays is overrun. A bucket that has expired since the
// reservation still pays what was held of it.
func Capture(p *rating.Plan, s *Session, w *Wallet, u rating.Use, t int64, res *Reservation, r *Result) (expired []Payment, err error) {
	type life struct {
		b               *Bucket
		expires, voided int64
	}
	var gone []life
	for _, part := range res.Parts {
		b := w.Bucket(part.Bucket)
		b.Held -= part.Amount
		if b.Limit != nil {
			b.Limit.Left += part.Amount
		}
		if !b.Live(t) {
			gone = append(gone, life{b, b.Expires, b.Voided})
			b.Expires, b.Voided = math.MaxInt64, 0
		}
	}
	err = Debit(p, s, w, u, Owe, r)
	for _, g := range gone {
		g.b.Expires, g.b.Voided = g.expires, g.voided
		if g.b.Value > g.b.Held {
			expired = append(expired, Payment{Bucket: g.b.ID, Unit: g.b.Unit, Amount: g.b.Value - g.b.Held})
			g.b.Value = g.b.Held
		}
	}
	res.Parts, res.Quantity = nil, 0
	return expired, err
}
