// Package journal is the vocabulary of the books: a region's ledger entries and
// their hash chain, and the double-entry journals that the centre posts.
//
// It owns the canonical bytes of an entry (they are what is chained, kept in
// segments, sent up and stored for ever) and the check that a journal balances.
// It does not decide what an entry is posted to: that is central/settlement.
package journal

import (
	"errors"
	"fmt"
	"strings"

	"meridian/internal/rating"
)

// Unit is what an amount counts: an ISO 4217 code (micro-units), or bytes,
// seconds, events.
type Unit string

// IsMoney tells whether the unit is a currency.
func (u Unit) IsMoney() bool {
	return len(u) == 3 && strings.Trim(string(u), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// Kind says what an entry records and which total of its bucket it raises.
type Kind uint8

// Kinds of entries. The totals are those of a lease: T taken in, S spent,
// X returned, B borrowed, P repaid.
const (
	KindEpoch      Kind = iota + 1 // first entry of an epoch; Ref is the last accepted hash of the one before, in hex
	KindUsage                      // a usage record; the charges of the cut follow and name it
	KindCharge                     // raises S: usage
	KindRecurring                  // raises S: a fee, Ref is "subscription/component/start of what it is for" (before components had names: "subscription/start"), Quantity the seconds from there
	KindOrderDebit                 // raises S: a debit ordered by the centre, Ref is the order
	KindTaken                      // raises T
	KindReturned                   // raises X
	KindBorrowed                   // raises B
	KindRepaid                     // raises P
	KindOverrun                    // usage that nothing could pay: Quantity, Amount, Detail owed or absorbed
	KindQuarantine                 // a usage record that is not charged; Detail says why
	KindOrder                      // an order executed or refused: Ref is the order, Detail the outcome
	KindNASTotals                  // octets and sessions of a NAS in one hour, in Usage
	KindGiven                      // raises T: an allowance that an offering brings; Ref is "subscription/period start", Detail its name
	KindExpired                    // raises S: what is left of a bucket when its time is over; Detail is the allowance's name
	KindRefund                     // raises T: usage that was charged became cheaper (volume tiers); of a cut, like a charge
	KindNotice                     // a threshold was crossed: Ref is its name, Quantity the value, Detail what it watches
	KindOneTime                    // raises S: a one-time charge, Ref as of a fee
	KindCredit                     // raises T: given back of a fee, Ref as of the fee's unused part
	KindOwed                       // a fee for service that was used, which no bucket could pay: Ref as of a fee
	KindReversed                   // overrun that is not owed any more: usage became cheaper (volume tiers); of a cut, Ref and Detail as of the overrun
	kindEnd
)

var kindNames = [...]string{
	"", "epoch", "usage", "charge", "recurring", "order_debit", "taken", "returned",
	"borrowed", "repaid", "overrun", "quarantine", "order", "nas_totals",
	"given", "expired", "refund", "notice", "one_time", "credit", "owed",
	"overrun_reversed",
}

// String returns the kind's name as it stands in the database.
func (k Kind) String() string {
	if k == 0 || k >= kindEnd {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// Spends tells whether entries of this kind raise S.
func (k Kind) Spends() bool {
	return k == KindCharge || k == KindRecurring || k == KindOrderDebit || k == KindExpired || k == KindOneTime
}

// TakesIn tells whether entries of this kind raise T.
func (k Kind) TakesIn() bool {
	return k == KindTaken || k == KindGiven || k == KindRefund || k == KindCredit
}

// SessionKey names a session for ever: the NAS (registry id), its
// Acct-Session-Id and the start (Unix seconds).
type SessionKey struct {
	NAS   string
	ID    string
	Start int64
}

// String writes NAS/ID@start.
func (k SessionKey) String() string { return fmt.Sprintf("%s/%s@%d", k.NAS, k.ID, k.Start) }

// UsageRecord is one cut of a session, written also at price zero. Times are
// Unix seconds; octets are seen from the NAS (in = from the subscriber) and are
// those of this cut; Cumulative* are the session's counters at its end.
type UsageRecord struct {
	Number                      uint32 // dense per session, from 1
	From, To                    int64
	InOctets, OutOctets         uint64
	Seconds                     int64
	CumulativeIn, CumulativeOut uint64
	CumulativeSeconds           int64
	Service                     string
	FramedIP                    string
	NASPort                     string
	CallingStation              string
	TerminateCause              uint32 // 0 while the session lives
	Offering                    string
	OfferingVersion             uint32
	TariffHash                  [32]byte
	CalledStation               string // number that was called; of a record with parts

	// How it was rated. A session that is metered by one component whose tally
	// follows from its state, and that no allowance pays for, has Before and
	// Slices; any other has Parts.
	Before rating.State
	Slices []rating.Slice
	Parts  []UsagePart
}

// Entry is one line of a region's ledger. Amount and Quantity are never
// negative: the kind says which way they go.
type Entry struct {
	Region       string
	Epoch        uint64
	Seq          uint64 // dense per (region, epoch), from 1
	At           int64  // region time, Unix microseconds
	Kind         Kind
	Account      string
	Subscription string
	Bucket       string
	Unit         Unit
	Amount       int64
	Quantity     int64
	Session      SessionKey
	Cut          uint32 // number of the usage record, 0 when there is none
	Ref          string
	Detail       string
	Usage        *UsageRecord
}

// OwnBucket is the name of a bucket that this entry makes at its region: (region,
// epoch, seq).
func (e *Entry) OwnBucket() string { return BucketName(e.Region, e.Epoch, e.Seq) }

// BucketName names a bucket that an edge made by the place of the entry that made
// it.
func BucketName(region string, epoch, seq uint64) string {
	return fmt.Sprintf("%s/%d/%d", region, epoch, seq)
}

// ErrEntry is wrapped by every error about an entry's content.
var ErrEntry = errors.New("ledger entry is not well formed")

// Validate reports the first fault of an entry.
func (e *Entry) Validate() error {
	fail := func(field string, v any, want string) error {
		return fmt.Errorf("%w: %s %d/%d: %s is %v: %s", ErrEntry, e.Region, e.Epoch, e.Seq, field, v, want)
	}
	switch {
	case e.Kind == 0 || e.Kind >= kindEnd:
		return fail("kind", uint8(e.Kind), "use a kind of this version")
	case e.Region == "":
		return fail("region", `""`, "name the region")
	case e.Epoch == 0 || e.Seq == 0:
		return fail("epoch, seq", e.Seq, "number both from 1")
	case e.Amount < 0 || e.Quantity < 0:
		return fail("amount, quantity", e.Amount, "must not be negative")
	case (e.Kind.Spends() || e.Kind >= KindTaken && e.Kind <= KindRepaid || e.Kind.TakesIn()) && (e.Bucket == "" || e.Unit == ""):
		return fail("bucket", e.Bucket, "name the bucket and its unit")
	case (e.Kind == KindUsage || e.Kind == KindQuarantine || e.Kind == KindNASTotals) != (e.Usage != nil):
		return fail("usage", e.Usage != nil, "a usage record belongs to usage, quarantine and nas_totals entries only")
	case e.Usage != nil && e.Kind != KindNASTotals && e.Usage.Number != e.Cut:
		return fail("cut", e.Cut, "must be the usage record's number")
	}
	return nil
}
