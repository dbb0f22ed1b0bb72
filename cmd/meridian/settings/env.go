package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// The first parts of the variables that override a file's fields; the field's path
// follows in capitals: MERIDIAN_EDGE_POLICY_CUT_AGE.
const (
	envAll     = "MERIDIAN_"
	envEdge    = "MERIDIAN_EDGE_"
	envCentral = "MERIDIAN_CENTRAL_"
)

// variables lists the variables of one kind of process, by name.
func variables(prefix string, t reflect.Type) map[string]field {
	fields, _ := fieldsOf(t)
	out := map[string]field{}
	for _, f := range fields {
		if name := f.envName(prefix); name != "" {
			out[name] = f
		}
	}
	return out
}

// override puts the environment's values over the file's. A variable that begins
// as ours do and is none of them is a fault: a mistyped one would go unseen.
func (l *loader) override(environ []string, into reflect.Value) {
	own := variables(l.prefix, into.Type())
	all := variables(envEdge, reflect.TypeFor[Edge]())
	for name, f := range variables(envCentral, reflect.TypeFor[Central]()) {
		all[name] = f
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, e := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, envAll) {
			continue
		}
		if f, ok := own[name]; ok {
			l.places[f.path] = place{env: name, value: value}
			l.forget(f.path) // what the file says there no longer counts
			if problem := setText(into.FieldByIndex(f.index), value); problem != "" {
				l.fault(f.path, "%s", problem)
			}
			continue
		}
		if _, ok := all[name]; !ok {
			remedy := "unset it"
			if near := nearest(name, names); near != "" {
				remedy = fmt.Sprintf("unset it; perhaps %s is meant", near)
			}
			l.add(Fault{Field: name, Problem: "no such variable: " + remedy})
		}
	}
}
