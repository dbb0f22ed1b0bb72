package sheet

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits of a document's form. maxNodes counts what aliases repeat: a few lines
// of aliases to aliases that would stand for billions of nodes are refused.
const (
	maxDepth = 16
	maxNodes = 400_000
)

type kind int

// Kinds of node.
const (
	null kind = iota
	text
	number // whole
	decimal
	boolean
	mapping
	list
)

func (k kind) String() string {
	return [...]string{"nothing", "a text", "a number", "a decimal number", "true or false", "a mapping", "a list"}[k]
}

// node is a value of a document with its place.
type node struct {
	kind      kind
	text      string // of a scalar, as written
	line, col int
	entries   []entry // of a mapping
	items     []*node // of a list
	size      int     // nodes in it, aliases counted as often as they are used
}

type entry struct {
	key       string
	line, col int
	value     *node
}

func (n *node) shown() string {
	switch n.kind {
	case mapping, list:
		return ""
	}
	return n.text
}

// field is the value of a mapping's key, or nil.
func (n *node) field(key string) *node {
	if n == nil {
		return nil
	}
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

// textOf is the text of a mapping's scalar field, or "".
func (n *node) textOf(key string) string {
	if v := n.field(key); v != nil {
		return v.text
	}
	return ""
}

// chunk is one document's text and the number of lines before it.
type chunk struct {
	text   string
	before int
}

// documents splits a stream at its "---" lines, so that a fault of syntax in one
// document leaves the others readable. YAML forbids such a line within a scalar.
func documents(data string) []chunk {
	var out []chunk
	start, before, line := 0, 0, 0
	for at := 0; at < len(data); line++ {
		end := strings.IndexByte(data[at:], '\n')
		next := at + end + 1
		if end < 0 {
			next = len(data)
		}
		if l := strings.TrimRight(data[at:next], "\r\n"); l == "---" || strings.HasPrefix(l, "--- ") {
			out = append(out, chunk{data[start:at], before})
			start, before = at, line
		}
		at = next
	}
	return append(out, chunk{data[start:], before})
}

// batch is how many documents are parsed ahead, by as many goroutines as there are
// processors.
const batch = 64

// built yields the documents in order, without those that are empty or unreadable.
func built(chunks []chunk, faults *sink) iter.Seq[*node] {
	return func(yield func(*node) bool) {
		for part := range slices.Chunk(chunks, batch) {
			nodes, sinks := make([]*node, len(part)), make([]sink, len(part))
			var next atomic.Int64
			var workers sync.WaitGroup
			for range min(runtime.GOMAXPROCS(0), len(part)) {
				workers.Go(func() {
					for i := next.Add(1) - 1; i < int64(len(part)); i = next.Add(1) - 1 {
						sinks[i].file = faults.file
						nodes[i] = build(part[i], &sinks[i])
					}
				})
			}
			workers.Wait()
			for i, n := range nodes {
				faults.list = append(faults.list, sinks[i].list[:min(len(sinks[i].list), max(maxFaults-len(faults.list), 0))]...)
				if n != nil && !yield(n) {
					return
				}
			}
		}
	}
}

// builder turns a document's syntax into nodes.
type builder struct {
	faults  *sink
	before  int
	anchors map[string]*node // nil while its value is being built
	nodes   int
	full    bool
}

// build parses one document; nil when it is empty or unreadable.
func build(c chunk, faults *sink) *node {
	if deepest(c.text) > 4*maxDepth {
		faults.add(c.before+1, 1, "", "", "is nested too deeply", fmt.Sprintf("nest at most %d levels", maxDepth))
		return nil
	}
	file, err := parser.ParseBytes([]byte(c.text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		line, col, what := 1, 1, err.Error()
		var e yaml.Error
		if errors.As(err, &e) && e.GetToken() != nil {
			line, col, what = e.GetToken().Position.Line, e.GetToken().Position.Column, e.GetMessage()
		}
		faults.add(c.before+line, col, "", "", "this is not YAML: "+what, "correct the syntax at this place")
		return nil
	}
	b := &builder{faults: faults, before: c.before, anchors: map[string]*node{}}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		return b.node(doc.Body, "", 0)
	}
	return nil
}

// deepest bounds the parser's own recursion: how many brackets and dashes could
// be open at once.
func deepest(s string) int {
	open, most, dashes := 0, 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[', '{':
			open++
		case ']', '}':
			open = max(open-1, 0)
		case '-', '?':
			dashes++
		case ' ', '\t':
		default:
			dashes = 0
		}
		most = max(most, open, dashes/2)
	}
	return most
}

func (b *builder) node(n ast.Node, path string, depth int) *node {
	pos := n.GetToken().Position
	out := &node{line: b.before + pos.Line, col: pos.Column, size: 1}
	b.nodes++
	if depth > maxDepth || b.nodes > maxNodes {
		b.tooMuch(out, path, depth)
		return out
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		out.kind = mapping
		b.entries(out, v.Values, path, depth)
		if len(out.entries) > 0 {
			out.line, out.col = out.entries[0].line, out.entries[0].col
		}
	case *ast.MappingValueNode:
		out.kind = mapping
		b.entries(out, []*ast.MappingValueNode{v}, path, depth)
		if len(out.entries) > 0 {
			out.line, out.col = out.entries[0].line, out.entries[0].col
		}
	case *ast.SequenceNode:
		out.kind = list
		for i, item := range v.Values {
			child := b.node(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
			out.items, out.size = append(out.items, child), out.size+child.size
		}
	case *ast.AnchorNode:
		name := v.Name.GetToken().Value
		b.anchors[name] = nil
		out = b.node(v.Value, path, depth)
		b.anchors[name] = out
	case *ast.AliasNode:
		return b.alias(v, out, path)
	default:
		b.scalar(n, out, path)
	}
	return out
}

func (b *builder) tooMuch(n *node, path string, depth int) {
	if b.full {
		return
	}
	b.full = true
	if depth > maxDepth {
		b.faults.at(n, path, "is nested too deeply", fmt.Sprintf("nest at most %d levels", maxDepth))
		return
	}
	b.faults.at(n, path, "the document stands for too many values", fmt.Sprintf("use at most %d, those repeated by aliases counted each time", maxNodes))
}

func (b *builder) alias(v *ast.AliasNode, out *node, path string) *node {
	name := v.Value.GetToken().Value
	target, known := b.anchors[name]
	switch {
	case !known:
		b.faults.add(out.line, out.col, path, "*"+name, "there is no anchor of this name", "write &"+name+" where the value stands first")
	case target == nil:
		b.faults.add(out.line, out.col, path, "*"+name, "refers to itself", "let an alias stand outside of its anchor's value")
	default:
		if b.nodes += target.size; b.nodes > maxNodes {
			b.tooMuch(out, path, 0)
			return out
		}
		return target
	}
	return out
}

func (b *builder) scalar(n ast.Node, out *node, path string) {
	out.text = n.GetToken().Value
	switch v := n.(type) {
	case *ast.StringNode:
		out.kind, out.text = text, v.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, v.Value.Value
	case *ast.IntegerNode:
		out.kind = number
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind = decimal
	case *ast.BoolNode:
		out.kind = boolean
	case *ast.NullNode:
		out.kind, out.text = null, ""
	default:
		b.faults.at(out, path, n.Type().String()+" has no place in a sheet", "write plain values, lists and mappings")
	}
}

// entries fills a mapping. A key given twice is a fault; what "<<" merges in gives
// way to what is written.
func (b *builder) entries(out *node, values []*ast.MappingValueNode, path string, depth int) {
	seen := make(map[string]bool, len(values))
	var merged []*node
	for _, v := range values {
		tk := v.Key.GetToken()
		key := tk.Value
		e := entry{key: key, line: b.before + tk.Position.Line, col: tk.Position.Column}
		if _, plain := v.Key.(*ast.MappingKeyNode); plain {
			b.faults.add(e.line, e.col, path, "", "a key is not a plain word", "write `field: value`")
			continue
		}
		e.value = b.node(v.Value, join(path, key), depth+1)
		out.size += e.value.size
		if v.Key.IsMergeKey() {
			merged = append(merged, e.value)
			continue
		}
		if seen[key] {
			b.faults.add(e.line, e.col, join(path, key), e.value.shown(), "is given twice", "keep one of them")
			continue
		}
		seen[key] = true
		out.entries = append(out.entries, e)
	}
	for len(merged) > 0 {
		m := merged[0]
		merged = merged[1:]
		if m.kind == list {
			merged = append(merged, m.items...)
		} else if m.kind != mapping {
			b.faults.at(m, join(path, "<<"), "is not a mapping", "merge an alias of a mapping")
		}
		for _, e := range m.entries {
			if !seen[e.key] {
				seen[e.key] = true
				out.entries = append(out.entries, e)
			}
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
