package charging

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// secondsAt is a plan of one component: price for each per seconds, in steps.
func secondsAt(t interface{ Fatal(...any) }, fee, price money.Amount, per, step int64) *rating.Plan {
	o := newOffering()
	o.Usage = []tariff.Usage{{Name: "usage", Unit: tariff.Seconds, Rates: []tariff.Rate{{Fee: fee, Next: step, Price: tariff.Price{Amount: price, Per: per}}}}}
	p, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// naiveBucket is a bucket of the model.
type naiveBucket struct {
	id             string
	value, held    int64
	expires        int64
	blocking, live bool
}

// wallets runs a wallet beside a model of it. A second costs one micro-unit, so
// that a bucket of seconds and one of money pay alike.
type wallets struct {
	plan  *rating.Plan
	w     *Wallet
	model []*naiveBucket
	now   int64

	given, spent, lost int64
	reservations       []Reservation
	payments           []Payment
}

func (x *wallets) available(b *naiveBucket) int64 {
	if b.expires != 0 && b.expires <= x.now {
		return 0
	}
	return b.value - b.held
}

// pay is the model's walk: it returns what each bucket pays of n.
func (x *wallets) pay(n int64, take bool) (left int64) {
	for _, b := range x.model {
		if n == 0 || b.expires != 0 && b.expires <= x.now {
			continue
		}
		part := min(n, x.available(b))
		n -= part
		if take {
			b.value -= part
			x.spent += part
		}
		if b.blocking && n > 0 {
			return n
		}
	}
	return n
}

func (x *wallets) check(t *rapid.T) {
	var sum int64
	for i, b := range x.w.Buckets {
		m := x.model[i]
		if b.ID != m.id || b.Value != m.value || b.Held != m.held {
			t.Fatalf("bucket %s has %d, held %d; the model's %s has %d, held %d", b.ID, b.Value, b.Held, m.id, m.value, m.held)
		}
		sum += b.Value
	}
	if sum != x.given-x.spent-x.lost {
		t.Fatalf("%d left of %d given, %d spent, %d lost: value came or went", sum, x.given, x.spent, x.lost)
	}
}

func (x *wallets) named(id string) *naiveBucket {
	for _, b := range x.model {
		if b.id == id {
			return b
		}
	}
	return nil
}

// No sequence of operations creates or destroys value, and every bucket is at
// each moment what a naive model says.
func TestNoSequenceCreatesOrDestroysValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &wallets{plan: secondsAt(t, 0, 1, 1, 0), now: 1000}
		var buckets []*Bucket
		for i := range rapid.IntRange(1, 5).Draw(t, "buckets") {
			b := &Bucket{ID: fmt.Sprintf("b%d", i), Unit: rapid.SampledFrom([]tariff.Unit{tariff.Money, tariff.Seconds}).Draw(t, "unit"), Priority: rapid.IntRange(0, 2).Draw(t, "priority"),
				Value: rapid.Int64Range(0, 100).Draw(t, "value"), Expires: rapid.SampledFrom([]int64{0, 0, 1500, 2000}).Draw(t, "expires")}
			b.Blocking = rapid.IntRange(0, 5).Draw(t, "blocking") == 0
			buckets = append(buckets, b)
		}
		x.w = NewWallet(x.now, buckets...)
		for _, b := range x.w.Buckets {
			x.model = append(x.model, &naiveBucket{id: b.ID, value: b.Value, expires: b.Expires, blocking: b.Blocking})
			x.given += b.Value
		}
		t.Repeat(map[string]func(*rapid.T){
			"debit":    x.debit,
			"credit":   x.credit,
			"transfer": x.transfer,
			"reserve":  x.reserve,
			"release":  x.release,
			"capture":  x.capture,
			"refund":   x.refund,
			"time":     x.time,
			"":         x.check,
		})
	})
}

func (x *wallets) debit(t *rapid.T) {
	n := rapid.Int64Range(0, 120).Draw(t, "seconds")
	mode := rapid.SampledFrom([]Mode{Owe, Part, Whole}).Draw(t, "mode")
	s := Session{Context: rating.Context{Start: x.now}}
	// the usage lies before the next instant at which anything expires
	n = min(n, x.untilExpiry())
	var r Result
	err := Debit(x.plan, &s, x.w, rating.Use{Quantity: n}, mode, &r)
	left := x.pay(n, false)
	if mode == Whole && left > 0 {
		if !errors.Is(err, ErrInsufficient) {
			t.Fatalf("%d of %d cannot be paid, yet: %v", left, n, err)
		}
		return
	}
	x.pay(n, true)
	if err != nil || r.Unpaid != left || r.Paid != n-left || mode == Owe && int64(r.Overrun) != left {
		t.Fatalf("%+v, %v; %d of %d are left", r, err, left, n)
	}
	x.payments = append(x.payments, r.Payments...)
}

func (x *wallets) untilExpiry() int64 {
	n := int64(1 << 40)
	for _, b := range x.model {
		if b.expires > x.now {
			n = min(n, b.expires-x.now)
		}
	}
	return n
}

func (x *wallets) credit(t *rapid.T) {
	m := rapid.SampledFrom(x.model).Draw(t, "bucket")
	n := rapid.Int64Range(0, 50).Draw(t, "amount")
	if x.available(m) == 0 && m.expires != 0 && m.expires <= x.now {
		return
	}
	if err := x.w.Bucket(m.id).Credit(n); err != nil {
		t.Fatal(err)
	}
	m.value += n
	x.given += n
}

func (x *wallets) transfer(t *rapid.T) {
	a, b := rapid.SampledFrom(x.model).Draw(t, "from"), rapid.SampledFrom(x.model).Draw(t, "to")
	n := rapid.Int64Range(0, 60).Draw(t, "amount")
	expired := func(m *naiveBucket) bool { return m.expires != 0 && m.expires <= x.now }
	ok := a != b && x.w.Bucket(a.id).Unit == x.w.Bucket(b.id).Unit && !expired(a) && !expired(b) && n <= a.value-a.held
	if err := x.w.Transfer(x.now, a.id, b.id, n); (err == nil) != ok {
		t.Fatalf("transfer of %d from %+v to %+v: %v", n, a, b, err)
	}
	if ok {
		a.value -= n
		b.value += n
	}
}

func (x *wallets) reserve(t *rapid.T) {
	n := min(rapid.Int64Range(0, 120).Draw(t, "seconds"), x.untilExpiry())
	s := Session{Context: rating.Context{Start: x.now}}
	var r Result
	res, err := Reserve(x.plan, &s, x.w, rating.Use{Quantity: n}, x.now+60, &r)
	left := x.pay(n, false)
	if err != nil || res.Quantity != n-left {
		t.Fatalf("%+v, %v; want %d", res, err, n-left)
	}
	for _, p := range res.Parts {
		x.named(p.Bucket).held += p.Amount
	}
	x.reservations = append(x.reservations, res)
}

func (x *wallets) take(t *rapid.T) (Reservation, bool) {
	if len(x.reservations) == 0 {
		return Reservation{}, false
	}
	i := rapid.IntRange(0, len(x.reservations)-1).Draw(t, "reservation")
	r := x.reservations[i]
	x.reservations = append(x.reservations[:i:i], x.reservations[i+1:]...)
	for _, p := range r.Parts {
		x.named(p.Bucket).held -= p.Amount
	}
	return r, true
}

func (x *wallets) expire(list []Payment) {
	for _, p := range list {
		x.named(p.Bucket).value -= p.Amount
		x.lost += p.Amount
	}
}

func (x *wallets) release(t *rapid.T) {
	if r, ok := x.take(t); ok {
		x.expire(x.w.Release(x.now, &r))
	}
}

// A capture of at most what was reserved is paid in full, by what was held.
func (x *wallets) capture(t *rapid.T) {
	r, ok := x.take(t)
	if !ok {
		return
	}
	n := min(rapid.Int64Range(0, max(r.Quantity, 0)).Draw(t, "used"), x.untilExpiry())
	s := Session{Context: rating.Context{Start: x.now}}
	var out Result
	expired, err := Capture(x.plan, &s, x.w, rating.Use{Quantity: n}, x.now, &r, &out)
	if err != nil || out.Unpaid > 0 {
		t.Fatalf("%d s of what was reserved: %+v, %v", n, out, err)
	}
	for _, p := range out.Payments {
		x.named(p.Bucket).value -= p.Amount
		x.spent += p.Amount
	}
	x.expire(expired)
}

func (x *wallets) refund(t *rapid.T) {
	if len(x.payments) == 0 {
		return
	}
	back, err := x.w.Refund(x.now, x.payments)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range x.payments {
		m := x.named(p.Bucket)
		if m.expires != 0 && m.expires <= x.now {
			continue
		}
		m.value += p.Amount
		x.spent -= p.Amount
	}
	for _, p := range back {
		if m := x.named(p.Bucket); m.expires == 0 || m.expires > x.now {
			t.Fatalf("%+v came back from a living bucket", p)
		}
	}
	x.payments = nil
}

func (x *wallets) time(t *rapid.T) {
	x.now += rapid.Int64Range(1, 300).Draw(t, "later")
	moved := x.w.Advance(x.now, nil)
	for _, m := range x.model {
		if m.expires != 0 && m.expires <= x.now && m.value > m.held {
			x.lost += m.value - m.held
			m.value = m.held
		}
	}
	for _, m := range moved {
		if m.Why != Expired || m.Amount >= 0 {
			t.Fatalf("%+v", m)
		}
	}
}

func TestFits(t *testing.T) {
	plan := secondsAt(t, 250_000, 10_000, 1, 10)
	for _, c := range []struct {
		name         string
		value        int64
		paid, unpaid int64
		left         int64
	}{
		{"exact fit", 850_000, 60, 0, 0},
		{"one micro-unit short", 849_999, 50, 10, 99_999},
		{"the fee alone", 250_000, 0, 60, 250_000},
		{"one micro-unit short of the fee", 249_999, 0, 60, 249_999},
	} {
		w := NewWallet(0, &Bucket{ID: "m", Unit: tariff.Money, Value: c.value})
		var r Result
		if err := Debit(plan, &Session{}, w, rating.Use{Quantity: 60}, Part, &r); err != nil || r.Paid != c.paid || r.Unpaid != c.unpaid || w.Buckets[0].Value != c.left {
			t.Errorf("%s: %+v, %d left, %v", c.name, r, w.Buckets[0].Value, err)
		}
	}
}

// What one session holds is not there for the other.
func TestTwoSessionsOnOneBucket(t *testing.T) {
	plan := secondsAt(t, 0, 10_000, 1, 0)
	w := NewWallet(0, &Bucket{ID: "m", Unit: tariff.Money, Value: 1_000_000})
	var r Result
	a, errA := Reserve(plan, &Session{}, w, rating.Use{Quantity: 70}, 100, &r)
	b, errB := Reserve(plan, &Session{}, w, rating.Use{Quantity: 70}, 100, &r)
	if errA != nil || errB != nil || a.Quantity != 70 || b.Quantity != 30 || w.Buckets[0].Available() != 0 {
		t.Fatalf("%+v %v, %+v %v, %+v", a, errA, b, errB, w.Buckets[0])
	}
	if _, err := Capture(plan, &Session{}, w, rating.Use{Quantity: 30}, 50, &b, &r); err != nil || r.Unpaid != 0 || w.Buckets[0].Value != 700_000 {
		t.Fatalf("%+v, %v, %+v", r, err, w.Buckets[0])
	}
	if w.Release(50, &a); w.Buckets[0].Available() != 700_000 {
		t.Fatalf("%+v", w.Buckets[0])
	}
}

// A child's limit holds in a shared bucket, whatever the pool has.
func TestSharedLimit(t *testing.T) {
	plan := secondsAt(t, 0, 10_000, 1, 0)
	pool := &Bucket{ID: "pool", Unit: tariff.Seconds, Value: 1000}
	child := *pool
	child.Limit = &Limit{Left: 60}
	var r Result
	if err := Debit(plan, &Session{}, NewWallet(0, &child), rating.Use{Quantity: 100}, Part, &r); err != nil || r.Paid != 60 || child.Value != 940 || child.Limit.Left != 0 {
		t.Fatalf("%+v, %v, %+v", r, err, child)
	}
}

// A window of an allowance ends where it ends, within a call too.
func TestWindowOfAnAllowance(t *testing.T) {
	o := newOffering()
	o.Windows = []tariff.Window{{Name: "night", From: 22 * 3600, To: 6 * 3600}}
	o.Usage = []tariff.Usage{{Name: "usage", Unit: tariff.Seconds, Rates: []tariff.Rate{{Price: tariff.Price{Amount: 1000, Per: 1}}}}}
	o.Allowances = []tariff.Allowance{{Name: "nights", Unit: tariff.Seconds, Amount: 1, Filter: tariff.Filter{Windows: []string{"night"}}}}
	plan, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	w := NewWallet(0, &Bucket{ID: "nights", Unit: tariff.Seconds, Value: 10_000, Terms: NewTerms(o, plan, &o.Allowances[0])}, &Bucket{ID: "m", Unit: tariff.Money, Priority: 1, Value: 1_000_000})
	s := Session{Context: rating.Context{Start: 21*3600 + 3590}}
	var r Result
	if err := Debit(plan, &s, w, rating.Use{Quantity: 100}, Part, &r); err != nil || r.Cost != 10_000 || w.Bucket("nights").Value != 9910 {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestThresholds(t *testing.T) {
	w := Watch{Threshold: tariff.Threshold{Metric: tariff.UsedPercent, Value: 800_000}}
	for _, c := range []struct {
		left  int64
		fires bool
	}{{100, false}, {21, false}, {20, true}, {10, false}, {0, false}} {
		if got := w.Observe(c.left, 100); got != c.fires {
			t.Errorf("%d of 100 left: %t", c.left, got)
		}
	}
	if w.Rearm(); !w.Observe(0, 100) {
		t.Error("it did not fire again")
	}
	left := Watch{Threshold: tariff.Threshold{Metric: tariff.Left, Value: 5}}
	if left.Observe(6, 0) || !left.Observe(5, 0) {
		t.Error("5 left")
	}
}

func TestRolloverAddsWithinItsBounds(t *testing.T) {
	b := &Bucket{ID: "gb", Unit: tariff.Bytes, Value: 70, Given: 100, Every: 10, Rollover: &tariff.Rollover{Max: 50, Add: true}}
	w := NewWallet(0, b)
	if w.Advance(10, nil); b.Value != 150 {
		t.Errorf("%d after the first renewal, want 100 and 50 of the 70", b.Value)
	}
	b.Rollover = nil
	if w.Advance(20, nil); b.Value != 100 {
		t.Errorf("%d after a renewal without rollover", b.Value)
	}
}

func BenchmarkDebitBundleThenMoney(b *testing.B) {
	plan := secondsAt(b, 400_000, 100_000, 60, 0)
	voice := &Bucket{ID: "v", Unit: tariff.Seconds}
	cash := &Bucket{ID: "m", Unit: tariff.Money, Priority: 1}
	w := NewWallet(0, voice, cash)
	var r Result
	b.ReportAllocs()
	for b.Loop() {
		voice.Value, cash.Value = 1800, 100_000_000
		s := Session{}
		if err := Debit(plan, &s, w, rating.Use{Quantity: 3600}, Owe, &r); err != nil || r.Unpaid > 0 {
			b.Fatal(err, r)
		}
	}
}
