package aaa

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/feed"
	"meridian/internal/money"
	"meridian/internal/mschap"
	"meridian/internal/tariff"
	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/replication/seal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret   = "shared-secret"
	nasID    = "bras-1"
	nasAddr  = "127.0.4.1"
	epoch1   = 1_763_760_000 // region time at the founding, Unix seconds
	micros   = 1_000_000
	waitLong = 10 * time.Second
)

var errNoLeader = errors.New("no leader")

// region is a Log over a real state machine in one process: what is proposed is
// applied at once. It is also the desk from which a test feeds the state.
type region struct {
	tb   testing.TB
	ring *seal.Ring

	mu       sync.RWMutex
	state    *fsm.State
	row      uint64
	versions map[string]uint64

	knobs    sync.Mutex
	proposed []command.Command // by Propose, not by the desk
	refuse   error             // what Propose answers with instead
	answer   *command.Result   // what Propose answers with instead
	leader   bool
	asked    int       // calls of IsLeader
	heard    time.Time // zero: now
	change   chan struct{}
}

func newRegion(tb testing.TB) *region {
	tb.Helper()
	key := seal.Key{ID: 1}
	rand.Read(key.Bytes[:])
	ring, err := seal.NewRing([]seal.Key{key})
	if err != nil {
		tb.Fatal(err)
	}
	r := &region{tb: tb, ring: ring, state: fsm.New(), versions: map[string]uint64{}, leader: true, change: make(chan struct{})}
	r.apply(&command.Configure{Region: "north", Policy: command.DefaultPolicy()})
	r.apply(&command.OpenEpoch{Epoch: 1})
	r.tick(epoch1)
	return r
}

// Open makes region an Opener with the real seal.
func (r *region) Open(sealed []byte, aad string) ([]byte, error) {
	return r.ring.Open(nil, sealed, []byte(aad))
}

func (r *region) seal(clear, aad string) []byte { return r.ring.Seal(nil, []byte(clear), []byte(aad)) }

func (r *region) apply(c command.Command) command.Result {
	decoded, err := command.Decode(command.Encode(c))
	if err != nil {
		r.tb.Errorf("command %T does not survive the log: %v", c, err)
		return command.Result{}
	}
	r.mu.Lock()
	res := r.state.Apply(decoded)
	r.state.TakeEntries()
	r.mu.Unlock()
	r.knobs.Lock()
	close(r.change)
	r.change = make(chan struct{})
	r.knobs.Unlock()
	return res
}

func (r *region) Propose(c command.Command, done func(command.Result, error)) {
	r.knobs.Lock()
	r.proposed = append(r.proposed, c)
	refuse, answer := r.refuse, r.answer
	r.knobs.Unlock()
	switch {
	case refuse != nil:
		done(command.Result{}, refuse)
	case answer != nil:
		done(*answer, nil)
	default:
		res := r.apply(c)
		go done(res, nil)
	}
}

func (r *region) View(fn func(*fsm.State)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	fn(r.state)
}

func (r *region) LeaderHeard() time.Time {
	r.knobs.Lock()
	defer r.knobs.Unlock()
	if r.heard.IsZero() {
		return time.Now()
	}
	return r.heard
}

func (r *region) IsLeader() bool {
	r.knobs.Lock()
	defer r.knobs.Unlock()
	r.asked++
	return r.leader
}

func (r *region) changed() <-chan struct{} {
	r.knobs.Lock()
	defer r.knobs.Unlock()
	return r.change
}

// set changes the log's behaviour.
func (r *region) set(fn func(*region)) {
	r.knobs.Lock()
	defer r.knobs.Unlock()
	fn(r)
}

// taken returns what was proposed since the last call.
func (r *region) taken() []command.Command {
	r.knobs.Lock()
	defer r.knobs.Unlock()
	out := r.proposed
	r.proposed = nil
	return out
}

func (r *region) tick(seconds int64) { r.apply(&command.Tick{Clocks: []int64{seconds * micros}}) }

// feed applies entities as the centre's feed would bring them.
func (r *region) feed(entities ...any) {
	r.tb.Helper()
	c := &command.Feed{}
	for _, e := range entities {
		row := feed.Row{}
		switch e := e.(type) {
		case *tariff.Offering:
			row.Kind, row.ID = feed.KindOffering, feed.OfferingKey(e.ID, e.Version)
		case *feed.NAS:
			row.Kind, row.ID = feed.KindNAS, e.ID
		case *feed.Subscription:
			row.Kind, row.ID = feed.KindSubscription, e.ID
		case *feed.Lease:
			row.Kind, row.ID = feed.KindLease, e.Bucket
		case *feed.Order:
			row.Kind, row.ID = feed.KindOrder, e.ID
		default:
			r.tb.Fatalf("no row for %T", e)
		}
		r.row++
		key := string(row.Kind) + "/" + row.ID
		r.versions[key]++
		row.Number, row.Version = r.row, r.versions[key]
		body, err := feed.Encode(e)
		if err != nil {
			r.tb.Fatal(err)
		}
		row.Body = body
		if _, err := row.Decode(); err != nil {
			r.tb.Fatalf("row is not well formed: %v", err)
		}
		c.Rows = append(c.Rows, row)
	}
	if res := r.apply(c); res.Code != command.OK {
		r.tb.Fatalf("feed: %+v", res)
	}
}

// nas is a registered NAS with the test's secret.
func (r *region) nas(id, address, vendorName, coaAddr string) *feed.NAS {
	return &feed.NAS{ID: id, Address: address, Vendor: vendorName, CoA: coaAddr, Secret: r.seal(secret, "nas/"+id)}
}

// subscriber is a subscription with the password "pw-<login>".
func (r *region) subscriber(login, offering string) *feed.Subscription {
	return r.subscriberWith(login, "pw-"+login, offering)
}

func (r *region) subscriberWith(login, password, offering string) *feed.Subscription {
	r.tb.Helper()
	id := "sub-" + login
	hash, err := mschap.NTHash(password)
	if err != nil {
		r.tb.Fatal(err)
	}
	return &feed.Subscription{ID: id, Account: "acc-" + login, Login: login, Offering: offering,
		Password: r.seal(password, feed.PasswordAAD(id)), NTHash: r.seal(string(hash[:]), feed.NTHashAAD(id))}
}

// cash is a lease of cash for a login's account.
func cash(login string, amount int64) *feed.Lease {
	return &feed.Lease{Bucket: "cash-" + login, Account: "acc-" + login, Unit: "EUR", Epoch: 1, Granted: amount}
}

// prepaid charges price micro-units for per units of the quantity.
func prepaid(id string, unit tariff.Unit, price, per, quota int64) *tariff.Offering {
	o := &tariff.Offering{
		ID: id, Version: 1, Name: id, Currency: "EUR", Service: "internet", Overrun: tariff.Owed,
		Usage:       tariff.PerUnit(unit, 0, per),
		Profile:     tariff.Profile{UpBps: 10_000_000, DownBps: 50_000_000, Pool: "pool-a", SessionLimit: 1, InterimSeconds: 600},
		Reservation: tariff.Reservation{Quota: quota, TTLSeconds: 3600},
	}
	o.Usage[0].Rates[0].Price.Amount = money.Amount(price)
	return o
}

// flat has no price for usage and room for so many sessions.
func flat(id string, sessions int) *tariff.Offering {
	return &tariff.Offering{
		ID: id, Version: 1, Name: id, Currency: "EUR", Service: "internet", Overrun: tariff.Absorbed,
		Usage:   tariff.PerUnit(tariff.Bytes, 0, 1),
		Profile: tariff.Profile{UpBps: 20_000_000, DownBps: 100_000_000, SessionLimit: sessions, InterimSeconds: 600},
	}
}

// node is a handler behind a real server on loopback, with a simulated NAS.
type node struct {
	*region
	handler *Handler
	server  *radius.Server
	nas     *radtest.NAS
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func testConfig() Config {
	cfg := DefaultConfig()
	cfg.Node = "north-1"
	return cfg
}

// newHandler starts a handler that the test's end closes.
func newHandler(tb testing.TB, r *region, cfg Config) *Handler {
	tb.Helper()
	h, err := New(cfg, r, r, quiet())
	if err != nil {
		tb.Fatal(err)
	}
	if err := h.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Close() })
	return h
}

// newNode starts a server and a NAS of the vendor for the region, which the
// entities are fed to first.
func newNode(tb testing.TB, vendorName string, entities ...any) *node {
	tb.Helper()
	return newNodeWith(tb, testConfig(), vendorName, entities...)
}

func newNodeWith(tb testing.TB, handler Config, vendorName string, entities ...any) *node {
	tb.Helper()
	r := newRegion(tb)
	r.feed(append([]any{r.nas(nasID, nasAddr, vendorName, "")}, entities...)...)
	n := &node{region: r, handler: newHandler(tb, r, handler)}
	n.server = newServer(tb, n.handler, n.handler)
	cfg := radtest.DefaultNASConfig()
	cfg.Identifier, cfg.Addr, cfg.Secret, cfg.Vendor = nasID, netip.MustParseAddr(nasAddr), []byte(secret), vendorName
	cfg.Auth, cfg.Acct = []netip.AddrPort{n.server.AuthAddr()}, []netip.AddrPort{n.server.AcctAddr()}
	cfg.Timeout, cfg.Tries, cfg.Rounds = time.Second, 1, 1
	nas, err := radtest.NewNAS(cfg, quiet())
	if err != nil {
		tb.Fatal(err)
	}
	if err := nas.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { nas.Close() })
	n.nas = nas
	return n
}

func newServer(tb testing.TB, h radius.Handler, c radius.Clients) *radius.Server {
	tb.Helper()
	cfg := radius.DefaultConfig()
	any4 := netip.MustParseAddrPort("127.0.0.1:0")
	cfg.AuthAddr, cfg.AcctAddr = any4, any4
	srv, err := radius.New(cfg, c, h, quiet())
	if err != nil {
		tb.Fatal(err)
	}
	if err := srv.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { srv.Close() })
	return srv
}

// login asks for access with the subscriber's own password unless l has one.
func (n *node) login(l radtest.Login) (*radtest.Session, error) {
	if l.Password == "" {
		l.Password = "pw-" + l.User
	}
	return n.nas.Login(context.Background(), l)
}

// exchange sends a request of the test's own making, once.
func (n *node) exchange(code radius.Code, to netip.AddrPort, fill func(b *attr.Builder, authenticator [16]byte)) (radtest.Reply, error) {
	return n.nas.Exchanger().Do(context.Background(), radtest.Exchange{Code: code, To: to, Secret: []byte(secret), MA: code == radius.CodeAccessRequest, Fill: fill})
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.Now().Add(waitLong)
	for !ok() {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", waitLong, what)
		}
		time.Sleep(time.Millisecond)
	}
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%+v", v)
	}
	return string(b)
}

var _ interface {
	radius.Handler
	radius.Clients
} = (*Handler)(nil)
