package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/edge/command"
	"meridian/replication/forward"
	"meridian/replication/raftnode"
)

const (
	// retryPause is the wait before a command is tried again while the region has
	// no leader that takes it.
	retryPause = 20 * time.Millisecond
	// batchBytes bounds the commands of one log entry, so that one message to the
	// leader or a follower takes them. A larger command goes alone.
	batchBytes = 1 << 20
	// enqueueWait is how long raft may take to take a batch into its queue.
	enqueueWait = time.Second
)

// batch gathers commands into log entries. While nothing is on the way a command
// leaves at once; under load a batch fills while the ones before it commit.
func (s *Store) batch() {
	defer s.drain()
	var first *pending
	for {
		if first == nil {
			select {
			case first = <-s.queue:
			case <-s.ctx.Done():
				return
			}
		}
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			first.done(command.Result{}, ErrClosed)
			return
		}
		items, rest := s.gather(first)
		first = rest
		s.batches.Add(1)
		s.commands.Add(uint64(len(items)))
		s.wg.Go(func() {
			s.send(items)
			<-s.slots
		})
	}
}

// gather fills a batch. rest is a command that was taken from the queue and did
// not fit, or nil.
func (s *Store) gather(first *pending) (items []*pending, rest *pending) {
	items, size := append(make([]*pending, 0, 64), first), len(first.raw)
	var linger <-chan time.Time
	for len(items) < s.cfg.BatchMax && size < batchBytes {
		var p *pending
		select {
		case p = <-s.queue:
		default:
			wait := lingerFor(time.Duration(s.commitTime.Load()), s.cfg.BatchesMax, s.cfg.Linger)
			if len(s.slots) <= 1 || wait == 0 {
				return items, nil
			}
			if linger == nil {
				t := time.NewTimer(wait)
				defer t.Stop()
				linger = t.C
			}
			select {
			case p = <-s.queue:
			case <-linger:
				return items, nil
			case <-s.ctx.Done():
				return items, nil
			}
		}
		if size += len(p.raw); size > batchBytes {
			return items, p
		}
		items = append(items, p)
	}
	return items, nil
}

// lingerFor is how long a batch waits for more: with so many on the way at once,
// each for the time that a batch takes, one ends every share of that time. To
// leave more often would only make more and smaller log entries, and fsyncs.
func lingerFor(commitTime time.Duration, batches int, most time.Duration) time.Duration {
	return min(commitTime/time.Duration(batches), most)
}

// tookToCommit moves the average an eighth of the way. Of two at once one may be
// lost: it is an estimate.
func (s *Store) tookToCommit(d time.Duration) {
	old := s.commitTime.Load()
	s.commitTime.Store(old + (int64(d)-old)/8)
}

// send commits a batch, itself or through the leader. What certainly was not
// proposed, or whose outcome is unknown, goes back into the queue until its time
// is over.
func (s *Store) send(items []*pending) {
	var err error
	began := time.Now()
	if s.IsLeader() {
		err = s.commit(items)
	} else if items = s.keepOwn(items); len(items) > 0 {
		err = s.pass(items)
	}
	if err == nil {
		s.tookToCommit(time.Since(began))
		return
	}
	select {
	case <-s.ctx.Done():
	case <-time.After(retryPause):
	}
	for _, p := range items {
		if p.done != nil {
			s.retry(p, err)
		}
	}
}

// keepOwn ends what came from other nodes: passed on again, it could go round for
// ever between nodes that each take the other for the leader.
func (s *Store) keepOwn(items []*pending) []*pending {
	own := make([]*pending, 0, len(items))
	for _, p := range items {
		if p.local {
			s.finish(p, command.Result{}, fmt.Errorf("%w: it was when the command came", forward.ErrNotLeader))
			continue
		}
		own = append(own, p)
	}
	return own
}

func (s *Store) retry(p *pending, err error) {
	switch {
	case p.local && raftnode.NotProposed(err):
		s.finish(p, command.Result{}, fmt.Errorf("%w: %w", forward.ErrNotLeader, err))
	case p.local:
		s.finish(p, command.Result{}, fmt.Errorf("%w: %w", forward.ErrOutcomeUnknown, err))
	case time.Now().After(p.deadline):
		s.timeouts.Add(1)
		s.finish(p, command.Result{}, fmt.Errorf("%w: %w", ErrTimeout, err))
	default:
		s.retries.Add(1)
		s.enqueue(p)
	}
}

func raws(items []*pending) [][]byte {
	out := make([][]byte, len(items))
	for i, p := range items {
		out[i] = p.raw
	}
	return out
}

// commit proposes the batch as one log entry on this node.
func (s *Store) commit(items []*pending) error {
	began := time.Now()
	future := s.Raft().Apply(command.EncodeBatch(raws(items)), enqueueWait)
	if err := future.Error(); err != nil {
		return err
	}
	s.commits.Add(time.Since(began))
	if err, failed := future.Response().(error); failed {
		return err
	}
	results, ok := future.Response().([]command.Result)
	if !ok || len(results) != len(items) {
		return fmt.Errorf("edge/store: %T for %d commands", future.Response(), len(items))
	}
	for i, p := range items {
		s.finish(p, results[i], nil)
	}
	return nil
}

func (s *Store) finish(p *pending, r command.Result, err error) {
	done := p.done
	p.done = nil
	done(r, err)
}

// pass sends the batch to the leader.
func (s *Store) pass(items []*pending) error {
	id, _ := s.Raft().Leader()
	addr, ok := s.address(id)
	if id == "" || id == s.cfg.Raft.NodeID || !ok { // itself: it gives leadership up
		return forward.ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.ProposeTimeout)
	defer cancel()
	return s.passTo(ctx, addr, items)
}

// passTo ends what the leader answered; the error is about the rest. A batch that
// is refused as a whole is halved, until only what is to blame for it fails.
func (s *Store) passTo(ctx context.Context, addr string, items []*pending) error {
	results, err := s.forward.Propose(ctx, addr, raws(items))
	if errors.Is(err, forward.ErrInvalid) {
		if len(items) == 1 {
			s.finish(items[0], command.Result{}, err)
			return nil
		}
		half := len(items) / 2
		return errors.Join(s.passTo(ctx, addr, items[:half]), s.passTo(ctx, addr, items[half:]))
	}
	if err != nil {
		return err
	}
	var again error
	for i, p := range items {
		switch err := results[i].Err(); {
		case errors.Is(err, forward.ErrInvalid):
			s.finish(p, command.Result{}, err)
		case err != nil:
			again = err
		default:
			r, err := command.DecodeResult(results[i].Value)
			s.finish(p, r, err)
		}
	}
	return again
}
