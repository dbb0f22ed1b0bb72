package why

import (
	"fmt"
	"strings"

	"meridian/internal/money"
	"meridian/internal/rating"
)

// ChargeKind is what a charge apart from usage is for.
type ChargeKind uint8

// Kinds of charges.
const (
	OneTime ChargeKind = iota
	Fee
	Credit  // given back
	Bonus   // given by a promotion
	Minimum // the difference to what a period costs at least
	chargeKinds
)

// Charge is what a sentence tells of a charge that is not of usage.
type Charge struct {
	Kind      ChargeKind
	Component string // what the bill calls it; of a bonus the promotion
	Currency  money.Currency
	From, To  string       // dates; "" = none
	Days, Of  int64        // the part of a period; equal = the whole
	Whole     money.Amount // of a whole period
	Price     money.Amount // before promotions; of a credit, what had been paid
	Amount    money.Amount
	Off       []rating.Reduction
}

// ChargeSentence writes a charge in a language; an unknown one is English.
func ChargeSentence(l Language, c *Charge) string {
	w := wordsOf(l)
	sum := func(a money.Amount) string { return fmt.Sprintf("%s %s", a, c.Currency) }
	part, off := "", ""
	if c.Days != c.Of && c.Kind == Fee {
		part = fmt.Sprintf(w.part, w.days(l, c.Days), c.Of, sum(c.Whole))
	}
	if c.Days != c.Of && c.Kind == Credit {
		part = fmt.Sprintf(w.unused, w.days(l, c.Days), c.Of)
	}
	for _, r := range c.Off {
		off += fmt.Sprintf(w.off, r.Name, sum(r.Amount))
	}
	period := ""
	if c.From != "" {
		period = fmt.Sprintf(w.period, c.From, c.To)
	}
	total := sum(c.Amount)
	if len(c.Off) > 0 || c.Price != c.Amount { // else the price is the amount
		total = fmt.Sprintf(w.sum, sum(c.Price), off, total)
	}
	return strings.NewReplacer("{what}", c.Component, "{period}", period, "{part}", part, "{price}", sum(c.Price), "{sum}", total, "{amount}", sum(c.Amount)).
		Replace(w.charges[c.Kind])
}

// OffSentence says what a promotion took off usage of a component.
func OffSentence(l Language, component string, currency money.Currency, r *rating.Reduction) string {
	return strings.NewReplacer("{what}", component, "{by}", r.Name, "{amount}", fmt.Sprintf("%s %s", r.Amount, currency)).Replace(wordsOf(l).taken)
}

func (w *words) days(l Language, n int64) string {
	return strings.ReplaceAll(w.nouns["day"].forms[Plural(l, n)], "#", fmt.Sprint(n))
}
