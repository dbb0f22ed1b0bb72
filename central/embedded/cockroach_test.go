package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// fakeCockroach makes this test binary behave like `cockroach
// start-single-node`, with a PostgreSQL behind it: the supervision of the
// process is tested everywhere, CockroachDB itself by `make test-cockroach`.
const fakeCockroach = "EMBEDDED_TEST_FAKE_COCKROACH"

func runFakeCockroach(args []string) error {
	flags := map[string]string{}
	for _, arg := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		flags[name] = value
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg := testConfig(strings.TrimPrefix(flags["store"], "path="))
	_, port, _ := strings.Cut(flags["listen-addr"], ":")
	var err error
	if cfg.Port, err = strconv.Atoi(port); err != nil {
		return err
	}
	s, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := openToRoot(ctx, s, cfg.Dir); err != nil {
		return err
	}
	u := url.URL{Scheme: "postgresql", User: url.User("root"), Host: fmt.Sprintf("127.0.0.1:%d", s.Port()), Path: "/defaultdb"}
	if err := os.WriteFile(flags["listening-url-file"], []byte(u.String()+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(flags["pid-file"], []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}

// openToRoot gives the server what an insecure CockroachDB has: a user root
// without a password, and the database defaultdb.
func openToRoot(ctx context.Context, s *Store, dir string) error {
	hba, err := os.OpenFile(filepath.Join(dir, "postgres", "data", "pg_hba.conf"), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = hba.WriteString("host all root 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
	if err = errors.Join(err, hba.Close()); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	for _, create := range []string{"CREATE ROLE root LOGIN SUPERUSER", "CREATE DATABASE defaultdb"} {
		if _, err := conn.Exec(ctx, create); err != nil && !strings.Contains(err.Error(), "already exists") {
			return err
		}
	}
	return nil
}

func fakeConfig(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	cfg := testConfig(filepath.Join(dir, "store"))
	cfg.Prefer, cfg.CockroachBinary = Cockroach, filepath.Join(dir, "cockroach")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	write(t, cfg.CockroachBinary, fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", fakeCockroach, self), 0o755)
	return cfg
}

func TestCockroachLife(t *testing.T) {
	cfg := fakeConfig(t)
	first := start(t, cfg)
	if first.Kind() != Cockroach || first.Adopted() || first.Port() == 0 {
		t.Fatalf("kind %q, adopted %t, port %d: want a cockroach of its own", first.Kind(), first.Adopted(), first.Port())
	}
	conn := connect(t, first)
	exec1(t, conn, "CREATE TABLE kept (n INT8 PRIMARY KEY)")
	exec1(t, conn, "INSERT INTO kept VALUES (1)")

	// The directory decides, whatever is preferred now.
	cfg.Prefer = Auto
	adopted := start(t, cfg)
	if !adopted.Adopted() || adopted.PID() != first.PID() || adopted.URL() != first.URL() {
		t.Errorf("adopted %t, process %d, want the running process %d", adopted.Adopted(), adopted.PID(), first.PID())
	}
	if err := adopted.Close(); err != nil || !first.Alive() {
		t.Fatalf("Close of an adopted store: %v, server alive %t", err, first.Alive())
	}

	if err := adopted.Kill(); err != nil {
		t.Fatal(err)
	}
	if first.Alive() || adopted.Alive() {
		t.Fatal("the server runs after Kill")
	}
	second := start(t, cfg)
	if second.Adopted() || second.PID() == first.PID() {
		t.Fatal("adopted a killed server")
	}
	if n := count(t, second); n != 1 {
		t.Errorf("%d rows, want the one that was committed", n)
	}
	if err := second.Close(); err != nil || second.Alive() {
		t.Fatalf("Close: %v, server alive %t", err, second.Alive())
	}
}
