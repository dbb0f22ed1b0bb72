// Package raftnode runs one member of a region's Raft group: its log on disk
// (raft-wal, every entry sealed and bound to its index and term), its snapshots,
// its mutual-TLS transport, and its lifecycle. It does not own the state
// machine, what a command means, how commands are batched, or how members find
// each other.
//
// What it promises:
//
//   - An Apply future resolves without error only after a majority of the
//     members has the entry on disk and synced.
//   - A directory belongs to one node of one region and to one process at a
//     time, and opens only with the keys that sealed it.
//   - A log that lacks entries which this node had stored is refused, with the
//     remedy, instead of being taken up: a member that forgets what it
//     acknowledged could help to elect a leader that lacks it.
//
// The directory holds node.json (whose it is), LOCK, log/ (the write-ahead log,
// its meta data and the mark of its end) and snapshots/.
package raftnode
