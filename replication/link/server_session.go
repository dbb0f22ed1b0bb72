package link

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	pb "meridian/proto/meridian/v1"
	"meridian/replication/identity"
)

// serverSession is one stream of one region.
type serverSession struct {
	srv    *Server
	stream grpc.BidiStreamingServer[pb.Up, pb.Down]
	ctx    context.Context
	cancel context.CancelCauseFunc
	who    identity.ID
	quiet  *silence

	region  string
	since   time.Time
	hello   Hello
	welcome Welcome
	done    chan struct{} // closed when the session no longer uses the Sink

	batches chan Batch    // room for all the credit
	out     chan *pb.Down // acknowledgements, rows, a refusal
	wanted  *wantedQueue
	heads   chan [][]byte

	refusing atomic.Bool
}

func newServerSession(
	srv *Server, stream grpc.BidiStreamingServer[pb.Up, pb.Down],
	ctx context.Context, cancel context.CancelCauseFunc, who identity.ID,
) *serverSession {
	return &serverSession{
		srv: srv, stream: stream, ctx: ctx, cancel: cancel, who: who, quiet: newSilence(), region: who.Region, since: time.Now(),
		done: make(chan struct{}), batches: make(chan Batch, srv.cfg.Credit), out: make(chan *pb.Down, srv.cfg.Credit),
		wanted: newWantedQueue(srv.cfg.MaxWanted), heads: make(chan [][]byte, maxHeadMessages),
	}
}

// open reads the Hello and answers it.
func (ss *serverSession) open() (*Refused, error) {
	ctx, cancel := context.WithTimeout(ss.ctx, ss.srv.cfg.HelloTimeout)
	defer cancel()
	up, err := ss.receiveHello(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: wait for the hello of region %s: %w", errTransport, ss.region, err)
	}
	h := up.GetHello()
	if h == nil {
		return &Refused{Code: CodeProtocol, Detail: fmt.Sprintf("%T before the hello", up.GetMessage()), Remedy: "send Hello first"}, nil
	}
	ss.hello = helloFromWire(h)
	if refused := ss.checkHello(); refused != nil {
		return refused, nil
	}
	refused, err := ss.srv.admit(ctx, ss)
	if refused != nil || err != nil {
		return refused, err
	}
	err = ss.stream.Send(&pb.Down{Message: &pb.Down_Welcome{Welcome: welcomeToWire(ss.welcome)}})
	if err == nil {
		err = ss.stream.Send(ss.credit())
	}
	if err != nil {
		ss.srv.leave(ss)
		return nil, fmt.Errorf("%w: send welcome to region %s: %w", errTransport, ss.region, err)
	}
	return nil, nil
}

// receiveHello is Recv with a time limit: the stream's own context ends only
// when the handler returns.
func (ss *serverSession) receiveHello(ctx context.Context) (*pb.Up, error) {
	type result struct {
		up  *pb.Up
		err error
	}
	got := make(chan result, 1)
	ss.srv.wg.Go(func() {
		up, err := ss.stream.Recv()
		got <- result{up, err}
	})
	select {
	case r := <-got:
		return r.up, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (ss *serverSession) checkHello() *Refused {
	h := ss.hello
	cfg := ss.srv.cfg
	ours := identity.Party{Cluster: cfg.Cluster, Min: MinProtocolVersion, Max: ProtocolVersion, Software: cfg.SoftwareVersion}
	theirs := identity.Party{Cluster: h.Cluster, Min: h.MinProtocolVersion, Max: h.ProtocolVersion, Software: h.SoftwareVersion}
	if theirs.Min == 0 || theirs.Min > theirs.Max {
		theirs.Min = theirs.Max
	}
	mismatch := ours.Fit(theirs)
	switch {
	case mismatch != nil && mismatch.Cause == identity.CauseCluster:
		return &Refused{
			Code:   CodeCluster,
			Detail: fmt.Sprintf("the region belongs to cluster %q, this centre to %q", theirs.Cluster, ours.Cluster),
			Remedy: "give the node the addresses of its own centre, or correct the cluster in the configuration",
		}
	case mismatch != nil:
		return &Refused{
			Code: CodeVersion,
			Detail: fmt.Sprintf("the region speaks protocol %d to %d (software %s), this centre %d to %d (software %s)",
				theirs.Min, theirs.Max, theirs.Software, ours.Min, ours.Max, ours.Software),
			Remedy: "upgrade the older side",
		}
	case h.Region != ss.who.Region || ss.who.Node != "" && h.Node != ss.who.Node:
		return &Refused{
			Code:   CodeRegionMismatch,
			Detail: fmt.Sprintf("the hello names %s, the certificate %s", identity.Node(h.Region, h.Node), ss.who),
			Remedy: "give the node the certificate that was issued for it",
		}
	}
	return nil
}

// run serves until the first failure. It returns once nothing uses the Sink any
// more; the two goroutines that are inside gRPC end when the handler returns.
func (ss *serverSession) run() error {
	fail := func(loop func() error) func() {
		return func() {
			if err := loop(); err != nil {
				ss.cancel(err)
			}
		}
	}
	ss.srv.wg.Go(fail(ss.receive))
	ss.srv.wg.Go(fail(ss.send))
	var sinks sync.WaitGroup
	sinks.Go(fail(ss.ingest))
	sinks.Go(fail(ss.passWanted))
	sinks.Go(fail(ss.passHeads))
	sinks.Go(fail(ss.feed))
	sinks.Go(fail(func() error { return ss.quiet.watch(ss.ctx, ss.srv.cfg.Silence) }))
	sinks.Wait()
	return context.Cause(ss.ctx)
}

func (ss *serverSession) receive() error {
	for {
		var up *pb.Up
		err := ss.quiet.listen(func() (err error) {
			up, err = ss.stream.Recv()
			return err
		})
		if err != nil {
			return fmt.Errorf("%w: receive from region %s: %w", errTransport, ss.region, err)
		}
		if ss.refusing.Load() || ss.ctx.Err() != nil {
			continue
		}
		switch m := up.GetMessage().(type) {
		case *pb.Up_Batch:
			ss.take(batchFromWire(m.Batch))
		case *pb.Up_Wanted:
			if !ss.wanted.add(wantedFromWire(m.Wanted)) {
				ss.refuse(&Refused{
					Code: CodeProtocol, Detail: fmt.Sprintf("more than %d wanted totals wait", ss.srv.cfg.MaxWanted),
					Remedy: "connect again; they are sent anew",
				})
			}
		case *pb.Up_Heads:
			ss.takeHeads(m.Heads.GetHeads())
		case *pb.Up_Health:
			ss.srv.sink.Health(ss.ctx, ss.region, healthFromWire(m.Health))
		default:
			ss.refuse(&Refused{Code: CodeProtocol, Detail: fmt.Sprintf("%T in the stream", m), Remedy: "upgrade the region's software"})
		}
	}
}

// take queues a batch. The queue has room for all the credit that was given, so
// a full one means that the region ignores it.
func (ss *serverSession) take(b Batch) {
	cfg := ss.srv.cfg
	n := len(b.Entries)
	if n == 0 || n > cfg.MaxEntries || n > 1 && b.Bytes() > cfg.MaxBytes {
		ss.refuse(&Refused{
			Code:   CodeProtocol,
			Detail: fmt.Sprintf("batch of %d entries, %d bytes; 1 to %d entries and %d bytes are allowed", n, b.Bytes(), cfg.MaxEntries, cfg.MaxBytes),
			Remedy: "lower the region's batch limits",
		})
		return
	}
	b.Term, b.Node = ss.hello.Term, ss.hello.Node
	select {
	case ss.batches <- b:
	default:
		ss.refuse(&Refused{
			Code: CodeProtocol, Detail: fmt.Sprintf("more than %d unacknowledged batches", cfg.Credit), Remedy: "honour the credit",
		})
	}
}

func (ss *serverSession) ingest() error {
	for {
		var b Batch
		select {
		case b = <-ss.batches:
		case <-ss.ctx.Done():
			return nil
		}
		ack, refused, err := ss.srv.sink.Ingest(ss.ctx, ss.region, b)
		if ss.ctx.Err() != nil {
			return nil
		}
		if refused != nil {
			ss.refuse(refused)
			return nil
		}
		if err != nil {
			return fmt.Errorf("link: take in entries %d to %d of region %s: %w", b.FirstSeq, b.LastSeq(), ss.region, err)
		}
		ss.srv.batches.Add(1)
		ss.srv.entries.Add(uint64(len(b.Entries)))
		ss.srv.bytes.Add(uint64(b.Bytes()))
		ss.queue(&pb.Down{Message: &pb.Down_Ack{Ack: ackToWire(ack)}})
	}
}

func (ss *serverSession) passWanted() error {
	for {
		select {
		case <-ss.wanted.ready:
		case <-ss.ctx.Done():
			return nil
		}
		w := ss.wanted.take()
		if len(w.Items) == 0 {
			continue
		}
		err := ss.srv.sink.Wanted(ss.ctx, ss.region, w)
		if ss.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("link: %d wanted totals of region %s: %w", len(w.Items), ss.region, err)
		}
	}
}

// feed sends rows from where the region is, and on as they come.
func (ss *serverSession) feed() error {
	after := ss.hello.FeedVersion
	if ss.welcome.Epoch > ss.hello.Epoch { // a new epoch begins with the first row
		after = 0
	}
	poll := time.NewTicker(ss.srv.cfg.FeedPoll)
	defer poll.Stop()
	for ss.ctx.Err() == nil {
		signal := ss.srv.sink.FeedSignal(ss.region) // before the read, so that nothing falls between
		read := ss.srv.sink.Feed
		if ss.hello.takesNewest && after+uint64(ss.srv.cfg.FarBehind) < ss.welcome.FeedLast {
			read = ss.srv.sink.FeedNewest
		}
		rows, err := read(ss.ctx, ss.region, after, ss.srv.cfg.MaxRows)
		if ss.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("link: read feed of region %s after %d: %w", ss.region, after, err)
		}
		for _, r := range rows {
			if r.Number <= after || r.Skipped != r.Number-after-1 {
				return fmt.Errorf("link: sink's feed of region %s has row %d, %d skipped, after row %d", ss.region, r.Number, r.Skipped, after)
			}
			after = r.Number
		}
		if len(rows) > 0 {
			ss.sendRows(rows)
			continue
		}
		select {
		case <-signal:
		case <-poll.C:
		case <-ss.ctx.Done():
		}
	}
	return nil
}

// sendRows splits by size: messages have a limit, rows are few but may be long.
func (ss *serverSession) sendRows(rows []Row) {
	for len(rows) > 0 {
		n, size := 0, 0
		for n < len(rows) && (n == 0 || size+len(rows[n].Body) <= ss.srv.cfg.MaxBytes) {
			size += len(rows[n].Body)
			n++
		}
		ss.queue(&pb.Down{Message: &pb.Down_Feed{Feed: rowsToWire(rows[:n])}})
		ss.srv.rows.Add(uint64(n))
		rows = rows[n:]
	}
}

func (ss *serverSession) queue(d *pb.Down) {
	select {
	case ss.out <- d:
	case <-ss.ctx.Done():
	}
}

// refuse sends the reason as the last message; see send. The first reason
// counts: what still comes in meanwhile is not looked at.
func (ss *serverSession) refuse(r *Refused) {
	if ss.refusing.Swap(true) {
		return
	}
	ss.srv.refusals.count(r.Code)
	ss.srv.cfg.Logger.Warn("link: stream refused", "region", ss.region, "node", ss.hello.Node,
		"code", r.Code.String(), "detail", r.Detail)
	ss.queue(&pb.Down{Message: &pb.Down_Refused{Refused: refusedToWire(r)}})
}

func (ss *serverSession) send() error {
	beat := time.NewTicker(ss.srv.cfg.Heartbeat)
	defer beat.Stop()
	for {
		var down *pb.Down
		select {
		case down = <-ss.out:
		case <-beat.C:
			down = ss.credit()
		case <-ss.ctx.Done():
			return nil
		}
		if err := ss.stream.Send(down); err != nil {
			return fmt.Errorf("%w: send to region %s: %w", errTransport, ss.region, err)
		}
		if r := down.GetRefused(); r != nil {
			return refusedFromWire(r)
		}
	}
}

func (ss *serverSession) credit() *pb.Down {
	return &pb.Down{Message: &pb.Down_Credit{Credit: &pb.Credit{
		Batches: uint32(ss.srv.cfg.Credit), ClockUnixMicros: time.Now().UnixMicro(),
	}}}
}
