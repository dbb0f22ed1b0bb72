package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The owner process of TestServerDiesWithItsOwner is this test binary again.
const ownerDir = "EMBEDDED_TEST_OWNER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerDir); dir != "" {
		os.Exit(runOwner(dir))
	}
	if os.Getenv(fakeCockroach) != "" {
		if err := runFakeCockroach(os.Args[2:]); err != nil { // after start-single-node
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runOwner starts a store, says which process it is, and waits to be killed.
func runOwner(dir string) int {
	s, err := Start(context.Background(), testConfig(dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.PID())
	select {}
}

func testConfig(dir string) Config {
	cfg := DefaultConfig()
	cfg.Dir, cfg.Prefer, cfg.NoSync = dir, Postgres, true
	return cfg
}

func start(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func connect(t *testing.T, s *Store) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec1(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func count(t *testing.T, s *Store) int {
	t.Helper()
	var n int
	if err := connect(t, s).QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n); err != nil {
		t.Fatalf("count: %v", err)
	}
	return n
}

// TestPostgresLife goes through what a store lives through: the directory is a
// private temporary one, which the server's user cannot reach by its path.
func TestPostgresLife(t *testing.T) {
	cfg := testConfig(filepath.Join(t.TempDir(), "store"))
	first := start(t, cfg)
	if first.Kind() != Postgres || first.Adopted() {
		t.Fatalf("kind %q, adopted %t: want a PostgreSQL of its own", first.Kind(), first.Adopted())
	}
	conn := connect(t, first)
	var collation, encoding, isolation, zone string
	if err := conn.QueryRow(t.Context(), `SELECT datcollate, pg_encoding_to_char(encoding),
		current_setting('default_transaction_isolation'), current_setting('timezone')
		FROM pg_database WHERE datname = current_database()`).Scan(&collation, &encoding, &isolation, &zone); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(collation, encoding, isolation, zone), fmt.Sprint("C", "UTF8", "serializable", "UTC"); got != want {
		t.Errorf("collation, encoding, isolation, zone = %s, want %s", got, want)
	}
	exec1(t, conn, "CREATE TABLE kept (n INT8 PRIMARY KEY)")
	exec1(t, conn, "INSERT INTO kept VALUES (1)")

	t.Run("a running server is adopted and left alone", func(t *testing.T) {
		second := start(t, cfg)
		if !second.Adopted() || second.PID() != first.PID() || second.URL() != first.URL() {
			t.Fatalf("adopted %t, process %d, want the running process %d", second.Adopted(), second.PID(), first.PID())
		}
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		if !first.Alive() || !second.Alive() {
			t.Fatal("Close of an adopted store stopped the server")
		}
	})

	t.Run("killed data are there after a restart on the same port", func(t *testing.T) {
		if err := first.Kill(); err != nil {
			t.Fatal(err)
		}
		if first.Alive() || len(processesWith(first.srv.marker)) != 0 {
			t.Fatal("processes of the server are left after Kill")
		}
		again := cfg
		again.Port = first.Port()
		second := start(t, again)
		if second.Port() != first.Port() {
			t.Errorf("port %d, want %d", second.Port(), first.Port())
		}
		if n := count(t, second); n != 1 {
			t.Errorf("%d rows, want the one that was committed", n)
		}
		// The first Store is of a server that is gone: it must not touch this one.
		if err := errors.Join(first.Kill(), first.Close()); err != nil {
			t.Fatal(err)
		}
		if !second.Alive() {
			t.Fatal("an old Store stopped the new server")
		}
		if err := errors.Join(second.Close(), second.Close()); err != nil {
			t.Fatal(err)
		}
		if second.Alive() {
			t.Fatal("the server runs after Close")
		}
	})

	t.Run("a stale pid file that names a living program is no obstacle", func(t *testing.T) {
		stale := fmt.Sprintf("%d\n%s\n0\n%d\n.\n127.0.0.1\n\nready   \n", os.Getpid(), "/nowhere", first.Port())
		path := filepath.Join(cfg.Dir, "postgres", "data", "postmaster.pid")
		if err := os.WriteFile(path, []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
		second := start(t, cfg)
		if second.Adopted() {
			t.Fatal("adopted a program that is no server")
		}
		if n := count(t, second); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestPasswordIsPrivateAndNeeded(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s := start(t, cfg)
	info, err := os.Stat(filepath.Join(cfg.Dir, "postgres", "password"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("password file has mode %v, want 0600", info.Mode().Perm())
	}
	bad := postgresURL(superuser, "wrong", s.Port(), database)
	conn, err := pgx.Connect(t.Context(), bad)
	if err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("the server let a wrong password in")
	}
}

func TestServerDiesWithItsOwner(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the owner said nothing: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatalf("server %d does not run", pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the owner was not killed")
	}
	// A Start at this moment meets the stopping server, and must get one that
	// stays.
	s := start(t, testConfig(dir))
	if s.Adopted() || s.PID() == pid || alive(pid) {
		t.Fatalf("server %d outlived its owner (adopted %t)", pid, s.Adopted())
	}
	connect(t, s)
}

func TestOwnerThatCannotBeUsed(t *testing.T) {
	if _, err := chooseOwner(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Fatalf("chooseOwner of a new directory: %v", err)
	}
	dir := t.TempDir()
	o, err := chooseOwner(dir)
	if err != nil {
		t.Fatal(err)
	}
	if o.uid == 0 {
		t.Error("PostgreSQL would run as root, which it refuses")
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := testConfig(t.TempDir())
	cfg.Port = l.Addr().(*net.TCPAddr).Port
	s, err := Start(t.Context(), cfg)
	if err == nil {
		_ = s.Close()
		t.Fatal("Start took a port that is taken")
	}
	if want := fmt.Sprintf("port %d on 127.0.0.1 is taken", cfg.Port); !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
}

func TestStartHonoursItsContext(t *testing.T) {
	cfg := testConfig(t.TempDir())
	unlock, err := lockDir(t.Context(), cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	cfg.StartTimeout = 50 * time.Millisecond
	if _, err := Start(t.Context(), cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start beside another one: %v, want a deadline", err)
	}
}

func TestBrokenStores(t *testing.T) {
	cases := []struct {
		name    string
		prepare func(t *testing.T, dir string) Config
		want    error
		says    string
	}{
		{"data of another version", func(t *testing.T, dir string) Config {
			write(t, filepath.Join(dir, "postgres", "data", "PG_VERSION"), "7\n", 0o600)
			return testConfig(dir)
		}, ErrForeignStore, "install postgresql-7"},
		{"password lost", func(t *testing.T, dir string) Config {
			bin := findPostgres(debianPostgres, "")
			write(t, filepath.Join(dir, "postgres", "data", "PG_VERSION"), postgresMajor(bin)+"\n", 0o600)
			return testConfig(dir)
		}, ErrForeignStore, "password is not readable"},
		{"store of the other kind", func(t *testing.T, dir string) Config {
			write(t, filepath.Join(dir, "postgres", "data", "PG_VERSION"), "15\n", 0o600)
			cfg := testConfig(dir)
			cfg.Prefer = Cockroach
			return cfg
		}, ErrForeignStore, "other kind"},
		{"named cockroach is missing", func(t *testing.T, dir string) Config {
			cfg := testConfig(dir)
			cfg.Prefer, cfg.CockroachBinary = Cockroach, filepath.Join(dir, "none")
			return cfg
		}, ErrNotInstalled, "correct it or unset it"},
		{"cockroach that fails", func(t *testing.T, dir string) Config {
			cfg := testConfig(dir)
			cfg.Prefer, cfg.CockroachBinary = Cockroach, filepath.Join(dir, "cockroach.sh")
			write(t, cfg.CockroachBinary, "#!/bin/sh\necho out of luck; exit 7\n", 0o755)
			return cfg
		}, ErrNotReady, "out of luck"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := Start(t.Context(), c.prepare(t, t.TempDir()))
			if err == nil {
				_ = s.Close()
				t.Fatal("Start succeeded")
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %q: want %q, saying %q", err, c.want, c.says)
			}
		})
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestValidateReportsAllFaults(t *testing.T) {
	err := Config{Prefer: "oracle", Port: -1}.Validate()
	for _, field := range []string{"Dir", "Prefer", "Port", "StartTimeout", "StopTimeout"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("Validate = %v: does not name %s", err, field)
		}
	}
	if err := testConfig("/x").Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
}

func TestParsePidFile(t *testing.T) {
	cases := []struct {
		content string
		want    postmaster
		ready   bool
	}{
		{"", postmaster{}, false},
		{"123\n", postmaster{pid: 123}, false},
		{"123\n/d\n1700000000\n5444\n.\n127.0.0.1\n 1 2\nready   \n", postmaster{123, 5444, "ready"}, true},
		{"123\n/d\n1700000000\n5444\n.\n127.0.0.1\n 1 2\nstopping\n", postmaster{123, 5444, "stopping"}, false},
		{"garbage\n\n\nport\n", postmaster{}, false},
	}
	for _, c := range cases {
		got := parsePidFile(c.content)
		if got != c.want || got.ready() != c.ready {
			t.Errorf("parsePidFile(%q) = %+v ready %t, want %+v ready %t", c.content, got, got.ready(), c.want, c.ready)
		}
	}
}

func TestFindPostgresPrefersTheNewest(t *testing.T) {
	root := t.TempDir()
	for _, v := range []string{"9.6", "15", "17"} {
		for _, name := range []string{"initdb", "postgres"} {
			write(t, filepath.Join(root, v, "bin", name), "#!/bin/sh\n", 0o755)
		}
	}
	write(t, filepath.Join(root, "18", "bin", "initdb"), "#!/bin/sh\n", 0o755) // incomplete
	for version, want := range map[string]string{"": "17", "15": "15", "9.6": "9.6"} {
		if got := findPostgres(root, version); got != filepath.Join(root, want, "bin") {
			t.Errorf("findPostgres(%q) = %s, want version %s", version, got, want)
		}
	}
	t.Setenv("PATH", root)
	if got := findPostgres(filepath.Join(root, "none"), ""); got != "" {
		t.Errorf("findPostgres found %s where nothing is", got)
	}
}

func TestParseMajor(t *testing.T) {
	for in, want := range map[string]string{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": "15", "postgres (PostgreSQL) 17": "17", "no number": "", "": "",
	} {
		if got := parseMajor(in); got != want {
			t.Errorf("parseMajor(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCockroachAdoptsOnlyItsOwnServer(t *testing.T) {
	c := &cockroach{dir: t.TempDir(), marker: "meridian-no-such-process", cfg: testConfig("/x")}
	write(t, c.pidFile(), strconv.Itoa(os.Getpid())+"\n", 0o600)
	write(t, c.urlFile(), "postgresql://root@127.0.0.1:26999/defaultdb?sslmode=disable\n", 0o600)
	pid, port, err := c.running()
	if err != nil || pid != os.Getpid() || port != 26999 {
		t.Fatalf("running = %d, %d, %v", pid, port, err)
	}
	srv, err := c.adopt(t.Context())
	if err != nil || srv.pid != 0 {
		t.Errorf("adopted process %d (%v), which is no server of the store", srv.pid, err)
	}
	for _, arg := range c.arguments(0) {
		if strings.HasPrefix(arg, "--listen-addr=") && arg != "--listen-addr=127.0.0.1:0" {
			t.Errorf("%s: an insecure server must listen on the loopback interface only", arg)
		}
	}
}

func TestLogIsPutAsideWhenLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.log")
	write(t, path, "old", 0o600)
	if err := os.Truncate(path, maxLogBytes+1); err != nil {
		t.Fatal(err)
	}
	f, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != 0 {
		t.Errorf("log has %d bytes (%v), want a new one", info.Size(), err)
	}
	if !exists(path + ".1") {
		t.Error("the old log is gone")
	}
}

func TestLaunchReportsAMissingProgram(t *testing.T) {
	if _, err := launch(exec.Command("/no/such/program"), syscall.SIGKILL); err == nil {
		t.Error("launch of nothing succeeded")
	}
}
