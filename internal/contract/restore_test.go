package contract_test

import (
	"testing"
	"time"

	"meridian/internal/contract"
	"meridian/internal/feed"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

const day = 86400

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// every is a fee in advance, by the day, of which the rest is given back; with whole
// periods only it is neither.
func every(name string, price money.Amount, days int, whole bool) tariff.Recurring {
	r := tariff.Recurring{Name: name, Price: price * money.Micro, Every: tariff.Period{Unit: tariff.Day, Count: days},
		Anchor: tariff.Anniversary, Proration: tariff.ActualDays, Cancel: tariff.PartCredit}
	if whole {
		r.Proration, r.Cancel = tariff.NoProrate, ""
	}
	return r
}

func planOf(t *testing.T, id string, fee tariff.Recurring) *contract.Plan {
	t.Helper()
	o := &tariff.Offering{ID: id, Version: 1, Name: "Offering", Currency: "EUR", Service: "internet", Overrun: tariff.Owed,
		Profile: tariff.Profile{SessionLimit: 1, InterimSeconds: 60}, Recurring: []tariff.Recurring{fee}}
	p, err := rating.Compile(o, rating.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return &contract.Plan{Offering: o, Rating: p}
}

// books takes what is due and keeps what the ledger has of it: nothing of what costs
// nothing.
type ledger struct{ feed.Fees }

func (b *ledger) run(t *testing.T, p *contract.Plan, s *contract.State, now int64) (sum money.Amount) {
	t.Helper()
	for {
		c, due, err := p.Next(s, &contract.Facts{}, now)
		if err != nil {
			t.Fatal(err)
		}
		if !due {
			return sum
		}
		p.Take(s, &c)
		sum += c.Amount
		if c.Amount != 0 {
			b.Charge(c.Component, c.From, c.To-c.From, c.Amount)
		}
	}
}

func (b *ledger) change(t *testing.T, from, to *contract.Plan, s *contract.State, at int64) {
	t.Helper()
	back, err := contract.Change(from, to, s, &contract.Facts{}, at)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range back {
		b.Credit(c.Component, c.From, c.Amount)
	}
}

func (b *ledger) restore(from, p *contract.Plan) contract.State {
	list, rest := make([]contract.Charged, len(b.Fees)), int64(0)
	for i, c := range b.Fees {
		list[i] = contract.Charged(c)
		if c.Component != p.Recurring[0].Name {
			rest = max(rest, from.PaidTo(list[i]))
		}
	}
	return p.Restore(list, rest)
}

// What the ledger says of a contract is enough to go on with it: the next fee falls due
// when it did, for as much, and an end gives back as much.
//
//	30.00 for 30 days from day 0, changed on day 20: 10.00 back, paid to day 20
//	60.00 for 30 days: days 20–30 cost 20.00; an end on day 25 gives 10.00 back
//	120.00 for a year of 360 days goes on to its end, whatever comes in its place
func TestRestoreAfterAChange(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to tariff.Recurring
		unpaid   bool // the new fee could not be paid
		due      int64
		back     money.Amount // by an end on day 25
		year     money.Amount // charged by day 360
	}{
		{"another name", every("fee", 30, 30, false), every("fee-b", 60, 30, false), false, 30, 10, 660},
		{"the same name", every("fee", 30, 30, false), every("fee", 60, 30, false), false, 30, 10, 660},
		{"the same name, not paid", every("fee", 30, 30, false), every("fee", 60, 30, false), true, 20, 0, 680},
		{"another name, not paid", every("fee", 30, 30, false), every("fee-b", 60, 30, false), true, 0, 0, 0},
		{"a year's fee, then a month's", every("fee", 120, 360, true), every("fee", 12, 30, true), false, 360, 0, 0},
		{"a year's fee, then a month's of another name", every("fee", 120, 360, true), every("month", 12, 30, true), false, 360, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := planOf(t, "a", c.from), planOf(t, "b", c.to)
			var books ledger
			var s contract.State
			a.Activate(&s, t0)
			books.run(t, a, &s, t0)
			books.change(t, a, b, &s, t0+20*day)
			if !c.unpaid {
				books.run(t, b, &s, t0+20*day)
			}
			r := books.restore(a, b)
			if c.unpaid && c.due == 0 {
				if _, due := b.Due(&r); due {
					t.Errorf("a contract of which nothing was charged has begun: %+v", r)
				}
				return
			}
			kept, _ := b.Due(&s)
			if due, _ := b.Due(&r); due != kept || (due-t0)/day != c.due {
				t.Errorf("due on day %d, kept %d, want %d", (due-t0)/day, (kept-t0)/day, c.due)
			}
			var other ledger
			for what, state := range map[string]contract.State{"kept": s, "restored": r} {
				end := state.Clone()
				list, err := b.Cancel(end, &contract.Facts{}, t0+25*day)
				sum := money.Amount(0)
				for _, x := range list {
					sum += x.Amount
				}
				if err != nil || sum != c.back*money.Micro {
					t.Errorf("%s: an end gives %s back, %v; want %s", what, sum, err, c.back*money.Micro)
				}
				if got := (&other).run(t, b, &state, t0+360*day-1); got != c.year*money.Micro {
					t.Errorf("%s: %s charged within the year, want %s", what, got, c.year*money.Micro)
				}
			}
		})
	}
}

// A fee by the day that changes to one that costs nothing: 10.00 are given back on day
// 20 and nothing stands in the ledger after that, so an end gives nothing back.
func TestRestoreAfterAChangeToNothing(t *testing.T) {
	a, b := planOf(t, "a", every("fee", 30, 30, false)), planOf(t, "b", every("fee", 0, 30, false))
	var books ledger
	var s contract.State
	a.Activate(&s, t0)
	books.run(t, a, &s, t0)
	books.change(t, a, b, &s, t0+20*day)
	books.run(t, b, &s, t0+20*day)
	r := books.restore(a, b)
	if list, err := b.Cancel(&r, &contract.Facts{}, t0+25*day); err != nil || len(list) != 0 {
		t.Errorf("given back: %+v, %v", list, err)
	}
}

// Two changes on one day: what is paid is the last offering's.
func TestRestoreAfterTwoChanges(t *testing.T) {
	a, b, c := planOf(t, "a", every("fee", 30, 30, false)), planOf(t, "b", every("fee", 60, 30, false)), planOf(t, "c", every("fee", 15, 30, false))
	var books ledger
	var s contract.State
	a.Activate(&s, t0)
	books.run(t, a, &s, t0)
	books.change(t, a, b, &s, t0+20*day)
	books.run(t, b, &s, t0+20*day)
	books.change(t, b, c, &s, t0+20*day)
	books.run(t, c, &s, t0+20*day) // 10 of 30 days: 5.00
	want := feed.Charged{Component: "fee", First: t0, Last: t0 + 20*day, Until: t0 + 30*day, Paid: 5 * money.Micro}
	if len(books.Fees) != 1 || books.Fees[0] != want {
		t.Errorf("charged %+v, want %+v", books.Fees, want)
	}
}

// Entries that do not say how long a fee is for: the period of the plan that is there.
func TestRestoreWithoutAnEnd(t *testing.T) {
	p := planOf(t, "a", every("fee", 30, 30, true))
	r := p.Restore([]contract.Charged{{Component: "fee", First: t0, Last: t0 + 60*day}}, 0)
	if due, ok := p.Due(&r); !ok || due != t0+90*day {
		t.Errorf("due on day %d", (due-t0)/day)
	}
}
