package testdb

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestMain(m *testing.M) { Main(m) }

func connect(t *testing.T, dbURL string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dbURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestDatabasesAreApart(t *testing.T) {
	a, b := connect(t, New(t)), connect(t, New(t))
	if _, err := a.Exec(t.Context(), "CREATE TABLE only_in_a (n INT8 PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	_, err := b.Exec(t.Context(), "SELECT n FROM only_in_a")
	var missing *pgconn.PgError
	if !errors.As(err, &missing) || missing.Code != "42P01" { // undefined_table
		t.Errorf("the second database answers %v, want that the table is missing", err)
	}
}

func TestSessionDefaults(t *testing.T) {
	conn := connect(t, New(t))
	for setting, want := range map[string]string{"transaction_isolation": "serializable", "timezone": "UTC"} {
		var got string
		if err := conn.QueryRow(t.Context(), "SHOW "+setting).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
	// Byte order, not a language's: 'Z' stands before 'a'.
	var sorted bool
	if err := conn.QueryRow(t.Context(), "SELECT 'Z'::TEXT < 'a'::TEXT").Scan(&sorted); err != nil {
		t.Fatal(err)
	}
	if !sorted {
		t.Error("text is not compared by bytes")
	}
}

func TestDatabaseIsDroppedAfterItsTest(t *testing.T) {
	var dbURL string
	t.Run("user", func(t *testing.T) { dbURL = New(t); connect(t, dbURL) })
	p := shared.pool
	srv, err := p.server()
	if err != nil {
		t.Fatal(err)
	}
	if srv.cockroach {
		return // kept until the server's memory goes
	}
	conn, err := pgx.Connect(t.Context(), dbURL)
	if err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("the database is still there")
	}
}

func TestServerIsStartedOnce(t *testing.T) {
	starts, stops := 0, 0
	p := &pool{start: func() (backend, error) {
		starts++
		return backend{stop: func() error { stops++; return nil }}, nil
	}}
	for range 3 {
		if _, err := p.server(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if starts != 1 || stops != 1 {
		t.Errorf("%d starts and %d stops, want one each", starts, stops)
	}
}

func TestFailureToStartIsToldToEveryTest(t *testing.T) {
	p := &pool{start: func() (backend, error) { return backend{}, errors.New("no luck") }}
	for range 2 {
		if _, _, err := p.database(t.Context()); err == nil || !strings.Contains(err.Error(), "no luck") {
			t.Errorf("database: %v, want the server's fault", err)
		}
	}
	if err := p.close(); err != nil {
		t.Errorf("close without a server: %v", err)
	}
}

func TestMissingServersAreNamed(t *testing.T) {
	t.Setenv("COCKROACH_BINARY", "/no/such/cockroach")
	if _, err := startBackend(); err == nil || !strings.Contains(err.Error(), "COCKROACH_BINARY") {
		t.Errorf("startBackend = %v, want an error that names the variable", err)
	}
	t.Setenv("COCKROACH_BINARY", "")
	t.Setenv("TEST_POSTGRES_URL", "postgres://nobody@127.0.0.1:1/none")
	p := &pool{start: startBackend}
	if _, _, err := p.database(t.Context()); err == nil || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("database = %v, want an error with the remedy", err)
	}
}

func TestMalformedURLIsNotPrinted(t *testing.T) {
	_, err := withDatabase("postgres://u:secret%zz@h/d", "x")
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("withDatabase = %v, want an error without the password", err)
	}
}
