package radtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"meridian/radius"
	"meridian/radius/attr"
	"meridian/radius/coa"
	"meridian/radius/vendor"
)

// NASConfig is what a [NAS] is built from. Start from [DefaultNASConfig].
type NASConfig struct {
	Identifier string     // NAS-Identifier
	Addr       netip.Addr // the NAS's address: where requests leave from, and NAS-IP-Address
	Secret     []byte
	Vendor     string // whose attributes it understands; a name of package vendor

	Auth, Acct []netip.AddrPort // servers in order of preference; the next one is asked when one does not answer

	Sockets int           // 256 requests can be in flight on each
	Timeout time.Duration // how long one try waits
	Tries   int           // how often a packet is sent to one server before the next server is asked
	Rounds  int           // how often the list of servers is gone through before giving up
	MA      bool          // send Message-Authenticator in Access-Requests

	HonourLimits bool           // Report ends a session exactly at its Session-Timeout or volume
	DynAuth      netip.AddrPort // where Disconnect and CoA are listened for; the zero value switches it off
	MaxSessions  int            // sessions known at a time, at most

	// OnSent is called before an accounting event is first sent, OnAcked after its verified answer, from the goroutine that sends it.
	OnSent, OnAcked func(Record)
	// OnDisconnect and OnCoA are called from the listener's goroutine after a session was found; they must not block. The session has been
	// marked by then; it is for the caller to send its Stop.
	OnDisconnect func(*Session)
	OnCoA        func(*Session, attr.List)
}

// DefaultNASConfig is a generic NAS on loopback; servers, secret and identifier are the caller's.
func DefaultNASConfig() NASConfig {
	return NASConfig{
		Addr: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Vendor: vendor.Generic, Sockets: 4, Timeout: time.Second, Tries: 2, Rounds: 3, MA: true,
		HonourLimits: true, MaxSessions: 1 << 20,
	}
}

// Validate reports every fault at once.
func (c NASConfig) Validate() error {
	var faults []error
	if c.Identifier == "" {
		faults = append(faults, errors.New("radtest: Identifier is empty: name the NAS"))
	}
	if len(c.Secret) == 0 {
		faults = append(faults, errors.New("radtest: Secret is empty: give the secret that the server has for this NAS"))
	}
	if len(c.Auth) == 0 && len(c.Acct) == 0 {
		faults = append(faults, errors.New("radtest: Auth and Acct are both empty: give at least one server"))
	}
	if c.Rounds < 1 || c.Rounds > 10_000 {
		faults = append(faults, fmt.Errorf("radtest: Rounds is %d: must be from 1 to 10000", c.Rounds))
	}
	if c.MaxSessions < 1 {
		faults = append(faults, fmt.Errorf("radtest: MaxSessions is %d: must be at least 1", c.MaxSessions))
	}
	faults = append(faults, vendor.Check(c.Vendor), c.exchanger().Validate())
	return errors.Join(faults...)
}

func (c NASConfig) exchanger() ExchangerConfig {
	return ExchangerConfig{Local: c.Addr, Sockets: c.Sockets, Timeout: c.Timeout, Tries: c.Tries, NeedMA: true}
}

// NASStats counts what a NAS did. Counters only grow; Sessions is a gauge.
type NASStats struct {
	Sessions                           int
	Accepts, Rejects, AuthTimeouts     uint64
	AcctAcked, AcctTimeouts            uint64
	Failovers, Disconnects, CoAs       uint64
	Exchanger                          ExchangerStats
	DynAuthDropped, DynAuthRetransmits uint64
	RefusedSessions, UnknownDynAuth    uint64
}

// NAS is a simulated access server. Safe for concurrent use; one session's calls come one after the other. New → Start → Close.
type NAS struct {
	cfg     NASConfig
	log     *slog.Logger
	x       *Exchanger
	dynAuth *coa.Server

	authServer, acctServer atomic.Int64 // index of the server that answered last
	serial                 atomic.Uint64

	mu       sync.Mutex
	sessions map[string]*Session

	accepts, rejects, authTimeouts, acctAcked, acctTimeouts, failovers, disconnects, coas, unknown, refused atomic.Uint64
}

// Faults of a NAS's use.
var (
	ErrTooManySessions = errors.New("the NAS has no room for another session")
	ErrDuplicateID     = errors.New("session identifier is in use")
)

// RejectError is a login that the server refused. MSCHAP is the text of MS-CHAP-Error without its identifier, "" when there was none.
type RejectError struct{ Message, MSCHAP string }

// Error gives the Reply-Message.
func (e *RejectError) Error() string { return "login rejected: " + e.Message }

// NewNAS checks the configuration.
func NewNAS(cfg NASConfig, log *slog.Logger) (*NAS, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		return nil, errors.New("radtest: NewNAS needs a logger")
	}
	x, err := NewExchanger(cfg.exchanger())
	if err != nil {
		return nil, err
	}
	n := &NAS{cfg: cfg, log: log, x: x, sessions: make(map[string]*Session)}
	if cfg.DynAuth.IsValid() {
		n.dynAuth, err = coa.NewServer(coa.ServerConfig{Addr: cfg.DynAuth, Secret: cfg.Secret}, n.dynamic, log)
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Start opens the sockets. It is called once.
func (n *NAS) Start(ctx context.Context) error {
	if err := n.x.Start(ctx); err != nil {
		return err
	}
	if n.dynAuth != nil {
		if err := n.dynAuth.Start(ctx); err != nil {
			return errors.Join(err, n.x.Close())
		}
	}
	return nil
}

// Close ends the sockets and waits for the goroutines.
func (n *NAS) Close() error {
	err := n.x.Close()
	if n.dynAuth != nil {
		err = errors.Join(err, n.dynAuth.Close())
	}
	return err
}

// Exchanger is the NAS's client, for requests of other shapes.
func (n *NAS) Exchanger() *Exchanger { return n.x }

// DynAuthAddr is where Disconnect and CoA are listened for; invalid when that is off.
func (n *NAS) DynAuthAddr() netip.AddrPort {
	if n.dynAuth == nil {
		return netip.AddrPort{}
	}
	return n.dynAuth.Addr()
}

// Stats is a snapshot of the counters.
func (n *NAS) Stats() NASStats {
	n.mu.Lock()
	sessions := len(n.sessions)
	n.mu.Unlock()
	st := NASStats{
		Sessions: sessions, Accepts: n.accepts.Load(), Rejects: n.rejects.Load(), AuthTimeouts: n.authTimeouts.Load(), AcctAcked: n.acctAcked.Load(),
		AcctTimeouts: n.acctTimeouts.Load(), Failovers: n.failovers.Load(), Disconnects: n.disconnects.Load(), CoAs: n.coas.Load(),
		Exchanger: n.x.Stats(), RefusedSessions: n.refused.Load(), UnknownDynAuth: n.unknown.Load(),
	}
	if n.dynAuth != nil {
		d := n.dynAuth.Stats()
		st.DynAuthDropped, st.DynAuthRetransmits = d.Dropped, d.Resent
	}
	return st
}

// Session finds a session by its Acct-Session-Id.
func (n *NAS) Session(id string) (*Session, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, ok := n.sessions[id]
	return s, ok
}

// ask goes through the servers, beginning with the one that answered last, until one answers or the rounds are over. build makes the exchange
// for the n-th packet (from 0), each with an identifier of its own.
func (n *NAS) ask(ctx context.Context, servers []netip.AddrPort, preferred *atomic.Int64, build func(packet int) Exchange) (Reply, netip.AddrPort, error) {
	if len(servers) == 0 {
		return Reply{}, netip.AddrPort{}, fmt.Errorf("NAS %s has no server for this: %w", n.cfg.Identifier, ErrClosed)
	}
	first := int(preferred.Load())
	var last error
	tries := 0
	for packet := range n.cfg.Rounds * len(servers) {
		at := (first + packet) % len(servers)
		e := build(packet)
		e.To = servers[at]
		r, err := n.x.Do(ctx, e)
		tries += r.Tries
		if err == nil {
			preferred.Store(int64(at))
			r.Tries = tries
			return r, servers[at], nil
		}
		last = err
		if !errors.Is(err, ErrTimeout) {
			break
		}
		n.failovers.Add(1)
		n.log.Debug("no answer, the next server is asked", slog.String("nas", n.cfg.Identifier), slog.String("server", servers[at].String()))
	}
	return Reply{Tries: tries}, netip.AddrPort{}, last
}

// identify appends what every packet of the NAS says of it.
func (n *NAS) identify(b *attr.Builder) {
	b.String(attr.NASIdentifier, n.cfg.Identifier)
	if n.cfg.Addr.Is4() {
		b.Addr(attr.NASIPAddress, n.cfg.Addr)
	} else {
		b.Addr(attr.NASIPv6Address, n.cfg.Addr)
	}
}

// dynamic answers Disconnect and CoA.
func (n *NAS) dynamic(req coa.Request) coa.Answer {
	s := n.find(req.Attributes)
	if s == nil {
		n.unknown.Add(1)
		return coa.Answer{Cause: coa.CauseSessionNotFound}
	}
	if req.Code == radius.CodeDisconnectRequest {
		n.disconnects.Add(1)
		s.disconnected.Store(true)
		if n.cfg.OnDisconnect != nil {
			n.cfg.OnDisconnect(s)
		}
		return coa.Answer{ACK: true}
	}
	n.coas.Add(1)
	if n.cfg.OnCoA != nil {
		n.cfg.OnCoA(s, append(attr.List(nil), req.Attributes...))
	}
	return coa.Answer{ACK: true}
}

// find looks a session up by Acct-Session-Id; a User-Name beside it must be the session's.
func (n *NAS) find(l attr.List) *Session {
	s, ok := n.Session(l.Text(attr.AcctSessionID))
	if !ok {
		return nil
	}
	if user, ok := l.Get(attr.UserName); ok && string(user) != s.User {
		return nil
	}
	return s
}

func (n *NAS) add(s *Session) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sessions[s.ID] != nil {
		return fmt.Errorf("%w: %s", ErrDuplicateID, s.ID)
	}
	if len(n.sessions) >= n.cfg.MaxSessions {
		n.refused.Add(1)
		return fmt.Errorf("%w: MaxSessions is %d", ErrTooManySessions, n.cfg.MaxSessions)
	}
	n.sessions[s.ID] = s
	return nil
}

func (n *NAS) remove(s *Session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sessions[s.ID] == s {
		delete(n.sessions, s.ID)
	}
}
