package link

import (
	"cmp"
	"context"
	"fmt"
)

// slot orders the streams of one region. Its fields are guarded by Server.mu;
// admitting is held, one at a time, by the stream that is being admitted.
type slot struct {
	admitting   chan struct{}
	epoch, term uint64 // of the newest stream that was welcomed
	node        string
	live        *serverSession
	ended       Ended
}

func (s *Server) slotOf(region string) (*slot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl := s.slots[region]
	if sl == nil {
		if len(s.slots) >= s.cfg.MaxRegions {
			return nil, fmt.Errorf("link: %d regions are known, the most allowed; raise MaxRegions", len(s.slots))
		}
		sl = &slot{admitting: make(chan struct{}, 1)}
		s.slots[region] = sl
	}
	return sl, nil
}

// admit lets a stream in if none of a higher order was seen, after the one that
// it replaces has stopped using the Sink, and if the Sink agrees.
func (s *Server) admit(ctx context.Context, ss *serverSession) (*Refused, error) {
	sl, err := s.slotOf(ss.region)
	if err != nil {
		return nil, err
	}
	s.challenge(ctx, sl, ss.hello)
	select {
	case sl.admitting <- struct{}{}:
		defer func() { <-sl.admitting }()
	case <-ctx.Done():
		return nil, fmt.Errorf("link: wait for another stream of region %s: %w", ss.region, context.Cause(ctx))
	}
	s.mu.Lock()
	refused, old := sl.judge(ss.hello), sl.live
	s.mu.Unlock()
	if refused != nil {
		return refused, nil
	}
	if old != nil {
		s.takeovers.Add(1)
		old.cancel(ErrTakenOver)
		select {
		case <-old.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("link: wait for the stream before of region %s to end: %w", ss.region, context.Cause(ctx))
		}
	}
	welcome, refused, err := s.sink.Hello(ctx, ss.region, ss.hello)
	if refused != nil || err != nil {
		return refused, err
	}
	ss.welcome = welcome
	s.mu.Lock()
	defer s.mu.Unlock()
	sl.epoch, sl.term, sl.node, sl.live = ss.hello.Epoch, ss.hello.Term, ss.hello.Node, ss
	return nil, nil
}

// challenge ends the live stream of another node that claims the same order,
// unless something is heard of it soon: a leader that was deposed and then
// stopped keeps its connection open without a word, and must not keep the
// region's true leader out for all of Silence. One that lives is heard within
// Heartbeat.
func (s *Server) challenge(ctx context.Context, sl *slot, h Hello) {
	s.mu.Lock()
	live := sl.live
	rival := live != nil && sl.epoch == h.Epoch && sl.term == h.Term && sl.node != h.Node
	s.mu.Unlock()
	if !rival {
		return
	}
	patience := max(s.cfg.Silence/2, s.cfg.Heartbeat+s.cfg.Heartbeat/2)
	if !live.quiet.answers(ctx, patience) && ctx.Err() == nil {
		live.cancel(ErrSilent)
	}
}

// judge compares a stream with the one that is connected. Of two nodes that claim one
// term only one is connected at a time. When none is, nobody is in its way: the Sink
// knows epochs, terms and ledgers, and tells what is founded anew, or restored from an
// ended epoch and was given the present one, from what was deposed.
func (sl *slot) judge(h Hello) *Refused {
	if sl.live == nil || sl.live.ctx.Err() != nil {
		return nil
	}
	switch cmp.Or(cmp.Compare(h.Epoch, sl.epoch), cmp.Compare(h.Term, sl.term)) {
	case 1:
		return nil
	case 0:
		if sl.node == h.Node {
			return nil // the same leader again, whose stream before is half open
		}
		return &Refused{
			Code:   CodeStaleTerm,
			Detail: fmt.Sprintf("node %s of this region is connected as the leader of epoch %d, term %d", sl.node, h.Epoch, h.Term),
			Remedy: "none needed if the other was just deposed: its stream ends by itself; if this goes on, check that both nodes belong to the same cluster",
		}
	}
	if h.Epoch < sl.epoch {
		return &Refused{
			Code:   CodeStaleEpoch,
			Detail: fmt.Sprintf("epoch %d, node %s of this region is connected with epoch %d; this ledger ends at %d/%d/%x", h.Epoch, sl.node, sl.epoch, h.Epoch, h.LastSeq, h.HeadHash),
			Remedy: "this data is from before the region was closed or restored; keep it for reconciliation",
		}
	}
	return &Refused{
		Code:   CodeStaleTerm,
		Detail: fmt.Sprintf("term %d, node %s leads with term %d", h.Term, sl.node, sl.term),
		Remedy: "none needed: a newer leader has taken over",
	}
}

// leave frees the region's place and lets a stream that waits for it go on.
func (s *Server) leave(ss *serverSession) {
	s.mu.Lock()
	if sl := s.slots[ss.region]; sl != nil && sl.live == ss {
		sl.live = nil
	}
	s.mu.Unlock()
	close(ss.done)
}
