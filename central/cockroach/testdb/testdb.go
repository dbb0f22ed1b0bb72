package testdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// setup is the remedy when there is no server.
const setup = "run `make setup` to install PostgreSQL, or set COCKROACH_BINARY or TEST_POSTGRES_URL"

// timeout bounds each statement that creates or drops a database. On CockroachDB
// these are schema changes and take seconds.
const timeout = 60 * time.Second

// shared is the one server of this test process. It is a variable of the
// package because Go gives tests nothing else that all of them can reach: Main
// is its only writer.
var shared struct {
	mu   sync.Mutex
	pool *pool
}

// pool starts the server when the first test asks, and remembers the outcome.
type pool struct {
	start func() (backend, error)

	once sync.Once
	srv  backend
	err  error
}

// backend is a running server.
type backend struct {
	adminURL  string
	cockroach bool
	stop      func() error
}

// Main runs a package's tests, stops the server they used, and exits.
func Main(m *testing.M) {
	p := &pool{start: startBackend}
	setShared(p)
	code := m.Run()
	setShared(nil)
	if err := p.close(); err != nil {
		fmt.Fprintln(os.Stderr, "testdb: stop the server:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func setShared(p *pool) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.pool = p
}

// New creates an empty database and returns its URL. It is dropped after the
// test. A fault of the server fails the test.
func New(t testing.TB) string {
	t.Helper()
	shared.mu.Lock()
	p := shared.pool
	shared.mu.Unlock()
	if p == nil {
		t.Fatal("testdb: no server: add `func TestMain(m *testing.M) { testdb.Main(m) }` to the package's tests")
	}
	dbURL, drop, err := p.database(context.Background())
	if err != nil {
		t.Fatalf("testdb: %v", err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Errorf("testdb: %v", err)
		}
	})
	return dbURL
}

func (p *pool) server() (backend, error) {
	p.once.Do(func() { p.srv, p.err = p.start() })
	return p.srv, p.err
}

// close stops the server if one was started. No database can be had afterwards.
func (p *pool) close() error {
	p.once.Do(func() { p.err = errors.New("the server is stopped") })
	if p.srv.stop == nil {
		return nil
	}
	return p.srv.stop()
}

// database creates a database and returns its URL and what drops it.
func (p *pool) database(ctx context.Context) (dbURL string, drop func() error, err error) {
	srv, err := p.server()
	if err != nil {
		return "", nil, err
	}
	name := "t_" + strings.ToLower(rand.Text())
	// The name is ours, of letters and digits: identifiers take no placeholders.
	create := "CREATE DATABASE " + name
	if !srv.cockroach {
		create += " TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
	}
	if err := srv.exec(ctx, create); err != nil {
		return "", nil, err
	}
	dbURL, err = withDatabase(srv.adminURL, name)
	if err != nil {
		return "", nil, err
	}
	return dbURL, func() error {
		if srv.cockroach {
			return nil // a slow schema change, for a server that lives in memory
		}
		return srv.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	}, nil
}

func (b backend) exec(ctx context.Context, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, b.adminURL)
	if err != nil {
		return fmt.Errorf("connect to the test server (%s): %w", setup, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// withDatabase names another database in a URL and sets what every session of a
// test shall have.
func withDatabase(serverURL, name string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		// The text of err holds the URL, which may hold a password.
		return "", errors.New("the test server's URL is malformed: use postgres://user:password@host:port/database")
	}
	u.Path = "/" + name
	q := u.Query()
	q.Set("default_transaction_isolation", "serializable")
	q.Set("timezone", "UTC")
	u.RawQuery = q.Encode()
	return u.String(), nil
}
