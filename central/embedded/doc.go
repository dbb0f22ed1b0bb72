// Package embedded runs the centre's SQL store on one machine, for a demo, a
// test or a small installation without a database of its own.
//
// It owns one server process and one directory: it finds the binary, creates
// the store, starts the server on the loopback interface, waits until it
// answers, creates the database `meridian`, and stops the server again. The
// server is a single-node CockroachDB when a `cockroach` binary is named or in
// PATH, else a private PostgreSQL; a directory that already holds a store keeps
// its kind.
//
// It does not own schemas, roles or connections, knows nothing of billing, and
// is not meant for a production cluster: several nodes, TLS and backups belong
// to the operator's database, which is named to the centre by URL instead.
//
// # Who stops the server
//
// The process that started a server owns it. The server ends when its owner
// closes the Store and also when the owner dies, in whatever way: the kernel
// signals it (PR_SET_PDEATHSIG). A Start that finds a server running in its
// directory adopts it: it gets the URL, and Close leaves the server alone.
//
// # Layout of the directory
//
//	DIR/lock                 held while a Start decides what to do
//	DIR/postgres/data        PostgreSQL's data directory, C collation, UTF-8
//	DIR/postgres/password    the superuser's generated password, mode 0600
//	DIR/postgres/server.log  the server's messages (one older file is kept)
//	DIR/cockroach/data       CockroachDB's store, and its logs
//	DIR/cockroach/pid, *.url  of the running CockroachDB
package embedded
