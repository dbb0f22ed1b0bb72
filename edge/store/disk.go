package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"meridian/edge/command"
	"meridian/replication/disk"
)

const (
	diskLookEach = 200 * time.Millisecond // how often the disk is looked at
	probeFirst   = 200 * time.Millisecond // first wait before the files are opened anew, doubled each time
	probeMost    = 5 * time.Second
	// slowFor is how long a node whose disk was stalled does not lead by choice.
	slowFor = 30 * time.Second
	// handoverEach bounds how often leadership is given up for the disk's sake: if
	// all disks are bad it must not go round.
	handoverEach    = time.Minute
	handoverTimeout = 2 * time.Second
)

// Disk is the state of the node's data disk and what it counted.
func (s *Store) Disk() (disk.State, disk.Stats) { return s.disk.State(), s.disk.Stats() }

// refuses says why a command is not taken now. A failed disk takes nothing. On a
// leader whose disk is low only what moves the region's clock and mode, frees
// space or asks is taken; nodes that follow pass everything on, since what counts
// is the leader's disk and a majority's.
func (s *Store) refuses(c command.Command) error {
	if damage := s.Damage(); damage != nil {
		return fmt.Errorf("%w: %w", ErrDisk, damage)
	}
	switch cause := disk.Cause(s.cause.Load()); cause {
	case disk.Full, disk.Failed:
		return fmt.Errorf("%w: it is %s; %s", ErrDisk, cause, cause.Remedy())
	case disk.Low, disk.Reserve:
		if isNewWork(c) && s.IsLeader() {
			return fmt.Errorf("%w; %s", ErrDiskLow, cause.Remedy())
		}
	}
	return nil
}

func isNewWork(c command.Command) bool {
	switch c.(type) {
	case *command.Acked, *command.Tick, *command.SetMode, *command.Audit, *command.EffectsDone:
		return false
	}
	return true
}

// keepDisk follows the disk's state and opens the files anew after a failure.
func (s *Store) keepDisk() {
	ticker := time.NewTicker(diskLookEach)
	defer ticker.Stop()
	for {
		select {
		case <-s.disk.Failing():
			s.reopen()
		case <-ticker.C:
			s.lookAtDisk()
		case <-s.diskCtx.Done():
			return
		}
	}
}

// lookAtDisk notes the disk's cause, logs when it changes, and gives leadership up
// when another node can do better.
func (s *Store) lookAtDisk() {
	now := s.disk.State()
	if before := disk.Cause(s.cause.Swap(uint32(now.Cause))); before != now.Cause {
		s.cfg.Logger.Warn("disk", "state", now.Cause.String(), "before", before.String(), "free_bytes", now.FreeBytes,
			"error", now.Err, "remedy", now.Cause.Remedy())
	}
	low := now.Cause == disk.Low || now.Cause == disk.Reserve
	if !s.IsLeader() || !low && !s.disk.Slow(slowFor) || !s.handed.IsZero() && time.Since(s.handed) < handoverEach {
		return
	}
	if peers, err := s.Raft().Peers(); err != nil || len(peers) < 2 {
		return
	}
	s.handed = time.Now()
	ctx, cancel := context.WithTimeout(s.diskCtx, handoverTimeout)
	defer cancel()
	err := s.Raft().TransferLeadership(ctx)
	s.cfg.Logger.Warn("this node gave leadership up for the sake of its disk", "state", now.Cause.String(), "error", err)
}

// reopen stops the member, waits until the disk takes writes, and starts it from
// what is on disk, as a restart of the process would: after a failed write or sync
// nothing that is open or in memory says what is stored. What was acknowledged is:
// the rest, the leader sends again.
func (s *Store) reopen() {
	state := s.disk.State()
	s.cause.Store(uint32(state.Cause))
	s.cfg.Logger.Error("the disk failed: this node acknowledges nothing until it works", "state", state.Cause.String(),
		"free_bytes", state.FreeBytes, "error", state.Err, "remedy", state.Cause.Remedy())
	old := s.live.Load()
	if err := errors.Join(old.raft.Close(), old.adapter.segments.abandon()); err != nil {
		s.cfg.Logger.Warn("stop the member after the disk failed", "error", err)
	}
	var last string
	for pause := probeFirst; ; pause = min(2*pause, probeMost) {
		select {
		case <-time.After(pause):
		case <-s.diskCtx.Done():
			return
		}
		err := s.disk.Probe()
		if err == nil {
			if err = s.start(); err == nil {
				return
			}
		}
		if err.Error() != last {
			last = err.Error()
			s.cfg.Logger.Error("the disk does not work yet", "error", err)
		}
	}
}

// start opens the files anew. When that fails the disk counts as failed as before.
func (s *Store) start() error {
	failure := s.disk.Err()
	s.disk.Reset()
	r, err := s.openReplica()
	if err != nil {
		if s.disk.Err() == nil { // what was read is wrong: still no disk to go on with
			err = s.disk.Do(disk.Write, s.cfg.Raft.Dir, func() error { return err })
		}
		return err
	}
	s.live.Store(r)
	s.cause.Store(uint32(disk.None))
	s.changed(true, true)
	s.cfg.Logger.Info("the disk works again: the member goes on from what it holds", "failure", failure, "last_index", r.raft.LastIndex())
	return nil
}
