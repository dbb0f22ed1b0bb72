package charging

import (
	"fmt"
	"strings"
	"testing"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// volumePlan has one component of volume tiers: each unit costs 10, and 4 for all of
// them beyond 1000.
func volumePlan(t interface{ Fatal(...any) }, change func(u *tariff.Usage)) *rating.Plan {
	o := newOffering()
	o.Usage = []tariff.Usage{{Name: "usage", Unit: tariff.Bytes, Rates: []tariff.Rate{{Mode: tariff.Volume,
		Tiers: []tariff.Tier{{UpTo: 1000, Price: tariff.Price{Amount: 10, Per: 1}}, {Price: tariff.Price{Amount: 4, Per: 1}}}}}}}
	if change != nil {
		change(&o.Usage[0])
	}
	p, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// falling runs a script of steps: "a 900" uses in session a, "+m 50" credits a
// bucket, "@100" is the time.
type falling struct {
	t        *testing.T
	plan     *rating.Plan
	w        *Wallet
	now      int64
	sessions map[string]*Session
	out      []string
}

func (f *falling) step(step string) {
	var name string
	var n int64
	if strings.HasPrefix(step, "@") {
		fmt.Sscanf(step, "@%d", &f.now)
		f.w.Advance(f.now, nil)
		return
	}
	fmt.Sscanf(step, "%s %d", &name, &n)
	if id, credit := strings.CutPrefix(name, "+"); credit {
		if err := f.w.Bucket(id).Credit(n); err != nil {
			f.t.Fatal(err)
		}
		return
	}
	s := f.sessions[name]
	if s == nil {
		s = &Session{}
		f.sessions[name] = s
	}
	var r Result
	before := s.State.Charged
	if err := Debit(f.plan, s, f.w, rating.Use{Quantity: n, From: f.now, To: f.now}, Owe, &r); err != nil {
		f.t.Fatal(err)
	}
	sum := r.Overrun
	var list []string
	for _, p := range r.Payments {
		if p.Amount != 0 {
			list = append(list, fmt.Sprintf("%s %d", p.Bucket, p.Amount))
		}
		sum += moneyOf(p.Amount)
	}
	for _, p := range r.Lapsed {
		list = append(list, fmt.Sprintf("%s lapsed %d", p.Bucket, p.Amount))
		sum -= moneyOf(p.Amount)
	}
	if r.Overrun != 0 {
		list = append(list, fmt.Sprintf("overrun %d", r.Overrun))
	}
	if sum != r.Cost || r.Cost != s.State.Charged-before || !s.Ends(s.State.Charged) {
		f.t.Errorf("%s: payments, overrun and what lapsed come to %d, the cost is %d: %+v, %+v", step, sum, r.Cost, r, s.Ledger)
	}
	f.out = append(f.out, strings.Join(list, ", "))
}

// What a falling price gives back, by hand. A unit costs 10, and 4 for all beyond
// 1000.
func TestAFallGoesBackToWhoPaid(t *testing.T) {
	cash := func(n int64) *Bucket {
		return &Bucket{ID: "m", Name: tariff.MoneyBalance, Unit: tariff.Money, Value: n}
	}
	bonus := func(n, expires int64) *Bucket {
		return &Bucket{ID: "b", Name: "bonus", Unit: tariff.Money, Priority: -1, Value: n, Expires: expires, Since: 5}
	}
	blocking := func(n, expires int64) *Bucket {
		b := bonus(n, expires)
		b.Blocking = true
		return b
	}
	dated := func(n, expires int64) *Bucket {
		return &Bucket{ID: "d", Name: tariff.MoneyBalance, Unit: tariff.Money, Value: n, Expires: expires}
	}
	for _, c := range []struct {
		name    string
		buckets []*Bucket
		steps   string
		want    string // by use
		left    string
	}{
		// 900 · 10; 1100 · 4 = 4400: back 9000 + 0 − 4400
		{"one bucket", []*Bucket{cash(20_000)}, "a 900; a 200; a 100", "m 9000; m -4600; m 400", "m 15200"},
		{"one bucket, one report", []*Bucket{cash(20_000)}, "a 1200", "m 4800", "m 15200"},
		// the bonus pays 300, money 600; back 4600: all but 1400 of what money paid
		{"bonus, then money: the last that paid first", []*Bucket{bonus(3000, 0), cash(20_000)}, "a 900; a 200", "b 3000, m 6000; m -4600", "b 0 m 18600"},
		// back 10 000 − 4004 = 5996 at the 1001st: money 1000 (of 900 to 1000) and 4996 of the bonus, which pays the 99 · 4
		{"the bonus gets its own back and pays on with it", []*Bucket{bonus(9000, 0), cash(20_000)}, "a 1100", "b 4400", "b 4600 m 20000"},
		// what blocks pays for the first count, for the rest of the tier and past the fall: 1200 · 4
		{"a bonus that blocks, in one tier", []*Bucket{blocking(9000, 0), cash(20_000)}, "a 50; a 50", "b 500; b 500", "b 8000 m 20000"},
		{"a bonus that blocks, past the fall", []*Bucket{blocking(20_000, 0), cash(20_000)}, "a 1200", "b 4800", "b 15200 m 20000"},
		{"a bonus that blocks and ends, past the fall", []*Bucket{blocking(20_000, 99), cash(20_000)}, "a 1200", "b 4800", "b 15200 m 20000"},
		// 50 paid (500), 50 overrun (500) although there is money; then the bonus has nothing left
		{"a bonus that blocks and is dry", []*Bucket{blocking(500, 0), cash(20_000)}, "a 100; a 100", "b 500, overrun 500; overrun 1000", "b 0 m 20000"},
		{"bonus and money in reports", []*Bucket{bonus(9000, 0), cash(20_000)}, "a 900; a 100; a 1; a 99", "b 9000; m 1000; m -1000, b -4996; b 396", "b 4600 m 20000"},
		// 400 paid, 600 overrun (6000); at 1200: 4800 in all: the overrun shrinks to 800
		{"dry: what nobody paid is not given back", []*Bucket{cash(4000)}, "a 400; a 600; a 200", "m 4000; overrun 6000; overrun -5200", "m 0"},
		{"dry in one report", []*Bucket{cash(4000)}, "a 1200", "m 4000, overrun 800", "m 0"},
		{"dry after the fall", []*Bucket{cash(9000)}, "a 3000", "m 9000, overrun 3000", "m 0"},
		// 900 paid, 50 overrun (500); at 1100: back 5100: 500 of it was never paid
		{"dry midway, then cheaper", []*Bucket{cash(9000)}, "a 950; a 150", "m 9000, overrun 500; m -4600, overrun -500", "m 4600"},
		// 400 paid, 100 owed (1000), top-up 20 000 pays 400 (4000); at 1100 4400 in all: 1000 not owed, 3600 back
		{"dry midway, then a top-up", []*Bucket{cash(4000)}, "a 400; a 100; +m 20000; a 400; a 200", "m 4000; overrun 1000; m 4000; m -3600, overrun -1000", "m 19600"},
		{"two sessions on a bucket", []*Bucket{cash(12_000)}, "a 900; b 900; a 200; b 100", "m 9000; m 3000, overrun 6000; m -4600; m 1000", "m 3600"},
		{"the second gets back what it paid itself", []*Bucket{cash(12_000)}, "a 900; b 900; b 200; a 200", "m 9000; m 3000, overrun 6000; overrun -4600; m -4600", "m 4600"},
		// money whose time is over: the account's money without end gets it
		{"money that has expired since", []*Bucket{dated(9000, 50), cash(0)}, "a 900; @60; a 200", "d 9000; m -4600", "d 0 m 4600"},
		{"money that has expired, and no other", []*Bucket{dated(9000, 50)}, "a 900; @60; a 101; a 99", "d 9000;  -4996;  396", "d 0  4600"},
		{"and it pays for what follows in the same report", []*Bucket{dated(9000, 50)}, "a 900; @60; a 200", "d 9000;  -4600", "d 0  4600"},
		{"not into a living bucket that ends", []*Bucket{dated(9000, 50), {ID: "e", Name: tariff.MoneyBalance, Unit: tariff.Money, Expires: 99}}, "a 900; @60; a 101", "d 9000;  -4996", "d 0 e 0  4996"},
		// a bonus that is over: nobody's
		{"a bonus that has expired since", []*Bucket{bonus(9000, 50), cash(1000)}, "a 1000; @60; a 1; a 99", "b 9000, m 1000; m -1000, b lapsed 4996; m 396", "b 0 m 604"},
		// a bonus that was given anew since: what the last one paid is not the new one's
		{"a bonus that was given anew", []*Bucket{{ID: "b", Name: "bonus", Unit: tariff.Money, Value: 9000, Given: 9000, Every: 50}}, "a 900; @60; a 200", "b 9000; b 396, b lapsed 4996", "b 8604"},
		{"what was borrowed shrinks first", []*Bucket{cash(5000), {ID: "m", Name: tariff.MoneyBalance, Unit: tariff.Money, Priority: 9, Value: 4000, Loan: true}},
			"a 900; a 101; a 99", "m 9000; m -4996; m 396", "m 600 m 4000"},
	} {
		f := &falling{t: t, plan: volumePlan(t, nil), w: NewWallet(0, c.buckets...), sessions: map[string]*Session{}}
		for _, s := range strings.Split(c.steps, "; ") {
			f.step(s)
		}
		var left []string
		for _, b := range f.w.Buckets {
			left = append(left, fmt.Sprintf("%s %d", b.ID, b.Value))
		}
		if got := strings.Join(f.out, "; "); got != c.want || strings.Join(left, " ") != c.left {
			t.Errorf("%s: %s\n got %s, left %s\nwant %s, left %s", c.name, c.steps, got, left, c.want, c.left)
		}
	}
}

// A bonus that blocks is no wall to itself: asked for as much as it can pay, it pays
// past the first count and past the fall.
func TestABlockingBonusPaysPastItsTier(t *testing.T) {
	plan := volumePlan(t, nil)
	for _, c := range []struct{ has, asked, paid, left int64 }{
		{500, 50, 50, 0},
		{500, 60, 50, 0},
		{20_000, 1200, 1200, 15_200}, // 1200 · 4
		{3999, 1200, 399, 9},         // 399 · 10; the 400th is 10 more
	} {
		for _, expires := range []int64{0, 1 << 40} {
			b := &Bucket{ID: "b", Name: "bonus", Unit: tariff.Money, Priority: -1, Value: c.has, Expires: expires, Terms: Terms{Blocking: true}}
			var r Result
			if err := Debit(plan, &Session{}, NewWallet(0, b, &Bucket{ID: "m", Name: tariff.MoneyBalance, Unit: tariff.Money, Value: 50_000}), rating.Use{Quantity: c.asked}, Part, &r); err != nil {
				t.Fatal(err)
			}
			if r.Paid != c.paid || b.Value != c.left {
				t.Errorf("of %d, %d asked, end %d: %d paid, %d left; want %d, %d", c.has, c.asked, expires, r.Paid, b.Value, c.paid, c.left)
			}
		}
	}
}

func moneyOf(n int64) money.Amount { return money.Amount(n) }
