package disk

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Hook stands between the Layer and the operating system: it does the operation,
// or fails or delays it. Tests inject faults by it.
type Hook func(op Op, path string, do func() error) error

// Config is a Layer's directory and limits.
type Config struct {
	Dir          string        // whose file system is watched
	StallAfter   time.Duration // an operation that takes longer counts as stalled
	LowBytes     uint64        // free octets below which no new work is taken
	ReserveBytes uint64        // free octets below which nothing is appended
	Hook         Hook          // nil: none
}

// DefaultConfig leaves the reserve room to rotate log files, to write snapshots
// and to take the centre's acknowledgements, which free space. Dir is to be given.
func DefaultConfig() Config {
	return Config{StallAfter: 2 * time.Second, LowBytes: 512 << 20, ReserveBytes: 256 << 20}
}

// Validate reports every fault at once.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("disk config: Dir is empty; name the node's data directory"))
	}
	if c.StallAfter < 10*time.Millisecond {
		faults = append(faults, fmt.Errorf("disk config: StallAfter %s is below 10ms; a healthy disk would count as stalled", c.StallAfter))
	}
	if c.LowBytes < c.ReserveBytes {
		faults = append(faults, fmt.Errorf("disk config: LowBytes %d is below ReserveBytes %d; make it larger, so that new work ends first",
			c.LowBytes, c.ReserveBytes))
	}
	return errors.Join(faults...)
}

// Layer does operations on files and knows whether they can be trusted. Its
// methods are safe for concurrent use.
type Layer struct {
	cfg Config

	mu      sync.Mutex
	failed  *Error
	failing chan struct{} // closed by the first failure, replaced by Reset
	running map[uint64]time.Time
	nextID  uint64
	slow    time.Time // when an operation was last seen to be stalled, or to end after that

	fullErrors, otherErrors   atomic.Uint64
	tolerated                 atomic.Uint64
	stalls, refused, reopened atomic.Uint64
	syncs                     Latencies
}

// New makes a Layer for a directory that exists.
func New(cfg Config) (*Layer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Layer{cfg: cfg, failing: make(chan struct{}), running: map[uint64]time.Time{}}, nil
}

// Do does an operation that must not fail. When it does, the error (a *Error) is
// kept and everything after it is refused with the same until Reset.
func (l *Layer) Do(op Op, path string, do func() error) error {
	l.mu.Lock()
	if l.failed != nil {
		l.mu.Unlock()
		l.refused.Add(1)
		return l.failed
	}
	l.nextID++
	id, began := l.nextID, time.Now()
	l.running[id] = began
	l.mu.Unlock()

	err := l.call(op, path, do)

	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.running, id)
	took := time.Since(began)
	if op == Sync || op == Commit {
		l.syncs.Add(took)
	}
	if took > l.cfg.StallAfter {
		l.slow = time.Now()
		l.stalls.Add(1)
	}
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Path: path, Err: err}
	l.count(e)
	if l.failed == nil {
		l.failed = e
		close(l.failing)
	}
	return e
}

// Try does an operation whose failure loses nothing, like writing a snapshot that
// can be written again later: the error is counted and returned as a *Error.
func (l *Layer) Try(op Op, path string, do func() error) error {
	err := l.call(op, path, do)
	if err == nil {
		return nil
	}
	e := &Error{Op: op, Path: path, Err: err}
	l.tolerated.Add(1)
	l.count(e)
	return e
}

func (l *Layer) call(op Op, path string, do func() error) error {
	if l.cfg.Hook != nil {
		return l.cfg.Hook(op, path, do)
	}
	return do()
}

func (l *Layer) count(e *Error) {
	if e.Cause() == Full {
		l.fullErrors.Add(1)
		return
	}
	l.otherErrors.Add(1)
}

// Failing is closed when an operation has failed; after Reset it is another
// channel.
func (l *Layer) Failing() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failing
}

// Err is the failure that ended everything, or nil.
func (l *Layer) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		return nil // not a nil *Error
	}
	return l.failed
}

// Reset forgets a failure: the owner has opened its files anew, or is about to.
func (l *Layer) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		return
	}
	l.failed, l.failing = nil, make(chan struct{})
	l.reopened.Add(1)
}

// Stalled tells whether an operation is under way for too long.
func (l *Layer) Stalled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, began := range l.running {
		if now.Sub(began) > l.cfg.StallAfter {
			l.slow = now
			return true
		}
	}
	return false
}

// Slow tells whether an operation was stalled within the last d.
func (l *Layer) Slow(d time.Duration) bool {
	stalled := l.Stalled()
	l.mu.Lock()
	defer l.mu.Unlock()
	return stalled || !l.slow.IsZero() && time.Since(l.slow) < d
}

// Free is how many octets may still be written, and how many the file system has.
func (l *Layer) Free() (free, size uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(l.cfg.Dir, &s); err != nil {
		return 0, 0, fmt.Errorf("disk: free space of %s: %w", l.cfg.Dir, err)
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

// Room returns ErrReserve when less than the reserve is free.
func (l *Layer) Room() error {
	free, _, err := l.Free()
	if err == nil && free < l.cfg.ReserveBytes {
		l.refused.Add(1)
		return fmt.Errorf("%w: %d of %d octets in %s", ErrReserve, free, l.cfg.ReserveBytes, l.cfg.Dir)
	}
	return err
}

// State is the disk's condition at one moment.
type State struct {
	Cause     Cause
	Err       error // for Full and Failed: the operation that failed
	FreeBytes uint64
	SizeBytes uint64
}

// State looks at the disk.
func (l *Layer) State() State {
	var s State
	free, size, err := l.Free()
	s.FreeBytes, s.SizeBytes = free, size
	switch failed := l.Err(); {
	case failed != nil:
		s.Err = failed
		s.Cause = Failed
		var e *Error
		if errors.As(failed, &e) {
			s.Cause = e.Cause()
		}
	case l.Stalled():
		s.Cause, s.Err = Stalled, fmt.Errorf("%w: for more than %s in %s", ErrStalled, l.cfg.StallAfter, l.cfg.Dir)
	case err != nil:
		s.Cause, s.Err = Failed, err
	case free < l.cfg.ReserveBytes:
		s.Cause = Reserve
	case free < l.cfg.LowBytes:
		s.Cause = Low
	}
	return s
}

// Stats are counters that only rise.
type Stats struct {
	FullErrors  uint64  // operations that failed for want of space
	OtherErrors uint64  // operations that failed otherwise
	Tolerated   uint64  // of both, those that lost nothing (snapshots)
	Stalls      uint64  // operations that took longer than StallAfter and ended
	Refused     uint64  // operations refused after a failure or below the reserve
	Reopened    uint64  // times that the files were opened anew after a failure
	Syncs       Counted // that ended
}

// Stats reads the counters.
func (l *Layer) Stats() Stats {
	return Stats{
		FullErrors: l.fullErrors.Load(), OtherErrors: l.otherErrors.Load(), Tolerated: l.tolerated.Load(),
		Stalls: l.stalls.Load(), Refused: l.refused.Load(), Reopened: l.reopened.Load(),
		Syncs: l.syncs.Read(),
	}
}
