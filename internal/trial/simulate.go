package trial

import (
	"cmp"
	"fmt"
	"slices"

	"meridian/internal/money"
)

// Customer is what a simulation says of one subscription.
type Customer struct {
	Subscription string       `json:"subscription"`
	Before       money.Amount `json:"-"`
	After        money.Amount `json:"-"`
	BeforeText   string       `json:"before"`
	AfterText    string       `json:"after"`
	Change       string       `json:"change"`
}

// Bar is how many customers see a change of their cost in a range of per cent of
// what they paid before.
type Bar struct {
	Change    string `json:"change"`
	Customers int    `json:"customers"`
}

// Simulation compares what usage cost with what it costs by a draft.
type Simulation struct {
	Currency string `json:"currency"`
	Before   string `json:"before"`
	After    string `json:"after"`
	Change   string `json:"change"`
	Gain     int    `json:"gain"` // customers who pay less
	Lose     int    `json:"lose"`
	Same     int    `json:"same"`
	Events   int    `json:"events"`
	As       string `json:"as,omitempty"` // the offering by which those that the draft lacks are rated
	RatedAs  int    `json:"rated_as,omitempty"`
	LeftOut  int    `json:"left_out,omitempty"`
	// LeftOutOf are the offerings of events that were left out, for the draft lacks them.
	LeftOutOf []string   `json:"left_out_of,omitempty"`
	Customers []Customer `json:"customers"` // by the change, those who gain most first
	Histogram []Bar      `json:"histogram"`
}

// Charged is what events cost when they happened, from their column charged, which
// events of a subscription's life may leave out. The
// error is sheet.Faults.
func Charged(file string, events []Event) ([]Rated, error) {
	f := &faults{file: file}
	out := make([]Rated, 0, len(events))
	for i := range events {
		e := &events[i]
		if e.Charged == "" && e.Event != "" && e.Event != eventUsage {
			e.Charged = "0"
		}
		a, err := money.Parse(e.Charged)
		if err != nil {
			f.add(e.Line, "charged", e.Charged, "is not an amount", "write what the event cost, e.g. 1.25, or name the sheet to compare with")
			continue
		}
		out = append(out, Rated{Line: e.Line, Subscription: e.Subscription, Cost: a})
	}
	return out, f.err()
}

// edges are the bounds of the histogram's bars in per cent.
func edges() []int64 { return []int64{-50, -20, -10, -5, 0, 5, 10, 20, 50} }

// Compare sums both sides by subscription. Events without a currency have that of
// the others; two currencies are an error.
func Compare(before, after []Rated) (*Simulation, error) {
	s := &Simulation{Events: len(after)}
	people := map[string]int{}
	add := func(list []Rated, side func(*Customer) *money.Amount) error {
		for i := range list {
			r := &list[i]
			if r.Currency != "" && s.Currency != "" && r.Currency != s.Currency {
				return fmt.Errorf("usage in line %d costs %s, other usage %s: compare one currency at a time", r.Line, r.Currency, s.Currency)
			}
			s.Currency = cmp.Or(s.Currency, r.Currency)
			at, known := people[r.Subscription]
			if !known {
				at = len(s.Customers)
				people[r.Subscription] = at
				s.Customers = append(s.Customers, Customer{Subscription: r.Subscription})
			}
			to := side(&s.Customers[at])
			sum, err := money.Add(*to, r.Cost)
			if err != nil {
				return fmt.Errorf("the sum of subscription %q does not fit: %w", r.Subscription, err)
			}
			*to = sum
		}
		return nil
	}
	if err := add(before, func(c *Customer) *money.Amount { return &c.Before }); err != nil {
		return nil, err
	}
	if err := add(after, func(c *Customer) *money.Amount { return &c.After }); err != nil {
		return nil, err
	}
	return s, s.sum()
}

func (s *Simulation) sum() error {
	bars := edges()
	counts := make([]int, len(bars)+2) // the last but one: beyond all; the last: nothing was paid before
	var before, after money.Amount
	for i := range s.Customers {
		c := &s.Customers[i]
		var err1, err2 error
		before, err1 = money.Add(before, c.Before)
		after, err2 = money.Add(after, c.After)
		change, err3 := money.Sub(c.After, c.Before)
		if err := cmp.Or(err1, err2, err3); err != nil {
			return fmt.Errorf("the sum of all does not fit: %w", err)
		}
		c.BeforeText, c.AfterText, c.Change = c.Before.String(), c.After.String(), signed(change)
		switch {
		case change < 0:
			s.Gain++
		case change > 0:
			s.Lose++
		default:
			s.Same++
			continue
		}
		counts[bar(c.Before, change)]++
	}
	slices.SortStableFunc(s.Customers, func(a, b Customer) int {
		return cmp.Or(cmp.Compare(a.After-a.Before, b.After-b.Before), cmp.Compare(a.Subscription, b.Subscription))
	})
	s.Before, s.After = before.String(), after.String()
	change, err := money.Sub(after, before)
	s.Change = signed(change)
	s.histogram(counts)
	return err
}

// bar is the place of a change in the histogram.
func bar(before, change money.Amount) int {
	bars := edges()
	if before <= 0 {
		return len(bars) + 1
	}
	size, sign := int64(change), int64(1)
	if size < 0 {
		size, sign = -size, -1
	}
	percent, err := money.MulDiv(size, 100, int64(before), money.Ceil) // away from nothing
	if err != nil {
		percent = 1000
	}
	for i, edge := range bars {
		if sign*percent <= edge {
			return i
		}
	}
	return len(bars)
}

func (s *Simulation) histogram(counts []int) {
	bars := edges()
	for i, n := range counts {
		name := ""
		switch {
		case i == len(bars)+1:
			name = "paid nothing before"
		case i == 0:
			name = fmt.Sprintf("%d%% or less", bars[0])
		case i == len(bars):
			name = fmt.Sprintf("more than +%d%%", bars[i-1])
		default:
			name = fmt.Sprintf("%+d%% to %+d%%", bars[i-1], bars[i])
		}
		s.Histogram = append(s.Histogram, Bar{name, n})
		if i < len(bars) && bars[i] == 0 {
			s.Histogram = append(s.Histogram, Bar{"the same", s.Same})
		}
	}
}

func signed(a money.Amount) string {
	if a > 0 {
		return "+" + a.String()
	}
	return a.String()
}
