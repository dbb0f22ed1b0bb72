package central_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"meridian/central/cockroach/testdb"
	"meridian/central/store/storetest"
	"meridian/replication/identity"
	"meridian/replication/link"
)

// line is how a region's leader reaches the centre's servers; one of them can be
// lost to it for good.
type line struct {
	mu    sync.Mutex
	lost  string
	conns map[string][]net.Conn
}

func (l *line) dial(ctx context.Context, addr string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if addr == l.lost {
		return nil, errors.New("the server is gone")
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err == nil {
		l.conns[addr] = append(l.conns[addr], c)
	}
	return c, err
}

func (l *line) lose(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = addr
	for _, c := range l.conns[addr] {
		_ = c.Close() // the region hears nothing more of that server
	}
}

// A region's link goes over to another server of the same database in the middle of
// its upload, while the first server's transaction is about to commit: whether that
// still commits or never does, every entry is in the books once.
func TestLinkMovesBetweenServersOfOneDatabase(t *testing.T) {
	t.Run("the batch on the way is committed", func(t *testing.T) { moveLink(t, nil) })
	t.Run("the batch on the way is lost", func(t *testing.T) { moveLink(t, errors.New("killed before its commit")) })
}

func moveLink(t *testing.T, outcome error) {
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	url := testdb.New(t)
	l := &line{conns: map[string][]net.Conn{}}
	addr := make(chan string, 1)
	cfg := config(t, url, ca)
	var ingests int
	cfg.Database.BeforeCommit = func(op string, _ int) error {
		if op != "regions.ingest" {
			return nil
		}
		if ingests++; ingests < 3 {
			return nil
		}
		if ingests == 3 {
			l.lose(<-addr)
		}
		return outcome
	}
	first := start(t, cfg)
	addr <- first.LinkAddr()
	cfg.Database.BeforeCommit = nil
	second := start(t, cfg)
	post(t, second, "/v1/regions", `{"name":"north"}`)
	post(t, second, "/v1/offerings", `{"id":"prepaid","name":"P","currency":"EUR","service":"internet","usage":[{"name":"usage","unit":"bytes","rates":[{"price":"1.00 per GB"}]}],
		"profile":{"session_limit":1,"interim":"60s"},"reservation":{"quota":"10MB","ttl":"180s"},"overrun":"owed"}`)
	post(t, second, "/v1/subscribers", `{"subscribers":[{"customer_id":"c-u","account_id":"a-u","subscription_id":"s-u","name":"U","currency":"EUR","home":"north","login":"u","password":"pw","offering":"prepaid","deposit":"9.00"}]}`)

	const charges = 60
	e := &edge{Edge: storetest.NewEdge("north"), news: make(chan struct{}, 1)}
	e.Add(storetest.Epoch())
	for range charges {
		e.Add(storetest.Charge("u", 100_000))
	}
	clientTLS, err := bundle(t, ca, identity.Node("north", "n1")).TLS(identity.TheCentre())
	if err != nil {
		t.Fatal(err)
	}
	lc := link.DefaultClientConfig()
	lc.Cluster, lc.Region, lc.Node, lc.TLS, lc.MaxEntries, lc.Logger = "test", "north", "n1", clientTLS, 5, slog.New(slog.DiscardHandler)
	lc.Addresses, lc.Dial, lc.BackoffMin, lc.BackoffMax = []string{first.LinkAddr(), second.LinkAddr()}, l.dial, 5*time.Millisecond, 50*time.Millisecond
	client, err := link.NewClient(lc, e, e)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = client.Run(ctx) }) // ends with ctx
	defer wg.Wait()
	defer cancel()

	e.until(t, "all entries acknowledged", func() bool { return e.acked == charges+1 })
	l.mu.Lock()
	lost := l.lost
	l.mu.Unlock()
	if lost != first.LinkAddr() {
		t.Fatal("the first server was not lost in the middle of the upload")
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+second.HTTPAddr()+"/v1/accounts/a-u/statement", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if st := do(t, r, http.StatusOK); st["closing"] != "3.00" || st["charges"] != "6.00" || st["credits"] != "9.00" {
		t.Errorf("statement closes at %v after charges of %v", st["closing"], st["charges"])
	}
	if n := regionLink(t, second); n["connected"] != true || n["node"] != "n1" {
		t.Errorf("the region's link at the second server: %v", n)
	}
}
