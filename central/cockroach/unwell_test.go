package cockroach_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/central"
	"meridian/central/cockroach/testdb"
	"meridian/central/embedded"
	"meridian/central/regions"
	"meridian/central/store"
	"meridian/central/store/storetest"
	"meridian/replication/link"
)

const customer = `{"kind":"individual","name":"Ann"}`

// refuses checks all that a centre says while its database does not take writes.
func refuses(t *testing.T, s *central.Server, cause store.Cause) {
	t.Helper()
	a := call(t, s, "POST", "/v1/customers", "while-unwell", customer)
	if a.status != http.StatusServiceUnavailable || a.body["code"] != "unavailable" || a.body["field"] != "database" || a.body["value"] != string(cause) ||
		a.header.Get("Retry-After") == "" || !strings.Contains(fmt.Sprint(a.body["remedy"]), "Retry-After") {
		t.Errorf("a write while the database is %s: %d, Retry-After %q, %s", cause, a.status, a.header.Get("Retry-After"), a.raw)
	}
	ready := call(t, s, "GET", "/readyz", "", "")
	if ready.status != http.StatusServiceUnavailable || ready.body["value"] != string(cause) || ready.header.Get("Retry-After") == "" {
		t.Errorf("/readyz while the database is %s: %d %s", cause, ready.status, ready.raw)
	}
	if alive := call(t, s, "GET", "/healthz", "", ""); alive.status != http.StatusOK {
		t.Errorf("/healthz: %d: the process is well", alive.status)
	}
	if n := s.Database().Stats().Refused()[cause]; n == 0 {
		t.Errorf("refused transactions by cause: %v", s.Database().Stats().Refused())
	}
	metrics := call(t, s, "GET", "/metrics", "", "")
	if !strings.Contains(string(metrics.raw), `meridian_central_transactions_refused_total{cause="`+string(cause)+`"}`) {
		t.Errorf("the metrics do not name %s", cause)
	}
	alarmed(t, s, "database_unreachable", cause == store.Down)
	alarmed(t, s, "database_refuses_writes", cause != store.Down)
	// Regions are told by name, and ask again.
	var u *link.Unavailable
	if _, _, err := s.Services().Regions.Ingest(t.Context(), "north", ledger().All()); !errors.As(err, &u) || u.Reason != "database_"+string(cause) {
		t.Errorf("a region's batch is answered %v", err)
	}
}

// alarmed waits until an alarm is raised, or not.
func alarmed(t *testing.T, s *central.Server, name string, want bool) {
	t.Helper()
	line := fmt.Sprintf("\nmeridian_central_alarm{alarm=%q,severity=\"critical\"} %d\n", name, map[bool]int{true: 1}[want])
	for deadline := time.Now().Add(60 * time.Second); !strings.Contains(string(call(t, s, "GET", "/metrics", "", "").raw), line); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not exported within a minute: %s", line)
		}
	}
}

// ledger is a region's, long enough to need room.
func ledger() *storetest.Edge {
	e := storetest.NewEdge("north")
	e.Add(storetest.Epoch())
	for range regions.MaxBatch - 1 {
		e.Add(storetest.Usage("nobody", 1))
	}
	return e
}

// recovers waits until the centre says that it is ready, and then repeats the
// write that was refused.
func recovers(t *testing.T, s *central.Server) {
	t.Helper()
	var a answer
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if a = call(t, s, "POST", "/v1/customers", "while-unwell", customer); a.status == http.StatusCreated {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the write does not go through: %d %s", a.status, a.raw)
		}
	}
	if ready := call(t, s, "GET", "/readyz", "", ""); ready.status != http.StatusOK {
		t.Errorf("/readyz after it was mended: %d %s", ready.status, ready.raw)
	}
	alarmed(t, s, "database_unreachable", false)
	alarmed(t, s, "database_refuses_writes", false)
	again := call(t, s, "POST", "/v1/customers", "while-unwell", customer)
	if string(again.raw) != string(a.raw) {
		t.Errorf("the same key gives %s and %s", a.raw, again.raw)
	}
	ack, refused, err := s.Services().Regions.Ingest(t.Context(), "north", ledger().All())
	if err != nil || refused != nil || ack.Seq != regions.MaxBatch {
		t.Errorf("the region's batch: %+v, %v, %v", ack, refused, err)
	}
}

func withRegion(t *testing.T, url string) *central.Server {
	t.Helper()
	s := startServer(t, serverConfig(t, url))
	if a := call(t, s, "POST", "/v1/regions", "region", `{"name":"north"}`); a.status != http.StatusCreated {
		t.Fatalf("region: %d %s", a.status, a.raw)
	}
	return s
}

func TestDatabaseDown(t *testing.T) {
	proxy := testdb.NewProxy(t, testdb.New(t))
	s := withRegion(t, proxy.URL())
	proxy.Away(true)
	refuses(t, s, store.Down)
	if a := call(t, s, "GET", "/v1/regions", "", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("a read: %d %s", a.status, a.raw)
	}
	proxy.Away(false)
	recovers(t, s)
}

// A restarted server has closed every connection of the pool: nobody is told.
func TestRestartedDatabaseCostsNoRequest(t *testing.T) {
	proxy := testdb.NewProxy(t, testdb.New(t))
	s := withRegion(t, proxy.URL())
	for i := range 5 {
		proxy.Cut()
		if a := call(t, s, "POST", "/v1/customers", fmt.Sprint("k", i), customer); a.status != http.StatusCreated {
			t.Errorf("request %d: %d %s", i, a.status, a.raw)
		}
	}
}

// A connection that is lost in the middle of a transaction: nothing took effect,
// and the caller is told to repeat.
func TestConnectionLostBeforeTheCommit(t *testing.T) {
	proxy := testdb.NewProxy(t, testdb.New(t))
	db := open(t, proxy.URL(), failing())
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := db.Do(t.Context(), "test", func(ctx context.Context, tx store.Tx) error {
		if err := db.Feed(tx).CreateHead(ctx, "a"); err != nil {
			return err
		}
		proxy.Cut()
		return db.Feed(tx).CreateHead(ctx, "b")
	})
	if !errors.Is(err, store.ErrUnavailable) || store.CauseOf(err) != store.Down {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"a", "b"} {
		if err := createHead(db, name); err != nil {
			t.Errorf("%s after that: %v", name, err)
		}
	}
}

func TestDatabaseReadOnly(t *testing.T) {
	dbURL := testdb.New(t)
	proxy := testdb.NewProxy(t, dbURL)
	s := withRegion(t, proxy.URL())
	u, err := url.Parse(dbURL)
	if err != nil {
		t.Fatal(err)
	}
	name := pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()
	q := u.Query()
	q.Set("default_transaction_read_only", "off") // this session may undo it
	u.RawQuery = q.Encode()
	execSQL(t, u.String(), "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	proxy.Cut() // it counts for new sessions
	refuses(t, s, store.ReadOnly)
	if a := call(t, s, "GET", "/v1/regions", "", ""); a.status != http.StatusOK {
		t.Errorf("a read: %d %s", a.status, a.raw)
	}
	execSQL(t, u.String(), "ALTER DATABASE "+name+" SET default_transaction_read_only = off")
	proxy.Cut()
	recovers(t, s)
}

// small mounts a file system of so many bytes.
func small(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("meridian-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", bytes)); err != nil {
		t.Fatalf("mount a small tmpfs on %s: %v: this test fills a disk of its own; run it as root (sudo -E make test), in a container with CAP_SYS_ADMIN", dir, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill takes all that is left of a disk; the returned function frees it again.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Error(err)
		}
	}
}

// TestDatabaseFull fills the disk of a PostgreSQL of its own.
func TestDatabaseFull(t *testing.T) {
	disk := small(t, 192<<20)
	cfg := embedded.DefaultConfig()
	cfg.Dir, cfg.Prefer, cfg.NoSync = filepath.Join(disk, "store"), embedded.Postgres, true
	server, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	s := withRegion(t, server.URL())
	empty := fill(t, disk)
	full := false
	for i := 0; !full; i++ { // what is left in the tables' last pages
		a := call(t, s, "POST", "/v1/customers", fmt.Sprint("k", i), customer)
		full = a.status == http.StatusServiceUnavailable
		if !full && a.status != http.StatusCreated || i > 5000 {
			t.Fatalf("write %d on a full disk: %d %s", i, a.status, a.raw)
		}
	}
	refuses(t, s, store.Full)
	if a := call(t, s, "GET", "/v1/regions", "", ""); a.status != http.StatusOK {
		t.Errorf("a read: %d %s", a.status, a.raw)
	}
	empty()
	recovers(t, s)
}
