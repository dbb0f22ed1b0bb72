package link

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip" // registers it for the server too
	"google.golang.org/grpc/metadata"

	pb "meridian/proto/meridian/v1"
)

// State is the client's view of the link at one moment.
type State struct {
	Connected   bool
	Since       time.Time // of the last change of Connected; zero before the first attempt
	LastContact time.Time // anything heard from the centre; zero: never
	Address     string    // of the server in use, or tried last
	LastError   error     // why there is no stream; nil while connected
	Cause       Cause     // the same by name; CauseNone while connected
	Reason      string    // a refusal's Code, or what the centre lacks; "" otherwise
	Credit      int
	InFlight    int           // batches sent and not acknowledged
	ClockSkew   time.Duration // the centre's clock minus ours, at its last heartbeat
}

// ClientStats only rise.
type ClientStats struct {
	Attempts, Connects, Losses, Refusals uint64
	Batches, Entries, Bytes              uint64           // sent, repeats included
	Acks, Rows                           uint64           // received
	Causes                               map[Cause]uint64 // why attempts failed and streams ended
	RefusedBy                            map[Code]uint64  // refusals by code
}

// Client keeps the region's stream to the centre. It runs on the region's
// leader only.
type Client struct {
	cfg     ClientConfig
	source  Source
	applier Applier

	mu    sync.Mutex
	state State

	attempts, connects, losses, refusals atomic.Uint64
	batches, entries, bytes, acks, rows  atomic.Uint64
	byCause                              [causes]atomic.Uint64
	byCode                               codeCounters
}

// NewClient checks the configuration. It does not connect; see Run.
func NewClient(cfg ClientConfig, source Source, applier Applier) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if source == nil || applier == nil {
		return nil, errors.New("link client: Source and Applier must be given")
	}
	return &Client{cfg: cfg, source: source, applier: applier}, nil
}

// State is safe for concurrent use.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Stats is safe for concurrent use.
func (c *Client) Stats() ClientStats {
	return ClientStats{
		Attempts: c.attempts.Load(), Connects: c.connects.Load(), Losses: c.losses.Load(), Refusals: c.refusals.Load(),
		Batches: c.batches.Load(), Entries: c.entries.Load(), Bytes: c.bytes.Load(),
		Acks: c.acks.Load(), Rows: c.rows.Load(), Causes: tally[Cause](c.byCause[:]), RefusedBy: tally[Code](c.byCode[:]),
	}
}

// Run keeps a stream until ctx ends, and returns ctx's error after every
// goroutine has ended. Call it once at a time; after it returned it may be
// called again.
func (c *Client) Run(ctx context.Context) error {
	delay := c.cfg.BackoffMin
	for n := 0; ; n++ {
		good, told, err := c.attempt(ctx, c.cfg.Addresses[n%len(c.cfg.Addresses)])
		if ctx.Err() != nil {
			c.disconnected(ctx.Err(), nil)
			return ctx.Err()
		}
		c.report(err, told)
		if good {
			delay = c.cfg.BackoffMin
		}
		var refused *Refused
		if errors.As(err, &refused) {
			c.refusals.Add(1)
			c.byCode.count(refused.Code)
			c.applier.Refused(*refused)
			delay = c.cfg.BackoffMax // asking again soon changes nothing
		}
		// Half of the wait is by chance, so that regions do not come in step.
		wait := time.NewTimer(delay/2 + rand.N(delay/2+1))
		select {
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		case <-wait.C:
		}
		delay = min(2*delay, c.cfg.BackoffMax)
	}
}

// dialOptions are those of every connection.
func (c *Client) dialOptions() []grpc.DialOption {
	out := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(c.cfg.TLS)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: c.cfg.ConnectTimeout}),
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(windowBytes),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(256<<20), // the server's limits are the centre's to set
			grpc.MaxCallSendMsgSize(c.cfg.MaxBytes+messageSlack),
		),
	}
	if c.cfg.LineRate > 0 { // the server answers by the same compressor
		out = append(out, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	if c.cfg.Dial != nil {
		out = append(out, grpc.WithContextDialer(c.cfg.Dial))
	}
	return out
}

// attempt is one stream from dialling to its end; good says that it served, told
// is what the centre said at its end.
func (c *Client) attempt(ctx context.Context, addr string) (good bool, told metadata.MD, err error) {
	c.attempts.Add(1)
	c.mu.Lock()
	c.state.Address = addr
	c.mu.Unlock()

	target := addr
	if c.cfg.Dial != nil {
		target = "passthrough:///" + addr // Dial knows the name
	}
	conn, err := grpc.NewClient(target, c.dialOptions()...)
	if err != nil {
		return false, nil, fmt.Errorf("link: centre at %s: %w", addr, err)
	}
	defer conn.Close()

	sctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := time.AfterFunc(c.cfg.ConnectTimeout, func() {
		cancel(fmt.Errorf("link: no welcome from %s within %s: %w", addr, c.cfg.ConnectTimeout, context.DeadlineExceeded))
	})
	defer late.Stop()
	stream, err := pb.NewLinkClient(conn).Sync(sctx)
	if err != nil {
		return false, nil, c.why(sctx, addr, err)
	}
	s := &clientSession{
		c: c, ctx: sctx, cancel: cancel, stream: stream, quiet: newSilence(), creditMoved: make(chan struct{}, 1),
		applyQueue: make(chan *pb.Down, c.cfg.ApplyQueue), batchQueue: make(chan *pb.Up), wantedQueue: make(chan *pb.Up),
		headsQueue: make(chan *pb.Up),
	}
	if err := s.open(); err != nil {
		return false, s.told(), c.why(sctx, addr, err)
	}
	late.Stop()
	c.connected(s)
	began := time.Now()
	err = s.run()
	c.disconnected(err, s.told())
	c.losses.Add(1)
	return s.acked.Load() || time.Since(began) > c.cfg.Silence, s.told(), c.why(sctx, addr, err)
}

// why prefers the reason for which we gave up to what gRPC made of it.
func (c *Client) why(ctx context.Context, addr string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return fmt.Errorf("link: centre at %s: %w", addr, err)
}

func (c *Client) connected(s *clientSession) {
	c.connects.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.state.Connected, c.state.Since, c.state.LastContact = true, now, now
	c.state.LastError, c.state.Cause, c.state.Reason = nil, CauseNone, ""
	c.state.Credit, c.state.InFlight = 0, 0
	c.cfg.Logger.Info("link: connected", "centre", c.state.Address, "cursor", s.welcome.CursorSeq, "epoch", s.welcome.Epoch)
}

func (c *Client) disconnected(err error, told metadata.MD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Connected || c.state.Since.IsZero() {
		c.state.Since = time.Now()
	}
	c.state.Connected, c.state.Credit, c.state.InFlight = false, 0, 0
	c.state.LastError = err
	c.state.Cause, c.state.Reason = lost(err, told)
}

// report counts a failure, notes it, and logs it when it is news.
func (c *Client) report(err error, told metadata.MD) {
	c.mu.Lock()
	old := c.state.LastError
	c.mu.Unlock()
	c.disconnected(err, told)
	cause, reason := lost(err, told)
	c.byCause[cause].Add(1)
	if old == nil || err == nil || old.Error() != err.Error() {
		c.cfg.Logger.Warn("link: no stream to the centre; trying again", "cause", cause.String(), "reason", reason, "err", err)
	}
}

func (c *Client) note(f func(*State)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.state)
}
