// Package why says why a piece of usage costs what it does, and why a ledger entry
// is what it is: as data and in one sentence in English, Russian and Arabic.
//
// All words are in tables of templates (words.go, words_entries.go), numbers agree
// with their nouns by the languages' plural rules. The package reads nothing. Explain
// works from what is kept of an entry, has the core compute the amount again, and
// says so when that does not come to the entry's. A new kind of entry needs its
// words: a test walks the journal's kinds.
package why

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// Language of a sentence.
type Language string

// Languages.
const (
	English Language = "en"
	Russian Language = "ru"
	Arabic  Language = "ar"
)

// Languages lists them in the order of the table.
func Languages() []Language { return []Language{English, Russian, Arabic} }

// Facts are what a sentence tells: a priced piece and the names around it.
type Facts struct {
	rating.Priced
	Component string // what the bill calls it
	Unit      tariff.Unit
	Currency  money.Currency
	Zone      string // "" = none
	Window    string // "" = none
	Volume    bool   // the tier that is reached prices all usage
}

// FactsOf are the facts of a priced piece of usage of an offering's i-th component,
// to a zone ("" = none).
func FactsOf(o *tariff.Offering, i int, zone string, x rating.Priced) Facts {
	u := &o.Usage[i]
	f := Facts{Priced: x, Component: u.Name, Unit: u.Unit, Currency: o.Currency, Zone: zone}
	parts := strings.Split(x.Rule, "/")
	for k := range u.Rates {
		r := &u.Rates[k]
		f.Volume = f.Volume || r.Mode == tariff.Volume
		if len(parts) > 2 && f.Window == "" && r.Window != "" && (r.Name == parts[2] && r.Name != "" || r.Name == "" && slices.Contains(parts[2:], r.Window)) {
			f.Window = r.Window
		}
	}
	if x.Kind == rating.KindCovered && x.Rule == rating.Rule(o, u) {
		f.Rule = ""
	}
	return f
}

// of picks the template that says what a piece is.
func (w *words) of(f *Facts) string {
	switch {
	case f.Kind == rating.KindCovered && f.Rule == "":
		return w.heldOver
	case f.Kind == rating.KindMinimum && f.Amount < 0:
		return w.minimumBack
	case f.Kind != rating.KindUsage:
	case f.Quantity < 0:
		return w.lowered
	case f.Amount < 0:
		return w.givenBack
	case f.Volume && !f.plain():
		return w.volume
	case f.Price.Amount == 0:
		return w.kinds[rating.KindFree]
	case f.Charged == 0 && f.Amount == 0:
		return w.paidAhead
	}
	return w.kinds[f.Kind]
}

// plain tells whether a piece costs its quantity by its price, but for what is
// rounded.
func (f *Facts) plain() bool {
	if f.Price.Per == 0 {
		return true
	}
	n, err := money.MulDiv(f.Charged, int64(f.Price.Amount), f.Price.Per, money.Floor)
	return err == nil && f.Amount-money.Amount(n) <= 1 && f.Amount >= money.Amount(n)
}

// size is a quantity or an amount without its sign: the words say which way it goes.
func size[T ~int64](n T) T { return max(n, -n) }

// Sentence writes the facts in a language; an unknown one is English.
func Sentence(l Language, f *Facts) string {
	w := wordsOf(l)
	pick := w.of(f)
	what := f.Component
	for _, more := range []struct{ form, name string }{{w.to, f.Zone}, {w.in, f.Window}} {
		if more.name != "" {
			what += fmt.Sprintf(more.form, more.name)
		}
	}
	text := strings.NewReplacer(
		"{what}", what, "{quantity}", w.quantity(l, size(f.Quantity), f.Unit), "{price}", w.price(l, f),
		"{steps}", w.stepsOf(l, f), "{amount}", fmt.Sprintf("%s %s", size(f.Amount), f.Currency), "{by}", f.Rule,
	).Replace(pick)
	if f.Capped {
		text += " " + w.capped
	}
	return text
}

// stepsOf tells what whole steps make of a quantity, where that says something.
func (w *words) stepsOf(l Language, f *Facts) string {
	if f.Step <= 1 || f.Kind != rating.KindUsage {
		return ""
	}
	return fmt.Sprintf(w.steps, w.quantity(l, f.Charged, f.Unit), w.quantity(l, f.Step, f.Unit))
}

func (w *words) price(l Language, f *Facts) string {
	p := f.Price
	if p.Per == 0 {
		return ""
	}
	if f.Unit == tariff.Money {
		if ppm, err := money.MulDiv(int64(p.Amount), int64(tariff.Hundred), p.Per, money.Floor); err == nil {
			return strings.TrimSuffix(strings.TrimSuffix(money.Amount(ppm*100).String(), "0"), ".0") + "%"
		}
	}
	amount := fmt.Sprintf("%s %s", p.Amount, f.Currency)
	n, noun := largest(p.Per, f.Unit)
	if n == "1" && noun != "" {
		return fmt.Sprintf(w.perOne, amount, w.nouns[noun].per)
	}
	return fmt.Sprintf(w.per, amount, w.quantity(l, p.Per, f.Unit))
}

// quantity writes counts of a unit with its noun in the form that the number asks.
func (w *words) quantity(l Language, n int64, u tariff.Unit) string {
	text, noun := largest(n, u)
	if noun == "" {
		return text
	}
	whole, err := strconv.ParseInt(text, 10, 64)
	if err != nil { // a decimal
		return strings.ReplaceAll(w.nouns[noun].decimal(), "#", text)
	}
	return strings.ReplaceAll(w.nouns[noun].forms[Plural(l, whole)], "#", text)
}

// largest is a quantity in the largest unit in which it is whole, and its noun; a
// noun of "" stands in the text.
func largest(n int64, u tariff.Unit) (text, noun string) {
	type size struct {
		noun   string
		factor int64
	}
	var list []size
	switch u {
	case tariff.Bytes:
		list = []size{{"TB", 1e12}, {"TiB", 1 << 40}, {"GB", 1e9}, {"GiB", 1 << 30}, {"MB", 1e6}, {"MiB", 1 << 20}, {"kB", 1e3}, {"KiB", 1 << 10}, {"B", 1}}
	case tariff.Seconds:
		list = []size{{"hour", 3600}, {"minute", 60}, {"second", 1}}
	case tariff.Events:
		list = []size{{"event", 1}}
	case tariff.Money:
		return money.Amount(n).String(), ""
	default:
		return strings.TrimSuffix(money.Amount(n).String(), ".00"), "unit"
	}
	for _, s := range list {
		if s.factor == 1 || n != 0 && n%s.factor == 0 {
			return strconv.FormatInt(n/s.factor, 10), s.noun
		}
	}
	return strconv.FormatInt(n, 10), ""
}
