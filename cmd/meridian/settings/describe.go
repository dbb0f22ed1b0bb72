package settings

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Describe is the settings as YAML with a comment to each field: its meaning,
// its limits and the variable that overrides it.
func (e Edge) Describe() []byte { return describe(e, envEdge) }

// Describe is the settings as YAML with a comment to each field.
func (c Central) Describe() []byte { return describe(c, envCentral) }

func describe(s any, prefix string) []byte {
	w := writer{prefix: prefix}
	w.group(reflect.ValueOf(s), "", "")
	return w.Bytes()
}

// writer writes the subset of YAML that reader reads.
type writer struct {
	bytes.Buffer
	prefix string // of the variables
}

func (w *writer) line(indent, text string) { fmt.Fprintf(w, "%s%s\n", indent, text) }

func (w *writer) group(v reflect.Value, path, indent string) {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		name := f.Tag.Get("yaml")
		if group(f.Type) {
			w.line(indent, "# "+f.Tag.Get("doc"))
			w.line(indent, name+":")
			w.group(value, join(path, name), indent+"  ")
			continue
		}
		leaf := field{path: join(path, name), typ: f.Type, doc: f.Tag.Get("doc"),
			min: f.Tag.Get("min"), max: f.Tag.Get("max"), is: f.Tag.Get("is"), need: f.Tag.Get("need")}
		for _, c := range leaf.comment(w.prefix) {
			w.line(indent, "# "+c)
		}
		w.leaf(value, name, indent)
	}
}

func (w *writer) leaf(v reflect.Value, name, indent string) {
	switch {
	case v.Kind() == reflect.Map:
		if v.Len() == 0 {
			w.line(indent, name+": {}")
			return
		}
		w.line(indent, name+":")
		texts := v.Interface().(map[string]string)
		for _, key := range slices.Sorted(maps.Keys(texts)) {
			w.line(indent+"  ", plainOrQuoted(key)+": "+plainOrQuoted(texts[key]))
		}
	case v.Kind() == reflect.Slice && v.Len() > 0 && group(v.Type().Elem()):
		w.line(indent, name+":")
		for i := range v.Len() {
			w.element(v.Index(i), indent)
		}
	case v.Kind() == reflect.Slice:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = plainOrQuoted(v.Index(i).String())
		}
		w.line(indent, name+": ["+strings.Join(texts, ", ")+"]")
	default:
		w.line(indent, name+": "+scalarText(v))
	}
}

// element writes a struct of a list, without comments: those are the list's.
func (w *writer) element(v reflect.Value, indent string) {
	begin := "- "
	for i := range v.NumField() {
		w.line(indent, begin+v.Type().Field(i).Tag.Get("yaml")+": "+scalarText(v.Field(i)))
		begin = "  "
	}
}

func scalarText(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return plainOrQuoted(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// plain are texts that no reader of YAML takes for anything else.
var plain = regexp.MustCompile(`^[a-z][a-z0-9_]*[-./][a-zA-Z0-9_./-]*$`)

func plainOrQuoted(s string) string {
	switch s {
	case "debug", "info", "warn", "error", "text", "json", "data", "admin":
		return s
	}
	if plain.MatchString(s) {
		return s
	}
	return strconv.QuoteToASCII(s) // its escapes are YAML's, too
}

// Write writes settings with their documentation as a file that its owner alone
// may read.
func Write(path string, s interface{ Describe() []byte }) error {
	if err := os.WriteFile(path, s.Describe(), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
