package raftnode

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/time/rate"

	"meridian/replication/identity"
)

const (
	// maxHandshakes bounds the connections whose peer is not yet known.
	maxHandshakes    = 64
	handshakeTimeout = 3 * time.Second
	maxPooledConns   = 3
)

// tlsLayer is a raft.StreamLayer over mutual TLS. Accept hands out only
// connections whose peer has proved to be a node of our region; handshakes run
// aside, so that a peer which says nothing holds up nobody.
type tlsLayer struct {
	listener net.Listener
	addr     net.Addr
	config   *tls.Config
	region   string
	log      *slog.Logger
	sometime rate.Sometimes // a refused peer tries again and again
	counters *counters
	lost     atomic.Pointer[func(member string)] // told that a member's connection has ended

	ready  chan net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	live map[*liveConn]struct{}
}

// liveConn is a connection that Close ends: raft's transport leaves those that
// it has pooled or accepted open, and with them the goroutines that read them.
type liveConn struct {
	*tls.Conn
	of   *tlsLayer
	from string // the member that dialled, "" for one that this node dialled
}

// Read implements net.Conn. The end of a member's connection is told to the layer.
func (c *liveConn) Read(b []byte) (int, error) {
	k, err := c.Conn.Read(b)
	if err != nil && c.from != "" && c.of.ctx.Err() == nil {
		if lost := c.of.lost.Load(); lost != nil {
			(*lost)(c.from)
		}
	}
	return k, err
}

// Close implements net.Conn.
func (c *liveConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.live, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// keep makes a liveConn; after Close of the layer it is closed at once.
func (l *tlsLayer) keep(conn *tls.Conn, from string) *liveConn {
	c := &liveConn{Conn: conn, of: l, from: from}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		conn.Close()
	} else {
		l.live[c] = struct{}{}
	}
	return c
}

var _ raft.StreamLayer = (*tlsLayer)(nil)

type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }

func listenTLS(cfg Config, c *counters) (*tlsLayer, error) {
	ln, err := net.Listen("tcp", cfg.Bind)
	if err != nil {
		return nil, fmt.Errorf("raftnode: listen on Bind %q: %w; free the address or choose another", cfg.Bind, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &tlsLayer{
		listener: ln, addr: ln.Addr(), config: ofCluster(cfg), region: cfg.Region, log: cfg.Logger,
		sometime: rate.Sometimes{Interval: time.Second}, counters: c,
		ready: make(chan net.Conn), ctx: ctx, cancel: cancel, live: map[*liveConn]struct{}{},
	}
	if cfg.Advertise != "" {
		l.addr = advertised(cfg.Advertise)
	}
	l.wg.Go(l.acceptLoop)
	return l, nil
}

// wireVersion is that of what members say to each other: raft's messages and the
// entries in them.
const wireVersion = 1

// ofCluster has both sides of a handshake name their installation and the version
// that they speak (ALPN, RFC 7301), so that a node of another one is refused before
// raft hears of it.
func ofCluster(cfg Config) *tls.Config {
	c := cfg.TLS.Clone()
	own := fmt.Sprintf("meridian-raft/%d/%s", wireVersion, cfg.Cluster)
	c.NextProtos = []string{own}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Contains(hello.SupportedProtos, own) {
			return nil, fmt.Errorf("%w: the peer speaks %q, this node %q: correct the address or the cluster in the configuration, or run versions that go together",
				identity.ErrWrongPeer, hello.SupportedProtos, own)
		}
		return nil, nil
	}
	return c
}

func (l *tlsLayer) acceptLoop() {
	slots := make(chan struct{}, maxHandshakes)
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			if l.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: wait for some to be freed.
			l.sometime.Do(func() { l.log.Error("raft: accept failed", "err", err) })
			select {
			case <-l.ctx.Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			l.counters.acceptsDropped.Add(1)
			conn.Close()
			continue
		}
		l.wg.Go(func() {
			defer func() { <-slots }()
			l.admit(conn)
		})
	}
}

func (l *tlsLayer) admit(conn net.Conn) {
	tc := tls.Server(conn, l.config)
	peer, err := l.handshake(tc)
	if err != nil {
		if l.ctx.Err() == nil {
			l.counters.peersRefused.Add(1)
			l.sometime.Do(func() { l.log.Warn("raft: peer refused", "from", conn.RemoteAddr().String(), "err", err) })
		}
		conn.Close()
		return
	}
	live := l.keep(tc, peer.Node)
	select {
	case l.ready <- live:
	case <-l.ctx.Done():
		live.Close()
	}
}

// handshake proves the peer. The region is checked here as well as by the TLS
// settings, which come from outside.
func (l *tlsLayer) handshake(tc *tls.Conn) (identity.ID, error) {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTimeout)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		return identity.ID{}, err
	}
	peer, err := identity.FromState(tc.ConnectionState())
	if err != nil {
		return identity.ID{}, err
	}
	return peer, identity.NodesOf(l.region)(peer)
}

// Accept implements net.Listener.
func (l *tlsLayer) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Dial implements raft.StreamLayer.
func (l *tlsLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	conn, _, err := l.dial(ctx, string(address))
	if err != nil {
		return nil, err
	}
	return l.keep(conn, ""), nil
}

func (l *tlsLayer) dial(ctx context.Context, address string) (*tls.Conn, identity.ID, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, identity.ID{}, err
	}
	tc := tls.Client(conn, l.config)
	peer, err := l.handshake(tc)
	if err != nil {
		conn.Close()
		return nil, identity.ID{}, fmt.Errorf("raft peer at %s: %w", address, err)
	}
	return tc, peer, nil
}

// prove finds out whether the node that answers at an address is the one that
// is meant.
func (l *tlsLayer) prove(ctx context.Context, p Peer) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, peer, err := l.dial(ctx, p.Addr)
	if err != nil {
		return err
	}
	conn.Close()
	if want := identity.Node(l.region, p.ID); peer != want {
		return fmt.Errorf("%w: %s answers at %s, expected %s", identity.ErrWrongPeer, peer, p.Addr, want)
	}
	return nil
}

// Addr implements net.Listener: the address that peers dial.
func (l *tlsLayer) Addr() net.Addr { return l.addr }

// Close implements net.Listener. It ends every connection and waits for the
// goroutines.
func (l *tlsLayer) Close() error {
	l.cancel()
	err := l.listener.Close()
	l.wg.Wait()
	l.mu.Lock()
	open := slices.Collect(maps.Keys(l.live))
	l.mu.Unlock()
	for _, c := range open {
		c.NetConn().Close() // without the farewell of TLS, which a stopped peer would hold up
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
