// Package store owns a node's replicated state: raft, the state machine behind
// it, and the segments that hold ledger entries until the centre has them.
//
// It owns group commit, the passing of commands to the leader, snapshots and the
// raft.FSM shim. It has no billing rule in it: those are in edge/fsm. It does not
// talk to NAS or centre.
package store
