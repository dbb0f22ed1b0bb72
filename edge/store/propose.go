package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/canon"
	"meridian/internal/verify"
	"meridian/replication/forward"
)

// pending is a command on its way into the log.
type pending struct {
	raw      []byte
	deadline time.Time
	local    bool // came from another node, which tries again: never passed on
	done     func(command.Result, error)
}

// Propose hands a command to the region's log from any node. done is called
// once, from any goroutine, when a majority has it on disk and it is applied, or
// with an error: then it may or may not be applied later. Propose never blocks.
//
// Commands are repeatable by their nature, so one whose fate is unknown is simply
// tried again until its time is over.
func (s *Store) Propose(c command.Command, done func(command.Result, error)) {
	raw := command.Encode(c)
	if len(raw) > canon.MaxBytes { // no node could read the log entry
		done(command.Result{}, fmt.Errorf("%w: %T of %d octets, at most %d are allowed; split it", forward.ErrInvalid, c, len(raw), canon.MaxBytes))
		return
	}
	if err := s.levelAllows(c); err != nil {
		done(command.Result{}, err)
		return
	}
	if err := s.refuses(c); err != nil {
		done(command.Result{}, err)
		return
	}
	s.enqueue(&pending{raw: raw, deadline: time.Now().Add(s.cfg.ProposeTimeout), done: done})
}

// levelAllows refuses a command that some voter could not read.
func (s *Store) levelAllows(c command.Command) error {
	needs := s.cfg.levelOf(c)
	if needs <= command.FirstLevel {
		return nil
	}
	var level uint64
	s.View(func(st *fsm.State) { level = st.Level })
	if level < needs {
		return fmt.Errorf("%w: it is %d and %T needs %d: upgrade every node, and it rises by itself", ErrLevel, level, c, needs)
	}
	return nil
}

func (s *Store) enqueue(p *pending) {
	if s.ctx.Err() != nil {
		p.done(command.Result{}, ErrClosed)
		return
	}
	select {
	case s.queue <- p:
	default:
		s.busy.Add(1)
		p.done(command.Result{}, ErrBusy)
		return
	}
	if s.ctx.Err() != nil { // the queue may have been drained before p was in it
		s.drain()
	}
}

// drain ends what is in the queue. It may run several times at once.
func (s *Store) drain() {
	for {
		select {
		case p := <-s.queue:
			p.done(command.Result{}, ErrClosed)
		default:
			return
		}
	}
}

// Do proposes a command and waits for its result.
func (s *Store) Do(ctx context.Context, c command.Command) (command.Result, error) {
	type answer struct {
		r   command.Result
		err error
	}
	ch := make(chan answer, 1)
	s.Propose(c, func(r command.Result, err error) { ch <- answer{r, err} })
	select {
	case a := <-ch:
		return a.r, a.err
	case <-ctx.Done():
		return command.Result{}, ctx.Err()
	}
}

// ProposeBatch implements forward.Proposer: the leader's end of Propose on a
// follower.
func (s *Store) ProposeBatch(ctx context.Context, cmds [][]byte) []forward.Result {
	out := make([]forward.Result, len(cmds))
	if !s.IsLeader() {
		return forward.Same(len(cmds), forward.Result{Code: forward.CodeNotLeader, Detail: "this node follows"})
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(s.cfg.ProposeTimeout)
	}
	done := make(chan int, len(cmds))
	for i, raw := range cmds {
		c, err := command.Decode(raw)
		if err != nil {
			out[i] = forward.Result{Code: forward.CodeInvalid, Detail: err.Error()}
		} else if err = s.refuses(c); err != nil {
			out[i] = toForward(command.Result{}, err)
		}
		if err != nil {
			done <- i
			continue
		}
		s.enqueue(&pending{raw: raw, deadline: deadline, local: true, done: func(r command.Result, err error) {
			out[i] = toForward(r, err)
			done <- i
		}})
	}
	for range cmds {
		<-done // every pending command ends by its deadline
	}
	return out
}

func toForward(r command.Result, err error) forward.Result {
	switch {
	case err == nil:
		return forward.Result{Value: r.Encode()}
	case errors.Is(err, ErrBusy), errors.Is(err, ErrDiskLow):
		return forward.Result{Code: forward.CodeBusy, Detail: err.Error()}
	case errors.Is(err, ErrClosed), errors.Is(err, ErrDisk):
		return forward.Result{Code: forward.CodeUnavailable, Detail: err.Error()}
	case errors.Is(err, forward.ErrNotLeader):
		return forward.Result{Code: forward.CodeNotLeader, Detail: err.Error()}
	}
	return forward.Result{Code: forward.CodeOutcomeUnknown, Detail: err.Error()}
}

// Audit asks every replica for its totals at one point of the log; LastAudit of
// each gives them, with who asked and when, once it has applied that far.
func (s *Store) Audit(ctx context.Context) (asked command.Meta, err error) {
	c := &command.Audit{Meta: command.Meta{At: time.Now().UnixMicro(), Node: s.cfg.Raft.NodeID}}
	if _, err := s.Do(ctx, c); err != nil {
		return command.Meta{}, fmt.Errorf("audit: %w", err)
	}
	return c.Meta, nil
}

// LastAudit returns this replica's totals at the newest audit in the log.
func (s *Store) LastAudit() (verify.EdgeReport, error) {
	a := s.live.Load().adapter
	a.auditMu.Lock()
	last := a.audit
	a.auditMu.Unlock()
	if last == nil {
		return verify.EdgeReport{}, errors.New("edge/store: there was no audit since this node started: ask the leader for one")
	}
	r := *last
	if r.Acked == r.Seq {
		return r, nil
	}
	err := a.segments.read(r.Epoch, r.Acked+1, func(e verify.RawEntry) (bool, error) {
		if e.Seq > r.Seq {
			return false, nil
		}
		r.Entries = append(r.Entries, e)
		return true, nil
	})
	if err != nil {
		return r, fmt.Errorf("entries of the audit at %d: %w: ask for a new one if they are trimmed", r.Seq, err)
	}
	return r, nil
}
