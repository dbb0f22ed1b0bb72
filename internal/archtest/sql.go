package archtest

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
)

// Both are written in upper case in this repository, which also keeps prose
// apart from statements.
var (
	selectAll = regexp.MustCompile(`(?i)\bselect\s+(distinct\s+)?([a-z_]+\.)?\*(\s+from\b|\s*,|\s*$)`)
	statement = regexp.MustCompile(`^\s*(SELECT\s+\S[\s\S]*\sFROM\s|SELECT\s+(now|count|EXISTS)\b|INSERT\s+INTO\s|UPDATE\s+\S+\s+(AS\s+\S+\s+)?SET\s|DELETE\s+FROM\s|UPSERT\s+INTO\s|` +
		`(CREATE|ALTER|DROP)\s+(TABLE|INDEX|UNIQUE|DATABASE|VIEW|TYPE|SEQUENCE|ROLE|SCHEMA|USER)\s|TRUNCATE\s+\S|WITH\s+(RECURSIVE\s+)?\w+(\s*\([^)]*\))?\s+AS\s)`)
)

func selectsAll(s string) bool { return selectAll.MatchString(s) }

// isSQL tells whether a string is an SQL statement.
func isSQL(s string) bool { return statement.MatchString(s) }

// strings checks the string literals of a file.
func (c *checker) strings(p *pkg, f *file) {
	if p.dir == "internal/archtest" {
		return // it names what it looks for
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil {
			return true // the parser has seen to it
		}
		where := c.where(lit.Pos())
		if selectsAll(s) {
			c.report(where, "select", "SELECT *: name the columns, a new one must not change the result")
		}
		if !f.test && !inSQLHome(p.dir) && isSQL(s) {
			c.report(where, "sql", "an SQL statement outside central/cockroach")
		}
		return true
	})
}
