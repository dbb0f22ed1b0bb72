package settings

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// place is where a field's value was given.
type place struct {
	line  int
	env   string // the variable, when it came from there
	value string // as written
}

// reader fills a settings struct from YAML and notes faults and places. It takes
// a plain subset: no anchors, aliases, merges and tags, and one document.
type reader struct {
	*faults
	places map[string]place // by path
}

func newReader(file string) reader {
	return reader{faults: &faults{file: file}, places: map[string]place{}}
}

// parse reads a file's text over the defaults that into, a settings struct, holds.
// It returns false when the text is no YAML, and nothing could be read.
func (r *reader) parse(data []byte, into reflect.Value) bool {
	file, err := parseYAML(data)
	if err != nil {
		line := 0
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			line, err = syntax.GetToken().Position.Line, errors.New(syntax.GetMessage())
		}
		r.add(Fault{File: r.file, Line: line, Problem: fmt.Sprintf("this is not YAML: %v: correct it; --print-defaults shows a whole file", err)})
		return false
	}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return blank(d.Body) })
	if len(docs) > 1 {
		r.faultAt(docs[1].Body, "", "", "a second document begins here: keep one")
	}
	if len(docs) > 0 {
		r.group(docs[0].Body, into, "")
	}
	return true
}

// blank is a document without a value.
func blank(n ast.Node) bool {
	if n == nil {
		return true
	}
	_, comment := n.(*ast.CommentGroupNode)
	return comment
}

// parseYAML keeps a fault of the library from ending the process.
func parseYAML(data []byte) (f *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it cannot be read")
		}
	}()
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8 text")
	}
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func (r *reader) faultAt(n ast.Node, path, value, problem string, args ...any) {
	r.add(Fault{File: r.file, Line: lineOf(n), Field: path, Value: value, Problem: fmt.Sprintf(problem, args...)})
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// pairs are a mapping's keys and values in order.
func pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// keys walks a mapping with each key once; path is the mapping's own.
func (r *reader) keys(n ast.Node, path string, each func(key string, pair *ast.MappingValueNode)) {
	list, ok := pairs(n)
	if !ok {
		r.faultAt(n, path, written(n), "write fields here, each as name: value")
		return
	}
	seen := map[string]int{}
	for _, p := range list {
		key, ok := keyText(p.Key)
		if !ok {
			r.faultAt(p.Key, join(path, key), "", "this cannot be a field's name: write plain text")
			continue
		}
		if first, twice := seen[key]; twice {
			r.faultAt(p.Key, join(path, key), "", "given twice, first in line %d: keep one", first)
			continue
		}
		seen[key] = lineOf(p.Key)
		each(key, p)
	}
}

func keyText(k ast.MapKeyNode) (string, bool) {
	n, ok := k.(ast.Node)
	if !ok || n.GetToken() == nil {
		return "", false
	}
	switch k.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return n.GetToken().Value, true
	}
	return n.GetToken().Value, false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// group reads a mapping into a struct.
func (r *reader) group(n ast.Node, into reflect.Value, path string) {
	t := into.Type()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("yaml")
	}
	r.keys(n, path, func(key string, p *ast.MappingValueNode) {
		i := slices.Index(names, key)
		if i < 0 {
			r.faultAt(p.Key, join(path, key), "", "no such field: %s", remedyFor(key, names))
			return
		}
		f := t.Field(i)
		if group(f.Type) {
			r.group(p.Value, into.Field(i), join(path, key))
			return
		}
		r.leaf(p.Value, into.Field(i), join(path, key))
	})
}

// remedyFor says what to do about an unknown field. A secret that was written into
// the file is told to move; its value is never repeated.
func remedyFor(key string, names []string) string {
	if slices.Contains(names, key+"_file") {
		return "secrets are kept in files: write the value into a file of mode 0600 and name it by " + key + "_file"
	}
	if near := nearest(key, names); near != "" {
		return "perhaps " + near + " is meant; --print-defaults shows all fields"
	}
	return "take it out; --print-defaults shows all fields"
}

// leaf reads a value, a list or a map.
func (r *reader) leaf(n ast.Node, into reflect.Value, path string) {
	value := written(n)
	r.places[path] = place{line: lineOf(n), value: value}
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.faultAt(n, path, "", "anchors, aliases and tags are not read here: write the value out")
		return
	case *ast.NullNode:
		r.faultAt(n, path, "", "has no value: write %s, or take the line out for the default", kindOf(into.Type()))
		return
	}
	switch {
	case into.Kind() == reflect.Slice:
		r.list(n, into, path)
	case into.Kind() == reflect.Map:
		r.mapping(n, into, path)
	default:
		if problem := scalar(n, into); problem != "" {
			r.faultAt(n, path, value, "%s", problem)
		}
	}
}

func (r *reader) list(n ast.Node, into reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.faultAt(n, path, written(n), "write a list, e.g. [first, second]")
		return
	}
	out := reflect.MakeSlice(into.Type(), len(seq.Values), len(seq.Values))
	for i, v := range seq.Values {
		at := fmt.Sprintf("%s[%d]", path, i)
		if group(into.Type().Elem()) {
			r.places[at] = place{line: lineOf(v)}
			r.group(v, out.Index(i), at)
			continue
		}
		r.leaf(v, out.Index(i), at)
	}
	into.Set(out)
}

func (r *reader) mapping(n ast.Node, into reflect.Value, path string) {
	out := reflect.MakeMap(into.Type())
	r.keys(n, path, func(key string, p *ast.MappingValueNode) {
		v := reflect.New(into.Type().Elem()).Elem()
		r.leaf(p.Value, v, join(path, key))
		out.SetMapIndex(reflect.ValueOf(key), v)
	})
	into.Set(out)
}

// written is a scalar as it stands in the file, empty for anything else.
func written(n ast.Node) string {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return v.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value
	}
	return ""
}

// scalar sets a text, number, duration or truth; problem is empty when it could.
func scalar(n ast.Node, into reflect.Value) (problem string) {
	_, isText := n.(*ast.StringNode)
	_, isBlock := n.(*ast.LiteralNode)
	want := kindOf(into.Type())
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		return "write one value: " + want
	}
	if into.Kind() == reflect.String && !isText && !isBlock {
		return fmt.Sprintf("YAML reads this as %s: write it in quotes", strings.ToLower(n.Type().String()))
	}
	if k := into.Kind(); k == reflect.Bool || k != reflect.String && into.Type() != durationType {
		if quoted(n) {
			return "write " + want + " without quotes"
		}
	}
	return setText(into, written(n))
}

func quoted(n ast.Node) bool {
	t := n.GetToken().Type
	return t == token.SingleQuoteType || t == token.DoubleQuoteType
}

// setText reads one line of text, from the file or the environment.
func setText(into reflect.Value, text string) (problem string) {
	want := "write " + kindOf(into.Type())
	switch {
	case into.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return want
		}
		into.SetInt(int64(d))
	case into.Kind() == reflect.String:
		into.SetString(text)
	case into.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return want
		}
		into.SetBool(text == "true")
	case into.CanInt():
		v, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, into.Type().Bits())
		if err != nil {
			return want
		}
		into.SetInt(v)
	case into.CanUint():
		v, err := strconv.ParseUint(strings.ReplaceAll(text, "_", ""), 10, into.Type().Bits())
		if err != nil {
			return want
		}
		into.SetUint(v)
	case into.Kind() == reflect.Slice:
		out := reflect.MakeSlice(into.Type(), 0, 1)
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = reflect.Append(out, reflect.ValueOf(part))
			}
		}
		into.Set(out)
	default:
		return want
	}
	return ""
}
