// Package cockroach is the centre's database: every statement of SQL, the one
// runner through which transactions go, and the migrations.
//
// It speaks the subset that CockroachDB and PostgreSQL share. It implements
// store.Runner and every domain package's Store, and decides nothing: rules are
// in the domain packages.
package cockroach
