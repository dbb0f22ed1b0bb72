package fsm

import (
	"cmp"
	"slices"

	"meridian/edge/balance"
	"meridian/edge/command"
	"meridian/internal/feed"
	"meridian/internal/journal"
	"meridian/internal/money"
	"meridian/internal/tariff"
	"meridian/internal/verify"
)

// Login is what authorization needs to know of a login, read from a replica.
type Login struct {
	Subscription string
	Password     []byte // sealed
	NTHash       []byte // sealed
	Offering     *tariff.Offering
	Profile      *tariff.Profile // in force: the offering's own, or what a switch has put in its place
	Reason       command.Reason  // why it may not go online, as far as the replica can tell
	MustReserve  bool            // only the log may answer: a hold, or the last session slot
}

// FindLogin answers from the replica's own state; it changes nothing.
func (s *State) FindLogin(login string) Login {
	sub, o, reason := s.admit(login)
	if sub == nil {
		return Login{Reason: reason}
	}
	l := Login{Subscription: sub.ID, Password: sub.Password, NTHash: sub.NTHash, Reason: reason}
	if o != nil {
		l.Offering = o.Offering
		_, l.Profile = s.profile(sub, o)
	}
	if reason == command.ReasonNone {
		l.MustReserve = o.Metered() || o.zoned || s.openCount(sub)+int(sub.reserved)+1 >= o.Profile.SessionLimit
	}
	return l
}

// EachNAS walks the registry by id.
func (s *State) EachNAS(fn func(feed.NAS)) {
	for _, id := range sortedKeys(s.nas) {
		if n := s.nas[id]; n.Address != "" {
			fn(n.NAS)
		}
	}
}

// NAS returns a registered NAS.
func (s *State) NAS(id string) (feed.NAS, bool) {
	n := s.nas[id]
	if n == nil {
		return feed.NAS{}, false
	}
	return n.NAS, true
}

// Operator returns the operator whose token has this SHA-256, if not revoked.
func (s *State) Operator(tokenHash []byte) (feed.Operator, bool) {
	for _, id := range sortedKeys(s.operators) {
		if o := s.operators[id]; !o.Revoked && len(tokenHash) > 0 && slices.Equal(o.TokenHash, tokenHash) {
			return *o, true
		}
	}
	return feed.Operator{}, false
}

// Effects returns up to limit queued effects, oldest first.
func (s *State) Effects(limit int) []Effect {
	var out []Effect
	for _, id := range sortedKeys(s.effects) {
		if len(out) == limit {
			break
		}
		out = append(out, *s.effects[id])
	}
	return out
}

// EffectsQueued is how many effects wait.
func (s *State) EffectsQueued() int { return len(s.effects) }

// Wanted is a total that G of a bucket should reach.
type Wanted struct {
	Bucket string
	Total  int64
}

// WantedSerial rises when some wanted total does.
func (s *State) WantedSerial() uint64 { return s.wantedSerial }

// Wanted returns the buckets whose wanted total is above what was granted, but
// those of which told says that the centre knows.
func (s *State) Wanted(limit int, told func(Wanted) bool) []Wanted {
	var out []Wanted
	for _, id := range sortedKeys(s.wanting) {
		if len(out) == limit {
			break
		}
		if w := (Wanted{Bucket: id, Total: s.buckets.get(id).Wanted}); !told(w) {
			out = append(out, w)
		}
	}
	return out
}

// Counts are sizes of the live state.
type Counts struct {
	Subscriptions, Sessions, Open, Reservations, Effects int

	Leases        int // buckets that this region holds a part of
	LeasesWanting int // of these, buckets whose part is below what was asked for
}

// Count returns the sizes of the live state.
func (s *State) Count() Counts {
	c := Counts{Subscriptions: s.subscriptions.len(), Sessions: len(s.sessions), Reservations: len(s.reservations), Effects: len(s.effects),
		Leases: s.buckets.len(), LeasesWanting: len(s.wanting)}
	for _, n := range s.nas {
		c.Open += len(n.open)
	}
	return c
}

// OverrunBound is what one session may overrun at most, in micro-units, by the
// offerings of this region: rate × (interim interval + time to disconnect). It is −1
// when an offering names no speed.
func (s *State) OverrunBound() int64 {
	var most int64
	for _, list := range s.offerings {
		for _, o := range list {
			b := o.overrunBound()
			if b < 0 {
				return -1
			}
			most = max(most, b)
		}
	}
	return most
}

// Report returns the replica's totals for an audit. Node, Index and Entries are
// the caller's to fill in.
func (s *State) Report() verify.EdgeReport {
	r := verify.EdgeReport{
		Region: s.Region, Epoch: s.Epoch, Seq: s.Seq, Head: s.Head, StateHash: s.Hash(),
		Acked: s.Acked, AckedHash: s.AckedHash, FeedVersion: s.FeedVersion, FeedApplied: s.FeedApplied,
		Now: s.Now, Mode: s.Mode.String(), OverrunSum: int64(s.OverrunSum), OverrunWorst: int64(s.OverrunWorst),
	}
	r.OverrunBound = s.OverrunBound()
	for _, b := range s.buckets.sorted() {
		r.Buckets = append(r.Buckets, verify.EdgeBucket{
			ID: b.ID, Account: b.Account, Unit: b.Unit, G: b.G, T: b.T, S: b.S, X: b.X, B: b.B, P: b.P, U: b.U, H: b.H, Allowance: b.Allowance,
		})
	}
	for _, k := range s.sessionKeys() {
		r.Sessions = append(r.Sessions, s.sessions[k].report())
	}
	for _, key := range sortedKeys(s.reservations) {
		for _, p := range s.reservations[key].Hold {
			r.Reservations = append(r.Reservations, verify.EdgeReservation{Key: key, Bucket: p.Bucket, Held: p.Amount})
		}
	}
	for _, k := range s.sessionKeys() {
		for _, p := range s.sessions[k].Hold {
			r.Reservations = append(r.Reservations, verify.EdgeReservation{Key: k.String(), Bucket: p.Bucket, Held: p.Amount})
		}
	}
	return r
}

func (sess *Session) report() verify.EdgeSession {
	return verify.EdgeSession{
		Key: sess.Key, Subscription: sess.Subscription, Open: sess.Open,
		In: sess.Meter.In, Out: sess.Meter.Out, Seconds: sess.Meter.Seconds,
		CutIn: sess.CutMeter.In, CutOut: sess.CutMeter.Out, CutSeconds: sess.CutMeter.Seconds,
		Cuts: sess.Cuts, Pending: slices.Clone(sess.Pending), PendingOverrun: sess.overrunning(),
		Offering: sess.Offering, Version: sess.Version, Rated: sess.Rating, CutBefore: sess.CutBefore, Parts: sess.parts(),
	}
}

// overrunning is what nothing could pay since the last cut, micro-units.
func (sess *Session) overrunning() int64 {
	var sum money.Amount
	for _, x := range sess.Overruns {
		sum += x.Amount
	}
	return int64(sum)
}

// AccountView is what a region knows of a bucket of an account's. Allowance names
// what the bucket was given for, "" for money; Subscription is whose alone it is.
type AccountView struct {
	Allowance                  string `json:",omitempty"`
	Subscription               string `json:",omitempty"`
	Expires                    int64  `json:",omitempty"` // Unix seconds, 0 = never
	Bucket                     string
	Unit                       journal.Unit
	Available, Held, Uncut     int64
	Granted, Spent, LentUnpaid int64
	Children                   []balance.Child `json:",omitempty"` // what each subscription has used of a pool since it was given
}

// Account returns the account's buckets in charging order, those that are one
// subscription's alone after them.
func (s *State) Account(id string) []AccountView {
	var out []AccountView
	add := func(b *balance.Bucket) {
		v := AccountView{Bucket: b.ID, Unit: b.Unit, Expires: b.Expires, Available: b.Available(), Held: b.H, Uncut: b.U, Granted: b.G, Spent: b.S, LentUnpaid: b.Debt()}
		if b.Made != nil {
			v.Allowance, v.Subscription, v.Children = b.Made.Allowance, b.Made.Subscription, slices.Clone(b.Made.Children)
		}
		out = append(out, v)
	}
	for _, b := range s.bucketsOf(id) {
		add(b)
	}
	for _, sub := range s.subscriptionsOf(id) {
		for _, b := range s.own[sub.ID] {
			add(b)
		}
	}
	return out
}

// SubscriptionView is a subscription's service state.
type SubscriptionView struct {
	ID, Account, Login, Offering string
	Version                      uint64
	Barred, Terminated, Lapsed   bool
	PaidUntil                    int64
	Sessions                     []verify.EdgeSession
	Charged                      money.Amount // by the open sessions, cumulative
}

// Subscription returns a subscription's service state and open sessions.
func (s *State) Subscription(id string) (SubscriptionView, bool) {
	sub := s.subscriptions.get(id)
	if sub == nil {
		return SubscriptionView{}, false
	}
	v := SubscriptionView{
		ID: sub.ID, Account: sub.Account, Login: sub.Login, Offering: sub.Offering, Version: sub.Version,
		Barred: sub.Barred, Terminated: sub.Terminated, Lapsed: sub.Lapsed, PaidUntil: sub.PaidUntil,
	}
	for _, sess := range sub.open {
		v.Sessions = append(v.Sessions, sess.report())
		v.Charged += sess.Rating.Charged
	}
	slices.SortFunc(v.Sessions, func(a, b verify.EdgeSession) int {
		return cmp.Or(cmp.Compare(a.Key.Start, b.Key.Start), compareSession(a.Key, b.Key))
	})
	return v, true
}

// UncutBefore tells whether a session has usage from before t (Unix seconds) that
// is not cut.
func (s *State) UncutBefore(t int64) bool {
	for _, sess := range s.sessions {
		if sess.Uncut != 0 && sess.Uncut < t {
			return true
		}
	}
	return false
}
