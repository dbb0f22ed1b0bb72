package cockroach_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"meridian/central"
	"meridian/central/access"
	"meridian/central/api"
	"meridian/central/cockroach"
	"meridian/central/cockroach/testdb"
	"meridian/central/rerating"
	"meridian/central/store"
	"meridian/central/store/storetest"
	"meridian/internal/journal"
	"meridian/internal/rating"
	"meridian/internal/verify"
	"meridian/ops/metrics"
	"meridian/replication/identity"
	"meridian/replication/link"
	"meridian/replication/seal"
)

const adminToken = "the-admin-token-of-these-tests"

// serverConfig is a centre server on a database, in which each transaction's first
// commit fails.
func serverConfig(t *testing.T, url string) central.Config {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := ca.Issue(identity.Centre(), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := bundle.TLS(identity.AnyRegion())
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "north.keys")
	if _, err := seal.Generate(keys); err != nil {
		t.Fatal(err)
	}
	hash := access.HashToken(adminToken)
	cfg := central.DefaultConfig()
	cfg.Cluster = "test"
	cfg.Database.BeforeCommit = cockroach.FailFirstCommit
	cfg.StoreURL, cfg.HTTPListen, cfg.LinkListen, cfg.LinkTLS = url, "127.0.0.1:0", "127.0.0.1:0", tlsConfig
	cfg.RegionKeys = map[string]string{"north": keys}
	cfg.BootstrapTokenHash = hex.EncodeToString(hash[:])
	cfg.Catalog.LeadTime = 0
	cfg.Logger = slog.New(slog.DiscardHandler)
	if cfg.Registry, err = metrics.NewRegistry(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func startServer(t *testing.T, cfg central.Config) *central.Server {
	t.Helper()
	s, err := central.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// answer is what a call got.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    []byte
}

func call(t *testing.T, s *central.Server, method, path, key, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.HTTPAddr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: buf.Bytes()}
	if err := json.Unmarshal(a.raw, &a.body); err != nil && method != "GET" {
		t.Fatalf("%s %s: %d, %q is not JSON", method, path, a.status, a.raw)
	}
	return a
}

// writes are one of every kind that the API has, in an order that works.
func writes() []struct{ path, body string } {
	return []struct{ path, body string }{
		{"/v1/regions", `{"name":"north"}`},
		{"/v1/operators", `{"login":"clerk","role":"operator","token":"a-token-of-enough-letters"}`},
		{"/v1/offerings", `{"id":"prepaid","name":"P","currency":"EUR","service":"internet","usage":[{"name":"usage","unit":"bytes","rates":[{"price":"1.00 per GB"}]}],
			"profile":{"session_limit":1,"interim":"60s"},"reservation":{"quota":"10MB","ttl":"180s"},"overrun":"owed"}`},
		{"/v1/customers", `{"id":"c1","kind":"individual","name":"Ann"}`},
		{"/v1/accounts", `{"id":"a1","customer":"c1","currency":"EUR"}`},
		{"/v1/subscriptions", `{"id":"s1","account":"a1","home":"north","login":"ann","password":"pw","offering":"prepaid"}`},
		{"/v1/nas", `{"id":"n1","region":"north","address":"127.0.2.1","vendor":"generic","secret":"nas-secret-word"}`},
		{"/v1/deposits", `{"account":"a1","amount":"25.00","currency":"EUR","method":"bank"}`},
		{"/v1/chargebacks", `{"payment":"pay1","amount":"5.00","reason":"card company"}`},
		{"/v1/orders", `{"subscription":"s1","action":"debit","amount":"1.50","reason":"letter"}`},
		{"/v1/subscriptions/password", `{"subscription":"s1","password":"another-pw"}`},
		{"/v1/proposals/decide", `{"id":"p1","outcome":"approved"}`},
		{"/v1/tables?id=world", "zone,prefix\nhome,+49\n"},
		{"/v1/rerate", `{"offering":"prepaid","version":1,"corrected":2,"to":"2030-01-01T00:00:00Z","undercharge":"waive","propose":true}`},
		{"/v1/rerate", `{"run":"run1"}`}, // of a usage record that costs something: see prepare
		{"/v1/regions/release", `{"region":"north","reason":"the node was rebuilt"}`},
		{"/v1/regions/close", `{"region":"north","reason":"it burnt down"}`},
		{"/v1/regions/new-epoch", `{"region":"north","heir":"new","reason":"the site was built again"}`},
		{"/v1/regions/release-suspense", `{"region":"gone","epoch":1,"reason":"no disk of it was found"}`},
		{"/v1/subscribers", `{"subscribers":[{"customer_id":"c2","account_id":"a2","subscription_id":"s2","name":"U","currency":"EUR","home":"north","login":"u","password":"pw","offering":"prepaid","deposit":"9.00"}]}`},
	}
}

// prepare makes what a write needs that no write of these makes: a region on hold,
// as by a head that contradicts its ledger; another operator's proposal.
func prepare(t *testing.T, url, path string) {
	t.Helper()
	sql := map[string]string{
		"/v1/chargebacks": `UPDATE payments SET id = 'pay1' WHERE at_us < $1`,
		"/v1/rerate": `INSERT INTO offerings (id, version, valid_from, body, hash, published_at)
			SELECT id, 2, valid_from, replace(body, '"version":1', '"version":2'), hash, $1 FROM offerings WHERE id = 'prepaid' AND version = 1 ON CONFLICT DO NOTHING`,
		"/v1/regions/release":          `INSERT INTO region_holds (region, at_us, node, reason) VALUES ('north', $1, 'north-2', 'a head contradicts')`,
		"/v1/regions/release-suspense": `INSERT INTO epoch_closings (region, epoch, seq, closed_at, reason, released_at, release_reason) VALUES ('gone', 1, 0, $1, 'x', 0, '')`,
		"/v1/proposals/decide": `INSERT INTO proposals (id, action, body, says, reason, proposer, proposed_by, proposed_at, decider, decided_by, decided_at, outcome)
			VALUES ('p1', 'publish', '{"id":"gift","name":"G","currency":"EUR","service":"internet","recurring":[{"name":"fee","price":"0","every":"30 days"}],
			"profile":{"session_limit":1,"interim":"60s"},"overrun":"owed"}', '[]', '', 'someone', 'someone', $1, '', '', 0, '')`,
	}[path]
	if sql == "" {
		return
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql, time.Now().UnixMicro()); err != nil {
		t.Fatal(err)
	}
	if path == "/v1/rerate" {
		prepareRun(t, conn)
	}
}

// prepareRun approves run1, which prices again a usage record that nothing has paid.
func prepareRun(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	var hash []byte
	if err := conn.QueryRow(t.Context(), `SELECT hash FROM offerings WHERE id = 'prepaid' AND version = 1`).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	e := journal.Entry{Region: "north", Epoch: 1, Seq: 1, At: 1_800_000_000_000_000, Kind: journal.KindUsage, Account: "a1", Subscription: "s1", Session: journal.SessionKey{NAS: "n1", ID: "x", Start: 5}, Cut: 1,
		Usage: &journal.UsageRecord{Number: 1, InOctets: 3e9, CumulativeIn: 3e9, Service: "internet", Offering: "prepaid", OfferingVersion: 1, TariffHash: [32]byte(hash),
			Slices: []rating.Slice{{Rule: "prepaid@1/usage", Quantity: 3e9, Amount: 3_000_000}}}}
	raw := e.Encode()
	chained := journal.Chain(journal.Hash{}, raw)
	if _, err := conn.Exec(t.Context(), `INSERT INTO ledger_entries (region, epoch, seq, raw, hash, kind, account, subscription, bucket, unit, amount, at_us, session, cut, ref, suspense)
		VALUES ('north', 1, 1, $1, $2, $3, 'a1', 's1', '', '', 0, $4, $5, 1, '', FALSE) ON CONFLICT DO NOTHING`, raw, chained[:], int16(e.Kind), e.At, e.Session.String()); err != nil {
		t.Fatal(err)
	}
	request, err := json.Marshal(rerating.Request{Offering: "prepaid", Version: 1, Corrected: 2, To: e.At + 1, Undercharge: rerating.Waive})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `INSERT INTO proposals (id, action, body, says, reason, proposer, proposed_by, proposed_at, decider, decided_by, decided_at, outcome)
		VALUES ('run1', 'rerate', $1, '[]', '', 'someone', 'someone', 5, 'other', 'other', 6, 'approved') ON CONFLICT DO NOTHING`, string(request)); err != nil {
		t.Fatal(err)
	}
}

// count is how many rows each table of a database has.
func count(t *testing.T, url string) map[string]int64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	// All tables at one moment: the sequencer moves rows from one to another.
	tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly})
	if err != nil {
		t.Fatal(err)
	}
	found, err := tx.Query(t.Context(), `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, table := range tables {
		var n int64
		if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n); err != nil {
			t.Fatal(err)
		}
		out[table] = n
	}
	// A change is pending or numbered: which of the two is the sequencer's pace.
	out["feed_rows"], out["feed_pending"] = out["feed_rows"]+out["feed_pending"], 0
	delete(out, "ledger_balances") // whose slot a payment adds to hangs on its id
	return out
}

// TestUnknownOutcomeOfEveryWrite: the connection is lost at the COMMIT of every
// kind of write that the API has, before the COMMIT reaches the server or after
// it took effect. The caller is told that nobody knows; the same key gives the
// answer, and everything is there once.
func TestUnknownOutcomeOfEveryWrite(t *testing.T) {
	var paths []string
	for _, w := range writes() {
		path, _, _ := strings.Cut(w.path, "?")
		paths = append(paths, path)
	}
	for _, path := range api.New(api.Deps{}).Writes() {
		if !slices.Contains(paths, path) {
			t.Errorf("%s changes something and has no case here: add one to writes", path)
		}
	}
	plainURL := testdb.New(t)
	plain := startServer(t, serverConfig(t, plainURL))
	for i, w := range writes() {
		prepare(t, plainURL, w.path)
		if a := call(t, plain, "POST", w.path, fmt.Sprint("key-", i), w.body); a.status != http.StatusCreated {
			t.Fatalf("%s without a fault: %d %s", w.path, a.status, a.raw)
		}
	}
	want := count(t, plainURL)
	if want["corrections"] != 1 {
		t.Errorf("the approved run made %d corrections", want["corrections"])
	}
	for at, name := range map[testdb.Break]string{testdb.BeforeCommit: "before the server saw it", testdb.AfterCommit: "after it took effect"} {
		t.Run(name, func(t *testing.T) {
			url := testdb.New(t)
			proxy := testdb.NewProxy(t, url)
			cfg := serverConfig(t, proxy.URL())
			cfg.Database.BeforeCommit = nil // the proxy arms by the first transaction that has the row
			s := startServer(t, cfg)
			for i, w := range writes() {
				key := fmt.Sprint("key-", i)
				prepare(t, url, w.path)
				proxy.BreakCommit(at, "INSERT INTO idempotency")
				lost := call(t, s, "POST", w.path, key, w.body)
				if proxy.Fired() != i+1 {
					t.Fatalf("%s: %d commits were broken, want %d", w.path, proxy.Fired(), i+1)
				}
				if lost.status != http.StatusServiceUnavailable || lost.body["code"] != "unavailable" || lost.header.Get("Retry-After") == "" ||
					!strings.Contains(fmt.Sprint(lost.body["message"]), "not known") || !strings.Contains(fmt.Sprint(lost.body["remedy"]), "same Idempotency-Key") {
					t.Errorf("%s with its outcome unknown: %d %s", w.path, lost.status, lost.raw)
				}
				first, again := call(t, s, "POST", w.path, key, w.body), call(t, s, "POST", w.path, key, w.body)
				if first.status != http.StatusCreated || !bytes.Equal(first.raw, again.raw) || again.status != http.StatusCreated {
					t.Errorf("%s with the same key: %d %s, then %d %s", w.path, first.status, first.raw, again.status, again.raw)
				}
			}
			if got := count(t, url); !maps.Equal(got, want) {
				t.Errorf("rows by table:\n%v, want as without a fault\n%v", got, want)
			}
			if n := s.Database().Stats().Unknown.Load(); n != uint64(len(writes())) {
				t.Errorf("%d unknown outcomes were counted", n)
			}
			if st := call(t, s, "GET", "/v1/accounts/a1/statement", "", ""); st.body["closing"] != "20.00" {
				t.Errorf("statement closes at %v", st.body["closing"])
			}
		})
	}
}

// TestEveryWriteWithFailingCommits: the first COMMIT of every transaction of a server
// fails with 40001, those of its sequencer and registry included. Every write is
// answered as without, and leaves the same.
func TestEveryWriteWithFailingCommits(t *testing.T) {
	var want map[string]int64
	for _, failing := range []bool{false, true} {
		url := testdb.New(t)
		cfg := serverConfig(t, url)
		if !failing {
			cfg.Database.BeforeCommit = nil
		}
		s := startServer(t, cfg)
		for i, w := range writes() {
			prepare(t, url, w.path)
			if a := call(t, s, "POST", w.path, fmt.Sprint("key-", i), w.body); a.status != http.StatusCreated {
				t.Errorf("%s, failing first commits %t: %d %s", w.path, failing, a.status, a.raw)
			}
		}
		got := count(t, url)
		if want == nil {
			want = got
		}
		if !maps.Equal(got, want) {
			t.Errorf("rows by table:\n%v, want as without a fault\n%v", got, want)
		}
		if n := s.Database().Stats().Retries.Load(); failing && n < uint64(len(writes())) {
			t.Errorf("%d retries of %d writes", n, len(writes()))
		}
	}
}

// TestUnknownOutcomeOfTheLink: what regions and the sequencer write has no key;
// cursors, totals and the feed's head resolve it.
func TestUnknownOutcomeOfTheLink(t *testing.T) {
	for at, name := range map[testdb.Break]string{testdb.BeforeCommit: "before the server saw it", testdb.AfterCommit: "after it took effect"} {
		t.Run(name, func(t *testing.T) {
			var proxy *testdb.Proxy
			w := storetest.NewWorld(t, func(t *testing.T) (central.Backend, func() verify.CentreReader) {
				url := testdb.New(t)
				proxy = testdb.NewProxy(t, url)
				return opened(t, proxy.URL(), failing())
			})
			w.Subscriber("u1", "north")
			w.Deposit("u1", "k", 10_000_000)
			e := storetest.NewEdge("north")
			e.Add(storetest.Epoch(), storetest.Charge("u1", 4_000_000), storetest.Charge("u1", 1_000_000))
			steps := []struct {
				what, text string
				do         func() error
			}{
				{"a hello's term", "UPDATE epochs", func() error {
					_, refused, err := w.Regions.Hello(t.Context(), "north", link.Hello{Region: "north", Node: "n1", Epoch: 1, Term: 4})
					return errors.Join(err, asError(refused))
				}},
				{"a batch", "INSERT INTO ledger_entries", func() error {
					ack, refused, err := w.Regions.Ingest(t.Context(), "north", withTerm(e.All(), 4))
					if err == nil && refused == nil && ack.Seq != 3 {
						t.Errorf("acknowledged %d", ack.Seq)
					}
					return errors.Join(err, asError(refused))
				}},
				{"numbering the feed", "DELETE FROM feed_pending", func() error {
					_, err := w.Sequencer.Step(t.Context())
					return err
				}},
				{"a wanted total", "INSERT INTO leases", func() error {
					return w.Regions.Wanted(t.Context(), "north", link.Wanted{Items: []link.WantedItem{{Bucket: "a-u1/cash", Total: 12_000_000, Epoch: 1}}})
				}},
			}
			for i, step := range steps {
				proxy.BreakCommit(at, step.text)
				var unknown *store.UnknownOutcomeError
				if err := step.do(); !errors.As(err, &unknown) || proxy.Fired() != i+1 {
					t.Fatalf("%s: %v, %d commits broken", step.what, err, proxy.Fired())
				}
				if err := step.do(); err != nil {
					t.Fatalf("%s, a second time: %v", step.what, err)
				}
			}
			if n := w.Regions.Stats().Entries.Load(); at == testdb.BeforeCommit && n != 3 || at == testdb.AfterCommit && n != 0 {
				t.Errorf("%d entries were counted as new by the batch that was answered", n)
			}
			w.Drain()
			next := uint64(0)
			err := w.Reader().FeedRows(t.Context(), "north", func(number uint64, _, _ string, _ uint64) error {
				if next++; number != next {
					t.Errorf("feed row %d stands at %d", number, next)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			w.CheckBooks()
			if got := w.Bucket("u1").Leases[0].Totals; got.G != 10_000_000 || got.S != 5_000_000 {
				t.Errorf("lease after all: %+v", got)
			}
		})
	}
}

func withTerm(b link.Batch, term uint64) link.Batch {
	b.Term, b.Node = term, "n1"
	return b
}

// asError keeps a nil refusal from becoming an error.
func asError(r *link.Refused) error {
	if r == nil {
		return nil
	}
	return r
}
