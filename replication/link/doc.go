// Package link is the resumable stream between a region's leader and the
// settlement centre: batches of opaque entries up, acknowledgements and feed
// rows down. It owns order, flow control by credits, heartbeats, reconnection,
// and which of several would-be leaders may speak. It does not own what an entry
// or a row means, where they are kept, or exactly-once: that follows from the
// cursor, which the Sink moves in the transaction that takes a batch in.
//
// The region is what the peer's certificate says, never what a message says.
// Streams of one region are ordered by (epoch, raft term): the higher takes
// over, the lower is refused, an equal one of the same node replaces a stream
// that died without a word.
//
// Either side sends something every second; a side that hears nothing for three
// gives the stream up. The client then connects again, after 100 ms to 2 s.
package link
