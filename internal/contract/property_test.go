package contract

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"meridian/internal/canon"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// Whatever is done to a contract, no instant of a component is charged twice, none
// that is served is left out, nothing is given back that was not paid, and a charge
// has a key of its own.
func TestNothingIsChargedTwiceOrLost(t *testing.T) {
	plans := randomPlans(t)
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(t, "start")
		p := rapid.SampledFrom(plans).Draw(t, "plan")
		s := &State{}
		p.Activate(s, now)
		m := model{keys: map[string]bool{}, upTo: map[string]int64{}, paid: map[string]money.Amount{}}
		m.begin(p, now)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			now += rapid.Int64Range(1, 50*86400).Draw(t, "later")
			m.run(t, p, s, now)
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				to := rapid.SampledFrom(plans).Draw(t, "to")
				list, err := Change(p, to, s, nil, now)
				m.closed(t, p, list, err)
				p = to
				m.begin(p, now)
				for i := range p.Recurring { // what is paid without proration goes on
					m.upTo[p.Recurring[i].Name] = s.part(p.Recurring[i].Name).Next
				}
			case 1:
				s.Pause(now)
				now += rapid.Int64Range(0, 50*86400).Draw(t, "pause")
				m.run(t, p, s, now)
				p.Resume(s, now)
				for i := range p.Recurring {
					m.upTo[p.Recurring[i].Name] = max(m.upTo[p.Recurring[i].Name], now)
				}
			case 2:
				var w canon.Writer
				s.Append(&w)
				again := Read(canon.NewReader(w.B), func(s string) string { return s })
				s = &again
			}
		}
		list, err := p.Cancel(s, nil, now)
		m.closed(t, p, list, err)
		if _, due := p.Due(s); due {
			t.Fatal("an ended contract has something due")
		}
	})
}

// Parts of a period sum to its price, however it is cut into days.
func TestPartsSumToTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &tariff.Recurring{Every: tariff.Period{Unit: tariff.Month, Count: 1}, Price: money.Amount(rapid.Int64Range(0, 1<<40).Draw(t, "price")),
			Proration: rapid.SampledFrom([]tariff.Proration{tariff.ActualDays, tariff.Fixed30}).Draw(t, "proration")}
		begin := rapid.Int64Range(0, 40_000).Draw(t, "begin")
		next := begin + rapid.Int64Range(28, 400).Draw(t, "days")
		sum := money.Amount(0)
		for from := begin; from < next; {
			to := min(next, from+rapid.Int64Range(1, 40).Draw(t, "part"))
			n, _, _, err := (&span{from: from, to: to, begin: begin, next: next}).price(r)
			if err != nil || n < 0 {
				t.Fatal(n, err)
			}
			sum, from = sum+n, to
		}
		if sum != r.Price {
			t.Fatalf("parts sum to %s, the price is %s", sum, r.Price)
		}
	})
}

type model struct {
	keys map[string]bool
	upTo map[string]int64 // charged up to
	paid map[string]money.Amount
}

func (m *model) begin(p *Plan, now int64) {
	for i := range p.Recurring {
		m.upTo[p.Recurring[i].Name] = now
	}
}

func (m *model) run(t *rapid.T, p *Plan, s *State, now int64) {
	for n := 0; ; n++ {
		due, ok := p.Due(s)
		c, is, err := p.Next(s, nil, now)
		if err != nil || is != (ok && due <= now) || n > 10_000 {
			t.Fatal(is, ok, due, now, err)
		}
		if !is {
			return
		}
		m.charge(t, &c)
		p.Take(s, &c)
	}
}

func (m *model) charge(t *rapid.T, c *Charge) {
	key := fmt.Sprintf("%d/%s/%d", c.Kind, c.Component, c.From)
	if m.keys[key] || c.Amount < 0 || c.Amount > c.Price || c.Days > c.Of {
		t.Fatalf("%s: %+v", key, c)
	}
	m.keys[key] = true
	if c.Kind == Fee {
		if c.From != m.upTo[c.Component] || c.To <= c.From {
			t.Fatalf("%s is charged from %d to %d, it was charged up to %d", c.Component, c.From, c.To, m.upTo[c.Component])
		}
		m.upTo[c.Component] = c.To
	}
	m.paid[c.Component] += c.Amount
}

func (m *model) closed(t *rapid.T, p *Plan, list []Charge, err error) {
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		c := &list[i]
		if c.Kind != Credit {
			m.charge(t, c)
			continue
		}
		key := fmt.Sprintf("%d/%s/%d", c.Kind, c.Component, c.From)
		if m.keys[key] {
			t.Fatalf("%s is given back twice", key)
		}
		m.keys[key] = true
		if c.Amount <= 0 || c.Amount > c.Price || c.Amount > m.paid[c.Component] {
			t.Fatalf("%s is given back, %s was paid: %+v", c.Amount, m.paid[c.Component], c)
		}
		m.paid[c.Component] -= c.Amount
	}
}

func randomPlans(t *testing.T) []*Plan {
	periods := []tariff.Period{{Unit: tariff.Day, Count: 1}, {Unit: tariff.Day, Count: 30}, {Unit: tariff.Week, Count: 1}, {Unit: tariff.HalfMonth, Count: 1},
		{Unit: tariff.Month, Count: 1}, {Unit: tariff.Month, Count: 3}, {Unit: tariff.Year, Count: 1}}
	var out []*Plan
	n := 0
	for _, every := range periods {
		for _, prorate := range []tariff.Proration{tariff.ActualDays, tariff.Fixed30, tariff.NoProrate} {
			r := tariff.Recurring{Name: []string{"fee", "other"}[n%2], Price: money.Amount(9_999_999 + n), Every: every, Proration: prorate,
				Anchor: tariff.Calendar, Due: []tariff.Due{tariff.Advance, tariff.Arrears}[n/2%2], Cancel: []tariff.CancelCredit{tariff.PartCredit, tariff.NoCredit, tariff.FullCredit}[n%3]}
			if n%4 > 1 && every.Unit != tariff.HalfMonth || every.Unit == tariff.Day && every.Count > 1 {
				r.Anchor = tariff.Anniversary
			}
			second := r
			second.Name, second.Due, second.Every, second.Anchor = "second", tariff.Advance, tariff.Period{Unit: tariff.Month, Count: 1}, tariff.Calendar
			out = append(out, plan(t, tariff.Offering{ID: fmt.Sprintf("p%d", n), Zone: []string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"}[n%4],
				OneTime: []tariff.OneTime{{Name: "setup", Price: 1}}, Recurring: []tariff.Recurring{r, second}}))
			n++
		}
	}
	return out
}

func FuzzRead(f *testing.F) {
	p := plan(f, tariff.Offering{OneTime: []tariff.OneTime{{Name: "setup", Price: 1}}, Recurring: []tariff.Recurring{fee("31.00")}})
	s := &State{}
	f.Add([]byte{0})
	p.Activate(s, 1_700_000_000)
	for range 3 {
		c, _, err := p.Next(s, nil, 1_800_000_000)
		if err != nil {
			f.Fatal(err)
		}
		p.Take(s, &c)
	}
	s.use(&Charge{Component: "fee", counted: []string{"half"}})
	var w canon.Writer
	s.Append(&w)
	f.Add(w.B)
	f.Fuzz(func(t *testing.T, b []byte) {
		r := canon.NewReader(b)
		s := Read(r, func(s string) string { return s })
		if r.Close() != nil {
			return
		}
		var w canon.Writer
		s.Append(&w)
		again := Read(canon.NewReader(w.B), func(s string) string { return s })
		if fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", s) {
			t.Fatalf("%+v came back as %+v", s, again)
		}
	})
}
