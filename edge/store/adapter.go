package store

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"meridian/edge/command"
	"meridian/edge/fsm"
	"meridian/internal/verify"
	"meridian/replication/disk"
)

// adapter is the raft.FSM: it decodes, applies and stores what came out. There is
// no rule in it.
type adapter struct {
	node     string
	level    uint64 // highest feature level that this node can do
	segments *segments
	changed  func(feed, acked bool)
	heads    *heads
	spawn    func(func())           // runs something that the store waits for when it closes
	damage   *atomic.Pointer[error] // see Store.Damage

	snapshotFailed func(error)

	mu    sync.RWMutex
	state *fsm.State
	held  *holdMeter // by snapshots

	auditMu sync.Mutex
	audit   *verify.EdgeReport
}

// Apply implements raft.FSM.
func (a *adapter) Apply(l *raft.Log) any { return a.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. A log entry that no version can read ends
// the process: going on would make this replica differ from its peers. When the disk
// has failed, or holds other entries than the log makes, or an entry is of a later
// version, nothing is applied any more and the results are that error. What is
// committed is applied when the files are opened anew, or by the version that can.
func (a *adapter) ApplyBatch(logs []*raft.Log) []any {
	results := make([]any, len(logs))
	if err := a.unfit(); err != nil {
		return fill(results, err)
	}
	a.mu.Lock()
	before, acked := a.state.FeedVersion, a.state.Acked
	var err error
	for i, l := range logs {
		if l.Type == raft.LogCommand && err == nil {
			results[i], err = a.applyEntry(l)
		}
	}
	entries := a.state.TakeEntries()
	epoch, nowAcked := a.state.Epoch, a.state.Acked
	feed := a.state.FeedVersion != before
	a.mu.Unlock()
	if err == nil {
		err = a.keep(entries)
	}
	if err == nil && nowAcked != acked {
		err = a.onlyDisk(a.segments.trim(epoch, nowAcked))
	}
	if err != nil {
		return fill(results, err)
	}
	a.changed(feed, nowAcked != acked)
	return results
}

func fill(results []any, err error) []any {
	for i := range results {
		results[i] = err
	}
	return results
}

// unfit is why this replica applies nothing more, nil while it does.
func (a *adapter) unfit() error {
	if damage := a.damage.Load(); damage != nil {
		return *damage
	}
	return a.segments.disk.Err()
}

// keep appends entries to the segments. The error is the disk's, or that it holds
// other entries.
func (a *adapter) keep(entries []verify.RawEntry) error {
	return a.onlyDisk(a.noted(a.segments.append(entries)))
}

// noted keeps an error that says the segments were altered, or this version is too
// old.
func (a *adapter) noted(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrTooOld) {
		a.damage.CompareAndSwap(nil, &err)
	}
	return err
}

// onlyDisk returns an error of the disk, which is opened anew, or of what lies on
// it, and panics with any other.
func (a *adapter) onlyDisk(err error) error {
	var fault *disk.Error
	if err != nil && !errors.As(err, &fault) && !errors.Is(err, ErrDamaged) {
		panic(fmt.Sprintf("edge/store: node %s cannot keep ledger entries: %v", a.node, err))
	}
	return err
}

func (a *adapter) applyEntry(l *raft.Log) ([]command.Result, error) {
	commands, err := command.DecodeBatch(l.Data)
	if errors.Is(err, command.ErrUnknown) {
		return nil, a.noted(fmt.Errorf("%w: log index %d: %w", ErrTooOld, l.Index, err))
	}
	if err == nil {
		err = a.canDo(l.Index, commands)
	}
	if errors.Is(err, ErrTooOld) {
		return nil, err
	}
	if err != nil {
		panic(fmt.Sprintf("edge/store: node %s stops at log index %d: %v", a.node, l.Index, err))
	}
	out := make([]command.Result, len(commands))
	for i, c := range commands {
		turn := a.state.StateTurn()
		out[i] = a.state.Apply(c)
		switch c := c.(type) {
		case *command.Audit:
			if err := a.report(l.Index, c.Meta); err != nil {
				return nil, err
			}
		case *command.Tick:
			if err := a.head(l.Index, a.state.StateTurn() != turn); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// canDo refuses an entry that raises the region's level above this node's.
func (a *adapter) canDo(index uint64, commands []command.Command) error {
	for _, c := range commands {
		if up, ok := c.(*command.SetLevel); ok && up.Level > a.level {
			return a.noted(tooOld(fmt.Sprintf("log index %d", index), up.Level, a.level))
		}
	}
	return nil
}

func tooOld(where string, region, node uint64) error {
	return fmt.Errorf("%w: at %s the region's feature level is %d, this version can do %d: upgrade this node", ErrTooOld, where, region, node)
}

// head keeps where this replica stands after a tick, with the hash of a part of the
// state when region time has come to its turn. The part is hashed while commands go
// on, unless the one before still is: a replica that replays its log has many turns.
func (a *adapter) head(index uint64, withState bool) error {
	if a.state.Epoch == 0 {
		return nil
	}
	h := a.state.HeadAt(a.node, index)
	if !withState {
		a.heads.add(h)
		return nil
	}
	if err := a.keep(a.state.TakeEntries()); err != nil {
		return err
	}
	began := time.Now()
	frozen := a.state.FreezePart(&h)
	if !a.heads.begin(h) {
		h.State = frozen.Hash(unguarded{})
		frozen.Thaw()
		a.heads.count(time.Since(began))
		a.heads.add(h)
		return nil
	}
	held := &held{guard: a.mu.RLocker(), sum: time.Since(began)}
	a.spawn(func() {
		state := frozen.Hash(held)
		a.mu.Lock()
		frozen.Thaw()
		a.mu.Unlock()
		a.heads.count(held.sum)
		a.heads.end(state)
	})
	return nil
}

// held is a guard that notes for how long it was held.
type held struct {
	guard sync.Locker
	began time.Time
	sum   time.Duration
}

// Lock implements fsm.Locker.
func (h *held) Lock() {
	h.guard.Lock()
	h.began = time.Now()
}

// Unlock implements fsm.Locker.
func (h *held) Unlock() {
	h.sum += time.Since(h.began)
	h.guard.Unlock()
}

// unguarded is for who holds the state already.
type unguarded struct{}

// Lock implements fsm.Locker.
func (unguarded) Lock() {}

// Unlock implements fsm.Locker.
func (unguarded) Unlock() {}

// report keeps this replica's totals at an audit. Entries that this very run of
// Apply wrote are not in the segments yet: they are read when the report is.
func (a *adapter) report(index uint64, asked command.Meta) error {
	if err := a.keep(a.state.TakeEntries()); err != nil {
		return err
	}
	r := a.state.Report()
	r.Node, r.Index, r.AskedBy, r.AskedAt = a.node, index, asked.Node, asked.At
	a.auditMu.Lock()
	a.audit = &r
	a.auditMu.Unlock()
	return nil
}

// Snapshot implements raft.FSM: the state is noted now. It and the entries that the
// centre does not have are written by Persist, while commands go on.
func (a *adapter) Snapshot() (raft.FSMSnapshot, error) {
	if err := a.unfit(); err != nil { // the state may be ahead of the segments
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	began := time.Now()
	defer func() { a.held.note(time.Since(began)) }()
	return &snapshot{
		state: a.state.Freeze(), guard: &a.mu, epoch: a.state.Epoch, after: a.state.Acked, last: a.state.Seq,
		segments: a.segments, release: a.segments.pin(), held: a.held, failed: a.snapshotFailed,
	}, nil
}

// Restore implements raft.FSM: entries go to the segments piece by piece, those
// that are there already are compared.
func (a *adapter) Restore(rc io.ReadCloser) error {
	return a.noted(errors.Join(a.restore(rc), rc.Close()))
}

func (a *adapter) restore(rc io.Reader) error {
	snap, err := openSnapshot(rc, a.segments.ring)
	if err != nil {
		return err
	}
	state := snap.state
	if state.Level > a.level {
		return tooOld("the snapshot", state.Level, a.level)
	}
	if err := a.segments.goOnAfter(state.Epoch, state.Acked); err != nil {
		return err
	}
	if err := snap.entries(a.segments.append); err != nil {
		return err
	}
	if err := a.segments.sync(); err != nil {
		return err
	}
	if epoch, last := a.segments.end(); epoch <= state.Epoch && last < state.Seq {
		return damaged(a.segments.dir, fmt.Errorf("ends at entry %d/%d, the snapshot at %d/%d", epoch, last, state.Epoch, state.Seq))
	}
	a.mu.Lock()
	a.state = state
	a.mu.Unlock()
	a.changed(true, true)
	return nil
}
