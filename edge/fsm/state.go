// Package fsm is a region's state machine: pure, deterministic, the same on every
// replica.
//
// It owns the live state (what the feed brought, buckets, sessions, reservations,
// effects, the ledger's head) and what each command does to it. Apply reads no
// clock, no random source and no map in iteration order; time is in the
// commands. It does no I/O: entry bodies are output, kept by edge/store.
package fsm

import (
	"cmp"
	"slices"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/edge/session"
	"meridian/internal/contract"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/rating"
	"meridian/internal/verify"
)

// Subscription is a subscription's feed row and its service state, which the home
// edge owns.
type Subscription struct {
	feed.Subscription        // as the feed brought it; Offering below is the one in force
	Row               uint64 // version of the feed row
	Offering          string // offering id in force
	Previous          string // offering before it, in force until Since (Unix seconds)
	Since             int64
	Held              uint32 // version that was bought; 0 = not known yet: see inForce
	Version           uint64 // of the service state, raised by each change
	PaidUntil         int64  // end of the paid period, Unix seconds; 0 = none yet
	Barred            bool   //
	Terminated        bool   //
	Lapsed            bool   // what fell due could not be paid
	reserved          int32  // unadopted reservations
	Contract          contract.State
	open              []*Session
	fired             []string // thresholds of money that were crossed, sorted
	counted           []counted
	had               []string // allowances that epochs before this one gave: what is given once is not given again
	wake              int64
}

// NAS is a registered NAS and the hour's totals seen from it.
type NAS struct {
	feed.NAS
	BootAt   int64 // newest Accounting-On or -Off, Unix seconds
	Hour     int64 // start of the hour that is counted, Unix seconds
	Sessions int64
	In, Out  uint64
	open     map[journal.SessionKey]*Session
	wake     int64
}

// Session is a session's whole accounting state. A closed one stays as a
// tombstone.
type Session struct {
	Key            journal.SessionKey
	Login          string
	Subscription   string // "" when the login is unknown: usage goes to quarantine
	Account        string
	Open           bool
	Final          bool // ended by the NAS's Stop
	Meter          session.Meter
	Seen           int64 // region time of the newest report, Unix seconds
	FramedIP       string
	CallingStation string
	NASPort        string
	Cause          uint32
	Called         string // number that was called, as its start said; kept where the offering has destinations

	Offering string // version by which the usage since the last cut is rated
	Version  uint32
	Rating   rating.State
	rated    *rated // in place of Rating, CutBefore and Slices where the offering is not plain

	Cuts      uint32 // usage records written
	CutMeter  session.Meter
	CutBefore rating.State
	Uncut     int64 // region time of the first uncut usage, 0 when there is none
	Slices    []rating.Slice
	Pending   []verify.Part  // charged since the last cut (U)
	Overruns  []rating.Slice // usage that nothing could pay since the last cut, by component

	ReserveKey   string
	Hold         []verify.Part // held for this session (H)
	HoldUntil    int64
	Limit        int64 // units the NAS was told, 0 = none
	Disconnect   bool  // a Disconnect is queued or was sent
	OverrunTotal money.Amount

	profile string // that the NAS was told, "" = the offering's own
	wake    int64
}

// Reservation is a slot and a hold that no Start has adopted yet.
type Reservation struct {
	Key            string
	NAS            string
	SessionID      string
	CallingStation string
	NASPort        string
	Called         string
	Subscription   string
	Until          int64
	Hold           []verify.Part
	Limit          int64
	wake           int64
}

// EffectKind is what the leader sends to a NAS.
type EffectKind uint8

// Effects.
const (
	EffectDisconnect EffectKind = iota + 1
	EffectLimit                 // CoA with a new limit
	EffectProfile               // CoA with the speeds of another profile
)

// Effect is queued by the command that caused it and taken off by a later one.
type Effect struct {
	ID       uint64
	Kind     EffectKind
	Session  journal.SessionKey
	Login    string
	FramedIP string
	Limit    int64
	Seconds  bool // Limit counts seconds, not octets
	Profile  string
	UpBps    int64
	DownBps  int64
}

// MaxEffects bounds the queue of effects; at the bound no new one is queued, and
// the next report of the session tries again.
const MaxEffects = 100_000

// maxOrders bounds the orders that are remembered as answered; the oldest is
// forgotten first. The feed's numbering already keeps an order from coming twice.
const maxOrders = 100_000

// State is the state machine. It is not safe for concurrent use: edge/store
// guards it.
type State struct {
	Region     string
	Configured bool
	Policy     command.Policy
	Level      uint64 // feature level: see command.Level
	Epoch      uint64
	Fenced     bool // the centre has more of the ledger than this region: it spends nothing
	gathering
	Now       int64 // region time, Unix microseconds
	Mode      command.Mode
	ModeSince int64

	FeedVersion uint64
	FeedApplied uint64
	versions    map[entityKey]uint64 // of what is neither a bucket nor a subscription: those carry theirs

	Seq       uint64 // ledger head
	Head      journal.Hash
	Acked     uint64
	AckedHash journal.Hash
	written   uint64 // octets of all entries
	stretches []stretch

	tables        map[string]*table // shared tables of destinations, by id@version
	prefixes      map[string]*rating.Prefixes
	offerings     map[string][]*version // by id, versions ascending
	nas           map[string]*NAS
	subscriptions index[Subscription]
	logins        index[Subscription]
	buckets       index[balance.Bucket]
	accounts      index[account]
	own           map[string][]*balance.Bucket // those that are one subscription's alone, in charging order
	operators     map[string]*feed.Operator
	sessions      map[journal.SessionKey]*Session
	bySessionID   map[nasSession][]*Session // ascending by start
	reservations  map[string]*Reservation
	answered      map[string]bool       // orders executed or refused
	answeredLog   []string              // the same, oldest first
	waiting       map[string]feed.Order // not yet due
	wantedSerial  uint64                // rises when a wanted total does; not part of the dump
	wanting       map[string]bool       // buckets whose Wanted is above G
	headroom      map[journal.Unit]total128
	touched       []*balance.Bucket // by the command that is executed; not part of the dump, nor is headroom

	effects    map[uint64]*Effect
	nextEffect uint64

	RenewalHour  int64 // hour of region time in which renewals are counted
	Renewals     int64 // in it
	RenewalsHeld bool  // more were due than an hour may see: a person is asked

	OverrunSum   money.Amount
	OverrunWorst money.Amount
	Anomalies    uint64 // counters that went down

	words  texts // not part of the dump
	timers timerHeap
	till   till // scratch
	out    []verify.RawEntry
	frozen []*Frozen
}

type entityKey struct {
	kind feed.Kind
	id   string
}

type nasSession struct{ nas, id string }

// New returns the empty state machine that a region is founded with.
func New() *State {
	return &State{
		versions: map[entityKey]uint64{}, tables: map[string]*table{}, prefixes: map[string]*rating.Prefixes{}, offerings: map[string][]*version{}, nas: map[string]*NAS{},
		subscriptions: newIndex(func(sub *Subscription) string { return sub.ID }), logins: newIndex(func(sub *Subscription) string { return sub.Login }),
		buckets: newIndex(func(b *balance.Bucket) string { return b.ID }), accounts: newIndex(func(a *account) string { return a.id }),
		own:       map[string][]*balance.Bucket{},
		operators: map[string]*feed.Operator{}, sessions: map[journal.SessionKey]*Session{}, bySessionID: map[nasSession][]*Session{},
		reservations: map[string]*Reservation{}, answered: map[string]bool{}, waiting: map[string]feed.Order{}, wanting: map[string]bool{}, headroom: map[journal.Unit]total128{},
		effects: map[uint64]*Effect{},
	}
}

// seconds is region time in Unix seconds.
func (s *State) seconds() int64 { return s.Now / 1_000_000 }

// offeringAt returns the newest version of an offering valid at t (Unix seconds)
// that this region has, or nil.
func (s *State) offeringAt(id string, t int64) *version {
	versions := s.offerings[id]
	for i := len(versions) - 1; i >= 0; i-- {
		if versions[i].ValidFrom <= t {
			return versions[i]
		}
	}
	return nil
}

func (s *State) offeringVersion(id string, version uint32) *version {
	for _, o := range s.offerings[id] {
		if o.Version == version {
			return o
		}
	}
	return nil
}

// usable walks an account's buckets of money in a unit, in charging order.
func (s *State) usable(account string, unit journal.Unit) []*balance.Bucket {
	all, now := s.bucketsOf(account), s.seconds()
	for i, b := range all {
		if !spends(b, unit, now) {
			kept := slices.Clone(all[:i])
			for _, b := range all[i:] {
				if spends(b, unit, now) {
					kept = append(kept, b)
				}
			}
			return kept
		}
	}
	return all
}

// emit numbers and chains an entry and puts it out.
func (s *State) emit(e journal.Entry) {
	s.Seq++
	e.Region, e.Epoch, e.Seq, e.At = s.Region, s.Epoch, s.Seq, s.Now
	raw := e.Encode()
	s.Head = journal.Chain(s.Head, raw)
	s.noteEntry(len(raw))
	s.out = append(s.out, verify.RawEntry{Epoch: e.Epoch, Seq: e.Seq, Raw: raw})
}

// TakeEntries returns the entries written since the last call, in order.
func (s *State) TakeEntries() []verify.RawEntry {
	out := s.out
	s.out = nil
	return out
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func compareSession(a, b journal.SessionKey) int {
	return cmp.Or(cmp.Compare(a.NAS, b.NAS), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Start, b.Start))
}
