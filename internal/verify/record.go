// Package verify is what must always hold (V1–V9), as pure checks over neutral
// records: no database, no raft, no network.
//
// It owns the records, the checks and the witness: the file in which a client
// keeps what was acknowledged to it. Readers of the records live with those who
// own the data: edge/store and central/cockroach. The simulator runs the same
// checks after every run. It repairs nothing, and derives every number that it
// compares a second time, by code of its own.
package verify

import (
	"context"
	"errors"

	"meridian/internal/journal"
	"meridian/internal/rating"
)

// Region is what the centre knows of a region's ledger.
type Region struct {
	Name     string
	Epoch    uint64
	Seq      uint64 // cursor: last entry accepted
	Hash     journal.Hash
	FeedLast uint64 // last number given by the sequencer
	Waiting  bool   // changes of the feed have no number yet
	Closed   bool   // lost for good: its epoch has ended
	Held     string // why nothing is taken of it until a person has looked, "" when it is
}

// LeaseTotals are the totals of one (bucket, region, epoch) at the centre.
type LeaseTotals struct {
	Region           string
	Epoch            uint64
	G, T, S, X, B, P int64
	Released         int64 // given back out of suspense, of an ended epoch
}

// ClaimTotals is a claim on a bucket: a central debit that waited for leased money.
type ClaimTotals struct {
	ID             string
	Amount, Served int64
}

// CentreBucket is the centre's row of a bucket.
type CentreBucket struct {
	ID, Account       string
	Unit              journal.Unit
	Credited, Debited int64
	Allowance         int64 // the greatest offline allowance ever announced, 0 when the reader does not know
	Leases            []LeaseTotals
	Claims            []ClaimTotals // served ones too
}

// ErrRow is wrapped by an error of Entries that tells of a row whose columns are not
// what the entry's bytes say. The walk went to its end all the same.
var ErrRow = errors.New("columns and bytes differ")

// CentreReader gives one consistent view of the centre. Callbacks run in the
// order said; an error of a callback ends the walk and is returned.
type CentreReader interface {
	Regions(ctx context.Context) ([]Region, error)
	// Entries walks a region's stored ledger by (epoch, seq), with the hash stored beside each entry.
	Entries(ctx context.Context, region string, fn func(epoch, seq uint64, raw []byte, hash journal.Hash) error) error
	// Heads walks the heads of a region's ledger that its nodes signed, in canonical
	// bytes (journal.SignedHead), in any order.
	Heads(ctx context.Context, region string, fn func(raw []byte) error) error
	// Buckets walks all buckets by id.
	Buckets(ctx context.Context, fn func(CentreBucket) error) error
	// GrantedAt returns G by bucket as of the region's feed row number: the newest lease row not above it.
	GrantedAt(ctx context.Context, region string, feedVersion uint64) (map[string]int64, error)
	// FeedRows walks a region's numbered rows by number.
	FeedRows(ctx context.Context, region string, fn func(number uint64, kind, id string, version uint64) error) error
	// Journals walks all journals by source.
	Journals(ctx context.Context, fn func(journal.Journal) error) error
	// LedgerBalances returns the stored balance rows by (account code, unit), kept beside the postings.
	LedgerBalances(ctx context.Context) (map[BalanceKey]int64, error)
}

// BalanceKey names a row of the books' balances.
type BalanceKey struct {
	Account string
	Unit    journal.Unit
}

// EdgeBucket is a bucket's lease at an edge node.
type EdgeBucket struct {
	ID, Account            string
	Unit                   journal.Unit
	G, T, S, X, B, P, U, H int64
	Allowance              int64
}

// Available is what may still be held or charged.
func (b EdgeBucket) Available() int64 {
	return b.G + b.T + b.B - b.P - b.S - b.U - b.X - b.H
}

// Part is an amount of one bucket.
type Part struct {
	Bucket string
	Amount int64
}

// EdgeSession is a session at an edge node, open or remembered as a tombstone.
type EdgeSession struct {
	Key            journal.SessionKey
	Subscription   string
	Open           bool
	In, Out        uint64 // cumulative counters
	Seconds        int64
	CutIn, CutOut  uint64 // counters at the last cut
	CutSeconds     int64
	Cuts           uint32 // usage records written
	Pending        []Part // charged since the last cut
	PendingOverrun int64

	// How the usage since the last cut is rated. Offering "" means that the
	// session is not rated, or that the node does not say.
	Offering  string
	Version   uint32
	Rated     rating.State // now
	CutBefore rating.State // at the last cut
	// The same by component, where the offering's rating is not one component's
	// that follows from its state; then Rated and CutBefore are not used.
	Parts []EdgePart
}

// EdgePart is how one usage component of a session is rated.
type EdgePart struct {
	Component        string
	Period           int64 // start of the period it is counted over, Unix seconds; 0 = the session
	Rated, CutBefore rating.State
	Uncut            int64 // quantity since the last cut
}

// EdgeReservation is a hold at an edge node.
type EdgeReservation struct {
	Key    string
	Bucket string
	Held   int64
}

// EdgeReport is what one node answers to an audit: its state at one log index.
type EdgeReport struct {
	Node         string
	Region       string
	Epoch        uint64
	Index        uint64 // raft log index of the audit command
	AskedBy      string // which node it was asked of, and when by its clock (Unix
	AskedAt      int64  // microseconds): what tells one audit from another
	Seq          uint64
	Head         journal.Hash
	StateHash    journal.Hash
	Acked        uint64
	AckedHash    journal.Hash
	FeedVersion  uint64
	FeedApplied  uint64 // rows applied in this epoch; equals FeedVersion when none was skipped
	Now          int64  // region time, Unix microseconds
	Mode         string
	Buckets      []EdgeBucket
	Sessions     []EdgeSession
	Reservations []EdgeReservation
	OverrunSum   int64      // micro-units written as overrun in this epoch, pending included
	OverrunWorst int64      // largest overrun of one session
	OverrunBound int64      // what one session may overrun, by tariff and interim interval
	Entries      []RawEntry // entries after Acked, from this node's segments
	Heads        [][]byte   // heads that the region's nodes signed up to Index, as this node keeps them
}

// RawEntry is an entry's canonical bytes, with its place.
type RawEntry struct {
	Epoch, Seq uint64
	Raw        []byte
}
