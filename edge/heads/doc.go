// Package heads is how the nodes of a region watch each other: where ledger and
// state of each stand at the same log index, and what each has signed.
//
// It owns the comparison (who differs from the majority) and the book: the signed
// heads of all nodes, which each node keeps on its own disk. It does not own what
// a head is (internal/journal), how it is signed (replication/identity), how nodes
// ask each other (replication/forward), nor what a node does that differs (edge).
//
// Heads go from node to node beside the raft log and not through it: the leader
// decides what enters the log, and must not decide whose signature is kept.
package heads
