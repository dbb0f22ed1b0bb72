package settings

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// A settings struct describes its file by tags:
//
//	yaml   the field's name
//	doc    what it means, for --print-defaults
//	min    least and most value of a number, octets or duration
//	max
//	is     what a text must be: name, host:port, address:port, or choices a|b|c
//	need   an example: the field has no default and must be given
//
// The same tags drive reading, checking, the environment's names and the
// documentation, so that none of them can say something else.

// field is a leaf of a settings struct: a value, a list or a map.
type field struct {
	path  string // policy.cut_age
	index []int  // for reflect.Value.FieldByIndex
	typ   reflect.Type
	doc   string
	min   string
	max   string
	is    string
	need  string
}

var durationType = reflect.TypeFor[time.Duration]()

// group tells a struct that holds fields from a value.
func group(t reflect.Type) bool { return t.Kind() == reflect.Struct }

// fieldsOf lists the leaves of a struct in their order; groups are those that
// hold them, by path.
func fieldsOf(t reflect.Type) (fields []field, groups map[string]string) {
	groups = map[string]string{}
	var walk func(t reflect.Type, prefix string, index []int)
	walk = func(t reflect.Type, prefix string, index []int) {
		for i := range t.NumField() {
			f := t.Field(i)
			tag := func(name string) string { return f.Tag.Get(name) }
			at := append(append([]int(nil), index...), i)
			path := prefix + tag("yaml")
			if group(f.Type) {
				groups[path] = tag("doc")
				walk(f.Type, path+".", at)
				continue
			}
			fields = append(fields, field{path: path, index: at, typ: f.Type,
				doc: tag("doc"), min: tag("min"), max: tag("max"), is: tag("is"), need: tag("need")})
		}
	}
	walk(t, "", nil)
	return fields, groups
}

// text tells whether the field can be written in one line of text, as the
// environment does.
func (f field) text() bool {
	switch f.typ.Kind() {
	case reflect.Map:
		return false
	case reflect.Slice:
		return f.typ.Elem().Kind() == reflect.String
	}
	return true
}

// envName is the variable that overrides the field, empty when none can.
func (f field) envName(prefix string) string {
	if !f.text() {
		return ""
	}
	return prefix + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
}

// bounds says what values are allowed, for documentation and remedies.
func (f field) bounds() string {
	switch {
	case f.min != "":
		return f.min + " to " + f.max
	case strings.Contains(f.is, "|"):
		choices := strings.Split(f.is, "|")
		last := len(choices) - 1
		return strings.Join(choices[:last], ", ") + " or " + choices[last]
	case f.is == "name":
		return "1 to 63 of a-z, 0-9 and hyphen"
	case f.is == "secret file":
		return "file of mode 0600"
	}
	return f.is
}

// comment documents the field: its meaning and limits, then its variable.
func (f field) comment(prefix string) []string {
	out := f.doc
	if b := f.bounds(); b != "" {
		out += "; " + b
	}
	if f.need != "" {
		out += "; must be given, e.g. " + f.need
	}
	if name := f.envName(prefix); name != "" {
		return []string{out, name}
	}
	return []string{out}
}

// kindOf names a field's type for a person.
func kindOf(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration with its unit, e.g. 10s"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64, t.Kind() == reflect.Uint64:
		return "a whole number"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map, group(t):
		return "fields, each on its own line below"
	case t.Kind() == reflect.String:
		return "text"
	}
	panic(fmt.Sprintf("settings: no file can hold a %s", t))
}
