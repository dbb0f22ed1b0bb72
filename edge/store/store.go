package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/journal"
	"meridian/internal/verify"
	"meridian/replication/disk"
	"meridian/replication/forward"
	"meridian/replication/raftnode"
	"meridian/replication/seal"
)

var (
	// ErrBusy: the queue of commands is full; nothing was proposed.
	ErrBusy = errors.New("edge/store: queue of commands is full")
	// ErrTimeout: no leader took the command in time; it may still be applied.
	ErrTimeout = errors.New("edge/store: no majority answered in time")
	// ErrDisk: the node's disk has failed or is full; nothing was proposed.
	ErrDisk = errors.New("edge/store: the node's disk takes nothing")
	// ErrDiskLow: the leader's disk is nearly full; nothing was proposed.
	ErrDiskLow = errors.New("edge/store: the leader's disk is nearly full, no new work is taken")
	// ErrLevel: the region's feature level is too low for the command; nothing was
	// proposed.
	ErrLevel = errors.New("edge/store: the region's feature level is too low")
	// ErrTooOld: the region's log or snapshot is of a later version than this node's.
	ErrTooOld = errors.New("edge/store: this node's version is too old for its region")
	// ErrClosed: the store is closing.
	ErrClosed = errors.New("edge/store: closed")
	// ErrTrimmed: entries that were asked for are acknowledged and gone.
	ErrTrimmed = errors.New("edge/store: entries are already trimmed")
)

// Config is how a node keeps and replicates its state.
type Config struct {
	Raft  raftnode.Config
	Peers []raftnode.Peer // members that found the region, this node included
	Found bool            // found the region with Peers, if there is no state yet
	Ring  *seal.Ring      // seals segments and snapshots
	Disk  disk.Config     // its Dir is Raft.Dir; not used when there is a Layer
	Layer *disk.Layer     // what files are changed through; nil: one of Disk
	Level uint64          // the highest feature level that this node can do
	// levelOf is command.LevelOf, unless a test makes it another version's.
	levelOf func(command.Command) uint64

	QueueMax       int           // commands waiting for a place in the log; more are refused
	BatchMax       int           // commands in one log entry
	BatchesMax     int           // log entries, or batches to the leader, on the way at once
	Linger         time.Duration // how long at most a batch waits for more while others are on the way; see lingerFor
	ProposeTimeout time.Duration // how long a command is tried
	SegmentBytes   int64
	ResealEach     time.Duration // how often a step is done to seal anew what older keys sealed

	Logger *slog.Logger
}

// DefaultConfig returns the limits; Raft, Peers, Ring and Logger are to be given.
func DefaultConfig() Config {
	return Config{
		Raft: raftnode.DefaultConfig(), Disk: disk.DefaultConfig(), Level: command.Level, levelOf: command.LevelOf, QueueMax: 65536, BatchMax: 1024, BatchesMax: 4,
		Linger: 4 * time.Millisecond, ProposeTimeout: 10 * time.Second, SegmentBytes: 8 << 20,
		ResealEach: resealEach,
	}
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var faults []error
	if err := c.Raft.Validate(); err != nil {
		faults = append(faults, err)
	}
	for _, f := range []struct {
		name  string
		bad   bool
		value any
	}{
		{"Peers", c.Found && len(c.Peers) == 0, c.Peers}, {"Ring", c.Ring == nil, nil}, {"Logger", c.Logger == nil, nil},
		{"Level", c.Level < command.FirstLevel || c.levelOf == nil, c.Level},
		{"QueueMax", c.QueueMax < 1, c.QueueMax}, {"BatchMax", c.BatchMax < 1 || c.BatchMax > command.MaxBatch, c.BatchMax},
		{"BatchesMax", c.BatchesMax < 1, c.BatchesMax}, {"Linger", c.Linger < 0, c.Linger},
		{"ProposeTimeout", c.ProposeTimeout <= 0, c.ProposeTimeout}, {"SegmentBytes", c.SegmentBytes < 4096, c.SegmentBytes},
		{"ResealEach", c.ResealEach <= 0, c.ResealEach},
	} {
		if f.bad {
			faults = append(faults, fmt.Errorf("edge/store config: %s is %v: see DefaultConfig for a usable value", f.name, f.value))
		}
	}
	return errors.Join(faults...)
}

// Forwarder passes batches to the leader; Leader says where it takes them.
type Forwarder interface {
	Propose(ctx context.Context, addr string, cmds [][]byte) ([]forward.Result, error)
}

// Store is a node's replicated state. Its methods are safe for concurrent use.
type Store struct {
	cfg     Config
	disk    *disk.Layer
	live    atomic.Pointer[replica]
	forward Forwarder
	address func(nodeID string) (string, bool)

	queue chan *pending
	slots chan struct{}

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	once   sync.Once
	wg     sync.WaitGroup

	diskCtx  context.Context // of keepDisk, ends with endDisk
	endDisk  context.CancelFunc
	diskDone sync.WaitGroup
	cause    atomic.Uint32 // disk.Cause when the disk was last looked at
	handed   time.Time     // when leadership was last given up for the disk's sake

	changeMu sync.Mutex
	change   chan struct{} // closed and replaced at every change of the state

	keysMu sync.Mutex    // held by what changes the ring
	rekey  chan struct{} // asks keepKeys for a step

	heads  heads
	damage atomic.Pointer[error]

	snapshotHold            atomic.Int64 // nanoseconds, the longest
	commitTime              atomic.Int64 // nanoseconds that a batch takes, a moving average
	commits                 disk.Latencies
	feedChanges             atomic.Uint64
	batches, commands       atomic.Uint64
	snapshotsFailed         atomic.Uint64
	busy, timeouts, retries atomic.Uint64
}

// Stats are counters that only rise.
type Stats struct {
	Batches, Commands       uint64 // proposed by this node
	Busy, Timeouts, Retries uint64
	QueueLen                int
	Commits                 disk.Counted  // log entries that this node, leading, proposed and applied
	SnapshotsFailed         uint64        // that were begun and not written
	SnapshotHold            time.Duration // longest time that a snapshot kept commands from the state
}

// Stats reads the counters.
func (s *Store) Stats() Stats {
	return Stats{
		Batches: s.batches.Load(), Commands: s.commands.Load(), Busy: s.busy.Load(),
		Timeouts: s.timeouts.Load(), Retries: s.retries.Load(), QueueLen: len(s.queue),
		Commits: s.commits.Read(), SnapshotHold: time.Duration(s.snapshotHold.Load()),
		SnapshotsFailed: s.snapshotsFailed.Load(),
	}
}

// replica is the member and the state of one opening of the files.
type replica struct {
	raft    *raftnode.Node
	adapter *adapter
}

// Open restores the node's state and starts raft. address gives a member's
// forward address by its id.
func Open(cfg Config, f Forwarder, address func(nodeID string) (string, bool)) (*Store, error) {
	cfg.Raft.Ring = cfg.Ring
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Raft.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("edge/store: %w", err)
	}
	layer := cfg.Layer
	if layer == nil {
		cfg.Disk.Dir = cfg.Raft.Dir
		var err error
		if layer, err = disk.New(cfg.Disk); err != nil {
			return nil, err
		}
	}
	cfg.Raft.Disk = layer
	s := &Store{
		cfg: cfg, disk: layer, forward: f, address: address,
		queue: make(chan *pending, cfg.QueueMax), slots: make(chan struct{}, cfg.BatchesMax),
		change: make(chan struct{}), rekey: make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.diskCtx, s.endDisk = context.WithCancel(s.ctx)
	r, err := s.openReplica()
	if err != nil {
		return nil, err
	}
	s.live.Store(r)
	if cfg.Found {
		if err := r.raft.Bootstrap(cfg.Peers); err != nil {
			return nil, errors.Join(err, r.raft.Close(), r.adapter.segments.close())
		}
	}
	s.wg.Go(s.batch)
	s.diskDone.Go(s.keepDisk)
	s.diskDone.Go(s.keepKeys)
	return s, nil
}

func (s *Store) openReplica() (*replica, error) {
	if err := s.holdsSnapshotKeys(); err != nil {
		return nil, err
	}
	seg, err := openSegments(filepath.Join(s.cfg.Raft.Dir, "segments"), s.cfg.Ring, s.cfg.SegmentBytes, s.disk)
	if err != nil {
		return nil, err
	}
	a := &adapter{node: s.cfg.Raft.NodeID, level: s.cfg.Level, segments: seg, state: fsm.New(), changed: s.changed, heads: &s.heads, damage: &s.damage, spawn: s.wg.Go}
	a.snapshotFailed = func(err error) {
		s.snapshotsFailed.Add(1)
		s.cfg.Logger.Error("a snapshot was not written", "error", a.noted(err))
	}
	a.held = &holdMeter{guard: a.mu.RLocker(), most: &s.snapshotHold}
	n, err := raftnode.Open(s.cfg.Raft, a)
	if damage := s.Damage(); damage != nil { // raft itself only says that it cannot restore
		if err == nil {
			err = n.Close()
		}
		err = errors.Join(damage, err)
	}
	if err != nil {
		return nil, errors.Join(err, seg.abandon())
	}
	return &replica{raft: n, adapter: a}, nil
}

// Damage is what showed that the ledger on this node's disk is not the one that its
// log makes, or cannot be read as what was written, nil while nothing did. From then on nothing is applied or acknowledged
// here; the node has to be stopped.
func (s *Store) Damage() error {
	if damage := s.damage.Load(); damage != nil {
		return *damage
	}
	return nil
}

// StopBy says until when handing over and Close may wait for others.
func (s *Store) StopBy(t time.Time) { s.Raft().StopBy(t) }

// Close hands leadership over, stops raft and closes the segments. What is not
// applied by then ends with ErrClosed or, when its time is over, ErrTimeout.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		s.endDisk()
		s.diskDone.Wait()
		r := s.live.Load()
		err = r.raft.Close()
		s.cancel()
		s.wg.Wait()
		err = errors.Join(err, r.adapter.segments.close())
	})
	return err
}

func (s *Store) changed(feed, _ bool) {
	if feed {
		s.feedChanges.Add(1)
	}
	s.changeMu.Lock()
	close(s.change)
	s.change = make(chan struct{})
	s.changeMu.Unlock()
}

// Changed returns a channel that is closed at the next change of the state.
func (s *Store) Changed() <-chan struct{} {
	s.changeMu.Lock()
	defer s.changeMu.Unlock()
	return s.change
}

// FeedChanges rises whenever rows of the feed were applied.
func (s *Store) FeedChanges() uint64 { return s.feedChanges.Load() }

// View calls fn with the replica's state under a read lock; fn must be short and
// keep nothing of it.
func (s *Store) View(fn func(*fsm.State)) {
	a := s.live.Load().adapter
	a.mu.RLock()
	defer a.mu.RUnlock()
	fn(a.state)
}

// Raft gives access to the member for status and membership. After a failure of
// the disk it is another one: do not keep it.
func (s *Store) Raft() *raftnode.Node { return s.live.Load().raft }

// IsLeader tells whether this node leads, as far as it knows.
func (s *Store) IsLeader() bool { return s.Raft().IsLeader() }

// LeaderHeard is when this node last heard a leader; now, if it leads.
func (s *Store) LeaderHeard() time.Time {
	if s.Raft().IsLeader() {
		return time.Now()
	}
	return s.Raft().LastContact()
}

// Entries returns entries after a seq, at most maxEntries and about maxBytes, and
// the chain's hash before and after them. It returns none when there are none,
// and ErrTrimmed when the first of them is gone. Entries that are found altered are
// Damage, here and at HashAt.
func (s *Store) Entries(after uint64, afterHash journal.Hash, maxEntries, maxBytes int) ([]verify.RawEntry, journal.Hash, error) {
	var out []verify.RawEntry
	head, size := afterHash, 0
	a := s.live.Load().adapter
	err := a.segments.read(s.epoch(), after+1, func(e verify.RawEntry) (bool, error) {
		if len(out) >= maxEntries || (len(out) > 0 && size+len(e.Raw) > maxBytes) {
			return false, nil
		}
		out = append(out, e)
		size += len(e.Raw)
		head = journal.Chain(head, e.Raw)
		return true, nil
	})
	if err != nil {
		return nil, journal.Hash{}, a.noted(err)
	}
	return out, head, nil
}

// HashAt returns the chain's hash at a seq that is not trimmed: AckedHash chained
// over the entries after it. ErrTrimmed also when the seq was acknowledged, and
// entries up to it trimmed, while it was looked for.
func (s *Store) HashAt(seq uint64) (journal.Hash, error) {
	var epoch, acked uint64
	var hash journal.Hash
	s.View(func(st *fsm.State) { epoch, acked, hash = st.Epoch, st.Acked, st.AckedHash })
	if seq < acked {
		return hash, fmt.Errorf("%w: hash at %d, acknowledged up to %d", ErrTrimmed, seq, acked)
	}
	if seq == acked {
		return hash, nil
	}
	at := acked
	a := s.live.Load().adapter
	err := a.segments.read(epoch, acked+1, func(e verify.RawEntry) (bool, error) {
		if e.Seq > seq {
			return false, nil
		}
		hash, at = journal.Chain(hash, e.Raw), e.Seq
		return true, nil
	})
	if err == nil && at != seq {
		err = fmt.Errorf("edge/store: no entry %d, the ledger ends at %d", seq, at)
	}
	return hash, a.noted(err)
}

// epoch is the state's present epoch.
func (s *Store) epoch() (epoch uint64) {
	s.View(func(st *fsm.State) { epoch = st.Epoch })
	return epoch
}

// Snapshot makes raft write a snapshot now.
func (s *Store) Snapshot(ctx context.Context) error { return s.Raft().Snapshot(ctx) }
