package cockroach_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"meridian/central"
	"meridian/central/cockroach"
	"meridian/central/cockroach/testdb"
	"meridian/central/store"
	"meridian/central/store/storetest"
	"meridian/internal/verify"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(migratorURL); url != "" {
		migrateUntilKilled(url)
	}
	testdb.Main(m)
}

func open(t testing.TB, url string, cfg cockroach.Config) *cockroach.DB {
	t.Helper()
	db, err := cockroach.Open(context.Background(), url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func migrated(t testing.TB, cfg cockroach.Config) *cockroach.DB {
	t.Helper()
	db := open(t, testdb.New(t), cfg)
	if err := db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db
}

func opener(cfg cockroach.Config) storetest.Opener {
	return func(t *testing.T) (central.Backend, func() verify.CentreReader) { return opened(t, testdb.New(t), cfg) }
}

// opened migrates a database and gives the backend on it, and its reader.
func opened(t *testing.T, url string, cfg cockroach.Config) (central.Backend, func() verify.CentreReader) {
	t.Helper()
	db := open(t, url, cfg)
	if err := db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return db, func() verify.CentreReader {
		r, err := db.Reader(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return r
	}
}

func TestContract(t *testing.T) { storetest.Run(t, opener(cockroach.DefaultConfig())) }

// failing is the configuration under which every transaction's first commit fails.
func failing() cockroach.Config {
	cfg := cockroach.DefaultConfig()
	cfg.BeforeCommit = cockroach.FailFirstCommit
	return cfg
}

// Every closure of the suite must be repeatable: each one's first commit fails.
func TestContractWithFailingCommits(t *testing.T) {
	storetest.Run(t, opener(failing()))
}

func TestMigrateConcurrentlyAndAgain(t *testing.T) {
	url := testdb.New(t)
	db := open(t, url, cockroach.DefaultConfig())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := db.Migrate(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := db.Migrate(context.Background()); err != nil {
		t.Errorf("a second time: %v", err)
	}
	execSQL(t, url, `UPDATE schema_migrations SET checksum = 'other' WHERE name = 'migrations/0009_buckets.sql'`)
	if err := db.Migrate(context.Background()); !errors.Is(err, cockroach.ErrMigration) {
		t.Errorf("after a file changed: %v", err)
	}
}

func execSQL(t testing.TB, url, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func createHead(db *cockroach.DB, name string) error {
	return db.Do(context.Background(), "test", func(ctx context.Context, tx store.Tx) error {
		return db.Feed(tx).CreateHead(ctx, name)
	})
}

func TestCommitOutcomes(t *testing.T) {
	url := testdb.New(t)
	var hook func(op string, attempt int) error
	cfg := cockroach.DefaultConfig()
	cfg.MaxRetries = 3
	cfg.BeforeCommit = func(op string, attempt int) error { return hook(op, attempt) }
	db := open(t, url, cfg)
	if err := db.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Run("deadlock is retried", func(t *testing.T) {
		hook = func(_ string, attempt int) error {
			if attempt == 1 {
				return &pgconn.PgError{Code: "40P01"}
			}
			return nil
		}
		if err := createHead(db, "a"); err != nil {
			t.Error(err)
		}
	})
	t.Run("retries end", func(t *testing.T) {
		before := db.Stats().GivenUp.Load()
		hook = func(string, int) error { return &pgconn.PgError{Code: "40001"} }
		if err := createHead(db, "b"); !errors.Is(err, store.ErrUnavailable) || db.Stats().GivenUp.Load() != before+1 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("lost connection before the commit", func(t *testing.T) {
		hook = func(string, int) error { return &pgconn.PgError{Code: "08006"} }
		if err := createHead(db, "c"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("lost connection at the commit", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		hook = func(string, int) error { cancel(); return nil }
		err := db.Do(ctx, "test", func(ctx context.Context, tx store.Tx) error { return db.Feed(tx).CreateHead(ctx, "d") })
		var unknown *store.UnknownOutcomeError
		if !errors.As(err, &unknown) || unknown.Op != "test" || db.Stats().Unknown.Load() != 1 {
			t.Errorf("got %v, want an unknown outcome", err)
		}
	})
	t.Run("database gone", func(t *testing.T) {
		hook = func(string, int) error { return nil }
		db.Close()
		if err := createHead(db, "e"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

// Write skew is found at COMMIT; it must be retried, never lost.
func TestWriteSkewIsSerialized(t *testing.T) {
	db := migrated(t, cockroach.DefaultConfig())
	for _, n := range []string{"x", "y"} {
		if err := createHead(db, n); err != nil {
			t.Fatal(err)
		}
	}
	// Each transaction counts the heads and adds one: run side by side without
	// serializability, several would count the same.
	const workers = 6
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			err := db.Do(context.Background(), "count", func(ctx context.Context, tx store.Tx) error {
				heads, err := db.Feed(tx).Heads(ctx)
				if err != nil {
					return err
				}
				return db.Feed(tx).CreateHead(ctx, fmt.Sprintf("n%02d", len(heads)))
			})
			if err != nil && !errors.Is(err, store.ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	err := db.View(context.Background(), "test", func(ctx context.Context, tx store.Tx) error {
		heads, err := db.Feed(tx).Heads(ctx)
		for i, h := range heads[:len(heads)-2] {
			if want := fmt.Sprintf("n%02d", i+2); h.Region != want {
				t.Errorf("head %d is %s, want %s", i, h.Region, want)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	cfg := cockroach.DefaultConfig()
	cfg.MaxConns, cfg.MaxRetries = 0, 0
	if _, err := cockroach.Open(context.Background(), "postgresql://x", cfg); err == nil {
		t.Error("no connections and no retries were accepted")
	}
	if _, err := cockroach.Open(context.Background(), "http://%zz", cockroach.DefaultConfig()); err == nil {
		t.Error("a URL that is none was accepted")
	}
	if _, err := cockroach.Open(t.Context(), "postgresql://u@127.0.0.1:1/d", cockroach.DefaultConfig()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
}
