package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"meridian/central/fault"
	"meridian/internal/money"
	"meridian/internal/tariff"
)

// maxDocuments bounds how many offerings one file may hold.
const maxDocuments = 200

// Parse reads offerings, one for each document of a YAML file (JSON is YAML).
// Amounts are decimals in quotes ("5.00"), sizes are written 500MB or 1GiB,
// times 60s, 5m, 1h or 30d, speeds 10Mbit. It reports every fault of all
// documents at once, each with file, line, path and remedy. Versions are 0:
// publishing numbers them.
func Parse(name string, data []byte) ([]tariff.Offering, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, fault.Bad(name, "", "this is not YAML: "+err.Error(), "correct the syntax at the place shown")
	}
	var faults fault.Collector
	var out []tariff.Offering
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		r := &reader{name: name, fields: make(map[string]field), faults: &faults}
		r.flatten("", doc.Body, 0)
		out = append(out, r.offering())
	}
	faults.Need(len(out) > 0, name, "", "the file holds no offering", "write at least one document")
	faults.Need(len(out) <= maxDocuments, name, strconv.Itoa(len(out)), "the file holds too many offerings",
		fmt.Sprintf("split it into files of at most %d", maxDocuments))
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

type field struct {
	text string
	line int
	used bool
}

// reader takes the fields of one document by their path.
type reader struct {
	name   string
	fields map[string]field
	first  int // line of the document's first field
	faults *fault.Collector
}

const maxDepth = 4

func (r *reader) flatten(path string, n ast.Node, depth int) {
	line := n.GetToken().Position.Line
	if r.first == 0 {
		r.first = line
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		if depth > maxDepth {
			r.fault(line, path, "", "is nested too deeply", "see the published offerings for the layout")
			return
		}
		for _, entry := range v.Values {
			r.entry(path, entry, depth)
		}
	case *ast.MappingValueNode:
		r.entry(path, v, depth)
	case *ast.NullNode:
		r.fault(line, path, "", "has no value", "give a value or leave the field out")
	case ast.ScalarNode:
		if _, twice := r.fields[path]; twice {
			r.fault(line, path, "", "is given twice", "keep one of them")
		}
		text := fmt.Sprint(v.GetValue())
		if s, ok := n.(*ast.StringNode); ok {
			text = s.Value
		} else {
			text = n.GetToken().Value
		}
		r.fields[path] = field{text: text, line: line}
	default:
		r.fault(line, path, n.Type().String(), "is not a simple value", "write one number or text")
	}
}

func (r *reader) entry(path string, v *ast.MappingValueNode, depth int) {
	key := v.Key.GetToken().Value
	if path != "" {
		key = path + "." + key
	}
	r.flatten(key, v.Value, depth+1)
}

func (r *reader) fault(line int, path, value, message, remedy string) {
	r.faults.Add(fault.Bad(fmt.Sprintf("%s:%d: %s", r.name, line, path), value, message, remedy))
}

// has tells whether any field lies at or below path.
func (r *reader) has(path string) bool {
	for k := range r.fields {
		if k == path || strings.HasPrefix(k, path+".") {
			return true
		}
	}
	return false
}

func (r *reader) text(path string) string {
	f, ok := r.fields[path]
	if !ok {
		return ""
	}
	f.used = true
	r.fields[path] = f
	return f.text
}

// number reads a field through parse; an absent field is 0.
func (r *reader) number(path string, parse func(string) (int64, error), remedy string) int64 {
	text := r.text(path)
	if text == "" {
		return 0
	}
	n, err := parse(text)
	if err != nil {
		r.fault(r.fields[path].line, path, text, err.Error(), remedy)
	}
	return n
}

func (r *reader) amount(path string) money.Amount {
	return money.Amount(r.number(path, func(s string) (int64, error) {
		a, err := money.Parse(s)
		return int64(a), err
	}, `write a decimal in quotes, e.g. "5.00"`))
}

func (r *reader) offering() tariff.Offering {
	o := tariff.Offering{
		ID: r.text("id"), Name: r.text("name"), Currency: money.Currency(r.text("currency")),
		ValidFrom: r.number("valid_from", parseInstant, "write an instant such as 2026-12-01T00:00:00Z"),
		Service:   r.text("service"), Overrun: tariff.OverrunPolicy(r.text("overrun")),
		OfflineAllowance: r.amount("offline_allowance"),
	}
	if r.has("usage") {
		unit := tariff.Unit(r.text("usage.unit"))
		o.Usage = tariff.PerUnit(unit, r.amount("usage.price"), r.quantity("usage.per", unit))
	}
	if r.has("recurring") {
		o.Recurring = tariff.EachDays(r.amount("recurring.price"),
			int(r.number("recurring.days", parseCount, "write a whole number of days")))
	}
	o.Profile = tariff.Profile{
		UpBps:          r.number("profile.up", parseSpeed, "write a speed such as 10Mbit"),
		DownBps:        r.number("profile.down", parseSpeed, "write a speed such as 10Mbit"),
		Pool:           r.text("profile.pool"),
		SessionLimit:   int(r.number("profile.session_limit", parseCount, "write a whole number")),
		InterimSeconds: int(r.number("profile.interim", parseSeconds, "write a time such as 60s")),
	}
	if r.has("reservation") {
		unit := tariff.Unit("")
		if o.Usage != nil {
			unit = o.Usage[0].Unit
		}
		o.Reservation = tariff.Reservation{Quota: r.quantity("reservation.quota", unit),
			TTLSeconds: r.number("reservation.ttl", parseSeconds, "write a time such as 180s")}
	}
	r.leftovers()
	r.validate(o)
	return o
}

func (r *reader) quantity(path string, unit tariff.Unit) int64 {
	if unit == tariff.Seconds {
		return r.number(path, parseSeconds, "write a time such as 60s")
	}
	return r.number(path, parseSize, "write a size such as 10MB or 1GiB")
}

// leftovers reports every field that is not part of the language, in file order.
func (r *reader) leftovers() {
	var unknown []string
	for path, f := range r.fields {
		if !f.used {
			unknown = append(unknown, path)
		}
	}
	slices.SortFunc(unknown, func(a, b string) int { return r.fields[a].line - r.fields[b].line })
	for _, path := range unknown {
		f := r.fields[path]
		r.fault(f.line, path, f.text, "is not a field of an offering", "remove it or correct its name")
	}
}

// paths turns the vocabulary's paths into those of a file.
var paths = strings.NewReplacer("usage[0].rates[0].price.amount", "usage.price", "usage[0].rates[0].price", "usage.price",
	"usage.price.per", "usage.per", "usage[0]", "usage", "recurring[0].every.count", "recurring.days", "recurring[0]", "recurring")

// validate applies the vocabulary's own rules, with the version still open.
func (r *reader) validate(o tariff.Offering) {
	o.Version = 1
	for _, f := range tariff.Faults(o.Validate()) {
		path := paths.Replace(paths.Replace(f.Path))
		line := r.first
		if f, ok := r.fields[path]; ok {
			line = f.line
		}
		r.fault(line, path, f.Value, "is not valid", f.Remedy)
	}
}

func parseInstant(s string) (int64, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, fmt.Errorf("is not an instant")
	}
	return t.Unix(), nil
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("is not a whole number")
	}
	return n, nil
}

type suffix struct {
	text   string
	factor int64
}

// Longer suffixes come first: the first that fits is taken.
func sizeSuffixes() []suffix {
	return []suffix{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
	}
}

func parseSize(s string) (int64, error) { return parseSuffixed(s, sizeSuffixes(), "a size") }

func parseSeconds(s string) (int64, error) {
	return parseSuffixed(s, []suffix{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"", 1}}, "a time")
}

func parseSpeed(s string) (int64, error) {
	return parseSuffixed(strings.TrimSuffix(s, "/s"), []suffix{{"kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}, {"bit", 1}, {"", 1}}, "a speed")
}

func parseSuffixed(s string, suffixes []suffix, what string) (int64, error) {
	for _, x := range suffixes {
		digits, ok := strings.CutSuffix(s, x.text)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("is not %s", what)
		}
		v, err := money.MulDiv(n, x.factor, 1, money.Floor)
		if err != nil {
			return 0, fmt.Errorf("is too large")
		}
		return v, nil
	}
	return 0, fmt.Errorf("is not %s", what)
}
