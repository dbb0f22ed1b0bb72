package link

import (
	"context"
	"errors"
	"fmt"
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
	refusals                      [CodeProtocol + 1]atomic.Uint64
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
		Refusals: map[Code]uint64{},
	}
	for i := range s.refusals {
		if n := s.refusals[i].Load(); n > 0 {
			st.Refusals[Code(i)] = n
		}
	}
	return st
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
		s.countRefusal(refused)
		s.cfg.Logger.Warn("link: stream refused", "region", who.Region, "node", ss.hello.Node,
			"code", refused.Code.String(), "detail", refused.Detail)
		return stream.Send(&pb.Down{Message: &pb.Down_Refused{Refused: refusedToWire(refused)}})
	}
	if err != nil {
		s.cfg.Logger.Warn("link: stream not opened", "region", who.Region, "err", err)
		return asStatus(err)
	}
	s.cfg.Logger.Info("link: region connected", "region", who.Region, "node", ss.hello.Node,
		"epoch", ss.hello.Epoch, "term", ss.hello.Term, "cursor", ss.welcome.CursorSeq)
	err = ss.run()
	s.leave(ss)
	if errors.Is(err, ErrSilent) {
		s.silent.Add(1)
	}
	s.cfg.Logger.Info("link: region disconnected", "region", who.Region, "node", ss.hello.Node, "cause", err)
	if errors.Is(err, errRefusedSent) {
		return nil
	}
	return asStatus(err)
}

func (s *Server) countRefusal(r *Refused) {
	if r.Code < 0 || int(r.Code) >= len(s.refusals) {
		s.refusals[CodeUnspecified].Add(1)
		return
	}
	s.refusals[r.Code].Add(1)
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
	default:
		return status.Error(codes.Unavailable, "the centre cannot take this now; try again")
	}
}
