package charging

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// naivePurse is a bucket of money of the model.
type naivePurse struct {
	id             string
	value, held    int64
	expires, since int64
	every, given   int64
	rollover       int64 // most that a renewal keeps on top; -1 = none
	bonus          bool
	blocking       bool  // what it cannot pay, nothing behind it pays
	child          int64 // what this child may still use of a pool; -1 = no limit
	in, out, lost  int64 // its books
}

func (b *naivePurse) live(t int64) bool { return b.expires == 0 || t < b.expires }

func (b *naivePurse) available() int64 {
	n := b.value - b.held
	if b.child >= 0 {
		n = min(n, b.child)
	}
	return n
}

// naivePayer is a payment that may come back.
type naivePayer struct {
	b      *naivePurse
	since  int64
	amount int64
}

// naiveFalls is a session of the model: it is charged unit by unit.
type naiveFalls struct {
	used, charged, owed int64
	payers              []naivePayer
	real                Session
}

// purses runs a wallet of money beside a model of it.
type purses struct {
	usage    tariff.Usage
	plan     *rating.Plan
	w        *Wallet
	model    []*naivePurse
	sessions []*naiveFalls
	held     []heldFall
	now      int64
}

type heldFall struct {
	s     *naiveFalls
	until int64
	res   Reservation
	parts map[*naivePurse]int64
}

// price is what n units cost in all.
func (x *purses) price(n int64) int64 {
	if n -= x.usage.Free.Units; n <= 0 {
		return 0
	}
	r := &x.usage.Rates[0]
	for _, t := range r.Tiers {
		if t.UpTo == 0 || n <= t.UpTo {
			steps := (n + max(t.Step, 1) - 1) / max(t.Step, 1)
			return max(int64(t.Flat)+steps*max(t.Step, 1)*int64(t.Price.Amount), int64(x.usage.MinEvent))
		}
	}
	panic("no tier")
}

// use charges one unit after the other: false when a part of it could not be paid
// and it was not to be owed.
func (x *purses) use(s *naiveFalls, n int64, owe bool, paid map[*naivePurse]int64, peak map[*naivePurse]int64) (done int64, lapsed int64) {
	take := func(b *naivePurse, amount int64) {
		b.value, b.out = b.value-amount, b.out+amount
		if b.child >= 0 {
			b.child -= amount
		}
		paid[b] += amount
		peak[b] = max(peak[b], paid[b])
	}
	for ; done < n; done++ {
		cost := x.price(s.used+1) - x.price(s.used)
		switch {
		case cost > 0:
			i := slices.IndexFunc(x.model, func(b *naivePurse) bool { return b.live(x.now) && (b.available() >= cost || b.blocking) })
			if i >= 0 && x.model[i].available() >= cost {
				take(x.model[i], cost)
				s.payers = append(s.payers, naivePayer{x.model[i], x.model[i].since, cost})
			} else if owe {
				s.owed += cost
			} else {
				return done, lapsed
			}
		case cost < 0:
			back := -cost
			n := min(back, s.owed)
			s.owed, back = s.owed-n, back-n
			for back > 0 {
				p := &s.payers[len(s.payers)-1]
				n := min(back, p.amount)
				p.amount, back = p.amount-n, back-n
				cash := x.model[slices.IndexFunc(x.model, func(b *naivePurse) bool { return !b.bonus && b.expires == 0 })]
				switch {
				case p.b.live(x.now) && p.b.since == p.since:
					take(p.b, -n)
				case p.b.bonus:
					lapsed += n
				default:
					take(cash, -n)
				}
				if p.amount == 0 {
					s.payers = s.payers[:len(s.payers)-1]
				}
			}
		}
		s.used++
		s.charged += cost
	}
	return done, lapsed
}

func (x *purses) named(id string) *naivePurse {
	return x.model[slices.IndexFunc(x.model, func(b *naivePurse) bool { return b.id == id })]
}

// copied is the model with copies of everything that a trial changes.
func (x *purses) copied(s *naiveFalls) (*purses, *naiveFalls) {
	y := &purses{usage: x.usage, now: x.now}
	at := map[*naivePurse]*naivePurse{}
	for _, b := range x.model {
		c := *b
		at[b] = &c
		y.model = append(y.model, &c)
	}
	t := &naiveFalls{used: s.used, charged: s.charged, owed: s.owed}
	for _, p := range s.payers {
		t.payers = append(t.payers, naivePayer{at[p.b], p.since, p.amount})
	}
	return y, t
}

func genFalling(t *rapid.T) tariff.Usage {
	u := tariff.Usage{Name: "usage", Unit: tariff.Bytes, Free: tariff.Free{Units: 7 * rapid.Int64Range(0, 1).Draw(t, "free")}, MinEvent: money.Amount(16 * rapid.Int64Range(0, 3).Draw(t, "min event"))}
	r := tariff.Rate{Mode: tariff.Volume}
	end := int64(0)
	for i := range rapid.IntRange(2, 4).Draw(t, "tiers") {
		tier := tariff.Tier{Price: tariff.Price{Amount: money.Amount(int64(1) << rapid.IntRange(0, 4).Draw(t, "price")), Per: 1},
			Flat: money.Amount(16 * rapid.Int64Range(0, 2).Draw(t, "flat"))}
		if i > 0 { // a step of another width would begin where the last tier's did not end
			r.Tiers[i-1].UpTo = end
		}
		end += 5 * rapid.Int64Range(1, 8).Draw(t, "up to")
		r.Tiers = append(r.Tiers, tier)
	}
	u.Rates = []tariff.Rate{r}
	return u
}

// Of a price that falls, too, no sequence of usage, credits, transfers, reservations,
// renewals with rollover and expiry creates or destroys value: each bucket is at
// every moment what a model says that charges unit by unit; what buckets paid, less
// what they got back, and what is owed, is what was charged.
func TestNoSequenceOfAFallingPriceCreatesOrDestroysValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &purses{usage: genFalling(t), now: 1000}
		x.plan = volumePlan(t, func(u *tariff.Usage) { *u = x.usage })
		buckets := []*Bucket{{ID: "cash", Name: tariff.MoneyBalance, Unit: tariff.Money, Priority: 3, Value: rapid.Int64Range(0, 500).Draw(t, "cash")}}
		for i := range rapid.IntRange(0, 3).Draw(t, "others") {
			b := &Bucket{ID: fmt.Sprint("b", i), Name: rapid.SampledFrom([]string{"bonus", tariff.MoneyBalance}).Draw(t, "name"), Unit: tariff.Money,
				Priority: rapid.IntRange(0, 4).Draw(t, "priority"), Value: rapid.Int64Range(0, 300).Draw(t, "value")}
			switch rapid.IntRange(0, 3).Draw(t, "life") {
			case 0:
				b.Expires = x.now + rapid.Int64Range(1, 900).Draw(t, "expires")
			case 1:
				b.Name, b.Every, b.Anchor, b.Given, b.Since = "bonus", rapid.Int64Range(50, 500).Draw(t, "every"), x.now, b.Value, x.now
				if rapid.Bool().Draw(t, "rollover") {
					b.Rollover = &tariff.Rollover{Max: rapid.Int64Range(0, 200).Draw(t, "most"), Add: true}
				}
			case 2:
				b.Limit = &Limit{Left: rapid.Int64Range(0, 200).Draw(t, "per child")}
			}
			b.Blocking = rapid.IntRange(0, 5).Draw(t, "blocking") == 0
			buckets = append(buckets, b)
		}
		x.w = NewWallet(x.now, buckets...)
		for _, b := range x.w.Buckets {
			m := &naivePurse{id: b.ID, value: b.Value, expires: b.Expires, since: b.Since, every: b.Every, given: b.Given, rollover: -1, bonus: b.Name != tariff.MoneyBalance, blocking: b.Blocking, child: -1, in: b.Value}
			if b.Limit != nil {
				m.child = b.Limit.Left
			}
			if b.Rollover != nil {
				m.rollover = b.Rollover.Max
			}
			x.model = append(x.model, m)
		}
		for range 2 {
			x.sessions = append(x.sessions, &naiveFalls{})
		}
		t.Repeat(map[string]func(*rapid.T){
			"use": x.report, "use more": x.report, "credit": x.credit, "transfer": x.transfer,
			"reserve": x.reserve, "end": x.end, "time": x.later, "": x.check,
		})
	})
}

func (x *purses) check(t *rapid.T) {
	for i, b := range x.w.Buckets {
		m := x.model[i]
		if b.ID != m.id || b.Value != m.value || b.Held != m.held || b.Limit != nil && b.Limit.Left != m.child {
			t.Fatalf("bucket %s has %d, held %d, %+v; the model's %+v", b.ID, b.Value, b.Held, b.Limit, m)
		}
		if m.value != m.in-m.out-m.lost || m.value < 0 {
			t.Fatalf("bucket %s: %d are there of %d in, %d out, %d lost", m.id, m.value, m.in, m.out, m.lost)
		}
	}
	for _, s := range x.sessions {
		if s.real.State.Charged != money.Amount(s.charged) || s.real.Owed != money.Amount(s.owed) || !s.real.Ends(s.real.State.Charged) {
			t.Fatalf("charged %d, ledger %+v; the model has %d, %d owed", s.real.State.Charged, s.real.Ledger, s.charged, s.owed)
		}
	}
}

func (x *purses) report(t *rapid.T) {
	s := rapid.SampledFrom(x.sessions).Draw(t, "session")
	n := rapid.Int64Range(0, 60).Draw(t, "units")
	var r Result
	if err := Debit(x.plan, &s.real, x.w, rating.Use{Quantity: n, From: x.now, To: x.now}, Owe, &r); err != nil {
		t.Fatal(err)
	}
	x.same(t, s, n, &r)
}

// same lets the model use n units, and compares what was paid.
func (x *purses) same(t *rapid.T, s *naiveFalls, n int64, r *Result) {
	paid, owed, charged := map[*naivePurse]int64{}, s.owed, s.charged
	_, lapsed := x.use(s, n, true, paid, map[*naivePurse]int64{})
	sum := r.Overrun
	for _, p := range r.Payments {
		if got := paid[x.named(p.Bucket)]; got != p.Amount {
			t.Fatalf("bucket %s pays %d, by the model %d", p.Bucket, p.Amount, got)
		}
		sum += money.Amount(p.Amount)
	}
	for _, p := range r.Lapsed {
		lapsed -= p.Amount
		sum -= money.Amount(p.Amount)
	}
	if lapsed != 0 || int64(r.Overrun) != s.owed-owed || int64(r.Cost) != s.charged-charged || sum != r.Cost {
		t.Fatalf("%+v; the model: overrun %d, charged %d, %d more lapsed", r, s.owed-owed, s.charged-charged, lapsed)
	}
}

func (x *purses) credit(t *rapid.T) {
	m := rapid.SampledFrom(x.model).Draw(t, "bucket")
	n := rapid.Int64Range(0, 200).Draw(t, "amount")
	if !m.live(x.now) {
		return
	}
	if err := x.w.Bucket(m.id).Credit(n); err != nil {
		t.Fatal(err)
	}
	m.value, m.in = m.value+n, m.in+n
}

func (x *purses) transfer(t *rapid.T) {
	a, b := rapid.SampledFrom(x.model).Draw(t, "from"), rapid.SampledFrom(x.model).Draw(t, "to")
	n := rapid.Int64Range(0, 60).Draw(t, "amount")
	ok := a != b && a.live(x.now) && b.live(x.now) && n <= a.value-a.held
	if err := x.w.Transfer(x.now, a.id, b.id, n); (err == nil) != ok {
		t.Fatalf("transfer of %d from %+v to %+v: %v", n, a, b, err)
	}
	if ok {
		a.value, a.out = a.value-n, a.out+n
		b.value, b.in = b.value+n, b.in+n
	}
}

func (x *purses) reserve(t *rapid.T) {
	s := rapid.SampledFrom(x.sessions).Draw(t, "session")
	n := rapid.Int64Range(1, 60).Draw(t, "units")
	y, trial := x.copied(s)
	peak := map[*naivePurse]int64{}
	fits, _ := y.use(trial, n, false, map[*naivePurse]int64{}, peak)
	var r Result
	res, err := Reserve(x.plan, &s.real, x.w, rating.Use{Quantity: n, From: x.now, To: x.now}, x.now+60, &r)
	if err != nil || res.Quantity != fits {
		t.Fatalf("%+v, %v; the model allows %d of %d", res, err, fits, n)
	}
	parts := map[*naivePurse]int64{}
	for i, b := range y.model {
		if n := peak[b]; n > 0 {
			parts[x.model[i]] = n
			x.model[i].held += n
			if x.model[i].child >= 0 {
				x.model[i].child -= n
			}
		}
	}
	x.held = append(x.held, heldFall{s, x.now + 60, res, parts})
}

// end captures or releases a reservation. Nothing of its session was used since.
func (x *purses) end(t *rapid.T) {
	if len(x.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(x.held)-1).Draw(t, "reservation")
	h := x.held[i]
	x.held = slices.Delete(x.held, i, i+1)
	var gone []*naivePurse
	expires := map[*naivePurse]int64{}
	for _, b := range x.model {
		n, ok := h.parts[b]
		if !ok {
			continue
		}
		b.held -= n
		if b.child >= 0 {
			b.child += n
		}
		if !b.live(x.now) { // what was held of it still pays
			gone = append(gone, b)
			expires[b] = b.expires
			b.expires = math.MaxInt64
		}
	}
	if rapid.Bool().Draw(t, "capture") {
		n := rapid.Int64Range(0, 60).Draw(t, "used")
		var r Result
		if _, err := Capture(x.plan, &h.s.real, x.w, rating.Use{Quantity: n, From: x.now, To: x.now}, x.now, &h.res, &r); err != nil {
			t.Fatal(err)
		}
		x.same(t, h.s, n, &r)
	} else {
		x.w.Release(x.now, &h.res)
	}
	for _, b := range gone {
		b.expires = expires[b]
		if n := b.value - b.held; n > 0 {
			b.value, b.lost = b.held, b.lost+n
		}
	}
}

func (x *purses) later(t *rapid.T) {
	from := x.now
	x.now += rapid.Int64Range(1, 300).Draw(t, "later")
	x.w.Advance(x.now, nil)
	for _, m := range x.model {
		for at := from + 1; m.every > 0 && at <= x.now; at++ {
			if (at-1000)%m.every != 0 {
				continue
			}
			value := m.given
			if m.rollover >= 0 {
				value += min(m.value, m.rollover)
			}
			value = max(value, m.held)
			m.in, m.lost = m.in+value, m.lost+m.value
			m.value, m.since = value, at
		}
		if n := m.value - m.held; !m.live(x.now) && n > 0 {
			m.value, m.lost = m.held, m.lost+n
		}
	}
}
