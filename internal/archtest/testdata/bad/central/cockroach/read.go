// Package cockroach may hold SQL, but not all columns.
package cockroach

const all = `SELECT * FROM account`
