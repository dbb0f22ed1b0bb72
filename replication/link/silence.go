package link

import (
	"context"
	"sync/atomic"
	"time"
)

// silence watches for the other side saying nothing. Time counts only while the
// stream is being read: who does not listen cannot complain of silence.
type silence struct {
	start   time.Time
	last    atomic.Int64 // nanoseconds since start
	reading atomic.Bool
}

func newSilence() *silence { return &silence{start: time.Now()} }

func (s *silence) heard() { s.last.Store(int64(time.Since(s.start))) }

// listen brackets a read.
func (s *silence) listen(read func() error) error {
	s.heard()
	s.reading.Store(true)
	err := read()
	s.reading.Store(false)
	return err
}

// watch returns ErrSilent when nothing was heard for the limit, or nil when ctx
// ends.
func (s *silence) watch(ctx context.Context, limit time.Duration) error {
	t := time.NewTicker(max(limit/8, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if s.reading.Load() && time.Since(s.start)-time.Duration(s.last.Load()) > limit {
				return ErrSilent
			}
		}
	}
}

// answers tells whether anything is heard within a time from now on; false also
// when ctx ends.
func (s *silence) answers(ctx context.Context, within time.Duration) bool {
	since := int64(time.Since(s.start))
	t := time.NewTicker(max(within/16, time.Millisecond))
	defer t.Stop()
	for end := since + int64(within); int64(time.Since(s.start)) < end; {
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			if s.last.Load() > since {
				return true
			}
		}
	}
	return false
}
