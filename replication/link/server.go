package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	pb "meridian/proto/meridian/v1"
	"meridian/replication/identity"
)

// SessionInfo is a live stream.
type SessionInfo struct {
	Region, Node string
	Epoch, Term  uint64
	Since        time.Time
	Software     string
}

// ServerStats only rise.
type ServerStats struct {
	Streams, Takeovers, Silent    uint64
	Batches, Entries, Bytes, Rows uint64
	Refusals                      map[Code]uint64
	Causes                        map[Cause]uint64 // why streams ended or were not opened
}

// Ended is how a region's newest stream that is over ended, on this server.
type Ended struct {
	Region, Node string
	Cause        Cause
	Reason       string // a refusal's Code, or what is lacking here
	Detail       string
	At           time.Time
}

// Server serves the link for all regions. Safe for concurrent use.
type Server struct {
	pb.UnimplementedLinkServer
	cfg  ServerConfig
	sink Sink

	mu     sync.Mutex
	slots  map[string]*slot
	closed bool
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	streams, takeovers, silent    atomic.Uint64
	batches, entries, bytes, rows atomic.Uint64
	refusals                      codeCounters
	byCause                       [causes]atomic.Uint64
}

// NewServer checks the configuration.
func NewServer(cfg ServerConfig, sink Sink) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if sink == nil {
		return nil, errors.New("link server: Sink must be given")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Server{cfg: cfg, sink: sink, slots: map[string]*slot{}, ctx: ctx, cancel: cancel}, nil
}

// Register puts the service on a gRPC server, which was made with GRPCOptions.
func (s *Server) Register(r grpc.ServiceRegistrar) { pb.RegisterLinkServer(r, s) }

// Close ends every stream, refuses new ones and waits for all goroutines. Stop
// the gRPC server after it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel(ErrClosed)
	s.wg.Wait()
	return nil
}

// Sessions lists the live streams, in no order.
func (s *Server) Sessions() []SessionInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []SessionInfo
	for region, sl := range s.slots {
		if l := sl.live; l != nil {
			out = append(out, SessionInfo{
				Region: region, Node: l.hello.Node, Epoch: l.hello.Epoch, Term: l.hello.Term,
				Since: l.since, Software: l.hello.SoftwareVersion,
			})
		}
	}
	return out
}

// Stats reads the counters.
func (s *Server) Stats() ServerStats {
	st := ServerStats{
		Streams: s.streams.Load(), Takeovers: s.takeovers.Load(), Silent: s.silent.Load(),
		Batches: s.batches.Load(), Entries: s.entries.Load(), Bytes: s.bytes.Load(), Rows: s.rows.Load(),
		Refusals: tally[Code](s.refusals[:]), Causes: tally[Cause](s.byCause[:]),
	}
	return st
}

// Ends lists how each region's newest stream that is over ended, by region.
func (s *Server) Ends() []Ended {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Ended
	for _, sl := range s.slots {
		if sl.ended.Cause != CauseNone {
			out = append(out, sl.ended)
		}
	}
	slices.SortFunc(out, func(a, b Ended) int { return cmp.Compare(a.Region, b.Region) })
	return out
}

// over counts the end of a stream, remembers it and tells the region why.
func (s *Server) over(ss *serverSession, err error) {
	cause, reason := ended(err)
	s.byCause[cause].Add(1)
	if cause == CauseSilent {
		s.silent.Add(1)
	}
	ss.stream.SetTrailer(trailer(cause, reason))
	sl, full := s.slotOf(ss.region)
	if full != nil {
		return // regions beyond the limit are not remembered
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sl.ended = Ended{Region: ss.region, Node: ss.hello.Node, Cause: cause, Reason: reason, At: time.Now()}
	if err != nil {
		sl.ended.Detail = err.Error()
	}
}

// Sync implements the service.
func (s *Server) Sync(stream grpc.BidiStreamingServer[pb.Up, pb.Down]) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return status.Error(codes.Unavailable, "this server is stopping; connect to another")
	}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	s.streams.Add(1)

	who, err := peerOf(stream.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	stop := context.AfterFunc(s.ctx, func() { cancel(ErrClosed) })
	defer stop()

	ss := newServerSession(s, stream, ctx, cancel, who)
	refused, err := ss.open()
	if refused != nil {
		s.refusals.count(refused.Code)
		s.over(ss, refused)
		s.cfg.Logger.Warn("link: stream refused", "region", who.Region, "node", ss.hello.Node,
			"code", refused.Code.String(), "detail", refused.Detail)
		return stream.Send(&pb.Down{Message: &pb.Down_Refused{Refused: refusedToWire(refused)}})
	}
	if err != nil {
		s.over(ss, err)
		s.cfg.Logger.Warn("link: stream not opened", "region", who.Region, "err", err)
		return asStatus(err)
	}
	s.cfg.Logger.Info("link: region connected", "region", who.Region, "node", ss.hello.Node,
		"epoch", ss.hello.Epoch, "term", ss.hello.Term, "cursor", ss.welcome.CursorSeq)
	err = ss.run()
	s.over(ss, err)
	s.leave(ss)
	s.cfg.Logger.Info("link: region disconnected", "region", who.Region, "node", ss.hello.Node, "cause", err)
	if errors.As(err, &refused) {
		return nil // it was sent
	}
	return asStatus(err)
}

// peerOf is who the certificate names.
func peerOf(ctx context.Context) (identity.ID, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return identity.ID{}, errors.New("link: no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return identity.ID{}, errors.New("link: connection without TLS; use mutual TLS")
	}
	id, err := identity.FromState(info.State)
	if err != nil {
		return identity.ID{}, err
	}
	if id.Region == "" {
		return identity.ID{}, fmt.Errorf("link: %w: %s; only regions may connect", identity.ErrWrongPeer, id)
	}
	return id, nil
}

// asStatus keeps what is meant for the region; the rest is in our log.
func asStatus(err error) error {
	var unavailable *Unavailable
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrTakenOver), errors.Is(err, ErrSilent):
		return status.Error(codes.Aborted, err.Error())
	case errors.Is(err, ErrProtocol):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, ErrClosed):
		return status.Error(codes.Unavailable, "this server is stopping; connect to another")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the centre did not answer in time; try again")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "stream ended")
	case errors.As(err, &unavailable):
		return status.Error(codes.Unavailable, "the centre cannot take this now ("+unavailable.Reason+"); try again")
	default:
		return status.Error(codes.Unavailable, "the centre cannot take this now; try again")
	}
}
