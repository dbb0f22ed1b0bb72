package central_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meridian/central"
	"meridian/central/access"
	"meridian/central/cockroach"
	"meridian/central/cockroach/testdb"
	"meridian/central/store/storetest"
	"meridian/internal/feed"
	"meridian/ops/metrics"
	"meridian/replication/identity"
	"meridian/replication/link"
	"meridian/replication/seal"
)

func TestMain(m *testing.M) { testdb.Main(m) }

const token = "the-admin-token-of-this-test"

// edge is a region's leader for the link: a ledger made beforehand, and a record
// of what came down.
type edge struct {
	*storetest.Edge
	mu    sync.Mutex
	acked uint64
	rows  []link.Row
	news  chan struct{}
	head  []byte // signed; sent once, then nil
}

func (e *edge) Hello() link.Hello {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := uint64(len(e.Raw))
	return link.Hello{Node: "n1", Epoch: 1, Term: 3, LastSeq: last, HeadHash: e.Hashes[last][:], AckedSeq: e.acked, FeedVersion: uint64(len(e.rows))}
}

func (e *edge) Entries(ctx context.Context, after uint64, most, _ int) (link.Batch, error) {
	last := uint64(len(e.Raw))
	if after >= last {
		<-ctx.Done()
		return link.Batch{}, ctx.Err()
	}
	return e.Batch(after+1, min(last, after+uint64(most))), nil
}

func (e *edge) Health() link.Health { return link.Health{Mode: "connected"} }

func (e *edge) Wanted(ctx context.Context) (link.Wanted, error) {
	<-ctx.Done()
	return link.Wanted{}, ctx.Err()
}

func (e *edge) Heads(ctx context.Context, _ int) ([][]byte, error) {
	if e.head == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	head := e.head
	e.head = nil
	return [][]byte{head}, nil
}

func (e *edge) note(fn func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fn()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

func (e *edge) Welcome(context.Context, link.Welcome) error { return nil }
func (e *edge) Acked(_ context.Context, a link.Ack) error {
	e.note(func() { e.acked = a.Seq })
	return nil
}
func (e *edge) Feed(_ context.Context, rows []link.Row) error {
	e.note(func() { e.rows = append(e.rows, rows...) })
	return nil
}
func (e *edge) Refused(r link.Refused) { panic(r.Error()) }

// until waits for a condition over what came down.
func (e *edge) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		e.mu.Lock()
		ok := cond()
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-e.news:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func bundle(t *testing.T, ca *identity.CA, id identity.ID) *identity.Bundle {
	t.Helper()
	b, err := ca.Issue(id, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func config(t *testing.T, url string, ca *identity.CA) central.Config {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "north.keys")
	if _, err := seal.Generate(keys); err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := bundle(t, ca, identity.Centre()).TLS(identity.AnyRegion())
	if err != nil {
		t.Fatal(err)
	}
	hash := access.HashToken(token)
	cfg := central.DefaultConfig()
	cfg.Catalog.LeadTime = 0
	cfg.Cluster = "test"
	cfg.StoreURL, cfg.HTTPListen, cfg.LinkListen, cfg.LinkTLS = url, "127.0.0.1:0", "127.0.0.1:0", tlsConfig
	cfg.RegionKeys = map[string]string{"north": keys}
	cfg.BootstrapTokenHash = hex.EncodeToString(hash[:])
	cfg.Logger = slog.New(slog.DiscardHandler)
	return cfg
}

func start(t *testing.T, cfg central.Config) *central.Server {
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

func post(t *testing.T, s *central.Server, path, body string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+s.HTTPAddr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Idempotency-Key", fmt.Sprintf("%x", body))
	if len(r.Header.Get("Idempotency-Key")) > 128 {
		r.Header.Set("Idempotency-Key", path)
	}
	return do(t, r, http.StatusCreated)
}

func do(t *testing.T, r *http.Request, want int) map[string]any {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != want {
		t.Fatalf("%s: %d %v, %v", r.URL.Path, resp.StatusCode, out, err)
	}
	return out
}

// A whole centre: sold through the API, fed down the link, settled from the link.
func TestServer(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testServer(t, nil) })
	t.Run("first commits fail", func(t *testing.T) { testServer(t, cockroach.FailFirstCommit) })
}

func testServer(t *testing.T, beforeCommit func(op string, attempt int) error) {
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	url := testdb.New(t)
	cfg := config(t, url, ca)
	cfg.Database.BeforeCommit = beforeCommit
	if cfg.Registry, err = metrics.NewRegistry(); err != nil {
		t.Fatal(err)
	}
	s := start(t, cfg)
	post(t, s, "/v1/regions", `{"name":"north"}`)
	post(t, s, "/v1/offerings", `{"id":"prepaid","name":"P","currency":"EUR","service":"internet","usage":[{"name":"usage","unit":"bytes","rates":[{"price":"1.00 per GB"}]}],
		"profile":{"session_limit":1,"interim":"60s"},"reservation":{"quota":"10MB","ttl":"180s"},"overrun":"owed"}`)
	post(t, s, "/v1/subscribers", `{"subscribers":[{"customer_id":"c-u","account_id":"a-u","subscription_id":"s-u","name":"U","currency":"EUR","home":"north","login":"u","password":"pw","offering":"prepaid","deposit":"9.00"}]}`)

	e := &edge{Edge: storetest.NewEdge("north"), news: make(chan struct{}, 1)}
	e.Add(storetest.Epoch())
	for range 30 {
		e.Add(storetest.Charge("u", 100_000))
	}
	clientTLS, err := bundle(t, ca, identity.Node("north", "n1")).TLS(identity.TheCentre())
	if err != nil {
		t.Fatal(err)
	}
	lc := link.DefaultClientConfig()
	lc.Cluster = "test"
	lc.Region, lc.Node, lc.Addresses, lc.TLS, lc.MaxEntries, lc.Logger = "north", "n1", []string{s.LinkAddr()}, clientTLS, 7, slog.New(slog.DiscardHandler)
	client, err := link.NewClient(lc, e, e)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = client.Run(ctx) }) // ends with ctx
	defer wg.Wait()
	defer cancel()

	e.until(t, "all entries acknowledged", func() bool { return e.acked == 31 })
	post(t, s, "/v1/deposits", `{"account":"a-u","amount":"1.00","currency":"EUR","method":"bank"}`)
	e.until(t, "the deposit's grant arrives", func() bool {
		for _, r := range e.rows {
			var l feed.Lease
			if r.EntityKind == string(feed.KindLease) && json.Unmarshal(r.Body, &l) == nil && l.Granted == 10_000_000 {
				return true
			}
		}
		return false
	})
	e.mu.Lock()
	for i, r := range e.rows {
		if r.Number != uint64(i+1) {
			t.Errorf("row %d has number %d", i, r.Number)
		}
	}
	e.mu.Unlock()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.HTTPAddr()+"/v1/accounts/a-u/statement", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if st := do(t, r, http.StatusOK); st["closing"] != "7.00" || st["charges"] != "3.00" || st["credits"] != "10.00" {
		t.Errorf("statement closes at %v after charges of %v", st["closing"], st["charges"])
	}
	if g := regionLink(t, s); g["connected"] != true || g["node"] != "n1" || g["cause"] != nil {
		t.Errorf("the region's link while it is up: %v", g)
	}
	scraped := scrape(t, s)
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(scraped, "feed_rows_total 6") && time.Now().Before(deadline); {
		scraped = scrape(t, s) // the sequencer counts after it has numbered
	}
	for _, want := range []string{"ingest_batches_total 5", "ingest_entries_total 31", "ingest_repeated_total 0", "ingest_suspended_total 0",
		`link_sessions{region="north"} 1`, "link_streams_total 1", "feed_failures_total 0", `http_requests_total{class="2xx"} 6`,
		`http_requests_total{class="4xx"} 0`, "transactions_unknown_total 0", "db_connections_max 16", `db_connections{state="idle"} `,
		"transactions_total ", "transaction_retries_total ", "transactions_given_up_total 0", "feed_rows_total 6"} {
		if !strings.Contains(scraped, "\nmeridian_central_"+want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	documented(t, cfg.Registry)
	cancel()
	for deadline := time.Now().Add(20 * time.Second); regionLink(t, s)["cause"] != "lost"; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the region's link after its leader has gone: %v", regionLink(t, s))
		}
	}
	s.Close()
	start(t, cfg) // the registry takes a server again after the one before it was closed
}

// documented compares what a server with a connected region exports with the list
// in ops/METRICS.md, which is made of what is described.
func documented(t *testing.T, reg *metrics.Registry) {
	t.Helper()
	const prefix = "meridian_central_"
	rows, err := metrics.List(reg, prefix)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("..", "ops", "METRICS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _, err := metrics.Section(string(text), prefix)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.Lines(table) {
		if strings.Contains(line, prefix) {
			lines[line] = true
		}
	}
	for _, r := range rows {
		line := strings.SplitAfterN(metrics.Table([]metrics.Row{r}), "\n", 3)[2]
		if !lines[line] {
			t.Errorf("exported and not documented so: %s", line)
		}
		delete(lines, line)
	}
	for line := range lines {
		// These have no value before a node has signed, or the database has refused.
		if !strings.Contains(line, "region_signed_") && !strings.Contains(line, "transactions_refused_total") {
			t.Errorf("documented and not exported: %s", line)
		}
	}
}

// regionLink is the link of the only region, as the API tells it.
func regionLink(t *testing.T, s *central.Server) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.HTTPAddr()+"/v1/regions", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	l, _ := do(t, r, http.StatusOK)["regions"].([]any)[0].(map[string]any)["link"].(map[string]any)
	return l
}

func scrape(t *testing.T, s *central.Server) string {
	t.Helper()
	resp, err := http.Get("http://" + s.HTTPAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %d, %v", resp.StatusCode, err)
	}
	return string(body)
}

func TestServerStartsTwiceAndStops(t *testing.T) {
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, testdb.New(t), ca)
	a, b := start(t, cfg), start(t, cfg) // two servers, one database
	post(t, a, "/v1/regions", `{"name":"north"}`)
	list, err := b.Services().Registry.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Errorf("the other server lists %v, %v", list, err)
	}
	a.Close()
	a.Close()
	if _, err := http.Get("http://" + a.HTTPAddr() + "/healthz"); err == nil {
		t.Error("a closed server answers")
	}
	cfg.HTTPListen = b.HTTPAddr()
	taken, err := central.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := taken.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "http_listen") {
		t.Errorf("an address in use: %v", err)
	}
}

func TestConfigFaults(t *testing.T) {
	cfg := central.DefaultConfig()
	cfg.HTTPListen, cfg.LinkListen, cfg.BootstrapTokenHash = "0.0.0.0:8080", "nowhere", "abc"
	cfg.RegionKeys = map[string]string{"North!": "/does/not/exist"}
	_, err := central.New(cfg)
	for _, want := range []string{"store_url", "Logger", "http_listen", "link_listen", "cert_file", "bootstrap_token_hash", "North!", "/does/not/exist"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no fault about %s in %v", want, err)
		}
	}
}
