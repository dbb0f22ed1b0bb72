// Package command is the log's vocabulary: one struct for each command that can
// stand in a region's raft log, with its canonical encoding and its typed result.
//
// It owns the shapes and the codec. What a command does is edge/fsm's business.
package command

import (
	"meridian/internal/feed"
	"meridian/internal/journal"
)

// Meta says who proposed a command and when, by that node's clock (Unix
// microseconds). The state machine reads no clock: what it needs is here.
type Meta struct {
	At   int64
	Node string
}

// Command is one of the structs of this package.
type Command interface {
	kind() kind
}

// Status is an Acct-Status-Type (RFC 2866 section 5.1).
type Status uint8

// Status values.
const (
	Start   Status = 1
	Stop    Status = 2
	Interim Status = 3
	On      Status = 7
	Off     Status = 8
)

// Accounting is one Accounting-Request, or what mediation made of a record.
type Accounting struct {
	Meta
	NAS            string // registry id
	SessionID      string // Acct-Session-Id
	Login          string
	Status         Status
	Event          int64 // Unix seconds
	Seconds        int64 // Acct-Session-Time, −1 when absent
	In, Out        uint64
	Giga           bool
	FramedIP       string
	CallingStation string
	NASPort        string
	Cause          uint32
	Called         string // number that is called, "" = none
}

// Reserve asks for what must be exact before an Accept: a session slot, and for a
// metered subscription a hold on its buckets. Asked again under the same Key
// within its life it gets the same answer.
type Reserve struct {
	Meta
	NAS            string
	Key            string // Acct-Session-Id, or else Calling-Station-Id/NAS-Port-Id, with the login
	SessionID      string
	Login          string
	CallingStation string
	NASPort        string
	Called         string // number that is to be called, "" = none
}

// Feed carries rows from the centre, dense by number.
type Feed struct {
	Meta
	Rows []feed.Row
}

// Tick carries the nodes' clocks (Unix microseconds); their median moves region
// time.
type Tick struct {
	Meta
	Clocks []int64
}

// Configure founds the region. It carries the policy's fields of its time; SetPolicy
// gives the rest.
type Configure struct {
	Meta
	Region string
	Policy Policy
}

// OpenEpoch begins an epoch that the centre issued. Previous is the last hash the
// centre accepted of the epoch before.
type OpenEpoch struct {
	Meta
	Epoch    uint64
	Previous journal.Hash
}

// Acked says up to where the centre has the region's ledger.
type Acked struct {
	Meta
	Epoch uint64
	Seq   uint64
	Hash  journal.Hash
}

// Mode is how the region stands to the centre.
type Mode uint8

// Modes.
const (
	Isolated Mode = iota
	Degraded
	Connected
)

// String returns the mode's name.
func (m Mode) String() string { return [...]string{"isolated", "degraded", "connected"}[min(m, 2)] }

// SetMode changes the mode.
type SetMode struct {
	Meta
	Mode Mode
}

// EffectOutcome is what became of an effect that was sent.
type EffectOutcome uint8

// Outcomes: the NAS did it; the NAS knows no such session; it could not be done.
const (
	EffectDone EffectOutcome = iota
	EffectNoSession
	EffectFailed
)

// EffectsDone takes effects off the queue.
type EffectsDone struct {
	Meta
	Done []EffectResult
}

// EffectResult is the outcome of one effect.
type EffectResult struct {
	ID      uint64
	Outcome EffectOutcome
}

// CutAll cuts up to Limit sessions that have uncut usage, oldest first.
type CutAll struct {
	Meta
	Limit int
}

// Audit asks every replica for its totals at this point of the log.
type Audit struct {
	Meta
}

// SetLevel raises the region's feature level: from here on what a level needs may
// stand in the log. It is proposed once every voter can do that level.
type SetLevel struct {
	Meta
	Level uint64
}

// SetPolicy replaces the region's policy: OutOfOrder when Before is given and is not
// the policy in force, so that what somebody else changed meanwhile is not undone.
type SetPolicy struct {
	Meta
	Policy Policy
	Before *Policy // nil: whatever is in force
}

// Fence ends all spending: the centre has more of the region's ledger than the region
// itself, or has ended its epoch. Epoch and LastSeq are what the region had said when
// the centre refused it; a ledger that has gone on since was not behind.
type Fence struct {
	Meta
	Epoch   uint64
	LastSeq uint64
}

// Event sells events of a usage component to a subscription, once for each id: all of
// them, or none.
type Event struct {
	Meta
	ID           string // the caller's, for ever the same for the same sale
	Subscription string
	Usage        string // component of the offering in force
	Quantity     int64
	Event        int64  // Unix seconds
	Destination  string // number, where the component has destinations
}
