package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meridian/central"
	"meridian/central/access"
	"meridian/central/api"
	"meridian/central/catalog"
	"meridian/central/feed"
	"meridian/central/store"
	"meridian/internal/sim/memstore"
	"meridian/replication/link"
	"meridian/replication/seal"
)

const (
	adminToken   = "admin-token-of-enough-letters"
	clerkToken   = "clerk-token-of-enough-letters"
	auditorToken = "auditor-token-of-enough-letters"
)

const offering = `
id: prepaid
name: Prepaid by volume
currency: EUR
service: internet
usage: [{name: usage, unit: bytes, rates: [{price: 1.00 per GB}]}]
profile: {session_limit: 1, interim: 60s, up: 10Mbit, down: 50Mbit}
reservation: {quota: 10MB, ttl: 180s}
overrun: owed
`

type client struct {
	t    *testing.T
	api  *api.API
	log  *bytes.Buffer
	keys atomic.Int64
	fail atomic.Pointer[error]
	sv   *central.Services

	policy catalog.Config
}

// failing is a backend whose next transactions fail as told.
type failing struct {
	*memstore.Store
	fail *atomic.Pointer[error]
}

func (f failing) Do(ctx context.Context, op string, fn func(context.Context, store.Tx) error) error {
	if err := f.fail.Load(); err != nil {
		return *err
	}
	return f.Store.Do(ctx, op, fn)
}

// each runs a test twice: the second time each transaction's first commit fails.
func each(t *testing.T, test func(*testing.T, *client)) {
	t.Run("plain", func(t *testing.T) { test(t, newClient(t, memstore.New())) })
	t.Run("first commits fail", func(t *testing.T) { test(t, newClient(t, memstore.NewFailingFirstCommits())) })
}

func newClient(t *testing.T, s *memstore.Store) *client {
	t.Helper()
	return newClientWith(t, s, catalog.Config{})
}

func newClientWith(t *testing.T, s *memstore.Store, policy catalog.Config) *client {
	t.Helper()
	c := &client{t: t, log: &bytes.Buffer{}, policy: policy}
	b := failing{s, &c.fail}
	key := seal.Key{ID: 1, Bytes: [32]byte{1}}
	ring, err := seal.NewRing([]seal.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	var ids atomic.Int64
	sv := central.NewServices(b, central.Deps{Catalog: c.policy, Now: time.Now, NewID: func() string { return fmt.Sprintf("id-%d", ids.Add(1)) },
		Sealer: central.Rings{"north": ring}, Feed: feed.DefaultConfig()})
	c.sv = sv
	c.api = api.New(api.Deps{Runner: b, Explain: sv.Explain, Access: sv.Access, Approvals: sv.Approvals, Rerating: sv.Rerating, Usage: sv.Usage, Accounts: sv.Accounts, Catalog: sv.Catalog, Orders: sv.Orders, Payments: sv.Payments,
		Registry: sv.Registry, Regions: sv.Regions, Statement: sv.Statement, AccountRows: b.Accounts, BucketRows: b.Buckets,
		OrderRows: b.Orders, LedgerRows: b.Ledger, FeedRows: b.Feed, Ready: func(context.Context) error { return nil }, Log: slog.New(slog.NewTextHandler(c.log, nil))})
	if err := sv.Access.Bootstrap(t.Context(), "root", access.HashToken(adminToken)); err != nil {
		t.Fatal(err)
	}
	c.post(201, "/v1/operators", adminToken, `{"login":"clerk","role":"operator","token":"`+clerkToken+`"}`)
	c.post(201, "/v1/operators", adminToken, `{"login":"eve","role":"auditor","token":"`+auditorToken+`"}`)
	return c
}

func (c *client) call(method, path, token, key, body string) (int, map[string]any, http.Header) {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "192.0.2.7:4711"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	c.api.ServeHTTP(w, r)
	raw, err := io.ReadAll(w.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		c.t.Fatalf("%s %s: %d, body %q is not JSON", method, path, w.Code, raw)
	}
	return w.Code, out, w.Header()
}

func (c *client) post(want int, path, token, body string) map[string]any {
	c.t.Helper()
	status, out, _ := c.call("POST", path, token, fmt.Sprint("key-", c.keys.Add(1)), body)
	if status != want {
		c.t.Fatalf("POST %s: status %d, want %d: %v", path, status, want, out)
	}
	return out
}

func (c *client) get(want int, path string) map[string]any {
	c.t.Helper()
	status, out, _ := c.call("GET", path, auditorToken, "", "")
	if status != want {
		c.t.Fatalf("GET %s: status %d, want %d: %v", path, status, want, out)
	}
	return out
}

// world sells to one subscriber.
func (c *client) world() {
	c.t.Helper()
	c.post(201, "/v1/regions", adminToken, `{"name":"north"}`)
	c.post(201, "/v1/offerings", adminToken, offering)
	c.post(201, "/v1/customers", clerkToken, `{"id":"c1","kind":"individual","name":"Ann"}`)
	c.post(201, "/v1/accounts", clerkToken, `{"id":"a1","customer":"c1","currency":"EUR"}`)
	c.post(201, "/v1/subscriptions", clerkToken, `{"id":"s1","account":"a1","home":"north","login":"ann","password":"pw-of-ann","offering":"prepaid"}`)
	c.post(201, "/v1/nas", clerkToken, `{"id":"n1","region":"north","address":"127.0.2.1","vendor":"generic","secret":"nas-secret-word"}`)
}

func TestStory(t *testing.T) { each(t, testStory) }

func testStory(t *testing.T, c *client) {
	c.world()
	paid := c.post(201, "/v1/deposits", clerkToken, `{"account":"a1","amount":"25.00","currency":"EUR","method":"bank","reference":"r1"}`)
	if paid["amount"] != "25.00" || paid["id"] == "" {
		t.Errorf("deposit answered %v", paid)
	}
	account := c.get(200, "/v1/accounts/a1")
	bucket := account["buckets"].([]any)[0].(map[string]any)
	if bucket["credited"] != 25e6 || bucket["leases"].([]any)[0].(map[string]any)["granted"] != 25e6 {
		t.Errorf("account is %v", account)
	}
	if s := c.get(200, "/v1/accounts/a1/statement"); s["closing"] != "25.00" || len(s["lines"].([]any)) != 1 {
		t.Errorf("statement is %v", s)
	}
	order := c.post(201, "/v1/orders", clerkToken, `{"subscription":"s1","action":"debit","amount":"1.50","reason":"letter"}`)
	if got := c.get(200, "/v1/orders/"+order["id"].(string)); got["status"] != "open" || got["amount"] != "1.50" {
		t.Errorf("order is %v", got)
	}
	if s := c.get(200, "/v1/subscriptions/s1"); s["login"] != "ann" || s["password"] != nil {
		t.Errorf("subscription is %v", s)
	}
	if p := c.post(201, "/v1/subscriptions/password", clerkToken, `{"subscription":"s1","password":"pw-of-ann-anew"}`); p["version"] != 2. || p["password"] != nil {
		t.Errorf("the new password's answer is %v", p)
	}
	for range 2 { // what was sold, and then nothing
		if _, err := c.sv.Sequencer.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.sv.Regions.Health(t.Context(), "north", link.Health{Mode: "degraded"})
	r := c.get(200, "/v1/regions")["regions"].([]any)[0].(map[string]any)
	// The operators of newClient come before the region, and with it: 3, an
	// offering, two leases, a subscription, a NAS, an order and a new password.
	if r["feed_last"] != 10. || r["seq"] != 0. || r["backlog_entries"] != 0. || r["mode"] != "degraded" {
		t.Errorf("region is %v", r)
	}
	if o := c.get(200, "/v1/offerings"); len(o["offerings"].([]any)) != 1 {
		t.Errorf("offerings are %v", o)
	}
	if v := c.get(200, "/v1/reviews"); len(v["reviews"].([]any)) != 0 {
		t.Errorf("reviews are %v", v)
	}
	audit, err := json.Marshal(c.get(200, "/v1/audit"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"POST /v1/deposits"`, `"192.0.2.7"`, `"clerk"`, `"subscription/s1"`, `"barred":false`, `"version":2`} {
		if !bytes.Contains(audit, []byte(want)) {
			t.Errorf("the audit log lacks %s: %s", want, audit)
		}
	}
	for _, secret := range []string{"pw-of-ann", "nas-secret-word", clerkToken} {
		if bytes.Contains(audit, []byte(secret)) || bytes.Contains(c.log.Bytes(), []byte(secret)) {
			t.Errorf("%q is in the audit log or the server's log", secret)
		}
	}
}

func TestWhoMayCall(t *testing.T) { each(t, testWhoMayCall) }

func testWhoMayCall(t *testing.T, c *client) {
	c.world()
	const deposit = `{"account":"a1","amount":"1.00","currency":"EUR","method":"bank"}`
	for _, x := range []struct {
		name, method, path, token, key, body string
		status                               int
		code                                 string
	}{
		{"no token", "POST", "/v1/deposits", "", "k", deposit, 401, "unauthenticated"},
		{"wrong token", "POST", "/v1/deposits", "x" + clerkToken, "k", deposit, 401, "unauthenticated"},
		{"no token, read", "GET", "/v1/accounts/a1", "", "", "", 401, "unauthenticated"},
		{"auditor writes", "POST", "/v1/deposits", auditorToken, "k", deposit, 403, "forbidden"},
		{"clerk makes a region", "POST", "/v1/regions", clerkToken, "k", `{"name":"west"}`, 403, "forbidden"},
		{"clerk publishes", "POST", "/v1/offerings", clerkToken, "k", offering, 403, "forbidden"},
		{"clerk makes an operator", "POST", "/v1/operators", clerkToken, "k", `{}`, 403, "forbidden"},
		{"no key", "POST", "/v1/deposits", clerkToken, "", deposit, 400, "invalid"},
		{"key with a space", "POST", "/v1/deposits", clerkToken, "a b", deposit, 400, "invalid"},
		{"not JSON", "POST", "/v1/deposits", clerkToken, "k", "{", 400, "invalid"},
		{"unknown field", "POST", "/v1/deposits", clerkToken, "k", `{"acount":"a1"}`, 400, "invalid"},
		{"two objects", "POST", "/v1/deposits", clerkToken, "k", deposit + deposit, 400, "invalid"},
		{"amount as a number", "POST", "/v1/deposits", clerkToken, "k", `{"account":"a1","amount":1,"currency":"EUR","method":"bank"}`, 400, "invalid"},
		{"amount of seven places", "POST", "/v1/deposits", clerkToken, "k", `{"account":"a1","amount":"1.0000001","currency":"EUR","method":"bank"}`, 400, "invalid"},
		{"too large", "POST", "/v1/deposits", clerkToken, "k", `{"account":"` + strings.Repeat("a", api.MaxBody) + `"}`, 413, "too_large"},
		{"unknown account", "POST", "/v1/deposits", clerkToken, "k", strings.Replace(deposit, "a1", "zz", 1), 404, "not_found"},
		{"taken login", "POST", "/v1/subscriptions", clerkToken, "k", `{"account":"a1","home":"north","login":"ann","password":"p","offering":"prepaid"}`, 409, "exists"},
		{"no such path", "GET", "/v2/accounts", auditorToken, "", "", 404, "not_found"},
		{"wrong period", "GET", "/v1/accounts/a1/statement?from=yesterday", auditorToken, "", "", 400, "invalid"},
		{"wrong limit", "GET", "/v1/audit?limit=9999", auditorToken, "", "", 400, "invalid"},
	} {
		status, out, header := c.call(x.method, x.path, x.token, x.key, x.body)
		if status != x.status || out["code"] != x.code || out["message"] == "" || out["remedy"] == "" {
			t.Errorf("%s: %d %v, want %d %s with message and remedy", x.name, status, out, x.status, x.code)
		}
		if status == 401 && header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: no WWW-Authenticate", x.name)
		}
	}
	if b := c.get(200, "/v1/accounts/a1")["buckets"].([]any)[0].(map[string]any); b["credited"] != 0.0 {
		t.Errorf("a refused call credited the account: %v", b)
	}
}

func TestIdempotencyKey(t *testing.T) { each(t, testIdempotencyKey) }

func testIdempotencyKey(t *testing.T, c *client) {
	c.world()
	const body = `{"account":"a1","amount":"2.00","currency":"EUR","method":"bank"}`
	var wg sync.WaitGroup
	ids := make(chan any, 8)
	for range 8 {
		wg.Go(func() {
			status, out, _ := c.call("POST", "/v1/deposits", clerkToken, "same", body)
			if status != 201 {
				t.Errorf("status %d: %v", status, out)
			}
			ids <- out["id"]
		})
	}
	wg.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("answers %v and %v", first, id)
		}
	}
	if status, out, _ := c.call("POST", "/v1/deposits", clerkToken, "same", strings.Replace(body, "2.00", "3.00", 1)); status != 409 || out["code"] != "conflict" {
		t.Errorf("the key with another body: %d %v", status, out)
	}
	if status, _, _ := c.call("POST", "/v1/deposits", adminToken, "same", body); status != 201 {
		t.Errorf("another operator's key of the same name: %d", status)
	}
	if b := c.get(200, "/v1/accounts/a1")["buckets"].([]any)[0].(map[string]any); b["credited"] != 4e6 {
		t.Errorf("credited %v, want two deposits", b["credited"])
	}
	if n := c.api.Stats().Replayed.Load(); n != 7 {
		t.Errorf("%d answers were replayed, want 7", n)
	}
}

func TestImport(t *testing.T) { each(t, testImport) }

func testImport(t *testing.T, c *client) {
	c.world()
	line := func(n int) string {
		return fmt.Sprintf(`{"name":"User %d","currency":"EUR","home":"north","login":"u%d","password":"pw","offering":"prepaid","deposit":"5.00"}`, n, n)
	}
	got := c.post(201, "/v1/subscribers", clerkToken, `{"subscribers":[`+line(1)+","+line(2)+`]}`)
	list := got["subscribers"].([]any)
	if len(list) != 2 || list[1].(map[string]any)["payment"] == "" {
		t.Fatalf("import answered %v", got)
	}
	id := list[1].(map[string]any)["account"].(string)
	if b := c.get(200, "/v1/accounts/"+id)["buckets"].([]any)[0].(map[string]any); b["credited"] != 5e6 {
		t.Errorf("account of the second is %v", b)
	}
	// All or none, and every fault is told.
	status, out, _ := c.call("POST", "/v1/subscribers", clerkToken, "bad", `{"subscribers":[`+line(3)+","+line(1)+","+line(2)+`]}`)
	if status != 409 || len(out["faults"].([]any)) != 2 || out["field"] != "[1].login" {
		t.Errorf("two taken logins: %d %v", status, out)
	}
	c.post(201, "/v1/subscribers", clerkToken, `{"subscribers":[`+line(3)+`]}`)
	lines := make([]string, api.MaxImport+1)
	for i := range lines {
		lines[i] = line(100 + i)
	}
	c.post(413, "/v1/subscribers", clerkToken, `{"subscribers":[`+strings.Join(lines, ",")+`]}`)
}

// Internals stay inside, whatever goes wrong.
func TestServerFaults(t *testing.T) { each(t, testServerFaults) }

func testServerFaults(t *testing.T, c *client) {
	c.world()
	for _, x := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("pq: password of user meridian at 10.1.2.3"), 500, "internal"},
		{fmt.Errorf("dial 10.1.2.3: %w", store.ErrUnavailable), 503, "unavailable"},
		{&store.UnknownOutcomeError{Op: "x", Err: errors.New("10.1.2.3")}, 503, "unavailable"},
	} {
		c.fail.Store(&x.err)
		status, out, header := c.call("POST", "/v1/customers", clerkToken, "k", `{"kind":"individual","name":"X"}`)
		c.fail.Store(nil)
		text, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if status != x.status || out["code"] != x.code || bytes.Contains(text, []byte("10.1.2.3")) {
			t.Errorf("%v: %d %s", x.err, status, text)
		}
		if (status == 503) != (header.Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After is %q", x.err, header.Get("Retry-After"))
		}
	}
	c.post(201, "/v1/customers", clerkToken, `{"kind":"individual","name":"X"}`)
}

func TestHealth(t *testing.T) { each(t, testHealth) }

func testHealth(t *testing.T, c *client) {
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, _, _ := c.call("GET", path, "", "", ""); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
	c.api.Ready = func(context.Context) error { return store.ErrUnavailable }
	if status, out, _ := c.call("GET", "/readyz", "", "", ""); status != 503 || out["code"] != "unavailable" {
		t.Errorf("without a database: %d %v", status, out)
	}
}
