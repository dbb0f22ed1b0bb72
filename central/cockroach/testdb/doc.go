// Package testdb gives tests a real, empty SQL database.
//
// It owns the choice of the server, one server per test process, and one
// database per call of New. It owns no schema: a test applies the migrations
// that it needs. In order:
//
//  1. COCKROACH_BINARY names a binary: a single-node CockroachDB in memory;
//  2. TEST_POSTGRES_URL names a server: databases are created there, by a role
//     that may do so, and dropped again;
//  3. a PostgreSQL is installed: a private one, started by central/embedded.
//
// If there is none, the test fails and says what to run. It never skips: a
// suite that passes without a database would prove nothing.
//
// A package that uses New starts its tests through Main:
//
//	func TestMain(m *testing.M) { testdb.Main(m) }
//
// Transactions are serializable and times are UTC by default on every server.
package testdb
