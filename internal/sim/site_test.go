package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"meridian/central"
	"meridian/central/accounts"
	centralfeed "meridian/central/feed"
	"meridian/central/payments"
	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/edge/uplink"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/verify"
	"meridian/replication/identity"
	"meridian/replication/link"
	"meridian/replication/memnet"
	"meridian/replication/seal"
)

// soleLog is a region's replicated state on one node, as edge/uplink needs it. It
// is what survives when the process that holds the link dies.
type soleLog struct {
	mu      sync.Mutex
	state   *fsm.State
	entries []verify.RawEntry
	applied uint64
	changed chan struct{}
}

func (l *soleLog) Do(_ context.Context, c command.Command) (command.Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.state.Apply(c)
	l.applied++
	l.entries = append(l.entries, l.state.TakeEntries()...)
	close(l.changed)
	l.changed = make(chan struct{})
	return r, nil
}

func (l *soleLog) View(fn func(*fsm.State)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn(l.state)
}

func (l *soleLog) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *soleLog) Entries(after uint64, hash journal.Hash, most, _ int) ([]verify.RawEntry, journal.Hash, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []verify.RawEntry
	for _, e := range l.entries {
		if e.Seq > after && len(out) < most {
			out, hash = append(out, e), journal.Chain(hash, e.Raw)
		}
	}
	return out, hash, nil
}

func (l *soleLog) HashAt(seq uint64) (journal.Hash, error) {
	_, hash, err := l.Entries(0, journal.Hash{}, int(seq), 0)
	return hash, err
}

// site is one region, sold to at a centre: a subscriber with a session behind, of
// which nothing has gone up, and a payment that has not come down.
type site struct {
	t        testing.TB
	name     string
	log      *soleLog
	services *central.Services
	feedLast uint64
}

// newCentre gives services over a backend with one offering.
func newCentre(t testing.TB, b central.Backend) *central.Services {
	t.Helper()
	var ids atomic.Int64
	s := central.NewServices(b, central.Deps{
		Now: func() time.Time { return epochStart.Add(time.Hour) }, NewID: func() string { return fmt.Sprintf("id-%06d", ids.Add(1)) },
		Sealer: anyRing{}, Feed: centralfeed.DefaultConfig(),
	})
	if _, err := s.Catalog.Publish(t.Context(), []tariff.Offering{volume(0, epochStart.Unix()-1, 5*money.Micro)}); err != nil {
		t.Fatal(err)
	}
	return s
}

// anyRing seals for every region with one key.
type anyRing struct{}

func (anyRing) Seal(_ string, plain, additional []byte) ([]byte, error) {
	ring, err := seal.NewRing([]seal.Key{{ID: 1, Bytes: [32]byte{1}}})
	if err != nil {
		return nil, err
	}
	return ring.Seal(nil, plain, additional), nil
}

func newSite(t testing.TB, services *central.Services, name string) *site {
	t.Helper()
	s := &site{t: t, name: name, services: services, log: &soleLog{state: fsm.New(), changed: make(chan struct{})}}
	ctx := t.Context()
	_, err := services.Registry.Create(ctx, name)
	s.must(err)
	_, err = services.Accounts.RegisterNAS(ctx, accounts.NewNAS{ID: "nas-" + name, Region: name, Address: "127.0.2.1", Vendor: "generic", Secret: "s3cret-of-nas"})
	s.must(err)
	_, err = services.Accounts.CreateCustomer(ctx, accounts.NewCustomer{ID: "c-" + name, Kind: "individual", Name: name})
	s.must(err)
	_, err = services.Accounts.OpenAccount(ctx, accounts.NewAccount{ID: "a-" + name, Customer: "c-" + name, Currency: "EUR"})
	s.must(err)
	_, err = services.Accounts.Subscribe(ctx, accounts.NewSubscription{ID: "s-" + name, Account: "a-" + name, Home: name, Login: name, Password: "a long password", Offering: "volume"})
	s.must(err)
	s.pay("first")
	s.do(&command.Configure{Region: name, Policy: policy()})
	s.do(&command.Tick{Clocks: []int64{epochStart.UnixMicro()}})
	s.prime()
	s.session()
	s.pay("second")
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("region %s: %v", s.name, err)
	}
}

func (s *site) do(c command.Command) {
	s.t.Helper()
	if r, err := s.log.Do(s.t.Context(), c); err != nil || r.Code != command.OK {
		s.t.Fatalf("region %s: %T: %+v, %v", s.name, c, r, err)
	}
}

// pay takes two euros and numbers the feed.
func (s *site) pay(key string) {
	s.t.Helper()
	_, err := s.services.Payments.Deposit(s.t.Context(), payments.Deposit{Key: s.name + key, Account: "a-" + s.name, Amount: 2 * money.Micro, Currency: "EUR", Method: "bank"})
	s.must(err)
	for n := 1; n > 0; {
		n, err = s.services.Sequencer.Step(s.t.Context())
		s.must(err)
	}
	rows, err := s.services.Regions.Feed(s.t.Context(), s.name, 0, 1000)
	s.must(err)
	s.feedLast = rows[len(rows)-1].Number
}

// prime opens the epoch and applies the feed, without a link.
func (s *site) prime() {
	s.t.Helper()
	up := s.uplink("n1", 1)
	w, refused, err := s.services.Regions.Hello(s.t.Context(), s.name, up.Hello())
	if refused != nil {
		err = refused
	}
	s.must(err)
	s.must(up.Welcome(s.t.Context(), w))
	rows, err := s.services.Regions.Feed(s.t.Context(), s.name, 0, 1000)
	s.must(err)
	s.must(up.Feed(s.t.Context(), rows))
}

// uplink is a new process of a node over the region's state.
func (s *site) uplink(node string, term uint64) *uplink.Uplink {
	return uplink.New(s.name, node, "test", s.log, func() uint64 { return term },
		func() time.Time { return epochStart.Add(time.Hour) }, slog.New(slog.DiscardHandler))
}

// session is one from login to Stop, cut on its way: each cut makes entries.
func (s *site) session() {
	s.t.Helper()
	key := fsm.ReserveKey("nas-"+s.name, "x5", "", "", s.name)
	s.do(&command.Reserve{NAS: "nas-" + s.name, Key: key, SessionID: "x5", Login: s.name})
	for i, status := range []command.Status{command.Start, command.Interim, command.Interim, command.Interim, command.Stop} {
		at := int64(60 * i)
		s.do(&command.Accounting{NAS: "nas-" + s.name, SessionID: "x5", Login: s.name, Status: status, Event: epochStart.Unix() + at, Seconds: at, Out: uint64(i) * 20_000_000, Giga: true})
		s.do(&command.CutAll{Limit: 10})
	}
}

// settled tells whether the centre has acknowledged everything and the region has
// applied everything.
func (s *site) settled() (ok bool) {
	s.log.View(func(st *fsm.State) { ok = st.Backlog() == 0 && st.FeedVersion == s.feedLast })
	return ok
}

// report is the region's answer to an audit.
func (s *site) report() verify.EdgeReport {
	s.t.Helper()
	s.do(&command.Audit{})
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	r := s.log.state.Report()
	r.Node, r.Index = "n1", s.log.applied
	for _, e := range s.log.entries {
		if e.Seq > s.log.state.Acked {
			r.Entries = append(r.Entries, e)
		}
	}
	return r
}

// audit checks V1–V9.
func audit(t testing.TB, services *central.Services, centre verify.CentreReader, reports ...verify.EdgeReport) error {
	t.Helper()
	versions, err := services.Catalog.List(t.Context(), "", 0, 1000)
	if err != nil {
		return err
	}
	var offerings []*tariff.Offering
	for i := range versions {
		offerings = append(offerings, &versions[i].Offering)
	}
	var broken []error
	for _, f := range verify.Check(t.Context(), centre, reports, nil, verify.Options{Offerings: offerings}) {
		if !f.OK {
			broken = append(broken, fmt.Errorf("%s: %s", f.ID, f.Detail))
		}
	}
	return errors.Join(broken...)
}

// authority issues the certificates of a test, once each.
type authority struct {
	ca    *identity.CA
	mu    sync.Mutex
	nodes map[identity.ID]*identity.Bundle
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	ca, err := identity.NewCA("test", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{ca: ca, nodes: map[identity.ID]*identity.Bundle{}}
}

func (a *authority) bundle(t testing.TB, id identity.ID) *identity.Bundle {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nodes[id] == nil {
		b, err := a.ca.Issue(id, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		a.nodes[id] = b
	}
	return a.nodes[id]
}

// serve runs a real link server in front of a centre's services, at "centre:1" of
// a network in memory. stop may be called more than once.
func (a *authority) serve(t testing.TB, n *memnet.Network, sink link.Sink) (srv *link.Server, stop func()) {
	t.Helper()
	cfg := link.DefaultServerConfig()
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.MaxRows = 2
	srv, err := link.NewServer(cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := a.bundle(t, identity.Centre()).TLS(identity.AnyRegion())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := n.Listen("centre:1")
	if err != nil {
		t.Fatal(err)
	}
	gs := grpc.NewServer(cfg.GRPCOptions(brief(tlsConfig))...)
	srv.Register(gs)
	done := make(chan struct{})
	go func() { defer close(done); _ = gs.Serve(ln) }() // ends with Stop
	return srv, func() { _ = srv.Close(); gs.Stop(); <-done }
}

// brief keeps handshakes short: a test that cuts at every byte makes thousands.
func brief(c *tls.Config) *tls.Config {
	c.CurvePreferences, c.SessionTicketsDisabled = []tls.CurveID{tls.CurveP256}, true
	return c
}

// client is a real link client of a node; change may be nil.
func (a *authority) client(t testing.TB, n *memnet.Network, s *site, node string, term uint64, change func(*link.ClientConfig)) *link.Client {
	t.Helper()
	cfg := link.DefaultClientConfig()
	cfg.Region, cfg.Node, cfg.Addresses, cfg.Dial = s.name, node, []string{"centre:1"}, n.Dial
	cfg.MaxEntries, cfg.Logger = 3, slog.New(slog.DiscardHandler)
	tlsConfig, err := a.bundle(t, identity.Node(s.name, node)).TLS(identity.TheCentre())
	if err != nil {
		t.Fatal(err)
	}
	cfg.TLS = brief(tlsConfig)
	if change != nil {
		change(&cfg)
	}
	up := s.uplink(node, term)
	c, err := link.NewClient(cfg, up, up)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run starts a client; stop ends it as a killed process would end: nothing more is
// recorded by it.
func run(c *link.Client) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(ctx) }() // ends with ctx
	return func() { cancel(); <-done }
}
