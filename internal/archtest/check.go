package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maxFileLines is the length beyond which a file no longer fits a sitting.
const maxFileLines = 500

// Violation is one breach of a rule.
type Violation struct {
	Where string // file, or file:line, from the root
	Rule  string // the rule's short name
	Text  string // what is wrong, why it matters
}

func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Where, v.Rule, v.Text) }

// checker collects the violations of a tree.
type checker struct {
	*tree
	found []Violation
}

// Check reads the repository at root and returns its violations, in order of
// place. An error says that the tree could not be read.
func Check(root string) ([]Violation, error) {
	t, broken, err := load(root)
	if err != nil {
		return nil, err
	}
	c := &checker{tree: t, found: broken}
	for _, p := range t.pkgs {
		c.name(p)
		c.doc(p)
		for _, f := range p.files {
			c.length(f)
			c.imports(p, f)
			if f.generated {
				continue
			}
			c.strings(p, f)
			c.functions(f)
			if anyMatch(pure(), p.dir) && !f.test {
				c.purity(p, f)
			}
		}
	}
	for _, f := range t.sql {
		c.sqlFile(f)
	}
	slices.SortStableFunc(c.found, byPlace)
	return c.found, nil
}

func byPlace(a, b Violation) int {
	fileA, lineA, _ := strings.Cut(a.Where, ":")
	fileB, lineB, _ := strings.Cut(b.Where, ":")
	// Numbers without leading zeros: the shorter one is the smaller one.
	return cmp.Or(strings.Compare(fileA, fileB), cmp.Compare(len(lineA), len(lineB)),
		strings.Compare(lineA, lineB), strings.Compare(a.Rule, b.Rule))
}

func (c *checker) report(where, rule, format string, args ...any) {
	c.found = append(c.found, Violation{where, rule, fmt.Sprintf(format, args...)})
}

// name refuses folders that say nothing of what is in them.
func (c *checker) name(p *pkg) {
	for _, part := range strings.Split(p.dir, "/") {
		switch part {
		case "util", "utils", "common", "helper", "helpers", "misc", "shared", "pkg", "docs":
			c.report(p.files[0].path, "name", "a package is named by what it is for, not %q", part)
		}
	}
}

// doc wants a package to say what it owns.
func (c *checker) doc(p *pkg) {
	written := false
	for _, f := range p.files {
		if f.test || f.generated {
			continue
		}
		written = true
		if f.syntax.Doc != nil && strings.TrimSpace(f.syntax.Doc.Text()) != "" {
			return
		}
	}
	if written {
		c.report(p.files[0].path, "doc", "no file has a package comment: say what the package owns and what it does not")
	}
}

func (c *checker) length(f *file) {
	if n := lineCount(f.text); n > maxFileLines && !f.test && !f.generated {
		c.report(f.path, "length", "%d lines, at most %d: split it by noun or operation", n, maxFileLines)
	}
}

// imports checks a file against the table, the walls and the foreign modules.
func (c *checker) imports(p *pkg, f *file) {
	for _, spec := range f.syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has seen to it
		}
		where := c.where(spec.Pos())
		if imported == "C" {
			c.report(where, "import", "cgo: Meridian is one static binary")
			continue
		}
		dir, ours := strings.CutPrefix(imported, module+"/")
		if !ours {
			if !f.test {
				c.foreign(p, where, imported)
			}
			continue
		}
		c.wall(p, where, dir)
		if !f.test {
			c.layer(p, where, dir)
		}
	}
}

func (c *checker) layer(p *pkg, where, dir string) {
	for _, rule := range importTable() {
		if !matches(rule.pkg, p.dir) {
			continue
		}
		if !allowed(rule.may, dir) {
			c.report(where, "import", "%s must not import %s: %s", p.dir, dir, rule.reason)
		}
		return
	}
	c.report(where, "import", "%s has no line in the import table: decide what it may import (internal/archtest/rules.go)", p.dir)
}

func (c *checker) wall(p *pkg, where, dir string) {
	for _, rule := range walls() {
		if matches(rule.pkg, p.dir) && denied(rule.may, dir) {
			c.report(where, "wall", "%s must not import %s, not even in a test: %s", p.dir, dir, rule.reason)
		}
	}
}

func (c *checker) foreign(p *pkg, where, imported string) {
	first, _, _ := strings.Cut(imported, "/")
	if strings.Contains(first, ".") && anyMatch(pure(), p.dir) {
		c.report(where, "import", "%s must not import %s: the core uses the standard library only", p.dir, imported)
		return
	}
	for _, rule := range foreignTable() {
		if matches(rule.module+"/...", imported) && !anyMatch(rule.only, p.dir) {
			c.report(where, "import", "%s must not import %s: %s", p.dir, imported, rule.reason)
		}
	}
}

// purity checks a file of the core: no world, no goroutine, no floating point.
func (c *checker) purity(p *pkg, f *file) {
	timeName := ""
	excepted := portImports()[p.dir]
	for _, spec := range f.syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		for banned, reason := range impureImports() {
			if matches(banned+"/...", imported) && !slices.Contains(excepted, imported) {
				c.report(c.where(spec.Pos()), "pure", "imports %s: %s", imported, reason)
			}
		}
		if imported == "time" {
			timeName = "time"
			if spec.Name != nil {
				timeName = spec.Name.Name
			}
			if timeName == "." {
				c.report(c.where(spec.Pos()), "pure", "dot import of time hides its clock")
			}
		}
	}
	banned := impureTime()
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			c.report(c.where(n.Pos()), "pure", "starts a goroutine: the core runs in its caller's")
		case *ast.Ident:
			if n.Name == "float64" || n.Name == "float32" {
				c.report(c.where(n.Pos()), "pure", "%s: what is charged is exact", n.Name)
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if reason, bad := banned[n.Sel.Name]; ok && bad && timeName != "" && x.Name == timeName {
				c.report(c.where(n.Pos()), "pure", "uses time.%s: %s", n.Sel.Name, reason)
			}
		}
		return true
	})
}

// functions refuses work at import time and tests that pass without testing.
func (c *checker) functions(f *file) {
	for _, decl := range f.syntax.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if ok && !f.test && fn.Recv == nil && fn.Name.Name == "init" {
			c.report(c.where(fn.Pos()), "init", "components are built in a composition root, not at import")
		}
	}
	if !f.test {
		return
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok || !slices.Contains([]string{"t", "b", "tb"}, x.Name) {
			return true
		}
		switch sel.Sel.Name {
		case "Skip", "Skipf", "SkipNow":
			c.report(c.where(call.Pos()), "skip", "a test that skips itself proves nothing: fail with the remedy")
		}
		return true
	})
}

func inSQLHome(dir string) bool {
	return matches("central/cockroach/...", dir) || dir == "central/embedded"
}

func (c *checker) sqlFile(f *file) {
	if !inSQLHome(path.Dir(f.path)) {
		c.report(f.path, "sql", "SQL lives in central/cockroach")
	}
	for i, line := range strings.Split(string(f.text), "\n") {
		statement, _, _ := strings.Cut(line, "--")
		if selectsAll(statement) {
			c.report(fmt.Sprintf("%s:%d", f.path, i+1), "select", "SELECT *: name the columns, a new one must not change the result")
		}
	}
}
