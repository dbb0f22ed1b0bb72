package forward

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	pb "meridian/proto/meridian/v1"
	"meridian/replication/identity"
)

// ServerStats only rise.
type ServerStats struct {
	Streams, Batches, Commands, Probes, Busy uint64

	Refused        uint64 // calls of nodes that must not call
	RefusedCluster uint64 // of these, nodes of another installation
	RefusedVersion uint64 // of these, nodes of a version that does not fit
}

// Server takes batches from the region's other nodes.
type Server struct {
	pb.UnimplementedForwardServer
	cfg      Config
	proposer Proposer
	status   func() Status
	heads    func(asker string, q HeadsQuery) Heads

	mu     sync.Mutex
	closed bool
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	streams, batches, commands, probes, busy, refused atomic.Uint64
	refusedCluster, refusedVersion                    atomic.Uint64
	said                                              once
}

// NewServer checks the configuration. status is called for every question about
// this node and must not block.
func NewServer(cfg Config, p Proposer, status func() Status) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if p == nil || status == nil {
		return nil, errors.New("forward server: Proposer and status must be given")
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{cfg: cfg, proposer: p, status: status, ctx: ctx, cancel: cancel}, nil
}

// Register puts the service on a gRPC server, which was made with GRPCOptions.
func (s *Server) Register(r grpc.ServiceRegistrar) { pb.RegisterForwardServer(r, s) }

// Stats reads the counters.
func (s *Server) Stats() ServerStats {
	return ServerStats{
		Streams: s.streams.Load(), Batches: s.batches.Load(), Commands: s.commands.Load(),
		Probes: s.probes.Load(), Busy: s.busy.Load(), Refused: s.refused.Load(),
		RefusedCluster: s.refusedCluster.Load(), RefusedVersion: s.refusedVersion.Load(),
	}
}

// Close ends every stream and waits for the proposals that are under way. Stop
// the gRPC server after it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}

// Status implements the service.
func (s *Server) Status(ctx context.Context, _ *pb.StatusRequest) (*pb.StatusReply, error) {
	if err := s.authorize(ctx); err != nil {
		return nil, err
	}
	return statusToWire(s.status()), nil
}

// AnswerHeads sets what answers to other nodes' comparisons, before Register. fn
// must not block.
func (s *Server) AnswerHeads(fn func(asker string, q HeadsQuery) Heads) { s.heads = fn }

// Heads implements the service.
func (s *Server) Heads(ctx context.Context, q *pb.HeadsRequest) (*pb.HeadsReply, error) {
	peer, err := s.peer(ctx)
	if err != nil {
		return nil, err
	}
	if s.heads == nil {
		return nil, status.Error(codes.Unimplemented, "this node compares no heads")
	}
	h := s.heads(peer.Node, HeadsQuery{AfterIndex: q.GetAfterIndex(), AfterSigned: q.GetAfterSigned()})
	return &pb.HeadsReply{Points: h.Points, Signed: h.Signed, Yours: h.Yours}, nil
}

// authorize checks the region here as well as in the TLS settings, which come
// from outside.
func (s *Server) authorize(ctx context.Context) error {
	_, err := s.peer(ctx)
	return err
}

// peer is the node of the region that calls.
func (s *Server) peer(ctx context.Context) (identity.ID, error) {
	p, _ := peer.FromContext(ctx)
	id, err := nodeOf(p, s.cfg.Region)
	if err != nil {
		s.refused.Add(1)
		return id, status.Error(codes.PermissionDenied, err.Error())
	}
	return id, s.fits(ctx, p, id)
}

// fits refuses nodes of another installation or version. It is logged once and
// counted each time.
func (s *Server) fits(ctx context.Context, from *peer.Peer, id identity.ID) error {
	theirs, err := partyOf(ctx)
	if err != nil {
		s.refused.Add(1)
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	mismatch := s.cfg.Party.Fit(theirs)
	if mismatch == nil {
		return nil
	}
	s.refused.Add(1)
	if mismatch.Cause == identity.CauseCluster {
		s.refusedCluster.Add(1)
	} else {
		s.refusedVersion.Add(1)
	}
	if s.said.first(id.String() + " " + mismatch.Error()) {
		s.cfg.Logger.Error("forward: node refused", "node", id.String(), "from", from.Addr.String(), "cause", mismatch.Cause, "detail", mismatch.Error())
	}
	// The text is for the other side: ours is theirs there.
	back := &identity.Mismatch{Cause: mismatch.Cause, Ours: mismatch.Theirs, Theirs: mismatch.Ours}
	return status.Error(codes.FailedPrecondition, back.Error())
}

// nodeOf is the node of the region at the other end, by its certificate.
func nodeOf(p *peer.Peer, region string) (identity.ID, error) {
	if p == nil {
		return identity.ID{}, errors.New("forward: no peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return identity.ID{}, errors.New("forward: connection without TLS; use mutual TLS")
	}
	id, err := identity.FromState(info.State)
	if err != nil {
		return identity.ID{}, err
	}
	return id, identity.NodesOf(region)(id)
}

// Propose implements the service.
func (s *Server) Propose(stream grpc.BidiStreamingServer[pb.ProposeBatch, pb.ProposeResults]) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return status.Error(codes.Unavailable, "this node is stopping")
	}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	if err := s.authorize(stream.Context()); err != nil {
		return err
	}
	s.streams.Add(1)
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()

	in := &inbound{
		s: s, ctx: ctx, cancel: cancel, stream: stream, slots: make(chan struct{}, s.cfg.MaxInFlight),
		// Room for every result and a probe's answer beside: whoever answers
		// does not wait for the network.
		out: make(chan *pb.ProposeResults, s.cfg.MaxInFlight+1),
	}
	s.wg.Go(in.receive) // ends when this handler returns
	s.wg.Go(in.send)
	<-ctx.Done()
	return status.Error(codes.Unavailable, "stream ended")
}

// inbound is one stream from one node.
type inbound struct {
	s      *Server
	ctx    context.Context
	cancel context.CancelFunc
	stream grpc.BidiStreamingServer[pb.ProposeBatch, pb.ProposeResults]
	slots  chan struct{}
	out    chan *pb.ProposeResults
}

func (in *inbound) receive() {
	defer in.cancel()
	for {
		b, err := in.stream.Recv()
		if err != nil || in.ctx.Err() != nil {
			return
		}
		if len(b.GetCommands()) == 0 {
			in.s.probes.Add(1)
			in.answer(b.GetId(), nil)
			continue
		}
		n := len(b.GetCommands())
		if err := in.s.cfg.check(b.GetCommands()); err != nil {
			in.answer(b.GetId(), Same(n, Result{Code: CodeInvalid, Detail: err.Error()}))
			continue
		}
		select {
		case in.slots <- struct{}{}:
			// The server waits for it. Receive itself is counted there, so the
			// count never rises from zero beside a Wait.
			in.s.wg.Go(func() {
				defer func() { <-in.slots }()
				in.propose(b)
			})
		default:
			in.s.busy.Add(1)
			in.answer(b.GetId(), Same(n, Result{
				Code: CodeBusy, Detail: fmt.Sprintf("%d batches of this node wait already", in.s.cfg.MaxInFlight),
			}))
		}
	}
}

func (in *inbound) propose(b *pb.ProposeBatch) {
	n := len(b.GetCommands())
	in.s.batches.Add(1)
	in.s.commands.Add(uint64(n))
	rs := in.s.proposer.ProposeBatch(in.ctx, b.GetCommands())
	if len(rs) != n {
		rs = Same(n, Result{Code: CodeOutcomeUnknown, Detail: fmt.Sprintf("the leader gave %d results for %d commands", len(rs), n)})
	}
	in.answer(b.GetId(), rs)
}

func (in *inbound) answer(id uint64, rs []Result) {
	select {
	case in.out <- resultsToWire(id, rs):
	case <-in.ctx.Done():
	}
}

func (in *inbound) send() {
	defer in.cancel()
	for {
		select {
		case r := <-in.out:
			if err := in.stream.Send(r); err != nil {
				return
			}
		case <-in.ctx.Done():
			return
		}
	}
}
