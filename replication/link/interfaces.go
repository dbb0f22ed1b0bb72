package link

import "context"

// Source is the region's side of what goes up. Hello and Health must not block.
// Entries and Wanted are called by one goroutine each.
type Source interface {
	// Hello is asked before every connection. Region and ProtocolVersion are
	// filled in by the client.
	Hello() Hello
	// Entries returns entries after afterSeq, at least one, at most maxEntries
	// and maxBytes (but one entry however long); it blocks until there is one
	// or ctx ends. An error ends the stream; the client connects again.
	Entries(ctx context.Context, afterSeq uint64, maxEntries, maxBytes int) (Batch, error)
	Health() Health
	// Wanted blocks until something changed or ctx ends. The first call after
	// the Applier's Welcome returns everything, since the one before may have
	// been lost with its stream.
	Wanted(ctx context.Context) (Wanted, error)
	// Heads blocks until there are signed heads that this stream has not carried
	// or ctx ends, and returns at most max of them, each at most MaxHeadBytes
	// long. After the Applier's Welcome it starts anew.
	Heads(ctx context.Context, max int) ([][]byte, error)
}

// Applier is the region's side of what comes down. All methods but Refused are
// called by one goroutine, in the order of arrival; an error ends the stream.
type Applier interface {
	// Welcome comes first on every stream. CursorSeq acknowledges as an Ack
	// does (the Ack itself may have been lost with the stream before), and the
	// entries that follow are asked from the Source after it.
	Welcome(ctx context.Context, w Welcome) error
	Acked(ctx context.Context, a Ack) error
	// Feed has one or more rows, in rising number. Rows that were already
	// applied may come again.
	Feed(ctx context.Context, rows []Row) error
	Refused(r Refused)
}

// Sink is the centre's side. It is called for many regions at once; for one
// region Ingest, Heads and Feed by one goroutine each. A *Refused ends the stream and
// is told to the region; an error ends it too, and the region tries again.
type Sink interface {
	// Hello decides about a new stream. No older stream of the region on this
	// server is in Ingest any more when it is called.
	Hello(ctx context.Context, region string, h Hello) (Welcome, *Refused, error)
	// Ingest takes a batch in and moves the cursor in one transaction. Batches
	// come in order but may repeat what was taken in; that is acknowledged
	// again. ctx ends when the stream is taken over.
	Ingest(ctx context.Context, region string, b Batch) (Ack, *Refused, error)
	Wanted(ctx context.Context, region string, w Wanted) error
	// Heads keeps what the region's nodes signed and compares it with the ledger.
	Heads(ctx context.Context, region string, heads [][]byte) (*Refused, error)
	// Health must not block.
	Health(ctx context.Context, region string, h Health)
	// Feed returns at most max rows with a number above after, in rising number;
	// none when there are none.
	Feed(ctx context.Context, region string, after uint64, max int) ([]Row, error)
	// FeedNewest is Feed for a region that is far behind: rows that newer ones have
	// overtaken are left out and counted in Skipped.
	FeedNewest(ctx context.Context, region string, after uint64, max int) ([]Row, error)
	// FeedSignal is received from, or found closed, when new rows may exist. It
	// is asked for before every Feed, so that a channel which is closed and
	// replaced works as well as one that gets a token.
	FeedSignal(region string) <-chan struct{}
}
