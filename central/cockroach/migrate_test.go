package cockroach_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/central"
	"meridian/central/cockroach"
	"meridian/central/cockroach/testdb"
	"meridian/central/feed"
	"meridian/central/payments"
	"meridian/central/store/storetest"
	"meridian/internal/money"
	"meridian/internal/verify"
)

// next are the migrations of the version after this one: it adds to tables that
// are written all the time, as the rule of expand, backfill, contract wants it.
func next(t testing.TB) fs.FS {
	t.Helper()
	out := fstest.MapFS{
		"migrations/9001_payments_note.sql":      {Data: []byte("ALTER TABLE payments ADD COLUMN IF NOT EXISTS note TEXT NOT NULL DEFAULT ''")},
		"migrations/9002_payments_note.sql":      {Data: []byte("CREATE INDEX IF NOT EXISTS payments_note ON payments (account, note) WHERE note <> ''")},
		"migrations/9003_buckets_colour.sql":     {Data: []byte("ALTER TABLE buckets ADD COLUMN IF NOT EXISTS colour TEXT NOT NULL DEFAULT 'none'")},
		"migrations/9004_ledger_balances_at.sql": {Data: []byte("ALTER TABLE ledger_balances ADD COLUMN IF NOT EXISTS at_us INT8")},
		"migrations/9005_journals_at.sql":        {Data: []byte("CREATE INDEX IF NOT EXISTS journals_at ON journals (kind, at_us)")},
	}
	files, err := fs.Glob(cockroach.MigrationFiles(), "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		body, err := fs.ReadFile(cockroach.MigrationFiles(), f)
		if err != nil {
			t.Fatal(err)
		}
		out[f] = &fstest.MapFile{Data: body}
	}
	return out
}

// TestMigrationsRunWhileServersServe: two servers of this version take payments,
// one of the next version migrates under them and takes payments too. No payment
// fails, and the books are right.
func TestMigrationsRunWhileServersServe(t *testing.T) {
	url := testdb.New(t)
	w := storetest.NewWorld(t, func(t *testing.T) (central.Backend, func() verify.CentreReader) {
		return opened(t, url, cockroach.DefaultConfig())
	})
	const subscribers = 4
	for i := range subscribers {
		w.Subscriber(fmt.Sprint("u", i), "north")
	}
	var paid atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var servers sync.WaitGroup
	serve := func(db *cockroach.DB) *central.Services {
		sv := central.NewServices(db, central.Deps{Now: time.Now, NewID: rand.Text, Sealer: w.Rings, Feed: feed.DefaultConfig()})
		for i := range 2 {
			servers.Go(func() {
				for n := i; ctx.Err() == nil; n++ {
					_, err := sv.Payments.Deposit(context.WithoutCancel(ctx), payments.Deposit{Key: rand.Text(),
						Account: fmt.Sprint("a-u", n%subscribers), Amount: money.Micro, Currency: "EUR", Method: "bank"})
					if err != nil {
						t.Error(err)
						return
					}
					paid.Add(1)
				}
			})
		}
		return sv
	}
	flow := func(what string, n int64) {
		t.Helper()
		for from, deadline := paid.Load(), time.Now().Add(time.Minute); paid.Load() < from+n && !t.Failed(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("payments do not flow %s", what)
			}
		}
	}
	serve(open(t, url, failing()))
	serve(open(t, url, failing()))
	flow("before", 10)
	newer := open(t, url, failing())
	steps := 0
	err := newer.MigrateWith(t.Context(), next(t), time.Minute, func(string) { steps++; flow("between the steps", 5) })
	if err != nil || steps != 5 {
		t.Errorf("%d steps: %v", steps, err)
	}
	serve(newer)
	flow("after", 30)
	stop()
	servers.Wait()
	var sum int64
	for i := range subscribers {
		sum += w.Bucket(fmt.Sprint("u", i)).Credited
	}
	if sum != paid.Load()*money.Micro {
		t.Errorf("%d payments of 1 were taken, %d micro-units credited", paid.Load(), sum)
	}
	w.Drain()
	w.CheckBooks()
	// A server of this version starts beside the newer schema.
	if err := open(t, url, failing()).Migrate(t.Context()); err != nil {
		t.Errorf("this version on the newer schema: %v", err)
	}
}

// lease reads when the migrators' lease runs out.
func lease(t *testing.T, conn *pgx.Conn) (holder string, expires int64) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), `SELECT holder, expires_at FROM schema_lease WHERE id = 1`).Scan(&holder, &expires); err != nil {
		t.Fatal(err)
	}
	return holder, expires
}

// TestMigratorsAreKeptApart: one statement takes much longer than the lease lasts;
// the lease is kept, and nobody else gets in.
func TestMigratorsAreKeptApart(t *testing.T) {
	url := testdb.New(t)
	watch, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close(context.Background())
	const short = 2 * time.Second
	var inside, steps atomic.Int64
	once := sync.Once{}
	before := func(string) {
		if inside.Add(1) != 1 {
			t.Error("two migrators work at the same time")
		}
		steps.Add(1)
		once.Do(func() { // the first statement takes several leases
			for renewed, last := 0, int64(0); renewed < 6; time.Sleep(5 * time.Millisecond) {
				if _, now := lease(t, watch); now > last {
					renewed, last = renewed+1, now
				}
			}
		})
		inside.Add(-1)
	}
	var both sync.WaitGroup
	for range 2 {
		db := open(t, url, cockroach.DefaultConfig())
		both.Go(func() {
			if err := db.MigrateWith(t.Context(), cockroach.MigrationFiles(), short, before); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	files, err := fs.Glob(cockroach.MigrationFiles(), "migrations/*.sql")
	if err != nil || steps.Load() != int64(len(files)) {
		t.Errorf("%d steps for %d files, %v", steps.Load(), len(files), err)
	}
	if holder, expires := lease(t, watch); holder != "" || expires != 0 {
		t.Errorf("the lease is still held by %q", holder)
	}
}

// migratorURL and migratorStop tell this test's binary that it is the migrator
// that is going to be killed: which database, and at which file it stands still.
const migratorURL, migratorStop = "MERIDIAN_TEST_MIGRATOR_URL", "MERIDIAN_TEST_MIGRATOR_STOP"

const killedLease = 2 * time.Second

// migrateUntilKilled is the process that TestKilledMigratorIsTakenOver kills.
func migrateUntilKilled(url string) {
	db, err := cockroach.Open(context.Background(), url, cockroach.DefaultConfig())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	err = db.MigrateWith(context.Background(), cockroach.MigrationFiles(), killedLease, func(file string) {
		if path.Base(file) == os.Getenv(migratorStop) {
			fmt.Println("midway")
			select {} // the lease is kept meanwhile
		}
	})
	fmt.Println("ended", err)
	os.Exit(1)
}

// TestKilledMigratorIsTakenOver kills the process of a migrator in the middle of
// its work: another one goes on where it was, once the lease has run out.
func TestKilledMigratorIsTakenOver(t *testing.T) {
	url := testdb.New(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), migratorURL+"="+url, migratorStop+"=0012_regions.sql")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "midway" {
		t.Fatalf("the migrator says %q, %v", line, err)
	}
	db := open(t, url, cockroach.DefaultConfig())
	waiting, giveUp := context.WithTimeout(t.Context(), killedLease*3/2)
	defer giveUp()
	if err := db.MigrateWith(waiting, cockroach.MigrationFiles(), killedLease, func(f string) { t.Errorf("%s beside a living migrator", f) }); err == nil {
		t.Error("a second migrator was let in while the first lives")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it says that it was killed
	var first string
	if err := db.MigrateWith(t.Context(), cockroach.MigrationFiles(), killedLease, func(f string) {
		if first == "" {
			first = path.Base(f)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if first != "0012_regions.sql" {
		t.Errorf("the second migrator began at %s", first)
	}
	if err := createHead(db, "north"); err != nil {
		t.Error(err)
	}
}
