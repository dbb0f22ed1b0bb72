package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "meridian/proto/meridian/v1"
)

// clientSession is one stream. Everything is sent by one goroutine and received
// by another; the rest hand their messages over.
type clientSession struct {
	c       *Client
	ctx     context.Context
	cancel  context.CancelCauseFunc
	stream  grpc.BidiStreamingClient[pb.Up, pb.Down]
	quiet   *silence
	welcome Welcome
	acked   atomic.Bool
	over    atomic.Bool // Recv has returned an error

	applyQueue  chan *pb.Down
	batchQueue  chan *pb.Up
	wantedQueue chan *pb.Up
	headsQueue  chan *pb.Up

	mu          sync.Mutex
	credit      int
	inFlight    []uint64 // last seq of each unacknowledged batch, in order
	creditMoved chan struct{}
}

// open exchanges Hello and Welcome.
func (s *clientSession) open() error {
	h := s.c.source.Hello()
	h.Region, h.Node = s.c.cfg.Region, s.c.cfg.Node
	h.ProtocolVersion, h.MinProtocolVersion = ProtocolVersion, MinProtocolVersion
	h.Cluster, h.SoftwareVersion = s.c.cfg.Cluster, s.c.cfg.SoftwareVersion
	if err := s.stream.Send(&pb.Up{Message: &pb.Up_Hello{Hello: helloToWire(h)}}); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("send hello: %w", err)
	} // io.EOF: the stream has ended, Recv says why
	down, err := s.stream.Recv()
	if err != nil {
		s.over.Store(true)
		return fmt.Errorf("wait for welcome: %w", err)
	}
	switch m := down.GetMessage().(type) {
	case *pb.Down_Welcome:
		s.welcome = welcomeFromWire(m.Welcome)
	case *pb.Down_Refused:
		return refusedFromWire(m.Refused)
	default:
		return fmt.Errorf("%w: %T before the welcome", ErrProtocol, m)
	}
	if err := s.c.applier.Welcome(s.ctx, s.welcome); err != nil {
		return fmt.Errorf("%w: welcome: %w", errApply, err)
	}
	return nil
}

// told is what the centre said when it ended the stream: nothing when it has not,
// or when the connection broke. Ask after the stream's end only.
func (s *clientSession) told() metadata.MD {
	if !s.over.Load() {
		return nil
	}
	return s.stream.Trailer()
}

// run serves the stream until it fails or the context ends, and waits for its
// goroutines.
func (s *clientSession) run() error {
	var wg sync.WaitGroup
	for _, loop := range []func() error{
		s.receive, s.send, s.apply, s.pumpEntries, s.pumpWanted, s.pumpHeads,
		func() error { return s.quiet.watch(s.ctx, s.c.cfg.Silence) },
	} {
		wg.Go(func() {
			if err := loop(); err != nil {
				s.cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(s.ctx)
}

func (s *clientSession) receive() error {
	for {
		var down *pb.Down
		err := s.quiet.listen(func() (err error) {
			down, err = s.stream.Recv()
			return err
		})
		if err != nil {
			s.over.Store(true)
			return fmt.Errorf("receive: %w", err)
		}
		now := time.Now()
		switch m := down.GetMessage().(type) {
		case *pb.Down_Credit:
			s.setCredit(m.Credit, now)
			continue
		case *pb.Down_Refused:
			return refusedFromWire(m.Refused)
		case *pb.Down_Ack:
			s.release(m.Ack.GetSeq())
		case *pb.Down_Feed:
		default:
			return fmt.Errorf("%w: %T in the stream", ErrProtocol, m)
		}
		s.c.note(func(st *State) { st.LastContact = now })
		select {
		case s.applyQueue <- down:
		case <-s.ctx.Done():
			return nil
		}
	}
}

func (s *clientSession) setCredit(cr *pb.Credit, now time.Time) {
	s.mu.Lock()
	s.credit = min(int(cr.GetBatches()), s.c.cfg.MaxInFlight)
	credit, flying := s.credit, len(s.inFlight)
	s.mu.Unlock()
	wake(s.creditMoved)
	s.c.note(func(st *State) {
		st.LastContact, st.Credit, st.InFlight = now, credit, flying
		st.ClockSkew = time.UnixMicro(cr.GetClockUnixMicros()).Sub(now)
	})
}

// release frees the places of the batches that an acknowledgement covers.
func (s *clientSession) release(seq uint64) {
	s.mu.Lock()
	for len(s.inFlight) > 0 && s.inFlight[0] <= seq {
		s.inFlight = s.inFlight[1:]
	}
	flying := len(s.inFlight)
	s.mu.Unlock()
	s.acked.Store(true)
	s.c.acks.Add(1)
	wake(s.creditMoved)
	s.c.note(func(st *State) { st.InFlight = flying })
}

// awaitCredit returns false when the context ended.
func (s *clientSession) awaitCredit() bool {
	for {
		s.mu.Lock()
		free := len(s.inFlight) < s.credit
		s.mu.Unlock()
		if free {
			return true
		}
		select {
		case <-s.creditMoved:
		case <-s.ctx.Done():
			return false
		}
	}
}

// pumpEntries asks the Source for what comes after the cursor, and goes on from
// there; acknowledgements only free credit.
func (s *clientSession) pumpEntries() error {
	after := s.welcome.CursorSeq
	most := s.c.cfg.batchBytes()
	for s.awaitCredit() {
		b, err := s.c.source.Entries(s.ctx, after, s.c.cfg.MaxEntries, most)
		if s.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: entries after %d: %w", ErrSource, after, err)
		}
		if len(b.Entries) == 0 || len(b.Entries) > s.c.cfg.MaxEntries || b.FirstSeq != after+1 {
			return fmt.Errorf("%w: asked for 1 to %d entries after %d, got %d from %d on",
				ErrSource, s.c.cfg.MaxEntries, after, len(b.Entries), b.FirstSeq)
		}
		after = b.LastSeq()
		s.mu.Lock()
		s.inFlight = append(s.inFlight, after)
		flying := len(s.inFlight)
		s.mu.Unlock()
		s.c.note(func(st *State) { st.InFlight = flying })
		select {
		case s.batchQueue <- &pb.Up{Message: &pb.Up_Batch{Batch: batchToWire(b)}}:
		case <-s.ctx.Done():
			return nil
		}
		s.c.batches.Add(1)
		s.c.entries.Add(uint64(len(b.Entries)))
		if !s.pace(b) {
			return nil
		}
		s.c.bytes.Add(uint64(b.Bytes()))
	}
	return nil
}

func (s *clientSession) pumpWanted() error {
	for {
		w, err := s.c.source.Wanted(s.ctx)
		if s.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: wanted: %w", ErrSource, err)
		}
		if len(w.Items) == 0 {
			continue
		}
		select {
		case s.wantedQueue <- &pb.Up{Message: &pb.Up_Wanted{Wanted: wantedToWire(w)}}:
		case <-s.ctx.Done():
			return nil
		}
	}
}

func (s *clientSession) send() error {
	beat := time.NewTicker(s.c.cfg.Heartbeat)
	defer beat.Stop()
	up := s.health() // the centre knows the mode at once
	for {
		if err := s.stream.Send(up); errors.Is(err, io.EOF) {
			return nil // the receiver gets the reason
		} else if err != nil {
			return fmt.Errorf("send: %w", err)
		}
		select {
		case up = <-s.batchQueue:
		case up = <-s.wantedQueue:
		case up = <-s.headsQueue:
		case <-beat.C:
			up = s.health()
		case <-s.ctx.Done():
			return nil
		}
	}
}

func (s *clientSession) health() *pb.Up {
	return &pb.Up{Message: &pb.Up_Health{Health: healthToWire(s.c.source.Health())}}
}

func (s *clientSession) apply() error {
	last := uint64(0)
	for {
		var down *pb.Down
		select {
		case down = <-s.applyQueue:
		case <-s.ctx.Done():
			return nil
		}
		var err error
		switch m := down.GetMessage().(type) {
		case *pb.Down_Ack:
			err = s.c.applier.Acked(s.ctx, ackFromWire(m.Ack))
		case *pb.Down_Feed:
			last, err = s.applyFeed(rowsFromWire(m.Feed), last)
		}
		if s.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errApply, err)
		}
	}
}

func (s *clientSession) applyFeed(rows []Row, last uint64) (uint64, error) {
	for _, r := range rows {
		if r.Number <= last {
			return last, fmt.Errorf("%w: feed row %d after row %d", ErrProtocol, r.Number, last)
		}
		last = r.Number
	}
	if len(rows) == 0 {
		return last, fmt.Errorf("%w: feed without rows", ErrProtocol)
	}
	s.c.rows.Add(uint64(len(rows)))
	return last, s.c.applier.Feed(s.ctx, rows)
}

// wake leaves a token; one is enough for any number of changes.
func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
