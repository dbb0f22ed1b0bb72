package sheet

import (
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"meridian/internal/rating"
	"meridian/internal/tariff"
)

// MaxOfferings bounds how many offerings one sheet may hold.
const MaxOfferings = 5000

// Read reads the offerings of a sheet: a mapping for each document of a YAML
// stream, or lists of them; JSON is YAML. Prefix tables are read from beside,
// which may be nil when there are none. The error is Faults: every fault of all
// documents at once, each with file, line, column, path, value and remedy.
// Versions are 0: publishing numbers them. An offering without a fault is given to
// the checks, whose *tariff.Fault errors are told at their places too.
func Read(name string, data []byte, beside fs.FS, checks ...func(*tariff.Offering) error) ([]tariff.Offering, error) {
	faults := &sink{file: name}
	r := &reader{faults: faults, beside: beside, checks: checks, tables: map[string]*table{}, index: map[reflect.Type]map[string][]int{}}
	lang := language()
	for i := range lang {
		r.tables[lang[i].name] = &lang[i]
	}
	var out []tariff.Offering
	read := func(n *node, at string) {
		out = append(out, tariff.Offering{})
		r.offering(n, at, &out[len(out)-1])
	}
	for n := range built(documents(string(data)), faults) {
		if total := len(out) + max(len(n.items), 1); total > MaxOfferings {
			faults.add(n.line, n.col, "", strconv.Itoa(total), "are too many offerings", fmt.Sprintf("split the sheet into files of at most %d", MaxOfferings))
			break
		}
		if n.kind != list {
			read(n, "")
		}
		for i, item := range n.items {
			read(item, fmt.Sprintf("[%d]", i))
		}
	}
	if len(out) == 0 && len(faults.list) == 0 {
		faults.add(1, 1, "", "", "the sheet holds no offering", "write at least one")
	}
	if len(faults.list) > 0 {
		slices.SortStableFunc(faults.list, func(a, b *Fault) int {
			if a.Line != b.Line || a.File != b.File {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		return nil, faults.list
	}
	return out, nil
}

// reader decodes nodes by the language's table.
type reader struct {
	faults *sink
	beside fs.FS
	checks []func(*tariff.Offering) error
	tables map[string]*table
	index  map[reflect.Type]map[string][]int // JSON name → field
	root   *node                             // the offering being read
	wrong  []string                          // paths that have a fault already
	csv    map[string][]tariff.Destination   // files read, so that each is read once
}

func (r *reader) fault(n *node, path, what, remedy string) {
	r.wrong = append(r.wrong, path)
	r.faults.at(n, path, what, remedy)
}

func (r *reader) offering(n *node, at string, o *tariff.Offering) {
	r.root, r.wrong = n, nil
	if n.kind != mapping {
		r.fault(n, at, "is not an offering but "+n.kind.String(), "write `field: value` lines, `id` first")
		return
	}
	r.record(n, at, r.tables["offering"], reflect.ValueOf(o).Elem(), "")
	o.Version = 1
	faulty := tariff.Faults(o.Validate())
	for _, f := range faulty {
		r.invalid(n, at, f)
	}
	for _, f := range tariff.Faults(rating.CheckZone(o)) { // of the data in the binary, which Validate does not know
		faulty = append(faulty, f)
		r.invalid(n, at, f)
	}
	for _, check := range r.checks {
		if len(faulty) == 0 && len(r.wrong) == 0 {
			for _, f := range tariff.Faults(check(o)) {
				r.invalid(n, at, f)
			}
		}
	}
	o.Version = 0
}

// invalid reports a fault of the vocabulary's own rules, unless the reader has
// already said more of its place.
func (r *reader) invalid(n *node, at string, f *tariff.Fault) {
	path := f.Path
	if at != "" {
		path = join(at, path)
	}
	for _, w := range r.wrong {
		if path == w || strings.HasPrefix(path, w+".") || strings.HasPrefix(path, w+"[") || strings.HasPrefix(w, path+"[") {
			return
		}
	}
	found, rest := n.find(f.Path)
	value := f.Value
	for _, part := range []string{".per", ".amount", ".unit", ".count"} { // of a price or period, which the file writes in one
		if whole, cut := strings.CutSuffix(rest, part); cut && (whole == "price" || whole == "every" || strings.HasSuffix(whole, ".price") || strings.HasSuffix(whole, ".every")) {
			path, value = strings.TrimSuffix(path, part), ""
		}
	}
	if found.kind != mapping && found.kind != list {
		path, value = strings.TrimSuffix(path, rest), found.text
	}
	r.faults.add(found.line, found.col, path, value, "is not valid", f.Remedy)
}

// find walks to the node at a path as far as there is one, and returns what is
// left of the path.
func (n *node) find(path string) (*node, string) {
	for path != "" {
		step := strings.TrimPrefix(path, ".")
		var next *node
		end := strings.IndexAny(step[1:], ".[") + 1
		if end == 0 {
			end = len(step)
		}
		if step[0] == '[' {
			i, err := strconv.Atoi(strings.Trim(step[:end], "[]"))
			if err == nil && i >= 0 && i < len(n.items) {
				next = n.items[i]
			}
		} else {
			next = n.field(step[:end])
		}
		if next == nil {
			return n, path
		}
		n, path = next, step[end:]
	}
	return n, ""
}

// fields maps the JSON names of a struct to its fields.
func (r *reader) fields(t reflect.Type) map[string][]int {
	if m, ok := r.index[t]; ok {
		return m
	}
	m := jsonFields(t)
	r.index[t] = m
	return m
}

func jsonFields(t reflect.Type) map[string][]int {
	m := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			m[name] = f.Index
		}
	}
	return m
}

func (r *reader) record(n *node, path string, t *table, v reflect.Value, unit tariff.Unit) {
	unit = r.unit(t.name, n, unit)
	index := r.fields(v.Type())
	for i := range n.entries {
		e := &n.entries[i]
		f := t.find(e.key)
		at := join(path, e.key)
		switch {
		case f == nil:
			r.unknown(t, e, at)
		case e.value.kind == null:
			r.fault(e.value, at, "has no value", "give a value or leave the field out")
		case f.form == csvFile:
			// Read below: its rows follow those written inline.
		default:
			r.field(e.value, at, f, v.FieldByIndex(index[f.name]), unit)
		}
	}
	for i := range t.fields {
		f := &t.fields[i]
		if f.required && n.field(f.name) == nil {
			r.wrong = append(r.wrong, join(path, f.name))
			r.faults.add(n.line, n.col, join(path, f.name), "", "is missing", r.missing(f))
		}
	}
	if t.name == "usage" {
		r.prefixes(n.field("prefixes_csv"), join(path, "prefixes_csv"), v.Addr().Interface().(*tariff.Usage))
	}
}

// missing says what to write for a field that has to be there.
func (r *reader) missing(f *field) string {
	what := "…"
	if t := r.tables[f.of]; f.form == record && t != nil {
		var inner []string
		for i := range t.fields {
			if t.fields[i].required {
				inner = append(inner, t.fields[i].name+": …")
			}
		}
		what = "{" + strings.Join(inner, ", ") + "}"
	}
	if len(f.choices) > 0 {
		what = strings.Join(f.choices, " or ")
	}
	if f.many {
		what = "[" + what + "]"
	}
	return fmt.Sprintf("write `%s: %s`. %s", f.name, what, f.doc)
}

func (t *table) find(name string) *field {
	for i := range t.fields {
		if t.fields[i].name == name {
			return &t.fields[i]
		}
	}
	return nil
}

func (r *reader) unknown(t *table, e *entry, at string) {
	remedy := "remove it"
	best, far := "", 3
	for i := range t.fields {
		if d := distance(e.key, t.fields[i].name); d < far && d < len(e.key) {
			best, far = t.fields[i].name, d
		}
	}
	switch {
	case t.name == "offering" && (e.key == "version" || e.key == "tzdata"):
		remedy = "leave it out: publishing sets it"
	case best != "":
		remedy = "did you mean " + best + "?"
	}
	r.wrong = append(r.wrong, at)
	what := "is not a field of " + strings.ReplaceAll(t.name, "_", " ")
	r.faults.add(e.line, e.col, at, e.value.shown(), what, remedy)
}

// distance is the number of letters to change, add or drop, for words of the
// language's length.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// unit is the unit of the measures in a record: its own, its component's, or that
// of what it names.
func (r *reader) unit(record string, n *node, above tariff.Unit) tariff.Unit {
	switch record {
	case "usage", "allowance":
		return tariff.Unit(n.textOf("unit"))
	case "threshold":
		return r.unitOf(n.textOf("on"))
	case "action":
		return r.unitOf(n.textOf("balance"))
	case "reservation":
		return r.metered()
	}
	return above
}

func (r *reader) unitOf(name string) tariff.Unit {
	if name == tariff.MoneyBalance {
		return tariff.Money
	}
	for _, part := range []string{"allowances", "usage"} {
		if list := r.root.field(part); list != nil {
			for _, item := range list.items {
				if item.textOf("name") == name {
					return tariff.Unit(item.textOf("unit"))
				}
			}
		}
	}
	return ""
}

// metered is the unit of the component that meters sessions.
func (r *reader) metered() tariff.Unit {
	main := r.root.textOf("service")
	if list := r.root.field("usage"); list != nil {
		for _, item := range list.items {
			u := tariff.Unit(item.textOf("unit"))
			if s := item.textOf("service"); (s == "" || s == main) && (u == tariff.Bytes || u == tariff.Seconds) {
				return u
			}
		}
	}
	return tariff.Bytes
}

// field reads a value, or the list of a field that takes many.
func (r *reader) field(n *node, path string, f *field, v reflect.Value, unit tariff.Unit) {
	if !f.many {
		r.value(n, path, f, v, unit)
		return
	}
	if n.kind != list {
		r.fault(n, path, "is "+n.kind.String()+", not a list", "write a list: [one, another], or a line with a dash for each")
		return
	}
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if f.form == weekday {
			days, err := parseWeekdays(item.text)
			if err != nil || item.kind != text {
				r.fault(item, at, "is not a weekday", "write mon, tue, wed, thu, fri, sat or sun, or a range such as mon-fri")
				continue
			}
			v.Set(reflect.AppendSlice(v, reflect.ValueOf(days)))
			continue
		}
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		r.value(item, at, f, v.Index(v.Len()-1), unit)
	}
}

func (r *reader) value(n *node, path string, f *field, v reflect.Value, unit tariff.Unit) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if f.form == record {
		if n.kind != mapping {
			r.fault(n, path, "is "+n.kind.String()+", not a mapping", "write `field: value` lines below it")
			return
		}
		r.record(n, path, r.tables[f.of], v, unit)
		return
	}
	w := written(f, unit, r.percentThreshold(f, path))
	if n.kind == mapping || n.kind == list || !slices.Contains(w.kinds, n.kind) {
		what := "is " + n.kind.String()
		if (n.kind == number || n.kind == decimal || n.kind == boolean) && slices.Contains(w.kinds, text) {
			what += " without quotes"
		}
		r.fault(n, path, what, w.remedy)
		return
	}
	if err := w.set(v, n.text); err != nil {
		r.fault(n, path, err.Error(), w.remedy)
	}
}

// percentThreshold tells whether a threshold's value is a percentage.
func (r *reader) percentThreshold(f *field, path string) bool {
	if f.form != threshold {
		return false
	}
	i := strings.LastIndex(path, "thresholds")
	if i < 0 {
		return false
	}
	n, _ := r.root.find(strings.TrimSuffix(path[i:], "."+f.name))
	return n.textOf("metric") == string(tariff.UsedPercent)
}
