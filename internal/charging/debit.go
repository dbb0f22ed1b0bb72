package charging

import (
	"math"
	"slices"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// Session is the charging state of one session, call or event.
type Session struct {
	Context rating.Context
	State   rating.Tally
	Draws   []Draw // what allowances with a factor have paid, so that it is rounded once
	Ledger         // who bears State.Charged, where the price may fall

	// The state of the component by which a bucket rates: 1 + component.
	OtherComponent int
	Other          rating.Tally
}

// Draw is what a bucket has paid of a session: counts of usage, and what was taken
// for them.
type Draw struct {
	Bucket string
	Counts int64
	Taken  int64
}

// Clone copies the state: what is tried on the copy leaves the original as it is.
func (s *Session) Clone() Session {
	c := *s
	c.Draws, c.Payers = slices.Clone(s.Draws), slices.Clone(s.Payers)
	return c
}

// Payment is what a debit took from a bucket, in the bucket's unit; negative is what
// it gave back to it: bucket "" is one that is made for money which has no other.
// Peak is the most that was taken at any time on the way.
type Payment struct {
	Bucket string
	Unit   tariff.Unit
	Amount int64
	Peak   int64
}

// Result is what a debit did.
type Result struct {
	Slices   []rating.Priced
	Payments []Payment
	Cost     money.Amount // price of what money pays for, overrun included
	Paid     int64        // quantity that buckets paid for, or that is free
	Unpaid   int64        // quantity that they could not
	Overrun  money.Amount // of Cost: what no bucket could pay, a fee that none could included; negative is less than before
	Lapsed   []Payment    // would be given back to an allowance whose time is over: nobody gets it
}

// Reset empties a result and keeps its memory.
func (r *Result) Reset() {
	*r = Result{Slices: r.Slices[:0], Payments: r.Payments[:0], Lapsed: r.Lapsed[:0]}
}

// Mode says what becomes of usage that the wallet cannot pay.
type Mode uint8

// Modes. Owe prices it in full and reports it as overrun: usage that has happened.
// Part leaves it unused: usage that is asked for. Whole takes all or nothing.
const (
	Owe Mode = iota
	Part
	Whole
)

// Debit charges usage to the wallet: it walks the buckets in order, lets each that
// may pay take whole steps, and goes on with the next where one ends. Each step of
// the price, and a fee, is paid by one bucket. Results go into r, which is reset.
// In mode Whole it returns ErrInsufficient, and nothing has changed, when the
// wallet does not suffice.
func Debit(p *rating.Plan, s *Session, w *Wallet, u rating.Use, mode Mode, r *Result) error {
	if mode == Whole {
		return whole(p, s, w, u, r)
	}
	r.Reset()
	d := debit{plan: p, s: s, w: w, use: u, r: r, mode: mode, falls: p.Falls(s.Context.Component)}
	if err := d.run(); err != nil {
		return err
	}
	return nil
}

func whole(p *rating.Plan, s *Session, w *Wallet, u rating.Use, r *Result) error {
	trial, probe := s.Clone(), w.Clone()
	if err := Debit(p, &trial, probe, u, Part, r); err != nil {
		return err
	}
	if r.Unpaid > 0 || r.Overrun > 0 {
		r.Reset()
		r.Unpaid = u.Quantity
		return ErrInsufficient
	}
	*s = trial
	made := probe.Bucket("")
	if made != nil && w.Bucket("") != nil {
		made = nil
	}
	i := 0
	for _, b := range probe.Buckets {
		if b == made {
			continue
		}
		left := w.Buckets[i].Limit
		*w.Buckets[i] = *b
		if left != nil {
			left.Left = b.Limit.Left
			w.Buckets[i].Limit = left
		}
		i++
	}
	if made != nil {
		w.Add(made)
	}
	return nil
}

// Allowed is how much of the usage the wallet would pay for, without a change to
// it: the longest session, the largest volume.
func Allowed(p *rating.Plan, s *Session, w *Wallet, u rating.Use, r *Result) (int64, error) {
	trial := s.Clone()
	if err := Debit(p, &trial, w.Clone(), u, Part, r); err != nil {
		return 0, err
	}
	return r.Paid, nil
}

// debit is one walk.
type debit struct {
	plan *rating.Plan
	s    *Session
	w    *Wallet
	use  rating.Use
	r    *Result
	mode Mode

	left   int64 // of the usage
	unpaid int64 // of what is done: it has a price that nothing paid
	falls  bool  // the price may fall: see fall.go
}

func (d *debit) run() error {
	d.left = d.use.Quantity
	start := d.s.State
	if d.use.New { // before anything is used of the step that the last event began
		d.s.State = d.plan.Begin(d.s.Context, d.s.State)
		d.use.New = false
	}
	if err := d.ahead(); err != nil {
		d.s.State = start
		return err
	}
	if err := d.walk(); err != nil {
		return err
	}
	if d.left == d.use.Quantity && d.left > 0 && d.mode != Owe && d.r.Cost > 0 {
		d.undoFee(start)
	} else if d.left == d.use.Quantity && d.left > 0 && d.mode != Owe {
		d.s.State = start // the event did not take place
	}
	d.r.Unpaid = d.left + d.unpaid
	d.r.Paid = d.use.Quantity - d.r.Unpaid
	if d.left > 0 && d.mode == Owe {
		return d.overrun(d.left)
	}
	return nil
}

// walk lets the buckets pay for as much as they can, then uses what costs nothing.
func (d *debit) walk() error {
	for d.left > 0 {
		if err := d.fall(); err != nil {
			return err
		}
		progress, blocked, err := d.round()
		if err == nil && (!progress || blocked) {
			progress, err = d.beyond()
		}
		if err != nil || !progress {
			return err
		}
	}
	return nil
}

// ahead uses what a started step has already paid for.
func (d *debit) ahead() error {
	n := d.left - d.s.State.Unpaid(d.left)
	if n == 0 && d.left > 0 {
		return nil
	}
	before := d.s.State.Charged
	if err := d.price(n); err != nil {
		return err
	}
	if rise := d.s.State.Charged - before; d.falls && rise != 0 { // the flat part of a period in which nothing is used
		d.r.Overrun += rise
		d.s.Owed += rise
	}
	return nil
}

// price rates n counts that cost nothing more, or whose price has no payer.
func (d *debit) price(n int64) error {
	before := d.s.State.Charged
	var err error
	d.r.Slices, d.s.State, err = d.plan.Rate(d.r.Slices, d.s.Context, d.s.State, d.part(n))
	if err != nil {
		return err
	}
	d.left -= n
	d.r.Cost += d.s.State.Charged - before
	return nil
}

// part is the usage that n of the counts left stand for: volume lies evenly over
// its time.
func (d *debit) part(n int64) rating.Use {
	u := d.use
	if u.To > u.From && u.Quantity > 0 && d.left < u.Quantity {
		done, err := money.MulDiv(u.Quantity-d.left, u.To-u.From, u.Quantity, money.Floor)
		if err == nil {
			u.From += done
		}
	}
	u.Quantity = n
	return u
}

// now is the time of the next count of usage.
func (d *debit) now() int64 {
	if d.plan.Unit(d.s.Context.Component) == tariff.Seconds {
		return d.s.Context.Start + d.s.State.Quantity - d.s.State.Base
	}
	return d.part(d.left).From
}

// round lets the first bucket that can pay, pay. It tells whether one did, and
// whether one that blocks stands in the way.
func (d *debit) round() (progress, blocked bool, err error) {
	t, horizon := d.now(), int64(math.MaxInt64)
	for _, b := range d.w.Buckets {
		if d.left == 0 {
			break
		}
		until, ok := d.usable(b, t)
		if !ok {
			horizon = min(horizon, until) // from then on it may pay before those behind it
			continue
		}
		until = min(until, horizon)
		left, cost, whole := d.left, d.r.Cost, false
		switch {
		case b.RatedBy > 0:
			err = d.rated(b, until-t)
		case b.Unit == tariff.Money:
			whole, err = d.money(b, until-t)
		default:
			d.units(b, until-t)
		}
		if err != nil {
			return false, false, err
		}
		paid := d.left < left
		progress = progress || paid || d.r.Cost > cost
		if b.Blocking && d.left > 0 && !whole && (until == math.MaxInt64 || !paid) {
			return progress, true, nil
		}
		if paid {
			return true, false, nil // what stands before may pay for what comes now
		}
	}
	return progress, false, nil
}

// usable tells whether the bucket may pay at t, and until when that is sure. An
// empty bucket may only if it blocks.
func (d *debit) usable(b *Bucket, t int64) (int64, bool) {
	until := int64(math.MaxInt64)
	if !d.allowed(b) || b.Available() == 0 && !b.Blocking {
		return until, false
	}
	if b.From > t {
		return b.From, false
	}
	if !b.Live(t) {
		return until, false
	}
	if b.Expires != 0 {
		until = b.Expires
	}
	if b.Voided != 0 {
		until = min(until, b.Voided)
	}
	if b.Windows == 0 {
		return until, true
	}
	in := false
	for i := 0; b.Windows>>i != 0; i++ {
		if b.Windows&(1<<i) == 0 {
			continue
		}
		yes, sure := d.plan.InWindow(i, t)
		in = in || yes
		until = min(until, sure)
	}
	return until, in
}

func (d *debit) allowed(b *Bucket) bool {
	if b.Components != 0 && b.Components&(1<<d.s.Context.Component) == 0 {
		return false
	}
	return b.Zones == nil || slices.Contains(b.Zones, d.plan.ZoneName(d.s.Context.Component, d.s.Context.Zone))
}

// within bounds counts of time by the seconds for which a bucket may pay.
func (d *debit) within(n, seconds int64) int64 {
	if d.plan.Unit(d.s.Context.Component) == tariff.Seconds {
		return min(n, seconds)
	}
	return n
}

// money lets a money bucket pay the price. It tells whether it paid for all that it
// was asked for, which may be less than the usage left: see rising.
func (d *debit) money(b *Bucket, seconds int64) (whole bool, err error) {
	before, want := d.s.State.Charged, d.within(d.rising(), seconds)
	slices, state, n, err := d.plan.Fit(d.r.Slices, d.s.Context, d.s.State, d.part(want), money.Amount(b.Available()))
	if err != nil {
		return false, err
	}
	if n == 0 && state.Charged == before {
		return false, nil
	}
	d.r.Slices, d.s.State = slices, state
	cost := state.Charged - before
	d.left -= n
	d.r.Cost += cost
	d.pay(b, int64(cost))
	return n == want, nil
}

// units lets an allowance without prices pay.
func (d *debit) units(b *Bucket, seconds int64) {
	step := max(b.Step, 1)
	within := d.within(d.left, seconds)
	want := within / step
	if within%step > 0 && want < math.MaxInt64/step { // a last step that int64 does not hold is left to others
		want++
	}
	n, take := d.draw(b, want, step)
	if n == 0 {
		return
	}
	used := min(n*step, d.left)
	d.s.State = d.plan.Skip(d.s.Context, d.s.State, used, n*step, false)
	d.cover(b, used, n*step)
	d.left -= used
	d.pay(b, take)
}

// cover adds the slice of usage that an allowance pays.
func (d *debit) cover(b *Bucket, used, charged int64) {
	d.r.Slices = append(d.r.Slices, rating.Priced{Rule: b.Name, Kind: rating.KindCovered, Quantity: used, Charged: charged, Step: max(b.Step, 1)})
}

// draw takes up to want steps out of a bucket's counts and gives how many fit, and
// what is taken for them: the factor's cumulative product, rounded down once.
func (d *debit) draw(b *Bucket, want, step int64) (n, take int64) {
	if b.Factor == (tariff.Ratio{}) || b.Factor.Num == b.Factor.Den {
		n = min(want, b.Available()/step)
		return n, n * step
	}
	w := d.tally(b.ID)
	cost := func(n int64) int64 {
		counts := w.Counts + n*step
		if counts < 0 { // beyond int64
			return math.MaxInt64
		}
		sum, err := money.MulDiv(counts, b.Factor.Num, b.Factor.Den, money.Floor)
		if err != nil {
			return math.MaxInt64
		}
		return sum - w.Taken
	}
	lo, hi := int64(0), want // cost only rises
	if cost(hi) <= b.Available() {
		lo = hi
	}
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		if cost(mid) <= b.Available() {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	if lo == 0 {
		return 0, 0
	}
	take = cost(lo)
	w.Counts += lo * step
	w.Taken += take
	return lo, take
}

func (d *debit) tally(bucket string) *Draw {
	for i := range d.s.Draws {
		if d.s.Draws[i].Bucket == bucket {
			return &d.s.Draws[i]
		}
	}
	d.s.Draws = append(d.s.Draws, Draw{Bucket: bucket})
	return &d.s.Draws[len(d.s.Draws)-1]
}

func (d *debit) pay(b *Bucket, amount int64) {
	if amount == 0 {
		return
	}
	b.take(amount)
	if d.falls && b.Unit == tariff.Money {
		d.s.paid(b, money.Amount(amount))
	}
	d.note(b, amount)
}

// note adds to what a bucket has paid in this debit.
func (d *debit) note(b *Bucket, amount int64) {
	i := slices.IndexFunc(d.r.Payments, func(p Payment) bool { return p.Bucket == b.ID })
	if i < 0 {
		i = len(d.r.Payments)
		d.r.Payments = append(d.r.Payments, Payment{Bucket: b.ID, Unit: b.Unit})
	}
	p := &d.r.Payments[i]
	p.Amount += amount
	p.Peak = max(p.Peak, p.Amount)
}

// free uses what costs nothing and needs no bucket.
func (d *debit) free() error {
	slices, state, n, err := d.plan.Fit(d.r.Slices, d.s.Context, d.s.State, d.part(d.rising()), 0)
	if err != nil || n == 0 {
		return err
	}
	d.r.Slices, d.s.State = slices, state
	d.left -= n
	return nil
}

// overrun prices n counts in full; nobody pays them.
func (d *debit) overrun(n int64) error {
	before := d.r.Cost
	if err := d.price(n); err != nil {
		return err
	}
	d.r.Overrun += d.r.Cost - before
	return nil
}

// undoFee gives back a fee when no usage could follow it.
func (d *debit) undoFee(before rating.Tally) {
	for _, p := range d.r.Payments {
		b := d.w.Bucket(p.Bucket)
		b.Value += p.Amount
		if b.Limit != nil {
			b.Limit.Left += p.Amount
		}
	}
	d.s.State = before
	d.r.Reset()
}
