// Package traffic is subscribers at work: simulated NAS that log them in, count
// what they use, repeat themselves, and obey limits and Disconnect, or some of
// them not.
//
// It owns who does what and when, and what the witness is told. The packets are
// radius/radtest's. It judges nothing: that is for the checks.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"meridian/cmd/meridian/witness"
	"meridian/internal/verify"
	"meridian/radius/attr"
	"meridian/radius/radtest"
	"meridian/radius/vendor"
)

// NAS is one simulated NAS and the servers it asks, in order of preference.
type NAS struct {
	ID         string
	CoA        netip.AddrPort // its address, too, is where requests leave from
	Auth, Acct []netip.AddrPort
}

// Subscriber is who logs in.
type Subscriber struct {
	Login, Password string
	UpBps, DownBps  int64
	Eager           bool // comes online again sooner than others
}

// Config is what the traffic is made of.
type Config struct {
	NAS         []NAS
	Secret      []byte
	Vendor      string
	Subscribers []Subscriber
	Run         string        // makes session ids of this run unique
	Sessions    int           // subscribers online at a time
	Interval    time.Duration // between two reports of a session
	MinReports  int           // interims of a session
	MaxReports  int
	GiveUp      time.Duration    // how long one packet is repeated
	Disobey     int              // one session in so many ignores its limits; 0: none does
	Witness     *witness.Witness // nil: nobody writes down what was acknowledged
	Seed        uint64
	Logger      *slog.Logger
}

// DefaultConfig returns the documented habits; NAS, secret, subscribers and
// logger are to be given.
func DefaultConfig() Config {
	return Config{
		Vendor: vendor.Generic, Sessions: 192, Interval: 250 * time.Millisecond, MinReports: 3, MaxReports: 12,
		GiveUp: 30 * time.Second, Disobey: 10, Seed: 1,
	}
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var faults []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("traffic: "+format, args...))
		}
	}
	need(len(c.NAS) > 0, "no NAS: give at least one")
	need(len(c.Subscribers) > 0, "no subscribers: give at least one")
	need(c.Sessions > 0 && c.Sessions <= 20_000, "sessions is %d: use 1 to 20000", c.Sessions)
	need(c.Interval >= time.Millisecond, "interval is %s: use at least 1ms", c.Interval)
	need(c.MinReports >= 0 && c.MaxReports >= c.MinReports, "reports from %d to %d: use a range", c.MinReports, c.MaxReports)
	need(c.GiveUp >= time.Second, "give up after %s: use at least 1s", c.GiveUp)
	need(c.Run != "", "run is empty: name this run")
	need(c.Logger != nil, "logger is missing")
	return errors.Join(faults...)
}

// tryTimeout is how long one copy of a packet waits; two copies go to a server.
const (
	tryTimeout = 600 * time.Millisecond
	tries      = 2
)

// Traffic is the running subscribers. New → Start → Stop.
type Traffic struct {
	cfg   Config
	nas   []*box
	free  chan int // subscribers that are offline
	eager chan int // those of them that want to come back soon
	count counters

	cancel  context.CancelFunc
	leaving chan struct{} // closed: nobody logs in any more, who is online stops
	wg      sync.WaitGroup
	once    sync.Once

	watch   sync.Mutex
	since   time.Time // an acknowledgement of a packet sent after this is looked for
	firstAt time.Time

	serial atomic.Uint64
	fault  atomic.Pointer[error]
}

// box is a NAS and the limits that CoA gave its sessions.
type box struct {
	*radtest.NAS
	id     string
	limits sync.Map // session id → *atomic.Int64, octets
}

// New makes the NAS; nothing is sent before Start.
func New(cfg Config) (*Traffic, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &Traffic{cfg: cfg, free: make(chan int, len(cfg.Subscribers)), eager: make(chan int, len(cfg.Subscribers)), leaving: make(chan struct{})}
	for _, i := range rand.New(rand.NewPCG(cfg.Seed, 0)).Perm(len(cfg.Subscribers)) {
		t.leave(i)
	}
	for _, n := range cfg.NAS {
		b, err := t.newBox(n)
		if err != nil {
			return nil, err
		}
		t.nas = append(t.nas, b)
	}
	return t, nil
}

func (t *Traffic) newBox(n NAS) (*box, error) {
	b := &box{id: n.ID}
	c := radtest.DefaultNASConfig()
	c.Identifier, c.Addr, c.Secret, c.Vendor = n.ID, n.CoA.Addr(), t.cfg.Secret, t.cfg.Vendor
	c.Auth, c.Acct, c.DynAuth = n.Auth, n.Acct, n.CoA
	c.Timeout, c.Tries = tryTimeout, tries
	c.Rounds = max(1, int(t.cfg.GiveUp/(tryTimeout*tries*time.Duration(len(n.Acct)))))
	c.OnCoA = func(s *radtest.Session, l attr.List) {
		p, err := vendor.Decode(t.cfg.Vendor, l)
		if limit, ok := b.limits.Load(s.ID); ok && err == nil && p.VolumeLimitBytes > 0 {
			limit.(*atomic.Int64).Store(p.VolumeLimitBytes)
		}
	}
	if w := t.cfg.Witness; w != nil {
		c.OnSent = func(r radtest.Record) { w.Note(verify.WitnessRecord{Sent: Line(r)}) }
	}
	var err error
	b.NAS, err = radtest.NewNAS(c, t.cfg.Logger)
	return b, err
}

// Line is a record as the witness writes it.
func Line(r radtest.Record) *verify.WitnessAcct {
	a := &verify.WitnessAcct{
		NAS: r.NAS, ID: r.SessionID, Event: r.At.Unix(), Start: r.At.Unix() - int64(r.Usage.SessionS),
		Seconds: int64(r.Usage.SessionS), In: r.Usage.In, Out: r.Usage.Out,
	}
	switch r.Status {
	case attr.AcctStart:
		a.Status, a.Seconds = verify.StatusStart, -1
	case attr.AcctStop:
		a.Status = verify.StatusStop
	case attr.AcctOn:
		a.Status = verify.StatusOn
	case attr.AcctOff:
		a.Status = verify.StatusOff
	default:
		a.Status = verify.StatusInterim
	}
	return a
}

// Start boots the NAS and brings subscribers online.
func (t *Traffic) Start(ctx context.Context) error {
	ctx, t.cancel = context.WithCancel(ctx)
	for i, b := range t.nas {
		if err := b.Start(ctx); err != nil {
			t.cancel()
			for _, started := range t.nas[:i] {
				err = errors.Join(err, started.Close())
			}
			return fmt.Errorf("start NAS %s: %w", b.id, err)
		}
	}
	boot := time.Now()
	for _, b := range t.nas {
		ev := radtest.Event{Status: attr.AcctOn, At: boot}
		if err := t.send(ctx, b, ev, radtest.Delivery{}); err != nil {
			return errors.Join(fmt.Errorf("report that NAS %s has booted: %w", b.id, err), t.Stop())
		}
	}
	for n := range min(t.cfg.Sessions, len(t.cfg.Subscribers)) {
		rng := rand.New(rand.NewPCG(t.cfg.Seed, uint64(n)+1))
		t.wg.Go(func() { t.work(ctx, t.nas[n%len(t.nas)], rng) })
	}
	return nil
}

// Stop ends every session by a Stop that is acknowledged or given up, and waits.
func (t *Traffic) Stop() error {
	var err error
	t.once.Do(func() {
		close(t.leaving)
		t.wg.Wait()
		t.cancel()
		for _, b := range t.nas {
			err = errors.Join(err, b.Close())
		}
	})
	return errors.Join(err, t.Err())
}

// Err is the first fault that is the client's own, such as a witness that cannot
// be written.
func (t *Traffic) Err() error {
	if e := t.fault.Load(); e != nil {
		return *e
	}
	return nil
}

// Phase marks in the witness that a phase of the story begins.
func (t *Traffic) Phase(name string) error {
	if t.cfg.Witness == nil {
		return nil
	}
	return t.cfg.Witness.Record(verify.WitnessRecord{Phase: name})
}

// WatchAck begins to look for the first acknowledgement of a packet that is sent
// from now on; FirstAck returns when it came.
func (t *Traffic) WatchAck() {
	t.watch.Lock()
	defer t.watch.Unlock()
	t.since, t.firstAt = time.Now(), time.Time{}
}

// FirstAck is how long after WatchAck the first packet was acknowledged that was
// sent after it.
func (t *Traffic) FirstAck() (time.Duration, bool) {
	t.watch.Lock()
	defer t.watch.Unlock()
	return t.firstAt.Sub(t.since), !t.firstAt.IsZero()
}

func (t *Traffic) acked(sent time.Time) {
	t.watch.Lock()
	defer t.watch.Unlock()
	if !t.since.IsZero() && t.firstAt.IsZero() && sent.After(t.since) {
		t.firstAt = time.Now()
	}
}
