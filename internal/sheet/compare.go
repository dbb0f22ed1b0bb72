package sheet

import (
	"cmp"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"strings"

	"meridian/internal/tariff"
)

// Change is one difference between two sheets. Before or After is empty where
// there is nothing.
type Change struct {
	Offering string `json:"offering"`
	Path     string `json:"path"` // parts by their names: usage[data].rates[night].price
	Before   string `json:"before,omitempty"`
	After    string `json:"after,omitempty"`
	Says     string `json:"says"` // in a marketer's words
}

// Compare lists what changes from the offerings of a to those of b, which are
// matched by id, and their parts by name.
func Compare(a, b []tariff.Offering) []Change {
	c := &comparison{tables: map[string]*table{}}
	lang := language()
	for i := range lang {
		c.tables[lang[i].name] = &lang[i]
	}
	for i := range b {
		c.b = &b[i]
		at := slices.IndexFunc(a, func(o tariff.Offering) bool { return o.ID == b[i].ID })
		if at < 0 {
			c.add("", "", b[i].Name, "a new offering: "+b[i].Name)
			continue
		}
		c.a = &a[at]
		c.record(c.tables["offering"], "", "", reflect.ValueOf(c.a).Elem(), reflect.ValueOf(c.b).Elem(), "")
	}
	for i := range a {
		if !slices.ContainsFunc(b, func(o tariff.Offering) bool { return o.ID == a[i].ID }) {
			c.b = &a[i]
			c.add("", a[i].Name, "", "the offering "+a[i].Name+" is gone")
		}
	}
	return c.changes
}

type comparison struct {
	tables  map[string]*table
	a, b    *tariff.Offering
	changes []Change
}

func (c *comparison) add(path, before, after, says string) {
	c.changes = append(c.changes, Change{c.b.ID, path, before, after, says})
}

// record compares two values of a record; place is where they stand, in words.
func (c *comparison) record(t *table, path, place string, a, b reflect.Value, unit tariff.Unit) {
	unit = unitWithin(t.name, b, c.b, unit)
	index := jsonFields(b.Type())
	for i := range t.fields {
		f := &t.fields[i]
		at, known := index[f.name]
		if !known { // a file beside, which is compared as what it holds
			continue
		}
		x, y := a.FieldByIndex(at), b.FieldByIndex(at)
		if reflect.DeepEqual(x.Interface(), y.Interface()) {
			continue
		}
		p := join(path, f.name)
		switch {
		case f.form == record && f.many:
			c.list(f, p, place, x, y, unit)
		case f.form == record:
			c.one(f, p, place, x, y, unit)
		case f.many:
			c.set(f, p, place, x, y, unit)
		default:
			c.field(t, f, p, place, a, b, x, y, unit)
		}
	}
}

func (c *comparison) one(f *field, path, place string, x, y reflect.Value, unit tariff.Unit) {
	if x.Kind() == reflect.Pointer {
		switch {
		case x.IsNil():
			c.add(path, "", "yes", said(place, "there is now a "+f.noun))
			x = reflect.New(y.Type().Elem())
		case y.IsNil():
			c.add(path, "yes", "", said(place, "the "+f.noun+" is gone"))
			return
		}
		x, y = x.Elem(), y.Elem()
	}
	if f.of != "free" {
		place = placeIn(place, f.noun)
	}
	c.record(c.tables[f.of], path, place, x, y, unit)
}

// list compares a list of records by their names.
func (c *comparison) list(f *field, path, place string, x, y reflect.Value, unit tariff.Unit) {
	t := c.tables[f.of]
	before := map[string]reflect.Value{}
	for i := range x.Len() {
		before[nameOf(t, x.Index(i), i)] = x.Index(i)
	}
	var kept, keptBefore []string
	for i := range y.Len() {
		name := nameOf(t, y.Index(i), i)
		p := fmt.Sprintf("%s[%s]", path, name)
		old, has := before[name]
		if !has {
			c.add(p, "", name, said(place, "a new "+f.noun+" "+name+c.gist(t, y.Index(i), unit)))
			continue
		}
		kept = append(kept, name)
		within := placeIn(place, f.noun+" "+name)
		if name == otherwise && y.Len() == 1 {
			within = place
		}
		c.record(t, p, within, old, y.Index(i), unit)
	}
	for i := range x.Len() {
		name := nameOf(t, x.Index(i), i)
		if slices.Contains(kept, name) {
			keptBefore = append(keptBefore, name)
			continue
		}
		c.add(fmt.Sprintf("%s[%s]", path, name), name, "", said(place, "the "+f.noun+" "+name+" is gone"))
	}
	if !slices.Equal(kept, keptBefore) && slices.Contains([]string{"switch", "window"}, f.of) {
		c.add(path, strings.Join(keptBefore, ", "), strings.Join(kept, ", "), said(place, "the order of the list changes, and with it which one wins"))
	}
}

// gist is a new part's price or amount.
func (c *comparison) gist(t *table, v reflect.Value, unit tariff.Unit) string {
	unit = unitWithin(t.name, v, c.b, unit)
	index := jsonFields(v.Type())
	for _, name := range []string{"price", "amount"} {
		if f := t.find(name); f != nil {
			if text := valueText(f, v.FieldByIndex(index[name]), unit, false, c.b.Currency); text != "" && text != "none" {
				return ", " + text
			}
		}
	}
	return ""
}

// otherwise names the rate of every destination and time without one of its own.
const otherwise = "otherwise"

// nameOf tells parts of a list apart, in words where they have no name.
func nameOf(t *table, v reflect.Value, i int) string {
	index := jsonFields(v.Type())
	text := func(name string) string {
		if at, ok := index[name]; ok {
			return fmt.Sprint(v.FieldByIndex(at).Interface())
		}
		return ""
	}
	switch t.name {
	case "rate":
		name := text("name")
		if z := text("zone"); z != "" {
			name = strings.TrimSpace(name + " to " + z)
		}
		if w := text("window"); w != "" {
			name = strings.TrimSpace(name + " in " + w)
		}
		return cmp.Or(name, otherwise)
	case "promotion":
		return text("id")
	case "share":
		return text("partner")
	case "destination":
		return text("zone")
	case "bonus":
		return "from " + text("from")
	case "tenure":
		return "from month " + text("months")
	case "tier", "switch", "condition", "action":
		return fmt.Sprint(i + 1)
	}
	return text("name")
}

// set compares lists of plain values, whose order says nothing.
func (c *comparison) set(f *field, path, place string, x, y reflect.Value, unit tariff.Unit) {
	texts := func(v reflect.Value) (out []string) {
		g := *f
		g.required = true
		for i := range v.Len() {
			out = append(out, valueText(&g, v.Index(i), unit, false, c.b.Currency))
		}
		return out
	}
	before, after := texts(x), texts(y)
	missing := func(from, in []string) (out []string) {
		for _, s := range from {
			if !slices.Contains(in, s) {
				out = append(out, s)
			}
		}
		return out
	}
	gained, lost := missing(after, before), missing(before, after)
	var parts []string
	if len(gained) > 0 {
		parts = append(parts, "gain "+few(gained))
	}
	if len(lost) > 0 {
		parts = append(parts, "lose "+few(lost))
	}
	if len(parts) > 0 {
		c.add(path, strings.Join(before, ", "), strings.Join(after, ", "), said(place, "the "+f.noun+" "+strings.Join(parts, " and ")))
	}
}

// few lists at most ten.
func few(list []string) string {
	if len(list) > 10 {
		return strings.Join(list[:10], ", ") + fmt.Sprintf(" and %d more", len(list)-10)
	}
	return strings.Join(list, ", ")
}

func (c *comparison) field(t *table, f *field, path, place string, a, b, x, y reflect.Value, unit tariff.Unit) {
	asPercent := func(v reflect.Value) bool {
		m := v.FieldByName("Metric")
		return m.IsValid() && m.String() == string(tariff.UsedPercent)
	}
	before := valueText(f, x, unit, asPercent(a), c.a.Currency)
	after := valueText(f, y, unit, asPercent(b), c.b.Currency)
	says := ""
	if before == after {
		return
	}
	switch {
	case f.form == clock && t.name == "window":
		if f.name == "to" && after == "" {
			after = "24:00"
		}
		says = map[string]string{"from": "begins", "to": "ends"}[f.name]
		before, after = cmp.Or(before, "00:00"), cmp.Or(after, "00:00")
		if f.name == "to" && before == "00:00" {
			before = "24:00"
		}
		c.add(path, before, after, fmt.Sprintf("%s now %s at %s (was %s)", place, says, after, before))
		return
	case f.form == price:
		says = c.price(x.Interface().(tariff.Price), y.Interface().(tariff.Price), unit, before, after)
	case before == "":
		says = fmt.Sprintf("the %s is now %s (none before)", f.noun, after)
	case after == "":
		says = fmt.Sprintf("there is no %s any more (was %s)", f.noun, before)
	default:
		says = fmt.Sprintf("the %s %s from %s to %s", f.noun, verb(f, x, y), shorter(before, after), after)
	}
	c.add(path, before, after, said(place, says))
}

// verb tells the direction of what can be compared.
func verb(f *field, x, y reflect.Value) string {
	switch f.form {
	case amount, span, speed, measure, percent, threshold, count:
		if x.Int() < y.Int() {
			return "rises"
		}
		return "falls"
	}
	return "changes"
}

// shorter leaves out what both values end with: "2.50 EUR" before "2.00 EUR" is
// "2.50".
func shorter(before, after string) string {
	b, unit, has := strings.Cut(before, " ")
	if _, u, ok := strings.Cut(after, " "); has && ok && u == unit {
		return b
	}
	return before
}

func (c *comparison) price(x, y tariff.Price, unit tariff.Unit, before, after string) string {
	if x.Per <= 0 || y.Per <= 0 || unit == tariff.Money {
		return fmt.Sprintf("the price changes from %s to %s", before, after)
	}
	how := "rises"
	hi1, lo1 := bits.Mul64(uint64(x.Amount), uint64(y.Per))
	hi2, lo2 := bits.Mul64(uint64(y.Amount), uint64(x.Per))
	switch {
	case hi1 == hi2 && lo1 == lo2:
		how = "is written anew, at the same value,"
	case hi1 > hi2 || hi1 == hi2 && lo1 > lo2:
		how = "falls"
	}
	if x.Per == y.Per {
		return fmt.Sprintf("the price of %s %s from %s to %s %s", one(y.Per, unit), how, x.Amount, y.Amount, c.b.Currency)
	}
	return fmt.Sprintf("the price %s from %s to %s", how, before, after)
}

// unitWithin is the unit of the measures in a record.
func unitWithin(record string, v reflect.Value, o *tariff.Offering, above tariff.Unit) tariff.Unit {
	named := func(name string) tariff.Unit {
		if name == tariff.MoneyBalance {
			return tariff.Money
		}
		for i := range o.Allowances {
			if o.Allowances[i].Name == name {
				return o.Allowances[i].Unit
			}
		}
		for i := range o.Usage {
			if o.Usage[i].Name == name {
				return o.Usage[i].Unit
			}
		}
		return ""
	}
	switch record {
	case "usage", "allowance":
		return tariff.Unit(v.FieldByName("Unit").String())
	case "threshold":
		return named(v.FieldByName("On").String())
	case "action":
		return named(v.FieldByName("Balance").String())
	case "reservation":
		if m := o.Metering(); m != nil {
			return m.Unit
		}
	}
	return above
}

func placeIn(place, more string) string {
	if place == "" {
		return more
	}
	return place + ", " + more
}

func said(place, what string) string {
	if place == "" {
		return what
	}
	return place + ": " + what
}
