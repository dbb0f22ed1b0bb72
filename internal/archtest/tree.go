package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// module is the import path of the repository's root.
const module = "meridian"

// file is one Go or SQL file of the tree.
type file struct {
	path      string // from the root, with slashes
	text      []byte
	syntax    *ast.File // nil for SQL
	test      bool
	generated bool
}

// pkg is a folder with Go files.
type pkg struct {
	dir   string // from the root; "." for the root
	files []*file
}

// tree is all source of a repository.
type tree struct {
	fset *token.FileSet
	pkgs []*pkg
	sql  []*file
}

// load reads the tree at root, without what the go tool passes over too. Files
// that do not parse are violations, not errors.
func load(root string) (*tree, []Violation, error) {
	t := &tree{fset: token.NewFileSet()}
	byDir := map[string]*pkg{}
	var broken []Violation
	err := filepath.WalkDir(root, func(full string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			hidden := strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
			if full != root && (hidden || name == "testdata" || name == "vendor" || name == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, full)
		if err != nil {
			return err
		}
		f := &file{path: filepath.ToSlash(rel), test: strings.HasSuffix(name, "_test.go")}
		switch path.Ext(name) {
		case ".sql":
			t.sql = append(t.sql, f)
		case ".go":
		default:
			return nil
		}
		if f.text, err = os.ReadFile(full); err != nil {
			return err
		}
		if path.Ext(name) == ".sql" {
			return nil
		}
		f.syntax, err = parser.ParseFile(t.fset, f.path, f.text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			broken = append(broken, Violation{Where: f.path, Rule: "syntax", Text: err.Error()})
			return nil
		}
		f.generated = ast.IsGenerated(f.syntax)
		dir := path.Dir(f.path)
		if byDir[dir] == nil {
			byDir[dir] = &pkg{dir: dir}
			t.pkgs = append(t.pkgs, byDir[dir])
		}
		byDir[dir].files = append(byDir[dir].files, f)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the source tree: %w", err)
	}
	sort.Slice(t.pkgs, func(i, j int) bool { return t.pkgs[i].dir < t.pkgs[j].dir })
	return t, broken, nil
}

// where names a place in the source as editors do.
func (t *tree) where(pos token.Pos) string {
	p := t.fset.Position(pos)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

func lineCount(text []byte) int { return bytes.Count(text, []byte("\n")) }
