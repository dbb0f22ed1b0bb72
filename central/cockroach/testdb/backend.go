package testdb

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/cockroach-go/v2/testserver"

	"meridian/central/embedded"
)

// startBackend picks and starts the server; see the package's comment.
func startBackend() (backend, error) {
	if binary := os.Getenv("COCKROACH_BINARY"); binary != "" {
		return startCockroach(binary)
	}
	if serverURL := os.Getenv("TEST_POSTGRES_URL"); serverURL != "" {
		return backend{adminURL: serverURL}, nil
	}
	return startPostgres()
}

// startCockroach runs a single node in memory. The path is always given:
// without one, testserver would download a binary.
func startCockroach(binary string) (backend, error) {
	if _, err := os.Stat(binary); err != nil {
		return backend{}, fmt.Errorf("COCKROACH_BINARY: %w: name an existing cockroach binary or unset it", err)
	}
	const patienceSeconds = 120 // for a loaded machine; it starts in a few
	ts, err := testserver.NewTestServer(
		testserver.CockroachBinaryPathOpt(binary),
		testserver.SetStoreMemSizeOpt(0.15),
		testserver.InitTimeoutOpt(patienceSeconds),
		testserver.PollListenURLTimeoutOpt(patienceSeconds),
	)
	if err != nil {
		return backend{}, fmt.Errorf("start %s: %w", binary, err)
	}
	return backend{
		adminURL: ts.PGURL().String(), cockroach: true,
		stop: func() error { ts.Stop(); return nil },
	}, nil
}

// startPostgres runs a private PostgreSQL in a temporary directory.
func startPostgres() (backend, error) {
	dir, err := os.MkdirTemp("", "meridian-testdb-")
	if err != nil {
		return backend{}, fmt.Errorf("directory for the test server: %w", err)
	}
	cfg := embedded.DefaultConfig()
	cfg.Dir, cfg.Prefer, cfg.NoSync = dir, embedded.Postgres, true
	store, err := embedded.Start(context.Background(), cfg)
	if err != nil {
		err = errors.Join(err, os.RemoveAll(dir))
		if errors.Is(err, embedded.ErrNotInstalled) {
			return backend{}, fmt.Errorf("no database server: %s: %w", setup, err)
		}
		return backend{}, fmt.Errorf("start a private PostgreSQL: %w", err)
	}
	return backend{
		adminURL: store.URL(),
		stop:     func() error { return errors.Join(store.Close(), os.RemoveAll(dir)) },
	}, nil
}
