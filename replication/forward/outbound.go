package forward

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	pb "meridian/proto/meridian/v1"
	"meridian/replication/identity"
)

var errIdle = errors.New("forward: stream was not used")

// outbound is one stream to one node, with a connection of its own: after a
// stream failed, nothing of its connection is trusted.
type outbound struct {
	pool   *Pool
	addr   string
	conn   *grpc.ClientConn
	client pb.ForwardClient
	stream grpc.BidiStreamingClient[pb.ProposeBatch, pb.ProposeResults]
	ctx    context.Context
	cancel context.CancelCauseFunc

	queue   chan *call
	heard   atomic.Int64 // nanoseconds since start
	busied  atomic.Int64 // last proposal, likewise
	start   time.Time
	mu      sync.Mutex
	nextID  uint64
	waiting map[uint64]*call
}

type call struct {
	cmds [][]byte
	done chan []Result // room for one
	id   uint64
}

func dial(ctx context.Context, p *Pool, addr string) (*outbound, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	p.wg.Add(1) // under the lock, so that Close waits for it
	p.mu.Unlock()
	defer p.wg.Done()

	conn, err := grpc.NewClient(addr,
		grpc.WithTransportCredentials(credentials.NewTLS(p.cfg.TLS)),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: p.cfg.ConnectTimeout}),
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(windowBytes),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(p.cfg.MaxBytes+messageSlack), grpc.MaxCallSendMsgSize(p.cfg.MaxBytes+messageSlack),
		),
	)
	if err != nil {
		return nil, fmt.Errorf("forward: connect to %s: %w", addr, err)
	}
	o := &outbound{
		pool: p, addr: addr, conn: conn, client: pb.NewForwardClient(conn), start: time.Now(),
		queue: make(chan *call), waiting: map[uint64]*call{},
	}
	o.ctx, o.cancel = context.WithCancelCause(p.ctx)
	if o.stream, err = o.openStream(ctx); err != nil {
		o.cancel(err)
		conn.Close()
		return nil, fmt.Errorf("forward: connect to %s: %w", addr, err)
	}
	now := int64(time.Since(o.start)) // connecting is not silence
	o.heard.Store(now)
	o.busied.Store(now)
	p.wg.Go(o.run)
	return o, nil
}

// openStream waits for the connection as long as the caller and the
// configuration allow; the stream itself lives longer than the caller.
func (o *outbound) openStream(ctx context.Context) (grpc.BidiStreamingClient[pb.ProposeBatch, pb.ProposeResults], error) {
	late := time.AfterFunc(o.pool.cfg.ConnectTimeout, func() {
		o.cancel(fmt.Errorf("no connection within %s: %w", o.pool.cfg.ConnectTimeout, context.DeadlineExceeded))
	})
	defer late.Stop()
	defer context.AfterFunc(ctx, func() { o.cancel(ctx.Err()) })()
	stream, err := o.client.Propose(o.pool.cfg.withParty(o.ctx))
	if cause := context.Cause(o.ctx); cause != nil {
		return nil, cause
	}
	return stream, err
}

// run serves the stream until it fails, then closes its connection.
func (o *outbound) run() {
	var wg sync.WaitGroup
	for _, loop := range []func() error{o.receive, o.send, o.watch} {
		wg.Go(func() {
			if err := loop(); err != nil {
				o.cancel(err)
			}
		})
	}
	wg.Wait()
	o.conn.Close()
	cause := context.Cause(o.ctx)
	if errors.Is(cause, errIdle) || errors.Is(cause, ErrClosed) {
		return
	}
	if errors.Is(cause, ErrRefused) {
		o.pool.refused.Add(1)
		if o.pool.said.first(o.addr + " " + cause.Error()) {
			o.pool.cfg.Logger.Error("forward: the other node refuses this one", "to", o.addr, "cause", cause)
		}
		return
	}
	o.pool.lost.Add(1)
	o.pool.cfg.Logger.Warn("forward: stream lost", "to", o.addr, "cause", cause)
}

func (o *outbound) receive() error {
	for {
		r, err := o.stream.Recv()
		if err != nil {
			return fmt.Errorf("receive: %w", refusal(err))
		}
		o.heard.Store(int64(time.Since(o.start)))
		o.mu.Lock()
		c := o.waiting[r.GetId()]
		delete(o.waiting, r.GetId())
		o.mu.Unlock()
		if c != nil {
			c.done <- resultsFromWire(r)
		}
	}
}

// send is the only sender; between proposals it probes. Probes carry ids that
// nobody waits for.
func (o *outbound) send() error {
	probe := time.NewTicker(o.pool.cfg.Probe)
	defer probe.Stop()
	for {
		b := &pb.ProposeBatch{}
		select {
		case c := <-o.queue:
			b.Id, b.Commands = c.id, c.cmds
		case <-probe.C:
		case <-o.ctx.Done():
			return nil
		}
		if err := o.stream.Send(b); err != nil {
			return nil // the receiver gets the reason
		}
	}
}

func (o *outbound) watch() error {
	t := time.NewTicker(o.pool.cfg.Probe / 2)
	defer t.Stop()
	for {
		select {
		case <-o.ctx.Done():
			return nil
		case <-t.C:
		}
		now := time.Since(o.start)
		if now-time.Duration(o.heard.Load()) > o.pool.cfg.Silence {
			return ErrSilent
		}
		if now-time.Duration(o.busied.Load()) > o.pool.cfg.Idle && o.idle() {
			return errIdle
		}
	}
}

func (o *outbound) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting) == 0
}

func (o *outbound) propose(ctx context.Context, cmds [][]byte) ([]Result, error) {
	c := &call{cmds: cmds, done: make(chan []Result, 1)}
	o.busied.Store(int64(time.Since(o.start)))
	o.mu.Lock()
	o.nextID++ // from 1: 0 is for probes
	c.id = o.nextID
	o.waiting[c.id] = c
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		delete(o.waiting, c.id)
		o.mu.Unlock()
	}()
	select {
	case o.queue <- c: // from here on it may have left
	case <-o.ctx.Done():
		return nil, fmt.Errorf("%w: stream to %s failed before: %w", ErrNotSent, o.addr, context.Cause(o.ctx))
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: to %s: %w", ErrNotSent, o.addr, ctx.Err())
	}
	select {
	case rs := <-c.done:
		if len(rs) != len(cmds) {
			return nil, fmt.Errorf("%w: %s gave %d results for %d commands", ErrOutcomeUnknown, o.addr, len(rs), len(cmds))
		}
		return rs, nil
	case <-o.ctx.Done():
		return nil, fmt.Errorf("%w: stream to %s failed: %w", ErrOutcomeUnknown, o.addr, context.Cause(o.ctx))
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: no answer from %s: %w", ErrOutcomeUnknown, o.addr, ctx.Err())
	}
}

func (o *outbound) status(ctx context.Context) (Status, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(o.ctx, func() { cancel(context.Cause(o.ctx)) })()
	var from peer.Peer
	r, err := o.client.Status(o.pool.cfg.withParty(ctx), &pb.StatusRequest{}, grpc.Peer(&from))
	if err != nil {
		err = refusal(err)
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return Status{}, fmt.Errorf("forward: status of %s: %w", o.addr, err)
	}
	st := statusFromWire(r)
	if id, err := nodeOf(&from, o.pool.cfg.Region); err != nil || id.Node != st.Node {
		return Status{}, fmt.Errorf("forward: status of %s: it says it is node %q and proves to be %s: %w", o.addr, st.Node, id, identity.ErrWrongPeer)
	}
	return st, nil
}

// heads also proves who answered: an address alone does not.
func (o *outbound) heads(ctx context.Context, q HeadsQuery) (Heads, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(o.ctx, func() { cancel(context.Cause(o.ctx)) })()
	var from peer.Peer
	r, err := o.client.Heads(o.pool.cfg.withParty(ctx), &pb.HeadsRequest{AfterIndex: q.AfterIndex, AfterSigned: q.AfterSigned}, grpc.Peer(&from))
	if err != nil {
		err = refusal(err)
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return Heads{}, fmt.Errorf("forward: heads of %s: %w", o.addr, err)
	}
	id, err := nodeOf(&from, o.pool.cfg.Region)
	if err != nil {
		return Heads{}, fmt.Errorf("forward: heads of %s: %w", o.addr, err)
	}
	return Heads{From: id.Node, Points: r.GetPoints(), Signed: r.GetSigned(), Yours: r.GetYours()}, nil
}
