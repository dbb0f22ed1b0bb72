package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/replication/identity"
	"meridian/replication/link"
)

// centreStub is a centre's Sink: a feed made beforehand, and entries taken in by
// the cursor, unless its database is unwell.
type centreStub struct {
	mu     sync.Mutex
	unwell error
	rows   []link.Row
	seq    uint64
	hash   journal.Hash
}

func (c *centreStub) setUnwell(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unwell = err
}

func (c *centreStub) head() (uint64, journal.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seq, c.hash
}

func (c *centreStub) Hello(context.Context, string, link.Hello) (link.Welcome, *link.Refused, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hash := c.hash
	return link.Welcome{Epoch: 1, CursorSeq: c.seq, CursorHash: hash[:], FeedLast: uint64(len(c.rows))}, nil, c.unwell
}

func (c *centreStub) Ingest(_ context.Context, _ string, b link.Batch) (link.Ack, *link.Refused, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unwell != nil {
		return link.Ack{}, nil, c.unwell
	}
	if b.FirstSeq > c.seq+1 {
		return link.Ack{}, &link.Refused{Code: link.CodeGap, Detail: "gap", Remedy: "send from the cursor"}, nil
	}
	if b.LastSeq() > c.seq {
		for _, raw := range b.Entries[c.seq+1-b.FirstSeq:] {
			c.seq, c.hash = c.seq+1, journal.Chain(c.hash, raw)
		}
	}
	hash := c.hash
	return link.Ack{Epoch: 1, Seq: c.seq, Hash: hash[:]}, nil, nil
}

func (c *centreStub) FeedNewest(ctx context.Context, region string, after uint64, most int) ([]link.Row, error) {
	return c.Feed(ctx, region, after, most)
}

func (c *centreStub) Feed(_ context.Context, _ string, after uint64, _ int) ([]link.Row, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows[min(after, uint64(len(c.rows))):], c.unwell
}

func (c *centreStub) Wanted(context.Context, string, link.Wanted) error { return nil }
func (c *centreStub) Health(context.Context, string, link.Health)       {}
func (c *centreStub) FeedSignal(string) <-chan struct{}                 { return nil }

func (c *centreStub) Heads(context.Context, string, [][]byte) (*link.Refused, error) { return nil, nil }

// sell fills the feed: a NAS, a metered offering and a subscriber with ten euros.
func (c *centreStub) sell(t *testing.T, cfg Config, nasAddr string) {
	t.Helper()
	seal := func(plain, aad string) []byte { return cfg.Ring.Seal(nil, []byte(plain), []byte(aad)) }
	for i, e := range []struct {
		kind feed.Kind
		id   string
		body any
	}{
		{feed.KindOffering, "volume@1", &tariff.Offering{ID: "volume", Version: 1, Name: "Volume", Currency: "EUR", ValidFrom: 1, Service: "internet",
			Usage: tariff.PerUnit(tariff.Bytes, money.Micro, 1_000_000_000), Reservation: tariff.Reservation{Quota: 1_000_000, TTLSeconds: 180},
			Profile: tariff.Profile{SessionLimit: 5, InterimSeconds: 60}, Overrun: tariff.Owed}},
		{feed.KindNAS, "nas", &feed.NAS{ID: "nas", Address: nasAddr, Vendor: "generic", Secret: seal("nas-secret", "nas/nas")}},
		{feed.KindSubscription, "s1", &feed.Subscription{ID: "s1", Account: "a1", Login: "ann", Password: seal("pw-of-ann", feed.PasswordAAD("s1")), Offering: "volume"}},
		{feed.KindLease, "a1/cash", &feed.Lease{Bucket: "a1/cash", Account: "a1", Unit: "EUR", Epoch: 1, Granted: 10 * money.Micro}},
	} {
		body, err := feed.Encode(e.body)
		if err != nil {
			t.Fatal(err)
		}
		c.rows = append(c.rows, link.Row{Number: uint64(i + 1), EntityKind: string(e.kind), EntityID: e.id, EntityVersion: 1, Body: body})
	}
}

// serve runs the stub behind a real link server at the address that the node knows.
func (c *centreStub) serve(t *testing.T, ca *identity.CA, addr string) *link.Server {
	t.Helper()
	srv, _ := c.serveAs(t, ca, addr, "test")
	return srv
}

// serveAs is serve of a cluster of that name; stop ends it before the test does.
func (c *centreStub) serveAs(t *testing.T, ca *identity.CA, addr, cluster string) (_ *link.Server, stop func()) {
	t.Helper()
	lc := link.DefaultServerConfig()
	lc.Cluster = cluster
	lc.Logger = slog.New(slog.DiscardHandler)
	srv, err := link.NewServer(lc, c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ca.Issue(identity.Centre(), time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := b.TLS(identity.AnyRegion())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	gs := grpc.NewServer(lc.GRPCOptions(tlsConfig)...)
	srv.Register(gs)
	done := make(chan struct{})
	go func() { defer close(done); _ = gs.Serve(ln) }() // ends with Stop
	stop = func() { _ = srv.Close(); gs.Stop(); <-done }
	t.Cleanup(stop)
	return srv, stop
}

// exported is the value of one of the node's series at its /metrics.
func exported(t *testing.T, addr, series string) float64 {
	t.Helper()
	_, body := get(t, http.MethodGet, "http://"+addr+"/metrics", "")
	for line := range strings.Lines(body) {
		if text, ok := strings.CutPrefix(line, "meridian_edge_"+series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("/metrics has no %s", series)
	return 0
}

// TestTheCentresDatabaseIsNoConcernOfTheEdge: while the centre cannot take
// anything in, people log in, use and leave as before; the node names the cause;
// and when the centre is well again, it gets all of it once.
func TestTheCentresDatabaseIsNoConcernOfTheEdge(t *testing.T) {
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	if cfg.Identity, err = ca.Issue(identity.Node("north", "north-1"), time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	nasAddr := netip.MustParseAddrPort(freeAddr(t, "udp")).Addr()
	centre := &centreStub{}
	centre.sell(t, cfg, nasAddr.String())
	srv := centre.serve(t, ca, cfg.Centre[0])
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until := func(what string, ok func(s Status) bool) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; <-time.After(10 * time.Millisecond) {
			s := n.Status()
			if ok(s) {
				return
			}
			if time.Now().After(deadline) {
				text, _ := json.Marshal(s)
				t.Fatalf("not within 30 s: %s: %s", what, text)
			}
		}
	}
	nc := radtest.DefaultNASConfig()
	nc.Identifier, nc.Addr, nc.Secret, nc.Timeout = "nas", nasAddr, []byte("nas-secret"), 3*time.Second
	nc.Auth, nc.Acct = []netip.AddrPort{cfg.RadiusAuth}, []netip.AddrPort{cfg.RadiusAcct}
	nas, err := radtest.NewNAS(nc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := nas.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer nas.Close()
	serial := 0
	// live is a person from login to Stop: every step has to be answered.
	live := func() {
		t.Helper()
		serial++
		s, err := nas.Login(t.Context(), radtest.Login{User: "ann", Password: "pw-of-ann", SessionID: fmt.Sprint("s-", serial), Port: 1})
		if err != nil {
			t.Fatalf("login %d: %v", serial, err)
		}
		at := time.Now()
		for _, err := range []error{
			s.Start(t.Context(), at),
			s.Interim(t.Context(), at.Add(10*time.Second), radtest.Usage{SessionS: 10, In: 100_000}),
			s.Stop(t.Context(), at.Add(20*time.Second), radtest.Usage{SessionS: 20, In: 300_000}, attr.CauseUserRequest),
		} {
			if err != nil {
				t.Fatalf("accounting of session %d: %v", serial, err)
			}
		}
	}
	until("sold and connected", func(s Status) bool { return s.LinkConnected && s.FeedVersion == 4 && s.Mode == "connected" })
	live()
	until("settled", func(s Status) bool { return s.Seq > 1 && s.Backlog == 0 })
	before, _ := centre.head()
	figure := func(series string) float64 { t.Helper(); return exported(t, cfg.HTTP, series) }
	const ofNode, ofAcct = `{node="north-1",region="north"}`, `{node="north-1",port="acct",region="north"}`
	for _, name := range []string{"ledger_backlog_entries", "ledger_backlog_bytes", "ledger_backlog_age_seconds", "overrun_micro_total"} {
		if v := figure(name + ofNode); v != 0 {
			t.Errorf("%s is %v of a region that has settled", name, v)
		}
	}
	answers, waited, synced := figure("radius_latency_seconds_count"+ofAcct), figure("radius_latency_seconds_sum"+ofAcct), figure("disk_sync_seconds_count"+ofNode)
	if answers != 3 || waited <= 0 || synced == 0 || figure("store_commit_seconds_count"+ofNode) == 0 {
		t.Errorf("%v answers took %v s, %v syncs", answers, waited, synced)
	}

	centre.setUnwell(&link.Unavailable{Reason: "database_full", Err: fmt.Errorf("no space left on device")})
	live()
	until("the node names the cause", func(s Status) bool {
		return !s.LinkConnected && s.LinkCause == "unavailable" && s.LinkReason == "database_full" && s.Backlog > 0
	})
	until("isolated", func(s Status) bool { return s.Mode == "isolated" })
	until("the alarm names the cause", func(s Status) bool {
		for _, a := range s.Alarms {
			if a.Name == "region_isolated" && strings.Contains(a.Detail, "unavailable database_full") {
				return true
			}
		}
		return false
	})
	for range 5 {
		live()
	}
	if entries := figure("ledger_backlog_entries" + ofNode); entries != float64(n.Status().Backlog) || figure("ledger_backlog_bytes"+ofNode) < 50*entries {
		t.Errorf("%v entries wait in %v octets, by status %d", entries, figure("ledger_backlog_bytes"+ofNode), n.Status().Backlog)
	}
	until("the backlog ages", func(Status) bool { return figure("ledger_backlog_age_seconds"+ofNode) > 0.1 })
	if more := figure("radius_latency_seconds_count" + ofAcct); more != answers+18 || figure("radius_latency_seconds_sum"+ofAcct) <= waited || figure("disk_sync_seconds_count"+ofNode) <= synced {
		t.Errorf("after 18 more requests %v answers are counted, before %v", more, answers)
	}
	if code, body := get(t, "GET", "http://"+cfg.HTTP+"/readyz", ""); code != http.StatusOK {
		t.Errorf("the node is not ready for its NAS: %d %s", code, body)
	}
	if _, body := get(t, "GET", "http://"+cfg.HTTP+"/metrics", ""); !strings.Contains(body, `link_failures_total{cause="unavailable",node="north-1",region="north"}`) {
		t.Errorf("the metrics do not name the cause:\n%s", body)
	}
	if now, _ := centre.head(); now != before {
		t.Errorf("the centre took entries %d to %d in while it was unwell", before, now)
	}

	s, err := nas.Login(t.Context(), radtest.Login{User: "ann", Password: "pw-of-ann", SessionID: "s-over", Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context(), time.Now().Add(time.Hour), radtest.Usage{SessionS: 3600, In: 15_000_000_000}, attr.CauseUserRequest); err != nil {
		t.Fatal(err)
	}
	if over := figure("overrun_micro_total" + ofNode); over <= 5_000_000 || over >= 6_000_000 { // 15 EUR used, less than 10 EUR left
		t.Errorf("overrun is %v micro-units", over)
	}

	centre.setUnwell(nil)
	until("drained", func(s Status) bool {
		return s.LinkConnected && s.Backlog == 0 && s.Mode == "connected" && s.LinkCause == ""
	})
	seq, hash := centre.head()
	h := n.uplink.Hello()
	if seq != h.LastSeq || !bytes.Equal(hash[:], h.HeadHash) {
		t.Errorf("the centre has %d entries, the region %d, or their hashes differ", seq, h.LastSeq)
	}
	if srv.Stats().Causes[link.CauseUnavailable] == 0 {
		t.Errorf("causes at the centre: %v", srv.Stats().Causes)
	}
}
