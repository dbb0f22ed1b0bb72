package link

import (
	"fmt"
	"sync/atomic"
)

// ProtocolVersion is what this package speaks; MinProtocolVersion is the oldest
// that the server still understands.
const (
	ProtocolVersion    = 1
	MinProtocolVersion = 1
)

// Hello says who opens a stream and what it has. Region and Node must be those
// of the certificate.
type Hello struct {
	Region      string
	Node        string
	Epoch       uint64
	Term        uint64 // raft term
	LastSeq     uint64 // last entry in the region's ledger
	HeadHash    []byte // its chained hash
	AckedSeq    uint64 // last entry known to be acknowledged
	FeedVersion uint64 // number of the last feed row applied

	Cluster            string // this and what follows is set by the client
	ProtocolVersion    uint32 // newest that it speaks
	MinProtocolVersion uint32 // oldest
	SoftwareVersion    string

	takesNewest bool // rows may be left out of its feed
}

// Batch is a run of entries without gaps: Entries[i] has seq FirstSeq+i.
type Batch struct {
	Epoch    uint64
	FirstSeq uint64
	PrevHash []byte // of the entry before FirstSeq
	Entries  [][]byte
	HeadHash []byte // of the last entry

	// Term and Node are those of the stream's Hello. The server fills them in
	// for the Sink, to fence a former leader also across several servers.
	Term uint64
	Node string
}

// LastSeq is the seq of the last entry.
func (b Batch) LastSeq() uint64 { return b.FirstSeq + uint64(len(b.Entries)) - 1 }

// Bytes is the size of all entries.
func (b Batch) Bytes() int {
	n := 0
	for _, e := range b.Entries {
		n += len(e)
	}
	return n
}

// WantedItem asks that the grant for a bucket reach a total.
type WantedItem struct {
	Bucket string
	Total  int64
	Epoch  uint64
}

// Wanted names what changed since the one before; the later value of a bucket
// and epoch replaces the earlier. The first Wanted of a stream names everything.
type Wanted struct {
	Items []WantedItem
}

// Health is the region's state at one moment.
type Health struct {
	Mode            string
	BacklogEntries  uint64
	ClockUnixMicros int64
	FeedVersion     uint64 // number of the last feed row applied
}

// Welcome accepts a stream and says from where to go on.
type Welcome struct {
	Epoch         uint64
	EpochPrevHash []byte // last accepted hash of the epoch before
	CursorSeq     uint64 // last entry of the epoch that the centre has
	CursorHash    []byte
	FeedLast      uint64 // number of the last row in the region's feed
}

// Ack says that everything up to Seq is settled durably.
type Ack struct {
	Epoch uint64
	Seq   uint64
	Hash  []byte
}

// Row is one row of the region's feed.
type Row struct {
	Number        uint64
	Skipped       uint64 // numbers right before it that are left out: newer versions of their entities follow
	EntityKind    string
	EntityID      string
	EntityVersion uint64
	Body          []byte
}

// Code is why a stream was refused.
type Code int

// The codes; their numbers are those on the wire.
const (
	CodeUnspecified Code = iota
	CodeStaleEpoch
	CodeStaleTerm
	CodeGap
	CodeBadHash
	CodeUnknownRegion
	CodeRevoked
	CodeRegionMismatch
	CodeVersion
	CodeProtocol
	CodeHeld
	CodeCluster
	codeCount
)

// String is the code as it is written in logs and metrics.
func (c Code) String() string {
	names := [...]string{
		"UNSPECIFIED", "STALE_EPOCH", "STALE_TERM", "GAP", "BAD_HASH", "UNKNOWN_REGION",
		"REVOKED", "REGION_MISMATCH", "VERSION", "PROTOCOL", "HELD", "CLUSTER",
	}
	if c < 0 || int(c) >= len(names) {
		return fmt.Sprintf("CODE_%d", int(c))
	}
	return names[c]
}

// Codes lists all, so that each has its series before it happens.
func Codes() []Code {
	out := make([]Code, 0, codeCount)
	for c := CodeUnspecified; c < codeCount; c++ {
		out = append(out, c)
	}
	return out
}

// Refused ends a stream. It is an error.
type Refused struct {
	Code   Code
	Detail string
	Remedy string
}

// Error implements error.
func (r *Refused) Error() string {
	return fmt.Sprintf("link: refused by the centre: %s: %s; %s", r.Code, r.Detail, r.Remedy)
}

// codeCounters count refusals; a code that this version does not know counts as
// CodeUnspecified.
type codeCounters [codeCount]atomic.Uint64

func (n *codeCounters) count(c Code) {
	if c < 0 || c >= codeCount {
		c = CodeUnspecified
	}
	n[c].Add(1)
}

// tally reads counters that are not zero.
func tally[K ~int](counters []atomic.Uint64) map[K]uint64 {
	out := map[K]uint64{}
	for i := range counters {
		if n := counters[i].Load(); n > 0 {
			out[K(i)] = n
		}
	}
	return out
}
