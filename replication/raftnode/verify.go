package raftnode

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/metrics"
	"github.com/hashicorp/raft-wal/verifier"
)

// verified is raft-wal's verifier above the store: at every VerifyEach-th entry the
// leader writes a checksum over those before it into the log, and each member reads
// them back from its disk in the background and compares. What does not open by its
// seal is found without it; this finds that a member holds other entries than the
// leader wrote.
type verified struct {
	*verifier.LogStore
	store *store

	mu      sync.Mutex
	cut     uint64 // entries from here on were taken back: their checksum is not the leader's
	found   error  // the newest range that differs
	ranges  uint64
	skipped uint64
	differ  uint64
}

func newVerified(s *store, each uint64) *verified {
	v := &verified{store: s}
	checkpoint := func(l *raft.Log) (bool, error) { return l.Type == raft.LogCommand && l.Index%each == 0, nil }
	if each == 0 {
		checkpoint = nil
	}
	v.LogStore = verifier.NewLogStore(keptOpen{s}, checkpoint, v.report, &metrics.NoOpCollector{})
	return v
}

// keptOpen is a store that the verifier does not close: its owner does.
type keptOpen struct{ *store }

// Close implements io.Closer.
func (keptOpen) Close() error { return nil }

var _ io.Closer = keptOpen{}

// DeleteRange implements raft.LogStore. When a follower takes back what another
// leader wrote, the verifier's running checksum still has it.
func (v *verified) DeleteRange(low, high uint64) error {
	last, err := v.store.LastIndex()
	if err != nil {
		return err
	}
	if high >= last {
		v.mu.Lock()
		v.cut = low
		v.mu.Unlock()
	}
	return v.LogStore.DeleteRange(low, high)
}

// report takes what the verifier found of a range.
func (v *verified) report(r verifier.VerificationReport) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var mismatch verifier.ErrChecksumMismatch
	switch {
	case r.Err == nil:
		v.ranges++
	case errors.As(r.Err, &mismatch) && !(v.cut != 0 && r.ReadSum == 0 && r.Range.End >= v.cut):
		v.differ++
		v.found = fmt.Errorf("%w: entries %d to %d: %w", ErrLogDiffers, r.Range.Start, r.Range.End-1, r.Err)
	default: // truncated meanwhile, taken back, or the store was closed
		v.skipped++
	}
	if r.Range.Start >= v.cut {
		v.cut = 0
	}
}

// Verification is what reading the log back has shown since the start.
type Verification struct {
	Ranges  uint64 // read back and equal
	Skipped uint64 // not there any more, or taken back
	Differ  uint64 // other than the leader wrote
	Err     error  // wraps ErrLogDiffers: the newest of those
}

// Verification reads the verifier's figures.
func (n *Node) Verification() Verification {
	v := n.verified
	v.mu.Lock()
	defer v.mu.Unlock()
	return Verification{Ranges: v.ranges, Skipped: v.skipped, Differ: v.differ, Err: v.found}
}
