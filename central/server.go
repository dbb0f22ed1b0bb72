package central

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"

	"meridian/central/api"
	"meridian/central/cockroach"
	"meridian/internal/journal"
	"meridian/ops/alarm"
	"meridian/ops/metrics"
	"meridian/ops/profile"
	"meridian/replication/identity"
	"meridian/replication/link"
	"meridian/replication/seal"
)

// Server is one centre server: stateless over its database, any number may run.
type Server struct {
	cfg      Config
	log      *slog.Logger
	db       *cockroach.DB
	services *Services
	api      *api.API
	http     *http.Server
	link     *link.Server
	grpc     *grpc.Server
	httpAddr net.Addr
	linkAddr net.Addr
	answers  answers
	expires  time.Time // of the centre's certificate; zero when LinkTLS was given
	alarms   *alarm.Board
	watching []watched
	rise     alarm.Rise // of the goroutine that watches

	wg     sync.WaitGroup
	failed chan error
	once   sync.Once
	undo   []func() // what Close takes down, last first
}

// New checks the configuration; nothing is opened yet.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("centre configuration: %w", err)
	}
	cfg.Link.Logger, cfg.Link.Cluster = cfg.Logger, cfg.Cluster
	return &Server{cfg: cfg, log: cfg.Logger, failed: make(chan error, 2)}, nil
}

// Start opens the database, migrates it, and serves the API and the link. When
// it fails, everything is taken down again. It is called once; ctx bounds the
// start, not the life of the server.
func (s *Server) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	rings, err := s.rings()
	if err != nil {
		return err
	}
	linkTLS, authority, err := s.linkTLS()
	if err != nil {
		return err
	}
	verify, err := headVerifier(authority)
	if err != nil {
		return err
	}
	if s.db, err = cockroach.Open(ctx, s.cfg.StoreURL, s.cfg.Database); err != nil {
		return err
	}
	s.undo = append(s.undo, s.db.Close)
	if s.cfg.Migrate {
		if err := s.db.Migrate(ctx); err != nil {
			return err
		}
	}
	s.services = NewServices(s.db, Deps{Now: time.Now, NewID: newID, Sealer: rings, Feed: s.cfg.Feed, Catalog: s.cfg.Catalog, Log: s.log, VerifyHead: verify})
	if err := s.bootstrap(ctx); err != nil {
		return err
	}
	s.services.Sequencer.Start(context.WithoutCancel(ctx))
	s.undo = append(s.undo, s.services.Sequencer.Close)
	if err := s.serveLink(ctx, linkTLS); err != nil {
		return err
	}
	if err := s.openAlarms(); err != nil {
		return err
	}
	if err := s.serveHTTP(ctx); err != nil {
		return err
	}
	s.startWatching(context.WithoutCancel(ctx))
	s.log.Info("the centre serves", slog.String("http", s.HTTPAddr()), slog.String("link", s.LinkAddr()))
	return nil
}

func (s *Server) rings() (Rings, error) {
	rings := make(Rings, len(s.cfg.RegionKeys))
	var faults []error
	for region, file := range s.cfg.RegionKeys {
		ring, err := seal.LoadRing(file)
		if err != nil {
			faults = append(faults, fmt.Errorf("keys of region %s: %w", region, err))
			continue
		}
		rings[region] = ring
	}
	return rings, errors.Join(faults...)
}

func (s *Server) linkTLS() (_ *tls.Config, authority []byte, err error) {
	if s.cfg.LinkTLS != nil {
		return s.cfg.LinkTLS, s.cfg.Authority, nil
	}
	bundle, err := identity.LoadBundle(s.cfg.CertFile, s.cfg.KeyFile, s.cfg.CAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("the centre's certificate: %w", err)
	}
	if s.expires, err = bundle.Expires(); err != nil {
		return nil, nil, fmt.Errorf("the centre's certificate: %w", err)
	}
	config, err := bundle.TLS(identity.AnyRegion())
	return config, bundle.CAPEM, err
}

// headVerifier checks that a head was signed by the node that it names; nil
// without an authority.
func headVerifier(authority []byte) (func(journal.SignedHead) error, error) {
	if len(authority) == 0 {
		return nil, nil
	}
	v, err := identity.NewVerifier(authority)
	if err != nil {
		return nil, err
	}
	return func(h journal.SignedHead) error {
		return v.Verify(h.Certificate, h.Message(), h.Signature, identity.Node(h.Region, h.Node), time.UnixMicro(h.At))
	}, nil
}

func (s *Server) bootstrap(ctx context.Context) error {
	if s.cfg.BootstrapTokenHash == "" {
		return nil
	}
	b, err := hex.DecodeString(s.cfg.BootstrapTokenHash)
	if err != nil {
		return fmt.Errorf("bootstrap_token_hash: %w", err)
	}
	return s.services.Access.Bootstrap(ctx, s.cfg.BootstrapLogin, [32]byte(b))
}

func (s *Server) serveLink(ctx context.Context, tlsConfig *tls.Config) (err error) {
	if s.link, err = link.NewServer(s.cfg.Link, s.services.Regions); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.LinkListen)
	if err != nil {
		return fmt.Errorf("link: %w: free the address or change link_listen", err)
	}
	s.linkAddr = listener.Addr()
	s.grpc = grpc.NewServer(s.cfg.Link.GRPCOptions(tlsConfig)...)
	s.link.Register(s.grpc)
	s.undo = append(s.undo, func() {
		if err := s.link.Close(); err != nil {
			s.log.Warn("the link did not close cleanly", slog.Any("error", err))
		}
		s.grpc.Stop()
	})
	s.wg.Go(func() {
		if err := s.grpc.Serve(listener); err != nil {
			s.failed <- fmt.Errorf("link: %w", err)
		}
	})
	return nil
}

func (s *Server) serveHTTP(ctx context.Context) error {
	sv := s.services
	s.api = api.New(api.Deps{Runner: s.db, Explain: sv.Explain, Access: sv.Access, Approvals: sv.Approvals, Rerating: sv.Rerating, Usage: sv.Usage, Accounts: sv.Accounts, Catalog: sv.Catalog, Orders: sv.Orders, Payments: sv.Payments,
		Registry: sv.Registry, Regions: sv.Regions, Statement: sv.Statement, AccountRows: s.db.Accounts, BucketRows: s.db.Buckets,
		OrderRows: s.db.Orders, LedgerRows: s.db.Ledger, FeedRows: s.db.Feed, Ready: s.db.Ready, Links: s.links, Log: s.log})
	handler, err := s.handler()
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.HTTPListen)
	if err != nil {
		return fmt.Errorf("API: %w: free the address or change http_listen", err)
	}
	s.httpAddr = listener.Addr()
	s.http = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: s.cfg.RequestTimeout, WriteTimeout: s.cfg.RequestTimeout + 5*time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.undo = append(s.undo, func() {
		stop, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
		defer cancel()
		if err := s.http.Shutdown(stop); err != nil {
			s.log.Warn("requests were cut off", slog.Any("error", errors.Join(err, s.http.Close())))
		}
	})
	s.wg.Go(func() {
		err := error(nil)
		if s.cfg.HTTPCertFile != "" {
			err = s.http.ServeTLS(listener, s.cfg.HTTPCertFile, s.cfg.HTTPKeyFile)
		} else {
			err = s.http.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("API: %w", err)
		}
	})
	return nil
}

// links is what the API tells of the regions' streams on this server.
func (s *Server) links() map[string]api.Link {
	out := map[string]api.Link{}
	for _, e := range s.link.Ends() {
		out[e.Region] = api.Link{Node: e.Node, Cause: e.Cause.String(), Reason: e.Reason, EndedAt: e.At.UTC().Format(time.RFC3339Nano)}
	}
	for _, l := range s.link.Sessions() {
		now := out[l.Region]
		now.Connected, now.Node = true, l.Node
		out[l.Region] = now
	}
	return out
}

// handler serves the API, counted, and beside it metrics, health and profiles.
func (s *Server) handler() (http.Handler, error) {
	// The timeout's own answer keeps the API's error body.
	counted := s.answers.count(http.TimeoutHandler(s.api, s.cfg.RequestTimeout,
		`{"code":"unavailable","message":"the request took too long","remedy":"repeat it with the same Idempotency-Key"}`))
	mux := http.NewServeMux()
	mux.Handle("/", counted)
	if err := profile.Register(mux, s.cfg.DebugTokenHash); err != nil {
		return nil, err
	}
	if s.cfg.Registry == nil {
		return mux, nil
	}
	if err := s.exportMetrics(); err != nil {
		return nil, err
	}
	mux.Handle("GET /metrics", metrics.Handler(s.cfg.Registry, func(err error) {
		s.log.Warn("a metric was left out", slog.Any("error", err))
	}))
	return mux, nil
}

// HTTPAddr is where the API listens, after Start.
func (s *Server) HTTPAddr() string { return s.httpAddr.String() }

// LinkAddr is where the link listens, after Start.
func (s *Server) LinkAddr() string { return s.linkAddr.String() }

// Services gives the domain services, after Start.
func (s *Server) Services() *Services { return s.services }

// Database gives the database, after Start: for verify's reader and statistics.
func (s *Server) Database() *cockroach.DB { return s.db }

// API gives the API, after Start, for its statistics.
func (s *Server) API() *api.API { return s.api }

// Link gives the link's server, after Start, for its sessions and statistics.
func (s *Server) Link() *link.Server { return s.link }

// Failed delivers an error when a listener ends by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// Close stops serving, waits for running requests up to ShutdownTimeout and for
// every goroutine, and closes the database. It may be called more than once.
func (s *Server) Close() {
	s.once.Do(func() {
		for i := len(s.undo) - 1; i >= 0; i-- {
			s.undo[i]()
		}
		s.wg.Wait()
	})
}

// newID returns a random UUID (RFC 9562, version 4): made here and not by the
// database, so that a repeated closure needs no answer from it.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
