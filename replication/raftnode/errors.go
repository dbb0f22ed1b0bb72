package raftnode

import (
	"errors"

	"github.com/hashicorp/raft"

	"meridian/replication/disk"
)

var (
	// ErrInUse: another process holds the directory.
	ErrInUse = errors.New("raftnode: directory is in use")
	// ErrWrongDir: the directory belongs to another node or region, or is none of ours.
	ErrWrongDir = errors.New("raftnode: wrong directory")
	// ErrWrongKeys: the ring does not open what lies in the directory.
	ErrWrongKeys = errors.New("raftnode: wrong keys")
	// ErrLogDamaged: entries that were stored are missing or do not open.
	ErrLogDamaged = errors.New("raftnode: log is damaged")
	// ErrLogDiffers: entries read back are not what the leader wrote.
	ErrLogDiffers = errors.New("raftnode: log differs from the leader's")
	// ErrRolledBack: the log ends before an entry that this node had applied.
	ErrRolledBack = errors.New("raftnode: directory was rolled back")
	// ErrClosed: the node was closed.
	ErrClosed = errors.New("raftnode: closed")
)

// NotProposed says whether err, from an Apply future, means that the entry
// certainly never entered the log. For every other error but nil the outcome is
// unknown: the entry may be committed later.
func NotProposed(err error) bool {
	return errors.Is(err, raft.ErrNotLeader) ||
		errors.Is(err, raft.ErrEnqueueTimeout) ||
		errors.Is(err, raft.ErrLeadershipTransferInProgress) ||
		errors.Is(err, disk.ErrReserve) ||
		errors.Is(err, ErrClosed)
}
