package rating

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/zones"
)

// offering wraps usage components into something that can be compiled.
func offering(usage ...tariff.Usage) *tariff.Offering {
	return &tariff.Offering{ID: "x", Version: 1, Name: "X", Currency: "EUR", Service: "main", Overrun: tariff.Owed, Usage: usage,
		Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Reservation: tariff.Reservation{Quota: 1, TTLSeconds: 600}}
}

func compile(t interface{ Fatal(...any) }, o *tariff.Offering, env Env) *Plan {
	p, err := Compile(o, env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// windows are three that overlap, one over midnight.
func windows() []tariff.Window {
	return []tariff.Window{
		{Name: "day", Days: []tariff.Weekday{"mon", "tue", "wed", "thu", "fri"}, From: 8 * 3600, To: 19 * 3600, Weight: 1},
		{Name: "night", From: 22*3600 + 1, To: 6 * 3600},
		{Name: "sunday", Days: []tariff.Weekday{"sun"}, Weight: 5},
	}
}

func genPrice(t *rapid.T) tariff.Price {
	return tariff.Price{Amount: money.Amount(rapid.Int64Range(0, 2_000_000).Draw(t, "amount")), Per: rapid.SampledFrom([]int64{1, 7, 10, 60, 3600}).Draw(t, "per")}
}

func genRate(t *rapid.T, name, window string) tariff.Rate {
	r := tariff.Rate{Name: name, Window: window, Fee: money.Amount(rapid.Int64Range(0, 1).Draw(t, "fee") * 150_000), Next: rapid.SampledFrom([]int64{0, 1, 10, 60}).Draw(t, "next")}
	if rapid.Bool().Draw(t, "first") {
		r.First = rapid.SampledFrom([]int64{30, 60, 61}).Draw(t, "first step")
	}
	if rapid.Bool().Draw(t, "plain") {
		r.Price = genPrice(t)
	} else {
		r.Mode = tariff.Graduated
		end := int64(0)
		for range rapid.IntRange(1, 3).Draw(t, "tiers") {
			end += rapid.Int64Range(1, 2000).Draw(t, "up to")
			r.Tiers = append(r.Tiers, tariff.Tier{UpTo: end, Price: genPrice(t), Flat: money.Amount(rapid.Int64Range(0, 1).Draw(t, "flat") * 10), Step: rapid.SampledFrom([]int64{0, 0, 100}).Draw(t, "step")})
		}
		r.Tiers = append(r.Tiers, tariff.Tier{Price: genPrice(t)})
	}
	if rapid.IntRange(0, 3).Draw(t, "max") == 0 {
		r.MaxCost, r.AfterMax = money.Amount(rapid.Int64Range(1, 100_000_000).Draw(t, "max cost")), tariff.FreeAfter
	}
	return r
}

func genUsage(t *rapid.T, unit tariff.Unit) tariff.Usage {
	u := tariff.Usage{Name: "usage", Unit: unit, Free: tariff.Free{Units: rapid.Int64Range(0, 1).Draw(t, "free") * 100}, Rates: []tariff.Rate{genRate(t, "always", "")}}
	for _, w := range []string{"day", "night", "sunday"} {
		if rapid.Bool().Draw(t, w) {
			u.Rates = append(u.Rates, genRate(t, w, w))
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "bounds") == 0 {
		u.MinEvent, u.MaxEvent = 500_000, 90_000_000
	}
	return u
}

// naive prices a session of seconds from its start, one step after the other, with
// time.Time for the calendar and big.Rat for the money.
func naive(o *tariff.Offering, u *tariff.Usage, loc *time.Location, start, quantity int64) money.Amount {
	total := new(big.Rat)
	rat := func(a money.Amount) *big.Rat { return big.NewRat(int64(a), 1) }
	paid, flats := false, int64(-1)
	for at := int64(0); at < quantity-u.Free.Units; {
		r := pick(o, u, time.Unix(start+at+u.Free.Units, 0).In(loc))
		add := func(x *big.Rat) {
			before := new(big.Rat).Set(total)
			if total.Add(total, x); r.MaxCost > 0 && total.Cmp(rat(r.MaxCost)) > 0 {
				if total = rat(r.MaxCost); before.Cmp(total) > 0 {
					total = before
				}
			}
		}
		if !paid {
			add(rat(r.Fee))
			paid = true
		}
		var step int64
		var price tariff.Price
		for _, s := range stretches(r) {
			if s.from > at {
				break
			}
			if s.from > flats {
				add(rat(s.Flat))
				flats = s.from
			}
			step, price = s.Step, s.Price
		}
		x := big.NewRat(step, price.Per)
		add(x.Mul(x, rat(price.Amount)))
		at += step
	}
	if paid && u.MinEvent > 0 && total.Cmp(rat(u.MinEvent)) < 0 {
		total = rat(u.MinEvent)
	}
	if u.MaxEvent > 0 && total.Cmp(rat(u.MaxEvent)) > 0 {
		total = rat(u.MaxEvent)
	}
	return money.Amount(new(big.Int).Div(total.Num(), total.Denom()).Int64())
}

// pick finds the rate in force the slow way.
func pick(o *tariff.Offering, u *tariff.Usage, at time.Time) *tariff.Rate {
	best, weight, from := &u.Rates[0], -1, -1
	second := at.Hour()*3600 + at.Minute()*60 + at.Second()
	on := func(w tariff.Window, day time.Time) bool {
		for _, d := range w.Days {
			if d == tariff.Weekdays()[(int(day.Weekday())+6)%7] {
				return true
			}
		}
		return len(w.Days) == 0
	}
	for i := range u.Rates[1:] {
		r := &u.Rates[1+i]
		for _, w := range o.Windows {
			if w.Name != r.Window {
				continue
			}
			to := w.To
			if to == 0 {
				to = 86400
			}
			in := second >= w.From && second < to && on(w, at)
			if to <= w.From {
				in = second >= w.From && on(w, at) || second < to && on(w, at.AddDate(0, 0, -1))
			}
			if in && (w.Weight > weight || w.Weight == weight && w.From > from) {
				best, weight, from = r, w.Weight, w.From
			}
		}
	}
	return best
}

func berlin(t testing.TB) *time.Location {
	l, err := zones.Load("", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A session of any length by any tariff costs what the naive pricing says, in
// however many reports it comes; free and priced quantity make the usage; slices
// sum to the charge; the price never falls; and what is stored of the tally is
// enough to go on.
func TestTimeAgainstNaive(t *testing.T) {
	loc := berlin(t)
	rapid.Check(t, func(t *rapid.T) {
		o := offering(genUsage(t, tariff.Seconds))
		o.Windows, o.Zone = windows(), "Europe/Berlin"
		p := compile(t, o, Env{})
		// around the change to summer time, and an ordinary week
		start := rapid.SampledFrom([]int64{1774738800, 1795000000}).Draw(t, "about") + rapid.Int64Range(-200_000, 200_000).Draw(t, "start")
		ctx := Context{Start: start}
		var tally Tally
		var sum money.Amount
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, 4000), 1, 5).Draw(t, "parts") {
			list, next, err := p.Rate(nil, ctx, tally, Use{Quantity: n})
			if err != nil {
				t.Fatal(err)
			}
			var quantity int64
			var amount money.Amount
			for _, x := range list {
				quantity += x.Quantity
				amount += x.Amount
			}
			if quantity != n || amount != next.Charged-tally.Charged || amount < 0 {
				t.Fatalf("%d s: slices of %d s sum to %s, charged %s: %+v", n, quantity, amount, next.Charged-tally.Charged, list)
			}
			sum += amount
			tally = next
			if resumed, err := p.Resume(ctx, tally.State); err != nil || resumed != tally {
				t.Fatalf("resumed %+v, %v; want %+v", resumed, err, tally)
			}
		}
		if want := naive(o, &o.Usage[0], loc, start, tally.Quantity); sum != want {
			t.Fatalf("%d s from %s cost %s, want %s", tally.Quantity, time.Unix(start, 0).In(loc), sum, want)
		}
	})
}

// What Fit allows is exact: it fits, and the next step does not.
func TestFitIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := genUsage(t, tariff.Seconds)
		o := offering(u)
		o.Windows, o.Zone = windows(), "Europe/Berlin"
		p := compile(t, o, Env{})
		ctx := Context{Start: 1774738800 + rapid.Int64Range(-90_000, 90_000).Draw(t, "start")}
		_, tally, err := p.Rate(nil, ctx, Tally{}, Use{Quantity: rapid.Int64Range(0, 3000).Draw(t, "before")})
		if err != nil {
			t.Fatal(err)
		}
		budget := money.Amount(rapid.Int64Range(0, 80_000_000).Draw(t, "budget"))
		want := rapid.Int64Range(1, 5000).Draw(t, "want")
		_, next, n, err := p.Fit(nil, ctx, tally, Use{Quantity: want}, budget)
		if err != nil || next.Charged-tally.Charged > budget || n > want {
			t.Fatalf("%d of %d for %s of %s: %v", n, want, next.Charged-tally.Charged, budget, err)
		}
		_, whole, err := p.Rate(nil, ctx, tally, Use{Quantity: n})
		if err != nil || n == want && whole != next {
			t.Fatalf("%+v, want %+v: %v", next, whole, err)
		}
		if n == want {
			return
		}
		if _, more, err := p.Rate(nil, ctx, tally, Use{Quantity: n + 1}); err != nil || more.Charged-tally.Charged <= budget {
			t.Fatalf("%d s were allowed for %s, %d cost only %s: %v", n, budget, n+1, more.Charged-tally.Charged, err)
		}
	})
}
